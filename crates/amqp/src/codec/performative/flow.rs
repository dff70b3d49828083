//! Flow.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, FieldList, Map, descriptor};

/// Tells the state of a session's windows and, with a handle, of a link's credit (AMQP 1.0 part 2.7.4).
///
/// ```
/// use eventhubs_amqp::codec::performative::Flow;
///
/// let flow = Flow { handle: Some(0), link_credit: Some(300), ..Flow::default() };
/// assert!(!flow.drain);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// The id of the next transfer it expects. `None` until the peer's begin is there.
    pub next_incoming_id: Option<u32>,
    /// How many transfer frames it can take.
    pub incoming_window: u32,
    /// The id of the next transfer it sends.
    pub next_outgoing_id: u32,
    /// How many transfer frames it may send.
    pub outgoing_window: u32,
    /// The link the following fields are about.
    pub handle: Option<u32>,
    /// How many deliveries the sender has sent, as far as is known.
    pub delivery_count: Option<u32>,
    /// How many more it may send.
    pub link_credit: Option<u32>,
    /// How many it could send if it had the credit.
    pub available: Option<u32>,
    /// Credit is to be used up or given back at once.
    pub drain: bool,
    /// A flow is wanted in return.
    pub echo: bool,
    /// Anything else about the link.
    pub properties: Map,
}

impl Flow {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::FLOW, fields);
        list.optional(self.next_incoming_id, write::put_uint);
        list.uint(self.incoming_window);
        list.uint(self.next_outgoing_id);
        list.uint(self.outgoing_window);
        list.optional(self.handle, write::put_uint);
        list.optional(self.delivery_count, write::put_uint);
        list.optional(self.link_credit, write::put_uint);
        list.optional(self.available, write::put_uint);
        list.flag(self.drain);
        list.flag(self.echo);
        list.map(&self.properties);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let next_incoming_id = fields.uint("flow.next-incoming-id")?;
        let incoming_window = fields.uint("flow.incoming-window")?;
        let incoming_window = fields.required(incoming_window)?;
        let next_outgoing_id = fields.uint("flow.next-outgoing-id")?;
        let next_outgoing_id = fields.required(next_outgoing_id)?;
        let outgoing_window = fields.uint("flow.outgoing-window")?;
        let outgoing_window = fields.required(outgoing_window)?;
        Ok(Self {
            next_incoming_id,
            incoming_window,
            next_outgoing_id,
            outgoing_window,
            handle: fields.uint("flow.handle")?,
            delivery_count: fields.uint("flow.delivery-count")?,
            link_credit: fields.uint("flow.link-credit")?,
            available: fields.uint("flow.available")?,
            drain: fields.flag("flow.drain")?,
            echo: fields.flag("flow.echo")?,
            properties: fields.map("flow.properties")?,
        })
    }
}
