//! Close.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::ListWriter;
use crate::codec::{AmqpError, DecodeError, FieldList, descriptor};

/// Closes the connection (AMQP 1.0 part 2.7.9).
///
/// ```
/// use eventhubs_amqp::codec::performative::Close;
///
/// assert_eq!(Close::default().error, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Close {
    /// Why, if it is because of an error.
    pub error: Option<AmqpError>,
}

impl Close {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::CLOSE, fields);
        list.optional(self.error.as_ref(), |out, error| error.encode(fields, out));
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self { error: fields.nested("close.error", AmqpError::read)? })
    }
}
