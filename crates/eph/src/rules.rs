//! What a call changes, given what the store has: the contract of [`Leaser`](crate::Leaser) and
//! [`Checkpointer`](crate::Checkpointer) as functions.
//!
//! For stores that read a record, decide, and write it if it is still what was read. Both stores of
//! this crate are made of these; a store of one's own needs little more than the reading and the
//! writing. The functions leave [`Lease::renewed`] and [`Lease::version`] as they were: the store
//! sets them when it writes.
//!
//! # Examples
//!
//! ```
//! use eventhubs_eph::rules::{self, Change};
//! use eventhubs_eph::{Claim, Lease, LeaseToken, OwnerId};
//! use eventhubs_protocol::PartitionId;
//!
//! let stored = Lease::free(PartitionId::from(0));
//! let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
//! let Change::Write(won) = rules::acquire(Some(&stored), &stored, &claim) else {
//!     panic!("it is still what was seen");
//! };
//! assert_eq!(won.epoch.as_i64(), 1);
//! assert_eq!(rules::acquire(Some(&won), &stored, &claim), Change::Keep(won));
//! assert_eq!(rules::acquire(None, &stored, &claim), Change::Lost);
//! ```

use eventhubs_protocol::OwnerLevel;

use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::lease::{Claim, Lease};
use crate::owner::LeaseToken;
use crate::record::{InvalidRecord, Record};

/// In the body of a checkpoint: owner level and token of the ownership that may store it.
const FENCE_EPOCH: &str = "fenceEpoch";
const FENCE_TOKEN: &str = "fenceToken";

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// Write this, then say that the call succeeded with it.
    Write(T),
    /// Nothing has to be written, the call succeeded with this.
    Keep(T),
    /// Nothing may be written, the call was lost.
    Lost,
}

/// What a store keeps for a checkpoint.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::rules::Mark;
/// use eventhubs_eph::LeaseToken;
/// use eventhubs_protocol::OwnerLevel;
///
/// let mark = Mark::new(OwnerLevel::ZERO, LeaseToken::unique(), None);
/// assert!(mark.checkpoint.is_none());
/// assert_eq!(Mark::from_json(&mark.to_json())?, mark);
/// # Ok::<(), eventhubs_eph::InvalidRecord>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mark {
    /// Owner level of the ownership that took the checkpoint over last.
    pub epoch: OwnerLevel,
    /// Its token.
    pub token: LeaseToken,
    /// The checkpoint; `None` when nothing was stored yet.
    pub checkpoint: Option<Checkpoint>,
}

impl Mark {
    /// A mark.
    #[must_use]
    pub fn new(epoch: OwnerLevel, token: LeaseToken, checkpoint: Option<Checkpoint>) -> Self {
        Self { epoch, token, checkpoint }
    }

    /// A body for it: that of the checkpoint, as [`Checkpoint::to_json`] writes it, with
    /// `fenceEpoch` and `fenceToken`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let checkpoint = self.checkpoint.as_ref();
        let mut record = checkpoint.map(Checkpoint::to_record).unwrap_or_default();
        record.set(FENCE_EPOCH, self.epoch.as_i64());
        record.set(FENCE_TOKEN, self.token.as_str());
        record.to_json()
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// The body is no JSON object of the expected shape, names no ownership, or is beyond the
    /// limits of [`InvalidRecord`].
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRecord> {
        let mut record = Record::from_json(body)?;
        let epoch = record.number(FENCE_EPOCH)?.and_then(|epoch| OwnerLevel::new(epoch).ok());
        let epoch = epoch.ok_or_else(|| InvalidRecord::field(FENCE_EPOCH))?;
        let token = record.text(FENCE_TOKEN)?.and_then(|token| LeaseToken::new(&token).ok());
        let token = token.ok_or_else(|| InvalidRecord::field(FENCE_TOKEN))?;
        Ok(Self::new(epoch, token, Checkpoint::from_record(record)?))
    }
}

impl Change<Mark> {
    /// What [`Checkpointer::ensure`](crate::Checkpointer::ensure) answers, after [`fence`] decided
    /// this about `held` and `stored` and what is to be written was written.
    #[must_use]
    pub fn into_fence(self, held: Option<&Lease>, stored: Option<&Mark>) -> Fence {
        match self {
            Self::Write(mark) | Self::Keep(mark) => Fence::Up(mark.checkpoint),
            Self::Lost => Fence::Lost { epoch: holder(held, stored) },
        }
    }

