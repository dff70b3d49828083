//! One partition: its log, and who reads it.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventhubs_amqp::codec::AmqpError;
use thiserror::Error;

use super::bell::{Seat, Signal};
use super::journal::{Before, PartitionJournal};
use super::log::{LogInfo, LogView, PartitionLog, PositionError, Retention, Stored};
use super::receivers::{Receiver, Receivers};
use super::sequencer::{Claim, Identity, Numbering, SequenceError, Sequencers, Verdict};
use crate::rules::event::{Incoming, Tail};
use crate::rules::selector::Start;
use crate::view::snapshot::ReceiverSnapshot;

/// Why a receiver is not let in.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum AdmissionError {
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("{0}")]
    Receivers(AmqpError),
}

/// Why a producer with numbers is not let in, or its publication is not stored.
#[derive(Debug, Error)]
pub(crate) enum NumberedError {
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    #[error(transparent)]
    Journal(#[from] io::Error),
}

/// One partition: its log, and who reads it.
#[derive(Debug)]
pub(crate) struct Partition {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: PartitionLog,
    /// Where events are kept besides, if they are.
    journal: Option<PartitionJournal>,
    sequencers: Sequencers,
    /// By consumer group.
    receivers: HashMap<String, Receivers<Seat>>,
    /// Who has read to the end and wants to know when there is more; each at most once.
    waiting: Vec<Seat>,
}

impl Partition {
    /// A partition without events, and a journal if they shall survive the process.
    pub(crate) fn new(retention: Retention, journal: Option<PartitionJournal>) -> Self {
        Self::restored(PartitionLog::new(retention), Sequencers::default(), journal)
    }

