//! Connections in memory under a clock that only moves when everybody waits.
#![cfg(test)]

mod broker;
mod close;
mod deadlines;
mod dialling;
mod flood;
mod knowledge;
mod links;
mod peer;
mod polled;
mod receives;
mod sends;
