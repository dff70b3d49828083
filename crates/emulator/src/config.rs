//! What an emulator serves: hubs, keys, listeners and limits.

#[cfg(feature = "json")]
mod config_json;
pub(crate) mod hub_config;

#[cfg(feature = "json")]
pub use config_json::{JsonConfig, JsonError, JsonRemark};
pub use hub_config::{
    DEFAULT_RETENTION, HubConfig, HubStatus, HubUpdate, MAX_GROUP_NAME, MAX_HUB_NAME,
    MAX_PARTITIONS, MAX_RETENTION,
};

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::doors::listener::{Listener, ListenerKind};
use crate::doors::tls_config::TlsConfig;
use crate::namespace::journal::Durability;
use crate::namespace::meter::Throughput;
use crate::rules::tier::Tier;
use crate::upkeep::watch::Timers;

/// Name of the hub that exists when none is configured.
pub const DEFAULT_HUB: &str = "hub";
/// Partitions of the hub that exists when none is configured.
pub const DEFAULT_PARTITIONS: u32 = 4;
/// Name of the key that exists when none is configured.
pub const DEFAULT_KEY_NAME: &str = "RootManageSharedAccessKey";
/// The key that exists when none is configured: a placeholder, not a secret.
pub const DEFAULT_KEY: &str = "SAS_KEY_VALUE";

/// How long the emulator waits for a sign of life unless told otherwise, from traces of the service.
pub const DEFAULT_IDLE_TIME_OUT: Duration = Duration::from_millis(240_000);

/// What a producer may send on a lenient emulator: the most that any tier of the service takes.
const LENIENT_MESSAGE_SIZE: u64 = 20 << 20;

/// What the owner of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Attach producer links.
    pub send: bool,
    /// Attach consumer links.
    pub listen: bool,
    /// Everything, hub management included.
    pub manage: bool,
}

impl Rights {
    /// Send, listen and manage.
    pub const ALL: Self = Self { send: true, listen: true, manage: true };
    /// Send only.
    pub const SEND: Self = Self { send: true, listen: false, manage: false };
    /// Listen only.
    pub const LISTEN: Self = Self { send: false, listen: true, manage: false };
}

/// A shared access key. Its `Debug` form does not show the key.
///
/// ```
/// use eventhubs_emulator::{Rights, SasKey};
///
/// let key = SasKey::new("reader", "c2VjcmV0").with_rights(Rights::LISTEN);
/// assert!(!format!("{key:?}").contains("c2VjcmV0"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SasKey {
    /// Name that tokens give as `skn`.
    pub name: String,
    /// The key; its bytes sign as they are and are not decoded first.
    pub key: String,
    /// What a token signed with it allows; everything unless narrowed.
    pub rights: Rights,
}

impl SasKey {
    /// A key with all rights.
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into(), rights: Rights::ALL }
    }

    /// Narrows what the key allows.
    #[must_use]
    pub fn with_rights(mut self, rights: Rights) -> Self {
        self.rights = rights;
        self
    }
}

impl fmt::Debug for SasKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasKey")
            .field("name", &self.name)
            .field("key", &"redacted")
            .field("rights", &self.rights)
            .finish()
    }
}

/// Bounds on what the emulator keeps and lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of events kept per partition before the oldest go, 32 more for each event counted in;
    /// default 64 MiB. Up to 64 KiB or one accepted message more than this is held, and so is
    /// either for as long as its events are being delivered.
    pub partition_bytes: usize,
    /// Events kept per partition before the oldest go; default 1 000 000.
    pub partition_events: usize,
    /// Connections at a time, or what the tier allows if that is less; default 5 000. Further ones
    /// are closed as soon as they are accepted.
    pub connections: usize,
    /// Largest message a producer may send, in bytes; default 1 048 576. Announced on each link,
    /// unless the tier allows less or the client asks for less.
    pub max_message_size: u64,
    /// Receivers without an epoch per partition and consumer group; default 5.
    pub receivers_per_partition: usize,
    /// Hubs at a time; default 1 000.
    pub hubs: usize,
    /// Partitions of all hubs together; default 20 000.
    pub partitions: usize,
    /// Consumer groups of one hub, `$Default` not counted; default 1 000, as on the largest tier.
    pub consumer_groups: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partition_bytes: 64 << 20,
            partition_events: 1_000_000,
            connections: 5_000,
            max_message_size: 1 << 20,
            receivers_per_partition: 5,
            hubs: 1_000,
            partitions: 20_000,
            consumer_groups: 1_000,
        }
    }
}

