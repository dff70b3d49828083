//! Begin.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, FieldList, Map, Symbol, descriptor};

/// Begins a session on a channel (AMQP 1.0 part 2.7.2).
///
/// ```
/// use eventhubs_amqp::codec::performative::Begin;
///
/// let begin = Begin { incoming_window: 2048, outgoing_window: 2048, ..Begin::default() };
/// assert_eq!(begin.handle_max, u32::MAX);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Begin {
    /// The channel of the peer's begin this one answers.
    pub remote_channel: Option<u16>,
    /// The transfer id of the first transfer to be sent.
    pub next_outgoing_id: u32,
    /// How many transfer frames it can take.
    pub incoming_window: u32,
    /// How many transfer frames it may send.
    pub outgoing_window: u32,
    /// The highest link handle that may be used.
    pub handle_max: u32,
    /// Extensions it can use.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions it would use if the peer can.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything else about the session.
    pub properties: Map,
}

impl Default for Begin {
    /// No windows, which is no session to work with.
    fn default() -> Self {
        Self {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: 0,
            outgoing_window: 0,
            handle_max: u32::MAX,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: Map::new(),
        }
    }
}

impl Begin {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::BEGIN, fields);
        list.optional(self.remote_channel, write::put_ushort);
        list.uint(self.next_outgoing_id);
        list.uint(self.incoming_window);
        list.uint(self.outgoing_window);
        list.defaulted(self.handle_max, u32::MAX, write::put_uint);
        list.symbols(&self.offered_capabilities);
        list.symbols(&self.desired_capabilities);
        list.map(&self.properties);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let remote_channel = fields.ushort("begin.remote-channel")?;
        let next_outgoing_id = fields.uint("begin.next-outgoing-id")?;
        let next_outgoing_id = fields.required(next_outgoing_id)?;
        let incoming_window = fields.uint("begin.incoming-window")?;
        let incoming_window = fields.required(incoming_window)?;
        let outgoing_window = fields.uint("begin.outgoing-window")?;
        let outgoing_window = fields.required(outgoing_window)?;
        Ok(Self {
            remote_channel,
            next_outgoing_id,
            incoming_window,
            outgoing_window,
            handle_max: fields.uint("begin.handle-max")?.unwrap_or(u32::MAX),
            offered_capabilities: fields.symbols("begin.offered-capabilities")?,
            desired_capabilities: fields.symbols("begin.desired-capabilities")?,
            properties: fields.map("begin.properties")?,
        })
    }
}
