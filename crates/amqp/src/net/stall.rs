//! Whether the peer takes what is written. Pure.

use std::time::{Duration, Instant};

use crate::engine::later;

/// Bytes that a stream has to take before they count as progress, unless it has passed on all there
/// is. A stream may keep some before it asks the peer to take them: TLS keeps up to 64 KiB, so a few
/// small writes would hide for hours that nothing leaves. A peer that takes a byte now and then is as
/// good as one that takes none.
const PROGRESS_BYTES: usize = 80 << 10;

/// How long the peer has been too slow.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    since: Option<Instant>,
    taken: usize,
}

impl Stall {
    /// The stream takes no more, or keeps what it took.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The stream took `count` bytes; the peer may have them or not.
    pub(crate) fn took(&mut self, count: usize) {
        if self.since.is_some() {
            self.taken += count;
            if self.taken >= PROGRESS_BYTES {
                self.ends();
            }
        }
    }

    /// Nothing is left to write, or nobody will.
    pub(crate) fn ends(&mut self) {
        *self = Self::default();
    }

    /// When the peer has been too slow for `timeout`.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.since.map(|since| later(since, timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_ends_by_enough_bytes_or_by_none_left() {
        let timeout = Duration::from_secs(30);
        let start = tokio::time::Instant::now().into_std();
        let (second, until) = (Duration::from_secs(1), Some(start + timeout));
        let mut stall = Stall::default();
        stall.took(PROGRESS_BYTES);
        assert_eq!(stall.deadline(timeout), None, "nobody waits");
        stall.begins(start);
        stall.took(1);
        stall.begins(start + second);
        stall.took(PROGRESS_BYTES - 2);
        assert_eq!(stall.deadline(timeout), until, "a drip is no progress");
        stall.took(1);
        assert_eq!(stall.deadline(timeout), None);
        stall.begins(start + second);
        stall.took(PROGRESS_BYTES - 1);
        assert_eq!(stall.deadline(timeout), Some(start + second + timeout), "counted anew");
        stall.ends();
        assert_eq!(stall.deadline(timeout), None);
    }
}
