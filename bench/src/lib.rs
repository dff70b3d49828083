//! What is measured and what is promised.
//!
//! Three programs: `raw-peer` is the other end of the wire, `measure` runs one workload through
//! the public interface of the client, `report` runs both and compares the figures with
//! [`contract::CONTRACT`].

#![forbid(unsafe_code)]

pub mod built;
pub mod contract;
mod workload;

pub use workload::{ParseWorkloadError, Runs, Workload};
