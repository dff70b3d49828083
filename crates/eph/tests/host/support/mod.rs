//! What every test begins with: an emulator at a name of a network in memory, a store that can be
//! made to fail, hosts on both, and a record of what their handlers were given.

pub(crate) mod store;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventhubs_client::message::{Body, Message};
use eventhubs_client::{Hub, HubOptions, PartitionId, ReceivedEvent};
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator, HubConfig, Network};
use eventhubs_eph::{
    Checkpointer, EventProcessorHost, Handler, HostEvent, HostEvents, HostOptions, HostState,
    Leaser, OwnerId, Partition,
};
use tokio::runtime::Handle;

use self::store::Store;

pub(crate) const HUB: &str = DEFAULT_HUB;
pub(crate) const HOST: &str = "one.example";
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An emulator, a store, and what the handlers of all hosts saw.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) store: Store,
    pub(crate) record: Record,
    pub(crate) partitions: u16,
}

impl World {
    pub(crate) async fn new(partitions: u16) -> Self {
        let hub = HubConfig::new(HUB, u32::from(partitions));
        let config = Config::default().with_hub_config(hub).in_memory();
        let emulator = Arc::new(Emulator::start(config).await.expect("it starts"));
        let network = Network::new();
        network.point(HOST, &emulator);
        let (store, record) = (Store::new(), Record::default());
        Self { network, emulator, store, record, partitions }
    }

    pub(crate) fn hub(&self) -> Hub {
        let text = format!(
            "Endpoint=sb://{HOST};SharedAccessKeyName=RootManageSharedAccessKey;\
             SharedAccessKey=SAS_KEY_VALUE;EntityPath={HUB};UseDevelopmentEmulator=true"
        );
        let options = HubOptions::default().with_connector(self.network.connector());
        Hub::from_connection_string_with(&text, None, options).expect("it is valid")
    }

    /// A host without a handler.
    pub(crate) fn bare(&self, options: HostOptions) -> EventProcessorHost {
        self.bare_on(&self.store, options)
    }

    pub(crate) fn bare_on(&self, store: &Store, options: HostOptions) -> EventProcessorHost {
        let leaser: Arc<dyn Leaser> = Arc::new(store.clone());
        let checkpointer: Arc<dyn Checkpointer> = Arc::new(store.clone());
        EventProcessorHost::new(self.hub(), leaser, checkpointer, options).expect("valid")
    }

    /// A host whose handler writes into the record.
    pub(crate) fn host(&self, options: HostOptions) -> EventProcessorHost {
        self.host_on(&self.store, options)
    }

    pub(crate) fn host_on(&self, store: &Store, options: HostOptions) -> EventProcessorHost {
        let host = self.bare_on(store, options);
        host.register_handler(self.record.handler()).expect("it is open");
        host
    }

    /// A host that was started.
    pub(crate) fn started(&self, options: HostOptions) -> EventProcessorHost {
        let host = self.host(options);
        host.start_nonblocking().expect("it is idle");
        host
    }

    /// Has a partition hold `count` events more, which no connection carries.
    pub(crate) fn append(&self, partition: u16, count: usize) {
        for _ in 0..count {
            let message = Message { body: Body::from(&b"event"[..]), ..Message::default() };
            let mut out = bytes::BytesMut::new();
            message.encode(&mut out);
            self.emulator.append(HUB, partition.into(), out.freeze()).expect("it is there");
        }
    }

    /// The same for every partition.
    pub(crate) fn append_all(&self, count: usize) {
        (0..self.partitions).for_each(|partition| self.append(partition, count));
    }

    /// How many partitions each owner holds by the store.
    pub(crate) async fn holders(&self) -> BTreeMap<OwnerId, usize> {
        let Ok(table) = self.store.inner().leases().await else { return BTreeMap::new() };
        let mut counts = BTreeMap::new();
        for owner in table.leases.iter().filter_map(|lease| lease.holder(table.date)) {
            *counts.entry(owner.clone()).or_default() += 1;
        }
        counts
    }

