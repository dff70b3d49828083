//! Detach.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::ListWriter;
use crate::codec::{AmqpError, DecodeError, FieldList, descriptor};

/// Detaches a link (AMQP 1.0 part 2.7.7).
///
/// ```
/// use eventhubs_amqp::codec::performative::Detach;
///
/// assert!(Detach { handle: 1, closed: true, error: None }.closed);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Detach {
    /// The link.
    pub handle: u32,
    /// The link ceases to exist.
    pub closed: bool,
    /// Why.
    pub error: Option<AmqpError>,
}

impl Detach {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::DETACH, fields);
        list.uint(self.handle);
        list.flag(self.closed);
        list.optional(self.error.as_ref(), |out, error| error.encode(fields, out));
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let handle = fields.uint("detach.handle")?;
        Ok(Self {
            handle: fields.required(handle)?,
            closed: fields.flag("detach.closed")?,
            error: fields.nested("detach.error", AmqpError::read)?,
        })
    }
}
