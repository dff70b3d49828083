//! Stores that break one rule each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_eph::conformance::Subject;
use eventhubs_eph::{
    Acquire, Checkpoint, Checkpointer, Claim, Commit, EpochMode, Fence, Hold, Lease, LeaseTable,
    Leaser, MemoryStore, OwnerId, Presence, PresenceTable, StoreError, StoreErrorKind,
    StoreOperation,
};
use eventhubs_protocol::{Offset, OwnerLevel, PartitionId, Timestamp};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    AcquireWithoutSwap,
    LosingIsAnError,
    LosersSeeNothing,
    EpochReused,
    EpochForgotten,
    EpochFloorIgnored,
    ClaimsAreNotIdempotent,
    ClaimMakesLease,
    DurationIgnored,
    RenewAfterLossSucceeds,
    RenewTakesBack,
    RenewKnowsOwnersOnly,
    RenewDoesNothing,
    RenewLosesWhatExpired,
    UpdateKeepsTheLevel,
    ReleaseByAnyone,
    ReleaseDoesNothing,
    ReleaseIsAlwaysTrue,
    ListPartial,
    ListTwice,
    ListEmptyWithoutStore,
    ListWithoutClock,
    EnsureResets,
    DeleteKeeps,
    PresenceAnnouncedOnly,
    PresenceNeverEnds,
    PresenceWithoutMaximum,
    PresenceWeighsSomething,
    CheckpointUnfenced,
    CheckpointRegresses,
    CheckpointLate,
    ErrorInsteadOfNone,
    NoneInsteadOfError,
    BehindIsStored,
    TakeoverForgets,
    TakeoverByAnyone,
    StoreEnsures,
    TimeIsLost,
    OffsetIsNumber,
    DeleteForgetsNothing,
    DroppedCallsHold,
    DroppedStoresHold,
}

impl Bug {
    /// The bugs, each with a case that finds it.
    pub(crate) const ALL: &[(Self, &str)] = &[
        (Self::AcquireWithoutSwap, "a_stale_claim_loses"),
        (Self::LosingIsAnError, "one_of_many_claims_wins"),
        (Self::LosersSeeNothing, "one_of_many_claims_wins"),
        (Self::EpochReused, "levels_rise_with_every_owner"),
        (Self::EpochForgotten, "a_released_lease_is_free"),
        (Self::EpochFloorIgnored, "a_level_may_be_asked_for"),
        (Self::ClaimsAreNotIdempotent, "a_repeated_claim_is_one"),
        (Self::ClaimMakesLease, "a_claim_to_nothing_loses"),
        (Self::DurationIgnored, "a_claim_makes_the_owner"),
        (Self::RenewAfterLossSucceeds, "a_stolen_lease_is_lost"),
        (Self::RenewTakesBack, "a_lease_once_lost_stays_lost"),
        (Self::RenewKnowsOwnersOnly, "an_owner_is_known_by_its_token"),
        (Self::RenewDoesNothing, "renewing_starts_the_duration_again"),
        (Self::RenewLosesWhatExpired, "an_expired_lease_can_be_renewed"),
        (Self::UpdateKeepsTheLevel, "update_raises_the_level"),
        (Self::ReleaseByAnyone, "a_stolen_lease_is_not_released"),
        (Self::ReleaseDoesNothing, "a_released_lease_is_free"),
        (Self::ReleaseIsAlwaysTrue, "a_released_lease_is_not_owned"),
        (Self::ListPartial, "a_list_is_complete"),
        (Self::ListTwice, "a_list_is_complete"),
        (Self::ListEmptyWithoutStore, "no_store_is_an_error"),
        (Self::ListWithoutClock, "a_list_has_a_date"),
        (Self::EnsureResets, "ensuring_changes_nothing"),
        (Self::DeleteKeeps, "a_deleted_lease_is_gone"),
        (Self::PresenceAnnouncedOnly, "presences_are_kept_or_not"),
        (Self::PresenceNeverEnds, "presences_are_kept_or_not"),
        (Self::PresenceWithoutMaximum, "presences_are_kept_as_they_are"),
        (Self::PresenceWeighsSomething, "presences_are_kept_as_they_are"),
        (Self::CheckpointUnfenced, "a_former_owner_stores_nothing"),
        (Self::CheckpointRegresses, "a_checkpoint_never_goes_back"),
        (Self::CheckpointLate, "nothing_acknowledged_is_lost_at_a_takeover"),
        (Self::ErrorInsteadOfNone, "no_checkpoint_is_none"),
        (Self::NoneInsteadOfError, "no_store_is_an_error"),
        (Self::BehindIsStored, "a_checkpoint_never_goes_back"),
        (Self::TakeoverForgets, "a_new_owner_finds_the_last_checkpoint"),
        (Self::TakeoverByAnyone, "a_former_owner_takes_nothing_back"),
        (Self::StoreEnsures, "what_was_not_ensured_is_not_stored"),
        (Self::TimeIsLost, "a_checkpoint_is_loaded_as_stored"),
        (Self::OffsetIsNumber, "a_checkpoint_is_loaded_as_stored"),
        (Self::DeleteForgetsNothing, "a_deleted_checkpoint_is_gone"),
        (Self::DroppedCallsHold, "a_dropped_claim_can_be_made_again"),
        (Self::DroppedStoresHold, "a_dropped_store_can_be_followed"),
    ];
}

