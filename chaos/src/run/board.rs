//! What everybody in a run writes on and looks at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventhubs_client::Error;
use tokio::sync::watch;

use super::clock::Clock;
use super::measure::Measures;
use super::{CONSUMERS, PRODUCERS};
use crate::history::Outcome;
use crate::random::Random;
use crate::tamper::{Bug, Tamper};

/// Errors by place and kind: how often, and the latest in full.
pub(crate) type Errors = BTreeMap<(&'static str, String), (u64, String)>;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everybody works.
    Working,
    /// Producers end, consumers read what is left.
    Draining,
    /// Everybody ends.
    Over,
}

/// Progress of one producer's task or of one consumer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// When something last succeeded, in microseconds.
    last: AtomicU64,
    /// When what last succeeded had begun.
    last_start: AtomicU64,
    /// The longest time without success.
    stall: AtomicU64,
    /// When that time was over.
    stall_end: AtomicU64,
}

impl Progress {
    pub(crate) fn note(&self, start: u64, now: u64) {
        self.last_start.fetch_max(start, Ordering::Relaxed);
        self.end(now);
    }

    /// Counts the time since the last success as well.
    fn end(&self, now: u64) {
        let last = self.last.swap(now, Ordering::Relaxed);
        let stall = now.saturating_sub(last);
        if self.stall.fetch_max(stall, Ordering::Relaxed) < stall {
            self.stall_end.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn last_start(&self) -> u64 {
        self.last_start.load(Ordering::Relaxed)
    }

    /// The longest time without success, and when it was over.
    pub(crate) fn stall(&self) -> (Duration, Duration) {
        let micros = |of: &AtomicU64| Duration::from_micros(of.load(Ordering::Relaxed));
        (micros(&self.stall), micros(&self.stall_end))
    }
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) run: u64,
    pub(crate) clock: Clock,
    pub(crate) measures: Measures,
    pub(crate) random: Random,
    pub(crate) pace: Duration,
    bug: Option<Bug>,
    phase: watch::Sender<Phase>,
    acked: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    read: AtomicU64,
    /// What clients were told, by place and kind: how often, and the latest in full.
    errors: Mutex<Errors>,
    counters: Vec<AtomicU64>,
    partitions: u16,
    /// By producer and task.
    pub(crate) producing: Vec<Progress>,
    /// By consumer.
    pub(crate) consuming: Vec<Progress>,
    /// The highest sequence number read, by partition.
    pub(crate) reached: Vec<AtomicI64>,
}

/// Tasks of each producer, so that sends overlap.
pub(crate) const LANES: u16 = 2;
/// A planted bug strikes every so many events.
const BUG_EVERY: u64 = 400;

impl Board {
    /// For producers of so many tasks each.
    pub(crate) fn new(
        random: &Random,
        partitions: u16,
        lanes: u16,
        pace: Duration,
        bug: Option<Bug>,
    ) -> Self {
        let pairs = usize::from(PRODUCERS) * usize::from(partitions);
        let progress = |count: u16| (0..count).map(|_| Progress::default()).collect();
        Self {
            run: random.fork(u64::from_be_bytes(*b"the run.")).draw(),
            clock: Clock::start(),
            measures: Measures::default(),
            random: random.clone(),
            pace,
            bug,
            phase: watch::Sender::new(Phase::Working),
            acked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            read: AtomicU64::new(0),
            errors: Mutex::default(),
            counters: (0..pairs).map(|_| AtomicU64::new(0)).collect(),
            partitions,
            producing: progress(PRODUCERS * lanes),
            consuming: progress(CONSUMERS),
            reached: (0..partitions).map(|_| AtomicI64::new(-1)).collect(),
        }
    }

    /// The counter of the first of so many new events.
    pub(crate) fn take(&self, producer: u16, partition: u16, count: u32) -> u64 {
        let index = usize::from(producer) * usize::from(self.partitions) + usize::from(partition);
        self.counters[index].fetch_add(u64::from(count), Ordering::Relaxed)
    }

    /// Whether a bug is planted that those have to perform who would have it.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn tamper(&self) -> Tamper {
        Tamper::new(self.bug, BUG_EVERY)
    }

    pub(crate) fn note_outcome(&self, outcome: Outcome, events: u32) {
        let counter = match outcome {
            Outcome::Acked => &self.acked,
            Outcome::Failed => &self.failed,
            Outcome::Unknown => &self.unknown,
        };
        counter.fetch_add(u64::from(events), Ordering::Relaxed);
    }

    pub(crate) fn note_read(&self, partition: u16, sequence: i64) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.reached[usize::from(partition)].fetch_max(sequence, Ordering::Relaxed);
    }

    pub(crate) fn note_error(&self, place: &'static str, error: &Error) {
        let kind = format!("{:?}", error.kind());
        let kind = kind.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, sample) = errors.entry((place, kind)).or_default();
        *count += 1;
        *sample = error.to_string();
    }

    pub(crate) fn errors(&self) -> Errors {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn advance(&self, phase: Phase) {
        if phase == Phase::Draining {
            let now = self.clock.micros();
            self.producing.iter().chain(&self.consuming).for_each(|progress| progress.end(now));
        }
        self.phase.send_replace(phase);
    }

    pub(crate) fn is(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    /// Waits until the run is as far.
    pub(crate) async fn wait_for(&self, phase: Phase) {
        // It cannot be closed while somebody waits: the sender is in here.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// How it is going.
    pub(crate) fn status(&self) -> String {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let errors: u64 = self.errors().values().map(|(count, _)| count).sum();
        format!(
            "{:>6.1} s  acknowledged {}  failed {}  unknown {}  read {}  errors {errors}",
            self.clock.elapsed().as_secs_f64(),
            count(&self.acked),
            count(&self.failed),
            count(&self.unknown),
            count(&self.read),
        )
    }
}
