//! End.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::ListWriter;
use crate::codec::{AmqpError, DecodeError, FieldList, descriptor};

/// Ends a session (AMQP 1.0 part 2.7.8).
///
/// ```
/// use eventhubs_amqp::codec::performative::End;
///
/// assert_eq!(End::default().error, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct End {
    /// Why, if it is because of an error.
    pub error: Option<AmqpError>,
}

impl End {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::END, fields);
        list.optional(self.error.as_ref(), |out, error| error.encode(fields, out));
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self { error: fields.nested("end.error", AmqpError::read)? })
    }
}
