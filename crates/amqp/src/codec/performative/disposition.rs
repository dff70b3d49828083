//! Disposition.

use bytes::BytesMut;

use super::Role;
use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, DeliveryState, FieldList, descriptor};

/// Tells what became of a range of deliveries (AMQP 1.0 part 2.7.6).
///
/// ```
/// use eventhubs_amqp::codec::DeliveryState;
/// use eventhubs_amqp::codec::performative::{Disposition, Role};
///
/// let disposition = Disposition {
///     role: Role::Receiver,
///     first: 1,
///     last: Some(9),
///     settled: true,
///     state: Some(DeliveryState::Accepted),
///     ..Disposition::default()
/// };
/// assert!(!disposition.batchable);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disposition {
    /// Which end speaks.
    pub role: Role,
    /// The first delivery.
    pub first: u32,
    /// The last delivery; the first one when `None`.
    pub last: Option<u32>,
    /// The deliveries are settled.
    pub settled: bool,
    /// Their state.
    pub state: Option<DeliveryState>,
    /// The peer may take its time to answer.
    pub batchable: bool,
}

impl Disposition {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::DISPOSITION, fields);
        list.field(|out| write::put_bool(out, self.role.is_receiver()));
        list.uint(self.first);
        list.optional(self.last, write::put_uint);
        list.flag(self.settled);
        list.optional(self.state.as_ref(), |out, state| state.encode(fields, out));
        list.flag(self.batchable);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let role = fields.boolean("disposition.role")?;
        let role = Role::from_receiver(fields.required(role)?);
        let first = fields.uint("disposition.first")?;
        Ok(Self {
            role,
            first: fields.required(first)?,
            last: fields.uint("disposition.last")?,
            settled: fields.flag("disposition.settled")?,
            state: fields.nested("disposition.state", DeliveryState::read)?,
            batchable: fields.flag("disposition.batchable")?,
        })
    }
}
