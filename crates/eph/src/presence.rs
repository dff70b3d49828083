//! Who else is there: a record each host keeps, so that a fair share is known before it is taken.

use std::time::Duration;

use eventhubs_protocol::Timestamp;

use crate::owner::OwnerId;

/// What a host says of itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::{OwnerId, Presence};
///
/// let presence = Presence::new(OwnerId::unique(), Duration::from_secs(60))
///     .with_weight(2)
///     .with_maximum(10);
/// assert_eq!((presence.weight, presence.maximum), (2, Some(10)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// The host.
    pub owner: OwnerId,
    /// How long this holds without being announced again.
    pub duration: Duration,
    /// The host's share relative to others; 1 unless said otherwise. 0 is for a host that leaves or
    /// only stands by: it has no share, and others take what it holds.
    pub weight: u32,
    /// Partitions it has at most; no limit unless said otherwise.
    pub maximum: Option<u32>,
    /// When it was announced last, by the clock of the store. Stores set it.
    pub seen: Timestamp,
}

impl Presence {
    /// The presence of a host with weight 1 and no limit.
    #[must_use]
    pub fn new(owner: OwnerId, duration: Duration) -> Self {
        Self { owner, duration, weight: 1, maximum: None, seen: Timestamp::UNIX_EPOCH }
    }

    /// The same host with another weight.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The same host with so many partitions at most.
    #[must_use]
    pub fn with_maximum(mut self, partitions: u32) -> Self {
        self.maximum = Some(partitions);
        self
    }

    /// Whether the host is there at `date`, a moment of the store's clock.
    #[must_use]
    pub fn is_present(&self, date: Timestamp) -> bool {
        date.saturating_since(self.seen) < self.duration
    }
}

/// The presences of a group at one moment.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::PresenceTable;
/// use eventhubs_protocol::Timestamp;
///
/// assert_eq!(PresenceTable::new(Timestamp::UNIX_EPOCH, Vec::new()).present().count(), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceTable {
    /// A moment of the store's own clock, not before anything that is told of in the table.
    pub date: Timestamp,
    /// The presences, each host once, in order of owner ids. Lapsed ones may be left out.
    pub presences: Vec<Presence>,
}

impl PresenceTable {
    /// A table, put in order.
    #[must_use]
    pub fn new(date: Timestamp, mut presences: Vec<Presence>) -> Self {
        presences.sort_by(|one, other| one.owner.cmp(&other.owner));
        Self { date, presences }
    }

    /// The hosts that were there at the date of the table.
    pub fn present(&self) -> impl Iterator<Item = &Presence> {
        self.presences.iter().filter(|presence| presence.is_present(self.date))
    }
}
