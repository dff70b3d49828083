//! A worker whose leases and checkpoints are kept in a database of one's own: `sqlite.rs` is all
//! that it takes. Sends events, processes them, and shows what the database has then. Ends by
//! itself.
//!
//! Runs on an emulator in this process unless `EVENTHUB_CONNECTION_STRING` is set. The database is
//! the file named on the command line, where the next run then goes on, or one that is thrown away.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod connect;
mod sqlite;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use connect::Connected;
use eventhubs_eph::balance::Strategy;
use eventhubs_eph::{Checkpointer, EventProcessorHost, Handler, HostOptions, Leaser};
use sqlite::SqliteStore;
use tokio::sync::watch;

const EVENTS: u64 = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let file = file.unwrap_or_else(|| folder.path().join("leases.sqlite"));
    let store = Arc::new(SqliteStore(file));

    let Connected { hub, emulator } = connect::connect(([127, 0, 0, 1], 0).into(), 4).await?;
    if emulator.is_some() {
        // A new emulator has new events: how far older ones were processed means nothing.
        Leaser::delete_store(&*store).await?;
    }
    for number in 1..=EVENTS {
        hub.send(format!("event {number}")).await?;
    }

    let (leaser, checkpointer) = (Arc::clone(&store), Arc::clone(&store));
    // The store keeps no presences. Without, this strategy is the one that does not take partitions
    // one by one.
    let options = HostOptions::default().with_strategy(Strategy::Greedy);
    let host = EventProcessorHost::new(hub, leaser, checkpointer, options)?;
    let (count, mut handled) = watch::channel(0);
    host.register_handler(Handler::each(move |event, partition| {
        let body = String::from_utf8_lossy(event.body());
        println!("partition {}, {}: {body}", partition.id(), event.sequence_number());
        count.send_modify(|count| *count += 1);
        std::future::ready(Ok(()))
    }))?;
    host.start_nonblocking()?;
    handled.wait_for(|&count| count >= EVENTS).await?;
    host.close().await?;

    println!("\nin the database:");
    for lease in store.leases().await?.leases {
        let checkpoint = store.load(lease.partition).await?;
        let number = checkpoint.map(|checkpoint| checkpoint.sequence_number);
        let (partition, owner, level) = (lease.partition, lease.owner, lease.epoch);
        println!("partition {partition}: owner {owner:?}, level {level}, handled to {number:?}");
    }
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    Ok(())
}
