//! Producers: sends of every kind, and what became of each.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{Error, ErrorKind, Hub, PartitionId, Producer};
use futures_util::future::join_all;

use super::ORDERED;
use super::board::{Board, LANES, Phase};
use super::clock::rest;
use super::fleet::Fleet;
use super::site::Deadlines;
use crate::history::{Outcome, Send};
use crate::random::Random;
use crate::stamp::Stamp;
use crate::tamper::{Bug, Tamper};

/// Most events of a burst or a batch.
const MANY: u64 = 16;
/// Bytes of most events at most, and of a few that need several frames.
const SMALL: u64 = 2_000;
const LARGE: u64 = 150_000;
/// A producer starts over once in so many operations.
const RESTARTS_ONCE_IN: u64 = 2_000;

/// One of the tasks of a producer.
pub(crate) struct Task {
    pub(crate) board: Arc<Board>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) hub: Hub,
    pub(crate) producer: u16,
    pub(crate) lane: u16,
    pub(crate) partitions: u16,
    pub(crate) deadlines: Deadlines,
}

impl Task {
    /// Producers of its hub, by partition.
    fn producers(&self) -> Vec<Producer> {
        (0..self.partitions).map(|id| self.hub.producer(PartitionId::from(id))).collect()
    }
}

/// What a task needs while it runs.
struct Work {
    task: Task,
    random: Random,
    tamper: Tamper,
    producers: Vec<Producer>,
    sends: Vec<Send>,
}

impl Task {
    /// Sends until the run drains; what became of everything.
    pub(crate) async fn run(self) -> Vec<Send> {
        let random = self.board.random.fork(1_000 + u64::from(self.producer * LANES + self.lane));
        let producers = self.producers();
        let tamper = self.board.tamper();
        let mut work = Work { task: self, random, tamper, producers, sends: Vec::new() };
        while !work.task.board.is(Phase::Draining) {
            work.step().await;
            rest(work.task.board.pace).await;
        }
        work.sends
    }
}

impl Work {
    /// One operation.
    async fn step(&mut self) {
        let partition = self.partition();
        if self.task.fleet.may_restart && self.random.below(RESTARTS_ONCE_IN) == 0 {
            self.restart().await;
        }
        match self.random.below(100) {
            0..=49 => self.single(partition).await,
            50..=69 => self.burst(partition).await,
            70..=93 => self.batch(partition).await,
            94..=96 => self.ask(partition).await,
            _ => self.give_up(partition).await,
        }
    }

    /// A partition. Those of an ordered producer have one task each, whose calls follow each other.
    fn partition(&mut self) -> u16 {
        let Task { producer, lane, partitions, .. } = self.task;
        let (first, count) = match producer == ORDERED {
            true => (lane * (partitions / LANES), partitions / LANES),
            false => (0, partitions),
        };
        first + self.random.below(u64::from(count)) as u16
    }

    /// Starts over with a new hub and closes the old one, whatever it is doing for the other task.
    async fn restart(&mut self) {
        let Ok(hub) = self.task.fleet.launch("producer", self.task.producer) else { return };
        let old = std::mem::replace(&mut self.task.hub, hub);
        self.producers = self.task.producers();
        let limit = self.task.deadlines.close;
        self.task.board.measures.measured("close of a hub at work", limit, old.close()).await;
    }

    /// Goes on with the hub that the other task has opened.
    fn follow(&mut self) {
        if let Some(hub) = self.task.fleet.latest("producer", self.task.producer) {
            self.task.hub = hub;
            self.producers = self.task.producers();
        }
    }

    /// Takes the counters of new events; the send as it begins.
    fn begin(&self, partition: u16, count: u32) -> Send {
        let Task { board, producer, .. } = &self.task;
        let first = board.take(*producer, partition, count);
        let start = board.clock.micros();
        let outcome = Outcome::Unknown;
        Send { producer: *producer, partition, first, count, start, end: start, outcome }
    }

    /// The body of one event of a send.
    fn body(&mut self, send: &Send, index: u32) -> Vec<u8> {
        let longest = if self.random.chance(2) { LARGE } else { SMALL };
        let length = self.random.below(longest) as u32;
        Stamp { run: self.task.board.run, event: send.event(index), length }.body()
    }

