//! Consumers: one partition each, opened again whenever a stream ends.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{
    Error, ErrorKind, EventError, EventStream, Hub, PartitionId, ReceivedEvent, SequenceNumber,
    StartPosition,
};

use super::board::{Board, Phase};
use super::clock::rest;
use super::site::{Deadlines, receive_options};
use crate::history::{Content, Reading};
use crate::tamper::Bug;

/// Pause before a receiver is opened again.
const PAUSE: Duration = Duration::from_millis(50);

/// A receiver without a deadline is open after this time, which is longer than any outage of a run.
const OPENS_MAX: Duration = Duration::from_secs(120);

/// The last event of a consumer with the bug that it hands out nothing more.
const STALLS_AFTER: i64 = 100;

/// A consumer.
pub(crate) struct Consumer {
    pub(crate) board: Arc<Board>,
    pub(crate) hub: Hub,
    pub(crate) consumer: u16,
    pub(crate) partition: u16,
    pub(crate) deadlines: Deadlines,
}

impl Consumer {
    /// Reads until the run is over, and books what it sees.
    pub(crate) async fn run(self, mut book: impl FnMut(Reading)) {
        let mut last = None;
        while !self.board.is(Phase::Over) {
            let opened = tokio::select! {
                opened = self.open(last) => opened,
                () = self.board.wait_for(Phase::Over) => break,
            };
            match opened {
                Some(Ok(stream)) => {
                    book(Reading::Opened { after: last });
                    self.read(stream, &mut last, &mut book).await;
                }
                Some(Err(error)) => self.board.note_error("opening of a receiver", &error),
                None => {}
            }
            rest(PAUSE).await;
        }
    }

    /// A receiver behind the last event.
    async fn open(&self, last: Option<i64>) -> Option<Result<EventStream, Error>> {
        let after = |last| StartPosition::sequence_number(SequenceNumber::from(last)).ok();
        let start = last.and_then(after).unwrap_or_default();
        let options = receive_options(self.consumer).with_start(start);
        // Not before something is wrong that lasts longer: a stream outlives outages.
        let limit = match options.retry.total {
            Duration::MAX => OPENS_MAX,
            total => total,
        };
        let opening = self.hub.events(PartitionId::from(self.partition), options);
        self.board.measures.measured("opening of a receiver", limit, opening).await
    }

    /// Reads a stream to its end or the end of the run.
    async fn read(
        &self,
        mut stream: EventStream,
        last: &mut Option<i64>,
        book: &mut impl FnMut(Reading),
    ) {
        loop {
            let item = tokio::select! {
                item = stream.next() => item,
                () = self.board.wait_for(Phase::Over) => {
                    let limit = self.deadlines.close;
                    let closing = stream.close();
                    let _ = self.board.measures.measured("close of a stream", limit, closing).await;
                    return;
                }
            };
            if self.board.has(Bug::Stall) && last.is_some_and(|last| last > STALLS_AFTER) {
                self.board.wait_for(Phase::Over).await;
            }
            match item {
                Some(Ok(event)) => {
                    let sequence = self.event(&event, book);
                    *last = Some(sequence);
                }
                Some(Err(error)) => {
                    self.board.note_error("stream", &error);
                    if error.ends_stream() {
                        continue;
                    }
                    book(told(&error));
                }
                None => return,
            }
        }
    }

    fn event(&self, event: &ReceivedEvent, book: &mut impl FnMut(Reading)) -> i64 {
        let sequence = event.sequence_number().as_i64();
        book(Reading::Event { sequence, content: Content::of(self.board.run, event.body()) });
        let now = self.board.clock.micros();
        self.board.consuming[usize::from(self.consumer)].note(now, now);
        self.board.note_read(self.partition, sequence);
        sequence
    }
}

/// What an error means that is an item like others.
fn told(error: &Error) -> Reading {
    match error.kind() {
        ErrorKind::Gap { from, to } => Reading::Gap { from: from.as_i64(), to: to.as_i64() },
        ErrorKind::Trimmed { from, to } => {
            Reading::Trimmed { from: from.as_i64(), to: to.as_i64() }
        }
        _ => {
            let cause = error.source().and_then(|source| source.downcast_ref::<EventError>());
            let sequence = cause.and_then(EventError::sequence_number);
            Reading::Undecodable { sequence: sequence.map(SequenceNumber::as_i64) }
        }
    }
}
