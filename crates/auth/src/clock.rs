//! The wall clock of this crate: the one place that reads it.

use eventhubs_protocol::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Tells the time of day, which the end of a token is measured against.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::Clock;
/// use eventhubs_protocol::Timestamp;
///
/// let stopped = Clock::from_fn(|| Timestamp::from_millis(1_000));
/// assert_eq!(stopped.now(), Timestamp::from_millis(1_000));
/// ```
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(system_now))
    }

    /// A clock that shows what a function says, for tests.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the clock")]
fn system_now() -> Timestamp {
    std::time::SystemTime::now().into()
}
