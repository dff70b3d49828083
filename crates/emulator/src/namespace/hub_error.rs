//! Why a hub cannot be created, changed or looked at.

use thiserror::Error;

use crate::config::ConfigError;

/// Why a hub, consumer group or partition cannot be created, changed or looked at.
///
/// ```
/// use eventhubs_emulator::{Config, Emulator, HubConfig, HubError};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
/// let refused = emulator.create_hub(HubConfig::new("HUB", 1));
/// assert!(matches!(refused, Err(HubError::Exists { .. })), "names differ by more than case");
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is such a hub.
    #[error("hub '{hub}' exists")]
    Exists {
        /// Its name.
        hub: String,
    },
    /// There is no such hub.
    #[error("there is no hub '{hub}'")]
    NotFound {
        /// The name as given.
        hub: String,
    },
    /// There is such a consumer group.
    #[error("hub '{hub}' has a consumer group '{group}'")]
    GroupExists {
        /// The hub.
        hub: String,
        /// The group.
        group: String,
    },
    /// There is no such consumer group.
    #[error("hub '{hub}' has no consumer group '{group}'")]
    GroupNotFound {
        /// The hub.
        hub: String,
        /// The group's name as given.
        group: String,
    },
    /// `$Default` belongs to every hub and can neither be created nor deleted.
    #[error("consumer group '$Default' of hub '{hub}' can neither be created nor deleted")]
    DefaultGroup {
        /// The hub.
        hub: String,
    },
    /// There is no such partition.
    #[error("hub '{hub}' has no partition {partition}")]
    PartitionNotFound {
        /// The hub.
        hub: String,
        /// The partition's number.
        partition: u32,
    },
    /// Partitions are never taken away.
    #[error("hub '{hub}' has {present} partitions, they cannot become {wanted}")]
    FewerPartitions {
        /// The hub.
        hub: String,
        /// How many there are.
        present: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The data folder could not be written to; nothing was changed.
    #[error("the data folder cannot be written to: {reason}")]
    Storage {
        /// What the operating system said.
        reason: String,
    },
    /// A name or number breaks a rule, or a limit is reached
    /// ([`ConfigError::TooMany`]).
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

impl From<std::io::Error> for HubError {
    fn from(error: std::io::Error) -> Self {
        Self::Storage { reason: error.to_string() }
    }
}
