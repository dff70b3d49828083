//! When to renew a token: decided without a clock.

use std::time::Duration;

/// How long before its end a token should be renewed at the latest, when its life allows.
pub const MARGIN: Duration = Duration::from_secs(7 * 60);

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
