//! What a handler fails with.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::notice::FailureCause;

/// What a handler returns when it is not done with what it was given: any error, and optionally what
/// is to follow.
///
/// Whatever is an error becomes one by `?`, and what follows is the host's
/// [`FailurePolicy`](crate::FailurePolicy). [`restart`](Self::restart), [`skip`](Self::skip) and
/// [`stop`](Self::stop) say it themselves. Like other types that any error becomes, this one is no
/// [`std::error::Error`] itself.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{HandlerError, Verdict};
///
/// fn parse(text: &str) -> Result<u64, HandlerError> {
///     // By the policy of the host.
///     let number: i64 = text.parse()?;
///     // This event never becomes better.
///     u64::try_from(number).map_err(HandlerError::skip)
/// }
///
/// assert_eq!(parse("4").unwrap(), 4);
/// assert_eq!(parse("four").unwrap_err().verdict(), None);
/// assert_eq!(parse("-4").unwrap_err().verdict(), Some(Verdict::Skip));
/// assert_eq!(HandlerError::stop("the disk is full").to_string(), "the disk is full");
/// ```
pub struct HandlerError {
    cause: Box<dyn StdError + Send + Sync>,
    verdict: Option<Verdict>,
}

/// What follows a failure.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{HandlerError, Verdict};
///
/// assert_eq!(HandlerError::restart("not now").verdict(), Some(Verdict::Restart));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The partition waits and goes on with the event that failed.
    Restart,
    /// The event is passed over and told; the next one follows. Of a batch, everything that the
    /// handler did not [mark](crate::Partition::mark).
    Skip,
    /// The host gives the partition back and does not take it again until it is started again.
    Stop,
}

impl HandlerError {
    /// Fails for a reason that is text, or an error in a box; what follows is the host's policy.
    #[must_use]
    pub fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), verdict: None }
    }

    /// Fails, and has the partition restart at this event whatever the policy.
    #[must_use]
    pub fn restart(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), verdict: Some(Verdict::Restart) }
    }

    /// Fails, and has this event passed over whatever the policy.
    #[must_use]
    pub fn skip(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), verdict: Some(Verdict::Skip) }
    }

    /// Fails, and has the partition stop whatever the policy.
    #[must_use]
    pub fn stop(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), verdict: Some(Verdict::Stop) }
    }

    /// What is to follow; `None` when that is left to the policy.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    pub(crate) fn into_cause(self) -> FailureCause {
        FailureCause::Error(Arc::from(self.cause))
    }

    /// The cause.
    #[must_use]
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.cause
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HandlerError {
    fn from(cause: E) -> Self {
        Self::new(cause)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("cause", &self.cause)
            .field("verdict", &self.verdict)
            .finish()
    }
}
