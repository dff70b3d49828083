//! A store that does what a test says: it fails before or after it did something, or never answers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_protocol::PartitionId;

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::lease::{Acquire, Claim, Hold, Lease, LeaseTable};
use crate::leaser::Leaser;
use crate::memory::MemoryStore;
use crate::ownership::Moment;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does nothing and fails.
    Before(StoreErrorKind),
    /// It does what it should, and fails.
    After(StoreErrorKind),
    /// It takes that long and succeeds.
    Slow(Duration),
    /// It never answers.
    Silent,
    /// It does what it should, and never says so.
    Mute,
    /// It panics.
    Panic,
    /// It says that a later ownership has it.
    Lost,
}

#[derive(Default)]
struct Script {
    /// For the next calls, one each.
    next: BTreeMap<&'static str, VecDeque<Fault>>,
    /// For all calls after those.
    always: BTreeMap<&'static str, Fault>,
    /// Every call that was begun.
    calls: Vec<(&'static str, Duration)>,
    stored: Vec<i64>,
}

/// Stands before a [`MemoryStore`].
#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) inner: MemoryStore,
    script: Arc<Mutex<Script>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(super) fn new() -> Self {
        Self { inner: MemoryStore::new(), script: Arc::default() }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The next call of this name has a fault.
    pub(super) fn once(&self, call: &'static str, fault: Fault) {
        self.script().next.entry(call).or_default().push_back(fault);
    }

    /// All calls of this name have a fault from now on.
    pub(super) fn always(&self, call: &'static str, fault: Fault) {
        self.script().always.insert(call, fault);
    }

    pub(super) fn heal(&self) {
        let mut script = self.script();
        script.always.clear();
        script.next.clear();
    }

    /// When calls of this name were begun.
    pub(super) fn calls(&self, call: &str) -> Vec<Duration> {
        let script = self.script();
        script.calls.iter().filter(|(name, _)| *name == call).map(|(_, at)| *at).collect()
    }

    /// The names of all calls, in their order, without repetitions in a row.
    pub(super) fn order(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.script().calls.iter().map(|(name, _)| *name).collect();
        names.dedup();
        names
    }

    /// Numbers of checkpoints that landed, in their order.
    pub(super) fn landed(&self) -> Vec<i64> {
        self.script().stored.clone()
    }

    async fn run<T>(
        &self,
        name: &'static str,
        lost: Option<T>,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let Moment { monotonic, .. } = clock::moment();
        let fault = {
            let mut script = self.script();
            script.calls.push((name, monotonic));
            let next = script.next.get_mut(name).and_then(VecDeque::pop_front);
            next.or_else(|| script.always.get(name).copied())
        };
        let failed = |kind| StoreError::new(kind, StoreOperation::Renew, name, "as told");
        match fault {
            None => call.await,
            Some(Fault::Before(kind)) => Err(failed(kind)),
            Some(Fault::After(kind)) => call.await.and_then(|_| Err(failed(kind))),
            Some(Fault::Slow(span)) => {
                clock::pause(span).await;
                call.await
            }
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Mute) => {
                call.await?;
                std::future::pending().await
            }
            Some(Fault::Panic) => panic!("as told"),
            Some(Fault::Lost) => Ok(lost.expect("this call can be lost")),
        }
    }
}

#[async_trait]
impl Leaser for Scripted {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(&self.inner).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Leaser::ensure_store(&self.inner).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(&self.inner).await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        self.inner.leases().await
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        Leaser::ensure(&self.inner, partition).await
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        self.inner.acquire(seen, claim).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        self.run("renew", Some(Hold::Lost(None)), self.inner.renew(lease)).await
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        self.run("update", Some(Hold::Lost(None)), self.inner.update(lease)).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        self.run("release", Some(false), self.inner.release(lease)).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Leaser::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Checkpointer for Scripted {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Checkpointer::store_exists(&self.inner).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        self.run("ensure_store", None, Checkpointer::ensure_store(&self.inner)).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Checkpointer::delete_store(&self.inner).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        self.inner.load(partition).await
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let lost = Fence::Lost { epoch: lease.epoch };
        self.run("ensure", Some(lost), Checkpointer::ensure(&self.inner, lease)).await
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let call = async {
            let result = self.inner.store(lease, checkpoint).await?;
            if result == Commit::Stored {
                self.script().stored.push(checkpoint.sequence_number.as_i64());
            }
            Ok(result)
        };
        self.run("store", Some(Commit::Lost), call).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Checkpointer::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
