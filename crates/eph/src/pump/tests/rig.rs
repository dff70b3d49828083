//! An emulator, a pump on one of its partitions, and the ownership between them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_client::{Error, Hub, HubOptions};
use eventhubs_emulator::{Config, DEFAULT_HUB, Emulator, HubConfig, Network};
use eventhubs_protocol::{
    EventData, OwnerLevel, PartitionId, PartitionKey, ReceivedEvent, SequenceNumber,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::checkpoint::Checkpoint;
use crate::handler::{Handler, HandlerError, HandlerId, Registered};
use crate::health::PartitionStage;
use crate::host::Shared;
use crate::memory::MemoryStore;
use crate::notice::{HostEvent, HostEvents, Notices};
use crate::options::HostOptions;
use crate::owner::OwnerId;
use crate::ownership::{End, Refusal};
use crate::partition::{CheckpointError, CloseReason, Committed, Partition, Position};
use crate::pump::Pump;
use crate::pump::post::Post;
use crate::statistics::Counters;
use crate::suspicion::Suspicion;

pub(super) const SECOND: Duration = Duration::from_secs(1);
const HOST: &str = "one.example";

/// What handlers write down.
pub(super) type Log<T> = Arc<Mutex<Vec<T>>>;

pub(super) fn log<T>() -> Log<T> {
    Log::default()
}

pub(super) fn write<T>(log: &Log<T>, what: T) {
    log.lock().expect("nobody panics with it").push(what);
}

pub(super) fn read<T: Clone>(log: &Log<T>) -> Vec<T> {
    log.lock().expect("nobody panics with it").clone()
}

/// An ownership that does what the test says.
pub(super) struct TestPost {
    level: Mutex<OwnerLevel>,
    may_handle: AtomicBool,
    until: AtomicU64,
    pub(super) closing: watch::Sender<Option<CloseReason>>,
    pub(super) finished: Mutex<Vec<i64>>,
    pub(super) events: AtomicU64,
    pub(super) refused: Mutex<Vec<Option<i64>>>,
    /// Levels to go on with after refusals.
    pub(super) raises: Mutex<VecDeque<i64>>,
    pub(super) is_stolen: AtomicBool,
    pub(super) attaches: AtomicU64,
    pub(super) attach_failures: AtomicU64,
    pub(super) running: Mutex<Vec<HandlerId>>,
    pub(super) stage: Mutex<PartitionStage>,
    pub(super) lag: Mutex<Option<u64>>,
}

impl TestPost {
    fn new() -> Self {
        Self {
            level: Mutex::new(OwnerLevel::new(1).expect("it is valid")),
            may_handle: AtomicBool::new(true),
            until: AtomicU64::new(u64::MAX / 4),
            closing: watch::Sender::new(None),
            finished: Mutex::default(),
            events: AtomicU64::new(0),
            refused: Mutex::default(),
            raises: Mutex::default(),
            is_stolen: AtomicBool::new(false),
            attaches: AtomicU64::new(0),
            attach_failures: AtomicU64::new(0),
            running: Mutex::default(),
            stage: Mutex::default(),
            lag: Mutex::default(),
        }
    }

    /// Nothing may start any more.
    pub(super) fn fence(&self) {
        self.may_handle.store(false, Ordering::SeqCst);
        self.until.store(0, Ordering::SeqCst);
    }

    pub(super) fn finished(&self) -> Option<i64> {
        self.finished.lock().expect("nobody panics with it").last().copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

#[async_trait]
impl Post for TestPost {
    fn partition(&self) -> PartitionId {
        PartitionId::from(0)
    }

    fn owner_level(&self) -> OwnerLevel {
        *lock(&self.level)
    }

    fn may_handle(&self) -> bool {
        self.may_handle.load(Ordering::SeqCst) && self.close_reason().is_none()
    }

    fn until(&self) -> &AtomicU64 {
        &self.until
    }

    async fn attach_allowed(&self) -> Result<OwnerLevel, Refusal> {
        match self.is_stolen.load(Ordering::SeqCst) {
            true => Err(Refusal::Ended(End::Stolen)),
            false => Ok(self.owner_level()),
        }
    }

    async fn level_refused(&self, existing: Option<OwnerLevel>) -> Result<OwnerLevel, Refusal> {
        lock(&self.refused).push(existing.map(OwnerLevel::as_i64));
        let Some(level) = lock(&self.raises).pop_front() else {
            return Err(Refusal::Ended(End::EpochRefused));
        };
        *lock(&self.level) = OwnerLevel::new(level).expect("it is valid");
        Ok(self.owner_level())
    }

    fn attached(&self) {
        self.attaches.fetch_add(1, Ordering::SeqCst);
    }

    fn attach_failed(&self, _error: &Error) {
        self.attach_failures.fetch_add(1, Ordering::SeqCst);
    }

    fn stolen(&self) {
        self.is_stolen.store(true, Ordering::SeqCst);
    }

    fn give_up(&self, reason: CloseReason) {
        self.fence();
        self.closing.send_replace(Some(reason));
    }

    fn close_reason(&self) -> Option<CloseReason> {
        *self.closing.borrow()
    }

    async fn closing(&self) -> CloseReason {
        let mut closing = self.closing.subscribe();
        let reason = closing.wait_for(Option::is_some).await.expect("the sender is here");
        reason.expect("it was waited for")
    }

    fn finished(&self, at: &ReceivedEvent, events: u64) {
        let number = at.sequence_number().as_i64();
        let mut finished = lock(&self.finished);
        assert!(finished.last().is_none_or(|last| *last < number), "it only rises: {finished:?}");
        finished.push(number);
        self.events.fetch_add(events, Ordering::SeqCst);
    }

    async fn checkpoint(&self) -> Result<Committed, CheckpointError> {
        let number = self.finished().map(SequenceNumber::from);
        Ok(Committed::Unchanged(number.map(|number| {
            let offset = eventhubs_protocol::Offset::new("1").expect("it is valid");
            Position { offset, sequence_number: number, enqueued: None }.to_checkpoint()
        })))
    }

    fn handler_started(&self, handler: HandlerId) {
        lock(&self.running).push(handler);
    }

    fn handler_ended(&self, handler: HandlerId) {
        let mut running = lock(&self.running);
        let at = running.iter().position(|one| *one == handler).expect("it was started");
        running.remove(at);
    }

    fn set_stage(&self, stage: PartitionStage) {
        *lock(&self.stage) = stage;
    }

    fn set_failures(&self, _failures: u32) {}

    fn set_lag(&self, events: Option<u64>, _time: Option<Duration>) {
        *lock(&self.lag) = events;
    }
}

/// Everything a pump needs, and the pump once it runs.
pub(super) struct Rig {
    pub(super) network: Network,
    pub(super) emulator: Emulator,
    pub(super) hub: Hub,
    pub(super) post: Arc<TestPost>,
    pub(super) handlers: watch::Sender<Arc<[Registered]>>,
    pub(super) paused: watch::Sender<bool>,
    pub(super) shared: Arc<Shared>,
    events: HostEvents,
    pump: Option<JoinHandle<()>>,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(HostOptions::default()).await
    }

    pub(super) async fn with(options: HostOptions) -> Self {
        let hub = HubConfig::new(DEFAULT_HUB, 1);
        let config = Config::default().with_hub_config(hub).in_memory();
        let emulator = Emulator::start(config).await.expect("it starts");
        let network = Network::new();
        network.point(HOST, &emulator);
        let hub = hub_on(&network);
        let handlers = watch::Sender::new(Arc::default());
        let paused = watch::Sender::new(false);
        let notices = Notices::new();
        let events = notices.listen();
        let suspicion = Suspicion::new(options.epochs, options.timing.lease);
        let store = Arc::new(MemoryStore::new());
        let shared = Arc::new(Shared {
            hub: hub.clone(),
            leaser: Arc::clone(&store) as _,
            checkpointer: store,
            options,
            owner: OwnerId::unique(),
            name: "host".to_owned(),
            handlers: handlers.subscribe(),
            paused: paused.subscribe(),
            notices,
            counters: Counters::default(),
            suspicion: Mutex::new(suspicion),
        });
        let post = Arc::new(TestPost::new());
        let pump = None;
        Self { network, emulator, hub, post, handlers, paused, shared, events, pump }
    }

    /// Another hub object on the same hub.
    pub(super) fn another_hub(&self) -> Hub {
        hub_on(&self.network)
    }

    pub(super) fn register(&self, handler: Handler) -> HandlerId {
        let registered = Registered::new(handler);
        let id = registered.id;
        self.handlers.send_modify(|handlers| {
            *handlers = handlers.iter().cloned().chain([registered]).collect();
        });
        id
    }

    pub(super) fn unregister(&self, id: HandlerId) {
        self.handlers.send_modify(|handlers| {
            *handlers = handlers.iter().filter(|one| one.id != id).cloned().collect();
        });
    }

    /// Has the partition hold `count` events more.
    pub(super) fn append(&self, count: usize) {
        for _ in 0..count {
            let payload = EventData::new("an event").to_payload();
            self.emulator.append(DEFAULT_HUB, 0, payload).expect("it is there");
        }
    }

    /// The same with keys.
    pub(super) async fn send(&self, keys: &[&str]) {
        for key in keys {
            let key = PartitionKey::new(key).expect("it is valid");
            let event = EventData::new("an event").with_partition_key(key);
            self.hub.send(event).await.expect("it is accepted");
        }
    }

    pub(super) fn start(&mut self) {
        self.start_from(None);
    }

    pub(super) fn start_from(&mut self, from: Option<Checkpoint>) {
        let pump = Pump::new(Arc::clone(&self.shared), Arc::clone(&self.post), from);
        self.pump = Some(tokio::spawn(pump.run()));
    }

    /// Closes the ownership and waits for the pump.
    pub(super) async fn close(&mut self, reason: CloseReason) {
        self.post.fence();
        self.post.closing.send_replace(Some(reason));
        self.ended().await;
    }

    /// Waits for the pump.
    pub(super) async fn ended(&mut self) {
        let pump = self.pump.take().expect("it runs");
        tokio::time::timeout(600 * SECOND, pump).await.expect("it ends").expect("no panic");
        assert!(lock(&self.post.running).is_empty(), "what was started has ended");
    }

    /// Drops the pump where it is, as a keeper does after the grace.
    pub(super) async fn abandon(&mut self) {
        let pump = self.pump.take().expect("it runs");
        pump.abort();
        assert!(pump.await.expect_err("it did not end").is_cancelled());
    }

    /// What was told since the last time.
    pub(super) fn told(&mut self) -> Vec<HostEvent> {
        std::iter::from_fn(|| self.events.try_next()).collect()
    }

    /// The same in words, by the first words.
    pub(super) fn told_of(&mut self, part: &str) -> Vec<String> {
        let told = self.told().into_iter().map(|event| event.to_string());
        told.filter(|event| event.contains(part)).collect()
    }

    /// Waits until everything up to `number` is finished.
    pub(super) async fn finishes(&self, number: i64) {
        for _ in 0..100_000 {
            if self.post.finished() == Some(number) {
                return;
            }
            pass(SECOND / 100).await;
        }
        panic!("finished {:?} and not {number}", self.post.finished());
    }
}

fn hub_on(network: &Network) -> Hub {
    let text = format!(
        "Endpoint=sb://{HOST};SharedAccessKeyName=RootManageSharedAccessKey;\
         SharedAccessKey=SAS_KEY_VALUE;EntityPath={DEFAULT_HUB};UseDevelopmentEmulator=true"
    );
    let options = HubOptions::default().with_connector(network.connector());
    Hub::from_connection_string_with(&text, None, options).expect("it is valid")
}

/// A handler that writes the numbers of its events down.
pub(super) fn writing(numbers: &Log<i64>) -> Handler {
    let numbers = Arc::clone(numbers);
    Handler::each(move |event, _| {
        write(&numbers, event.sequence_number().as_i64());
        async { Ok(()) }
    })
}

/// One that also fails, at the events for which `fails` says how.
pub(super) fn failing(
    numbers: &Log<i64>,
    fails: impl Fn(i64) -> Option<HandlerError> + Send + Sync + 'static,
) -> Handler {
    let numbers = Arc::clone(numbers);
    Handler::each(move |event: ReceivedEvent, _: Partition| {
        let number = event.sequence_number().as_i64();
        write(&numbers, number);
        std::future::ready(fails(number).map_or(Ok(()), Err))
    })
}

/// Lets time pass.
pub(super) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// The checkpoint of an event.
pub(super) fn checkpoint(number: i64) -> Checkpoint {
    let offset = eventhubs_protocol::Offset::new("1").expect("it is valid");
    Checkpoint::new(offset, SequenceNumber::from(number), None)
}
