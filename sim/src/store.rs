//! The store: leases, checkpoints and presence records. Each call takes effect at one moment, and
//! what it changes is decided by [`eventhubs_eph::rules`], as in any store.

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_eph::rules::{self, Change, Mark};
use eventhubs_eph::{
    Acquire, Checkpoint, Claim, Commit, Fence, Hold, Lease, LeaseTable, OwnerId, Presence,
    PresenceTable, Version,
};
use eventhubs_protocol::{Offset, PartitionId, SequenceNumber, Timestamp};

use crate::bug::Bug;

/// A call of a host.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Make the store.
    Make,
    Announce(Presence),
    Withdraw(OwnerId),
    List,
    Ensure(PartitionId),
    /// Take a lease that is still as it was seen.
    Acquire(Lease, Claim),
    Renew(Lease),
    /// Raise the epoch.
    Update(Lease),
    Release(Lease),
    /// Take the checkpoint over.
    Fence(Lease),
    /// So many events are handled with none missing.
    Commit(Lease, u64),
}

impl Call {
    /// The partition it is about.
    pub(crate) fn partition(&self) -> Option<PartitionId> {
        match self {
            Self::Make | Self::Announce(_) | Self::Withdraw(_) | Self::List => None,
            Self::Ensure(partition) => Some(*partition),
            Self::Acquire(lease, _)
            | Self::Renew(lease)
            | Self::Update(lease)
            | Self::Release(lease)
            | Self::Fence(lease)
            | Self::Commit(lease, _) => Some(lease.partition),
        }
    }
}

/// What the store answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done,
    Listed(LeaseTable, PresenceTable),
    Ensured(Lease),
    Acquired(Acquire),
    Held(Hold),
    Released(bool),
    Fenced(Fence),
    Committed(Commit),
    /// There is no store.
    Missing,
    /// Nothing is known: a fault.
    Failed,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    exists: bool,
    /// Writes of leases so far, so that no version comes twice.
    writes: u64,
    leases: BTreeMap<PartitionId, Lease>,
    marks: BTreeMap<PartitionId, Mark>,
    presences: BTreeMap<OwnerId, Presence>,
    bug: Option<Bug>,
}

