//! Bodies of leases and checkpoints: JSON that other hosts wrote, read with tolerance and limits.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// Largest body that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Deepest nesting of arrays and objects in a body.
pub const MAX_DEPTH: usize = 32;

pub(crate) const PARTITION: &str = "partitionID";
pub(crate) const EPOCH: &str = "epoch";
pub(crate) const OWNER: &str = "owner";
pub(crate) const TOKEN: &str = "token";
pub(crate) const DURATION: &str = "leaseMilliseconds";
pub(crate) const OFFSET: &str = "offset";
pub(crate) const SEQUENCE_NUMBER: &str = "sequenceNumber";
pub(crate) const ENQUEUE_TIME: &str = "enqueueTime";

/// Why the body of a lease or a checkpoint cannot be read.
///
/// Bodies are JSON objects of at most [`MAX_BODY`] bytes, nested at most [`MAX_DEPTH`] deep. The
/// error names a field, never its value.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{InvalidRecord, Lease};
///
/// assert_eq!(Lease::from_json(b""), Err(InvalidRecord::Empty));
/// assert!(matches!(Lease::from_json(b"{\"epoch"), Err(InvalidRecord::NotJson { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecord {
    /// There is nothing in it.
    #[error("the body is empty")]
    Empty,
    /// It is longer than [`MAX_BODY`].
    #[error("the body has {size} bytes, {MAX_BODY} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// It is no JSON.
    #[error("the body is no JSON: line {line}, column {column}")]
    NotJson {
        /// Line of the mistake, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("the body is no JSON object")]
    NotAnObject,
    /// A field is missing or has a value of the wrong kind.
    #[error("{name} is missing or wrong")]
    Field {
        /// The field.
        name: &'static str,
    },
}

impl InvalidRecord {
    pub(crate) const fn field(name: &'static str) -> Self {
        Self::Field { name }
    }
}

/// The fields of a body. Those that are read are taken out; what stays is unknown and is written
/// back.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Record(Map<String, Value>);

impl Record {
    pub(crate) fn from_json(body: &[u8]) -> Result<Self, InvalidRecord> {
        if body.len() > MAX_BODY {
            return Err(InvalidRecord::TooLarge { size: body.len() });
        }
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(InvalidRecord::Empty);
        }
        if depth(body) > MAX_DEPTH {
            return Err(InvalidRecord::TooDeep);
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(InvalidRecord::NotAnObject),
            Err(error) => {
                Err(InvalidRecord::NotJson { line: error.line(), column: error.column() })
            }
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        // A map with text for keys has nothing that JSON could refuse, and a Vec takes every byte.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The fields as a value to put into another record.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, name: &'static str) -> Result<Vec<Self>, InvalidRecord> {
        let Some(Value::Array(list)) = self.take(name) else {
            return Err(InvalidRecord::field(name));
        };
        let object = |value| match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(InvalidRecord::field(name)),
        };
        list.into_iter().map(object).collect()
    }

    /// Adds what this record does not have.
    pub(crate) fn append(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), value.clone());
            }
        }
    }

    /// Takes a field out, however it is spelt; the classic spelling wins over others.
    fn take(&mut self, name: &str) -> Option<Value> {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let spellings: Vec<String> =
            self.0.keys().filter(|key| plain(key) == plain(name)).cloned().collect();
        let mut found = None;
        for spelling in spellings {
            let value = self.0.remove(&spelling);
            if found.is_none() || spelling == name {
                found = value;
            }
        }
        found
    }

    /// A text; `None` when it is missing, null or empty. Numbers count as their digits.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, InvalidRecord> {
        let text = match self.take(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(InvalidRecord::field(name)),
        };
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// A whole number, also when it was written as text; `None` when missing, null or empty.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<i64>, InvalidRecord> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| InvalidRecord::field(name))
    }
}

impl fmt::Debug for Record {
    /// The names only: nobody knows what the values are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Milliseconds as a number of JSON.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Deepest nesting of brackets outside of strings, without building anything.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_beyond_the_limits_are_refused_by_name() {
        let read = |body: &str| Record::from_json(body.as_bytes()).unwrap_err();
        assert_eq!(read(" \n"), InvalidRecord::Empty);
        assert_eq!(read("\u{feff}"), InvalidRecord::Empty);
        assert_eq!(read("[1]"), InvalidRecord::NotAnObject);
        assert!(matches!(read("{\"a\":"), InvalidRecord::NotJson { line: 1, .. }));
        let nested = |depth| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(MAX_DEPTH)), InvalidRecord::TooDeep);
        assert!(Record::from_json(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY));
        assert_eq!(read(&long), InvalidRecord::TooLarge { size: long.len() });
    }

    #[test]
    fn brackets_in_text_are_no_nesting() {
        let body = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(100));
        assert!(Record::from_json(body.as_bytes()).is_ok());
    }

    #[test]
    fn the_classic_spelling_wins() {
        let mut record = Record::from_json(br#"{"Owner":"a","owner":"b","OWNER":"c"}"#).unwrap();
        assert_eq!(record.text(OWNER).unwrap().as_deref(), Some("b"));
        assert_eq!(record.to_json(), b"{}");
    }
}