impl Limits {
    /// Whether there may be `count` of something.
    pub(crate) fn check(
        &self,
        what: &'static str,
        count: usize,
        limit: usize,
    ) -> Result<(), ConfigError> {
        match count > limit {
            true => Err(ConfigError::TooMany { what, count, limit }),
            false => Ok(()),
        }
    }
}

/// Configuration of an [`Emulator`](crate::Emulator).
///
/// The default serves hub `hub` with 4 partitions on a free port of `127.0.0.1`, with key
/// `RootManageSharedAccessKey` = `SAS_KEY_VALUE`.
///
/// ```
/// use eventhubs_emulator::{Config, HubConfig};
///
/// let config = Config::default()
///     .with_hub("orders", 2)
///     .with_hub_config(HubConfig::new("telemetry", 8).with_consumer_group("billing"))
///     .with_key("app", "bm90LWEtc2VjcmV0");
/// config.validate()?;
/// # Ok::<(), eventhubs_emulator::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Hubs; when empty, hub `hub` with 4 partitions.
    pub hubs: Vec<HubConfig>,
    /// Keys; when empty, `RootManageSharedAccessKey` = `SAS_KEY_VALUE` with all rights.
    pub keys: Vec<SasKey>,
    /// Where to listen, and for what; default plaintext AMQP on a free port of `127.0.0.1`. When
    /// empty the emulator is reached in memory only.
    pub listeners: Vec<Listener>,
    /// The certificate of listeners with TLS; default one made at start.
    pub tls: TlsConfig,
    /// Delay of everything the emulator writes, order kept; default none.
    pub latency: Duration,
    /// The idle time-out that each open announces, at least 1 ms; default 240 s. A client that sends
    /// nothing for twice as long is cut off.
    pub idle_time_out: Duration,
    /// Accepts messages above [`Limits::max_message_size`], as the service sometimes does.
    pub lenient: bool,
    /// What hubs and publications may have; default [`Tier::Dedicated`], the widest.
    pub tier: Tier,
    /// Takes JSON web tokens by their shape, times and audience; **their signature is not
    /// checked**. Default no: only shared access signatures prove anything.
    pub jwt: bool,
    /// How long the service waits for its clients.
    pub timers: Timers,
    /// How much may come in per second; default as much as there is.
    pub throughput: Option<Throughput>,
    /// Behaves as a geo-replicated namespace: offsets are text that is no number, for links that
    /// can take it. Default no.
    pub geo_replication: bool,
    /// Records what clients send from the start on, for the control API; default off.
    pub record: bool,
    /// Bounds on memory and connections.
    pub limits: Limits,
    /// Folder in which hubs and events survive the process; default none. Hubs that it holds keep
    /// their settings, and get the partitions and groups that [`hubs`](Self::hubs) adds.
    pub data: Option<PathBuf>,
    /// How much a loss of power may cost when there is such a folder; default
    /// [`Durability::None`].
    pub durability: Durability,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hubs: Vec::new(),
            keys: Vec::new(),
            listeners: vec![Listener::new(ListenerKind::Plain, (Ipv4Addr::LOCALHOST, 0).into())],
            tls: TlsConfig::default(),
            latency: Duration::ZERO,
            idle_time_out: DEFAULT_IDLE_TIME_OUT,
            lenient: false,
            tier: Tier::default(),
            jwt: false,
            timers: Timers::default(),
            throughput: None,
            geo_replication: false,
            record: false,
            limits: Limits::default(),
            data: None,
            durability: Durability::default(),
        }
    }
}

