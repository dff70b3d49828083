//! One host, and its clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::Idle;
use eventhubs_eph::ownership::{Epochs, Generation, Moment, Ownership, Step};
use eventhubs_eph::suspicion::Suspicion;
use eventhubs_eph::{Lease, LeaseTable, OwnerId, PresenceTable};
use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::plan::Role;
use crate::post::Post;

/// The clocks of a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Millionths that it runs too fast, up to 1 %.
    pub(super) drift: i64,
    /// Seconds that the wall clock is ahead of a day that is right.
    pub(super) ahead: i64,
    /// From when on nothing depends any more on a day that was set.
    pub(super) trusted_from: Duration,
    /// For how long the monotonic clock stood still.
    pub(super) suspended: Duration,
}

/// What the true day begins with, so that clocks can be behind it.
const DAY: Duration = Duration::from_secs(86_400);

impl Clock {
    pub(super) fn read(&self, now: Duration) -> Moment {
        let wall = self.drifted(now);
        let monotonic = wall.saturating_sub(self.suspended);
        let ahead = Duration::from_secs(self.ahead.unsigned_abs());
        let day = if self.ahead < 0 { DAY.saturating_sub(ahead) } else { DAY + ahead };
        Moment { monotonic, wall: UNIX_EPOCH + day + wall }
    }

    /// The true time that goes by while the clock shows so much.
    pub(super) fn true_time(&self, shown: Duration) -> Duration {
        let millionths = (1_000_000 + self.drift).unsigned_abs();
        let micros = u64::try_from(shown.as_micros()).unwrap_or(u64::MAX).min(1 << 40);
        Duration::from_micros(micros * 1_000_000 / millionths + 1)
    }

    fn drifted(&self, now: Duration) -> Duration {
        let millionths = u128::from((1_000_000 + self.drift).unsigned_abs());
        let nanos = now.as_nanos() * millionths / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A partition on a host, from the claim that was won to the end.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) ownership: Ownership,
    /// As the store had it last.
    pub(super) lease: Lease,
    /// Whether the checkpoint was taken over.
    pub(super) is_begun: bool,
    /// Whether there is a receiver.
    pub(super) is_linked: bool,
    /// Whether the next event is asked for.
    pub(super) is_waiting: bool,
    /// The epoch that the store is to have before the receiver is attached.
    pub(super) raise: Option<OwnerLevel>,
    /// The next event.
    pub(super) position: u64,
    /// The event that a handler has.
    pub(super) busy: Option<u64>,
    /// What the store has.
    pub(super) stored: u64,
    /// A checkpoint is on its way.
    pub(super) is_writing: bool,
    /// The step of the way out that is waited for.
    pub(super) step: Option<Step>,
    /// Looks at the clock that were asked for; only the last one counts.
    pub(super) looks: u64,
    /// When the last of them was due, by the host's clock.
    pub(super) due: Duration,
}

impl Owned {
    /// Which ownership it is, on that host.
    pub(super) fn post(&self, host: usize) -> Post {
        let Generation { partition, token, .. } = self.ownership.generation().clone();
        Post { host, partition, token }
    }

    /// Events that are handled with none missing before them.
    pub(super) fn handled(&self) -> u64 {
        self.position - u64::from(self.busy.is_some())
    }
}

/// A list of leases to which some are still to be added.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) table: LeaseTable,
    pub(super) presence: PresenceTable,
    /// Leases that are on their way.
    pub(super) missing: usize,
    pub(super) is_complete: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: OwnerId,
    pub(super) clock: Clock,
    pub(super) is_alive: bool,
    /// It gives everything back and ends.
    pub(super) is_stopping: bool,
    pub(super) sleeps_until: Duration,
    pub(super) cut_until: Duration,
    /// Until when it does not reach the broker.
    pub(super) hub_cut_until: Duration,
    pub(super) role: Role,
    /// Partitions of the hub that it knows of.
    pub(super) partitions: u16,
    pub(super) suspicion: Suspicion,
    pub(super) is_first_scan: bool,
    pub(super) is_scanning: bool,
    pub(super) gathering: Option<Gathering>,
    pub(super) idle: Idle,
    pub(super) epochs: Epochs,
    pub(super) owned: BTreeMap<PartitionId, Owned>,
    /// Partitions with a claim on its way.
    pub(super) claiming: BTreeSet<PartitionId>,
}

impl Host {
    pub(super) fn is_serving(&self) -> bool {
        self.is_alive && !self.is_stopping
    }
}