    /// Books what became of a send; `None` is one that was given up.
    fn end(&mut self, mut send: Send, result: Option<Result<(), Error>>) {
        let board = &self.task.board;
        send.end = board.clock.micros();
        send.outcome = match &result {
            Some(Ok(())) => Outcome::Acked,
            Some(Err(error)) if !error.may_have_been_sent() => Outcome::Failed,
            Some(Err(_)) | None => Outcome::Unknown,
        };
        match result {
            Some(Ok(())) => {
                let lane = usize::from(send.producer * LANES + self.task.lane);
                board.producing[lane].note(send.start, send.end);
            }
            Some(Err(error)) => {
                board.note_error("send", &error);
                if error.kind() == ErrorKind::Closed {
                    self.follow();
                }
            }
            None => {}
        }
        self.task.board.note_outcome(send.outcome, send.count);
        send.outcome = self.tamper.outcome(send.outcome);
        self.sends.push(send);
    }

    async fn single(&mut self, partition: u16) {
        let send = self.begin(partition, 1);
        let body = self.body(&send, 0);
        let limit = self.task.deadlines.send;
        let dawdles = self.task.board.has(Bug::Dawdle) && self.random.chance(1);
        let producer = &self.producers[usize::from(partition)];
        let sending = async {
            let result = producer.send(body).await;
            if dawdles {
                rest(limit * 2).await;
            }
            result
        };
        let result = self.task.board.measures.measured("send", limit, sending).await;
        self.end(send, result);
    }

    /// Several at once; they overlap.
    async fn burst(&mut self, partition: u16) {
        let mut pending = Vec::new();
        for _ in 0..=self.random.below(MANY) {
            let send = self.begin(partition, 1);
            let body = self.body(&send, 0);
            let sending = self.producers[usize::from(partition)].enqueue(body);
            pending.push((send, sending));
        }
        let (sends, sendings): (Vec<_>, Vec<_>) = pending.into_iter().unzip();
        let limit = self.task.deadlines.send;
        let measures = &self.task.board.measures;
        let measured = sendings
            .into_iter()
            .map(|sending| measures.measured("send of several at once", limit, sending));
        let results = join_all(measured).await;
        for (send, result) in sends.into_iter().zip(results) {
            self.end(send, result);
        }
    }

    async fn batch(&mut self, partition: u16) {
        let limit = self.task.deadlines.send;
        let producer = self.producers[usize::from(partition)].clone();
        let made = producer.create_batch();
        let made = self.task.board.measures.measured("making of a batch", limit, made).await;
        let mut batch = match made {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                self.task.board.note_error("making of a batch", &error);
                return self.follow();
            }
            None => return,
        };
        let mut count = 1 + self.random.below(MANY) as u32;
        let mut send = self.begin(partition, count);
        for index in 0..count {
            let body = self.body(&send, index);
            if batch.try_add(body).is_err() {
                count = index;
                break;
            }
        }
        // The counters of what did not fit are never used.
        send.count = count;
        if count == 0 {
            return;
        }
        let sending = producer.send_batch(batch);
        let result = self.task.board.measures.measured("send of a batch", limit, sending).await;
        self.end(send, result);
    }

    async fn ask(&mut self, partition: u16) {
        let limit = self.task.deadlines.ask;
        let Task { board, hub, .. } = &self.task;
        let asked = match self.random.chance(50) {
            true => {
                let asking = hub.runtime_information();
                let asked = board.measures.measured("question", limit, asking).await;
                asked.map(|answer| answer.map(drop))
            }
            false => {
                let asking = hub.partition_runtime_information(partition);
                let asked = board.measures.measured("question", limit, asking).await;
                asked.map(|answer| answer.map(drop))
            }
        };
        if let Some(Err(error)) = asked {
            board.note_error("question", &error);
        }
    }

    /// A send that nobody waits for any more after a moment.
    async fn give_up(&mut self, partition: u16) {
        let send = self.begin(partition, 1);
        let body = self.body(&send, 0);
        let patience = Duration::from_micros(self.random.below(3_000));
        let sending = self.producers[usize::from(partition)].send(body);
        let result = tokio::time::timeout(patience, sending).await.ok();
        self.end(send, result);
    }
}
