//! A lease of a partition, a claim to it, and the list of all.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId, Timestamp};

use crate::error::StoreError;
use crate::owner::{LeaseToken, OwnerId};
use crate::record::{self, InvalidRecord, Record};

/// How long a lease lasts unless something else is asked for: 60 seconds.
pub const DEFAULT_LEASE_DURATION: Duration = Duration::from_secs(60);

/// One state of a record in a store, opaque: an ETag, a row version, a counter.
///
/// A store gives every write of a record another one and never gives one again, not even after
/// the record was deleted and made anew.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Version;
///
/// assert_ne!(Version::new("0x8D1"), Version::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

impl Version {
    /// Takes the text of a version.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who owns a partition, as the store had it when this was read.
///
/// A value, not a handle: holding one proves nothing. What proves ownership is that
/// [`renew`](crate::Leaser::renew) keeps it.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::Lease;
/// use eventhubs_protocol::{PartitionId, Timestamp};
///
/// let body = br#"{"partitionID":"3","epoch":7,"owner":"host-a","token":"t","mine":[1]}"#;
/// let lease = Lease::from_json(body)?;
/// assert_eq!(lease.partition, PartitionId::from(3));
/// assert!(lease.owner.is_some());
/// // What this library does not know stays in the record.
/// assert!(String::from_utf8_lossy(&lease.to_json()).contains(r#""mine":[1]"#));
/// # Ok::<(), eventhubs_eph::InvalidRecord>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Lease {
    /// The partition.
    pub partition: PartitionId,
    /// Owner level of this ownership, or of the last one when nobody owns the partition.
    pub epoch: OwnerLevel,
    /// The owner; `None` when the lease was released or never acquired.
    pub owner: Option<OwnerId>,
    /// The token of this ownership; `None` exactly when there is no owner.
    pub token: Option<LeaseToken>,
    /// How long the lease lasts without being renewed.
    pub duration: Duration,
    /// When the lease was acquired or renewed last, by the clock of the store.
    pub renewed: Timestamp,
    /// The state of the record that this was read from.
    pub version: Version,
    /// What the record holds that this library does not know.
    unknown: Record,
}

impl Lease {
    /// A lease nobody owns, with owner level 0.
    #[must_use]
    pub fn free(partition: PartitionId) -> Self {
        Self {
            partition,
            epoch: OwnerLevel::ZERO,
            owner: None,
            token: None,
            duration: DEFAULT_LEASE_DURATION,
            renewed: Timestamp::UNIX_EPOCH,
            version: Version::default(),
            unknown: Record::default(),
        }
    }

    /// Whether nobody owns the partition at `date`, a moment of the store's clock: released, never
    /// acquired, or not renewed for the whole duration.
    ///
    /// Never compare with the clock of this machine; use [`LeaseTable::date`].
    #[must_use]
    pub fn is_free(&self, date: Timestamp) -> bool {
        self.token.is_none() || date.saturating_since(self.renewed) >= self.duration
    }

    /// Who owns the partition at `date`, a moment of the store's clock.
    #[must_use]
    pub fn holder(&self, date: Timestamp) -> Option<&OwnerId> {
        self.owner.as_ref().filter(|_| !self.is_free(date))
    }

    /// Whether this is the ownership of `other`: the same partition, owner and token.
    #[must_use]
    pub fn is_generation_of(&self, other: &Self) -> bool {
        let same = |one: &Self| (one.partition, one.token.clone(), one.owner.clone());
        self.token.is_some() && same(self) == same(other)
    }

    /// The body of the lease as JSON, with the names of the Go library: `partitionID`, `epoch`,
    /// `owner`, `token`, then `leaseMilliseconds` and what was unknown when it was read.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_record().to_json()
    }

    pub(crate) fn to_record(&self) -> Record {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let mut record = Record::default();
        record.set(record::PARTITION, self.partition.to_string());
        record.set(record::EPOCH, self.epoch.as_i64());
        record.set(record::OWNER, text(self.owner.as_ref().map(OwnerId::as_str)));
        record.set(record::TOKEN, text(self.token.as_ref().map(LeaseToken::as_str)));
        record.set(record::DURATION, record::millis(self.duration));
        record.append(&self.unknown);
        record
    }

    /// Reads a body.
    ///
    /// The names may be spelt as the Go, .NET, Java or Python hosts spell them, and there may be a
    /// byte order mark. A missing duration is [`DEFAULT_LEASE_DURATION`]; a negative epoch, which a
    /// Java host begins with, is 0. What the store adds ([`renewed`](Self::renewed),
    /// [`version`](Self::version)) is left empty.
    ///
    /// # Errors
    ///
    /// The body is no JSON object of the expected shape, or beyond the limits of
    /// [`InvalidRecord`].
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidRecord> {
        Self::from_record(Record::from_json(body)?)
    }

    pub(crate) fn from_record(mut record: Record) -> Result<Self, InvalidRecord> {
        let partition = record.text(record::PARTITION)?;
        let partition = partition
            .as_deref()
            .and_then(|text| PartitionId::new(text).ok())
            .ok_or_else(|| InvalidRecord::field(record::PARTITION))?;
        let epoch = record.number(record::EPOCH)?.unwrap_or_default().max(0);
        let epoch = OwnerLevel::new(epoch).map_err(|_| InvalidRecord::field(record::EPOCH))?;
        let owner = match record.text(record::OWNER)? {
            Some(text) => {
                Some(OwnerId::new(&text).map_err(|_| InvalidRecord::field(record::OWNER))?)
            }
            None => None,
        };
        let token = match record.text(record::TOKEN)? {
            Some(text) => {
                Some(LeaseToken::new(&text).map_err(|_| InvalidRecord::field(record::TOKEN))?)
            }
            None => None,
        };
        let duration = match record.number(record::DURATION)?.map(u64::try_from) {
            None => DEFAULT_LEASE_DURATION,
            Some(Ok(millis)) => Duration::from_millis(millis),
            Some(Err(_)) => return Err(InvalidRecord::field(record::DURATION)),
        };
        Ok(Self { epoch, owner, token, duration, unknown: record, ..Self::free(partition) })
    }
}

