//! Events in files: what survives the process.
//!
//! A data folder holds a list of hubs (`manifest`) and, for each partition that was published to,
//! a folder with files of records. A publication is one record and one call of `write`; it is
//! acknowledged after that call has returned. The operating system has the bytes then, so that a
//! killed process loses nothing that it acknowledged; only a machine that loses its power may,
//! and [`Durability`] says how much.
//!
//! Writes happen in the task of the producer's connection, while the partition is locked: one
//! copy into the system's cache, some microseconds each. A slow disk slows its producers down,
//! which is what a producer shall see. Several publications are not gathered into one write:
//! consumers of other connections would see the first ones before they are written, and after a
//! kill the same sequence numbers would be given to other events. A batch is one publication.

mod contents;
mod damage;
mod error;
mod folder;
mod manifest;
mod partition;
mod record;

use std::time::Duration;

pub use damage::Damage;
pub use error::DataError;
pub(crate) use folder::DataFolder;
pub(crate) use manifest::{HubRecord, Manifest};
pub(crate) use partition::{Before, PartitionJournal};

/// How much a loss of power may cost when events are kept in a folder. A killed process never
/// loses an acknowledged event, whatever is chosen here.
///
/// ```
/// use eventhubs_emulator::{Config, Durability};
///
/// let config = Config::default().with_data("hubs").with_durability(Durability::Each);
/// assert_eq!(Config::default().durability, Durability::None);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// What the operating system has not written by itself yet: some 30 s. The default.
    #[default]
    None,
    /// What was published within about this time: files are synchronised so often, at least every
    /// millisecond, and when the emulator shuts down.
    Interval(Duration),
    /// Nothing: every publication waits for the disk before it is acknowledged. That takes
    /// milliseconds each, during which the thread of its connection does nothing else.
    Each,
}
