//! What a connection tells its owner, and what its calls can answer.

use bytes::Bytes;

use super::id::{LinkId, SessionId};
use crate::codec::performative::{Attach, Begin, Open};
use crate::codec::{AmqpError, DeliveryState, Symbol};

/// Which end brought something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The other end.
    Peer,
    /// This end, because the peer broke a rule.
    Us,
}

/// A change in the life of the connection, a session or a link.
///
/// Deliveries and outcomes are not events: see [`touched`](super::Connection::touched). Take those
/// first, then the events, since a link may receive and be detached in one read.
#[derive(Clone, Debug)]
pub enum Event {
    /// Listener: the peer chose a mechanism; answer with
    /// [`sasl_outcome`](super::Connection::sasl_outcome) or
    /// [`sasl_challenge`](super::Connection::sasl_challenge).
    SaslInit {
        /// The mechanism, one of those offered.
        mechanism: Symbol,
        /// Its first response.
        initial_response: Option<Bytes>,
        /// The host the peer means to reach.
        hostname: Option<String>,
    },
    /// Dialler: answer with [`sasl_response`](super::Connection::sasl_response).
    SaslChallenge(Bytes),
    /// Listener: the answer to our challenge.
    SaslResponse(Bytes),
    /// The peer's open; a listener answers with [`open`](super::Connection::open) or
    /// [`close`](super::Connection::close).
    Open(Box<Open>),
    /// A session: the answer to our begin, or one that the peer began and that waits for
    /// [`accept_session`](super::Connection::accept_session) or
    /// [`end`](super::Connection::end).
    Begin {
        /// The session.
        session: SessionId,
        /// The peer's frame.
        begin: Box<Begin>,
        /// Whether the peer began it.
        incoming: bool,
    },
    /// A link: the answer to our attach, or one that the peer attached and that waits for
    /// [`accept`](super::Connection::accept) or [`refuse`](super::Connection::refuse).
    ///
    /// An answer without source (our receiver) or target (our sender) is a refusal; the reason
    /// follows as [`Event::Detach`].
    Attach {
        /// The link.
        link: LinkId,
        /// Its session.
        session: SessionId,
        /// The peer's frame.
        attach: Box<Attach>,
        /// Whether the peer attached it.
        incoming: bool,
    },
    /// The peer wants our sender to use up its credit: send what there is, then call
    /// [`drained`](super::Connection::drained).
    Drain {
        /// The sending link.
        link: LinkId,
    },
    /// The peer answered our [`drain`](super::Connection::drain): no credit is left.
    Drained {
        /// The receiving link.
        link: LinkId,
    },
    /// The link is gone. Its id names nothing from here on.
    Detach {
        /// The link.
        link: LinkId,
        /// Whether the link was closed, not merely detached.
        closed: bool,
        /// Why, when somebody said so.
        error: Option<AmqpError>,
        /// Who began.
        origin: Origin,
    },
    /// The session is gone; its links were reported as detached before.
    End {
        /// The session.
        session: SessionId,
        /// Why, when somebody said so.
        error: Option<AmqpError>,
        /// Who began.
        origin: Origin,
    },
    /// The connection is over. Always the last event.
    Closed(CloseReason),
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq)]
pub enum CloseReason {
    /// Our close was answered.
    Local,
    /// The peer closed, with or without an error.
    Remote(Option<AmqpError>),
    /// The peer broke a rule; this is what we told it.
    Violation(AmqpError),
    /// The peer speaks another protocol or version; its header.
    ProtocolHeader([u8; 8]),
    /// The SASL layer refused, on either end; the code of part 5.3.3.6, or what did not match.
    Sasl(String),
    /// The transport ended without a close.
    Eof,
    /// Nothing arrived for twice the idle time-out.
    IdleTimeout,
    /// A frame did not arrive whole within [`Options::frame_timeout`](super::Options::frame_timeout).
    FrameTimeout,
    /// The headers, SASL and both opens took too long.
    OpenTimeout,
    /// Our close was not answered in time.
    CloseTimeout,
    /// The transport failed; filled in by the driver.
    Transport(String),
    /// The peer took no or next to no bytes for the write time-out; filled in by the driver.
    WriteTimeout,
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("closed by this end"),
            Self::Remote(None) => f.write_str("closed by the peer without an error"),
            Self::Remote(Some(error)) => write!(f, "closed by the peer: {error}"),
            Self::Violation(error) => write!(f, "closed because the peer broke a rule: {error}"),
            Self::ProtocolHeader(header) => {
                write!(f, "the peer does not speak AMQP 1.0; its header is {header:02x?}")
            }
            Self::Sasl(text) => write!(f, "the SASL layer refused: {text}"),
            Self::Eof => f.write_str("the transport ended without a close"),
            Self::IdleTimeout => f.write_str("the peer was silent beyond the idle time-out"),
            Self::FrameTimeout => f.write_str("a frame of the peer took too long to arrive"),
            Self::OpenTimeout => f.write_str("the peer did not open in time"),
            Self::CloseTimeout => f.write_str("the peer did not answer our close in time"),
            Self::Transport(text) => write!(f, "the transport failed: {text}"),
            Self::WriteTimeout => f.write_str("the peer took no bytes for the write time-out"),
        }
    }
}

/// What became of one of our deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The token it was sent with.
    pub token: u64,
    /// Its delivery id.
    pub delivery_id: u32,
    /// The state, if the peer named one.
    pub state: Option<DeliveryState>,
    /// Whether the peer settled it. If not (receiver settle mode `second`), settle it with
    /// [`settle`](super::Connection::settle).
    pub settled: bool,
}

/// Why a session could not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Our open has not been sent, or our close has.
    #[error("the connection is not open")]
    NotOpen,
    /// Every channel that both ends allow is taken.
    #[error("no channel is free; the peers agreed on channel-max {0}")]
    NoChannel(u16),
    /// The id names no session that this call fits.
    #[error("no such session")]
    Unknown,
}

/// Why a link call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The id names no live session.
    #[error("no such session")]
    UnknownSession,
    /// The id names no link, or not one in the state this call needs.
    #[error("no such link, or not in this state")]
    Unknown,
    /// Every handle that both ends allow is taken.
    #[error("no handle is free; the peers agreed on handle-max {0}")]
    NoHandle(u32),
    /// `Limits::links_max` is reached.
    #[error("the connection already has {0} links")]
    TooMany(usize),
}

/// Why a delivery was not taken; nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver has granted no credit; the link is touched when it does.
    #[error("the link has no credit")]
    NoCredit,
    /// Too many bytes wait to be written; the link is touched when there is room.
    #[error("the write queue of the connection is full")]
    Full,
    /// Larger than the peer's max-message-size.
    #[error("the message has {size} bytes, the link takes {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes the peer takes.
        limit: u64,
    },
    /// The link is not an attached sender.
    #[error("the link is not attached as a sender")]
    Detached,
}
