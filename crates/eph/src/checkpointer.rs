//! Where checkpoints are kept: the contract.

use std::fmt;

use async_trait::async_trait;
use eventhubs_protocol::PartitionId;

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::error::StoreError;
use crate::lease::Lease;

/// Keeps the checkpoints of one hub and consumer group: how far each partition was processed.
///
/// An object is scoped to one hub and group and serves any number of hosts; who calls is said by
/// the [`Lease`] passed in, whose token is what fences. It may be the object that is the
/// [`Leaser`](crate::Leaser) too, or know nothing of one. The suite in
/// [`conformance`](crate#conformance) proves an implementation; [`rules`](crate::rules) has the
/// decisions ready made.
///
/// # The contract
///
/// **Fenced.** A new owner calls [`ensure`](Self::ensure) once, before it reads an event. From the
/// moment it returns [`Fence::Up`] no checkpoint of an earlier ownership lands, however late it was
/// sent; and the checkpoint it returns is at least every one that was acknowledged before. A store
/// that keeps leases too may refuse the former owner even earlier.
///
/// **Monotonic.** Under whatever ownership, a stored checkpoint never has a lower sequence number
/// than one before it. To go back, [`delete`](Self::delete).
///
/// **Durable.** [`Commit::Stored`] is said when the checkpoint survives the end of this process
/// and, if the store is meant to, of the machine; never before.
///
/// **Atomicity.** Calls about one partition are linearizable, and partitions are independent, as in
/// [`Leaser`](crate::Leaser). The comparison with what is stored and the write are one step; a token
/// that is re-read before a write would fence nothing.
///
/// **No checkpoint is no error.** [`load`](Self::load) is `None` where nothing was stored. *Not
/// found* as an error is the store, or a checkpoint that was never ensured.
///
/// **Races and faults, unknown outcomes, deadlines, cancel safety**: as in
/// [`Leaser`](crate::Leaser). All calls may be repeated.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{Acquire, Checkpoint, Checkpointer, Claim, Commit, Fence};
/// use eventhubs_eph::{LeaseToken, Leaser, MemoryStore, OwnerId};
/// use eventhubs_protocol::{Offset, PartitionId, SequenceNumber};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// Leaser::ensure_store(&store).await?;
/// let seen = Leaser::ensure(&store, PartitionId::from(0)).await?;
/// let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
/// let Acquire::Won(lease) = store.acquire(&seen, &claim).await? else { unreachable!() };
///
/// let checkpointer: &dyn Checkpointer = &store;
/// assert_eq!(checkpointer.ensure(&lease).await?, Fence::Up(None));
/// let offset = Offset::new("4096")?;
/// let checkpoint = Checkpoint::new(offset, SequenceNumber::from(41), None);
/// assert_eq!(checkpointer.store(&lease, &checkpoint).await?, Commit::Stored);
/// assert_eq!(checkpointer.load(PartitionId::from(0)).await?, Some(checkpoint));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait Checkpointer: fmt::Debug + Send + Sync {
    /// Whether the store is there.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn store_exists(&self) -> Result<bool, StoreError>;

    /// Makes the store if it is not there; whether this call made it.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn ensure_store(&self) -> Result<bool, StoreError>;

    /// Deletes the store with all checkpoints, for good; whether it was there. When leases and
    /// checkpoints share a store, it deletes both.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn delete_store(&self) -> Result<bool, StoreError>;

    /// The checkpoint of a partition; `None` when nothing was stored. Needs no ownership.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store;
    /// [`Corrupt`](crate::StoreErrorKind::Corrupt) when the record cannot be read, which is never
    /// taken for *nothing was stored*: whoever starts at the end of the partition would lose events.
    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError>;

    /// Takes the checkpoint of a partition over for the ownership `lease`, and makes its record if
    /// there is none. Idempotent.
    ///
    /// [`Fence::Up`] unless a later ownership has it: one with a higher owner level, or with the
    /// same level other than 0 and another token. A store that keeps leases too takes the order of
    /// ownerships from them instead.
    ///
    /// # Errors
    ///
    /// As in [`load`](Self::load).
    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError>;

    /// Stores a checkpoint under an ownership that was ensured.
    ///
    /// [`Commit::Stored`] also when the store has just this checkpoint already.
    ///
    /// # Errors
    ///
    /// As in [`load`](Self::load); [`NotFound`](crate::StoreErrorKind::NotFound) also when the
    /// partition was never ensured or was deleted: call [`ensure`](Self::ensure) again.
    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError>;

    /// Deletes the checkpoint of a partition, for good; whether there was a record. A record that
    /// cannot be read is put aside, where a person finds it.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError>;

    /// Lets go of what this object holds; deletes nothing. Idempotent; other objects on the same
    /// store are not affected.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn close(&self) -> Result<(), StoreError>;
}
