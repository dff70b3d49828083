//! What one hub is: as configured, and as it may be changed later.

use std::time::Duration;

use crate::config::{ConfigError, Limits, refuse_duplicate};
use crate::names;

/// Most partitions of one hub; the largest tier of the service has as many.
pub const MAX_PARTITIONS: u32 = 1024;
/// Longest name of a hub, in characters.
pub const MAX_HUB_NAME: usize = 256;
/// Longest name of a consumer group, in characters.
pub const MAX_GROUP_NAME: usize = 50;
/// How long events are kept when nothing else is said: 7 days, the most of the standard tier.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * DAY);
/// The longest that events may be kept: 90 days, as on the largest tiers.
pub const MAX_RETENTION: Duration = Duration::from_secs(90 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// One hub.
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_emulator::HubConfig;
///
/// let hub = HubConfig::new("telemetry", 8)
///     .with_consumer_group("billing")
///     .with_retention(Duration::from_secs(3600));
/// assert_eq!(hub.partitions, 8);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// Name: 1 to 256 letters, digits, `.`, `-` and `_`, a letter or digit first and last.
    pub name: String,
    /// Partitions: 1 to 1024, ids `0` to `partitions - 1`.
    pub partitions: u32,
    /// Consumer groups besides `$Default`, which every hub has.
    pub consumer_groups: Vec<String>,
    /// How long events are kept, by the service's clock; default [`DEFAULT_RETENTION`], at most
    /// [`MAX_RETENTION`], counted in whole milliseconds. `Limits::partition_bytes` and
    /// `Limits::partition_events` may let events go earlier.
    pub retention: Duration,
    /// Whether the hub takes and gives events; default [`HubStatus::Active`].
    pub status: HubStatus,
}

impl HubConfig {
    /// An active hub with the consumer group `$Default` only.
    pub fn new(name: impl Into<String>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            consumer_groups: Vec::new(),
            retention: DEFAULT_RETENTION,
            status: HubStatus::default(),
        }
    }

    /// Adds a consumer group: 1 to 50 characters, the same ones as in a hub's name.
    #[must_use]
    pub fn with_consumer_group(mut self, name: impl Into<String>) -> Self {
        self.consumer_groups.push(name.into());
        self
    }

    /// Sets how long events are kept.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets whether the hub takes and gives events.
    #[must_use]
    pub fn with_status(mut self, status: HubStatus) -> Self {
        self.status = status;
        self
    }

    /// Partitions as a number of things in memory.
    pub(crate) fn partition_count(&self) -> usize {
        usize::try_from(self.partitions).unwrap_or(usize::MAX)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        validate_name("hub", &self.name, MAX_HUB_NAME)?;
        validate_partitions(&self.name, self.partitions)?;
        validate_retention(&self.name, self.retention)?;
        for (index, group) in self.consumer_groups.iter().enumerate() {
            let is_default = group.eq_ignore_ascii_case(names::DEFAULT_GROUP);
            if !is_default {
                validate_group(group)?;
            }
            let same = |other: &String| other.eq_ignore_ascii_case(group);
            let twice = is_default || self.consumer_groups[..index].iter().any(same);
            refuse_duplicate("consumer group", group, twice)?;
        }
        Ok(())
    }

    pub(crate) fn check_quota(&self, limits: &Limits) -> Result<(), ConfigError> {
        let groups = self.consumer_groups.len();
        limits.check("consumer groups of one hub", groups, limits.consumer_groups)
    }
}

/// Whether a hub takes and gives events. A refused link gets `com.microsoft:entity-disabled`, and
/// so do those that live when the status changes.
///
/// ```
/// use eventhubs_emulator::HubStatus;
///
/// assert!(HubStatus::SendDisabled.receives() && !HubStatus::SendDisabled.sends());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HubStatus {
    /// Takes and gives events.
    #[default]
    Active,
    /// Neither takes nor gives events.
    Disabled,
    /// Gives events and takes none.
    SendDisabled,
    /// Takes events and gives none.
    ReceiveDisabled,
}

impl HubStatus {
    /// Whether clients may send.
    pub fn sends(self) -> bool {
        matches!(self, Self::Active | Self::ReceiveDisabled)
    }

    /// Whether clients may receive.
    pub fn receives(self) -> bool {
        matches!(self, Self::Active | Self::SendDisabled)
    }
}

/// A change to a hub; what is `None` stays as it is.
///
/// ```
/// use eventhubs_emulator::HubUpdate;
///
/// let update = HubUpdate { partitions: Some(8), ..HubUpdate::default() };
/// assert_eq!(update.retention, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubUpdate {
    /// How many partitions there shall be: the present number or more.
    pub partitions: Option<u32>,
    /// How long events shall be kept.
    pub retention: Option<Duration>,
    /// Whether the hub shall take and give events.
    pub status: Option<HubStatus>,
}

impl HubUpdate {
    pub(crate) fn validate(&self, hub: &str) -> Result<(), ConfigError> {
        if let Some(partitions) = self.partitions {
            validate_partitions(hub, partitions)?;
        }
        self.retention.map_or(Ok(()), |retention| validate_retention(hub, retention))
    }
}

fn validate_partitions(hub: &str, partitions: u32) -> Result<(), ConfigError> {
    match (1..=MAX_PARTITIONS).contains(&partitions) {
        true => Ok(()),
        false => Err(ConfigError::Partitions { hub: hub.to_owned(), partitions }),
    }
}

fn validate_retention(hub: &str, retention: Duration) -> Result<(), ConfigError> {
    match (Duration::from_millis(1)..=MAX_RETENTION).contains(&retention) {
        true => Ok(()),
        false => Err(ConfigError::Retention { hub: hub.to_owned(), retention }),
    }
}

pub(crate) fn validate_group(name: &str) -> Result<(), ConfigError> {
    validate_name("consumer group", name, MAX_GROUP_NAME)
}

fn validate_name(what: &'static str, name: &str, longest: usize) -> Result<(), ConfigError> {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let bytes = name.as_bytes();
    let valid = bytes.len() <= longest
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| inner(*byte));
    match valid {
        true => Ok(()),
        false => Err(ConfigError::Name { what, name: name.to_owned(), longest }),
    }
}
