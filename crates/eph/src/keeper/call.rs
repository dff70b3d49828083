//! Calls to a store: each a task of its own, with a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_protocol::PartitionId;
use tokio::task::{AbortHandle, JoinHandle};

use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};

/// Ends a task when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(AbortHandle);

impl Guard {
    pub(super) fn new(task: AbortHandle) -> Self {
        Self(task)
    }

    pub(super) fn end(&self) {
        self.0.abort();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// A call that was begun. A task of its own, because a store that blocks its thread must not keep
/// the keeper from renewing. Dropping it drops the call.
#[derive(Debug)]
pub(super) struct Call<T> {
    task: JoinHandle<Result<T, StoreError>>,
    about: About,
    _guard: Guard,
}

/// What a call is about, for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) operation: StoreOperation,
    pub(super) partition: PartitionId,
}

impl About {
    fn error(self, kind: StoreErrorKind, detail: &str) -> StoreError {
        StoreError::new(kind, self.operation, format!("partition {}", self.partition), detail)
    }

    /// No answer in time.
    pub(super) fn timeout(self) -> StoreError {
        self.error(StoreErrorKind::Timeout, "the deadline of the call passed")
    }

    /// Waits for an answer, but not for longer than this.
    pub(super) async fn within<T>(
        self,
        deadline: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        clock::within(deadline, call).await.unwrap_or_else(|| Err(self.timeout()))
    }
}

impl<T: Send + 'static> Call<T> {
    pub(super) fn begin(
        about: About,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(call);
        Self { about, _guard: Guard::new(task.abort_handle()), task }
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx).map(|joined| {
            // A store that panics is one that failed.
            joined.unwrap_or_else(|_| {
                Err(self.about.error(StoreErrorKind::Unavailable, "the call panicked"))
            })
        })
    }
}

/// Waits for a call if there is one, and takes it away when it ends; else for ever.
pub(super) async fn ended<F: Future + Unpin>(slot: &mut Option<F>) -> F::Output {
    match slot.as_mut() {
        Some(call) => {
            let output = call.await;
            *slot = None;
            output
        }
        None => std::future::pending().await,
    }
}
