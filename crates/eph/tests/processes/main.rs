//! Hosts in processes of their own, which are killed and stopped: rows P1, P2 and P3 of the fault
//! tables. They share leases in files and an emulator over TCP, both of this process; what they
//! handled is judged from what they wrote to their standard output.
//!
//! The shortest lease there is lasts 15 seconds, and it has to run out twice here.
#![cfg(test)]

mod child;
mod descriptors;
mod log;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_emulator::{Config, Emulator};
use eventhubs_eph::{Checkpointer, FileStore, Leaser, OwnerId, StoreError, StoreErrorKind};
use eventhubs_protocol::{ConsumerGroup, HubName, PartitionId};
use tempfile::TempDir;
use tokio::sync::watch;

use log::Log;

const PARTITIONS: u32 = 6;
/// Leases of 15 seconds, three scans of one second, and a loaded machine.
const TAKEN_OVER: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(20);

fn partitions() -> impl Iterator<Item = PartitionId> {
    (0..PARTITIONS).map(|number| PartitionId::from(u16::try_from(number).unwrap()))
}

fn store(folder: &std::path::Path) -> FileStore {
    let hub = HubName::new("hub").unwrap();
    FileStore::new(folder, "ns", &hub, &ConsumerGroup::default()).unwrap()
}

/// Sends one event after the other until it is told to stop; how many were acknowledged.
async fn produce(hub: Hub, mut stop: watch::Receiver<bool>) -> u64 {
    let mut rhythm = tokio::time::interval(Duration::from_millis(4));
    let mut acknowledged = 0;
    loop {
        tokio::select! {
            Ok(()) = stop.changed() => return acknowledged,
            _ = rhythm.tick() => {
                hub.send(format!("event {acknowledged}")).await.unwrap();
                acknowledged += 1;
            }
        }
    }
}

async fn checkpoints(store: &FileStore) -> BTreeMap<PartitionId, i64> {
    let mut all = BTreeMap::new();
    for partition in partitions() {
        let stored = store.load(partition).await.unwrap();
        all.insert(partition, stored.map_or(-1, |stored| stored.sequence_number.as_i64()));
    }
    all
}

/// Stops a process, but not while it holds a lock of the store: nobody gets on then but who waits
/// for the operator, and that is another row.
async fn stop_without_locks(log: &mut Log, store: &FileStore) {
    loop {
        log.signal("stopped", "STOP");
        match is_open(store).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Contended, "{error}"),
        }
        log.signal("stopped", "CONT");
    }
}

/// Whether every lock of the store can be had.
async fn is_open(store: &FileStore) -> Result<(), StoreError> {
    for partition in partitions() {
        store.load(partition).await?;
    }
    // The presences have one too.
    store.withdraw(&OwnerId::unique()).await
}

