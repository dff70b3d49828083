//! The selector filter with which a receiver names its start position.
//!
//! Event Hubs understands one comparison of one annotation, for example
//! `amqp.annotation.x-opt-offset > '-1'`. Clients differ in blanks and quotes; all forms seen in
//! the wild are read here.

use crate::names::{annotation, filter};
use thiserror::Error;

/// Longest selector that is looked at, in bytes.
pub(crate) const MAX_SELECTOR_LEN: usize = 1024;

/// Where a receiver starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the first retained event.
    Earliest,
    /// After the last event.
    Latest,
    /// At or after an offset, which is opaque text to clients.
    Offset { text: String, inclusive: bool },
    /// At or after a sequence number.
    Sequence { number: i64, inclusive: bool },
    /// At or after a time in milliseconds since 1970.
    Time { millis: i64, inclusive: bool },
}

/// Why a selector was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SelectorError {
    #[error("the filter is longer than {MAX_SELECTOR_LEN} bytes")]
    TooLong,
    #[error("the filter does not compare an annotation with '>' or '>='")]
    NotAComparison,
    #[error("the filter names the unknown property '{0}'")]
    UnknownProperty(String),
    #[error("the filter compares '{property}' with '{value}', which is not a valid value")]
    InvalidValue { property: &'static str, value: String },
}

impl Start {
    /// Reads a selector.
    pub(crate) fn parse(selector: &str) -> Result<Self, SelectorError> {
        if selector.len() > MAX_SELECTOR_LEN {
            return Err(SelectorError::TooLong);
        }
        let (property, rest) = selector.split_once('>').ok_or(SelectorError::NotAComparison)?;
        let (inclusive, value) = match rest.strip_prefix('=') {
            Some(value) => (true, value),
            None => (false, rest),
        };
        let property = property.trim();
        let value = unquote(value.trim()).ok_or(SelectorError::NotAComparison)?;
        match property.strip_prefix(filter::ANNOTATION_PREFIX) {
            Some(annotation::OFFSET) => Self::offset(&value, inclusive),
            Some(annotation::SEQUENCE_NUMBER) => {
                // Previews of the Java client put the epoch of replication in front.
                let (epoch, number) = value.split_once(':').unwrap_or(("-1", value.as_str()));
                integer(annotation::SEQUENCE_NUMBER, epoch)?;
                let number = integer(annotation::SEQUENCE_NUMBER, number)?;
                Ok(Self::Sequence { number, inclusive })
            }
            Some(annotation::ENQUEUED_TIME | filter::ENQUEUED_TIME_LEGACY) => {
                let millis = integer(annotation::ENQUEUED_TIME, &value)?;
                Ok(Self::Time { millis, inclusive })
            }
            _ => Err(SelectorError::UnknownProperty(property.to_owned())),
        }
    }

    fn offset(value: &str, inclusive: bool) -> Result<Self, SelectorError> {
        match value {
            filter::EARLIEST => Ok(Self::Earliest),
            filter::LATEST => Ok(Self::Latest),
            "" => Err(SelectorError::InvalidValue {
                property: annotation::OFFSET,
                value: String::new(),
            }),
            text => Ok(Self::Offset { text: text.to_owned(), inclusive }),
        }
    }
}

/// Takes the quotes off; inside them two quotes stand for one. `None` when they do not pair up.
fn unquote(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('\'') else {
        return (!value.contains('\'')).then(|| value.to_owned());
    };
    let inner = inner.strip_suffix('\'')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        if char == '\'' && chars.next() != Some('\'') {
            return None;
        }
        plain.push(char);
    }
    Some(plain)
}

fn integer(property: &'static str, value: &str) -> Result<i64, SelectorError> {
    value.parse().map_err(|_| SelectorError::InvalidValue { property, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_seen_in_the_wild_is_read() {
        let offset = |text: &str, inclusive| Start::Offset { text: text.into(), inclusive };
        let table = [
            ("amqp.annotation.x-opt-offset > '-1'", Start::Earliest),
            ("amqp.annotation.x-opt-offset > '@latest'", Start::Latest),
            ("amqp.annotation.x-opt-offset > '8'", offset("8", false)),
            ("amqp.annotation.x-opt-offset >= '8'", offset("8", true)),
            ("amqp.annotation.x-opt-offset > 8", offset("8", false)),
            ("amqp.annotation.x-opt-offset > '1:2:it''s'", offset("1:2:it's", false)),
            (
                "amqp.annotation.x-opt-sequence-number > '0'",
                Start::Sequence { number: 0, inclusive: false },
            ),
            (
                "amqp.annotation.x-opt-sequence-number >'0'",
                Start::Sequence { number: 0, inclusive: false },
            ),
            (
                "amqp.annotation.x-opt-sequence-number>=-1",
                Start::Sequence { number: -1, inclusive: true },
            ),
            (
                "amqp.annotation.x-opt-sequence-number > '-1:2506'",
                Start::Sequence { number: 2506, inclusive: false },
            ),
            (
                "amqp.annotation.x-opt-sequence-number >= '19:2506'",
                Start::Sequence { number: 2506, inclusive: true },
            ),
            (
                "amqp.annotation.x-opt-enqueued-time >='1700000000000'",
                Start::Time { millis: 1_700_000_000_000, inclusive: true },
            ),
            (
                " amqp.annotation.x-opt-enqueuedtimeutc  >  5 ",
                Start::Time { millis: 5, inclusive: false },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Start::parse(text), Ok(expected), "selector {text:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "amqp.annotation.x-opt-offset",
            "amqp.annotation.x-opt-offset = '1'",
            "amqp.annotation.x-opt-offset < '1'",
            "amqp.annotation.x-opt-offset > ''",
            "amqp.annotation.x-opt-offset > 'a'b'",
            "amqp.annotation.x-opt-offset > '1",
            "amqp.annotation.x-opt-offset > '",
            "amqp.annotation.x-opt-sequence-number > 'one'",
            "amqp.annotation.x-opt-sequence-number > ':1'",
            "amqp.annotation.x-opt-sequence-number > '1:'",
            "amqp.annotation.x-opt-sequence-number > '1:2:3'",
            "amqp.annotation.x-opt-sequence-number > '9223372036854775808'",
            "amqp.annotation.x-opt-enqueued-time > ''",
            "amqp.annotation.x-opt-partition-key > 'k'",
            "x-opt-offset > '1'",
        ] {
            assert!(Start::parse(text).is_err(), "selector {text:?}");
        }
        assert_eq!(Start::parse(&">".repeat(5000)), Err(SelectorError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Start::parse(&text);
        }

        #[test]
        fn any_offset_survives_quoting(offset in "\\PC{1,40}", inclusive: bool) {
            prop_assume!(!["-1", "@latest"].contains(&offset.as_str()));
            let sign = if inclusive { ">=" } else { ">" };
            let text = format!(
                "amqp.annotation.x-opt-offset {sign} '{}'",
                offset.replace('\'', "''")
            );
            prop_assert_eq!(Start::parse(&text), Ok(Start::Offset { text: offset, inclusive }));
        }
    }
}
