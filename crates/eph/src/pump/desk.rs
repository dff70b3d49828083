//! What stands behind the partition that a handler is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_protocol::{OwnerLevel, ReceivedEvent};
use tokio::sync::watch;

use crate::handler::HandlerId;
use crate::partition::{CheckpointError, CloseReason, Committed, Desk, Place};

use super::ledger::Ledger;
use super::post::Post;

/// What one handler has of one ownership.
pub(crate) struct HandlerDesk<P> {
    pub(crate) id: HandlerId,
    pub(crate) common: Arc<Common<P>>,
    /// Whether the handler was unregistered.
    pub(crate) has_left: watch::Sender<bool>,
}

/// What all handlers of one ownership share.
pub(crate) struct Common<P> {
    pub(crate) place: Place,
    pub(crate) post: Arc<P>,
    /// How long handlers may take to end.
    pub(crate) grace: Duration,
    ledger: Mutex<Ledger>,
}

impl<P: Post> Common<P> {
    pub(crate) fn new(place: Place, post: Arc<P>, grace: Duration, ledger: Ledger) -> Self {
        Self { place, post, grace, ledger: Mutex::new(ledger) }
    }

    /// Each change of it is one call, which a panic cannot leave half done.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the ownership how far everything counts; how many events more that are.
    pub(crate) fn settle(&self) -> Option<(ReceivedEvent, u64)> {
        let mut ledger = self.ledger();
        let (event, events) = ledger.settle()?;
        // Under the lock, so that nobody overtakes it with less.
        self.post.finished(&event, events);
        Some((event, events))
    }
}

#[async_trait]
impl<P: Post> Desk for HandlerDesk<P> {
    fn place(&self) -> &Place {
        &self.common.place
    }

    fn owner_level(&self) -> OwnerLevel {
        self.common.post.owner_level()
    }

    fn close_reason(&self) -> Option<CloseReason> {
        let reason = self.common.post.close_reason();
        reason.or_else(|| self.has_left.borrow().then_some(CloseReason::Unregistered))
    }

    async fn closing(&self) -> CloseReason {
        let mut has_left = self.has_left.subscribe();
        tokio::select! {
            biased;
            reason = self.common.post.closing() => reason,
            Ok(_) = has_left.wait_for(|left| *left) => CloseReason::Unregistered,
        }
    }

    fn mark(&self, event: &ReceivedEvent) {
        self.common.ledger().mark(self.id, event);
    }

    async fn checkpoint(&self) -> Result<Committed, CheckpointError> {
        self.common.settle();
        self.common.post.checkpoint().await
    }
}
