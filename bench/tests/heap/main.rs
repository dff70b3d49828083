//! What a host has on the heap for each partition, beside what the streams of a client alone have.
//!
//! Client and host run on one thread, whose allocations are counted; the emulator runs on others and
//! is reached over TCP. Events wait behind a consumer that does not take them, which is when memory
//! matters: up to the default prefetch, in every partition.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{EventStream, Hub, ReceiveOptions};
use eventhubs_emulator::{Config, Emulator};
use eventhubs_eph::balance::Strategy;
use eventhubs_eph::{EventProcessorHost, Handler, HostOptions, MemoryStore};
use eventhubs_protocol::{PartitionId, StartPosition};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

mod thread_bytes;

#[global_allocator]
static ALLOCATOR: thread_bytes::Counting = thread_bytes::Counting;

const PARTITIONS: u16 = 32;
/// In each partition: more than fit into the prefetch.
const EVENTS: usize = 500;
const BODY: usize = 1 << 10;
/// How full the buffers are that events came in differs by how they arrived: the least of so many
/// tries counts, for both.
const TRIES: u32 = 4;
/// A test that would hang fails.
const LIMIT: Duration = Duration::from_secs(60);

fn partitions() -> impl Iterator<Item = PartitionId> {
    (0..PARTITIONS).map(PartitionId::from)
}

/// Waits until nothing more arrives; the bytes in use then.
async fn settled() -> isize {
    let mut rhythm = tokio::time::interval(Duration::from_millis(100));
    let (mut last, mut same) = (0, 0);
    while same < 10 {
        rhythm.tick().await;
        let live = thread_bytes::live();
        same = if (live - last).abs() < 1 << 10 { same + 1 } else { 0 };
        last = live;
    }
    last
}

/// Streams of which each has handed out one event.
async fn streams(text: &str) -> isize {
    let hub = Hub::from_connection_string(text).expect("it is valid");
    hub.runtime_information().await.expect("it answers");
    let before = settled().await;
    let mut streams: Vec<EventStream> = Vec::with_capacity(PARTITIONS.into());
    let mut events = Vec::with_capacity(PARTITIONS.into());
    for partition in partitions() {
        let options = ReceiveOptions::default().with_start(StartPosition::earliest());
        let mut stream = hub.events(partition, options).await.expect("it attaches");
        events.push(stream.next().await.expect("there is one").expect("it is sound"));
        streams.push(stream);
    }
    let after = settled().await;
    drop((streams, events));
    hub.close().await;
    after - before
}

/// A host whose handler has one event of each partition and does not end.
async fn host(text: &str) -> isize {
    let store = Arc::new(MemoryStore::new());
    let hub = Hub::from_connection_string(text).expect("it is valid");
    let options = HostOptions::default()
        .with_strategy(Strategy::Greedy)
        .with_start(StartPosition::earliest());
    let host = EventProcessorHost::new(hub.clone(), Arc::clone(&store) as _, store, options)
        .expect("the options are right");
    hub.runtime_information().await.expect("it answers");
    let (called, mut calls) = mpsc::channel(PARTITIONS.into());
    let handler = Handler::each(move |event, partition| {
        let called = called.clone();
        async move {
            called.send(()).await?;
            partition.ended().await;
            drop(event);
            Ok(())
        }
    });
    host.register_handler(handler).expect("it is open");
    let before = settled().await;
    host.start_nonblocking().expect("it is idle");
    for _ in partitions() {
        calls.recv().await.expect("the handler is there");
    }
    let after = settled().await;
    host.close().await.expect("it closes");
    after - before
}

#[test]
fn a_host_has_at_most_a_tenth_more_on_the_heap_for_a_partition_than_a_client() {
    let beside = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
    let (emulator, text) = beside.block_on(async {
        let config = Config::default().with_hub("hub", PARTITIONS.into());
        let emulator = Emulator::start(config).await.expect("it starts");
        let text = emulator.connection_string_for("hub");
        let hub = Hub::from_connection_string(&text).expect("it is valid");
        for partition in partitions() {
            for _ in 0..EVENTS / 50 {
                let mut batch = hub.create_batch(partition).await.expect("it is there");
                (0..50).for_each(|_| batch.try_add(vec![7; BODY]).expect("it fits"));
                hub.send_batch(batch).await.expect("it is stored");
            }
        }
        hub.close().await;
        (emulator, text)
    });
    let alone = Builder::new_current_thread().enable_all().build().expect("a runtime");
    thread_bytes::count_this_thread();
    let (client, host) = alone.block_on(async {
        let both = async {
            let (mut client, mut owner) = (isize::MAX, isize::MAX);
            for _ in 0..TRIES {
                client = client.min(streams(&text).await);
                owner = owner.min(host(&text).await);
            }
            (client, owner)
        };
        tokio::time::timeout(LIMIT, both).await.expect("it is quick")
    });
    let each = |bytes: isize| bytes / isize::try_from(PARTITIONS).expect("they are few");
    println!("bytes for each partition: a client {}, a host {}", each(client), each(host));
    beside.block_on(emulator.shutdown());
    assert!(host * 10 <= client * 11, "{host} of the host are above {client} of the client");
}