/// Waits until checkpoints have come that far.
async fn stores_on(log: &mut Log, store: &FileStore, marks: &BTreeMap<PartitionId, i64>) {
    let storing = async {
        while checkpoints(store).await.iter().any(|(partition, at)| at < &marks[partition]) {
            let seen = log.lines();
            log.wait("more events", SOON, |log| log.lines() > seen).await;
        }
    };
    tokio::time::timeout(SOON, storing).await.expect("what is handled is stored soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p01_p02_p03_processes_that_are_killed_or_stopped_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let config = Config::default().with_hub("hub", PARTITIONS);
    let emulator = Emulator::start(config).await.unwrap();
    let text = emulator.connection_string_for("hub");
    let store = store(folder.path());
    let hub = Hub::from_connection_string(&text).unwrap();
    let (stop, stopped) = watch::channel(false);
    let producing = tokio::spawn(produce(hub.clone(), stopped));

    let mut log = Log::default();
    for name in ["killed", "stopped", "last"] {
        log.start(name, folder.path(), &text);
    }
    log.wait("two partitions each", SOON, |log| {
        ["killed", "stopped", "last"].iter().all(|name| log.owned(name).len() == 2)
    })
    .await;
    log.wait("events of all partitions", SOON, |log| {
        partitions().all(|partition| log.handled(partition).len() > 20)
    })
    .await;

    // One dies, and one stands still for longer than its lease.
    log.kill("killed");
    stop_without_locks(&mut log, &store).await;
    log.wait("one process owns all", TAKEN_OVER, |log| log.owned("last").len() == 6).await;
    let lost = log.owned("stopped");
    log.wait("it gets on with what the others had", SOON, |log| {
        lost.iter().all(|partition| log.handled_by("last", *partition) > 20)
    })
    .await;
    let before = checkpoints(&store).await;
    log.forget_counts("stopped");
    log.signal("stopped", "CONT");
    log.wait("it notices that it lost them", SOON, |log| {
        lost.iter().all(|partition| log.was_told_of_the_loss("stopped", *partition))
    })
    .await;
    for partition in &lost {
        // Where it was stopped between the look at the clock and the first line of the handler.
        let stale = log.stale("stopped", *partition);
        assert!(stale <= 1, "partition {partition}: {stale} events were handled after the wake-up");
    }
    let after = checkpoints(&store).await;
    for partition in partitions() {
        assert!(after[&partition] >= before[&partition], "partition {partition} went back");
    }
    log.wait("it takes part again", SOON, |log| log.owned("stopped").len() == 3).await;
    let marks = partitions().map(|partition| (partition, log.prefix(partition) + 50)).collect();
    stores_on(&mut log, &store, &marks).await;

    // All die. What is stored is never more than what was handled.
    log.kill("stopped");
    log.kill("last");
    log.read_to_the_end().await;
    let stored = checkpoints(&store).await;
    for partition in partitions() {
        let handled = log.prefix(partition);
        let stored = stored[&partition];
        assert!(stored <= handled, "partition {partition}: {stored} of {handled} is stored");
    }

    stop.send_replace(true);
    let acknowledged = producing.await.unwrap();
    log.forget_events();
    let fresh = ["next", "other"];
    fresh.into_iter().for_each(|name| log.start(name, folder.path(), &text));
    go_on(&mut log, &hub, &store, &stored, acknowledged, fresh).await;
    println!("{acknowledged} events, {} handled more than once", log.repeated());
    hub.close().await;
    emulator.shutdown().await;
}

/// Those who come after a cold start go on just there, share, and end with everything stored.
async fn go_on(
    log: &mut Log,
    hub: &Hub,
    store: &FileStore,
    stored: &BTreeMap<PartitionId, i64>,
    acknowledged: u64,
    fresh: [&'static str; 2],
) {
    let mut last = BTreeMap::new();
    for partition in partitions() {
        let info = hub.partition_runtime_information(partition).await.unwrap();
        last.insert(partition, info.last_enqueued_sequence_number.as_i64());
    }
    let total: i64 = last.values().map(|last| last + 1).sum();
    assert_eq!(u64::try_from(total).unwrap(), acknowledged);
    // What is handled and not stored is handled again, and nothing that is stored.
    let expected = |partition: PartitionId| {
        let (first, last) = (stored[&partition] + 1, last[&partition]);
        (first <= last).then_some((first, last))
    };
    log.wait("everything is handled", TAKEN_OVER, |log| {
        let is_fair = fresh.iter().all(|name| log.owned(name).len() == 3);
        is_fair && partitions().all(|partition| log.ends_of(partition) == expected(partition))
    })
    .await;
    for partition in partitions() {
        assert_eq!(log.prefix(partition), last[&partition], "partition {partition}");
    }
    for name in fresh {
        log.end(name).await;
    }
    assert_eq!(checkpoints(store).await, last);
    let table = store.leases().await.unwrap();
    assert!(table.leases.iter().all(|lease| lease.owner.is_none()), "{table:?}");
}

/// For the child.
fn shared_store(folder: &std::path::Path) -> Arc<FileStore> {
    Arc::new(store(folder))
}
