//! Leases and checkpoints in a folder of files.

mod body;
mod disk;
mod group;
mod name;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_protocol::{ConsumerGroup, HubName, PartitionId};

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::lease::{Acquire, Claim, Hold, Lease, LeaseTable};
use crate::leaser::Leaser;
use crate::owner::OwnerId;
use crate::presence::{Presence, PresenceTable};
use crate::rules::{self, Change};

use group::{Group, Held, Place};

/// Pauses between tries of a lock that somebody else has: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));
/// How long a lock is tried for. It is held for a few file operations at a time, so this is for a
/// process that was stopped just then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps leases and checkpoints in a folder, for any number of processes on one machine.
///
/// Below the folder there is one folder per namespace, hub and consumer group, with these files per
/// partition: `N.lock`, which is empty, `N.lease` and `N.checkpoint`, with JSON bodies.
///
/// **Atomic.** Who changes a record of a partition holds the lock of the partition, a lock of the
/// operating system that ends with the process however it ends. Under it the record is read, the
/// change is decided, and the file replaced. The lock file itself is never replaced, so all
/// processes lock the same one. Reading needs no lock: a rename gives the old file or the new one,
/// on POSIX systems and on Windows.
///
/// **Crash-safe.** A new body is written to a file of its own, made durable, and renamed over the
/// old one, and the rename is made durable, before a call returns. A process that is killed leaves
/// the old record or the new one, whole.
///
/// **Clock.** That of the file system: a lease was renewed when its file was written, and *now* is
/// the date of a file written just now. No clock of a process is asked.
///
/// **Safe.** Folders and files are for this user only (0700, 0600); names are encoded, so that none
/// leaves its folder or means another's; symbolic links are not followed below the given folder.
///
/// A file that cannot be read is left alone and reported, for its partition only; ensuring the
/// lease or deleting the checkpoint moves it into the folder `quarantine`.
///
/// A process that is stopped, not ended, in the middle of a call keeps the lock it has: others cannot
/// change that partition until it goes on or is killed, and are told
/// [`Contended`](StoreErrorKind::Contended).
///
/// A call whose future is dropped goes on to its end on a thread of the runtime. Network file
/// systems are not for this: their locks and dates are promises of many machines.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{FileStore, Leaser};
/// use eventhubs_protocol::{ConsumerGroup, HubName, PartitionId};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let (hub, group) = (HubName::new("telemetry")?, ConsumerGroup::default());
/// let store = FileStore::new(folder, "ns.servicebus.windows.net", &hub, &group)?;
/// Leaser::ensure_store(&store).await?;
/// Leaser::ensure(&store, PartitionId::from(0)).await?;
/// assert!(folder.join("ns.servicebus.windows.net/telemetry/%24default/0.lease").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct FileStore {
    group: Arc<Group>,
}

impl FileStore {
    /// A store in `folder`, which is made when the store is. Does no I/O.
    ///
    /// `namespace` is the full name of the namespace's host. Letter case makes no difference.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::InvalidInput`]: the namespace is empty, `.` or `..`, or has a control
    /// character.
    pub fn new(
        folder: impl Into<PathBuf>,
        namespace: &str,
        hub: &HubName,
        group: &ConsumerGroup,
    ) -> Result<Self, StoreError> {
        let mut levels = name::folders("the namespace", namespace)?;
        levels.extend(name::folders("the hub", hub.as_str())?);
        levels.extend(name::folders("the consumer group", group.as_str())?);
        Ok(Self { group: Arc::new(Group { root: folder.into(), levels }) })
    }

    /// Does something on a thread that may block.
    async fn blocking<T, F>(&self, operation: StoreOperation, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Group) -> Result<T, StoreError> + Send + 'static,
    {
        let group = Arc::clone(&self.group);
        match tokio::task::spawn_blocking(move || work(&group)).await {
            Ok(result) => result,
            Err(error) => {
                let kind = StoreErrorKind::Unavailable;
                let detail = "the runtime did not do it";
                Err(StoreError::new(kind, operation, "the store", detail).with_source(error))
            }
        }
    }

    /// Does something under the lock of a place; `make` makes a missing lock.
    async fn locked<T, F>(
        &self,
        place: Place,
        operation: StoreOperation,
        make: bool,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Held) -> Result<T, StoreError> + Send + 'static,
    {
        let end = clock::now() + PATIENCE;
        let (mut pause, longest) = PAUSES;
        let mut work = work;
        loop {
            let attempt = move |group: &Group| match group.try_lock(place, operation, make)? {
                Some(held) => work(&held).map(Ok),
                None => Ok(Err(work)),
            };
            match self.blocking(operation, attempt).await? {
                Ok(done) => return Ok(done),
                Err(again) => work = again,
            }
            if clock::now() >= end {
                let detail = "another process has held its lock for too long";
                let kind = StoreErrorKind::Contended;
                return Err(StoreError::new(kind, operation, "the store", detail));
            }
            clock::pause(pause).await;
            pause = longest.min(pause * 2);
        }
    }

