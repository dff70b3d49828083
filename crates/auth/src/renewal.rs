//! When to renew a token, and when to ask again after a failure: decided without a clock.

use std::time::Duration;

/// How long before its end a token should be renewed at the latest, when its life allows.
pub const MARGIN: Duration = Duration::from_secs(7 * 60);
/// How long a provider that failed once is left alone, at most; twice as long with every further
/// failure in a row.
pub const FAILURE_KEPT: Duration = Duration::from_secs(2);
/// How long a provider that goes on failing is left alone, at most.
pub const FAILURE_KEPT_MAX: Duration = Duration::from_secs(60);

/// How long after it was made a token is to be renewed.
///
/// Half its life, or 7 minutes before its end where that is earlier, but never before a quarter of
/// its life is over: a token of a few minutes is not renewed without end.
/// `spread` takes off up to a twentieth (0 nothing, 255 all of it), so that many processes that
/// started together do not come back together.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::renewal;
/// use std::time::Duration;
///
/// let minutes = |n: u64| Duration::from_secs(n * 60);
/// assert_eq!(renewal::after(minutes(60), 0), minutes(30));
/// assert_eq!(renewal::after(minutes(10), 0), minutes(3));
/// assert_eq!(renewal::after(minutes(4), 0), minutes(1));
/// ```
#[must_use]
pub fn after(life: Duration, spread: u8) -> Duration {
    let due = (life / 2).min(life.saturating_sub(MARGIN)).max(life / 4);
    due - due / 20 * u32::from(spread) / u32::from(u8::MAX)
}

/// How long a provider that failed `failures` times in a row is left alone.
///
/// [`FAILURE_KEPT`], twice as long with every failure after the first, up to [`FAILURE_KEPT_MAX`].
/// `spread` takes off up to half of it (0 nothing, 255 all of that), so that many processes whose
/// provider failed together do not come back together.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::renewal;
/// use std::time::Duration;
///
/// let pauses: Vec<u64> = (1..8).map(|n| renewal::back_off(n, 0).as_secs()).collect();
/// assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
/// assert_eq!(renewal::back_off(1, 255), Duration::from_secs(1));
/// ```
#[must_use]
pub fn back_off(failures: u32, spread: u8) -> Duration {
    let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
    let pause = FAILURE_KEPT.saturating_mul(1 << doublings).min(FAILURE_KEPT_MAX);
    pause - pause / 2 * u32::from(spread) / u32::from(u8::MAX)
}

/// As [`back_off`], while a token still serves for `left`: no more than half of that, so that there
/// are tries before it ends, but no less than half of [`FAILURE_KEPT`].
///
/// # Examples
///
/// ```
/// use eventhubs_auth::renewal;
/// use std::time::Duration;
///
/// let seconds = Duration::from_secs;
/// assert_eq!(renewal::back_off_serving(9, seconds(1800), 0), seconds(60));
/// assert_eq!(renewal::back_off_serving(9, seconds(40), 0), seconds(20));
/// assert_eq!(renewal::back_off_serving(9, seconds(0), 0), seconds(1));
/// ```
#[must_use]
pub fn back_off_serving(failures: u32, left: Duration, spread: u8) -> Duration {
    back_off(failures, spread).min((left / 2).max(FAILURE_KEPT / 2))
}
