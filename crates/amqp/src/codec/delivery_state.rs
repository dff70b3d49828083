//! What became of a delivery.

use bytes::BytesMut;

use super::read::Reader;
use super::write::{self, ListWriter};
use super::{
    AmqpError, DecodeError, DecodeErrorKind, Described, FieldList, Map, Value, descriptor,
};

/// The state of a delivery at one end (AMQP 1.0 part 3.4).
///
/// ```
/// use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
///
/// let state = DeliveryState::Rejected(Some(AmqpError::new(condition::NOT_ALLOWED, "no")));
/// assert!(state.is_outcome());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryState {
    /// How far the receiver got. Not an outcome.
    Received {
        /// The section that is not yet there in whole.
        section_number: u32,
        /// How much of that section is there, in bytes.
        section_offset: u64,
    },
    /// Processed.
    Accepted,
    /// Invalid and unprocessable.
    Rejected(Option<AmqpError>),
    /// Not processed and free to be sent elsewhere.
    Released,
    /// Not processed; to be changed before it is sent elsewhere.
    Modified {
        /// Counts as a failed attempt to deliver.
        delivery_failed: bool,
        /// Not to be delivered on this link again.
        undeliverable_here: bool,
        /// Annotations to merge into the message.
        message_annotations: Map,
    },
    /// A state that part 3 does not define, such as that of a transaction.
    Other(Box<Described>),
}

impl DeliveryState {
    /// Whether the state ends a delivery.
    #[must_use]
    pub const fn is_outcome(&self) -> bool {
        !matches!(self, Self::Received { .. } | Self::Other(_))
    }

    /// Appends the state with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let list = |out, descriptor| ListWriter::composite(out, descriptor, fields);
        match self {
            Self::Received { section_number, section_offset } => {
                let mut list = list(out, descriptor::RECEIVED);
                list.uint(*section_number);
                list.field(|out| write::put_ulong(out, *section_offset));
                list.finish();
            }
            // Neither has a field.
            Self::Accepted => list(out, descriptor::ACCEPTED).finish(),
            Self::Released => list(out, descriptor::RELEASED).finish(),
            Self::Rejected(error) => {
                let mut list = list(out, descriptor::REJECTED);
                list.optional(error.as_ref(), |out, error| error.encode(fields, out));
                list.finish();
            }
            Self::Modified { delivery_failed, undeliverable_here, message_annotations } => {
                let mut list = list(out, descriptor::MODIFIED);
                list.flag(*delivery_failed);
                list.flag(*undeliverable_here);
                list.map(message_annotations);
                list.finish();
            }
            Self::Other(described) => {
                Value::Described(described.clone()).encode(out);
            }
        }
    }

    /// Reads the state `buf` begins with, and how many bytes it took.
    ///
    /// # Errors
    ///
    /// When the bytes are no described value, or not one of the known states although their descriptor says so.
    pub fn decode(buf: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(buf, "delivery-state");
        let state = Self::read(&mut reader, 0)?;
        Ok((state, reader.position()))
    }

    pub(super) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let mut known = reader.clone();
        let state = match known.descriptor() {
            Ok(descriptor::RECEIVED) => known.fields(depth, |fields| {
                let number = fields.uint("received.section-number")?;
                let section_number = fields.required(number)?;
                let offset = fields.ulong("received.section-offset")?;
                Ok(Self::Received { section_number, section_offset: fields.required(offset)? })
            })?,
            Ok(descriptor::ACCEPTED) => known.fields(depth, |_| Ok(Self::Accepted))?,
            Ok(descriptor::REJECTED) => known.fields(depth, |fields| {
                Ok(Self::Rejected(fields.nested("rejected.error", AmqpError::read)?))
            })?,
            Ok(descriptor::RELEASED) => known.fields(depth, |_| Ok(Self::Released))?,
            Ok(descriptor::MODIFIED) => known.fields(depth, |fields| {
                Ok(Self::Modified {
                    delivery_failed: fields.flag("modified.delivery-failed")?,
                    undeliverable_here: fields.flag("modified.undeliverable-here")?,
                    message_annotations: fields.map("modified.message-annotations")?,
                })
            })?,
            _ => match reader.value(depth)? {
                Value::Described(described) => return Ok(Self::Other(described)),
                _ => return Err(reader.error(DecodeErrorKind::WrongType)),
            },
        };
        *reader = known;
        Ok(state)
    }
}
