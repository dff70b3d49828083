//! The only door to time in this package: the runtime's clock, so that a test can pause a run.

use std::time::Duration;

use tokio::time::Instant;

/// Time since the beginning of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Waits until a moment of the run.
    pub(crate) async fn reach(&self, at: Duration) {
        rest(at.saturating_sub(self.elapsed())).await;
    }
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the one place of this package that waits")]
pub(crate) async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
}
