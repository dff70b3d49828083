//! Event Processor Host: shares the partitions of an event hub between processes through leases.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use eventhubs_client::Hub;
//! use eventhubs_eph::{EventProcessorHost, FileStore, Handler, HostOptions};
//!
//! let hub = Hub::from_environment()?;
//! // Leases and checkpoints: here in a folder that the processes of this machine share.
//! let options = HostOptions::default();
//! let group = &options.consumer_group;
//! let store = Arc::new(FileStore::new("/var/lib/worker", hub.host(), hub.name(), group)?);
//! let host = EventProcessorHost::new(hub, store.clone(), store, options)?;
//! host.register_handler(Handler::each(|event, partition| async move {
//!     println!("{} {}", partition.id(), event.sequence_number());
//!     Ok(())
//! }))?;
//! // Until somebody calls `host.close()`.
//! host.start().await?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`EventProcessorHost`], with its [`HostOptions`]; [`Handler`]: what a program does with events.
//!   [`HostEvent`], [`Health`], [`HostStatistics`]: what a host tells of itself.
//! * [`Leaser`] and [`Checkpointer`]: where leases and checkpoints are kept, as contracts.
//! * [`MemoryStore`]: both, for hosts of one process. [`FileStore`]: both, for processes of one
//!   machine.
//! * [`Lease`], [`Claim`], [`Checkpoint`], [`Presence`]: what is kept. Bodies of leases and
//!   checkpoints have the names of the Go library and are read in the dialects of others.
//! * [`rules`]: the decisions of a store, for a store of one's own.
//! * [`balance`]: who takes which partition. [`ownership`]: what a host may still do with one that
//!   it took. [`suspicion`]: signs that hosts are set up wrongly, and what is held off because of
//!   them.
//!
//! # Promises
//!
//! * Every event of an owned partition is handled at least once and in order. Events come again
//!   after a failure, and those beyond the last checkpoint after a change of owner.
//! * A checkpoint is never beyond what every handler has finished, never goes back, and is never
//!   written by a host that lost the partition.
//! * No handler starts with an event of a partition after the host knows, or can no longer prove
//!   otherwise, that it lost it.
//! * One slow or failing handler, partition or call to a store delays no other partition.
//! * Nothing ends silently: what a host cannot go on with is in its [`Health`], its
//!   [`HostEvents`] and the log.
//!
//! # A store of one's own
//!
//! With the feature `conformance` there is a suite that any [`Leaser`] and [`Checkpointer`] must
//! pass, with each rule of the contracts as a named case.

pub mod balance;
mod checkpoint;
mod checkpointer;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod file;
mod handler;
mod health;
mod host;
mod keeper;
mod lease;
mod leaser;
mod memory;
mod notice;
mod options;
mod owner;
pub mod ownership;
mod partition;
mod presence;
mod pump;
mod record;
mod rfc3339;
pub mod rules;
mod scan;
mod seat;
mod statistics;
pub mod suspicion;

pub use checkpoint::{Checkpoint, Commit, Fence};
pub use checkpointer::Checkpointer;
pub use error::{StoreError, StoreErrorKind, StoreOperation};
pub use file::FileStore;
pub use handler::{Concurrency, Handler, HandlerError, HandlerId, PartitionHandler, Verdict};
pub use health::{Health, PartitionHealth, PartitionStage, Problem};
pub use host::{EventProcessorHost, HostError, HostErrorKind, HostState};
pub use lease::{
    Acquire, Claim, DEFAULT_LEASE_DURATION, EpochMode, Hold, Lease, LeaseTable, Version,
};
pub use leaser::Leaser;
pub use memory::MemoryStore;
pub use notice::{FailureCause, FailureNext, HostEvent, HostEvents, SkipReason};
pub use options::{CheckpointPolicy, FailurePolicy, HostOptions, StartPositions};
pub use owner::{LeaseToken, MAX_ID, OwnerId};
pub use partition::{CheckpointError, CloseReason, Committed, Partition};
pub use presence::{Presence, PresenceTable};
pub use record::{InvalidRecord, MAX_BODY, MAX_DEPTH};
pub use statistics::HostStatistics;
pub use suspicion::Misconfiguration;
