//! One keeper, its store, and a pump that does what the test says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_protocol::{Offset, OwnerLevel, PartitionId};
use tokio::sync::watch;

use super::super::{Keeper, Over, PumpFn};
use super::scripted::Scripted;
use crate::checkpoint::Checkpoint;
use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::handler::{Handler, HandlerId, Registered};
use crate::host::Shared;
use crate::lease::{Acquire, Claim, EpochMode, Lease};
use crate::leaser::Leaser;
use crate::notice::{HostEvent, HostEvents, Notices};
use crate::options::{CheckpointPolicy, HostOptions};
use crate::owner::{LeaseToken, OwnerId};
use crate::partition::Position;
use crate::seat::Seat;
use crate::statistics::HostStatistics;
use crate::suspicion::Suspicion;

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn partition() -> PartitionId {
    PartitionId::from(0)
}

/// What a test holds.
pub(super) struct Stand {
    pub(super) store: Scripted,
    pub(super) shared: Arc<Shared>,
    pub(super) events: HostEvents,
    pub(super) paused: watch::Sender<bool>,
    handlers: watch::Sender<Arc<[Registered]>>,
}

impl Stand {
    pub(super) async fn new() -> Self {
        Self::with(HostOptions::default()).await
    }

    pub(super) async fn manual() -> Self {
        Self::with(HostOptions::default().with_checkpoints(CheckpointPolicy::Manual)).await
    }

    pub(super) async fn with(options: HostOptions) -> Self {
        let store = Scripted::new();
        Leaser::ensure_store(&store.inner).await.unwrap();
        let text = "Endpoint=sb://localhost;SharedAccessKeyName=n;SharedAccessKey=a2V5;EntityPath=hub;UseDevelopmentEmulator=true";
        let (paused, is_paused) = watch::channel(false);
        let none: Arc<[Registered]> = Arc::new([]);
        let (handlers, registered) = watch::channel(none);
        let notices = Notices::new();
        let suspicion = Suspicion::new(options.epochs, options.timing.lease);
        let events = notices.listen();
        let shared = Arc::new(Shared {
            hub: Hub::from_connection_string(text).unwrap(),
            leaser: Arc::new(store.clone()),
            checkpointer: Arc::new(store.clone()),
            options,
            owner: OwnerId::unique(),
            name: "host".to_owned(),
            handlers: registered,
            paused: is_paused,
            notices,
            counters: Default::default(),
            suspicion: Mutex::new(suspicion),
        });
        Self { store, shared, events, paused, handlers }
    }

    pub(super) fn register(&self, handler: Handler) -> HandlerId {
        let registered = Registered::new(handler);
        let id = registered.id;
        self.handlers.send_replace(Arc::new([registered]));
        id
    }

    /// A claim that is won, whoever owns the partition.
    pub(super) async fn claim(&self, partition: PartitionId) -> Lease {
        let store = &self.store.inner;
        let seen = Leaser::ensure(store, partition).await.unwrap();
        let claim = Claim::new(self.shared.owner.clone(), LeaseToken::unique())
            .with_epochs(self.shared.options.epochs)
            .with_duration(self.shared.options.timing.lease);
        match store.acquire(&seen, &claim).await.unwrap() {
            Acquire::Won(lease) => lease,
            Acquire::Lost(_) => panic!("nobody else is here"),
        }
    }

    /// A keeper with a pump that attaches at once and ends when it is told to.
    pub(super) async fn own(&self) -> Keeper {
        self.own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                seat.closing().await;
            }),
        )
        .await
    }

    pub(super) async fn own_with(&self, partition: PartitionId, pump: PumpFn) -> Keeper {
        let asked = clock::moment();
        let lease = self.claim(partition).await;
        Keeper::start_with(Arc::clone(&self.shared), lease, asked, pump)
    }

    pub(super) async fn lease(&self) -> Lease {
        let table = self.store.inner.leases().await.unwrap();
        table.lease(partition()).expect("it was made").clone()
    }

    /// Number of the checkpoint in the store.
    pub(super) async fn stored(&self) -> Option<i64> {
        let stored: Option<Checkpoint> = self.store.inner.load(partition()).await.unwrap();
        stored.map(|stored| stored.sequence_number.as_i64())
    }

    pub(super) fn statistics(&self) -> HostStatistics {
        self.shared.counters.read()
    }

    /// What was told since this was called last, as text.
    pub(super) fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.events.try_next()).map(|event| event.to_string()).collect()
    }

    pub(super) fn told_events(&mut self) -> Vec<HostEvent> {
        std::iter::from_fn(|| self.events.try_next()).collect()
    }
}

/// A pump made of what it does with the seat.
pub(super) fn pump<F>(work: impl FnOnce(Arc<Seat>) -> F + Send + 'static) -> PumpFn
where
    F: Future<Output = ()> + Send + 'static,
{
    Box::new(|_, seat, _| Box::pin(work(seat)))
}

/// The prefix moved on to this event.
pub(super) fn finish(seat: &Seat, number: i64) {
    let offset = Offset::new(&(number * 100).to_string()).unwrap();
    seat.finished(Position { offset, sequence_number: number.into(), enqueued: None }, 1);
}

pub(super) fn level(level: i64) -> OwnerLevel {
    OwnerLevel::new(level).unwrap()
}

pub(super) fn zero() -> HostOptions {
    HostOptions::default().with_epochs(EpochMode::Zero)
}

/// Whether something was dropped, as the future of a pump that was ended.
#[derive(Clone, Default)]
pub(super) struct Dropped(Arc<AtomicBool>);

pub(super) struct Token(Dropped);

impl Dropped {
    pub(super) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

impl Keeper {
    pub(super) fn is_over(&self) -> bool {
        self.over.borrow().is_some()
    }
}

/// How it ended: some time, or the clock of the test would run for ever.
pub(super) async fn ended(keeper: &Keeper) -> Over {
    clock::within(seconds(3_600), keeper.over()).await.expect("it ends within the hour")
}
