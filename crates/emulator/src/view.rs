//! What there is to see: the emulator at one moment, what went wrong lately, and what clients sent.

pub(crate) mod collector;
pub(crate) mod incidents;
pub(crate) mod overview;
#[cfg(feature = "http")]
pub(crate) mod record;
pub(crate) mod snapshot;

pub use overview::{AudienceSnapshot, ConnectionSnapshot, Incident, LinkSnapshot, Snapshot};
pub use snapshot::{GroupSnapshot, HubSnapshot, PartitionSnapshot, ReceiverSnapshot};
