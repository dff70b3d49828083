//! A store that fails on order, and writes down what the true one did.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_client::PartitionId;
use eventhubs_eph::{
    Acquire, Checkpoint, Checkpointer, Claim, Commit, Fence, FileStore, Hold, Lease, LeaseTable,
    LeaseToken, Leaser, OwnerId, Presence, PresenceTable, StoreError, StoreErrorKind,
    StoreOperation,
};

use super::number;
use super::scribe::Scribe;
use crate::journal::Note;
use crate::order::{Calls, Trouble};
use crate::random::Random;
use crate::run::clock::rest;

/// How often a call that is never answered looks whether the trouble is over.
const HANGS_FOR: Duration = Duration::from_millis(200);

/// What is wrong at the moment.
type Troubles = BTreeMap<u32, (Calls, u64, Trouble)>;

/// The store of one process.
pub(super) struct Frail {
    inner: FileStore,
    scribe: Arc<Scribe>,
    random: Mutex<Random>,
    troubles: Mutex<Troubles>,
    /// Owner levels by the tokens of this process.
    levels: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl fmt::Debug for Frail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frail").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What becomes of one call.
#[derive(Debug, Default, Clone, Copy)]
struct Fate {
    before: Duration,
    after: Duration,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Refused(StoreErrorKind),
    Forgotten,
    Hangs(u32),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(kind: StoreErrorKind, operation: StoreOperation) -> StoreError {
    StoreError::new(kind, operation, "the store", "it was told to fail")
}

impl Frail {
    pub(super) fn new(inner: FileStore, scribe: Arc<Scribe>, random: Random) -> Self {
        let (troubles, levels) = (Mutex::default(), Arc::default());
        Self { inner, scribe, random: Mutex::new(random), troubles, levels }
    }

    /// From now on something is wrong.
    pub(super) fn upset(&self, id: u32, calls: Calls, percent: u64, trouble: Trouble) {
        lock(&self.troubles).insert(id, (calls, percent, trouble));
    }

    /// And right again.
    pub(super) fn lift(&self, id: u32) {
        lock(&self.troubles).remove(&id);
    }

    fn fate(&self, calls: Calls) -> Fate {
        let mut fate = Fate::default();
        for (id, (about, percent, trouble)) in lock(&self.troubles).iter() {
            let is_meant = *about == Calls::All || *about == calls;
            if !is_meant || !lock(&self.random).chance(*percent) {
                continue;
            }
            match *trouble {
                Trouble::Slow { before, after } => {
                    fate.before += before;
                    fate.after += after;
                }
                Trouble::Refuses => fate.end = Some(End::Refused(StoreErrorKind::Unavailable)),
                Trouble::Forgets => fate.end = Some(End::Forgotten),
                Trouble::Hangs => fate.end = Some(End::Hangs(*id)),
                Trouble::Busy { after } => {
                    let kind = StoreErrorKind::Busy { after: Some(after) };
                    fate.end = Some(End::Refused(kind));
                }
            }
        }
        fate
    }

    /// A call, as the troubles of the moment have it. What is begun takes its effect even if nobody
    /// waits for it any more, as a request does that is on its way.
    async fn call<T: Send + 'static>(
        &self,
        calls: Calls,
        operation: StoreOperation,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Fate { before, after, end } = self.fate(calls);
        match end {
            Some(End::Refused(kind)) => {
                rest(before).await;
                return Err(failed(kind, operation));
            }
            Some(End::Hangs(id)) => {
                while lock(&self.troubles).contains_key(&id) {
                    rest(HANGS_FOR).await;
                }
                return Err(failed(StoreErrorKind::Timeout, operation));
            }
            Some(End::Forgotten) | None => {}
        }
        let task = tokio::spawn(async move {
            if !before.is_zero() {
                rest(before).await;
            }
            let result = work.await;
            if !after.is_zero() {
                rest(after).await;
            }
            result
        });
        match (task.await, end) {
            (Ok(Ok(_)), Some(End::Forgotten)) => Err(failed(StoreErrorKind::Timeout, operation)),
            (Ok(result), _) => result,
            (Err(_), _) => Err(failed(StoreErrorKind::Unavailable, operation)),
        }
    }

