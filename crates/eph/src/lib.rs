//! Event Processor Host: shares the partitions of an event hub between processes through leases.
//!
//! * [`EventProcessorHost`]: takes its share of the partitions, calls a [`Handler`] with their events,
//!   keeps their leases, writes checkpoints.
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
//! # Conformance
//!
//! With the feature `conformance` there is a suite that any [`Leaser`] and [`Checkpointer`] must
//! pass, with each rule of the contracts as a named case.
//!
//! # Example
//!
//! ```
//! use eventhubs_eph::{Acquire, Claim, Hold, LeaseToken, Leaser, MemoryStore, OwnerId};
//! use eventhubs_protocol::PartitionId;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! Leaser::ensure_store(&store).await?;
//! let seen = Leaser::ensure(&store, PartitionId::from(0)).await?;
//!
//! let [first, second] = [(); 2].map(|()| Claim::new(OwnerId::unique(), LeaseToken::unique()));
//! assert!(matches!(store.acquire(&seen, &first).await?, Acquire::Won(_)));
//! // Who comes second with what both saw has lost a race, which is no error.
//! assert!(matches!(store.acquire(&seen, &second).await?, Acquire::Lost(Some(_))));
//! # Ok::<(), eventhubs_eph::StoreError>(())
//! # }).unwrap();
//! ```

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
