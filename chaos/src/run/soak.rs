//! The profile `soak`: a steady stream of small events for long, with the interruptions that every
//! client meets, checked in memory that does not grow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_client::{Error, Hub, PartitionId};
use eventhubs_emulator::{Effect, Fault, Limits};
use tokio::task::JoinSet;

use super::board::{Board, Phase, Progress};
use super::clock::rest;
use super::consuming::Consumer;
use super::report::Report;
use super::site::{Deadlines, Manner, Site, deadlines};
use super::{CONSUMERS, Failure, Gauges, Log, PARTITIONS, PRODUCERS, Settings, failed};
use crate::history::{Outcome, Send};
use crate::random::Random;
use crate::stamp::Stamp;
use crate::violation::Violation;
use crate::window::{Balance, Window};

/// Events per second, of all producers together.
const RATE: u64 = 20_000;
/// Bytes of an event's body.
const BODY: u32 = 100;
/// How often each producer sends a batch; to each partition in turn.
const BATCH_EVERY: Duration = Duration::from_millis(20);
/// Events of a batch, so that the rate comes out.
const BATCH: u32 = (RATE * BATCH_EVERY.as_millis() as u64 / 1000 / PRODUCERS as u64) as u32;
/// Events of each producer and partition that may wait to be accounted for: about 50 s.
const WINDOW: usize = 1 << 16;
/// Bytes of events that the emulator keeps of each partition.
const RETENTION: usize = 64 << 20;

/// What strikes, and how often.
const TOKENS_EVERY: Duration = Duration::from_secs(30);
const DETACH_EVERY: Duration = Duration::from_secs(10);
const CLOSE_EVERY: Duration = Duration::from_secs(60);
/// How long tokens live by the service's clock.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// How often it is looked how far a run is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const MINUTE: Duration = Duration::from_secs(60);
/// How long the rest of the events may take.
const REST_MAX: Duration = Duration::from_secs(60);
/// A minute may use so much more memory than the second, in percent.
const GROWTH: usize = 2;

/// What sends and readings are booked in.
type Book = Arc<Mutex<Window>>;

fn open(book: &Book) -> MutexGuard<'_, Window> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A long run. `settings.length` is all of it but the end; its transport, faults by row, pace and
/// bug are not used.
///
/// # Errors
///
/// [`Failure`] when it could not be begun. What went wrong in it is in the report.
pub async fn soak(settings: &Settings, gauges: &Gauges, log: &dyn Log) -> Result<Report, Failure> {
    let limits = Limits { partition_bytes: RETENTION, ..Limits::default() };
    let site = Site::start(super::Transport::Tls, PARTITIONS, limits, TOKEN_LIFE).await?;
    let board = Arc::new(Board::new(&Random::new(settings.seed), PARTITIONS, 1, BATCH_EVERY, None));
    let book: Book = Arc::new(Mutex::new(Window::new(PRODUCERS, PARTITIONS, WINDOW)));
    let deadlines = deadlines();
    let mut tasks = JoinSet::new();
    let mut consumers = JoinSet::new();
    let mut hubs = Vec::new();
    for producer in 0..PRODUCERS {
        let hub = site.hub("producer", producer, Manner::Steadfast)?;
        hubs.push(hub.clone());
        let (board, book) = (Arc::clone(&board), Arc::clone(&book));
        tasks.spawn(Steady { board, book, hub, producer, deadlines }.run());
    }
    for consumer in 0..CONSUMERS {
        let hub = site.hub("consumer", consumer, Manner::Steadfast)?;
        hubs.push(hub.clone());
        let (board, book) = (Arc::clone(&board), Arc::clone(&book));
        let consuming = Consumer { board, hub, consumer, partition: consumer, deadlines };
        consumers.spawn(consuming.run(move |reading| open(&book).reading(consumer, reading)));
    }
    let mut minutes = Minutes::new(gauges);
    let strikes = watch(settings, &site, &board, &mut minutes, log).await;
    site.calm();
    let stuck = recover(&board, log).await;
    board.advance(Phase::Draining);
    let ended = tokio::time::timeout(REST_MAX, tasks.join_all()).await;
    settle(&board, &book, log).await;
    board.advance(Phase::Over);
    let read = tokio::time::timeout(REST_MAX, consumers.join_all()).await;
    let unknown_retried = hubs.iter().map(|hub| hub.statistics().unknown_retried).sum();
    for hub in &hubs {
        board.measures.measured("close of a hub", deadlines.close, hub.close()).await;
    }
    site.emulator.shutdown().await;
    let book = Arc::into_inner(book).ok_or_else(|| failed("somebody still books"))?;
    let balance = book.into_inner().unwrap_or_else(PoisonError::into_inner).finish(unknown_retried);
    let mut report = judge(&balance, unknown_retried);
    for who in stuck {
        report.findings.add(Violation::Stuck { who, waited: REST_MAX });
    }
    for (who, is_stuck) in [("producers", ended.is_err()), ("consumers", read.is_err())] {
        if is_stuck {
            let who = format!("the end of {who}");
            report.findings.add(Violation::Stuck { who, waited: REST_MAX });
        }
    }
    let seconds = settings.length.as_secs_f64();
    report.line("events per second", (balance.acknowledged as f64 / seconds).round());
    minutes.judge(&mut report);
    board.measures.judge(&mut report.findings);
    report.stalls(&board);
    report.line("interruptions", strikes);
    super::trial::tell_statistics(
        &mut report,
        &hubs.iter().map(Hub::statistics).collect::<Vec<_>>(),
    );
    report.operations(&board);
    report.errors(&board);
    if (gauges.panics)() > 0 {
        report.findings.add(Violation::Panicked { times: (gauges.panics)() });
    }
    Ok(report)
}

