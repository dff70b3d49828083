//! A store in memory that can be made to fail, slowly or at once, before or after the effect.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_client::PartitionId;
use eventhubs_eph::{
    Acquire, Checkpoint, Checkpointer, Claim, Commit, Fence, Hold, Lease, LeaseTable, Leaser,
    MemoryStore, OwnerId, Presence, PresenceTable, StoreError, StoreErrorKind, StoreOperation,
};

/// What becomes of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It takes this long.
    Slow(Duration),
    /// It fails and has done nothing.
    Before(StoreErrorKind),
    /// It fails and has done what it should.
    After(StoreErrorKind),
    /// It never ends.
    Hang,
}

#[derive(Debug)]
struct Rule {
    operation: Option<StoreOperation>,
    partition: Option<PartitionId>,
    left: u64,
    fault: Fault,
}

/// See the [module](self). A clone is the same store with the same faults; [`beside`](Self::beside)
/// is the same store with none.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    inner: MemoryStore,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    rules: Vec<Rule>,
    calls: BTreeMap<String, u64>,
    corrupt: BTreeSet<PartitionId>,
    /// Time an announcement takes, whether or not anybody waits for it.
    late: Option<Duration>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryStore::new(), faults: Arc::default() }
    }

    /// The same store, seen over another way.
    pub(crate) fn beside(&self) -> Self {
        Self { inner: self.inner.clone(), faults: Arc::default() }
    }

    /// How many hold it: the test itself, and every part of a host that could call it.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.faults)
    }

    /// What stands behind the faults.
    pub(crate) fn inner(&self) -> &dyn Leaser {
        &self.inner
    }

    pub(crate) fn checkpoints(&self) -> &dyn Checkpointer {
        &self.inner
    }

    /// Has every call of a kind fail.
    pub(crate) fn always(&self, operation: StoreOperation, fault: Fault) {
        self.rule(Some(operation), None, u64::MAX, fault);
    }

    /// Has every call fail.
    pub(crate) fn down(&self, fault: Fault) {
        self.rule(None, None, u64::MAX, fault);
    }

    /// Has so many calls for a partition fail.
    pub(crate) fn times(
        &self,
        operation: StoreOperation,
        partition: u16,
        times: u64,
        fault: Fault,
    ) {
        self.rule(Some(operation), Some(partition.into()), times, fault);
    }

    fn rule(
        &self,
        operation: Option<StoreOperation>,
        partition: Option<PartitionId>,
        left: u64,
        fault: Fault,
    ) {
        self.faults().rules.push(Rule { operation, partition, left, fault });
    }

    /// Takes all faults away.
    pub(crate) fn heal(&self) {
        self.faults().rules.clear();
    }

    /// Has the lease of a partition not be readable until it is ensured.
    pub(crate) fn corrupt(&self, partition: u16) {
        self.faults().corrupt.insert(partition.into());
    }

    /// Has announcements take this long, and take effect even when nobody waits for them any more.
    pub(crate) fn late(&self, span: Duration) {
        self.faults().late = Some(span);
    }

    /// How often it was called like that.
    pub(crate) fn calls(&self, operation: StoreOperation) -> u64 {
        self.faults().calls.get(&format!("{operation:?}")).copied().unwrap_or(0)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, operation: StoreOperation, partition: Option<PartitionId>) -> Option<Fault> {
        let mut faults = self.faults();
        *faults.calls.entry(format!("{operation:?}")).or_default() += 1;
        let rule = faults.rules.iter_mut().find(|rule| {
            rule.left > 0
                && rule.operation.is_none_or(|at| at == operation)
                && (rule.partition.is_none() || rule.partition == partition)
        })?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }

    async fn call<T>(
        &self,
        operation: StoreOperation,
        partition: Option<PartitionId>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let error = |kind| Err(StoreError::new(kind, operation, "the test's store", "injected"));
        match self.strike(operation, partition) {
            None => work.await,
            Some(Fault::Slow(span)) => {
                super::pass(span).await;
                work.await
            }
            Some(Fault::Before(kind)) => error(kind),
            Some(Fault::After(kind)) => {
                work.await?;
                error(kind)
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Leaser for Store {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        let work = Leaser::store_exists(&self.inner);
        self.call(StoreOperation::Provision, None, work).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        let work = Leaser::ensure_store(&self.inner);
        self.call(StoreOperation::Provision, None, work).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(&self.inner).await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        let mut table = self.call(StoreOperation::List, None, self.inner.leases()).await?;
        let corrupt = self.faults().corrupt.clone();
        table.leases.retain(|lease| !corrupt.contains(&lease.partition));
        table.corrupt.extend(corrupt.into_iter().map(|partition| {
            let kind = StoreErrorKind::Corrupt;
            (partition, StoreError::new(kind, StoreOperation::List, "a lease", "injected"))
        }));
        Ok(table)
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        let work = Leaser::ensure(&self.inner, partition);
        let lease = self.call(StoreOperation::Ensure, Some(partition), work).await?;
        self.faults().corrupt.remove(&partition);
        Ok(lease)
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        let work = self.inner.acquire(seen, claim);
        self.call(StoreOperation::Acquire, Some(seen.partition), work).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let work = self.inner.renew(lease);
        self.call(StoreOperation::Renew, Some(lease.partition), work).await
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let work = self.inner.update(lease);
        self.call(StoreOperation::Update, Some(lease.partition), work).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let work = self.inner.release(lease);
        self.call(StoreOperation::Release, Some(lease.partition), work).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Leaser::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.call(StoreOperation::Configure, None, Leaser::close(&self.inner)).await
    }

    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let late = self.faults().late;
        let Some(span) = late else {
            return self.call(StoreOperation::Presence, None, self.inner.announce(presence)).await;
        };
        let (inner, presence) = (self.inner.clone(), presence.clone());
        self.strike(StoreOperation::Presence, None);
        let announcing = tokio::spawn(async move {
            super::pass(span).await;
            inner.announce(&presence).await
        });
        announcing.await.expect("no panic")
    }

    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        self.call(StoreOperation::Presence, None, self.inner.presences()).await
    }

    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        self.call(StoreOperation::Presence, None, self.inner.withdraw(owner)).await
    }
}

#[async_trait]
impl Checkpointer for Store {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        let work = Checkpointer::store_exists(&self.inner);
        self.call(StoreOperation::Provision, None, work).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        let work = Checkpointer::ensure_store(&self.inner);
        self.call(StoreOperation::Provision, None, work).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Checkpointer::delete_store(&self.inner).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let work = self.inner.load(partition);
        self.call(StoreOperation::Load, Some(partition), work).await
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let work = Checkpointer::ensure(&self.inner, lease);
        self.call(StoreOperation::Fence, Some(lease.partition), work).await
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let work = self.inner.store(lease, checkpoint);
        self.call(StoreOperation::Store, Some(lease.partition), work).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Checkpointer::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.call(StoreOperation::Configure, None, Checkpointer::close(&self.inner)).await
    }
}
