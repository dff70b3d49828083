//! Connections in memory under a clock that only moves when everybody waits.
#![cfg(test)]

mod close;
mod peer;
mod receives;
mod sends;