/// Most bytes in use in each minute.
struct Minutes<'a> {
    gauges: &'a Gauges,
    peaks: Vec<usize>,
}

impl<'a> Minutes<'a> {
    fn new(gauges: &'a Gauges) -> Self {
        (gauges.peak)();
        Self { gauges, peaks: Vec::new() }
    }

    /// A minute has ended.
    fn end(&mut self) {
        self.peaks.push((self.gauges.peak)());
    }

    /// No minute after the second used more than it.
    fn judge(&self, report: &mut Report) {
        let mebibytes = |bytes: &usize| format!("{:.1}", *bytes as f64 / f64::from(1 << 20));
        let all: Vec<_> = self.peaks.iter().map(mebibytes).collect();
        report.line("MiB in use at most, by minute", all.join(" "));
        let Some(&before) = self.peaks.get(1) else { return };
        for (minute, &after) in (1..).zip(&self.peaks).skip(2) {
            if after > before + before * GROWTH / 100 {
                report.findings.add(Violation::Grew { before, after, minute });
            }
        }
    }
}

/// Lets the run go on for as long as the settings say, with its interruptions.
async fn watch(
    settings: &Settings,
    site: &Site,
    board: &Board,
    minutes: &mut Minutes<'_>,
    log: &dyn Log,
) -> u64 {
    let condition = "amqp:link:detach-forced";
    let detach = Fault::now(Effect::detach(condition, "moved"));
    let close = Fault::now(Effect::close("amqp:connection:forced", "moved"));
    let mut strikes = 0;
    let mut due = [DETACH_EVERY, TOKENS_EVERY, CLOSE_EVERY, MINUTE];
    let every = due;
    while board.clock.elapsed() < settings.length {
        rest(LOOK_EVERY).await;
        log.status(&board.status());
        for index in 0..due.len() {
            if board.clock.elapsed() < due[index] {
                continue;
            }
            due[index] += every[index];
            strikes += u64::from(index < 3);
            let struck = match index {
                0 => site.emulator.inject(detach.clone()).map(drop),
                1 => {
                    site.advance_clock(TOKEN_LIFE);
                    Ok(())
                }
                2 => site.emulator.inject(close.clone()).map(drop),
                _ => {
                    minutes.end();
                    Ok(())
                }
            };
            if let Err(error) = struck {
                log.line(&format!("not struck: {error}"));
            }
        }
    }
    strikes
}

