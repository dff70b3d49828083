//! Numbers from a seed: the same seed is the same run.

use std::time::Duration;

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins at a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source, whose numbers have nothing to do with those of this one or of other names.
    #[must_use]
    pub fn fork(&self, name: u64) -> Self {
        let mut other = Self(self.0 ^ name.wrapping_mul(0xd6e8_feb8_6659_fd93));
        other.draw();
        Self(other.draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        match limit {
            0 => 0,
            limit => self.draw() % limit,
        }
    }

    /// Whether something happens that does in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    ///
    /// # Panics
    ///
    /// When there is nothing to choose from.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    /// A number from 0 up to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A time with a heavy tail: half of them are below `median`, one of a hundred is above
    /// `rarely` (log-normal).
    pub fn heavy(&mut self, median: Duration, rarely: Duration) -> Duration {
        /// The standard normal distribution is above this once in a hundred times.
        const HUNDREDTH: f64 = 2.326;
        let (median, rarely) = (median.as_secs_f64().max(1e-6), rarely.as_secs_f64());
        let spread = (rarely / median).max(1.0).ln() / HUNDREDTH;
        let (one, other) = (1.0 - self.unit(), self.unit());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        Duration::from_secs_f64((median * (spread * normal).exp()).min(rarely * 4.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_times_are_below_the_median_and_few_above_the_rare_one() {
        let mut random = Random::new(7);
        let (median, rarely) = (Duration::from_secs(2), Duration::from_secs(90));
        let times: Vec<_> = (0..10_000).map(|_| random.heavy(median, rarely)).collect();
        let below = times.iter().filter(|time| **time < median).count();
        let above = times.iter().filter(|time| **time > rarely).count();
        assert!((4_800..5_200).contains(&below), "{below}");
        assert!((50..200).contains(&above), "{above}");
    }

    #[test]
    fn forks_differ_and_are_the_same_each_time() {
        let random = Random::new(1);
        assert_eq!(random.fork(1).draw(), random.fork(1).draw());
        assert_ne!(random.fork(1).draw(), random.fork(2).draw());
    }
}
