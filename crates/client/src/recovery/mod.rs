//! What to do after something was lost: decided in plain values, done by one owner task.
//!
//! [`backoff`] knows how long to wait. No module here but the shells reads a clock, waits or draws
//! a random number.

pub(crate) mod backoff;
pub(crate) mod machine;
