//! What a handler has to do: with single events, by keys, or in batches.

use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_protocol::ReceivedEvent;

use crate::handler::{Concurrency, EachSlot, Failure, Handler, Kind};

use crate::pump::call::{Alarm, Call};
use crate::pump::forming::Forming;
use crate::pump::intake::Kept;
use crate::pump::lanes::Lanes;

pub(super) enum Work {
    Each(Each),
    Keyed(Keyed),
    Batch(Batch),
}

pub(super) struct Each {
    pub(super) call: Call<ReceivedEvent, dyn EachSlot>,
    pub(super) kept: Kept,
}

/// The call of a lane, and the event it has.
type LaneCall = (Call<ReceivedEvent, dyn EachSlot>, Option<ReceivedEvent>);

pub(super) struct Keyed {
    pub(super) lanes: Lanes<ReceivedEvent>,
    pub(super) calls: Box<[LaneCall]>,
}

pub(super) struct Batch {
    pub(super) forming: Forming<ReceivedEvent>,
    pub(super) call: Call<Vec<ReceivedEvent>>,
    /// The first and the last event that the call has; none of an empty batch.
    pub(super) current: Option<(i64, ReceivedEvent)>,
    pub(super) alarm: Alarm,
}

impl Work {
    pub(super) fn of(handler: &Handler, limit: Option<Duration>) -> Self {
        match (&handler.kind, handler.concurrency) {
            (Kind::Each(work), Concurrency::Ordered) => {
                let call = Call::new(work.slot(), limit);
                Self::Each(Each { call, kept: Kept::default() })
            }
            (Kind::Each(work), Concurrency::PerKey { lanes }) => {
                let lanes = Lanes::new(lanes);
                let call = |_| (Call::new(work.slot(), limit), None);
                let calls = (0..lanes.count()).map(call).collect();
                Self::Keyed(Keyed { lanes, calls })
            }
            (Kind::Batch(work), _) => {
                let forming =
                    Forming::new(handler.events_max, handler.wait_max, handler.empty_batches);
                let call = Call::new(work.slot(), limit);
                Self::Batch(Batch { forming, call, current: None, alarm: Alarm::default() })
            }
        }
    }

    pub(super) fn is_running(&self) -> bool {
        match self {
            Self::Each(each) => each.call.is_running(),
            Self::Keyed(keyed) => keyed.calls.iter().any(|(call, _)| call.is_running()),
            Self::Batch(batch) => batch.call.is_running(),
        }
    }
}

impl Keyed {
    pub(super) fn push(&mut self, event: ReceivedEvent) {
        let lane = self.lanes.lane_of(event.partition_key());
        self.lanes.push(lane, event);
    }

    /// Polls the call of a lane; the event it had and how it ended, if it did.
    pub(super) fn poll_lane(
        &mut self,
        lane: usize,
        cx: &mut Context<'_>,
    ) -> Option<(ReceivedEvent, Result<(), Failure>)> {
        let (call, current) = &mut self.calls[lane];
        if !call.is_running() {
            return None;
        }
        let Poll::Ready(result) = call.poll(cx) else { return None };
        self.lanes.ended(lane);
        Some((current.take()?, result))
    }
}