    /// Decides about an ownership under the lock of its partition.
    async fn hold<F>(
        &self,
        partition: PartitionId,
        operation: StoreOperation,
        decide: F,
    ) -> Result<Hold, StoreError>
    where
        F: FnOnce(Option<&Lease>) -> Change<Lease> + Send + 'static,
    {
        let work = move |held: &Held| {
            let stored = held.lease()?;
            Ok(match decide(stored.as_ref()) {
                Change::Write(lease) => Hold::Kept(held.write_lease(lease)?),
                Change::Keep(lease) => Hold::Kept(lease),
                Change::Lost => Hold::Lost(stored),
            })
        };
        self.locked(Place::Partition(partition), operation, false, work).await
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("folder", &self.group.folder()).finish()
    }
}

#[async_trait]
impl Leaser for FileStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        self.blocking(StoreOperation::Provision, Group::exists).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        self.blocking(StoreOperation::Provision, Group::make).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        self.blocking(StoreOperation::Provision, Group::destroy).await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        self.blocking(StoreOperation::List, Group::leases).await
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        let work = move |held: &Held| match held.lease() {
            Ok(Some(lease)) => Ok(lease),
            Ok(None) => held.write_lease(Lease::free(partition)),
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                held.delete_lease()?;
                held.write_lease(Lease::free(partition))
            }
            Err(error) => Err(error),
        };
        self.locked(Place::Partition(partition), StoreOperation::Ensure, true, work).await
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        let (partition, seen, claim) = (seen.partition, seen.clone(), claim.clone());
        let decide = move |stored: Option<&Lease>| rules::acquire(stored, &seen, &claim);
        self.hold(partition, StoreOperation::Acquire, decide).await.map(Acquire::from)
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let (partition, lease) = (lease.partition, lease.clone());
        let decide = move |stored: Option<&Lease>| rules::renew(stored, &lease);
        self.hold(partition, StoreOperation::Renew, decide).await
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let (partition, lease) = (lease.partition, lease.clone());
        let decide = move |stored: Option<&Lease>| rules::update(stored, &lease);
        self.hold(partition, StoreOperation::Update, decide).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let (partition, lease) = (lease.partition, lease.clone());
        let decide = move |stored: Option<&Lease>| rules::release(stored, &lease);
        let hold = self.hold(partition, StoreOperation::Release, decide).await?;
        Ok(matches!(hold, Hold::Kept(_)))
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        let place = Place::Partition(partition);
        self.locked(place, StoreOperation::Delete, true, Held::delete_lease).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let presence = presence.clone();
        let work = move |held: &Held| held.announce(&presence);
        self.locked(Place::Presence, StoreOperation::Presence, true, work).await?;
        Ok(true)
    }

    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        let work = Held::presences;
        self.locked(Place::Presence, StoreOperation::Presence, false, work).await.map(Some)
    }

    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        let owner = owner.clone();
        let work = move |held: &Held| held.withdraw(&owner);
        self.locked(Place::Presence, StoreOperation::Presence, true, work).await
    }
}

#[async_trait]
impl Checkpointer for FileStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(self).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Leaser::ensure_store(self).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(self).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let work = |held: &Held| Ok(held.mark()?.and_then(|mark| mark.checkpoint));
        self.locked(Place::Partition(partition), StoreOperation::Load, false, work).await
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let (place, lease) = (Place::Partition(lease.partition), lease.clone());
        let work = move |held: &Held| {
            let (owned, stored) = (held.lease()?, held.mark()?);
            let change = rules::fence(owned.as_ref(), stored.as_ref(), &lease);
            if let Change::Write(mark) = &change {
                held.write_mark(mark)?;
            }
            Ok(change.into_fence(owned.as_ref(), stored.as_ref()))
        };
        self.locked(place, StoreOperation::Fence, true, work).await
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let place = Place::Partition(lease.partition);
        let (lease, checkpoint) = (lease.clone(), checkpoint.clone());
        let work = move |held: &Held| {
            let Some(stored) = held.mark()? else {
                let entity = format!("the checkpoint of partition {}", lease.partition);
                let (kind, operation) = (StoreErrorKind::NotFound, StoreOperation::Store);
                return Err(StoreError::new(kind, operation, entity, "it was not ensured"));
            };
            let change = rules::commit(held.lease()?.as_ref(), &stored, &lease, &checkpoint);
            if let Change::Write(mark) = &change {
                held.write_mark(mark)?;
            }
            Ok(change.into_commit(&checkpoint))
        };
        self.locked(place, StoreOperation::Store, false, work).await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        let place = Place::Partition(partition);
        self.locked(place, StoreOperation::Delete, true, Held::delete_mark).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