/// Why a [`Config`] cannot be served. Names the entry, never a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A hub's or consumer group's name breaks the naming rules.
    #[error(
        "{what} name '{name}' is not valid: use 1 to {longest} letters, digits, '.', '-' and '_', \
         with a letter or digit at both ends"
    )]
    Name {
        /// "hub" or "consumer group".
        what: &'static str,
        /// The name as given.
        name: String,
        /// Most characters of such a name.
        longest: usize,
    },
    /// The same name twice; names differ by more than case.
    #[error("{what} '{name}' is configured twice")]
    Duplicate {
        /// "hub", "consumer group" or "key".
        what: &'static str,
        /// The second one's name.
        name: String,
    },
    /// A hub without partitions, or with too many.
    #[error("hub '{hub}' has {partitions} partitions: use 1 to {MAX_PARTITIONS}")]
    Partitions {
        /// The hub.
        hub: String,
        /// Partitions asked for.
        partitions: u32,
    },
    /// A hub that keeps events for no time, or for too long.
    #[error("hub '{hub}' keeps events for {retention:?}: use 1 ms to {MAX_RETENTION:?}")]
    Retention {
        /// The hub.
        hub: String,
        /// Retention asked for.
        retention: Duration,
    },
    /// More hubs, partitions or consumer groups than [`Limits`] lets in.
    #[error("{what}: {count} are more than the limit of {limit}")]
    TooMany {
        /// "hubs", "partitions of all hubs" or "consumer groups of one hub".
        what: &'static str,
        /// How many there would be.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A hub that its tier does not allow.
    #[error("hub '{hub}' has {wanted} {what}: tier '{}' allows {most}", tier.name())]
    Tier {
        /// The hub.
        hub: String,
        /// "partitions" or "consumer groups".
        what: &'static str,
        /// How many it has; `$Default` is one of the groups.
        wanted: usize,
        /// How many it may have.
        most: usize,
        /// The tier.
        tier: Tier,
    },
    /// The number of a hub's partitions cannot be changed.
    #[error("hub '{hub}' has to keep its number of partitions: tier '{}'", tier.name())]
    FixedPartitions {
        /// The hub.
        hub: String,
        /// The tier.
        tier: Tier,
    },
    /// A key without a name or without a value.
    #[error("key '{name}' needs both a name and a value")]
    Key {
        /// The key's name.
        name: String,
    },
    /// A limit of zero would let nothing through.
    #[error("limit '{limit}' is 0: use at least 1")]
    Limit {
        /// The field of [`Limits`], or of [`Config`].
        limit: &'static str,
    },
}

impl Config {
    /// Adds a hub with the consumer group `$Default`.
    #[must_use]
    pub fn with_hub(self, name: impl Into<String>, partitions: u32) -> Self {
        self.with_hub_config(HubConfig::new(name, partitions))
    }

    /// Adds a hub.
    #[must_use]
    pub fn with_hub_config(mut self, hub: HubConfig) -> Self {
        self.hubs.push(hub);
        self
    }

    /// Adds a key with all rights.
    #[must_use]
    pub fn with_key(self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.with_sas_key(SasKey::new(name, key))
    }