    /// How many partitions a host processes when everything it should have is there.
    pub(crate) async fn settles(&self, hosts: &[&EventProcessorHost], within: Duration) {
        let total = usize::from(self.partitions);
        let (low, high) = (total / hosts.len(), total.div_ceil(hosts.len()));
        until(within, || {
            let counts = hosts.iter().map(|host| host.partition_ids_being_processed().len());
            let counts: Vec<usize> = counts.collect();
            let is_fair = counts.iter().all(|count| (low..=high).contains(count));
            (is_fair && counts.iter().sum::<usize>() == total).then_some(()).ok_or(counts)
        })
        .await;
    }

    /// Every partition was handled from its first event to its last, without a hole.
    pub(crate) async fn handles_all(&self, within: Duration) {
        let stored = |partition| {
            let events = self.emulator.events(HUB, u32::from(partition)).expect("it is there");
            events.len()
        };
        until(within, || {
            let missing: Vec<_> = (0..self.partitions)
                .filter(|&partition| self.record.distinct(partition) < stored(partition))
                .collect();
            missing.is_empty().then_some(()).ok_or(missing)
        })
        .await;
    }
}

/// Lets time pass in small steps until `look` finds what it looks for; fails with what it found
/// last.
pub(crate) async fn until<T, E: std::fmt::Debug>(
    within: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let end = tokio::time::Instant::now() + within;
    loop {
        let found = match look() {
            Ok(found) => return found,
            Err(found) => found,
        };
        assert!(tokio::time::Instant::now() < end, "after {within:?}: {found:?}");
        pass(Duration::from_millis(100)).await;
    }
}

/// What handlers were given: host, partition and number of each event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    entries: Arc<Mutex<Vec<(String, u16, i64)>>>,
}

impl Record {
    pub(crate) fn handler(&self) -> Handler {
        let record = self.clone();
        Handler::each(move |event, partition| {
            record.write(&event, &partition);
            async { Ok(()) }
        })
    }

    pub(crate) fn write(&self, event: &ReceivedEvent, partition: &Partition) {
        let number = event.sequence_number().as_i64();
        let entry = (partition.host().to_owned(), partition.id().as_u16(), number);
        self.entries().push(entry);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<(String, u16, i64)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Numbers of a partition, in the order in which they were handled.
    pub(crate) fn of(&self, partition: u16) -> Vec<i64> {
        let entries = self.entries();
        let of = entries.iter().filter(|(_, at, _)| *at == partition);
        of.map(|(_, _, number)| *number).collect()
    }

    pub(crate) fn distinct(&self, partition: u16) -> usize {
        let mut numbers = self.of(partition);
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    }
}

/// Every event so far.
pub(crate) fn drain(events: &mut HostEvents) -> Vec<HostEvent> {
    std::iter::from_fn(|| events.try_next()).collect()
}

/// The states that the events tell of.
pub(crate) fn states(events: &mut HostEvents) -> Vec<HostState> {
    let states = drain(events).into_iter().filter_map(|event| match event {
        HostEvent::StateChanged { to, .. } => Some(to),
        _ => None,
    });
    states.collect()
}

pub(crate) fn ids(partitions: impl IntoIterator<Item = u16>) -> Vec<PartitionId> {
    partitions.into_iter().map(PartitionId::from).collect()
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Lets time pass.
pub(crate) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// A guard against a test that hangs, on the paused clock, where an hour is nothing.
pub(crate) async fn within_paused<F: Future>(future: F) -> F::Output {
    const LIMIT: Duration = Duration::from_secs(3600);
    tokio::time::timeout(LIMIT, future).await.expect("it ends by a deadline of its own")
}

/// Tasks of this runtime, besides the test itself.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more than `before` tasks are left.
pub(crate) async fn only_tasks(before: usize) {
    until(seconds(120), || (tasks() <= before).then_some(()).ok_or_else(tasks)).await;
}
