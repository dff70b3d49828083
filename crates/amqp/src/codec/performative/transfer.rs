//! Transfer, whole. The hot path has [`transfer`](crate::codec::transfer).

use bytes::{Bytes, BytesMut};

use super::ReceiverSettleMode;
use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, DecodeErrorKind, DeliveryState, FieldList, descriptor, limits};

/// Carries a message or a part of one (AMQP 1.0 part 2.7.5). The payload follows in the frame.
///
/// ```
/// use eventhubs_amqp::codec::performative::Transfer;
///
/// let transfer = Transfer { handle: 3, settled: Some(true), ..Transfer::default() };
/// assert_eq!(transfer.delivery_id, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transfer {
    /// The link.
    pub handle: u32,
    /// The delivery. Mandatory in the first transfer of one.
    pub delivery_id: Option<u32>,
    /// What the sender calls the delivery, at most 32 bytes. Mandatory in the first transfer of one.
    pub delivery_tag: Option<Bytes>,
    /// How the message is to be read. Mandatory in the first transfer of a delivery.
    pub message_format: Option<u32>,
    /// The sender has settled it.
    pub settled: Option<bool>,
    /// More transfers of this delivery follow.
    pub more: bool,
    /// How the receiver is to settle, if not as negotiated.
    pub rcv_settle_mode: Option<ReceiverSettleMode>,
    /// The state of the delivery at the sender.
    pub state: Option<DeliveryState>,
    /// An earlier delivery is resumed.
    pub resume: bool,
    /// The delivery is given up; what was sent of it is to be thrown away.
    pub aborted: bool,
    /// The receiver may take its time to answer.
    pub batchable: bool,
}

impl Transfer {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::TRANSFER, fields);
        list.uint(self.handle);
        list.optional(self.delivery_id, write::put_uint);
        list.optional(self.delivery_tag.as_deref(), write::put_binary);
        list.optional(self.message_format, write::put_uint);
        list.optional(self.settled, write::put_bool);
        list.flag(self.more);
        list.optional(self.rcv_settle_mode, |out, mode| write::put_ubyte(out, mode.to_wire()));
        list.optional(self.state.as_ref(), |out, state| state.encode(fields, out));
        list.flag(self.resume);
        list.flag(self.aborted);
        list.flag(self.batchable);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let handle = fields.uint("transfer.handle")?;
        let handle = fields.required(handle)?;
        let delivery_id = fields.uint("transfer.delivery-id")?;
        let delivery_tag = fields.binary("transfer.delivery-tag")?;
        if delivery_tag.as_ref().is_some_and(|tag| tag.len() > limits::MAX_DELIVERY_TAG) {
            return Err(fields.error(DecodeErrorKind::Length));
        }
        let message_format = fields.uint("transfer.message-format")?;
        let settled = fields.boolean("transfer.settled")?;
        let more = fields.flag("transfer.more")?;
        let rcv_settle_mode = match fields.ubyte("transfer.rcv-settle-mode")? {
            None => None,
            Some(mode) => Some(
                ReceiverSettleMode::from_wire(mode)
                    .ok_or_else(|| fields.error(DecodeErrorKind::InvalidValue))?,
            ),
        };
        Ok(Self {
            handle,
            delivery_id,
            delivery_tag,
            message_format,
            settled,
            more,
            rcv_settle_mode,
            state: fields.nested("transfer.state", DeliveryState::read)?,
            resume: fields.flag("transfer.resume")?,
            aborted: fields.flag("transfer.aborted")?,
            batchable: fields.flag("transfer.batchable")?,
        })
    }
}
