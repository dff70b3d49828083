//! What the owner of a connection chooses before it starts.

use std::time::Duration;

use bytes::Bytes;

use crate::codec::{FieldList, Map, Symbol};

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Opened the transport: speaks first and opens by itself.
    Dialler,
    /// Accepted the transport: answers when its owner says so.
    Listener,
}

/// The security layer of a connection (AMQP 1.0, part 5.3).
#[derive(Clone, PartialEq, Eq)]
pub enum Sasl {
    /// No SASL layer: the AMQP protocol header comes first.
    None,
    /// Dialler: `ANONYMOUS`.
    Anonymous,
    /// Dialler: `PLAIN` with a user name and a password.
    Plain {
        /// Authentication identity.
        user: String,
        /// Password; never shown by `Debug`.
        password: String,
    },
    /// Dialler: `EXTERNAL`, the identity comes from the transport, as with a client certificate.
    External,
    /// Dialler: any other mechanism. Challenges arrive as
    /// [`Event::SaslChallenge`](super::Event::SaslChallenge).
    Mechanism {
        /// Name of the mechanism.
        name: Symbol,
        /// First response, if the mechanism has one.
        initial_response: Option<Bytes>,
    },
    /// Listener: the mechanisms to offer.
    Offer {
        /// Names of the mechanisms, in order of preference.
        mechanisms: Vec<Symbol>,
        /// Whether a peer may leave the SASL layer out.
        allow_bare: bool,
    },
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Plain { user, .. } => {
                f.debug_struct("Plain").field("user", user).finish_non_exhaustive()
            }
            Self::External => f.write_str("External"),
            Self::Mechanism { name, .. } => {
                f.debug_struct("Mechanism").field("name", name).finish_non_exhaustive()
            }
            Self::Offer { mechanisms, allow_bare } => f
                .debug_struct("Offer")
                .field("mechanisms", mechanisms)
                .field("allow_bare", allow_bare)
                .finish(),
        }
    }
}

/// Bounds on what a peer can make this end hold. Passing one ends the smallest scope that helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Received bytes that one session may hold before its incoming window stays shut.
    /// Default 64 MiB.
    pub session_bytes_soft: usize,
    /// Received bytes that one link may hold; one more detaches it with
    /// `amqp:resource-limit-exceeded`. Default 512 MiB.
    pub link_bytes_max: usize,
    /// Received bytes that the connection may hold; the link that passes it is detached.
    /// Default 1 GiB.
    pub connection_bytes_max: usize,
    /// Bytes waiting to be written, or on one session for its window, above which [`send`](super::Connection::send) answers
    /// [`SendError::Full`](super::SendError::Full). Default 8 MiB.
    pub output_bytes_max: usize,
    /// Bytes of frames other than transfers that may wait to be written. More of them means that
    /// the peer asks and does not read; the connection is closed with
    /// `amqp:resource-limit-exceeded`. Default 8 MiB.
    pub answers_bytes_max: usize,
    /// Links on all sessions together. Default 4 096.
    pub links_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_bytes_soft: 64 << 20,
            link_bytes_max: 512 << 20,
            connection_bytes_max: 1 << 30,
            output_bytes_max: 8 << 20,
            answers_bytes_max: 8 << 20,
            links_max: 4096,
        }
    }
}

/// Options of one [`Connection`](super::Connection).
#[derive(Clone, Debug)]
pub struct Options {
    /// Which end this is.
    pub side: Side,
    /// Name of our container; the service wants it unique per connection.
    pub container_id: String,
    /// Host the dialler means to reach.
    pub hostname: Option<String>,
    /// Largest frame we accept, in bytes, at least 512; frames we write are no larger either.
    /// Default 65 536.
    pub max_frame_size: u32,
    /// Highest channel number we accept. Default 255.
    pub channel_max: u16,
    /// Silence after which the peer should expect us to give up; advertised as it stands, and
    /// enforced after twice as long (AMQP 1.0, 2.4.5). `None` or zero waits for ever. Default 60 s.
    pub idle_time_out: Option<Duration>,
    /// Time for a frame of the peer to arrive whole, from its first bytes on. Bytes that drip in are
    /// no silence, but nothing comes of them. Default 60 s.
    pub frame_timeout: Duration,
    /// Time for headers, SASL and both opens together. Default 30 s.
    pub open_timeout: Duration,
    /// Time for the peer to answer our close. Default 5 s.
    pub close_timeout: Duration,
    /// Properties of our open.
    pub properties: Map,
    /// Capabilities we offer.
    pub offered_capabilities: Vec<Symbol>,
    /// Capabilities we would like the peer to have.
    pub desired_capabilities: Vec<Symbol>,
    /// How performatives are written. Default [`FieldList::Trimmed`].
    pub fields: FieldList,
    /// The security layer.
    pub sasl: Sasl,
    /// Memory bounds.
    pub limits: Limits,
    /// Send messages that are larger than the peer's attach allows, as brokers do that add
    /// annotations to what they were sent. Default false:
    /// [`SendError::TooLarge`](super::SendError::TooLarge).
    pub exceed_peer_message_size: bool,
}

impl Options {
    /// Options of the end that opens the transport, without SASL.
    pub fn dialler(container_id: impl Into<String>) -> Self {
        Self::new(Side::Dialler, container_id.into(), Sasl::None)
    }

    /// Options of the end that accepts the transport; offers `ANONYMOUS` and accepts a peer without
    /// a SASL layer.
    pub fn listener(container_id: impl Into<String>) -> Self {
        let mechanisms = vec![Symbol::from_static("ANONYMOUS")];
        Self::new(Side::Listener, container_id.into(), Sasl::Offer { mechanisms, allow_bare: true })
    }

    fn new(side: Side, container_id: String, sasl: Sasl) -> Self {
        Self {
            side,
            container_id,
            hostname: None,
            max_frame_size: 65_536,
            channel_max: 255,
            idle_time_out: Some(Duration::from_secs(60)),
            frame_timeout: Duration::from_secs(60),
            open_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            properties: Map::default(),
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            fields: FieldList::Trimmed,
            sasl,
            limits: Limits::default(),
            exceed_peer_message_size: false,
        }
    }

    /// The idle time-out as the peer is told; on the wire, 0 is none.
    pub(crate) fn advertised_idle(&self) -> Option<Duration> {
        self.idle_time_out.filter(|period| !period.is_zero())
    }
}

/// Options of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Transfer frames the peer may have in flight towards us. Default 5 000.
    pub incoming_window: u32,
    /// Transfer frames we announce that we may have in flight. Default 2^31-1.
    pub outgoing_window: u32,
    /// Highest link handle we accept, at most 65 535. Default 255.
    pub handle_max: u32,
    /// Id of our first transfer frame. Default 0.
    pub next_outgoing_id: u32,
    /// Id of our first delivery. Default 0.
    pub first_delivery_id: u32,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            incoming_window: 5000,
            outgoing_window: i32::MAX as u32,
            handle_max: 255,
            next_outgoing_id: 0,
            first_delivery_id: 0,
        }
    }
}
