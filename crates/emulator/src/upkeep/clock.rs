//! The clock of the emulated service: the only place that reads one.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock is ahead of the runtime's when the machine must have slept.
const SLEPT: Duration = Duration::from_secs(60);

/// Tells the time in milliseconds since 1970.
///
/// It starts with the wall clock and goes on with the runtime's, so that a test on a paused runtime
/// sees the service's hours pass with its own and nothing else. A wall clock that has got far ahead,
/// as on a machine that slept, is followed. On top comes what it was moved by.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The wall clock and the runtime's at the beginning.
    start: (i64, Instant),
    /// Milliseconds by which it was moved.
    moved: AtomicI64,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: (wall(), monotonic()), moved: AtomicI64::new(0) }
    }

    /// The present. Times before 1970 count as 0.
    pub(crate) fn now(&self) -> i64 {
        let (wall_then, then) = self.start;
        let elapsed = monotonic().saturating_duration_since(then);
        let present = wall_then.saturating_add(millis(elapsed));
        let wall = wall();
        let present = if wall.saturating_sub(present) > millis(SLEPT) { wall } else { present };
        present.saturating_add(self.moved.load(Ordering::Relaxed))
    }

    /// Moves the clock forward. Whoever waits for a time of the service has to be told.
    pub(crate) fn advance(&self, by: Duration) {
        let moved = self.moved.load(Ordering::Relaxed).saturating_add(millis(by));
        self.moved.store(moved, Ordering::Relaxed);
    }

    /// When the service's time will be `time`, unless it is moved before; the present when it has
    /// been. Whoever wakes then asks [`now`](Self::now) and, if need be, waits again.
    pub(crate) fn instant(&self, time: i64) -> Instant {
        let left = u64::try_from(time.saturating_sub(self.now())).unwrap_or(0);
        let present = monotonic();
        // Longer than anybody waits, and no overflow.
        let far = Duration::from_secs(100 * 365 * 24 * 3600);
        present.checked_add(Duration::from_millis(left).min(far)).unwrap_or(present)
    }
}

/// The runtime's clock, which a test may pause.
fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn wall() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the crate's clock module")]
    let now = SystemTime::now();
    millis(now.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn it_follows_the_runtime_and_can_be_moved() {
        let clock = Clock::start();
        let start = clock.now();
        tokio::time::advance(HOUR).await;
        let later = clock.now();
        assert!((start + 3_600_000..start + 3_660_000).contains(&later));
        clock.advance(HOUR);
        assert!(clock.now() >= later + 3_600_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_of_the_service_can_be_waited_for() {
        let clock = Clock::start();
        let due = clock.now() + 3_600_000;
        let wait = clock.instant(due) - monotonic();
        assert!(wait <= HOUR && wait > HOUR - Duration::from_secs(60), "{wait:?}");
        clock.advance(HOUR / 2);
        let wait = clock.instant(due) - monotonic();
        assert!(wait <= HOUR / 2, "a moved clock gets there sooner: {wait:?}");
        clock.advance(HOUR);
        assert!(clock.instant(due) <= monotonic(), "what is past is due");
        assert!(clock.instant(i64::MAX) > monotonic() + HOUR);
    }
}
