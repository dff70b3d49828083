//! What happens when a handler fails.

use std::time::Duration;

use super::{is_span, require};
use crate::host::HostError;

/// What happens when a handler returns an error, panics or takes too long. An error may say
/// otherwise for itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::FailurePolicy;
///
/// let (delay, delay_max) = (Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(FailurePolicy::default(), FailurePolicy::Restart { delay, delay_max });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The partition begins again at that event after a wait, which doubles while the same event
    /// fails. Nothing is passed over; other partitions go on. The default, with 1 s and 60 s.
    Restart {
        /// The first wait. 1 ms to 24 h.
        delay: Duration,
        /// The longest. The first wait to 24 h.
        delay_max: Duration,
    },
    /// The event counts as finished, and the host's events tell that it was skipped.
    Skip,
    /// The partition is given back, and this host does not take it again until it is started anew.
    Stop,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self::Restart { delay: Duration::from_secs(1), delay_max: Duration::from_secs(60) }
    }
}

impl FailurePolicy {
    pub(super) fn check(&self) -> Result<(), HostError> {
        match *self {
            Self::Restart { delay, delay_max } => {
                require(is_span(delay), "failures", "delay: 1 ms to 24 h is allowed")?;
                let is_range = delay <= delay_max && is_span(delay_max);
                require(is_range, "failures", "delay_max: the delay to 24 h is allowed")
            }
            Self::Skip | Self::Stop => Ok(()),
        }
    }
}