    /// A partition as it was kept.
    pub(crate) fn restored(
        log: PartitionLog,
        sequencers: Sequencers,
        journal: Option<PartitionJournal>,
    ) -> Self {
        let state =
            State { log, journal, sequencers, receivers: HashMap::new(), waiting: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    /// Stores events at `now` and wakes whoever waits for them. The result is the sequence number
    /// of the first one. When it fails none of them is stored.
    pub(crate) fn append(&self, events: &[Incoming], now: i64) -> io::Result<i64> {
        let (first, waiting) = {
            let mut state = self.lock();
            let first = state.store(events, None, now)?;
            (first, std::mem::take(&mut state.waiting))
        };
        wake(waiting);
        Ok(first)
    }

    /// Lets an idempotent producer in.
    pub(crate) fn attach_producer(&self, claim: Claim) -> Result<Identity, NumberedError> {
        let mut state = self.lock();
        let identity = state.sequencers.attach(claim)?;
        let producer = state.sequencers.producer(identity.id).cloned();
        let State { log, sequencers, journal, .. } = &mut *state;
        if let (Some(journal), Some(producer)) = (journal, producer) {
            journal.attach(Before { head: log.head(), sequencers }, producer)?;
        }
        Ok(identity)
    }

    /// [`append`](Self::append) for a publication with a number: what was stored before is not
    /// stored again.
    pub(crate) fn append_numbered(
        &self,
        numbering: Numbering,
        events: &[Incoming],
        now: i64,
    ) -> Result<(), NumberedError> {
        let waiting = {
            let mut state = self.lock();
            if state.sequencers.judge(numbering)? == Verdict::Duplicate {
                return Ok(());
            }
            state.store(events, Some(numbering), now)?;
            state.sequencers.note(numbering);
            std::mem::take(&mut state.waiting)
        };
        wake(waiting);
        Ok(())
    }

    /// Lets a receiver in at `start`, and tells those it displaces. The result is the sequence
    /// number of its first event.
    pub(crate) fn admit(
        &self,
        group: &str,
        receiver: Receiver<Seat>,
        start: &Start,
        limit: usize,
        now: i64,
    ) -> Result<i64, AdmissionError> {
        let (position, displaced) = {
            let mut state = self.lock();
            state.expire(now);
            let position = state.log.resolve(start)?;
            let receivers = state.receivers.entry(group.to_owned()).or_default();
            let displaced = receivers.admit(receiver, limit).map_err(AdmissionError::Receivers)?;
            for (seat, _) in &displaced {
                state.waiting.retain(|waiting| waiting != seat);
            }
            (position, displaced)
        };
        for (seat, error) in displaced {
            seat.bell.ring(Signal::Displaced(seat.link, error));
        }
        Ok(position)
    }

    /// Forgets a receiver.
    pub(crate) fn leave(&self, group: &str, seat: &Seat) {
        let mut state = self.lock();
        state.waiting.retain(|waiting| waiting != seat);
        if let Some(receivers) = state.receivers.get_mut(group) {
            receivers.leave(seat);
            if receivers.is_empty() {
                state.receivers.remove(group);
            }
        }
    }

    /// Copies at most `count` events from sequence number `from` on into `out`, and no more after
    /// `bytes` are reached. When it gives none the seat is on the waiting list, and its bell rings
    /// when there is more. `want_tail` asks for the end of the partition, which is the result.
    pub(crate) fn read(
        &self,
        from: i64,
        (count, bytes): (usize, usize),
        seat: &Seat,
        now: i64,
        want_tail: bool,
        out: &mut Vec<Stored>,
    ) -> Option<Tail> {
        let mut state = self.lock();
        state.expire(now);
        state.log.read(from, count, bytes, out);
        if out.is_empty() && !state.waiting.contains(seat) {
            state.waiting.push(seat.clone());
        }
        want_tail.then(|| state.log.tail(now)).flatten()
    }

    /// What the partition's runtime information tells at `now`.
    pub(crate) fn info(&self, now: i64) -> LogInfo {
        let mut state = self.lock();
        state.expire(now);
        state.log.info()
    }

    /// Lets the events before sequence number `before` go, whatever their age.
    pub(crate) fn trim(&self, before: i64) -> io::Result<()> {
        let mut state = self.lock();
        let State { log, sequencers, journal, .. } = &mut *state;
        if let Some(journal) = journal {
            journal.trim(Before { head: log.head(), sequencers }, before)?;
        }
        state.log.trim(before);
        state.forget();
        Ok(())
    }

    /// Lets go what is older than its retention at `now`.
    pub(crate) fn expire(&self, now: i64) {
        self.lock().expire(now);
    }

    /// Changes what is kept.
    pub(crate) fn retain(&self, retention: Retention, now: i64) {
        let mut state = self.lock();
        state.log.retain(retention, now);
        state.forget();
    }

    /// What there is to see at `now`, with the receivers by group.
    pub(crate) fn look(&self, now: i64) -> (LogView, Vec<ReceiverSnapshot>) {
        let mut state = self.lock();
        state.expire(now);
        let mut groups: Vec<_> = state.receivers.iter().collect();
        groups.sort_unstable_by_key(|(group, _)| *group);
        let receiver = |group: &str, receiver: &Receiver<Seat>| ReceiverSnapshot {
            group: group.to_owned(),
            name: receiver.name.clone(),
            epoch: receiver.epoch,
        };
        let receivers = groups
            .into_iter()
            .flat_map(|(group, receivers)| receivers.iter().map(move |live| receiver(group, live)))
            .collect();
        (state.log.view(now), receivers)
    }

    /// Every retained event at `now`, oldest first.
    pub(crate) fn events(&self, now: i64) -> Vec<Stored> {
        self.events_from(i64::MIN, (usize::MAX, usize::MAX), now)
    }

    /// The retained events at `now` from a sequence number on, oldest first; at most `count`, and
    /// no more after `bytes` are reached.
    pub(crate) fn events_from(
        &self,
        from: i64,
        (count, bytes): (usize, usize),
        now: i64,
    ) -> Vec<Stored> {
        let mut out = Vec::new();
        let mut state = self.lock();
        state.expire(now);
        state.log.read(from, count, bytes, &mut out);
        out
    }

    /// Waits until the disk has what was written, without keeping anybody from the partition.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let file = self.lock().journal.as_mut().and_then(PartitionJournal::take_dirty);
        file.map_or(Ok(()), |file| file.sync_data())
    }

    /// Whether there is something to wait for in [`sync`](Self::sync).
    #[cfg(test)]
    pub(crate) fn is_dirty(&self) -> bool {
        self.lock().journal.as_ref().is_some_and(PartitionJournal::is_dirty)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who wait for more.
fn wake(waiting: Vec<Seat>) {
    for seat in waiting {
        seat.bell.ring(Signal::Appended(seat.link));
    }
}

impl State {
    /// Stores events; the result is the sequence number of the first one.
    fn store(
        &mut self,
        events: &[Incoming],
        numbering: Option<Numbering>,
        now: i64,
    ) -> io::Result<i64> {
        let staged = self.log.stage(events, now);
        let first = staged.segment.first;
        let before = Before { head: self.log.head(), sequencers: &self.sequencers };
        if let Some(journal) = &mut self.journal {
            journal.append(before, &staged, numbering)?;
        }
        self.log.commit(staged, now);
        self.forget();
        Ok(first)
    }

    fn expire(&mut self, now: i64) {
        self.log.expire(now);
        self.forget();
    }

    /// Files go with their events.
    fn forget(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.drop_before(self.log.begin());
        }
    }
}
