//! The error of stores and its kinds.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What was being done with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// Making a value or a store object.
    Configure,
    /// Asking whether the store exists, making or deleting it.
    Provision,
    /// Listing leases.
    List,
    /// Making sure that a lease exists.
    Ensure,
    /// Acquiring a lease.
    Acquire,
    /// Renewing a lease.
    Renew,
    /// Updating a lease.
    Update,
    /// Releasing a lease.
    Release,
    /// Deleting a lease or a checkpoint.
    Delete,
    /// Announcing, listing or withdrawing the presence of hosts.
    Presence,
    /// Loading a checkpoint.
    Load,
    /// Taking a checkpoint over for a new owner.
    Fence,
    /// Storing a checkpoint.
    Store,
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "configuring",
            Self::Provision => "provisioning",
            Self::List => "listing",
            Self::Ensure => "ensuring",
            Self::Acquire => "acquiring",
            Self::Renew => "renewing",
            Self::Update => "updating",
            Self::Release => "releasing",
            Self::Delete => "deleting",
            Self::Presence => "presence in",
            Self::Load => "loading",
            Self::Fence => "taking over",
            Self::Store => "storing",
        })
    }
}

/// What a [`StoreError`] means, and so what to do about it.
///
/// A lost race is no error: calls that can lose say so in their results. What is here are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Others changed the same record again and again; nothing was changed. Try again.
    Contended,
    /// The store cannot be reached, or failed. What became of a write is unknown; try again.
    Unavailable,
    /// The store asks for less. Nothing was changed; try again after the time it asked for.
    Busy {
        /// That time, if it named one.
        after: Option<Duration>,
    },
    /// No answer in time. What became of a write is unknown; try again.
    Timeout,
    /// The store, or the record the call is about, does not exist: ensure it.
    NotFound,
    /// A record cannot be read. It is kept as it is; other partitions are not affected.
    Corrupt,
    /// The store refuses this program. A person must act.
    Unauthorized,
    /// An argument is wrong. Correct it.
    InvalidInput,
    /// The store was closed by this program.
    Closed,
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contended => "contended",
            Self::Unavailable => "unavailable",
            Self::Busy { .. } => "busy",
            Self::Timeout => "no answer in time",
            Self::NotFound => "not found",
            Self::Corrupt => "corrupt",
            Self::Unauthorized => "unauthorized",
            Self::InvalidInput => "invalid input",
            Self::Closed => "closed",
        })
    }
}

/// What went wrong in a store: a kind, what was being done, to what, and the cause.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{StoreError, StoreErrorKind, StoreOperation};
///
/// let cause = std::io::Error::other("connection reset");
/// let error = StoreError::new(
///     StoreErrorKind::Unavailable,
///     StoreOperation::Renew,
///     "partition 3",
///     "the database did not answer",
/// )
/// .with_source(cause);
/// assert!(error.is_retryable());
/// let text = "renewing partition 3: unavailable: the database did not answer";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Debug)]
pub struct StoreError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: StoreErrorKind,
    operation: StoreOperation,
    entity: String,
    detail: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error without a cause. `entity` and `detail` are shown to people: no secrets.
    #[must_use]
    pub fn new(
        kind: StoreErrorKind,
        operation: StoreOperation,
        entity: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let (entity, detail) = (entity.into(), detail.into());
        Self { inner: Arc::new(Inner { kind, operation, entity, detail, source: None }) }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let Inner { kind, operation, entity, detail, .. } = &*self.inner;
        let (entity, detail) = (entity.clone(), detail.clone());
        let source = Some(Arc::from(source.into()));
        Self {
            inner: Arc::new(Inner { kind: *kind, operation: *operation, entity, detail, source }),
        }
    }

    /// What the error means.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.inner.kind
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> StoreOperation {
        self.inner.operation
    }

    /// What it was done to: a partition, a store.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.inner.entity
    }

    /// Whether the same call may succeed when it is made again, with nothing changed by anybody.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            StoreErrorKind::Contended
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Busy { .. }
            | StoreErrorKind::Timeout => true,
            StoreErrorKind::NotFound
            | StoreErrorKind::Corrupt
            | StoreErrorKind::Unauthorized
            | StoreErrorKind::InvalidInput
            | StoreErrorKind::Closed => false,
        }
    }

    /// Whether a write that failed with this error may have taken effect all the same.
    #[must_use]
    pub fn may_have_been_written(&self) -> bool {
        matches!(self.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Timeout)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, entity, detail, .. } = &*self.inner;
        write!(f, "{operation} {entity}: {kind}: {detail}")
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
