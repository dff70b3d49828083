//! Whether anything is lost: an accounting oracle for Event Hubs clients, and runs that give it
//! something to judge.
//!
//! Every event carries a [`stamp`]. Producers write down what became of each send, consumers what
//! they were handed, and the emulator's log is the truth. [`oracle`] compares them when a run is
//! over; [`window`] while it goes on, in memory that does not grow. [`tamper`] plants bugs between
//! the client and the oracle, which has to find them.
//!
//! ```
//! use eventhubs_chaos::history::History;
//! use eventhubs_chaos::oracle;
//!
//! let account = oracle::check(&History::default());
//! assert!(account.findings.is_empty());
//! ```

pub mod breach;
pub mod chronicle;
mod cursor;
pub mod history;
pub mod journal;
pub mod oracle;
pub mod order;
pub mod random;
pub mod rows;
pub mod run;
pub mod schedule;
pub mod stamp;
pub mod tamper;
pub mod upheaval;
pub mod violation;
pub mod window;
