//! A worker: what `process` is, and each of the three of `process_many`.

#[path = "connect.rs"]
mod connect;
#[path = "ending.rs"]
mod ending;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use connect::Connected;
use eventhubs_client::{ConsumerGroup, PartitionId};
use eventhubs_eph::ownership::Timing;
use eventhubs_eph::{
    EventProcessorHost, FileStore, Handler, HostEvent, HostOptions, HostState, Leaser,
};
use tokio::time::{MissedTickBehavior, interval};

type Failure = Box<dyn Error + Send + Sync>;

/// A worker that shares the partitions of a hub with all others on the same store.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// What people call this worker
    #[arg(long, default_value_t = format!("worker-{}", std::process::id()))]
    name: String,
    /// Folder of leases and checkpoints, the same for all workers [default: in the temporary folder]
    #[arg(long)]
    store: Option<PathBuf>,
    /// Where the emulator is, or is started, when EVENTHUB_CONNECTION_STRING is not set
    #[arg(long, default_value = "127.0.0.1:5672")]
    emulator_listen: SocketAddr,
    /// Partitions of the hub of an emulator that is started
    #[arg(long, default_value_t = 10)]
    partitions: u32,
    /// Seconds that a lease lasts, 15 to 60: so long, partitions of a worker that died stand still
    #[arg(long, default_value_t = 30)]
    lease: u64,
    /// Seconds from one look at all leases to the next; hosts take 10 unless told otherwise
    #[arg(long, default_value_t = 2)]
    scan: u64,
    /// Print every event that is handled
    #[arg(long)]
    print_events: bool,
    /// End when the standard input ends, and so with the process that started this one
    #[arg(long)]
    with_parent: bool,
}

impl Options {
    fn of_host(&self) -> HostOptions {
        let lease = Duration::from_secs(self.lease);
        let renewal = Timing::default().renewal.min(lease / 3);
        HostOptions::default()
            .with_name(&self.name)
            .with_timing(Timing { lease, renewal, ..Timing::default() })
            .with_scan(Duration::from_secs(self.scan))
    }
}

/// Works until it is told to end, then gives its partitions back.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let Connected { hub, emulator } =
        connect::connect(options.emulator_listen, options.partitions).await?;
    let folder = options.store.clone();
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("eventhubs-workers"));
    let store = FileStore::new(&folder, hub.host(), hub.name(), &ConsumerGroup::default())?;
    if emulator.is_some() {
        // A new emulator has new events: how far older ones were processed means nothing.
        Leaser::delete_store(&store).await?;
    }
    let store = Arc::new(store);
    let checkpoints = Arc::clone(&store);
    let host = EventProcessorHost::new(hub, store, checkpoints, options.of_host())?;
    let (name, print) = (options.name.clone(), options.print_events);
    host.register_handler(Handler::each(move |event, partition| {
        // Here the work would be done. What this returns from counts as done.
        if print {
            let body = String::from_utf8_lossy(event.body());
            line(&format!("{name}: event {}/{}: {body}", partition.id(), event.sequence_number()));
        }
        std::future::ready(Ok(()))
    }))?;

    let watched = tokio::spawn(watch(host.clone()));
    host.start_nonblocking()?;
    ending::told_to_end(options.with_parent).await?;
    host.close().await?;
    watched.await?;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    Ok(())
}

/// Tells what happens to a host until it is closed.
async fn watch(host: EventProcessorHost) {
    let mut events = host.host_events();
    let is_terminal = io::stdout().is_terminal();
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut owned: BTreeSet<PartitionId> = BTreeSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tick.tick(), if is_terminal => {
                // The last line is written over, each second.
                print(&format!("\r\x1b[K{}", status(&host, &owned)));
                continue;
            }
        };
        let Some(event) = event else { return };
        if is_terminal {
            print("\r\x1b[K");
        }
        line(&format!("{}: {event}", host.name()));
        match event {
            HostEvent::Acquired { partition, .. } => owned.insert(partition),
            HostEvent::Lost { partition, .. } => owned.remove(&partition),
            HostEvent::StateChanged { to: HostState::Closed, .. } => return,
            _ => continue,
        };
        line(&status(&host, &owned));
    }
}

fn status(host: &EventProcessorHost, owned: &BTreeSet<PartitionId>) -> String {
    let ids: Vec<String> = owned.iter().map(ToString::to_string).collect();
    let handled = host.statistics().events_handled;
    let (name, count, ids) = (host.name(), ids.len(), ids.join(" "));
    format!("{name}: {count} partitions [{ids}], {handled} events handled")
}

/// Prints a line as a whole, in the midst of what other threads print. Nobody may be reading.
fn line(text: &str) {
    print(&format!("{text}\n"));
}

fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
