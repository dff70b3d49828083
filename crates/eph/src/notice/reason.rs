//! Why things ended, failed or were passed over.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a handler failed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::FailureCause;
///
/// let cause = FailureCause::TimedOut(Duration::from_secs(30));
/// assert_eq!(cause.to_string(), "it did not end within 30s");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// It returned this error.
    Error(Arc<dyn StdError + Send + Sync>),
    /// It panicked with this message.
    Panicked(String),
    /// It did not end within this time.
    TimedOut(Duration),
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "{error}"),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::TimedOut(after) => write!(f, "it did not end within {after:?}"),
        }
    }
}

/// What happens after a handler failed.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::FailureNext;
///
/// assert_eq!(FailureNext::Stopped.to_string(), "the partition is given back");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureNext {
    /// The partition begins again at that event.
    Restarting {
        /// After this time.
        after: Duration,
    },
    /// The event was passed over.
    Skipped,
    /// The partition is given back.
    Stopped,
}

impl fmt::Display for FailureNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarting { after } => write!(f, "again in {after:?}"),
            Self::Skipped => f.write_str("the event is passed over"),
            Self::Stopped => f.write_str("the partition is given back"),
        }
    }
}

/// Why events were passed over.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::SkipReason;
///
/// assert_eq!(SkipReason::Trimmed.to_string(), "retention had removed them");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The service left them out, twice.
    Gap,
    /// Retention had removed them.
    Trimmed,
    /// They are broken.
    Undecodable,
    /// A handler failed, and the policy or the error said to pass them over.
    Failed,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "the service left them out twice",
            Self::Trimmed => "retention had removed them",
            Self::Undecodable => "they are broken",
            Self::Failed => "a handler failed",
        })
    }
}
