//! The small values of Event Hubs, each checked once, when it is made.

use crate::error::{Field, InvalidValue, Problem};
use crate::names;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest name of an event hub, in characters.
pub const MAX_HUB_NAME: usize = 256;
/// Longest name of a consumer group, in characters.
pub const MAX_CONSUMER_GROUP: usize = 50;
/// Longest partition key, in UTF-16 code units, as the service's own clients count it.
pub const MAX_PARTITION_KEY: usize = 128;
/// Longest offset this library takes, in bytes. Today's are below 40.
pub const MAX_OFFSET: usize = 1024;

/// Name of an event hub: 1 to 256 letters, digits, `.`, `-` or `_`, with a letter or a digit at
/// either end.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::HubName;
///
/// let hub: HubName = "telemetry".parse()?;
/// assert_eq!(hub.as_str(), "telemetry");
/// assert!(HubName::new("a/b").is_err());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubName(Arc<str>);

impl HubName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// The name breaks the rule above.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        check_name(name, Field::HubName, MAX_HUB_NAME)?;
        Ok(Self(name.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of a consumer group: 1 to 50 characters under the rule of [`HubName`], or `$Default`.
///
/// The default group is spelt `$Default` whatever letter case it came in.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::ConsumerGroup;
///
/// assert_eq!(ConsumerGroup::new("$default")?, ConsumerGroup::default());
/// assert!(ConsumerGroup::new("").is_err());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerGroup(Arc<str>);

impl ConsumerGroup {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// The name breaks the rule above.
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        if name.eq_ignore_ascii_case(names::DEFAULT_CONSUMER_GROUP) {
            return Ok(Self::default());
        }
        check_name(name, Field::ConsumerGroup, MAX_CONSUMER_GROUP)?;
        Ok(Self(name.into()))
    }

    /// The name as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ConsumerGroup {
    /// The group every hub has, `$Default`.
    fn default() -> Self {
        Self(names::DEFAULT_CONSUMER_GROUP.into())
    }
}

/// Id of a partition: a decimal number from 0, without sign, blanks or leading zeros.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::PartitionId;
///
/// let partition: PartitionId = "3".parse()?;
/// assert_eq!(partition, PartitionId::from(3));
/// assert_eq!(partition.to_string(), "3");
/// assert!("03".parse::<PartitionId>().is_err());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(u16);

impl PartitionId {
    /// Reads an id from its text.
    ///
    /// # Errors
    ///
    /// The text is not a plain decimal number, or it is above 65 535.
    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        let refuse = |problem| Err(InvalidValue::new(Field::PartitionId, problem));
        if text.is_empty() {
            return refuse(Problem::Empty);
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        if !plain || (text.len() > 1 && text.starts_with('0')) {
            return refuse(Problem::NotANumber);
        }
        text.parse().map_or_else(|_| refuse(Problem::OutOfRange), |id| Ok(Self(id)))
    }

    /// The id as a number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl From<u16> for PartitionId {
    fn from(id: u16) -> Self {
        Self(id)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionId({})", self.0)
    }
}

/// Key that keeps events together: the service puts all events of one key into one partition.
///
/// 1 to 128 UTF-16 code units of any text. An empty key is refused because clients disagree on
/// what it means; leave the key out to spread events.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::PartitionKey;
///
/// let key = PartitionKey::new("device-17")?;
/// assert_eq!(key.as_str(), "device-17");
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey(Arc<str>);

impl PartitionKey {
    /// Checks and takes a key.
    ///
    /// # Errors
    ///
    /// The key is empty or longer than 128 UTF-16 code units.
    pub fn new(key: &str) -> Result<Self, InvalidValue> {
        let refuse = |problem| Err(InvalidValue::new(Field::PartitionKey, problem));
        if key.is_empty() {
            return refuse(Problem::Empty);
        }
        if key.encode_utf16().take(MAX_PARTITION_KEY + 1).count() > MAX_PARTITION_KEY {
            return refuse(Problem::TooLong { limit: MAX_PARTITION_KEY });
        }
        Ok(Self(key.into()))
    }

    /// The key as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Position text of an event, opaque.
///
/// Offsets used to be byte counts; on geo-replicated namespaces they are not. Only the service can
/// tell what one means, so this type has no order and no arithmetic: compare
/// [`SequenceNumber`]s instead.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::Offset;
///
/// let offset = Offset::new("4294967296:17")?;
/// assert_eq!(offset.as_str(), "4294967296:17");
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Offset(Box<str>);

impl Offset {
    /// Takes an offset as the service, or a checkpoint, gave it.
    ///
    /// # Errors
    ///
    /// The text is empty, longer than [`MAX_OFFSET`] bytes or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidValue> {
        let refuse = |problem| Err(InvalidValue::new(Field::Offset, problem));
        if text.is_empty() {
            return refuse(Problem::Empty);
        }
        if text.len() > MAX_OFFSET {
            return refuse(Problem::TooLong { limit: MAX_OFFSET });
        }
        if text.chars().any(char::is_control) {
            return refuse(Problem::Character);
        }
        Ok(Self::checked(text))
    }

    /// An offset whose text was checked where it was received.
    pub(crate) fn checked(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Number of an event in its partition: from 0, rising by one per event, never reused.
///
/// -1 stands for "before the first event", as in the last number of a partition nothing was ever
/// written to.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::SequenceNumber;
///
/// assert!(SequenceNumber::from(7) > SequenceNumber::from(6));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(i64);

impl SequenceNumber {
    /// The number before the first event.
    pub const BEFORE_FIRST: Self = Self(-1);

    /// The plain number.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0
    }
}

impl From<i64> for SequenceNumber {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Owner level of a receiver, also called its epoch: 0 or more, the higher one wins.
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::OwnerLevel;
///
/// assert!(OwnerLevel::new(0)? < OwnerLevel::new(1)?);
/// assert!(OwnerLevel::new(-1).is_err());
/// # Ok::<(), eventhubs_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerLevel(i64);

impl OwnerLevel {
    /// The lowest level there is.
    pub const ZERO: Self = Self(0);

    /// Checks and takes a level.
    ///
    /// # Errors
    ///
    /// The level is negative.
    pub const fn new(level: i64) -> Result<Self, InvalidValue> {
        if level < 0 {
            return Err(InvalidValue::new(Field::OwnerLevel, Problem::OutOfRange));
        }
        Ok(Self(level))
    }

    /// The plain number.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The level that wins over this one; the highest stays as it is.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for OwnerLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z, before it when negative.
///
/// The resolution of the service, and of AMQP's own timestamp (AMQP 1.0, 1.6.17).
///
/// # Examples
///
/// ```
/// use eventhubs_protocol::Timestamp;
///
/// let moment = Timestamp::from_millis(1_700_000_000_123);
/// assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);
    /// 0001-01-01T00:00:00Z, which the service reports for "never".
    pub const NEVER: Self = Self(-62_135_596_800_000);

    /// A moment from milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment on the system's clock; `None` when the system cannot represent it.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let span = Duration::from_millis(self.0.unsigned_abs());
        if self.0 < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) }
    }

    /// This moment and a span after it; stays at the last moment there is.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this moment is; zero when it is not.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        if self <= earlier {
            Duration::ZERO
        } else {
            Duration::from_millis(self.0.abs_diff(earlier.0))
        }
    }
}

