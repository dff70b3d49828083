//! Signs that hosts are set up wrongly, and what is held off because of them: [`Suspicion`] is told
//! what happens to one host and decides; it does nothing.
//!
//! Hosts that use two stores take partitions from each other without end: each store says that its
//! host is the owner, and the service lets whoever came last have the partition. No host can see the
//! other store. But it can see that it is stolen from while its store still says that the partition
//! is its own, and again and again. Then it waits before it takes the partition again, twice as long
//! each time, so that whoever has the partition gets on with it meanwhile.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId, Timestamp};

use crate::lease::{EpochMode, LeaseTable};
use crate::owner::OwnerId;
use crate::ownership::End;

/// How long something counts, and how long the same thing is not told again.
pub const MEMORY: Duration = Duration::from_secs(600);

/// Times in [`MEMORY`] that a partition may be stolen before it is held off.
pub const THEFTS_MAX: usize = 3;

/// Thefts of a partition in [`MEMORY`] after which the store still named this host that are told as
/// a second store. One may be a person who looks into the partition.
const CONTRADICTIONS: usize = 2;

/// The first hold-off. Each further one is twice as long.
const HOLD_OFF: Duration = Duration::from_secs(30);

/// The longest hold-off.
const HOLD_OFF_MAX: Duration = Duration::from_secs(600);

/// How far the date of a store may run back before it is told.
const BACK_MAX: Duration = Duration::from_secs(1);

/// Something that is set up wrongly, as far as one host can tell.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::suspicion::Misconfiguration;
///
/// let told = Misconfiguration::EpochPingPong { partition: 3.into(), thefts: 4 };
/// assert_eq!(told.to_string(), "partition 3 was taken away 4 times within 10 minutes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misconfiguration {
    /// The service gave a partition to another receiver while the store had this host as its owner:
    /// other hosts of the group use another store, or something else reads with an owner level.
    SecondStore {
        /// One that was taken.
        partition: PartitionId,
    },
    /// A partition is taken away again and again.
    EpochPingPong {
        /// The partition.
        partition: PartitionId,
        /// How often within [`MEMORY`].
        thefts: usize,
    },
    /// A lease belongs to a host that chooses owner levels otherwise. Hosts with
    /// [`EpochMode::Rising`] lock those with [`EpochMode::Zero`] out, and processors of other SDKs.
    ForeignOwners {
        /// A partition it owns.
        partition: PartitionId,
        /// Who it is.
        owner: OwnerId,
        /// The owner level of its lease.
        epoch: OwnerLevel,
    },
    /// A clock, or the time this process gets, is not as leases need it.
    ClockTrouble(ClockTrouble),
}

impl fmt::Display for Misconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecondStore { partition } => write!(
                f,
                "the service gave partition {partition} to another receiver while the store has \
                 this host as its owner: do all hosts of the group use one store?"
            ),
            Self::EpochPingPong { partition, thefts } => {
                write!(f, "partition {partition} was taken away {thefts} times within 10 minutes")
            }
            Self::ForeignOwners { partition, owner, epoch } => write!(
                f,
                "'{owner}' owns partition {partition} with owner level {epoch}: do all hosts of \
                 the group choose owner levels alike?"
            ),
            Self::ClockTrouble(trouble) => trouble.fmt(f),
        }
    }
}

/// What is wrong with time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use eventhubs_eph::suspicion::ClockTrouble;
///
/// let told = ClockTrouble::StoreWentBack { by: Duration::from_secs(90) };
/// assert_eq!(told.to_string(), "the clock of the store went back by 90s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockTrouble {
    /// The date of a list was before that of an earlier one.
    StoreWentBack {
        /// By how much.
        by: Duration,
    },
    /// Renewals begin later than they are due by more than a third of the lease.
    RenewedLate {
        /// By how much.
        by: Duration,
    },
    /// The time of day ran ahead of the monotonic clock: the machine was suspended, or its clock
    /// was set forward. An ownership ended because of it.
    Jumped,
}

impl fmt::Display for ClockTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreWentBack { by } => write!(f, "the clock of the store went back by {by:?}"),
            Self::RenewedLate { by } => {
                write!(f, "a lease was renewed {by:?} late: does this process get enough time?")
            }
            Self::Jumped => {
                f.write_str("the time of day jumped: was this machine suspended, or its clock set?")
            }
        }
    }
}

