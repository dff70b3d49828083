//! Leases and checkpoints in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_protocol::{PartitionId, Timestamp};
use tokio::time::Instant;

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::lease::{Acquire, Claim, Hold, Lease, LeaseTable, Version};
use crate::leaser::Leaser;
use crate::owner::OwnerId;
use crate::presence::{Presence, PresenceTable};
use crate::rules::{self, Change, Mark};

/// Keeps leases and checkpoints in memory: for tests, and for hosts of one process.
///
/// A clone is the same store. One lock is held for the moment of each call, never across an await,
/// so calls are linearizable and complete when they return. The store's clock is the runtime's and
/// can be moved on with [`advance`](Self::advance); nothing outlives the last clone.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::{Claim, LeaseToken, Leaser, MemoryStore, OwnerId};
/// use eventhubs_protocol::PartitionId;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// Leaser::ensure_store(&store).await?;
/// let seen = Leaser::ensure(&store, PartitionId::from(0)).await?;
/// store.acquire(&seen, &Claim::new(OwnerId::unique(), LeaseToken::unique())).await?;
///
/// assert_eq!(store.clone().leases().await?.free().count(), 0);
/// store.advance(Duration::from_secs(60));
/// assert_eq!(store.clone().leases().await?.free().count(), 1);
/// # Ok::<(), eventhubs_eph::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    exists: bool,
    /// How far the clock was moved on.
    ahead: Duration,
    /// Writes of leases so far; never begins anew, so that no version comes twice.
    writes: u64,
    leases: BTreeMap<PartitionId, Lease>,
    marks: BTreeMap<PartitionId, Mark>,
    presences: BTreeMap<OwnerId, Presence>,
}

impl State {
    /// Keeps a lease as it is from now on.
    fn write(&mut self, mut lease: Lease, now: Timestamp) -> Lease {
        self.writes += 1;
        lease.version = Version::new(&self.writes.to_string());
        lease.renewed = now;
        self.leases.insert(lease.partition, lease.clone());
        lease
    }

    /// Does what was decided about an ownership that should be kept.
    fn hold(&mut self, change: Change<Lease>, partition: PartitionId, now: Timestamp) -> Hold {
        match change {
            Change::Write(lease) => Hold::Kept(self.write(lease, now)),
            Change::Keep(lease) => Hold::Kept(lease),
            Change::Lost => Hold::Lost(self.leases.get(&partition).cloned()),
        }
    }
}

impl MemoryStore {
    /// An object for a store that does not exist yet: ensure it.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared { began: clock::now(), state: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Moves the clock of the store on, for all clones.
    pub fn advance(&self, span: Duration) {
        let mut state = self.state();
        state.ahead = state.ahead.saturating_add(span);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a store that exists, and the store's now.
    fn open(
        &self,
        operation: StoreOperation,
    ) -> Result<(MutexGuard<'_, State>, Timestamp), StoreError> {
        let state = self.state();
        if !state.exists {
            let kind = StoreErrorKind::NotFound;
            return Err(StoreError::new(kind, operation, "the store", "it was not made"));
        }
        let elapsed = clock::now().saturating_duration_since(self.shared.began);
        let now = Timestamp::UNIX_EPOCH.saturating_add(elapsed.saturating_add(state.ahead));
        Ok((state, now))
    }

    fn make(&self) -> bool {
        !std::mem::replace(&mut self.state().exists, true)
    }

    fn destroy(&self) -> bool {
        let mut state = self.state();
        state.leases.clear();
        state.marks.clear();
        state.presences.clear();
        std::mem::replace(&mut state.exists, false)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("exists", &state.exists)
            .field("leases", &state.leases.len())
            .field("checkpoints", &state.marks.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Leaser for MemoryStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Ok(self.state().exists)
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Ok(self.make())
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Ok(self.destroy())
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        let (state, now) = self.open(StoreOperation::List)?;
        Ok(LeaseTable::new(now, state.leases.values().cloned().collect()))
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Ensure)?;
        let stored = state.leases.get(&partition).cloned();
        Ok(stored.unwrap_or_else(|| state.write(Lease::free(partition), now)))
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Acquire)?;
        let change = rules::acquire(state.leases.get(&seen.partition), seen, claim);
        Ok(state.hold(change, seen.partition, now).into())
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Renew)?;
        let change = rules::renew(state.leases.get(&lease.partition), lease);
        Ok(state.hold(change, lease.partition, now))
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Update)?;
        let change = rules::update(state.leases.get(&lease.partition), lease);
        Ok(state.hold(change, lease.partition, now))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Release)?;
        let change = rules::release(state.leases.get(&lease.partition), lease);
        Ok(matches!(state.hold(change, lease.partition, now), Hold::Kept(_)))
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        let (mut state, _) = self.open(StoreOperation::Delete)?;
        Ok(state.leases.remove(&partition).is_some())
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let (mut state, now) = self.open(StoreOperation::Presence)?;
        state.presences.retain(|_, presence| presence.is_present(now));
        let seen = Presence { seen: now, ..presence.clone() };
        state.presences.insert(presence.owner.clone(), seen);
        Ok(true)
    }

    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        let (state, now) = self.open(StoreOperation::Presence)?;
        Ok(Some(PresenceTable::new(now, state.presences.values().cloned().collect())))
    }

    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        let (mut state, _) = self.open(StoreOperation::Presence)?;
        state.presences.remove(owner);
        Ok(())
    }
}

#[async_trait]
impl Checkpointer for MemoryStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Ok(self.state().exists)
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Ok(self.make())
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Ok(self.destroy())
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let (state, _) = self.open(StoreOperation::Load)?;
        Ok(state.marks.get(&partition).and_then(|mark| mark.checkpoint.clone()))
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let (mut state, _) = self.open(StoreOperation::Fence)?;
        let held = state.leases.get(&lease.partition);
        let stored = state.marks.get(&lease.partition);
        let change = rules::fence(held, stored, lease);
        let fence = change.clone().into_fence(held, stored);
        if let Change::Write(mark) = change {
            state.marks.insert(lease.partition, mark);
        }
        Ok(fence)
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let (mut state, _) = self.open(StoreOperation::Store)?;
        let Some(stored) = state.marks.get(&lease.partition) else {
            let entity = format!("the checkpoint of partition {}", lease.partition);
            let (kind, operation) = (StoreErrorKind::NotFound, StoreOperation::Store);
            return Err(StoreError::new(kind, operation, entity, "it was not ensured"));
        };
        let held = state.leases.get(&lease.partition);
        let change = rules::commit(held, stored, lease, checkpoint);
        if let Change::Write(mark) = &change {
            state.marks.insert(lease.partition, mark.clone());
        }
        Ok(change.into_commit(checkpoint))
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        let (mut state, _) = self.open(StoreOperation::Delete)?;
        Ok(state.marks.remove(&partition).is_some())
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
