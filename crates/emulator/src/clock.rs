//! The wall clock of the emulated service: the only place that reads one.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock;

impl Clock {
    /// The present. Times before 1970 count as 0.
    pub(crate) fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "this is the crate's clock module")]
        let now = SystemTime::now();
        let elapsed = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}
