//! Event Hubs in a process: hubs, partitions and logs behind AMQP 1.0, for tests and for work
//! without a cloud.
//!
//! [`Emulator::start`] serves a [`Config`] on TCP, in memory, or both. Tokens are checked as the
//! service checks them, refusals carry the service's conditions and texts, and events are handed
//! back byte for byte. What it does not do is listed in `SKIPPED.md`.
//!
//! ```
//! use eventhubs_emulator::{Config, Emulator, HubConfig};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let config = Config::default().with_hub_config(HubConfig::new("orders", 2));
//! let emulator = Emulator::start(config).await?;
//! println!("{}", emulator.connection_string_for("orders"));
//! emulator.shutdown().await;
//! # Ok::<(), eventhubs_emulator::StartError>(())
//! # }).unwrap();
//! ```

mod broker;
mod config;
mod disorder;
mod doors;
mod emulator;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(feature = "http")]
mod http;
mod line;
mod names;
mod namespace;
mod rules;
mod upkeep;
mod view;
#[cfg(test)]
mod wire;

pub use config::{
    Config, ConfigError, DEFAULT_HUB, DEFAULT_IDLE_TIME_OUT, DEFAULT_KEY, DEFAULT_KEY_NAME,
    DEFAULT_PARTITIONS, DEFAULT_RETENTION, HubConfig, HubStatus, HubUpdate, Limits, MAX_GROUP_NAME,
    MAX_HUB_NAME, MAX_PARTITIONS, MAX_RETENTION, Rights, SasKey,
};
#[cfg(feature = "json")]
pub use config::{JsonConfig, JsonError, JsonRemark};
pub use doors::{Identity, Listener, ListenerKind, Network, TlsConfig, TlsFault};
pub use emulator::{Emulator, StartError, StoredEvent};
pub use fault::{
    Direction, Effect, Fault, FaultError, FaultId, Outcome, Performative, Point, Reason, Role,
    Scope,
};
pub use line::{BadFrame, Lie, Place, Stray};
pub use namespace::{Damage, DataError, Durability, HubError, Throughput};
pub use rules::Tier;
pub use upkeep::Timers;
pub use view::{
    AudienceSnapshot, ConnectionSnapshot, GroupSnapshot, HubSnapshot, Incident, LinkSnapshot,
    PartitionSnapshot, ReceiverSnapshot, Snapshot,
};
