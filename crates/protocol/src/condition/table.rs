//! The rows themselves.

use super::Meaning as M;
use super::Outcome::{NotStored, Unknown};
use super::Recovery::{Connection, Fatal, Link, None as Keep};
use super::Retry::{AtMost, No, WithFreshToken, Yes};
use super::{Meaning, Outcome, Recovery, Retry, Verdict};
use crate::names;

/// A condition and what to make of it, before place and text are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The condition's symbol.
    pub condition: &'static str,
    /// What to make of it.
    pub verdict: Verdict,
}

const fn verdict(meaning: Meaning, retry: Retry, recovery: Recovery, outcome: Outcome) -> Verdict {
    Verdict { meaning, retry, recovery, outcome, at_once: false }
}

const fn row(
    condition: &'static str,
    meaning: Meaning,
    retry: Retry,
    recovery: Recovery,
    outcome: Outcome,
) -> Row {
    Row { condition, verdict: verdict(meaning, retry, recovery, outcome) }
}

/// The partition is served from elsewhere by now.
pub(super) const MOVED: Verdict = verdict(M::Moved, Yes, Link, Unknown);

/// Every condition this library knows. `docs/wire.md` says where each was seen.
pub static TABLE: &[Row] = &[
    row(names::SERVER_BUSY, M::ServerBusy, Yes, Keep, NotStored),
    row(names::SERVICE_TIMEOUT, M::Timeout, Yes, Keep, Unknown),
    row(names::OPERATION_CANCELLED, M::ServiceFault, Yes, Link, Unknown),
    row(names::INTERNAL_ERROR, M::ServiceFault, Yes, Link, Unknown),
    row(names::CONNECTION_FORCED, M::ConnectionLost, Yes, Connection, Unknown),
    row(names::FRAMING_ERROR, M::ConnectionLost, Yes, Connection, Unknown),
    row(names::CONNECTION_REDIRECT, M::ConnectionLost, Yes, Connection, Unknown),
    row(names::WINDOW_VIOLATION, M::SessionLost, Yes, Link, Unknown),
    row(names::ERRANT_LINK, M::SessionLost, Yes, Link, Unknown),
    row(names::HANDLE_IN_USE, M::SessionLost, Yes, Link, Unknown),
    row(names::UNATTACHED_HANDLE, M::SessionLost, Yes, Link, Unknown),
    row(names::DETACH_FORCED, M::LinkLost, Yes, Link, Unknown),
    row(names::TRANSFER_LIMIT_EXCEEDED, M::LinkLost, Yes, Link, Unknown),
    row(names::LINK_REDIRECT, M::LinkLost, Yes, Link, Unknown),
    row(names::STOLEN, M::Stolen, No, Fatal, NotStored),
    row(names::MESSAGE_SIZE_EXCEEDED, M::TooLarge, No, Fatal, NotStored),
    row(names::UNAUTHORIZED_ACCESS, M::Unauthorized, WithFreshToken, Link, NotStored),
    row(names::AUTH_FAILED, M::Unauthorized, WithFreshToken, Link, NotStored),
    row(names::RESOURCE_LIMIT_EXCEEDED, M::QuotaExceeded, AtMost(2), Link, NotStored),
    row(names::NOT_FOUND, M::NotFound, No, Fatal, NotStored),
    row(names::RESOURCE_DELETED, M::NotFound, No, Fatal, NotStored),
    row(names::ENTITY_DISABLED, M::Disabled, No, Fatal, NotStored),
    row(names::PUBLISHER_REVOKED, M::Disabled, No, Fatal, NotStored),
    row(names::NOT_ALLOWED, M::NotAllowed, No, Fatal, NotStored),
    row(names::NOT_IMPLEMENTED, M::NotAllowed, No, Fatal, NotStored),
    row(names::INVALID_FIELD, M::InvalidArgument, No, Fatal, NotStored),
    row(names::ARGUMENT_ERROR, M::InvalidArgument, No, Fatal, NotStored),
    row(names::ARGUMENT_OUT_OF_RANGE, M::InvalidArgument, No, Fatal, NotStored),
    row(names::MESSAGE_LOCK_LOST, M::InvalidArgument, No, Fatal, NotStored),
    row(names::INVALID_OFFSET, M::InvalidPosition, No, Fatal, NotStored),
    Row { condition: names::PARTITION_NOT_OWNED, verdict: MOVED },
    Row { condition: names::STORE_LOCK_LOST, verdict: MOVED },
    row(names::PRECONDITION_FAILED, M::PreconditionFailed, No, Fatal, NotStored),
    row(names::RESOURCE_LOCKED, M::PreconditionFailed, No, Fatal, NotStored),
    row(names::OUT_OF_ORDER_SEQUENCE, M::OutOfOrder, No, Fatal, NotStored),
    row(names::PRODUCER_EPOCH_STOLEN, M::Stolen, No, Fatal, NotStored),
    row(names::DECODE_ERROR, M::Protocol, AtMost(2), Connection, Unknown),
    row(names::FRAME_SIZE_TOO_SMALL, M::Protocol, AtMost(2), Connection, Unknown),
    row(names::ILLEGAL_STATE, M::Protocol, AtMost(2), Connection, Unknown),
];

