//! The only door to time and randomness in this crate. Monotonic time is the runtime's, so a paused
//! runtime pauses us; the wall clock is read here and nowhere else.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, Sleep};

use crate::ownership::Moment;

/// The runtime's idea of now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What both clocks say.
pub(crate) fn moment() -> Moment {
    Moment { monotonic: since_origin(now()), wall: wall() }
}

/// The monotonic part of a [`Moment`] in nanoseconds: the cheapest look at a clock.
pub(crate) fn nanos() -> u64 {
    u64::try_from(since_origin(now()).as_nanos()).unwrap_or(u64::MAX)
}

/// The monotonic part of a [`Moment`] as an instant to wait for.
pub(crate) fn instant(monotonic: Duration) -> Instant {
    (origin() + monotonic).into()
}

fn since_origin(at: Instant) -> Duration {
    at.into_std().saturating_duration_since(origin())
}

/// Where [`Moment::monotonic`] counts from: long before any runtime of this process, because the
/// time of a paused one stays behind that of others.
fn origin() -> std::time::Instant {
    const BEFORE: Duration = Duration::from_secs(24 * 3600);
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let now = now().into_std();
        now.checked_sub(BEFORE).unwrap_or(now)
    })
}

#[cfg(not(test))]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the wall clock"
)]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// A wall clock that goes with the monotonic one, so that a paused runtime pauses it too, but for
/// what a test sets it on by.
#[cfg(test)]
fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + since_origin(now()) + JUMP.get()
}

#[cfg(test)]
thread_local! {
    static JUMP: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) };
}

/// Sets the wall clock of this thread on, as if the machine had been suspended.
#[cfg(test)]
pub(crate) fn jump(span: Duration) {
    JUMP.set(JUMP.get() + span);
}

/// Lets a while pass.
///
/// Cancel safe.
pub(crate) async fn pause(span: Duration) {
    pause_until(now() + span).await;
}

/// Waits until `at`.
///
/// Cancel safe.
pub(crate) async fn pause_until(at: Instant) {
    tokio::time::sleep_until(at).await;
}

/// A timer to poll, and to set again.
pub(crate) fn timer(at: Instant) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(at))
}

/// What `future` gives, unless it takes longer than `span`: then it is dropped.
pub(crate) async fn within<F: Future>(span: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(span, future).await.ok()
}

/// Sixty-four random bits: good enough to spread hosts over time, and for nothing else.
pub(crate) fn random() -> u64 {
    // Each state has keys of its own, which the standard library draws from the system.
    RandomState::new().hash_one(0_u8)
}
