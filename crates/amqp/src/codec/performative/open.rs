//! Open.

use bytes::BytesMut;

use crate::codec::read::Fields;
use crate::codec::write::{self, ListWriter};
use crate::codec::{DecodeError, FieldList, Map, Symbol, descriptor};

/// Negotiates the connection (AMQP 1.0 part 2.7.1).
///
/// ```
/// use eventhubs_amqp::codec::performative::Open;
///
/// let open = Open { container_id: "client".into(), ..Open::default() };
/// assert_eq!((open.max_frame_size, open.channel_max), (u32::MAX, u16::MAX));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// The name of the container that opens.
    pub container_id: String,
    /// The host the connection is for.
    pub hostname: Option<String>,
    /// The largest frame it takes, in bytes.
    pub max_frame_size: u32,
    /// The highest channel number that may be used.
    pub channel_max: u16,
    /// How long it waits for a frame before it gives up, in milliseconds.
    pub idle_time_out: Option<u32>,
    /// Languages for outgoing text.
    pub outgoing_locales: Vec<Symbol>,
    /// Languages wanted for incoming text.
    pub incoming_locales: Vec<Symbol>,
    /// Extensions it can use.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions it would use if the peer can.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything else about the container.
    pub properties: Map,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            container_id: String::new(),
            hostname: None,
            max_frame_size: u32::MAX,
            channel_max: u16::MAX,
            idle_time_out: None,
            outgoing_locales: Vec::new(),
            incoming_locales: Vec::new(),
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: Map::new(),
        }
    }
}

impl Open {
    /// Appends the performative with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::OPEN, fields);
        list.field(|out| write::put_str(out, &self.container_id));
        list.text(self.hostname.as_deref());
        list.defaulted(self.max_frame_size, u32::MAX, write::put_uint);
        list.defaulted(self.channel_max, u16::MAX, write::put_ushort);
        list.optional(self.idle_time_out, write::put_uint);
        list.symbols(&self.outgoing_locales);
        list.symbols(&self.incoming_locales);
        list.symbols(&self.offered_capabilities);
        list.symbols(&self.desired_capabilities);
        list.map(&self.properties);
        list.finish();
    }

    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let container_id = fields.text("open.container-id")?;
        Ok(Self {
            container_id: fields.required(container_id)?,
            hostname: fields.text("open.hostname")?,
            max_frame_size: fields.uint("open.max-frame-size")?.unwrap_or(u32::MAX),
            channel_max: fields.ushort("open.channel-max")?.unwrap_or(u16::MAX),
            idle_time_out: fields.uint("open.idle-time-out")?,
            outgoing_locales: fields.symbols("open.outgoing-locales")?,
            incoming_locales: fields.symbols("open.incoming-locales")?,
            offered_capabilities: fields.symbols("open.offered-capabilities")?,
            desired_capabilities: fields.symbols("open.desired-capabilities")?,
            properties: fields.map("open.properties")?,
        })
    }
}