impl From<SystemTime> for Timestamp {
    /// Milliseconds, rounded down; moments out of range become the first or the last one.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => {
                let nanos = before.duration().as_nanos();
                let millis = nanos.div_ceil(1_000_000);
                Self(i64::try_from(millis).map_or(i64::MIN, |millis| -millis))
            }
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds. Years outside 0 to 9999 have a sign and more digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (days, of_day) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+05}")?,
        }
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts in eras of 400 years that start on 1 March, so that the leap day is the last of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn check_name(name: &str, field: Field, limit: usize) -> Result<(), InvalidValue> {
    let refuse = |problem| Err(InvalidValue::new(field, problem));
    if name.is_empty() {
        return refuse(Problem::Empty);
    }
    if name.chars().take(limit + 1).count() > limit {
        return refuse(Problem::TooLong { limit });
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return refuse(Problem::Character);
    }
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    if !edge(name.as_bytes().first()) || !edge(name.as_bytes().last()) {
        return refuse(Problem::Edge);
    }
    Ok(())
}

/// What a text-like value shows, and how it is parsed.
macro_rules! text {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidValue;

            fn try_from(text: &str) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::new(&text)
            }
        }
    )+};
}

text!(HubName, ConsumerGroup, PartitionKey, Offset);

impl FromStr for PartitionId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl TryFrom<&str> for PartitionId {
    type Error = InvalidValue;

    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}