    /// What is needed to write down what becomes of a call.
    fn clerk(&self) -> Clerk {
        let (scribe, levels) = (Arc::clone(&self.scribe), Arc::clone(&self.levels));
        Clerk { store: self.inner.clone(), scribe, levels }
    }
}

/// Writes down what the true store did.
struct Clerk {
    store: FileStore,
    scribe: Arc<Scribe>,
    levels: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl Clerk {
    /// Notes the level of a token; the one before, if it was known.
    fn level(&self, token: Option<&LeaseToken>, level: i64) -> Option<i64> {
        let token = token.map_or("", LeaseToken::as_str).to_owned();
        lock(&self.levels).insert(token, level)
    }

    async fn acquire(self, seen: Lease, claim: Claim) -> Result<Acquire, StoreError> {
        let asked = self.scribe.now();
        let result = self.store.acquire(&seen, &claim).await;
        if let Ok(Acquire::Won(lease)) = &result {
            let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
            // A claim that is repeated wins again.
            if self.level(lease.token.as_ref(), level).is_none() {
                self.scribe.note(Note::Acquired { partition, level, asked });
            }
        }
        result
    }

    async fn renew(self, lease: Lease) -> Result<Hold, StoreError> {
        let asked = self.scribe.now();
        let result = self.store.renew(&lease).await;
        if let Ok(Hold::Kept(lease)) = &result {
            let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
            self.scribe.note(Note::Renewed { partition, level, asked });
        }
        result
    }

    async fn update(self, lease: Lease) -> Result<Hold, StoreError> {
        let asked = self.scribe.now();
        let result = self.store.update(&lease).await;
        if let Ok(Hold::Kept(lease)) = &result {
            let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
            let before = self.level(lease.token.as_ref(), level);
            if let Some(from) = before.filter(|before| *before != level) {
                self.scribe.note(Note::Raised { partition, from, level });
            }
            self.scribe.note(Note::Renewed { partition, level, asked });
        }
        result
    }

    async fn release(self, lease: Lease) -> Result<bool, StoreError> {
        let result = self.store.release(&lease).await;
        if let Ok(true) = result {
            let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
            self.scribe.note(Note::Released { partition, level });
        }
        result
    }

    async fn fence(self, lease: Lease) -> Result<Fence, StoreError> {
        let result = Checkpointer::ensure(&self.store, &lease).await;
        if let Ok(Fence::Up(checkpoint)) = &result {
            let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
            let sequence = checkpoint.as_ref().map(|one| one.sequence_number.as_i64());
            self.scribe.note(Note::Loaded { partition, level, sequence });
        }
        result
    }

    async fn commit(self, lease: Lease, checkpoint: Checkpoint) -> Result<Commit, StoreError> {
        let (partition, level) = (number(lease.partition), lease.epoch.as_i64());
        let sequence = checkpoint.sequence_number.as_i64();
        let asked = self.scribe.now();
        self.scribe.note(Note::Storing { partition, level, sequence });
        let result = self.store.store(&lease, &checkpoint).await;
        match &result {
            Ok(Commit::Stored) => {
                self.scribe.note(Note::Stored { partition, level, sequence, asked });
            }
            Ok(other) => self.scribe.remark(format_args!("checkpoint of {partition}: {other:?}")),
            Err(error) => self.scribe.remark(format_args!("checkpoint of {partition}: {error}")),
        }
        result
    }
}

#[async_trait]
impl Leaser for Frail {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(&self.inner).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        let store = self.inner.clone();
        let work = async move { Leaser::ensure_store(&store).await };
        self.call(Calls::Lists, StoreOperation::Provision, work).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(&self.inner).await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        let store = self.inner.clone();
        let work = async move { store.leases().await };
        self.call(Calls::Lists, StoreOperation::List, work).await
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        let store = self.inner.clone();
        let work = async move { Leaser::ensure(&store, partition).await };
        self.call(Calls::Leases, StoreOperation::Ensure, work).await
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        let work = self.clerk().acquire(seen.clone(), claim.clone());
        self.call(Calls::Leases, StoreOperation::Acquire, work).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let work = self.clerk().renew(lease.clone());
        self.call(Calls::Leases, StoreOperation::Renew, work).await
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let work = self.clerk().update(lease.clone());
        self.call(Calls::Leases, StoreOperation::Update, work).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let work = self.clerk().release(lease.clone());
        self.call(Calls::Leases, StoreOperation::Release, work).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Leaser::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Leaser::close(&self.inner).await
    }

    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let (store, presence) = (self.inner.clone(), presence.clone());
        let work = async move { store.announce(&presence).await };
        self.call(Calls::Lists, StoreOperation::Presence, work).await
    }

    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        let store = self.inner.clone();
        let work = async move { store.presences().await };
        self.call(Calls::Lists, StoreOperation::Presence, work).await
    }

    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        let (store, owner) = (self.inner.clone(), owner.clone());
        let work = async move { store.withdraw(&owner).await };
        self.call(Calls::Lists, StoreOperation::Presence, work).await
    }
}

#[async_trait]
impl Checkpointer for Frail {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(&self.inner).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Leaser::ensure_store(self).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(&self.inner).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let store = self.inner.clone();
        let work = async move { store.load(partition).await };
        self.call(Calls::Checkpoints, StoreOperation::Load, work).await
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let work = self.clerk().fence(lease.clone());
        self.call(Calls::Checkpoints, StoreOperation::Fence, work).await
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let work = self.clerk().commit(lease.clone(), checkpoint.clone());
        self.call(Calls::Checkpoints, StoreOperation::Store, work).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        Checkpointer::delete(&self.inner, partition).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Checkpointer::close(&self.inner).await
    }
}
