//! Whether partitions are shared fairly, owned by one and never lost: hosts that plan and own with
//! the code of `eventhubs-eph`, on a simulated store and broker, in virtual time.
//!
//! A run is one thread and one queue of events ordered by time and sequence; every random number
//! comes from the seed. So a seed is a run, and one that breaks a rule can be looked at again.
//!
//! ```
//! use eventhubs_sim::{plan, World};
//!
//! let report = World::new(plan::drawn(7), None).run();
//! assert!(report.violations.is_empty(), "{:?}", report.violations);
//! ```

mod agenda;
mod broker;
pub mod bug;
pub mod cell;
pub mod exhaust;
mod fair;
mod judge;
mod picture;
pub mod plan;
mod post;
mod random;
pub mod seeds;
mod store;
mod world;

pub use judge::Violation;
pub use world::{Report, World};
