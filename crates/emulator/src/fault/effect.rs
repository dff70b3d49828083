//! What goes wrong.

use std::time::Duration;

use bytes::Bytes;

#[cfg(feature = "json")]
use super::json::{base64_bytes, millis};
use super::point::{Direction, Point};
use super::reason::Reason;
use crate::line::BadFrame;

/// What happens instead of what should.
///
/// Three families: *strikes* end or damage something and can happen nearly anywhere; *answers*
/// take the place of what the emulator would have done at their own points; *shapes* change the
/// bytes of connections for as long as the fault is there. Directions are the emulator's: `In` is
/// what the client sends.
///
/// In JSON a variant without content is a string, `"reset"`, and any other an object with one key,
/// `{"delay":5000}`. Durations are milliseconds, bytes are base64.
///
/// ```
/// use eventhubs_emulator::Effect;
///
/// let stolen = Effect::detach("amqp:link:stolen", "New receiver 'b' with higher epoch of '1'");
/// let busy = Effect::reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.");
/// assert_ne!(stolen, busy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Effect {
    /// Strike: the link is detached, for this reason or none. On a whole connection, every link
    /// within the scope.
    Detach(Option<Reason>),
    /// Strike: the session of the link is ended. On a whole connection, every session that has a
    /// link within the scope, or every session when the scope is not about links.
    End(Option<Reason>),
    /// Strike: the connection is closed.
    Close(Option<Reason>),
    /// Strike: the bytes end in good order, as after a shutdown of the socket.
    Eof,
    /// Strike: the connection is reset.
    Reset,
    /// Strike: nothing is read, nothing is written, or both, and the connection stays up. Ends
    /// when the fault is lifted; what was held back then flows.
    Silence(Direction),
    /// Strike: a frame that breaks a rule is written between two others.
    Write(BadFrame),
    /// Strike: half of the next frame goes out, then the bytes end.
    Truncate,
    /// Strike: the credit of a producer link is taken back with a drain and is not granted again
    /// for this long.
    WithdrawCredit(#[cfg_attr(feature = "json", serde(with = "millis"))] Duration),
    /// Strike: this many events more than a consumer link has credit for are sent on it, if the
    /// partition has them.
    Overrun(u32),
    /// Strike: the incoming window of the session is shut, and opened again after this long.
    ShutWindow(#[cfg_attr(feature = "json", serde(with = "millis"))] Duration),

    /// Answer: no, for this reason. An open is answered with open and close, a begin with begin
    /// and end, an attach with attach and detach; a connect is refused, a name not resolved.
    Refuse(Reason),
    /// Answer: the usual, this much later. Only what follows on the same link (session,
    /// connection) waits behind it. At [`Point::Frame`] on the way out: the frame and everything
    /// behind it.
    Delay(#[cfg_attr(feature = "json", serde(with = "millis"))] Duration),
    /// Answer: none, ever.
    Ignore,
    /// Answer to an attach: an attach with null source and target; the detach follows late or
    /// never.
    RefuseLate {
        /// What the detach will say.
        error: Reason,
        /// How much later the detach comes; `None` (`null`) is never.
        #[cfg_attr(feature = "json", serde(default, with = "millis::optional"))]
        after: Option<Duration>,
    },
    /// Answer to a request: this status.
    Answer {
        /// Status code.
        status: i32,
        /// Error condition, if there is one.
        #[cfg_attr(feature = "json", serde(default))]
        condition: Option<String>,
        /// Status description.
        #[cfg_attr(feature = "json", serde(default))]
        text: String,
    },
    /// Answer to a request: the usual, twice.
    Twice,
    /// Answer to a request: the right correlation, but neither status nor body that make sense.
    Malformed,
    /// Answer to a request: the usual without this property, or without this key of its body.
    Omit(String),
    /// Answer to a message: this outcome, and nothing is stored.
    Outcome(Outcome),
    /// Answer to a message: it is stored, and the sender is never told.
    LoseAcknowledgement,
    /// Answer to a message: it is stored, and the sender is told this much later.
    DelayAcknowledgement(#[cfg_attr(feature = "json", serde(with = "millis"))] Duration),
    /// Delivery: left out; the next event follows.
    Drop,
    /// Delivery: sent twice. At [`Point::Frame`]: the frame goes on twice.
    Duplicate,
    /// Delivery: these bytes in place of the message.
    Replace(#[cfg_attr(feature = "json", serde(with = "base64_bytes"))] Bytes),
    /// Delivery: begun, aborted, and sent anew.
    Abort,
    /// Delivery: begun and never finished; nothing more comes on the link.
    Unfinished,
    /// Attach of a producer: it is accepted and never gets credit.
    WithholdCredit,
    /// Attach of a producer: it gets this much credit at a time.
    TrickleCredit {
        /// Credit granted at a time, at least 1.
        each: u32,
        /// How long after the credit is used up the next comes.
        #[cfg_attr(feature = "json", serde(with = "millis"))]
        every: Duration,
    },
    /// Begin: transfer frames and deliveries of the session are numbered from here. Attach of a
    /// consumer: its delivery-count starts here.
    StartIds(u32),

    /// Shape: everything that goes out comes this much later, in order.
    Latency {
        /// The least delay.
        #[cfg_attr(feature = "json", serde(with = "millis"))]
        delay: Duration,
        /// The most that is added to it, at random.
        #[cfg_attr(feature = "json", serde(default, with = "millis"))]
        jitter: Duration,
    },
    /// Shape: at most this many bytes a second, each way; at least 1.
    Bandwidth(u64),
    /// Shape: at most this many bytes at a time, each way; at least 1.
    Chunks(usize),
    /// Shape: every frame that goes out has an extended header (DOFF above 2), which is legal.
    ExtendedHeaders,
    /// At [`Point::Frame`]: the frame is swallowed.
    Swallow,
}

/// What becomes of a message that is not stored (AMQP 1.0, 3.4).
///
/// ```
/// use eventhubs_emulator::{Effect, Fault, Outcome, Point};
///
/// let fault = Fault::at(Point::Publish, Effect::Outcome(Outcome::Released)).times(3);
/// assert!(fault.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case", deny_unknown_fields))]
pub enum Outcome {
    /// Rejected, for this reason or none.
    Rejected(Option<Reason>),
    /// Released.
    Released,
    /// Modified.
    Modified,
}

impl Effect {
    /// [`Refuse`](Self::Refuse) with a condition and a text.
    pub fn refuse(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Refuse(Reason::new(condition, text))
    }

    /// [`Detach`](Self::Detach) with a condition and a text.
    pub fn detach(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Detach(Some(Reason::new(condition, text)))
    }

    /// [`End`](Self::End) with a condition and a text.
    pub fn end(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::End(Some(Reason::new(condition, text)))
    }

    /// [`Close`](Self::Close) with a condition and a text.
    pub fn close(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Close(Some(Reason::new(condition, text)))
    }

    /// [`Outcome::Rejected`] with a condition and a text.
    pub fn reject(condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Outcome(Outcome::Rejected(Some(Reason::new(condition, text))))
    }

    /// [`Answer`](Self::Answer) with a status, a condition and a text.
    pub fn answer(status: i32, condition: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Answer { status, condition: Some(condition.into()), text: text.into() }
    }

    /// Whether it can happen at `point`.
    pub(crate) fn fits(&self, point: &Point) -> bool {
        use Point::{
            Accept, Attach, Begin, Connect, Deliver, Frame, Management, Now, Open, Publish,
            PutToken, Resolve,
        };
        let network = matches!(point, Resolve | Connect);
        let before_links = network || matches!(point, Accept | Open | Begin);
        let request = matches!(point, PutToken | Management);
        match self {
            Self::Eof | Self::Reset | Self::Silence(_) => !network,
            Self::Close(_) | Self::Truncate | Self::Write(_) => !network && *point != Accept,
            Self::End(_) => !network && !matches!(point, Accept | Open),
            Self::Detach(_) | Self::WithdrawCredit(_) | Self::Overrun(_) => !before_links,
            Self::ShutWindow(_) => !before_links,
            Self::Refuse(_) => network || matches!(point, Open | Begin | Attach),
            Self::Delay(_) => {
                let frame = matches!(point, Frame { direction: Direction::Out, .. });
                before_links || request || frame || matches!(point, Attach | Publish | Deliver)
            }
            Self::Ignore => before_links || request || matches!(point, Attach | Publish),
            Self::RefuseLate { .. } | Self::WithholdCredit | Self::TrickleCredit { .. } => {
                *point == Attach
            }
            Self::Answer { .. } | Self::Twice | Self::Malformed | Self::Omit(_) => request,
            Self::Outcome(_) | Self::LoseAcknowledgement | Self::DelayAcknowledgement(_) => {
                *point == Publish
            }
            Self::Duplicate => matches!(point, Deliver | Frame { .. }),
            Self::Drop | Self::Replace(_) | Self::Abort | Self::Unfinished => *point == Deliver,
            Self::StartIds(_) => matches!(point, Begin | Attach),
            Self::Latency { .. } | Self::Bandwidth(_) | Self::Chunks(_) | Self::ExtendedHeaders => {
                *point == Now
            }
            Self::Swallow => matches!(point, Frame { .. }),
        }
    }

    /// Whether an open, begin or attach is answered first when it strikes there.
    pub(crate) fn comes_after_the_answer(&self) -> bool {
        matches!(
            self,
            Self::Detach(_)
                | Self::End(_)
                | Self::Close(_)
                | Self::WithdrawCredit(_)
                | Self::Overrun(_)
                | Self::ShutWindow(_)
        )
    }

    /// Whether it goes on until the fault is lifted, also on connections that come later.
    pub(crate) fn is_shape(&self) -> bool {
        matches!(
            self,
            Self::Latency { .. } | Self::Bandwidth(_) | Self::Chunks(_) | Self::ExtendedHeaders
        )
    }

    /// Whether lifting the fault ends what it did.
    pub(crate) fn lasts(&self) -> bool {
        self.is_shape() || matches!(self, Self::Silence(_))
    }
}