/// What is told at most once in [`MEMORY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    SecondStore,
    EpochPingPong,
    ForeignOwners,
    ClockTrouble,
}

impl Misconfiguration {
    fn kind(&self) -> Kind {
        match self {
            Self::SecondStore { .. } => Kind::SecondStore,
            Self::EpochPingPong { .. } => Kind::EpochPingPong,
            Self::ForeignOwners { .. } => Kind::ForeignOwners,
            Self::ClockTrouble(_) => Kind::ClockTrouble,
        }
    }
}

/// What is known of one partition.
#[derive(Clone, Debug, Default)]
struct Record {
    /// When it was stolen, within [`MEMORY`]; at most one more than [`THEFTS_MAX`] are kept.
    thefts: VecDeque<Duration>,
    /// Which of these the store contradicted.
    contradictions: VecDeque<Duration>,
    /// The last theft, until a list says what the store makes of it.
    unexplained: Option<Duration>,
    /// Hold-offs in a row.
    hold_offs: u32,
    held_until: Duration,
}

impl Record {
    fn hold_off(&mut self, now: Duration) {
        let factor = 1_u32 << self.hold_offs.min(10);
        self.held_until = now + HOLD_OFF.saturating_mul(factor).min(HOLD_OFF_MAX);
        self.hold_offs += 1;
    }

    /// Forgets what is long ago.
    fn age(&mut self, now: Duration) {
        for times in [&mut self.thefts, &mut self.contradictions] {
            times.retain(|time| now.saturating_sub(*time) < MEMORY);
            let excess = times.len().saturating_sub(THEFTS_MAX);
            times.drain(..excess);
        }
        if now.saturating_sub(self.held_until) >= MEMORY {
            self.hold_offs = 0;
        }
    }
}

/// What a host suspects. Times are those of its monotonic clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use eventhubs_eph::EpochMode;
/// use eventhubs_eph::ownership::End;
/// use eventhubs_eph::suspicion::{Misconfiguration, Suspicion};
///
/// let mut suspicion = Suspicion::new(EpochMode::Rising, Duration::from_secs(60));
/// let at = |minute: u64| Duration::from_secs(60 * minute);
/// for minute in 1..=3 {
///     assert_eq!(suspicion.ended(3.into(), End::Stolen, at(minute)), None);
/// }
/// let told = suspicion.ended(3.into(), End::Stolen, at(4));
/// assert_eq!(told, Some(Misconfiguration::EpochPingPong { partition: 3.into(), thefts: 4 }));
/// assert!(suspicion.held_off(at(4)).contains(&3.into()));
/// assert!(suspicion.held_off(at(5)).is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Suspicion {
    mode: EpochMode,
    lease: Duration,
    partitions: BTreeMap<PartitionId, Record>,
    /// Partitions with a receiver.
    linked: BTreeSet<PartitionId>,
    /// Until when this host does not take any partition, and how often that came in a row.
    stands_by: (Duration, u32),
    /// The latest date of a list.
    date: Option<Timestamp>,
    told: BTreeMap<Kind, Duration>,
}

impl Suspicion {
    /// Of a host that suspects nothing yet, with leases of that length.
    #[must_use]
    pub fn new(mode: EpochMode, lease: Duration) -> Self {
        Self {
            mode,
            lease,
            partitions: BTreeMap::new(),
            linked: BTreeSet::new(),
            stands_by: (Duration::ZERO, 0),
            date: None,
            told: BTreeMap::new(),
        }
    }

    /// A receiver of the partition was attached: the service can be reached.
    pub fn linked(&mut self, partition: PartitionId) {
        self.linked.insert(partition);
        self.stands_by = (Duration::ZERO, 0);
    }

    /// There is no receiver of the partition any more.
    pub fn unlinked(&mut self, partition: PartitionId) {
        self.linked.remove(&partition);
    }

    /// An ownership ended.
    pub fn ended(
        &mut self,
        partition: PartitionId,
        end: End,
        now: Duration,
    ) -> Option<Misconfiguration> {
        self.linked.remove(&partition);
        match end {
            End::Stolen | End::EpochRefused => self.stolen(partition, now),
            End::Unlinked => {
                self.unreachable(partition, now);
                None
            }
            End::ClockJump => self.trouble(ClockTrouble::Jumped, now),
            End::Released | End::Lost | End::Unproven => None,
        }
    }

