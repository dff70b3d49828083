//! How long operations take against how long they may.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::clock::rest;
use crate::violation::{Findings, Violation};

/// An operation that has not ended after so many of its limits hangs, and is given up.
const HANGS: u32 = 3;
/// What is not worth a word.
const SLACK: Duration = Duration::from_millis(500);
/// How often it is looked whether this process gets its turns.
const LAG_EVERY: Duration = Duration::from_millis(20);

/// Operations of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kind {
    pub(crate) count: u64,
    pub(crate) longest: Duration,
    pub(crate) limit: Duration,
    /// Those that took longer than their limit.
    over: Vec<Duration>,
}

/// All operations of a run.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
    /// The longest time that this process did not get a turn when it was due, in microseconds.
    lag: AtomicU64,
}

/// Most overruns that are kept of one kind.
const OVER_MAX: usize = 100;

impl Measures {
    /// Measures an operation. `None` when it hangs.
    pub(crate) async fn measured<T>(
        &self,
        what: &'static str,
        limit: Duration,
        operation: impl Future<Output = T>,
    ) -> Option<T> {
        let start = Instant::now();
        let ended = tokio::time::timeout(limit * HANGS + SLACK, operation).await.ok();
        let took = start.elapsed();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(what).or_default();
        kind.count += 1;
        kind.longest = kind.longest.max(took);
        kind.limit = limit;
        if took > limit && kind.over.len() < OVER_MAX {
            kind.over.push(took);
        }
        ended
    }

    /// Notes for how long this process is kept from running, until it is dropped.
    pub(crate) async fn watch_lag(&self) {
        loop {
            let start = Instant::now();
            rest(LAG_EVERY).await;
            let late = start.elapsed().saturating_sub(LAG_EVERY).as_micros();
            self.lag.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    pub(crate) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag.load(Ordering::Relaxed))
    }

    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, Kind> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operations that ended late, by more than a busy machine explains.
    pub(crate) fn judge(&self, findings: &mut Findings) {
        let slack = SLACK + self.lag();
        for (operation, kind) in self.kinds() {
            for took in kind.over.iter().filter(|took| **took > kind.limit + slack) {
                let (took, limit) = (*took, kind.limit);
                findings.add(Violation::Late { operation, took, limit });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// What is said of an operation that takes so long.
    async fn judged(takes: Duration) -> (bool, u64) {
        let measures = Measures::default();
        let ended = measures.measured("work", LIMIT, rest(takes)).await.is_some();
        let mut findings = Findings::default();
        measures.judge(&mut findings);
        (ended, findings.count("late"))
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_ends_after_its_limit_is_late_and_one_that_hangs_is_given_up() {
        assert_eq!(judged(LIMIT).await, (true, 0));
        assert_eq!(judged(LIMIT + SLACK * 2).await, (true, 1));
        assert_eq!(judged(LIMIT * 100).await, (false, 1));
    }
}