#[derive(Clone, Debug)]
pub(crate) struct Broken {
    sound: MemoryStore,
    bug: Bug,
    memory: Arc<Mutex<Memory>>,
}

/// What broken stores remember and should not need to.
#[derive(Debug, Default)]
struct Memory {
    /// The last ownership that took a checkpoint over.
    fenced: BTreeMap<PartitionId, Lease>,
    /// A checkpoint that was acknowledged and not stored.
    late: Option<(Lease, Checkpoint)>,
    /// A call is under way.
    is_busy: bool,
}

impl Broken {
    pub(crate) fn new(bug: Bug) -> Self {
        Self { sound: MemoryStore::new(), bug, memory: Arc::default() }
    }

    async fn stored(&self, partition: PartitionId) -> Option<Lease> {
        self.sound.leases().await.ok()?.lease(partition).cloned()
    }

    /// Lets nobody else in, and gives way to others: whoever drops the call keeps them out.
    async fn hold(&self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.memory.lock().unwrap().is_busy, true) {
            return Err(Self::fault(StoreErrorKind::Contended));
        }
        tokio::task::yield_now().await;
        self.memory.lock().unwrap().is_busy = false;
        Ok(())
    }

    fn fault(kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind, StoreOperation::Acquire, "a partition", "planted")
    }
}

#[async_trait]
impl Subject for Broken {
    fn leaser(&self) -> Arc<dyn Leaser> {
        Arc::new(self.clone())
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.clone())
    }

    async fn pass(&self, span: Duration) {
        self.sound.advance(span);
    }
}

