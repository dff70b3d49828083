//! What can go wrong between a handle and its peer.

use std::time::Duration;

use crate::codec::AmqpError;
use crate::engine::CloseReason;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Resolving the name and connecting the transport.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Headers, SASL and both opens.
    Open,
    /// Beginning a session and attaching a link to it.
    Attach,
    /// Detaching a link.
    Detach,
    /// Receiving.
    Receive,
    /// Accepting a link that the peer attached.
    Accept,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Tls => "TLS handshake",
            Self::Open => "open",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Receive => "receive",
            Self::Accept => "accept",
        })
    }
}

/// What went wrong, by meaning.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host's name does not exist, or has no address.
    #[error("the name does not exist: {0}")]
    NameNotFound(String),
    /// The resolver did not say what the host's name means, or not in time.
    #[error("the name could not be resolved: {0}")]
    Resolve(String),
    /// The transport could not be made; the text is the operating system's, with the address where
    /// one was tried.
    #[error("the transport failed: {0}")]
    Transport(String),
    /// The TLS layer could not be set up: an option cannot be used, or one end does not trust the
    /// other.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The step took longer than its deadline.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The peer refused or detached the link.
    #[error("{0}")]
    Detached(LinkClosed),
    /// The connection is over.
    #[error("the connection is over: {0}")]
    Closed(CloseReason),
    /// The connection has no room for it: channels, handles, links, or waiting requests.
    #[error("no room: {0}")]
    Exhausted(String),
}

/// An error of this module: what was being done, to which entity, and what happened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} of {entity} failed: {kind}")]
pub struct Error {
    operation: Operation,
    entity: String,
    kind: Box<ErrorKind>,
}

impl Error {
    pub(crate) fn new(operation: Operation, entity: impl Into<String>, kind: ErrorKind) -> Self {
        Self { operation, entity: entity.into(), kind: Box::new(kind) }
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The host or address it was done to.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What the peer said, if it said something.
    pub fn remote_error(&self) -> Option<&AmqpError> {
        match self.kind() {
            ErrorKind::Detached(closed) => closed.error(),
            ErrorKind::Closed(CloseReason::Remote(error)) => error.as_ref(),
            _ => None,
        }
    }
}

/// Why a link is gone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LinkClosed {
    /// This end detached it.
    Local,
    /// The peer detached it or ended its session, with or without an error.
    Remote(Option<AmqpError>),
    /// This end detached it because the peer broke a rule.
    Violation(AmqpError),
    /// The connection is over.
    Connection(CloseReason),
}

impl LinkClosed {
    /// The error that was named, by the peer or by us.
    pub fn error(&self) -> Option<&AmqpError> {
        match self {
            Self::Remote(error) => error.as_ref(),
            Self::Violation(error) | Self::Connection(CloseReason::Violation(error)) => Some(error),
            Self::Connection(CloseReason::Remote(error)) => error.as_ref(),
            Self::Local | Self::Connection(_) => None,
        }
    }
}

impl std::error::Error for LinkClosed {}

impl std::fmt::Display for LinkClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("detached by this end"),
            Self::Remote(None) => f.write_str("detached by the peer without an error"),
            Self::Remote(Some(error)) => write!(f, "detached by the peer: {error}"),
            Self::Violation(error) => write!(f, "detached because the peer broke a rule: {error}"),
            Self::Connection(reason) => write!(f, "the connection is over: {reason}"),
        }
    }
}

/// Why a delivery has no outcome of the peer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFailure {
    /// Nothing of it left this end, or it was aborted: the peer does not have it.
    #[error("not sent: the link was {0}")]
    NotSent(LinkClosed),
    /// It waited for credit or room until its deadline; nothing of it left this end.
    #[error("not sent: no credit or room within {0:?}")]
    NotSentInTime(Duration),
    /// It was sent and the link went before an outcome came: the peer may have it or not.
    #[error("unknown outcome: the link was {0}")]
    Unknown(LinkClosed),
    /// It was sent and no outcome came by its deadline: the peer may have it or not.
    #[error("unknown outcome: none came within {0:?}")]
    UnknownInTime(Duration),
    /// Larger than the link takes; nothing was sent.
    #[error("the message has {size} bytes, the link takes {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes the peer takes.
        limit: u64,
    },
}

impl SendFailure {
    /// Whether the peer may have the delivery all the same.
    pub fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::UnknownInTime(_))
    }
}
