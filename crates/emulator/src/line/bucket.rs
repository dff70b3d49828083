//! So many bytes a second.

use std::time::{Duration, Instant};

/// Bytes that may go at once after a pause, as a part of a second's worth.
const BURST: u64 = 50;
/// A byte in the bucket's own unit, so that no fraction of one is lost.
const BYTE: u128 = 1_000_000_000;

/// A token bucket: what is not used within a fiftieth of a second is lost.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Bytes a second, at least 1.
    rate: u64,
    /// What may go now, in billionths of a byte.
    level: u128,
    /// When `level` was right.
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: u64, now: Instant) -> Self {
        let mut bucket = Self { rate: rate.max(1), level: 0, at: now };
        bucket.level = bucket.burst() * BYTE;
        bucket
    }

    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    /// The most that the bucket holds, in bytes.
    fn burst(&self) -> u128 {
        u128::from((self.rate / BURST).max(1))
    }

    /// Bytes that may go at `now`.
    pub(crate) fn available(&mut self, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.at);
        // A rate is bytes a second, or billionths of a byte a nanosecond.
        let gained = elapsed.as_nanos().saturating_mul(self.rate.into());
        self.level = self.level.saturating_add(gained).min(self.burst() * BYTE);
        self.at = self.at.max(now);
        usize::try_from(self.level / BYTE).unwrap_or(usize::MAX)
    }

    /// Takes bytes that have gone; no more than were available.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.level = self.level.saturating_sub(bytes as u128 * BYTE);
    }

    /// When a good part of `wanted` bytes may go: all of them, or as many as the bucket holds.
    pub(crate) fn ready_at(&self, wanted: usize) -> Instant {
        let wanted = (wanted.max(1) as u128).min(self.burst()) * BYTE;
        let missing = wanted.saturating_sub(self.level);
        let nanos = missing.div_ceil(self.rate.into());
        self.at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    proptest! {
        /// Whoever asks whenever, and takes whatever part of it, never gets more than the rate
        /// allows, and whoever is always there gets nearly all of it.
        #[test]
        fn the_rate_is_kept(
            rate in 1..10_000_000_u64,
            asks in proptest::collection::vec((0..50_000_u64, 0..100_000_usize), 1..200),
        ) {
            let start = start();
            let (mut now, mut sent) = (start, 0_u128);
            let mut bucket = Bucket::new(rate, start);
            let burst = u128::from((rate / BURST).max(1));
            for (micros, wanted) in asks {
                now += Duration::from_micros(micros);
                let available = bucket.available(now);
                prop_assert!(available as u128 <= burst, "a pause is no credit");
                let taken = available.min(wanted);
                bucket.take(taken);
                sent += taken as u128;
                let most = burst + (now - start).as_nanos() * u128::from(rate) / BYTE;
                prop_assert!(sent <= most, "{sent} of {most}");
            }
        }

        #[test]
        fn it_says_when_to_come_back(rate in 1..10_000_000_u64, wanted in 1..1_000_000_usize) {
            let start = start();
            let mut bucket = Bucket::new(rate, start);
            let (mut now, mut left) = (start, wanted);
            while left > 0 {
                let taken = bucket.available(now).min(left);
                bucket.take(taken);
                left -= taken;
                let next = bucket.ready_at(left);
                prop_assert!(left == 0 || next > now, "it has to wait, and not for ever");
                now = now.max(next);
            }
            let fair = Duration::from_secs_f64(wanted as f64 / rate as f64);
            prop_assert!(now - start <= fair + Duration::from_secs_f64(1.0 / rate as f64));
            prop_assert!(now - start + Duration::from_millis(21) + Duration::from_secs_f64(1.0 / rate as f64) >= fair);
        }
    }
}
