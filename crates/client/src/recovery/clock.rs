//! The only door to time and randomness in this crate. Time is the runtime's, so a paused runtime
//! pauses us.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// The runtime's idea of now.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits until `at`.
///
/// Cancel safe.
pub(crate) async fn wait_until(at: Instant) {
    tokio::time::sleep_until(at.into()).await;
}

/// What `future` gives, unless it takes longer than until `at`: then it is dropped.
pub(crate) async fn by<F: Future>(at: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(at.into(), future).await.ok()
}

/// Sixty-four random bits: good enough to spread clients over time, and for nothing else.
pub(crate) fn random() -> u64 {
    // Each state has keys of its own, which the standard library draws from the system.
    RandomState::new().hash_one(0_u8)
}

/// A timer for those who poll, which can be set again without allocating.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<tokio::time::Sleep>>,
    set: Option<Instant>,
}

impl Timer {
    pub(crate) fn new() -> Self {
        let sleep = tokio::time::sleep_until(tokio::time::Instant::now());
        Self { sleep: Box::pin(sleep), set: None }
    }

    /// Polls for `at`; without it, it is never ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, at: Option<Instant>) -> Poll<()> {
        let Some(at) = at else { return Poll::Pending };
        if self.set != Some(at) {
            self.set = Some(at);
            self.sleep.as_mut().reset(at.into());
        }
        let fired = self.sleep.as_mut().poll(cx);
        if fired.is_ready() {
            self.set = None;
        }
        fired
    }
}
