//! Where a fault can strike.

use std::fmt;

use crate::names;

/// A moment at which something is about to happen.
///
/// ```
/// use eventhubs_emulator::{Direction, Performative, Point};
///
/// let point = Point::Frame { direction: Direction::Out, performative: Performative::Close };
/// assert_eq!(point.to_string(), "frame");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Point {
    /// When the fault is injected: everything within its scope, once.
    #[default]
    Now,
    /// A client looks a name up in a [`Network`](crate::Network).
    Resolve,
    /// A client connects through a [`Network`](crate::Network).
    Connect,
    /// A connection was accepted; no byte has been read.
    Accept,
    /// The client's open has arrived.
    Open,
    /// The client's begin has arrived.
    Begin,
    /// The client's attach has arrived.
    Attach,
    /// A token was put on `$cbs`.
    PutToken,
    /// A question has arrived on `$management`.
    Management,
    /// A message has arrived on a producer link; nothing is stored.
    Publish,
    /// A message was stored; its sender has not been told.
    Stored,
    /// An event is about to go out on a consumer link.
    Deliver,
    /// As many frames have arrived on a connection, counted from the injection or, on a later
    /// connection, from its beginning.
    FramesIn(u64),
    /// As many frames have gone out on a connection, counted like those that arrive.
    FramesOut(u64),
    /// As many bytes have arrived on a connection, counted like frames.
    BytesIn(u64),
    /// As many bytes have gone out on a connection, counted like frames.
    BytesOut(u64),
    /// A frame of this kind has arrived or is about to go out.
    Frame {
        /// Which way it goes.
        direction: Direction,
        /// Its kind.
        performative: Performative,
    },
}

impl Point {
    /// Its bit in a set of points.
    pub(crate) fn bit(self) -> u32 {
        match self {
            Self::Now => 1,
            Self::Resolve => 1 << 1,
            Self::Connect => 1 << 2,
            Self::Accept => 1 << 3,
            Self::Open => 1 << 4,
            Self::Begin => 1 << 5,
            Self::Attach => 1 << 6,
            Self::PutToken => 1 << 7,
            Self::Management => 1 << 8,
            Self::Publish => 1 << 9,
            Self::Stored => 1 << 10,
            Self::Deliver => 1 << 11,
            Self::FramesIn(_) | Self::FramesOut(_) | Self::BytesIn(_) | Self::BytesOut(_) => {
                1 << 12
            }
            Self::Frame { .. } => 1 << 13,
        }
    }

    /// Whether it is counted or looked for by the byte layer.
    pub(crate) fn is_of_the_line(self) -> bool {
        matches!(
            self,
            Self::FramesIn(_)
                | Self::FramesOut(_)
                | Self::BytesIn(_)
                | Self::BytesOut(_)
                | Self::Frame { .. }
        )
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "now",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Open => "open",
            Self::Begin => "begin",
            Self::Attach => "attach",
            Self::PutToken => names::request::PUT_TOKEN,
            Self::Management => "management",
            Self::Publish => "publish",
            Self::Stored => "stored",
            Self::Deliver => "deliver",
            Self::FramesIn(_) => "frames-in",
            Self::FramesOut(_) => "frames-out",
            Self::BytesIn(_) => "bytes-in",
            Self::BytesOut(_) => "bytes-out",
            Self::Frame { .. } => "frame",
        })
    }
}

/// A way of bytes, as the emulator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
    /// Either.
    Both,
}

/// Kinds of AMQP frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Performative {
    /// Open of a connection.
    Open,
    /// Begin of a session.
    Begin,
    /// Attach of a link.
    Attach,
    /// Flow of a session or link.
    Flow,
    /// One frame of a delivery.
    Transfer,
    /// Outcome of deliveries.
    Disposition,
    /// Detach of a link.
    Detach,
    /// End of a session.
    End,
    /// Close of a connection.
    Close,
    /// An empty frame, which is a sign of life.
    Empty,
}
