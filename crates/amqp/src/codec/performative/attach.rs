//! Attach.

use bytes::BytesMut;

use super::{ReceiverSettleMode, Role, SenderSettleMode};
use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{
    DecodeError, DecodeErrorKind, FieldList, Map, Source, Symbol, Target, descriptor,
};

/// Attaches a link to a session (AMQP 1.0 part 2.7.3).
///
/// ```
/// use eventhubs_amqp::codec::Source;
/// use eventhubs_amqp::codec::performative::{Attach, Role};
///
/// let attach = Attach {
///     name: "receiver".into(),
///     role: Role::Receiver,
///     source: Some(Source::new("queue")),
///     ..Attach::default()
/// };
/// assert_eq!(attach.max_message_size, None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attach {
    /// The name of the link.
    pub name: String,
    /// What the sender of this performative calls the link.
    pub handle: u32,
    /// Which end speaks.
    pub role: Role,
    /// How the sender settles.
    pub snd_settle_mode: SenderSettleMode,
    /// How the receiver settles.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// Where messages come from. `None` refuses, when it is an answer.
    pub source: Option<Source>,
    /// Where messages go. `None` refuses, when it is an answer.
    pub target: Option<Target>,
    /// Deliveries that are unsettled, by their tag.
    pub unsettled: Map,
    /// The map above is not all of them.
    pub incomplete_unsettled: bool,
    /// Where the sender's delivery count starts. Mandatory from a sender.
    pub initial_delivery_count: Option<u32>,
    /// The largest message it takes, in bytes. `None` and 0 are no limit.
    pub max_message_size: Option<u64>,
    /// Extensions it can use.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions it would use if the peer can.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything else about the link.
    pub properties: Map,
}

impl Attach {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::ATTACH, fields);
        list.field(|out| write::put_str(out, &self.name));
        list.uint(self.handle);
        list.field(|out| write::put_bool(out, self.role.is_receiver()));
        list.defaulted(self.snd_settle_mode, SenderSettleMode::Mixed, |out, mode| {
            write::put_ubyte(out, mode.to_wire());
        });
        list.defaulted(self.rcv_settle_mode, ReceiverSettleMode::First, |out, mode| {
            write::put_ubyte(out, mode.to_wire());
        });
        list.optional(self.source.as_ref(), |out, source| source.encode(fields, out));
        list.optional(self.target.as_ref(), |out, target| target.encode(fields, out));
        list.map(&self.unsettled);
        list.flag(self.incomplete_unsettled);
        list.optional(self.initial_delivery_count, write::put_uint);
        list.optional(self.max_message_size, write::put_ulong);
        list.symbols(&self.offered_capabilities);
        list.symbols(&self.desired_capabilities);
        list.map(&self.properties);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let name = fields.text("attach.name")?;
        let name = fields.required(name)?;
        let handle = fields.uint("attach.handle")?;
        let handle = fields.required(handle)?;
        let role = fields.boolean("attach.role")?;
        let role = Role::from_receiver(fields.required(role)?);
        let snd_settle_mode = match fields.ubyte("attach.snd-settle-mode")? {
            None => SenderSettleMode::default(),
            Some(mode) => SenderSettleMode::from_wire(mode)
                .ok_or_else(|| fields.error(DecodeErrorKind::InvalidValue))?,
        };
        let rcv_settle_mode = match fields.ubyte("attach.rcv-settle-mode")? {
            None => ReceiverSettleMode::default(),
            Some(mode) => ReceiverSettleMode::from_wire(mode)
                .ok_or_else(|| fields.error(DecodeErrorKind::InvalidValue))?,
        };
        Ok(Self {
            name,
            handle,
            role,
            snd_settle_mode,
            rcv_settle_mode,
            source: fields.nested("attach.source", Source::read)?,
            target: fields.nested("attach.target", Target::read)?,
            unsettled: fields.map("attach.unsettled")?,
            incomplete_unsettled: fields.flag("attach.incomplete-unsettled")?,
            initial_delivery_count: fields.uint("attach.initial-delivery-count")?,
            max_message_size: fields.ulong("attach.max-message-size")?,
            offered_capabilities: fields.symbols("attach.offered-capabilities")?,
            desired_capabilities: fields.symbols("attach.desired-capabilities")?,
            properties: fields.map("attach.properties")?,
        })
    }
}
