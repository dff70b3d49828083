//! The process of one host: it does what it is told on standard input, writes its journal to
//! standard output, and ends with its parent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventhubs_client::{ConsumerGroup, Hub, HubName, ReceivedEvent};
use eventhubs_eph::ownership::Timing;
use eventhubs_eph::{
    CheckpointPolicy, CloseReason, Concurrency, EventProcessorHost, FailurePolicy, FileStore,
    Handler, HandlerError, HostEvent, HostOptions, Partition,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;

use super::duty::{self, Duty};
use super::frail::Frail;
use super::scribe::Scribe;
use super::{GRACE, LEASE, NAMESPACE, RENEWAL, SCAN, STARTED, number};
use crate::chronicle::Manner;
use crate::history::Content;
use crate::journal::Note;
use crate::order::Order;
use crate::random::Random;
use crate::run::clock::{Clock, rest};
use crate::run::site::{self, HUB};
use crate::run::{Failure, Gauges, failed};

/// Orders that wait for the one before them.
const ORDERS_MAX: usize = 16;
/// How often it is looked whether this process gets its turns, and what is worth a line.
const LAG_EVERY: Duration = Duration::from_millis(20);
const LAG_MIN: Duration = Duration::from_millis(200);
/// How long what a host used may take to go away, and how much may stay.
const LEAVE_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Keys of which the events are handled side by side.
const LANES: usize = 4;

/// Orders that have come already, and where others come from.
type Input = (Vec<String>, BufReader<std::io::Stdin>);

/// Runs the process of one host, to its end.
///
/// # Errors
///
/// [`Failure`] when what it is told makes no sense, or the host could not be begun.
pub fn child(gauges: &Gauges) -> Result<(), Failure> {
    let mut input = BufReader::new(std::io::stdin());
    let duty = Duty::read(&mut input)?;
    let clock = Clock::start();
    let (ahead, early) = duty::compare(clock, &mut input)?;
    let scribe = Arc::new(Scribe::new(clock, ahead));
    let runtime = runtime(duty.threads).map_err(failed)?;
    runtime.block_on(work(duty, scribe, (early, input), gauges))
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

/// Everything that can be told to go wrong.
struct Bench {
    scribe: Arc<Scribe>,
    run: u64,
    random: Mutex<Random>,
    /// How slow handlers are, and how many of a thousand calls fail.
    troubles: Mutex<BTreeMap<u32, (Duration, u64)>>,
}

async fn work(
    duty: Duty,
    scribe: Arc<Scribe>,
    input: Input,
    gauges: &Gauges,
) -> Result<(), Failure> {
    let random = Random::new(duty.seed).fork(u64::from(duty.host) << 16 | u64::from(duty.turn));
    let hub_name = HubName::new(HUB).map_err(failed)?;
    let store = FileStore::new(&duty.folder, NAMESPACE, &hub_name, &ConsumerGroup::default());
    let store = store.map_err(failed)?;
    let store = Arc::new(Frail::new(store, Arc::clone(&scribe), random.fork(1)));
    let bench = Arc::new(Bench {
        scribe: Arc::clone(&scribe),
        run: duty.run,
        random: Mutex::new(random.fork(2)),
        troubles: Mutex::default(),
    });
    let orders = listen(input, Arc::clone(&store), Arc::clone(&bench));
    let watch = tokio::spawn(watch_lag(Arc::clone(&scribe)));
    let base = gauge(gauges, &scribe, false);
    let host = host(&duty, Arc::clone(&store))?;
    host.register_handler(handler(duty.manner, &bench)).map_err(failed)?;
    let events = tokio::spawn(tell(host.host_events(), Arc::clone(&scribe)));
    scribe.remark(format_args!("owner {}", host.owner()));
    host.start_nonblocking().map_err(failed)?;
    obey(&host, orders, &scribe).await;
    scribe.remark(format_args!("statistics {:?}", host.statistics()));
    gauge(gauges, &scribe, true);
    let closed = host.close().await;
    scribe.remark(format_args!("closed: {closed:?}"));
    drop(host);
    // Its events end with it.
    let _ = tokio::time::timeout(LEAVE_MAX, events).await;
    settle(gauges, base, &scribe).await;
    watch.abort();
    Ok(())
}

/// A host with the times of this profile.
fn host(duty: &Duty, store: Arc<Frail>) -> Result<EventProcessorHost, Failure> {
    let Duty { host, turn, manner, connection, .. } = duty;
    let options = site::options(site::Manner::Steadfast, 0);
    let options = options.with_identifier(format!("host-{host}-{turn}"));
    let hub = Hub::from_connection_string_with(connection, None, options).map_err(failed)?;
    let second = Duration::from_secs(1);
    let checkpoints = match manner {
        Manner::Each => CheckpointPolicy::AfterEach { every: second },
        Manner::Batch => CheckpointPolicy::Every { events: 100, time: second },
        Manner::Keys => CheckpointPolicy::AfterEach { every: second * 2 },
    };
    let failures = FailurePolicy::Restart { delay: second / 5, delay_max: second * 2 };
    let options = HostOptions::default()
        .with_name(format!("host-{host}"))
        .with_timing(Timing { lease: LEASE, renewal: RENEWAL, grace: GRACE })
        .with_scan(SCAN)
        .with_checkpoints(checkpoints)
        .with_failures(failures);
    let leaser = Arc::clone(&store);
    EventProcessorHost::new(hub, leaser, store, options).map_err(failed)
}

/// The handler, in the manner of this host.
fn handler(manner: Manner, bench: &Arc<Bench>) -> Handler {
    let (one, opened) = (Arc::clone(bench), Arc::clone(bench));
    let each = move |event: ReceivedEvent, partition: Partition| {
        let bench = Arc::clone(&one);
        async move { bench.handle(&[event], &partition).await }
    };
    let many = Arc::clone(bench);
    let handler = match manner {
        Manner::Each => Handler::each(each),
        Manner::Keys => {
            let lanes = std::num::NonZeroUsize::new(LANES).unwrap_or(std::num::NonZeroUsize::MIN);
            Handler::each(each).with_concurrency(Concurrency::PerKey { lanes })
        }
        Manner::Batch => Handler::batch(move |events: Vec<ReceivedEvent>, partition: Partition| {
            let bench = Arc::clone(&many);
            async move { bench.handle(&events, &partition).await }
        }),
    };
    let closed = Arc::clone(bench);
    handler
        .on_open(move |partition| {
            let scribe = Arc::clone(&opened.scribe);
            async move {
                scribe.remark(format_args!("open {}", partition.id()));
                tokio::spawn(async move {
                    let level = partition.owner_level();
                    let reason = partition.ended().await;
                    let gives = matches!(reason, CloseReason::Stopping | CloseReason::Released);
                    let (partition, level) = (number(partition.id()), level.as_i64());
                    scribe.note(Note::Told { partition, level, gives });
                });
                Ok(())
            }
        })
        .on_close(move |partition, reason| {
            closed.scribe.remark(format_args!("closed {}: {reason}", partition.id()));
            async { Ok(()) }
        })
}

impl Bench {
    /// Handles events, which are one call: all of them succeed or none.
    async fn handle(
        &self,
        events: &[ReceivedEvent],
        partition: &Partition,
    ) -> Result<(), HandlerError> {
        let (partition, level) = (number(partition.id()), partition.owner_level().as_i64());
        for event in events {
            let sequence = event.sequence_number().as_i64();
            let event = match Content::of(self.run, event.body()) {
                Content::Event(event) => Some(event),
                Content::Foreign { .. } | Content::Damaged(_) => None,
            };
            self.scribe.note(Note::Started { partition, level, sequence, event });
        }
        let (slow, fails) = self.fate();
        if !slow.is_zero() {
            rest(slow).await;
        }
        for event in events {
            let sequence = event.sequence_number().as_i64();
            self.scribe.note(Note::Ended { partition, level, sequence, ok: !fails });
        }
        match fails {
            true => Err(HandlerError::new("it was told to fail")),
            false => Ok(()),
        }
    }

    fn fate(&self) -> (Duration, bool) {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let slow = troubles.values().map(|(slow, _)| *slow).sum();
        let failing: u64 = troubles.values().map(|(_, failing)| failing).sum();
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        (slow, failing > 0 && random.below(1000) < failing)
    }
}

/// Hears orders on a thread of its own. When the parent is gone, so is this process.
fn listen((early, input): Input, store: Arc<Frail>, bench: Arc<Bench>) -> mpsc::Receiver<Order> {
    let (orders, receiver) = mpsc::channel(ORDERS_MAX);
    std::thread::spawn(move || {
        for line in early.into_iter().chain(input.lines().map_while(Result::ok)) {
            let order = match line.parse() {
                Ok(order) => order,
                Err(problem) => {
                    bench.scribe.remark(problem);
                    continue;
                }
            };
            bench.scribe.remark(format_args!("order: {line}"));
            match order {
                Order::Store { id, calls, percent, trouble } => {
                    store.upset(id, calls, percent, trouble);
                }
                Order::Handlers { id, slow, failing } => {
                    let mut troubles =
                        bench.troubles.lock().unwrap_or_else(PoisonError::into_inner);
                    troubles.insert(id, (slow, failing));
                }
                Order::Lift { id } => {
                    store.lift(id);
                    bench.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                }
                Order::Cycle { .. } | Order::End => {
                    // One who does not listen any more is about to end.
                    let _ = orders.blocking_send(order);
                }
            }
        }
        std::process::exit(0);
    });
    receiver
}

/// Does what takes time, until it is told to end.
async fn obey(host: &EventProcessorHost, mut orders: mpsc::Receiver<Order>, scribe: &Scribe) {
    while let Some(Order::Cycle { pause }) = orders.recv().await {
        let stopped = host.stop().await;
        scribe.remark(format_args!("stopped: {stopped:?}"));
        rest(pause).await;
        let started = host.start_nonblocking();
        scribe.remark(format_args!("{STARTED} {started:?}"));
    }
}

/// Writes down what the host tells of itself.
async fn tell(mut events: eventhubs_eph::HostEvents, scribe: Arc<Scribe>) {
    while let Some(event) = events.next().await {
        if let HostEvent::Skipped { partition, from, to, .. } = &event {
            let at = |number: &Option<eventhubs_client::SequenceNumber>| {
                number.map_or(-1, |number| number.as_i64())
            };
            let (partition, from, to) = (number(*partition), at(from), at(to));
            scribe.note(Note::Skipped { partition, from, to });
        }
        scribe.remark(event);
    }
}

/// Notes when this process was kept from running.
async fn watch_lag(scribe: Arc<Scribe>) {
    loop {
        let before = scribe.now();
        rest(LAG_EVERY).await;
        let late = scribe.now().saturating_sub(before);
        if u128::from(late) > (LAG_EVERY + LAG_MIN).as_micros() {
            scribe.note(Note::Late { by: late });
        }
    }
}

/// What this process uses.
#[derive(Debug, Clone, Copy)]
struct Use {
    bytes: usize,
    tasks: usize,
    files: usize,
}

impl Use {
    fn now(gauges: &Gauges) -> Self {
        let tasks = Handle::current().metrics().num_alive_tasks();
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { bytes: (gauges.live)(), tasks, files }
    }
}

fn gauge(gauges: &Gauges, scribe: &Scribe, at_work: bool) -> Use {
    let now = Use::now(gauges);
    let Use { bytes, tasks, files } = now;
    scribe.note(Note::Gauge { at_work, bytes, tasks, files });
    now
}

/// Waits a while for the end of what is ending.
async fn settle(gauges: &Gauges, base: Use, scribe: &Scribe) {
    let mut waited = Duration::ZERO;
    while waited < LEAVE_MAX {
        let now = Use::now(gauges);
        if now.tasks <= base.tasks && now.files <= base.files {
            break;
        }
        rest(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
    gauge(gauges, scribe, false);
}
