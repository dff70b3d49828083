//! The only clock of this package: how long a step took.

use std::time::{Duration, Instant};

/// Runs since it was made.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "seconds per step are printed, never decided on")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.elapsed().as_secs()
    }
}
