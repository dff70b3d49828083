//! When which row strikes: decided by a seed before the run begins, so that a failure can be
//! replayed.

use std::fmt;
use std::time::Duration;

use crate::random::Random;
use crate::rows::{self, Act, Ground};

/// Most faults at a time.
const LANES_MAX: u64 = 4;
/// Percentage of windows in which two rows strike that are known to meet.
const PAIRED: u64 = 20;
/// Lengths of windows in seconds of the matrix: half are below the first, one of a hundred is above
/// the second.
const MEDIAN: f64 = 2.0;
const RARELY: f64 = 90.0;
/// No window takes more than this part of the run, so that others have their turn.
const SHARE: u32 = 3;

/// A time in which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it begins, from the start of the run.
    pub at: Duration,
    /// When it ends.
    pub until: Duration,
    /// The row of the matrix.
    pub row: &'static str,
    /// What happens.
    pub acts: Vec<Act>,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = (self.at.as_secs_f64(), (self.until - self.at).as_secs_f64());
        write!(f, "{at:>7.2} s for {length:>6.2} s  {:<4}", self.row)?;
        for act in &self.acts {
            write!(f, " [{act}]")?;
        }
        Ok(())
    }
}

/// The windows of a run of this length, by their beginning; all of them end with it. Only these rows
/// strike, unless there are none.
#[must_use]
pub fn plan(seed: u64, length: Duration, ground: &Ground, only: &[String]) -> Vec<Window> {
    let random = Random::new(seed);
    let lanes = 1 + random.fork(0).below(LANES_MAX);
    let mut windows = Vec::new();
    for lane in 0..lanes {
        fill(&mut random.fork(1 + lane), length, ground, only, &mut windows);
    }
    windows.sort_by_key(|window| window.at);
    windows
}

/// One thing after the other.
fn fill(
    random: &mut Random,
    length: Duration,
    ground: &Ground,
    only: &[String],
    windows: &mut Vec<Window>,
) {
    let second = ground.second;
    let mut at = random.heavy(second, second * 5);
    while at < length {
        let open = random.heavy(second.mul_f64(MEDIAN), second.mul_f64(RARELY)).min(length / SHARE);
        let until = (at + open).min(length);
        let rows = match random.chance(PAIRED) && only.is_empty() {
            true => {
                let (one, other) = random.pick(rows::PAIRS);
                vec![one, other]
            }
            false => vec![weighted(random, only)],
        };
        for row in rows {
            let acts = rows::acts(row, random, ground);
            if !acts.is_empty() {
                windows.push(Window { at, until, row, acts });
            }
        }
        at = until + random.heavy(second, second * 10);
    }
}

/// A row by its weight.
fn weighted(random: &mut Random, only: &[String]) -> &'static str {
    let fits = |row: &str| only.is_empty() || only.iter().any(|name| name == row);
    let rows = || rows::ROWS.iter().filter(|(row, _)| fits(row));
    let mut at = random.below(rows().map(|(_, weight)| weight).sum());
    for (row, weight) in rows() {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return row,
        }
    }
    // No such row: nothing strikes.
    ""
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ground() -> Ground {
        Ground {
            second: Duration::from_secs(1),
            memory: true,
            tls: true,
            containers: vec!["client-0".to_owned()],
            partitions: 4,
            token_life: Duration::from_secs(3600),
        }
    }

    #[test]
    fn the_same_seed_is_the_same_schedule() {
        let length = Duration::from_secs(90);
        for seed in 0..20 {
            assert_eq!(plan(seed, length, &ground(), &[]), plan(seed, length, &ground(), &[]));
            assert_ne!(plan(seed, length, &ground(), &[]), plan(seed + 1, length, &ground(), &[]));
        }
    }

    #[test]
    fn faults_overlap_and_none_outlives_the_run() {
        let length = Duration::from_secs(90);
        let (mut most, mut rows) = (0, BTreeSet::new());
        for seed in 0..200 {
            let windows = plan(seed, length, &ground(), &[]);
            assert!(!windows.is_empty(), "seed {seed}");
            for window in &windows {
                assert!(window.at < window.until && window.until <= length, "seed {seed}");
                rows.insert(window.row);
                let open = |other: &&Window| other.at <= window.at && window.at < other.until;
                most = most.max(windows.iter().filter(open).count());
            }
        }
        assert!(most > LANES_MAX as usize, "pairs count twice: {most}");
        assert_eq!(rows.len(), rows::ROWS.len(), "{rows:?}");
    }
}