#[async_trait]
impl Leaser for Broken {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(&self.sound).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Leaser::ensure_store(&self.sound).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(&self.sound).await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        let mut table = match self.sound.leases().await {
            Err(_) if self.bug == Bug::ListEmptyWithoutStore => {
                LeaseTable::new(Timestamp::UNIX_EPOCH, Vec::new())
            }
            other => other?,
        };
        match self.bug {
            Bug::ListPartial => table.leases.truncate(100),
            Bug::ListTwice => table.leases.extend(table.leases.clone().into_iter().skip(100)),
            Bug::ListWithoutClock => {
                table.date =
                    table.leases.iter().map(|lease| lease.renewed).max().unwrap_or(table.date);
            }
            _ => {}
        }
        Ok(table)
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        if self.bug == Bug::EnsureResets {
            Leaser::delete(&self.sound, partition).await?;
        }
        Leaser::ensure(&self.sound, partition).await
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        if self.bug == Bug::DroppedCallsHold {
            self.hold().await?;
        }
        let stored = self.stored(seen.partition).await;
        let (mut seen, mut claim) = (seen.clone(), claim.clone());
        match (self.bug, &stored) {
            (Bug::AcquireWithoutSwap, Some(stored)) => seen = stored.clone(),
            (Bug::EpochReused, _) => claim = claim.with_epochs(EpochMode::Zero),
            (Bug::EpochFloorIgnored, _) => claim = claim.with_epoch_at_least(OwnerLevel::ZERO),
            (Bug::DurationIgnored, _) => claim = claim.with_duration(Duration::from_secs(60)),
            (Bug::ClaimMakesLease, None) => {
                seen = Leaser::ensure(&self.sound, seen.partition).await?;
            }
            (Bug::ClaimsAreNotIdempotent, Some(stored))
                if stored.token.as_ref() == Some(&claim.token) =>
            {
                return Ok(Acquire::Lost(Some(stored.clone())));
            }
            _ => {}
        }
        let acquire = self.sound.acquire(&seen, &claim).await?;
        Ok(match (self.bug, acquire) {
            (Bug::LosingIsAnError, Acquire::Lost(_)) => {
                return Err(Self::fault(StoreErrorKind::Contended));
            }
            (Bug::LosersSeeNothing, Acquire::Lost(_)) => Acquire::Lost(None),
            (_, acquire) => acquire,
        })
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        let stored = self.stored(lease.partition).await;
        match (self.bug, stored) {
            (Bug::RenewDoesNothing, Some(stored)) if stored.is_generation_of(lease) => {
                return Ok(Hold::Kept(stored));
            }
            (Bug::RenewKnowsOwnersOnly, Some(stored)) if stored.owner == lease.owner => {
                return self.sound.renew(&stored).await;
            }
            (Bug::RenewLosesWhatExpired, Some(stored))
                if stored.is_free(self.sound.leases().await?.date) =>
            {
                return Ok(Hold::Lost(Some(stored)));
            }
            (Bug::RenewTakesBack, Some(stored)) if stored.token.is_none() => {
                if let (Some(owner), Some(token)) = (&lease.owner, &lease.token) {
                    let claim = Claim::new(owner.clone(), token.clone());
                    if let Acquire::Won(lease) = self.sound.acquire(&stored, &claim).await? {
                        return Ok(Hold::Kept(lease));
                    }
                }
            }
            _ => {}
        }
        Ok(match self.sound.renew(lease).await? {
            Hold::Lost(_) if self.bug == Bug::RenewAfterLossSucceeds => Hold::Kept(lease.clone()),
            hold => hold,
        })
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        match self.bug {
            Bug::UpdateKeepsTheLevel => self.sound.renew(lease).await,
            _ => self.sound.update(lease).await,
        }
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let stored = self.stored(lease.partition).await;
        match (self.bug, stored) {
            (Bug::ReleaseByAnyone, Some(stored)) => self.sound.release(&stored).await,
            (Bug::ReleaseDoesNothing, Some(stored)) => Ok(stored.is_generation_of(lease)),
            (Bug::ReleaseIsAlwaysTrue, _) => self.sound.release(lease).await.map(|_| true),
            (Bug::EpochForgotten, Some(stored)) if stored.is_generation_of(lease) => {
                Leaser::delete(&self.sound, lease.partition).await?;
                Leaser::ensure(&self.sound, lease.partition).await.map(|_| true)
            }
            _ => self.sound.release(lease).await,
        }
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        match self.bug {
            Bug::DeleteKeeps => Ok(self.stored(partition).await.is_some()),
            _ => Leaser::delete(&self.sound, partition).await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        Leaser::close(&self.sound).await
    }

