//! How much may come in per second, and how long to wait when it was more.

/// A limit on what a namespace takes in, as throughput units set it.
///
/// A publication is admitted as long as the last second's share is not used up, whatever its own
/// size; what it took too much has to be waited for. Refusals say how many whole seconds that is.
///
/// ```
/// use eventhubs_emulator::{Config, Throughput};
///
/// let config = Config::default().with_throughput(Throughput::units(1).per_hub());
/// assert_eq!(config.throughput.unwrap().events_per_second, 1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Throughput {
    /// Bytes of messages taken in per second, as they came over the wire.
    pub bytes_per_second: u64,
    /// Events taken in per second.
    pub events_per_second: u64,
    /// Requests for runtime information answered per second; 50 on the service.
    pub requests_per_second: u64,
    /// Whether each hub has the whole share, instead of all hubs together.
    pub per_hub: bool,
}

/// Requests for runtime information that the service answers per second.
const REQUESTS: u64 = 50;

impl Throughput {
    /// What `units` throughput units allow on the service: 1 000 000 bytes or 1 000 events per
    /// second each. No units count as one.
    pub fn units(units: u32) -> Self {
        let units = u64::from(units.max(1));
        Self::new(units * 1_000_000, units * 1000)
    }

    /// A limit in bytes and events per second; 0 counts as 1.
    pub fn new(bytes_per_second: u64, events_per_second: u64) -> Self {
        Self { bytes_per_second, events_per_second, requests_per_second: REQUESTS, per_hub: false }
    }

    /// Gives each hub the whole share.
    #[must_use]
    pub fn per_hub(mut self) -> Self {
        self.per_hub = true;
        self
    }

    /// Sets the requests for runtime information per second; 0 counts as 1.
    #[must_use]
    pub fn with_requests(mut self, per_second: u64) -> Self {
        self.requests_per_second = per_second;
        self
    }
}

/// One limited flow: a bucket that holds a second's share and may be overdrawn by one taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    per_second: i64,
    /// In thousandths, so that every millisecond adds a whole number.
    level: i64,
    /// When it was last filled, in milliseconds.
    filled: i64,
}

/// Most that a bucket counts, in thousandths: far from the ends of the integer.
const MOST: i64 = i64::MAX / 4;

impl Bucket {
    pub(crate) fn new(per_second: u64, now: i64) -> Self {
        let per_second = i64::try_from(per_second).unwrap_or(i64::MAX).clamp(1, MOST / 1000);
        Self { per_second, level: per_second * 1000, filled: now }
    }

    /// Milliseconds until there is at least one whole thing; 0 when there is at once.
    pub(crate) fn wait(&mut self, now: i64) -> i64 {
        self.wait_for(1000, now)
    }

    /// The same for `least` thousandths.
    fn wait_for(&mut self, least: i64, now: i64) -> i64 {
        // A clock that was set back adds nothing.
        let elapsed = now.saturating_sub(self.filled).max(0);
        self.filled = now;
        let share = self.per_second * 1000;
        self.level = self.level.saturating_add(elapsed.saturating_mul(self.per_second)).min(share);
        let missing = (least - self.level).max(0);
        missing / self.per_second + i64::from(missing % self.per_second > 0)
    }

    /// Takes `amount`, more than there is if need be.
    pub(crate) fn take(&mut self, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(1000);
        self.level = self.level.saturating_sub(amount).max(-MOST);
    }
}

/// The flows of bytes and events of a namespace or hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meter {
    bytes: Bucket,
    events: Bucket,
}

impl Meter {
    pub(crate) fn new(throughput: &Throughput, now: i64) -> Self {
        Self {
            bytes: Bucket::new(throughput.bytes_per_second, now),
            events: Bucket::new(throughput.events_per_second, now),
        }
    }

    /// Lets a publication in, or tells the whole seconds after which the next one will be.
    pub(crate) fn admit(&mut self, bytes: u64, events: u64, now: i64) -> Result<(), u64> {
        // Anything at all is enough: a publication is as large as it is.
        let wait = self.bytes.wait_for(1, now).max(self.events.wait_for(1, now));
        if wait > 0 {
            return Err(seconds(wait));
        }
        self.bytes.take(bytes);
        self.events.take(events);
        Ok(())
    }
}

/// Whole seconds, at least one: what a refusal states.
pub(crate) fn seconds(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_too_much_has_to_be_waited_for() {
        let mut meter = Meter::new(&Throughput::new(1000, 10), 0);
        assert_eq!(meter.admit(900, 1, 0), Ok(()));
        assert_eq!(meter.admit(4100, 1, 0), Ok(()), "there was room, so it is taken whole");
        assert_eq!(meter.admit(1, 1, 0), Err(5), "4 s of bytes, and a bit");
        assert_eq!(meter.admit(1, 1, 3_500), Err(1));
        assert_eq!(meter.admit(1, 1, 4_000), Err(1), "empty is not yet room");
        assert_eq!(meter.admit(1, 1, 4_001), Ok(()));
    }

    #[test]
    fn events_count_as_well_as_bytes() {
        let mut meter = Meter::new(&Throughput::new(1_000_000, 10), 0);
        assert_eq!(meter.admit(1, 35, 0), Ok(()));
        assert_eq!(meter.admit(1, 1, 0), Err(3));
        assert_eq!(meter.admit(1, 1, 2_501), Ok(()));
    }

    #[test]
    fn single_things_are_not_lent() {
        let mut bucket = Bucket::new(2, 0);
        for (now, wait) in [(0, 0), (0, 0), (0, 500), (1, 499), (500, 0), (500, 500)] {
            assert_eq!(bucket.wait(now), wait, "at {now}");
            if wait == 0 {
                bucket.take(1);
            }
        }
    }

    #[test]
    fn nothing_is_saved_up() {
        let mut meter = Meter::new(&Throughput::new(1000, 1000), 0);
        assert_eq!(meter.admit(1000, 1, 3_600_000), Ok(()));
        assert_eq!(meter.admit(1, 1, 3_600_000), Err(1), "an hour of rest is worth one second");
    }

    #[test]
    fn a_unit_is_what_the_service_sells() {
        let units = Throughput::units(2);
        assert_eq!((units.bytes_per_second, units.events_per_second), (2_000_000, 2000));
        assert_eq!(units.requests_per_second, 50);
        assert!(!units.per_hub && units.per_hub().per_hub);
        assert_eq!(units.with_requests(7).requests_per_second, 7);
        assert_eq!(Throughput::units(0), Throughput::units(1));
    }

    proptest! {
        /// Whoever waits as long as it was told gets in, at any rate, size and time.
        #[test]
        fn a_stated_wait_is_enough(
            rate: u64,
            sizes in proptest::collection::vec(any::<u32>(), 1..20),
            start in 0..i64::MAX / 8,
        ) {
            let mut meter = Meter::new(&Throughput::new(rate % 10_000, rate), start);
            let mut now = start;
            for size in sizes {
                if let Err(seconds) = meter.admit(u64::from(size), 1, now) {
                    now += i64::try_from(seconds).unwrap() * 1000;
                    prop_assert_eq!(meter.admit(u64::from(size), 1, now), Ok(()));
                }
            }
        }

        #[test]
        fn no_clock_and_no_size_overflows(
            rate: u64,
            takes in proptest::collection::vec((any::<u64>(), any::<i64>()), 1..20),
        ) {
            let mut meter = Meter::new(&Throughput::new(rate, !rate), 0);
            for (size, now) in takes {
                let _ = meter.admit(size, size, now);
            }
        }
    }
}
