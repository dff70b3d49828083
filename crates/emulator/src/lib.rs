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

mod address;
mod admission;
mod agenda;
#[cfg(feature = "tls")]
mod authority;
mod bell;
mod broker;
mod calendar;
mod cbs;
mod claims;
mod clock;
mod collector;
mod config;
#[cfg(feature = "json")]
mod config_json;
mod consumer;
mod disorder;
mod door;
mod emulator;
mod event;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod geo;
mod hash;
#[cfg(feature = "http")]
mod http;
mod hub;
mod hub_config;
mod hub_error;
mod incidents;
mod journal;
mod jwt;
mod line;
mod listen;
mod listener;
mod log;
mod management;
mod memory;
mod meter;
mod names;
mod namespace;
mod network;
mod numbering;
mod overview;
mod partition;
mod plain;
mod producer;
mod rate;
mod receivers;
#[cfg(feature = "http")]
mod record;
mod request;
mod requests;
mod sas;
mod section;
mod segment;
mod selector;
mod sequencer;
mod snapshot;
mod socket;
mod standing;
mod throttle;
mod tier;
#[cfg(feature = "tls")]
mod tls;
mod tls_config;
#[cfg(test)]
mod token;
mod upkeep;
mod watch;
#[cfg(feature = "ws")]
mod web_socket;
#[cfg(test)]
mod wire;

pub use config::{
    Config, ConfigError, DEFAULT_HUB, DEFAULT_IDLE_TIME_OUT, DEFAULT_KEY, DEFAULT_KEY_NAME,
    DEFAULT_PARTITIONS, Limits, Rights, SasKey,
};
#[cfg(feature = "json")]
pub use config_json::{JsonConfig, JsonError, JsonRemark};
pub use emulator::{Emulator, StartError, StoredEvent};
pub use fault::{
    Direction, Effect, Fault, FaultError, FaultId, Outcome, Performative, Point, Reason, Role,
    Scope,
};
pub use hub_config::{
    DEFAULT_RETENTION, HubConfig, HubStatus, HubUpdate, MAX_GROUP_NAME, MAX_HUB_NAME,
    MAX_PARTITIONS, MAX_RETENTION,
};
pub use hub_error::HubError;
pub use journal::{Damage, DataError, Durability};
pub use line::{BadFrame, Lie, Place, Stray};
pub use listener::{Listener, ListenerKind};
pub use meter::Throughput;
pub use network::Network;
pub use overview::{AudienceSnapshot, ConnectionSnapshot, Incident, LinkSnapshot, Snapshot};
pub use snapshot::{GroupSnapshot, HubSnapshot, PartitionSnapshot, ReceiverSnapshot};
pub use tier::Tier;
pub use tls_config::{Identity, TlsConfig, TlsFault};
pub use watch::Timers;
