//! One partition: its log, and who reads it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventhubs_amqp::codec::AmqpError;
use thiserror::Error;

use crate::bell::{Seat, Signal};
use crate::event::{Incoming, Tail};
use crate::log::{LogInfo, LogView, PartitionLog, PositionError, Retention, Stored};
use crate::receivers::{Receiver, Receivers};
use crate::selector::Start;
use crate::snapshot::ReceiverSnapshot;

/// Why a receiver is not let in.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum AdmissionError {
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("{0}")]
    Receivers(AmqpError),
}

/// What one read of a partition gave.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Whether the end was reached and the seat's bell will ring when there is more.
    pub(crate) waiting: bool,
    /// The end of the partition, if it was asked for.
    pub(crate) tail: Option<Tail>,
}

/// One partition: its log, and who reads it.
#[derive(Debug)]
pub(crate) struct Partition {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: PartitionLog,
    /// By consumer group.
    receivers: HashMap<String, Receivers<Seat>>,
    /// Who has read to the end and wants to know when there is more; each at most once.
    waiting: Vec<Seat>,
}

impl Partition {
    pub(crate) fn new(retention: Retention) -> Self {
        let log = PartitionLog::new(retention);
        let state = State { log, receivers: HashMap::new(), waiting: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    /// Stores events at `now` and wakes whoever waits for them. The result is the sequence number
    /// of the first one.
    pub(crate) fn append(&self, events: &[Incoming], now: i64) -> i64 {
        let (first, waiting) = {
            let mut state = self.lock();
            let staged = state.log.stage(events, now);
            let first = staged.segment.first;
            state.log.commit(staged, now);
            (first, std::mem::take(&mut state.waiting))
        };
        for seat in waiting {
            seat.bell.ring(Signal::Appended(seat.link));
        }
        first
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
            state.log.expire(now);
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
    /// `bytes` are reached. When there is none the seat is put on the waiting list, unless it is
    /// there already. `want_tail` asks for the end of the partition.
    pub(crate) fn read(
        &self,
        from: i64,
        (count, bytes): (usize, usize),
        seat: &Seat,
        now: i64,
        want_tail: bool,
        out: &mut Vec<Stored>,
    ) -> Progress {
        let mut state = self.lock();
        state.log.expire(now);
        let next = state.log.read(from, count, bytes, out);
        let waiting = out.is_empty() && next == state.log.end();
        if waiting && !state.waiting.contains(seat) {
            state.waiting.push(seat.clone());
        }
        let tail = want_tail.then(|| state.log.tail(now)).flatten();
        Progress { waiting, tail }
    }

    /// What the partition's runtime information tells at `now`.
    pub(crate) fn info(&self, now: i64) -> LogInfo {
        let mut state = self.lock();
        state.log.expire(now);
        state.log.info()
    }

    /// Lets the events before sequence number `before` go, whatever their age.
    pub(crate) fn trim(&self, before: i64) {
        self.lock().log.trim(before);
    }

    /// Lets go what is older than its retention at `now`.
    pub(crate) fn expire(&self, now: i64) {
        self.lock().log.expire(now);
    }

    /// Changes what is kept.
    pub(crate) fn retain(&self, retention: Retention, now: i64) {
        self.lock().log.retain(retention, now);
    }

    /// What there is to see at `now`, with the receivers by group.
    pub(crate) fn look(&self, now: i64) -> (LogView, Vec<ReceiverSnapshot>) {
        let mut state = self.lock();
        state.log.expire(now);
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
        state.log.expire(now);
        state.log.read(from, count, bytes, &mut out);
        out
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