    /// Adds a key.
    #[must_use]
    pub fn with_sas_key(mut self, key: SasKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Records what clients send, or not.
    #[must_use]
    pub fn with_record(mut self, record: bool) -> Self {
        self.record = record;
        self
    }

    /// Sets the delay of everything the emulator writes.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the idle time-out of connections.
    #[must_use]
    pub fn with_idle_time_out(mut self, idle_time_out: Duration) -> Self {
        self.idle_time_out = idle_time_out;
        self
    }

    /// Sets whether messages above the size limit are accepted.
    #[must_use]
    pub fn with_lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// Sets the tier: what hubs and publications may have.
    #[must_use]
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets whether JSON web tokens are taken. What is checked is their shape (three base64url
    /// parts, a header and claims in JSON), `exp`, `nbf`, and that the audience is Event Hubs
    /// (`https://eventhubs.azure.net`) or the namespace. **The signature is not**, so that anybody
    /// can make one: it gives all rights. For tests of a client's own token handling only.
    #[must_use]
    pub fn with_jwt(mut self, jwt: bool) -> Self {
        self.jwt = jwt;
        self
    }

    /// Replaces the times that the service waits for its clients.
    #[must_use]
    pub fn with_timers(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// Limits what may come in per second.
    #[must_use]
    pub fn with_throughput(mut self, throughput: Throughput) -> Self {
        self.throughput = Some(throughput);
        self
    }

    /// Sets whether the namespace is a geo-replicated one.
    #[must_use]
    pub fn with_geo_replication(mut self, geo_replication: bool) -> Self {
        self.geo_replication = geo_replication;
        self
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps hubs and events in a folder, which is created if need be. One emulator at a time uses
    /// it.
    #[must_use]
    pub fn with_data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Sets how much a loss of power may cost.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Checks names, counts and limits.
    ///
    /// # Errors
    /// [`ConfigError`] names the first entry that cannot be served.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (index, hub) in self.hubs.iter().enumerate() {
            hub.validate()?;
            hub.check_quota(&self.limits)?;
            self.tier.check(hub)?;
            let same = |other: &HubConfig| other.name.eq_ignore_ascii_case(&hub.name);
            refuse_duplicate("hub", &hub.name, self.hubs[..index].iter().any(same))?;
        }
        let partitions = self.hubs.iter().map(HubConfig::partition_count).sum();
        self.limits.check("hubs", self.hubs.len(), self.limits.hubs)?;
        self.limits.check("partitions of all hubs", partitions, self.limits.partitions)?;
        for (index, key) in self.keys.iter().enumerate() {
            if key.name.is_empty() || key.key.is_empty() {
                return Err(ConfigError::Key { name: key.name.clone() });
            }
            let same = |other: &SasKey| other.name == key.name;
            refuse_duplicate("key", &key.name, self.keys[..index].iter().any(same))?;
        }
        let limits = [
            ("partition_bytes", self.limits.partition_bytes == 0),
            ("partition_events", self.limits.partition_events == 0),
            ("connections", self.limits.connections == 0),
            ("max_message_size", self.limits.max_message_size == 0),
            ("receivers_per_partition", self.limits.receivers_per_partition == 0),
            ("hubs", self.limits.hubs == 0),
            ("partitions", self.limits.partitions == 0),
            ("idle_time_out", self.idle_time_out.as_millis() == 0),
        ];
        match limits.into_iter().find(|(_, zero)| *zero) {
            Some((limit, _)) => Err(ConfigError::Limit { limit }),
            None => Ok(()),
        }
    }

    /// Largest publication that any producer link takes, in bytes.
    pub(crate) fn max_publication(&self) -> u64 {
        match self.lenient {
            true => self.limits.max_message_size.max(LENIENT_MESSAGE_SIZE),
            false => self.limits.max_message_size.min(self.tier.max_publication()),
        }
    }

    /// Connections at a time.
    pub(crate) fn max_connections(&self) -> usize {
        self.limits.connections.min(self.tier.connections())
    }

    /// The configured hubs, or the default one.
    pub(crate) fn effective_hubs(&self) -> Vec<HubConfig> {
        match self.hubs.is_empty() {
            true => vec![HubConfig::new(DEFAULT_HUB, DEFAULT_PARTITIONS)],
            false => self.hubs.clone(),
        }
    }

    /// The configured keys, or the default one.
    pub(crate) fn effective_keys(&self) -> Vec<SasKey> {
        match self.keys.is_empty() {
            true => vec![SasKey::new(DEFAULT_KEY_NAME, DEFAULT_KEY)],
            false => self.keys.clone(),
        }
    }
}

pub(crate) fn refuse_duplicate(
    what: &'static str,
    name: &str,
    twice: bool,
) -> Result<(), ConfigError> {
    match twice {
        true => Err(ConfigError::Duplicate { what, name: name.to_owned() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: Config) -> String {
        config.validate().err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn the_default_is_valid_and_serves_one_hub() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.effective_hubs(), vec![HubConfig::new("hub", 4)]);
        assert_eq!(config.effective_keys()[0].name, DEFAULT_KEY_NAME);
    }

    #[test]
    fn bad_entries_are_named() {
        let base = Config::default;
        assert!(check(base().with_hub("", 1)).contains("hub name ''"));
        assert!(check(base().with_hub("-a", 1)).contains("'-a'"));
        assert!(check(base().with_hub("a/b", 1)).contains("'a/b'"));
        assert!(check(base().with_hub("x".repeat(257), 1)).contains("1 to 256"));
        assert!(check(base().with_hub("a", 0)).contains("0 partitions"));
        assert!(check(base().with_hub("a", 1025)).contains("1025 partitions"));
        assert!(check(base().with_hub("a", 1).with_hub("A", 1)).contains("twice"));
        assert!(check(base().with_key("", "k")).contains("needs both"));
        assert!(check(base().with_key("n", "k").with_key("n", "l")).contains("key 'n'"));
        let groups = |hub: HubConfig| check(base().with_hub_config(hub));
        let hub = || HubConfig::new("a", 1);
        assert!(groups(hub().with_consumer_group("$default")).contains("twice"));
        assert!(groups(hub().with_consumer_group("g").with_consumer_group("G")).contains("twice"));
        assert!(groups(hub().with_consumer_group("g".repeat(51))).contains("1 to 50"));
        let limits = Limits { connections: 0, ..Limits::default() };
        assert!(check(base().with_limits(limits)).contains("connections"));
        let wide = base().with_tier(Tier::Standard).with_hub("a", 33);
        assert_eq!(check(wide), "hub 'a' has 33 partitions: tier 'standard' allows 32");
    }

    #[test]
    fn no_key_is_shown() {
        let config = Config::default().with_key("name", "hidden").with_key("name", "hidden");
        assert!(!format!("{config:?}").contains("hidden"));
        assert!(!check(config).contains("hidden"));
    }
}
