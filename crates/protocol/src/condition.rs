//! What went wrong, what it means, and what to do about it: a table.
//!
//! [`classify`] reads an error of the service, [`local`] a fault this side noticed by itself. Both
//! give a [`Verdict`]; neither waits, counts or decides how long to back off.

mod table;
mod text;

pub use table::{Row, TABLE, local, of_status};
pub use text::{busy_wait, named_owner_level};

use crate::names;

/// What to make of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// What it means.
    pub meaning: Meaning,
    /// Whether to try again.
    pub retry: Retry,
    /// What has to be rebuilt first.
    pub recovery: Recovery,
    /// What became of an event that was on its way.
    pub outcome: Outcome,
    /// Whether the first retry need not wait: the peer merely cleared something idle away.
    pub at_once: bool,
}

/// What an error means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The service throttles.
    ServerBusy,
    /// Somebody did not answer in time.
    Timeout,
    /// The service failed in itself.
    ServiceFault,
    /// The connection is gone.
    ConnectionLost,
    /// The session is gone.
    SessionLost,
    /// The link is gone.
    LinkLost,
    /// Another receiver, or another idempotent sender, took over.
    Stolen,
    /// The message is larger than the link takes.
    TooLarge,
    /// No token, an ended one, or one without the right.
    Unauthorized,
    /// A quota is used up, for example five receivers on one partition.
    QuotaExceeded,
    /// The hub, the group or the partition does not exist.
    NotFound,
    /// The hub or the publisher is switched off.
    Disabled,
    /// The service does not do this.
    NotAllowed,
    /// The service refused an argument.
    InvalidArgument,
    /// The start position does not exist.
    InvalidPosition,
    /// The partition moved inside the service.
    Moved,
    /// A precondition does not hold.
    PreconditionFailed,
    /// An idempotent sender lost its place.
    OutOfOrder,
    /// One side broke the protocol.
    Protocol,
    /// The service let go of the event without taking it.
    Released,
    /// The service refused the event without saying why.
    Rejected,
    /// No credit came in time.
    NoCredit,
    /// The peer's certificate, or its name, is wrong.
    Untrusted,
    /// The service said something this library does not know.
    Unknown,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Not at all.
    No,
    /// As often as the caller's policy says.
    Yes,
    /// Like `Yes`, but this many times at most.
    AtMost(u8),
    /// Like `AtMost`, each after 10 to 30 seconds.
    Slowly(u8),
    /// Once, with a token fetched anew.
    WithFreshToken,
}

/// How much has to be rebuilt before a retry. A later one includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recovery {
    /// Nothing: the link still stands.
    None,
    /// The link, on a session of its own.
    Link,
    /// The connection.
    Connection,
    /// Nothing helps.
    Fatal,
}

/// What became of an event that was on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The service does not have it.
    NotStored,
    /// The service may have it: sending it again may double it.
    Unknown,
}

/// Where an error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The outcome of one delivery: the link stands.
    Delivery,
    /// The answer to a management or put-token request.
    Answer,
    /// A link that was refused before anything was sent on it.
    Attach,
    /// A link that worked was detached.
    Detach,
    /// A session was ended.
    End,
    /// The connection was closed.
    Close,
}

/// Which end of a link the error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// We send.
    Sender,
    /// We receive.
    Receiver,
}

/// What to make of an error of the service.
///
/// The table gives the verdict of a condition; three things may change it: where the error came
/// from (a closed connection has to be rebuilt whatever the reason), which end of the link it
/// concerns, and what its text says where the condition alone is too coarse.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::condition::{classify, End, Meaning, Place, Recovery, Retry};
///
/// let verdict = classify("amqp:link:stolen", "", Place::Detach, End::Receiver);
/// assert_eq!(verdict.meaning, Meaning::Stolen);
/// assert_eq!(verdict.retry, Retry::No);
/// assert_eq!(verdict.recovery, Recovery::Fatal);
/// ```
#[must_use]
pub fn classify(condition: &str, description: &str, place: Place, end: End) -> Verdict {
    let row = TABLE.iter().find(|row| row.condition == condition);
    let mut verdict = row.map_or_else(|| table::unknown(condition), |row| row.verdict);
    refine(&mut verdict, condition, description, place, end);
    let gone = match place {
        Place::Delivery | Place::Answer => Recovery::None,
        Place::Attach | Place::Detach | Place::End => Recovery::Link,
        Place::Close => Recovery::Connection,
    };
    verdict.recovery = verdict.recovery.max(gone);
    verdict.outcome = match place {
        Place::Attach => Outcome::NotStored,
        Place::Delivery | Place::Answer => verdict.outcome,
        // What was sent and not yet answered went down with the link, except where the service
        // says that it looked at the event, or that there was nothing to look at.
        Place::Detach | Place::End | Place::Close
            if verdict.at_once || verdict.meaning == Meaning::TooLarge =>
        {
            verdict.outcome
        }
        Place::Detach | Place::End | Place::Close => Outcome::Unknown,
    };
    verdict
}

/// Looks at what the condition alone does not tell.
fn refine(verdict: &mut Verdict, condition: &str, description: &str, place: Place, end: End) {
    match condition {
        // Status 410: nobody took over, the partition is elsewhere by now.
        names::STOLEN if place == Place::Answer => *verdict = table::MOVED,
        names::NOT_FOUND if !text::is_missing_entity(description) => {
            verdict.retry = Retry::AtMost(2);
            verdict.recovery = Recovery::Link;
        }
        names::ARGUMENT_ERROR if text::is_position(description) => {
            verdict.meaning = Meaning::InvalidPosition;
        }
        names::ARGUMENT_OUT_OF_RANGE if text::is_missing_partition(description) => {
            verdict.meaning = Meaning::NotFound;
        }
        names::RESOURCE_LIMIT_EXCEEDED if end == End::Receiver => {
            verdict.retry = Retry::Slowly(5);
        }
        names::DETACH_FORCED if text::is_idle(description) => verdict.at_once = true,
        names::CONNECTION_FORCED if text::is_idle(description) => {
            verdict.at_once = true;
            verdict.outcome = Outcome::NotStored;
        }
        _ => {}
    }
}
