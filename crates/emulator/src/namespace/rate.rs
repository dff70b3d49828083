//! How fast something happens, averaged over the last seconds.

/// Whole seconds that are averaged.
const SECONDS: i64 = 5;
const MILLIS: i64 = 1000;

/// Counts per second of a clock that may be moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    /// One more than are averaged: the present second is not over.
    counts: [u32; SECONDS as usize + 1],
    /// The second that was counted last.
    second: i64,
}

impl Rate {
    /// Counts `count` at `now`, in milliseconds since 1970.
    pub(crate) fn add(&mut self, count: usize, now: i64) {
        self.move_to(now.div_euclid(MILLIS));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let slot = self.slot(self.second);
        self.counts[slot] = self.counts[slot].saturating_add(count);
    }

    /// Average per second over the last 5 whole seconds before `now`.
    pub(crate) fn per_second(mut self, now: i64) -> f64 {
        let second = now.div_euclid(MILLIS);
        self.move_to(second);
        let present = self.slot(self.second);
        let past = self.counts.iter().enumerate().filter(|(slot, _)| *slot != present);
        past.map(|(_, count)| f64::from(*count)).sum::<f64>() / SECONDS as f64
    }

    /// Forgets the seconds that are too long ago, or all of them when the clock stepped back.
    fn move_to(&mut self, second: i64) {
        let steps = second.saturating_sub(self.second);
        match (0..=SECONDS).contains(&steps) {
            true => {
                for step in 1..=steps {
                    let slot = self.slot(self.second + step);
                    self.counts[slot] = 0;
                }
            }
            false => self.counts = Default::default(),
        }
        self.second = second;
    }

    fn slot(&self, second: i64) -> usize {
        usize::try_from(second.rem_euclid(SECONDS + 1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_are_averaged() {
        let mut rate = Rate::default();
        let start = 1_700_000_000_000;
        for second in 0..10 {
            rate.add(100, start + second * 1000 + 999);
        }
        assert_eq!(rate.per_second(start + 9_999), 100.0, "the present second is not over");
        assert_eq!(rate.per_second(start + 12_000), 60.0);
        assert_eq!(rate.per_second(start + 15_000), 0.0);
        assert_eq!(rate.per_second(start + i64::from(u32::MAX)), 0.0);
    }

    #[test]
    fn a_clock_that_steps_back_starts_anew() {
        let mut rate = Rate::default();
        rate.add(500, 100_000);
        rate.add(10, 50_000);
        assert_eq!(rate.per_second(51_000), 2.0);
        assert_eq!(rate.per_second(i64::MIN), 0.0);
    }
}