/// Waits until everybody goes forward again; who does not.
async fn recover(board: &Board, log: &dyn Log) -> Vec<String> {
    let since = board.clock.micros();
    let start = board.clock.elapsed();
    let behind = || {
        let is_behind = |progress: &Progress| progress.last_start() <= since;
        let producers = (0..PRODUCERS).filter(|id| is_behind(&board.producing[usize::from(*id)]));
        let consumers = (0..CONSUMERS).filter(|id| is_behind(&board.consuming[usize::from(*id)]));
        let producers = producers.map(|id| format!("producer {id}"));
        producers.chain(consumers.map(|id| format!("consumer {id}"))).collect::<Vec<_>>()
    };
    while !behind().is_empty() && board.clock.elapsed() - start < REST_MAX {
        rest(LOOK_EVERY).await;
        log.status(&board.status());
    }
    behind()
}

/// Waits until everything that was acknowledged has been read.
async fn settle(board: &Board, book: &Book, log: &dyn Log) {
    let start = board.clock.elapsed();
    while !open(book).is_settled() && board.clock.elapsed() - start < REST_MAX {
        rest(LOOK_EVERY).await;
        log.status(&board.status());
    }
}

fn judge(balance: &Balance, unknown_retried: u64) -> Report {
    let findings = balance.findings.clone();
    let mut report = Report::default();
    report.line("acknowledged", balance.acknowledged);
    report.line("lost", findings.count("lost"));
    let doubled = format!(
        "{} events stored again, {unknown_retried} batches sent again; {} events read again",
        balance.stored_again, balance.read_again
    );
    report.line("duplicated", doubled);
    report.line("out of order", findings.count("reordered") + findings.count("repeated"));
    report.line("failed for certain", balance.failed);
    report.line("unknown", balance.unknown);
    report.line("read", balance.read);
    let trimmed =
        format!("{}, {} acknowledged ones among them", balance.trimmed, balance.trimmed_unread);
    report.line("trimmed before they were read", trimmed);
    report.line("reported as missing", balance.gaps);
    report.findings = findings;
    report
}

/// A producer that sends at a steady rate.
struct Steady {
    board: Arc<Board>,
    book: Book,
    hub: Hub,
    producer: u16,
    deadlines: Deadlines,
}

impl Steady {
    async fn run(self) {
        let mut due = Duration::ZERO;
        for turn in 0.. {
            if self.board.is(Phase::Draining) {
                return;
            }
            self.batch(turn % PARTITIONS).await;
            due += BATCH_EVERY;
            // After an outage it goes on at its rate and does not make up for it.
            due = due.max(self.board.clock.elapsed().saturating_sub(MINUTE));
            self.board.clock.reach(due).await;
        }
    }

    async fn batch(&self, partition: u16) {
        let start = self.board.clock.micros();
        let Some(first) = open(&self.book).begin(self.producer, partition, BATCH, start) else {
            return;
        };
        let (producer, count) = (self.producer, BATCH);
        let outcome = Outcome::Unknown;
        let mut send = Send { producer, partition, first, count, start, end: start, outcome };
        send.outcome = match self.send(&send).await {
            Some(Ok(())) => Outcome::Acked,
            Some(Err(error)) => {
                self.board.note_error("send of a batch", &error);
                match error.may_have_been_sent() {
                    true => Outcome::Unknown,
                    false => Outcome::Failed,
                }
            }
            None => Outcome::Unknown,
        };
        send.end = self.board.clock.micros();
        if send.outcome == Outcome::Acked {
            self.board.producing[usize::from(producer)].note(start, send.end);
        }
        self.board.note_outcome(send.outcome, count);
        open(&self.book).end(&send);
    }

    async fn send(&self, send: &Send) -> Option<Result<(), Error>> {
        let limit = self.deadlines.send;
        let producer = self.hub.producer(PartitionId::from(send.partition));
        let making = producer.create_batch();
        let making = self.board.measures.measured("making of a batch", limit, making);
        let mut batch = match making.await {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => return Some(Err(error)),
            // Nothing was sent, but who knows what hangs.
            None => return None,
        };
        for event in send.events() {
            let body = Stamp { run: self.board.run, event, length: BODY }.body();
            // A batch of this size always fits; what would not is missed by the checker.
            let _ = batch.try_add(body);
        }
        let sending = producer.send_batch(batch);
        self.board.measures.measured("send of a batch", limit, sending).await
    }
}
