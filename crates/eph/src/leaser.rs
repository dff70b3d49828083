//! Where leases are kept: the contract.

use std::fmt;

use async_trait::async_trait;
use eventhubs_protocol::PartitionId;

use crate::error::StoreError;
use crate::lease::{Acquire, Claim, Hold, Lease, LeaseTable};
use crate::owner::OwnerId;
use crate::presence::{Presence, PresenceTable};

/// Keeps the leases of one hub and consumer group: who owns which partition, and until when.
///
/// An object is scoped to one hub and group and serves any number of hosts; who calls is said by
/// the [`Claim`] and the [`Lease`] passed in. The suite in [`conformance`](crate#conformance)
/// proves an implementation; [`rules`](crate::rules) has the decisions ready made.
///
/// # The contract
///
/// **Atomicity.** Calls about one partition are linearizable, whoever makes them on whatever
/// machine: each takes effect at one moment between its start and its end. A call that reads and
/// writes does both at that moment, by compare-and-swap or under a lock of the store. Partitions
/// are independent: no call for one waits for a call for another.
///
/// **Clock.** There is one clock, the store's: it stamps [`Lease::renewed`], dates the tables, and
/// is never compared with the clock of a host. A host fences itself by its own monotonic clock,
/// counted from before its last successful call.
///
/// **Generations.** An ownership is its partition, owner and token. It begins when
/// [`acquire`](Self::acquire) wins and ends when another claim wins, or the lease is released or
/// deleted, and never comes back. Expiry alone does not end it: an expired lease that nobody took
/// can be renewed, and that it could proves that nobody had it in between. Every ownership has a
/// higher owner level than all before it in the life of the lease, except under
/// [`EpochMode::Zero`](crate::EpochMode::Zero).
///
/// **Races and faults.** Losing is a result, never an error: [`Acquire::Lost`], [`Hold::Lost`], and
/// `false` from [`release`](Self::release). An error is a fault and says nothing about who owns the
/// partition. *Not found* as an error means the store; a lease that is missing is *Lost* with
/// nothing in it.
///
/// **Unknown outcomes.** After an error for which [`StoreError::may_have_been_written`] holds, the
/// same call may be made again with the same arguments, and its result is then true of both.
///
/// **Deadlines.** The caller has one for each call and drops the future when it passes. An
/// implementation must not hold anything across calls that a dropped future would leave held.
///
/// # Cancel safety
///
/// A future that is dropped before it ends may have taken effect or not, now or a little later, as
/// after an unknown outcome; never in part.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{Acquire, Claim, Hold, LeaseToken, Leaser, MemoryStore, OwnerId};
/// use eventhubs_protocol::PartitionId;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let leaser: Box<dyn Leaser> = Box::new(MemoryStore::new());
/// leaser.ensure_store().await?;
/// let seen = leaser.ensure(PartitionId::from(0)).await?;
///
/// let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
/// let Acquire::Won(lease) = leaser.acquire(&seen, &claim).await? else {
///     panic!("nobody else is here");
/// };
/// assert!(matches!(leaser.renew(&lease).await?, Hold::Kept(_)));
/// assert!(leaser.release(&lease).await?);
/// # Ok::<(), eventhubs_eph::StoreError>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait Leaser: fmt::Debug + Send + Sync {
    /// Whether the store is there.
    ///
    /// # Errors
    ///
    /// Faults only: *no* is an answer, *unknown* is an error.
    async fn store_exists(&self) -> Result<bool, StoreError>;

    /// Makes the store if it is not there; whether this call made it. Several hosts may call this
    /// at once. A store that is just being deleted is waited for or an error that is retryable.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn ensure_store(&self) -> Result<bool, StoreError>;

    /// Deletes the store with all leases and presences, for good; whether it was there. When leases
    /// and checkpoints share a store, it deletes both.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn delete_store(&self) -> Result<bool, StoreError>;

    /// All leases, with the store's clock.
    ///
    /// All or nothing: every lease that existed when the call began and was not deleted before it
    /// ended is in the table, exactly once; a listing that was cut short is an error. Each lease is
    /// as it was at some moment of the call, and the date is not before any of these moments. One
    /// record that cannot be read is told in [`LeaseTable::corrupt`] and hides no other.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store, since no
    /// answer is not the same as no leases.
    async fn leases(&self) -> Result<LeaseTable, StoreError>;

    /// Makes the lease of a partition, free and with owner level 0, if there is none; the lease as
    /// it is. Of many that call at once one makes it. A record that cannot be read is put aside,
    /// where a person finds it, and made anew.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError>;

    /// Takes a partition, free or not.
    ///
    /// Wins if the lease is still what `seen` says, by [`Lease::version`]: nobody acquired,
    /// released, deleted or updated it since, and, if it was free because it had expired, nobody
    /// renewed it either. (A store may let a claim win against a live owner that only renewed
    /// since.) Whether it is right to take a lease that is not free is the caller's decision, and
    /// so is when.
    ///
    /// *Won*: the lease has the owner, token and duration of the claim, the owner level
    /// [`Claim::epoch_after`] the stored one, and is renewed at that moment. The former ownership
    /// has ended. *Lost*: nothing was changed.
    ///
    /// Idempotent: while the lease has the owner and token of `claim`, this is *Won* with the lease
    /// as it is, whatever was seen.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError>;

    /// Makes an ownership last from now on, whether or not it has expired.
    ///
    /// *Kept* if the lease in the store [is the generation](Lease::is_generation_of) of `lease`;
    /// whatever else the store has of it, a higher owner level for example, stays. *Lost* otherwise;
    /// nothing was changed.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError>;

    /// Renews, and raises the owner level to that of `lease`: for an owner that heard from the hub
    /// of a higher one. Never lowers it. *Kept* and *Lost* as in [`renew`](Self::renew).
    ///
    /// # Errors
    ///
    /// As in [`renew`](Self::renew).
    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError>;

    /// Ends an ownership: the lease becomes free at once and keeps its owner level. `false` when
    /// the ownership had ended already; then nothing was changed, whoever owns it now.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn release(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Deletes the lease of a partition, owned or not, for good; whether it was there. Its owner
    /// level is forgotten: a host that owns it next finds out from the hub.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError>;

    /// Lets go of what this object holds. Releases no lease and deletes nothing. Idempotent; other
    /// objects on the same store are not affected. Later calls are
    /// [`Closed`](crate::StoreErrorKind::Closed), or work.
    ///
    /// # Errors
    ///
    /// Faults only.
    async fn close(&self) -> Result<(), StoreError>;

    /// Says that a host is there, for the duration in `presence`; whether this store keeps
    /// presences. The default does not, and hosts then balance without.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let _ = presence;
        Ok(false)
    }

    /// All presences, with the store's clock, all or nothing as [`leases`](Self::leases) are; `None`
    /// when this store keeps none, as the default.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        Ok(None)
    }

    /// Says that a host leaves. Idempotent.
    ///
    /// # Errors
    ///
    /// Faults; [`NotFound`](crate::StoreErrorKind::NotFound) when there is no store.
    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        let _ = owner;
        Ok(())
    }
}
