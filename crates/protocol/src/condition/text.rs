//! What can only be learnt from the text of an error.

use crate::types::OwnerLevel;
use std::time::Duration;

/// The longest wait that is taken from a text: five minutes. A text is not to be trusted further.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// How long a throttling service asks to be left alone ("wait 4 seconds"), when it says so.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let text = "Error code : 50002. Please wait 4 seconds and try again.";
/// let wait = eventhubs_protocol::condition::busy_wait(text);
/// assert_eq!(wait, Some(Duration::from_secs(4)));
/// ```
#[must_use]
pub fn busy_wait(description: &str) -> Option<Duration> {
    let mut rest = description;
    while let Some(at) = find(rest, "wait ") {
        rest = &rest[at + "wait ".len()..];
        let (seconds, unit) = number(rest);
        if let Some(seconds) = seconds
            && find(unit, "second").is_some_and(|at| unit[..at].trim().is_empty())
        {
            let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
            return Some(wait.min(MAX_WAIT));
        }
    }
    None
}

/// The owner level a refused or displaced receiver lost against, when the text names one.
///
/// # Examples
///
/// ```
/// let text = "Receiver 'nil' with a higher epoch '7' already exists.";
/// let level = eventhubs_protocol::condition::named_owner_level(text);
/// assert_eq!(level.map(|level| level.as_i64()), Some(7));
/// ```
#[must_use]
pub fn named_owner_level(description: &str) -> Option<OwnerLevel> {
    let mut rest = description;
    while let Some(at) = find(rest, "epoch ") {
        rest = &rest[at + "epoch ".len()..];
        let value = rest.strip_prefix("of ").unwrap_or(rest);
        if let Some(level) = value.strip_prefix('\'').and_then(|quoted| {
            let (level, after) = number(quoted);
            level.filter(|_| after.starts_with('\''))
        }) {
            return OwnerLevel::new(level).ok();
        }
    }
    None
}

/// Whether the entity of a *not found* is truly missing, not merely unreachable for the moment.
pub(super) fn is_missing_entity(description: &str) -> bool {
    find(description, "status-code: 404").is_some()
        || find(description, "the messaging entity")
            .is_some_and(|at| find(&description[at..], "could not be found").is_some())
}

/// Whether an argument error is about the start position.
pub(super) fn is_position(description: &str) -> bool {
    find(description, "the supplied offset").is_some()
        || find(description, "the supplied sequence number").is_some()
}

/// Whether an argument out of range is a partition that the hub does not have.
pub(super) fn is_missing_partition(description: &str) -> bool {
    find(description, "the specified partition is invalid").is_some()
}

/// Whether the peer merely cleared away something nobody used.
pub(super) fn is_idle(description: &str) -> bool {
    ["idletimerexpired", "idle link tracker", "inactive for more than", "any active links"]
        .iter()
        .any(|text| find(description, text).is_some())
}

/// Where `needle`, in lower case, first stands in `text`, whatever the letter case there.
fn find(text: &str, needle: &str) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    text.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

/// The decimal number a text starts with, and what follows it.
fn number(text: &str) -> (Option<i64>, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}
