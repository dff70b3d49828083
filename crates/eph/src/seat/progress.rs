//! How far a partition is done, in memory.

use eventhubs_protocol::SequenceNumber;

use crate::checkpoint::Checkpoint;
use crate::partition::Position;

/// The end of what is done without a hole, and how much that is.
#[derive(Debug)]
pub(crate) struct Progress {
    latest: Option<Position>,
    /// Events since this ownership began.
    events: u64,
    /// At so many events the keeper is told.
    alarm: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { latest: None, events: 0, alarm: u64::MAX }
    }
}

impl Progress {
    /// Goes on by so many events; whether the keeper is to be told.
    pub(super) fn advance(&mut self, at: Position, events: u64) -> bool {
        if self.sequence_number().is_some_and(|done| at.sequence_number <= done) {
            return false;
        }
        self.latest = Some(at);
        // Passing over what cannot be handled gets on too.
        self.events = self.events.saturating_add(events.max(1));
        let is_due = self.events >= self.alarm;
        if is_due {
            self.alarm = u64::MAX;
        }
        is_due
    }

    /// `None` when nothing is done yet.
    pub(crate) fn sequence_number(&self) -> Option<SequenceNumber> {
        self.latest.as_ref().map(|latest| latest.sequence_number)
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The keeper wants to be told when so many events are done.
    pub(crate) fn set_alarm(&mut self, events: Option<u64>) {
        self.alarm = events.unwrap_or(u64::MAX);
    }

    pub(crate) fn to_checkpoint(&self) -> Option<Checkpoint> {
        self.latest.as_ref().map(Position::to_checkpoint)
    }
}
