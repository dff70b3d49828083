//! The clock around the part of a run that is timed.

use std::time::Instant;

/// Wall and processor time from the first event, so that connecting is not in the figures.
#[derive(Debug)]
pub(crate) struct Meter {
    began: Instant,
    processor: u64,
}

/// What a [`Meter`] read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) nanoseconds: u128,
    pub(crate) cpu_nanoseconds: u64,
}

impl Meter {
    #[expect(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), processor: processor_time() }
    }

    pub(crate) fn read(&self) -> Reading {
        Reading {
            nanoseconds: self.began.elapsed().as_nanos(),
            cpu_nanoseconds: processor_time().saturating_sub(self.processor),
        }
    }
}

/// Nanoseconds this process has run, user and system; 0 where the kernel does not say.
///
/// The file counts the main thread, and everything measured here runs on it.
fn processor_time() -> u64 {
    std::fs::read_to_string("/proc/self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
