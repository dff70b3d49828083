//! How often, after what waits and for how long a call tries again.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::recovery::backoff::Backoff;

/// How a call that failed is tried again.
///
/// What is tried again at all is not an option: an error says it by [`Error::is_retryable`], and
/// some kinds are tried fewer times than these options allow, such as a token that was refused,
/// which is fetched anew once. A service that asks for a rest is left alone for at least as long as
/// it says, and for 4 s, whatever the delays here are.
///
/// What is out of the range that a field states, or contradicts another field, is refused where the
/// options are handed in, by an error of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) that
/// names it.
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_client::{HubOptions, RetryOptions};
///
/// let quick = RetryOptions::default().with_retries_max(10).with_total(Duration::from_secs(15));
/// let options = HubOptions::default().with_retry(quick);
/// assert_eq!(options.retry.retries_max, Some(10));
/// assert_eq!(RetryOptions::none().retries_max, Some(0));
/// assert_eq!(RetryOptions::unlimited().retries_max, None);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryOptions {
    /// Tries after the first one. `Some(0)`: none; `None`: as many as the time allows. Default 3.
    pub retries_max: Option<u32>,
    /// The longest wait before the first retry; before each further one it is twice as long, up to
    /// `delay_max`. A wait is random between half of this and its bound, so that clients that failed
    /// together do not come back together. 1 ms to 24 h. Default 500 ms.
    pub delay_base: Duration,
    /// The longest such wait, not below `delay_base`. 1 ms to 24 h. Default 30 s.
    pub delay_max: Duration,
    /// Time for a whole call, from its start, with all tries and waits. A retry that could not begin
    /// in that time is not waited for, and a try that takes longer is given up. Not below `delay_base`
    /// where tries are to be made again. 1 ms to `Duration::MAX`. Default 120 s.
    pub total: Duration,
    /// Whether an event or batch that the service may have is sent again, so that it may be stored
    /// twice; otherwise such a send fails with [`Error::may_have_been_sent`]. Default true.
    pub retry_unknown: bool,
    /// Chooses the waits in place of `delay_base` and `delay_max`. Default `None`.
    pub policy: Option<Arc<dyn RetryPolicy>>,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            retries_max: Some(3),
            delay_base: Duration::from_millis(500),
            delay_max: Duration::from_secs(30),
            total: Duration::from_secs(120),
            retry_unknown: true,
            policy: None,
        }
    }
}

impl RetryOptions {
    /// One try and no other. It may still take up to `total`.
    #[must_use]
    pub fn none() -> Self {
        Self { retries_max: Some(0), ..Self::default() }
    }

    /// Any number of tries, for any time. What does not get better by trying again still fails.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { retries_max: None, total: Duration::MAX, ..Self::default() }
    }

    /// How long what could not be made rests before it is made again, whoever wants it. Without
    /// retries nothing does: each call is a try of its own.
    pub(crate) fn rest(&self) -> Option<Backoff> {
        let backoff = Backoff { base: self.delay_base, max: self.delay_max };
        (self.retries_max != Some(0)).then_some(backoff)
    }

    /// Allows this many tries after the first one.
    #[must_use]
    pub fn with_retries_max(mut self, retries: u32) -> Self {
        self.retries_max = Some(retries);
        self
    }

    /// Changes the first wait and the longest one.
    #[must_use]
    pub fn with_delays(mut self, base: Duration, max: Duration) -> Self {
        (self.delay_base, self.delay_max) = (base, max);
        self
    }

    /// Changes the time for a whole call.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// Chooses whether to send again what the service may have.
    #[must_use]
    pub fn with_retry_unknown(mut self, retry: bool) -> Self {
        self.retry_unknown = retry;
        self
    }

    /// Leaves the waits to `policy`.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn RetryPolicy>) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// Waits of one's own choice between the tries of a call.
///
/// It is asked only where another try is allowed: the error is one that may get better, there are
/// retries and time left. It has to answer at once.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use eventhubs_client::{Error, RetryOptions, RetryPolicy};
///
/// #[derive(Debug)]
/// struct EverySecond;
///
/// impl RetryPolicy for EverySecond {
///     fn delay(&self, _error: &Error, _retry: u32, elapsed: Duration) -> Option<Duration> {
///         (elapsed < Duration::from_secs(20)).then_some(Duration::from_secs(1))
///     }
/// }
///
/// let options = RetryOptions::default().with_policy(Arc::new(EverySecond));
/// ```
pub trait RetryPolicy: Debug + Send + Sync {
    /// How long to wait before retry number `retry`, counted from 1, or `None` to give up.
    /// `elapsed` is the time since the call began.
    fn delay(&self, error: &Error, retry: u32, elapsed: Duration) -> Option<Duration>;
}