impl Store {
    /// A store that has to be made.
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self {
            exists: false,
            writes: 0,
            leases: BTreeMap::new(),
            marks: BTreeMap::new(),
            presences: BTreeMap::new(),
            bug,
        }
    }

    pub(crate) fn lease(&self, partition: PartitionId) -> Option<&Lease> {
        self.leases.get(&partition)
    }

    /// All is gone.
    pub(crate) fn delete(&mut self) {
        self.exists = false;
        self.leases.clear();
        self.marks.clear();
        self.presences.clear();
    }

    pub(crate) fn delete_lease(&mut self, partition: PartitionId) {
        self.leases.remove(&partition);
    }

    /// The lease belongs to nobody any more.
    pub(crate) fn break_lease(&mut self, partition: PartitionId, now: Duration) {
        if let Some(mut lease) = self.leases.get(&partition).cloned() {
            (lease.owner, lease.token) = (None, None);
            self.write(lease, date(now));
        }
    }

    pub(crate) fn perform(&mut self, call: &Call, now: Duration) -> Answer {
        let date = date(now);
        if matches!(call, Call::Make) {
            self.exists = true;
            return Answer::Done;
        }
        if !self.exists {
            return Answer::Missing;
        }
        match call {
            Call::Make => Answer::Done,
            Call::Announce(presence) => {
                let mut presence = presence.clone();
                presence.seen = date;
                self.presences.insert(presence.owner.clone(), presence);
                Answer::Done
            }
            Call::Withdraw(owner) => {
                self.presences.remove(owner);
                Answer::Done
            }
            Call::List => Answer::Listed(
                LeaseTable::new(date, self.leases.values().cloned().collect()),
                PresenceTable::new(date, self.presences.values().cloned().collect()),
            ),
            Call::Ensure(partition) => Answer::Ensured(match self.leases.get(partition) {
                Some(lease) => lease.clone(),
                None => self.write(Lease::free(*partition), date),
            }),
            Call::Acquire(seen, claim) => self.acquire(seen, claim, date),
            Call::Renew(lease) => {
                let stored = self.leases.get(&lease.partition);
                let change = match (self.bug, stored) {
                    (Some(Bug::RenewWithoutToken), Some(stored)) => {
                        rules::renew(Some(stored), stored)
                    }
                    _ => rules::renew(stored, lease),
                };
                self.hold(change, lease.partition, date)
            }
            Call::Update(lease) => {
                let change = rules::update(self.leases.get(&lease.partition), lease);
                self.hold(change, lease.partition, date)
            }
            Call::Release(lease) => {
                let change = rules::release(self.leases.get(&lease.partition), lease);
                let held = self.hold(change, lease.partition, date);
                Answer::Released(matches!(held, Answer::Held(Hold::Kept(_))))
            }
            Call::Fence(lease) => self.fence(lease),
            Call::Commit(lease, count) => self.commit(lease, *count),
        }
    }

    fn acquire(&mut self, seen: &Lease, claim: &Claim, date: Timestamp) -> Answer {
        let stored = self.leases.get(&seen.partition);
        let mut change = match (self.bug, stored) {
            (Some(Bug::NoCompare), Some(stored)) => rules::acquire(Some(stored), stored, claim),
            _ => rules::acquire(stored, seen, claim),
        };
        if self.bug == Some(Bug::EqualEpoch)
            && let (Change::Write(lease), Some(stored)) = (&mut change, stored)
        {
            lease.epoch = stored.epoch;
        }
        match self.hold(change, seen.partition, date) {
            Answer::Held(Hold::Kept(lease)) => Answer::Acquired(Acquire::Won(lease)),
            Answer::Held(Hold::Lost(lease)) => Answer::Acquired(Acquire::Lost(lease)),
            other => other,
        }
    }

    fn fence(&mut self, lease: &Lease) -> Answer {
        let held = self.leases.get(&lease.partition);
        let stored = self.marks.get(&lease.partition);
        Answer::Fenced(match rules::fence(held, stored, lease) {
            Change::Write(mark) => {
                self.marks.insert(lease.partition, mark.clone());
                Fence::Up(mark.checkpoint)
            }
            Change::Keep(mark) => Fence::Up(mark.checkpoint),
            Change::Lost => Fence::Lost { epoch: rules::holder(held, stored) },
        })
    }

    fn commit(&mut self, lease: &Lease, count: u64) -> Answer {
        // The host ensured it, so the store was deleted since.
        let Some(stored) = self.marks.get(&lease.partition) else { return Answer::Missing };
        let Some(checkpoint) = checkpoint(count) else { return Answer::Committed(Commit::Stored) };
        let held = self.leases.get(&lease.partition);
        let mut change = rules::commit(held, stored, lease, &checkpoint);
        let is_lost = matches!(change, Change::Lost);
        let is_blind = match self.bug {
            Some(Bug::CheckpointWithoutToken) => is_lost,
            Some(Bug::CheckpointBackwards) => !is_lost,
            _ => false,
        };
        if is_blind {
            let (epoch, token) = (stored.epoch, stored.token.clone());
            change = Change::Write(Mark::new(epoch, token, Some(checkpoint.clone())));
        }
        if let Change::Write(mark) = &change {
            self.marks.insert(lease.partition, mark.clone());
        }
        Answer::Committed(change.into_commit(&checkpoint))
    }

    fn hold(&mut self, change: Change<Lease>, partition: PartitionId, date: Timestamp) -> Answer {
        Answer::Held(match change {
            Change::Write(lease) => Hold::Kept(self.write(lease, date)),
            Change::Keep(lease) => Hold::Kept(lease),
            Change::Lost => Hold::Lost(self.leases.get(&partition).cloned()),
        })
    }

    fn write(&mut self, mut lease: Lease, date: Timestamp) -> Lease {
        self.writes += 1;
        lease.version = Version::new(&self.writes.to_string());
        lease.renewed = date;
        self.leases.insert(lease.partition, lease.clone());
        lease
    }
}

/// A moment as the store dates it.
pub(crate) fn date(now: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(now)
}

/// The checkpoint of a partition of which so many events are handled.
fn checkpoint(count: u64) -> Option<Checkpoint> {
    let last = i64::try_from(count.checked_sub(1)?).unwrap_or(i64::MAX);
    let offset = Offset::new(&last.to_string()).ok()?;
    Some(Checkpoint::new(offset, SequenceNumber::from(last), None))
}

/// Events that are handled when this is the checkpoint.
pub(crate) fn handled(checkpoint: Option<&Checkpoint>) -> u64 {
    let last = checkpoint.map(|checkpoint| checkpoint.sequence_number.as_i64());
    last.and_then(|last| u64::try_from(last).ok()).map_or(0, |last| last + 1)
}