/// The verdict on a condition that has no row.
pub(super) fn unknown(condition: &str) -> Verdict {
    if condition.starts_with(names::CONNECTION_PREFIX) {
        return verdict(M::ConnectionLost, Yes, Connection, Unknown);
    }
    if condition.starts_with(names::SESSION_PREFIX) {
        return verdict(M::SessionLost, Yes, Link, Unknown);
    }
    let recovery = if condition.starts_with(names::SERVICE_PREFIX) { Link } else { Connection };
    verdict(M::Unknown, AtMost(2), recovery, Unknown)
}

/// The condition a status code of a management or put-token answer stands for, used when the
/// answer itself names none. Codes without a meaning of their own count as an internal error.
///
/// # Examples
///
/// ```
/// assert_eq!(eventhubs_protocol::condition::of_status(401), "amqp:unauthorized-access");
/// ```
#[must_use]
pub const fn of_status(status: i64) -> &'static str {
    match status {
        400 => names::ARGUMENT_ERROR,
        401 => names::UNAUTHORIZED_ACCESS,
        403 => names::RESOURCE_LIMIT_EXCEEDED,
        404 => names::NOT_FOUND,
        408 | 504 => names::SERVICE_TIMEOUT,
        410 => names::STOLEN,
        429 | 503 => names::SERVER_BUSY,
        501 => names::NOT_IMPLEMENTED,
        _ => names::INTERNAL_ERROR,
    }
}

/// Verdicts on what this side notices by itself.
pub mod local {
    use super::{
        AtMost, Connection, Fatal, Keep, Link, M, No, NotStored, Unknown, Verdict, Yes, verdict,
    };

    /// The stream ended or failed, TLS included, or the peer fell silent for too long.
    pub const CONNECTION_LOST: Verdict = verdict(M::ConnectionLost, Yes, Connection, Unknown);
    /// The session ended without an error.
    pub const SESSION_LOST: Verdict = verdict(M::SessionLost, Yes, Link, Unknown);
    /// The link was detached without an error.
    pub const LINK_LOST: Verdict = verdict(M::LinkLost, Yes, Link, Unknown);
    /// No credit came within the time of one try: nothing was sent.
    pub const NO_CREDIT: Verdict = verdict(M::NoCredit, Yes, Link, NotStored);
    /// No outcome came within the time of one try. The link goes, so that a late outcome cannot be
    /// taken for that of the retry.
    pub const NO_OUTCOME: Verdict = verdict(M::Timeout, Yes, Link, Unknown);
    /// No answer came to a request within the time of one try.
    pub const NO_ANSWER: Verdict = verdict(M::Timeout, Yes, Link, Unknown);
    /// The outcome was *released* or *modified* (AMQP 1.0, 3.4.4 and 3.4.5).
    pub const RELEASED: Verdict = verdict(M::Released, Yes, Keep, NotStored);
    /// The outcome was *rejected* without an error (AMQP 1.0, 3.4.3).
    pub const REJECTED: Verdict = verdict(M::Rejected, AtMost(1), Keep, NotStored);
    /// A frame could not be decoded.
    pub const BAD_FRAME: Verdict = verdict(M::Protocol, AtMost(2), Connection, Unknown);
    /// The peer answered with a protocol header that is not ours.
    pub const BAD_PROTOCOL_HEADER: Verdict = verdict(M::Protocol, AtMost(1), Connection, NotStored);
    /// The certificate is not trusted, or is for another name.
    pub const UNTRUSTED: Verdict = verdict(M::Untrusted, No, Fatal, NotStored);
    /// An event is larger than the link takes; noticed before anything was sent.
    pub const TOO_LARGE: Verdict = verdict(M::TooLarge, No, Fatal, NotStored);
}
