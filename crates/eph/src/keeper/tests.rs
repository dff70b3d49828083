//! The keeper against stores that fail in every way, on the paused clock. The pump is one that does
//! what the test says; hosts with real ones are in `tests/host`.

mod leaving;
mod levels;
mod links;
mod random;
mod renewing;
mod scripted;
mod stand;
mod writing;
