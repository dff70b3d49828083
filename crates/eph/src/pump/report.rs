//! What a pump tells the host's listeners.

use eventhubs_client::{Error, EventError};
use eventhubs_protocol::SequenceNumber;

use crate::notice::{FailureNext, HostEvent, SkipReason};

use super::Pump;
use super::failures::Next;
use super::post::Post;
use super::track::Failed;

impl<P: Post> Pump<P> {
    pub(super) fn report_failure(&self, failed: &Failed, next: Next) {
        let partition = self.common.place.id;
        self.shared.counters.handler_failures.add(1);
        let next = match next {
            Next::Restart { after } => FailureNext::Restarting { after },
            Next::Skip => FailureNext::Skipped,
            Next::Stop => FailureNext::Stopped,
        };
        self.shared.notices.tell(HostEvent::HandlerFailed {
            partition,
            handler: failed.handler,
            sequence_number: failed.first.map(SequenceNumber::from),
            cause: failed.failure.cause.clone(),
            next,
        });
        if next == FailureNext::Skipped
            && let (Some(first), Some(last)) = (failed.first, &failed.last)
        {
            let (from, to) = (SequenceNumber::from(first), last.sequence_number());
            self.tell_passed(Some((from, to)), SkipReason::Failed);
        }
    }

    /// Events that no handler gets.
    pub(super) fn report_passed(
        &self,
        range: Option<(SequenceNumber, SequenceNumber)>,
        why: SkipReason,
    ) {
        let numbers = self.tell_passed(range, why);
        self.common.ledger().pass(numbers);
    }

    fn tell_passed(&self, range: Option<(SequenceNumber, SequenceNumber)>, why: SkipReason) -> u64 {
        let count = |(from, to): (SequenceNumber, SequenceNumber)| {
            to.as_i64().abs_diff(from.as_i64()).saturating_add(1)
        };
        let numbers = range.map_or(1, count);
        self.shared.counters.events_skipped.add(numbers);
        let (from, to) = range.unzip();
        let partition = self.common.place.id;
        self.shared.notices.tell(HostEvent::Skipped { partition, from, to, why });
        numbers
    }
}

/// The number of an event that could not be decoded, if that much of it could be.
pub(super) fn number_of(error: &Error) -> Option<SequenceNumber> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<EventError>()?.sequence_number()
}
