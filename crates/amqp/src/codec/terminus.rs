//! Where the messages of a link come from and where they go.

use bytes::BytesMut;

use super::read::{Fields, Reader};
use super::write::{self, ListWriter};
use super::{DecodeError, DecodeErrorKind, DeliveryState, FieldList, Map, Symbol, descriptor};

/// The source of a link (AMQP 1.0 part 3.5.3).
///
/// ```
/// use eventhubs_amqp::codec::Source;
///
/// let source = Source { address: Some("queue".into()), ..Source::default() };
/// assert!(!source.dynamic);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// The node.
    pub address: Option<String>,
    /// What survives of the terminus: 0 nothing, 1 its configuration, 2 the unsettled state too.
    pub durable: u32,
    /// When the time-out starts; by default with the end of the session.
    pub expiry_policy: Option<Symbol>,
    /// How long the terminus is kept from then on, in seconds.
    pub timeout: u32,
    /// The node is to be created by the peer.
    pub dynamic: bool,
    /// Properties of the node to be created.
    pub dynamic_node_properties: Map,
    /// How messages are spread over links: `move` or `copy`.
    pub distribution_mode: Option<Symbol>,
    /// Filters by name, each a described value.
    pub filter: Map,
    /// The outcome of deliveries which are settled without one.
    pub default_outcome: Option<DeliveryState>,
    /// Outcomes that can be chosen, by their symbolic descriptor.
    pub outcomes: Vec<Symbol>,
    /// Extensions the source has or shall have.
    pub capabilities: Vec<Symbol>,
}

impl Source {
    /// A source with nothing but an address.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    /// Appends the source with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        let mut list = ListWriter::composite(out, descriptor::SOURCE, fields);
        list.text(self.address.as_deref());
        list.defaulted(self.durable, 0, write::put_uint);
        list.symbol(self.expiry_policy.as_ref());
        list.defaulted(self.timeout, 0, write::put_uint);
        list.flag(self.dynamic);
        list.map(&self.dynamic_node_properties);
        list.symbol(self.distribution_mode.as_ref());
        list.map(&self.filter);
        list.optional(self.default_outcome.as_ref(), |out, state| state.encode(fields, out));
        list.symbols(&self.outcomes);
        list.symbols(&self.capabilities);
        list.finish();
    }

    pub(super) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        match reader.descriptor()? {
            descriptor::SOURCE => {}
            other => return Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        }
        reader.fields(depth, |fields| {
            Ok(Self {
                address: fields.text("source.address")?,
                durable: fields.uint("source.durable")?.unwrap_or(0),
                expiry_policy: fields.symbol("source.expiry-policy")?,
                timeout: fields.uint("source.timeout")?.unwrap_or(0),
                dynamic: fields.flag("source.dynamic")?,
                dynamic_node_properties: fields.map("source.dynamic-node-properties")?,
                distribution_mode: fields.symbol("source.distribution-mode")?,
                filter: fields.map("source.filter")?,
                default_outcome: fields.nested("source.default-outcome", DeliveryState::read)?,
                outcomes: fields.symbols("source.outcomes")?,
                capabilities: fields.symbols("source.capabilities")?,
            })
        })
    }
}

/// The target of a link (AMQP 1.0 part 3.5.4).
///
/// ```
/// use eventhubs_amqp::codec::Target;
///
/// assert_eq!(Target::new("queue").address.as_deref(), Some("queue"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// The node.
    pub address: Option<String>,
    /// What survives of the terminus: 0 nothing, 1 its configuration, 2 the unsettled state too.
    pub durable: u32,
    /// When the time-out starts; by default with the end of the session.
    pub expiry_policy: Option<Symbol>,
    /// How long the terminus is kept from then on, in seconds.
    pub timeout: u32,
    /// The node is to be created by the peer.
    pub dynamic: bool,
    /// Properties of the node to be created.
    pub dynamic_node_properties: Map,
    /// Extensions the target has or shall have.
    pub capabilities: Vec<Symbol>,
    /// The target is a transaction coordinator (part 4.5.1), of whose fields only the capabilities exist.
    pub coordinator: bool,
}

impl Target {
    /// A target with nothing but an address.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    /// Appends the target with its descriptor.
    pub fn encode(&self, fields: FieldList, out: &mut BytesMut) {
        if self.coordinator {
            let mut list = ListWriter::composite(out, descriptor::COORDINATOR, fields);
            list.symbols(&self.capabilities);
            return list.finish();
        }
        let mut list = ListWriter::composite(out, descriptor::TARGET, fields);
        list.text(self.address.as_deref());
        list.defaulted(self.durable, 0, write::put_uint);
        list.symbol(self.expiry_policy.as_ref());
        list.defaulted(self.timeout, 0, write::put_uint);
        list.flag(self.dynamic);
        list.map(&self.dynamic_node_properties);
        list.symbols(&self.capabilities);
        list.finish();
    }

    pub(super) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        match reader.descriptor()? {
            descriptor::TARGET => reader.fields(depth, Self::fields),
            descriptor::COORDINATOR => reader.fields(depth, |fields| {
                let capabilities = fields.symbols("coordinator.capabilities")?;
                Ok(Self { capabilities, coordinator: true, ..Self::default() })
            }),
            other => Err(reader.error(DecodeErrorKind::UnknownDescriptor(other))),
        }
    }

    fn fields(fields: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        Ok(Self {
            address: fields.text("target.address")?,
            durable: fields.uint("target.durable")?.unwrap_or(0),
            expiry_policy: fields.symbol("target.expiry-policy")?,
            timeout: fields.uint("target.timeout")?.unwrap_or(0),
            dynamic: fields.flag("target.dynamic")?,
            dynamic_node_properties: fields.map("target.dynamic-node-properties")?,
            capabilities: fields.symbols("target.capabilities")?,
            coordinator: false,
        })
    }
}