    /// A renewal was begun, later than it was due by so much.
    pub fn renewed(&mut self, late: Duration, now: Duration) -> Option<Misconfiguration> {
        match late > self.lease / 3 {
            true => self.trouble(ClockTrouble::RenewedLate { by: late }, now),
            false => None,
        }
    }

    /// The leases were listed, by a call that was begun at `asked`.
    pub fn listed(
        &mut self,
        own: &OwnerId,
        table: &LeaseTable,
        asked: Duration,
        now: Duration,
    ) -> Vec<Misconfiguration> {
        let mut told = Vec::new();
        let before = self.date.unwrap_or(table.date);
        let back = before.saturating_since(table.date);
        self.date = Some(table.date);
        if back > BACK_MAX {
            told.extend(self.trouble(ClockTrouble::StoreWentBack { by: back }, now));
        }
        let is_foreign = |epoch| (epoch == OwnerLevel::ZERO) != (self.mode == EpochMode::Zero);
        let held = |lease| -> Option<&OwnerId> { crate::Lease::holder(lease, table.date) };
        let foreign = table.leases.iter().find_map(|lease| {
            let owner = held(lease).filter(|owner| *owner != own && is_foreign(lease.epoch))?;
            let (partition, epoch) = (lease.partition, lease.epoch);
            Some(Misconfiguration::ForeignOwners { partition, owner: owner.clone(), epoch })
        });
        told.extend(foreign.and_then(|foreign| self.tell(foreign, now)));
        for lease in &table.leases {
            let is_own = held(lease) == Some(own);
            told.extend(self.explained(lease.partition, is_own, asked, now));
        }
        told
    }

    /// Partitions that are not to be taken now.
    #[must_use]
    pub fn held_off(&self, now: Duration) -> BTreeSet<PartitionId> {
        let held = self.partitions.iter().filter(|(_, record)| record.held_until > now);
        held.map(|(partition, _)| *partition).collect()
    }

    /// Whether this host is not to take any partition now, and to say so with a weight of 0: it
    /// gave partitions back because it had no receiver for any.
    #[must_use]
    pub fn stands_by(&self, now: Duration) -> bool {
        self.stands_by.0 > now
    }

    fn stolen(&mut self, partition: PartitionId, now: Duration) -> Option<Misconfiguration> {
        let record = self.partitions.entry(partition).or_default();
        record.age(now);
        record.thefts.push_back(now);
        record.unexplained = Some(now);
        let thefts = record.thefts.len();
        if thefts <= THEFTS_MAX && record.hold_offs == 0 {
            return None;
        }
        record.hold_off(now);
        match thefts > THEFTS_MAX {
            true => self.tell(Misconfiguration::EpochPingPong { partition, thefts }, now),
            false => None,
        }
    }

    /// What the store says after a theft: in one store, who steals has the lease before.
    fn explained(
        &mut self,
        partition: PartitionId,
        is_own: bool,
        asked: Duration,
        now: Duration,
    ) -> Option<Misconfiguration> {
        let record = self.partitions.get_mut(&partition)?;
        let theft = record.unexplained.take_if(|theft| *theft < asked)?;
        if !is_own {
            return None;
        }
        record.age(now);
        record.contradictions.push_back(theft);
        match record.contradictions.len() >= CONTRADICTIONS {
            true => self.tell(Misconfiguration::SecondStore { partition }, now),
            false => None,
        }
    }

    /// A partition was given back because there was no receiver.
    fn unreachable(&mut self, partition: PartitionId, now: Duration) {
        let record = self.partitions.entry(partition).or_default();
        record.age(now);
        if record.held_until <= now {
            record.hold_off(now);
        }
        let (until, times) = self.stands_by;
        if self.linked.is_empty() && until <= now {
            let long = HOLD_OFF.saturating_mul(1 << times.min(10)).min(HOLD_OFF_MAX);
            self.stands_by = (now + long, times + 1);
        }
    }

    fn trouble(&mut self, trouble: ClockTrouble, now: Duration) -> Option<Misconfiguration> {
        self.tell(Misconfiguration::ClockTrouble(trouble), now)
    }

    fn tell(&mut self, told: Misconfiguration, now: Duration) -> Option<Misconfiguration> {
        let kind = told.kind();
        if self.told.get(&kind).is_some_and(|before| now.saturating_sub(*before) < MEMORY) {
            return None;
        }
        self.told.insert(kind, now);
        Some(told)
    }
}

#[cfg(test)]
mod tests;
