//! One scan: looking at hub and store, and claiming what the plan says.
//!
//! The task of the host runs both beside everything else it does: a store that is slow delays a scan
//! and nothing more.

mod claim;
mod look;
mod memory;
mod rhythm;

pub(crate) use claim::{Claimed, Outcome, claim};
pub(crate) use look::{Found, Told, Wish, look};
pub(crate) use memory::{Intent, Memory};
pub(crate) use rhythm::{Backoff, next_scan};
