//! The error of a host and its kinds.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use eventhubs_client::Error;

use crate::error::StoreError;

/// What a [`HostError`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// An option, a connection string or an argument is wrong; nothing was done. Correct it.
    InvalidOptions,
    /// No handler is registered, so nothing would be done with the events.
    NoHandler,
    /// The host was started before and was not stopped since.
    AlreadyStarted,
    /// There is no tokio runtime here for the tasks of the host.
    NoRuntime,
    /// The host was closed, or is just being closed.
    Closed,
    /// The hub failed.
    Hub,
    /// A store of leases or checkpoints failed.
    Store,
    /// Something did not end in time and was left alone.
    Timeout,
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidOptions => "invalid options",
            Self::NoHandler => "no handler",
            Self::AlreadyStarted => "already started",
            Self::NoRuntime => "no runtime",
            Self::Closed => "closed",
            Self::Hub => "the hub failed",
            Self::Store => "the store failed",
            Self::Timeout => "not in time",
        })
    }
}

/// What went wrong with a host: a kind, what it was about, and the cause.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{HostErrorKind, HostOptions};
///
/// let error = HostOptions::default().with_prefetch(0).check().unwrap_err();
/// assert_eq!(error.kind(), HostErrorKind::InvalidOptions);
/// assert_eq!(error.to_string(), "invalid options: prefetch: 1 to 100 000 is allowed");
/// ```
#[derive(Clone, Debug)]
pub struct HostError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: HostErrorKind,
    detail: String,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Hub(Error),
    Store(StoreError),
}

impl HostError {
    pub(crate) fn new(kind: HostErrorKind, detail: impl Into<String>) -> Self {
        Self { inner: Arc::new(Inner { kind, detail: detail.into(), source: None }) }
    }

    /// What the error means.
    #[must_use]
    pub fn kind(&self) -> HostErrorKind {
        self.inner.kind
    }
}

impl From<Error> for HostError {
    /// Of kind [`Hub`](HostErrorKind::Hub), or
    /// [`InvalidOptions`](HostErrorKind::InvalidOptions) for an argument that the client refuses.
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            eventhubs_client::ErrorKind::InvalidInput => HostErrorKind::InvalidOptions,
            _ => HostErrorKind::Hub,
        };
        let detail = error.to_string();
        Self { inner: Arc::new(Inner { kind, detail, source: Some(Source::Hub(error)) }) }
    }
}

impl From<StoreError> for HostError {
    /// Of kind [`Store`](HostErrorKind::Store).
    fn from(error: StoreError) -> Self {
        let (kind, detail) = (HostErrorKind::Store, error.to_string());
        Self { inner: Arc::new(Inner { kind, detail, source: Some(Source::Store(error)) }) }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.kind, self.inner.detail)
    }
}

impl StdError for HostError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.inner.source.as_ref()? {
            Source::Hub(error) => Some(error),
            Source::Store(error) => Some(error),
        }
    }
}