    async fn announce(&self, presence: &Presence) -> Result<bool, StoreError> {
        let mut presence = presence.clone();
        match self.bug {
            Bug::PresenceNeverEnds => presence.duration = Duration::from_secs(1_000_000),
            Bug::PresenceWithoutMaximum => presence.maximum = None,
            Bug::PresenceWeighsSomething => presence.weight = presence.weight.max(1),
            _ => {}
        }
        self.sound.announce(&presence).await
    }

    async fn presences(&self) -> Result<Option<PresenceTable>, StoreError> {
        match self.bug {
            Bug::PresenceAnnouncedOnly => Ok(None),
            _ => self.sound.presences().await,
        }
    }

    async fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        self.sound.withdraw(owner).await
    }
}

#[async_trait]
impl Checkpointer for Broken {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Checkpointer::store_exists(&self.sound).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Checkpointer::ensure_store(&self.sound).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Checkpointer::delete_store(&self.sound).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let mut loaded = match self.sound.load(partition).await {
            Err(_) if self.bug == Bug::NoneInsteadOfError => None,
            other => other?,
        };
        if let Some(checkpoint) = &mut loaded {
            match self.bug {
                Bug::TimeIsLost => checkpoint.enqueued = None,
                Bug::OffsetIsNumber => {
                    let plain = checkpoint.offset.as_ref().map_or("", |offset| offset.as_str());
                    let plain: String = plain.chars().filter(char::is_ascii_digit).collect();
                    checkpoint.offset = Offset::new(&plain).ok();
                }
                _ => {}
            }
        }
        match (self.bug, loaded) {
            (Bug::ErrorInsteadOfNone, None) => Err(Self::fault(StoreErrorKind::NotFound)),
            (_, loaded) => Ok(loaded),
        }
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let fence = Checkpointer::ensure(&self.sound, lease).await?;
        if matches!(fence, Fence::Up(_)) {
            self.memory.lock().unwrap().fenced.insert(lease.partition, lease.clone());
        }
        Ok(match (self.bug, fence) {
            (Bug::TakeoverForgets, Fence::Up(_)) => Fence::Up(None),
            (Bug::TakeoverByAnyone, Fence::Lost { .. }) => {
                Fence::Up(self.sound.load(lease.partition).await?)
            }
            (_, fence) => fence,
        })
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        if self.bug == Bug::DroppedStoresHold {
            self.hold().await?;
        }
        let fenced = self.memory.lock().unwrap().fenced.get(&lease.partition).cloned();
        match (self.bug, &fenced) {
            (Bug::CheckpointUnfenced, Some(fenced)) => {
                return self.sound.store(fenced, checkpoint).await;
            }
            (Bug::CheckpointRegresses, Some(fenced)) if fenced.is_generation_of(lease) => {
                Checkpointer::delete(&self.sound, lease.partition).await?;
                Checkpointer::ensure(&self.sound, lease).await?;
            }
            (Bug::StoreEnsures, _) => {
                Checkpointer::ensure(&self.sound, lease).await?;
            }
            (Bug::CheckpointLate, Some(fenced)) if fenced.is_generation_of(lease) => {
                let next = Some((lease.clone(), checkpoint.clone()));
                let late = std::mem::replace(&mut self.memory.lock().unwrap().late, next);
                if let Some((lease, checkpoint)) = late {
                    self.sound.store(&lease, &checkpoint).await?;
                }
                return Ok(Commit::Stored);
            }
            _ => {}
        }
        Ok(match self.sound.store(lease, checkpoint).await? {
            Commit::Behind(_) if self.bug == Bug::BehindIsStored => Commit::Stored,
            commit => commit,
        })
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        match self.bug {
            Bug::DeleteForgetsNothing => Ok(true),
            _ => Checkpointer::delete(&self.sound, partition).await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        Checkpointer::close(&self.sound).await
    }
}
