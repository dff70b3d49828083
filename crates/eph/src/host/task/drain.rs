//! The way out of a host: everything is given back, or given up in time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use super::Task;
use super::work::Work;
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::host::error::{HostError, HostErrorKind};
use crate::host::shared::Shared;
use crate::lease::Lease;
use crate::ownership::Timing;
use crate::partition::CloseReason;

/// Time for receivers to detach, beside the calls to the store.
const DETACH: Duration = Duration::from_secs(10);

/// Time for the hub to close: what its sends and its connection may take by default, and some.
const HUB: Duration = Duration::from_secs(15);

/// How long a host takes to give everything back at most: a claim that is on its way ends, or
/// handlers do; a checkpoint is written; the lease is released; the host withdraws.
pub(crate) fn drain_max(timing: Timing) -> Duration {
    timing.grace + 3 * timing.call() + DETACH
}

/// How the way out stands.
#[derive(Debug)]
pub(super) struct Drain {
    /// Releases of leases that were won too late.
    releasing: usize,
    /// Withdrawals on their way.
    withdrawing: usize,
    /// Whether the host may be announced after it was withdrawn.
    is_announcing: bool,
    is_over: bool,
}

impl Task {
    pub(super) fn begin_drain(&mut self) {
        self.drain = Some(Drain {
            releasing: 0,
            withdrawing: 0,
            is_announcing: self.is_looking,
            is_over: false,
        });
        self.release_all(CloseReason::Stopping);
        self.withdraw();
        let limit = drain_max(self.shared.options.timing);
        self.works.push(Box::pin(async move {
            clock::pause(limit).await;
            Work::DrainOver
        }));
    }

    fn withdraw(&mut self) {
        if let Some(drain) = &mut self.drain {
            drain.withdrawing += 1;
        }
        let shared = Arc::clone(&self.shared);
        self.works.push(Box::pin(async move {
            let withdrawn = shared.leaser.withdraw(&shared.owner);
            if let Some(Err(error)) = clock::within(shared.options.timing.call(), withdrawn).await {
                tracing::debug!(%error, "not withdrawn: others wait until the presence lapses");
            }
            Work::Withdrawn
        }));
    }

    /// Gives back what was won too late to be processed.
    pub(super) fn release(&mut self, lease: Lease) {
        if let Some(drain) = &mut self.drain {
            drain.releasing += 1;
        }
        let shared = Arc::clone(&self.shared);
        self.works.push(Box::pin(async move {
            let release = shared.leaser.release(&lease);
            let released = clock::within(shared.options.timing.call(), release).await;
            if let Some(Err(error)) = released {
                let partition = lease.partition;
                tracing::debug!(%partition, %error, "not released: others wait for the lease");
            }
            Work::Released
        }));
    }

    /// The announcement of the last look is through, whatever became of it.
    pub(super) fn withdraw_once_more(&mut self) {
        if self.drain.as_mut().is_some_and(|drain| std::mem::take(&mut drain.is_announcing)) {
            self.withdraw();
        }
    }

    pub(super) fn drained(&mut self, work: &Work) {
        let Some(drain) = &mut self.drain else { return };
        match work {
            Work::Released => drain.releasing -= 1,
            Work::Withdrawn => drain.withdrawing -= 1,
            Work::DrainOver => drain.is_over = true,
            _ => {}
        }
    }

    pub(super) fn is_drained(&self, drain: &Drain) -> bool {
        let is_empty = self.board.facts(|facts| facts.keepers.is_empty());
        let is_done = is_empty
            && self.claiming.is_empty()
            && drain.releasing == 0
            && drain.withdrawing == 0
            && !self.is_looking;
        is_done || drain.is_over
    }

    /// Whether the task ends.
    pub(super) async fn end_drain(&mut self) -> bool {
        let left = self.board.facts(|facts| std::mem::take(&mut facts.keepers));
        let left: Vec<_> = left.into_keys().chain(self.claiming.iter().copied()).collect();
        let remainder = (!left.is_empty()).then(|| {
            let detail = format!("partitions {left:?} were not given back in time");
            HostError::new(HostErrorKind::Timeout, detail)
        });
        // What is left ends here: the guards of its tasks are in the set.
        self.works.clear();
        if self.board.change(|machine| machine.drained(remainder)) {
            return true;
        }
        let remainder = close(&self.shared).await;
        self.board.change(|machine| machine.closed(remainder));
        true
    }
}

/// Closes stores and hub, each by its own deadline.
async fn close(shared: &Shared) -> Option<HostError> {
    let call = shared.options.timing.call();
    let within = |closed: Option<Result<(), StoreError>>| match closed {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error),
        None => Some(StoreError::new(
            StoreErrorKind::Timeout,
            StoreOperation::Configure,
            "the store",
            "it did not close in time",
        )),
    };
    let (leaser, checkpointer) = join(
        clock::within(call, shared.leaser.close()),
        clock::within(call, shared.checkpointer.close()),
    )
    .await;
    let error = within(leaser).or_else(|| within(checkpointer)).map(HostError::from);
    if clock::within(HUB, shared.hub.close()).await.is_none() {
        let silent = || HostError::new(HostErrorKind::Timeout, "the hub did not close in time");
        return error.or_else(|| Some(silent()));
    }
    error
}
