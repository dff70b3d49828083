//! When checkpoints are written.

use std::time::Duration;

use super::{LONGEST, is_span, require};
use crate::host::HostError;

/// When the checkpoint of a partition is written. Whatever the policy, it is what all handlers have
/// finished without a gap; it never goes back; and before a partition is given back, what is not
/// written yet is.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::CheckpointPolicy;
///
/// let default = CheckpointPolicy::AfterEach { every: Duration::from_secs(5) };
/// assert_eq!(CheckpointPolicy::default(), default);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointPolicy {
    /// After each event that is finished, but at most once in this time: what is finished meanwhile
    /// goes into one write. 0 writes as fast as the store takes it; 24 h at most. The default, with
    /// 5 s.
    AfterEach {
        /// That time.
        every: Duration,
    },
    /// When a call of a batch handler, or of the slowest of several handlers, has ended.
    AfterBatch,
    /// After so many events or so much time, whichever comes first.
    Every {
        /// Events; 1 or more.
        events: u64,
        /// Time since the last write; 1 ms to 24 h.
        time: Duration,
    },
    /// When a handler asks for it, and nothing before a partition is given back: what a handler did
    /// not ask for comes again to the next owner.
    Manual,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self::AfterEach { every: Duration::from_secs(5) }
    }
}

impl CheckpointPolicy {
    pub(super) fn check(&self) -> Result<(), HostError> {
        match *self {
            Self::AfterEach { every } => {
                require(every <= LONGEST, "checkpoints", "every: 24 h at most is allowed")
            }
            Self::Every { events, time } => {
                require(events > 0, "checkpoints", "events: 1 or more is allowed")?;
                require(is_span(time), "checkpoints", "time: 1 ms to 24 h is allowed")
            }
            Self::AfterBatch | Self::Manual => Ok(()),
        }
    }
}