    /// What [`Checkpointer::store`](crate::Checkpointer::store) answers, after `commit` decided this
    /// about `checkpoint` and what is to be written was written.
    #[must_use]
    pub fn into_commit(self, checkpoint: &Checkpoint) -> Commit {
        match self {
            Self::Write(_) => Commit::Stored,
            Self::Keep(Mark { checkpoint: Some(stored), .. })
                if stored.sequence_number > checkpoint.sequence_number =>
            {
                Commit::Behind(stored)
            }
            Self::Keep(_) => Commit::Stored,
            Self::Lost => Commit::Lost,
        }
    }
}

/// [`Leaser::acquire`](crate::Leaser::acquire): `stored` is what the store has.
#[must_use]
pub fn acquire(stored: Option<&Lease>, seen: &Lease, claim: &Claim) -> Change<Lease> {
    let Some(stored) = stored else { return Change::Lost };
    let is_repeated =
        stored.token.as_ref() == Some(&claim.token) && stored.owner.as_ref() == Some(&claim.owner);
    if is_repeated {
        return Change::Keep(stored.clone());
    }
    if stored.version != seen.version {
        return Change::Lost;
    }
    let mut lease = stored.clone();
    lease.epoch = claim.epoch_after(stored.epoch);
    lease.owner = Some(claim.owner.clone());
    lease.token = Some(claim.token.clone());
    lease.duration = claim.duration;
    Change::Write(lease)
}

/// [`Leaser::renew`](crate::Leaser::renew).
#[must_use]
pub fn renew(stored: Option<&Lease>, lease: &Lease) -> Change<Lease> {
    match stored.filter(|stored| lease.is_generation_of(stored)) {
        Some(stored) => Change::Write(stored.clone()),
        None => Change::Lost,
    }
}

/// [`Leaser::update`](crate::Leaser::update).
#[must_use]
pub fn update(stored: Option<&Lease>, lease: &Lease) -> Change<Lease> {
    match renew(stored, lease) {
        Change::Write(mut renewed) => {
            renewed.epoch = renewed.epoch.max(lease.epoch);
            Change::Write(renewed)
        }
        other => other,
    }
}

/// [`Leaser::release`](crate::Leaser::release).
#[must_use]
pub fn release(stored: Option<&Lease>, lease: &Lease) -> Change<Lease> {
    match renew(stored, lease) {
        Change::Write(mut released) => {
            released.owner = None;
            released.token = None;
            Change::Write(released)
        }
        other => other,
    }
}

/// [`Checkpointer::ensure`](crate::Checkpointer::ensure): `lease` wants the checkpoint, `held` is
/// the lease of the partition in the same store, if the store keeps leases and has it.
#[must_use]
pub fn fence(held: Option<&Lease>, stored: Option<&Mark>, lease: &Lease) -> Change<Mark> {
    let Some(token) = &lease.token else { return Change::Lost };
    if held.is_some_and(|held| !lease.is_generation_of(held)) {
        return Change::Lost;
    }
    let checkpoint = stored.and_then(|stored| stored.checkpoint.clone());
    let mark = Mark::new(lease.epoch, token.clone(), checkpoint);
    match stored {
        None => Change::Write(mark),
        Some(stored) if stored.token == *token => Change::Keep(stored.clone()),
        // Levels begin anew when a lease was deleted; the lease itself knows better.
        Some(_) if held.is_some() => Change::Write(mark),
        Some(stored) if lease.epoch > stored.epoch => Change::Write(mark),
        // Without levels there is no order, and who comes last is the owner.
        Some(stored) if stored.epoch == OwnerLevel::ZERO => Change::Write(mark),
        Some(_) => Change::Lost,
    }
}

/// [`Checkpointer::store`](crate::Checkpointer::store), once there is a mark. `Keep` has the mark
/// that is stored: with the very checkpoint, or with a later one.
#[must_use]
pub fn commit(
    held: Option<&Lease>,
    stored: &Mark,
    lease: &Lease,
    checkpoint: &Checkpoint,
) -> Change<Mark> {
    let is_ours = lease.token.as_ref() == Some(&stored.token);
    if !is_ours || held.is_some_and(|held| !lease.is_generation_of(held)) {
        return Change::Lost;
    }
    let before = stored.checkpoint.as_ref();
    if before.is_some_and(|before| before.sequence_number >= checkpoint.sequence_number) {
        return Change::Keep(stored.clone());
    }
    let checkpoint = checkpoint.keeping_unknown_of(before);
    Change::Write(Mark { checkpoint: Some(checkpoint), ..stored.clone() })
}

/// Owner level of the ownership that has the checkpoint, for [`Fence::Lost`].
#[must_use]
pub fn holder(held: Option<&Lease>, stored: Option<&Mark>) -> OwnerLevel {
    let held = held.map_or(OwnerLevel::ZERO, |held| held.epoch);
    held.max(stored.map_or(OwnerLevel::ZERO, |stored| stored.epoch))
}
