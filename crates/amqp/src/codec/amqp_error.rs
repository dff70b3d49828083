//! The error a peer gives with a detach, end, close or rejected delivery.

use std::fmt;

use bytes::BytesMut;

use super::read::Reader;
use super::write::{self, ListWriter};
use super::{DecodeError, DecodeErrorKind, FieldList, Map, Symbol, descriptor};

/// Details of an error (AMQP 1.0 part 2.8.14).
///
/// ```
/// use eventhubs_amqp::codec::{AmqpError, condition};
///
/// let error = AmqpError::new(condition::NOT_FOUND, "no such entity");
/// assert_eq!(error.to_string(), "amqp:not-found: no such entity");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AmqpError {
    /// What kind of error it is.
    pub condition: Symbol,
    /// Text for people.
    pub description: Option<String>,
    /// Further details.
    pub info: Map,
}

impl AmqpError {
    /// An error with a text and no further details.
    pub fn new(condition: impl Into<Symbol>, description: impl Into<String>) -> Self {
        Self {
            condition: condition.into(),
            description: Some(description.into()),
            info: Map::new(),
        }
    }

    /// Appends the error with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::ERROR, fields);
        list.field(|out| write::put_symbol(out, &self.condition));
        list.text(self.description.as_deref());
        list.map(&self.info);
        list.finish();
    }

    pub(super) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        match reader.descriptor()? {
            descriptor::ERROR => {}
            other => return Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        }
        reader.fields(depth, |fields| {
            let condition = fields.symbol("error.condition")?;
            Ok(Self {
                condition: fields.required(condition)?,
                description: fields.text("error.description")?,
                info: fields.map("error.info")?,
            })
        })
    }
}

impl fmt::Display for AmqpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.description {
            Some(text) => write!(f, "{}: {text}", self.condition),
            None => fmt::Display::fmt(&self.condition, f),
        }
    }
}