/// How owner levels are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EpochMode {
    /// Each ownership has a higher level than all before it, so that the hub refuses former owners.
    #[default]
    Rising,
    /// Level 0 always, for fleets shared with processors of other SDKs, which use nothing else and
    /// would be locked out by a higher level. The guarantee is weaker: receivers of one level take
    /// a partition from each other.
    Zero,
}

/// What a host asks for when it wants a partition.
///
/// Make one per wish, and use the same again when the call is repeated: by its token the store
/// knows a repetition from a second wish.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::{Claim, EpochMode, LeaseToken, OwnerId};
/// use eventhubs_protocol::OwnerLevel;
///
/// let claim = Claim::new(OwnerId::unique(), LeaseToken::unique())
///     .with_duration(Duration::from_secs(30))
///     .with_epoch_at_least(OwnerLevel::new(8)?);
/// assert_eq!(claim.epoch_after(OwnerLevel::new(3)?), OwnerLevel::new(8)?);
/// assert_eq!(claim.epoch_after(OwnerLevel::new(8)?), OwnerLevel::new(9)?);
/// assert_eq!(claim.with_epochs(EpochMode::Zero).epoch_after(OwnerLevel::new(8)?), OwnerLevel::ZERO);
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Who wants the partition.
    pub owner: OwnerId,
    /// The token of the ownership, should it be won.
    pub token: LeaseToken,
    /// How long the lease is to last; 60 seconds unless said otherwise.
    pub duration: Duration,
    /// How its owner level is chosen.
    pub epochs: EpochMode,
    /// Lowest owner level to take: above what the hub was heard to have, should the store have
    /// lost its own.
    pub epoch_at_least: OwnerLevel,
}

impl Claim {
    /// A claim with the defaults.
    #[must_use]
    pub fn new(owner: OwnerId, token: LeaseToken) -> Self {
        Self {
            owner,
            token,
            duration: DEFAULT_LEASE_DURATION,
            epochs: EpochMode::Rising,
            epoch_at_least: OwnerLevel::ZERO,
        }
    }

    /// The same claim to a lease of another duration.
    #[must_use]
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// The same claim with another choice of owner levels.
    #[must_use]
    pub fn with_epochs(mut self, epochs: EpochMode) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same claim to at least this owner level.
    #[must_use]
    pub fn with_epoch_at_least(mut self, epoch: OwnerLevel) -> Self {
        self.epoch_at_least = epoch;
        self
    }

    /// The owner level of the ownership, when the store has `stored`. Above the highest level there
    /// is none: it stays.
    #[must_use]
    pub fn epoch_after(&self, stored: OwnerLevel) -> OwnerLevel {
        match self.epochs {
            EpochMode::Rising => stored.next().max(self.epoch_at_least),
            EpochMode::Zero => OwnerLevel::ZERO,
        }
    }
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Acquire {
    /// The partition is owned under this lease.
    Won(Lease),
    /// Somebody else was faster, and nothing was changed. The lease as it is now; `None` when
    /// there is none any more. No error: look again at the next scan.
    Lost(Option<Lease>),
}

/// What came of keeping a lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Hold {
    /// Still owned, under this lease; use it from now on. Nobody else owned it since it was won.
    Kept(Lease),
    /// No longer owned, for good: there is no way back but a new claim. The lease as it is now;
    /// `None` when there is none any more. No error.
    Lost(Option<Lease>),
}

impl From<Hold> for Acquire {
    /// For a store that decides about claims as about everything else.
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Kept(lease) => Self::Won(lease),
            Hold::Lost(current) => Self::Lost(current),
        }
    }
}

/// All leases of a group at one moment.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::{Lease, LeaseTable};
/// use eventhubs_protocol::{PartitionId, Timestamp};
///
/// let table = LeaseTable::new(Timestamp::from_millis(5), vec![Lease::free(PartitionId::from(0))]);
/// assert_eq!(table.free().count(), 1);
/// assert!(table.lease(PartitionId::from(1)).is_none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaseTable {
    /// A moment of the store's own clock, not before anything that is told of in the table.
    pub date: Timestamp,
    /// The leases, each partition at most once, in order of partitions.
    pub leases: Vec<Lease>,
    /// Partitions whose records cannot be read. They are neither free nor owned; ensuring such a
    /// lease makes it anew.
    pub corrupt: Vec<(PartitionId, StoreError)>,
}

impl LeaseTable {
    /// A table, put in order.
    #[must_use]
    pub fn new(date: Timestamp, mut leases: Vec<Lease>) -> Self {
        leases.sort_by_key(|lease| lease.partition);
        Self { date, leases, corrupt: Vec::new() }
    }

    /// The lease of a partition.
    #[must_use]
    pub fn lease(&self, partition: PartitionId) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.partition == partition)
    }

    /// The leases nobody owned at the date of the table.
    pub fn free(&self) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(|lease| lease.is_free(self.date))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
