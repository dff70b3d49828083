//! A worker service: shares the partitions of a hub with every other `process` on the same store,
//! prints its partitions whenever they change, and gives them back on Ctrl-C or SIGTERM.
//!
//! Start it in two terminals, and `producer` in a third. Without `EVENTHUB_CONNECTION_STRING` the
//! first one starts an emulator on its usual port, where the others find it; end that one last.
//! `--help` tells the rest.

mod service;

use std::error::Error;

use clap::Parser;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    service::run(service::Options::parse()).await
}
