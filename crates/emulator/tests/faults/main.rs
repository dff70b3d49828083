//! Every row of the fault matrix, shown on the wire: the names of the tests begin with the row,
//! and `docs/faults.md` has them all. The client is the engine on an in-memory stream, and the
//! clock is paused.
#![cfg(test)]

mod chaos;
mod client;
mod deliveries;
mod endings;
mod frames;
mod links;
mod network;
mod nodes;
mod points;
mod sends;
mod service_rows;
mod table;
