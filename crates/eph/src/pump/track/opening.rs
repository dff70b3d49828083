//! How a handler begins with a partition and ends with it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock;
use crate::partition::CloseReason;

use super::work::Work;
use super::{Stage, Step, Track};
use crate::pump::call::Alarm;
use crate::pump::post::Post;
use crate::pump::side;

impl<P: Post> Track<P> {
    /// Tries to open it again after this while.
    pub(crate) fn open_later(&mut self, after: Duration) {
        let mut alarm = Alarm::default();
        alarm.set(clock::now() + after);
        self.stage = Stage::Opening(None, alarm);
    }

    /// It goes on without having been opened.
    pub(crate) fn open_anyway(&mut self, taken: i64) {
        self.opened(taken);
    }

    /// Begins with `on_close`.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        let (handler, partition) = (Arc::clone(&self.handler), self.partition.clone());
        let grace = self.desk.common.grace;
        if handler.closed.is_none() {
            self.stage = Stage::Gone;
            return;
        }
        let limit = Some(self.limit.map_or(grace, |limit| limit.min(grace)));
        let closing = async move {
            match &handler.closed {
                Some(closed) => closed(partition, reason).await,
                None => Ok(()),
            }
        };
        self.stage = Stage::Closing(Box::pin(side::guarded(limit, closing)));
        self.began();
    }

    pub(super) fn open(&mut self) {
        let (handler, partition) = (Arc::clone(&self.handler), self.partition.clone());
        let opening = async move {
            match &handler.opened {
                Some(opened) => opened(partition).await,
                None => Ok(()),
            }
        };
        let side = Box::pin(side::guarded(self.limit, opening));
        self.stage = Stage::Opening(Some(side), Alarm::default());
        self.began();
    }

    pub(super) fn poll_opening(&mut self, cx: &mut Context<'_>, taken: i64) -> Step {
        let Stage::Opening(side, alarm) = &mut self.stage else { return Step::Fine };
        let Some(opening) = side else {
            if alarm.poll(cx).is_ready() {
                self.open();
                return self.poll_opening(cx, taken);
            }
            return Step::Fine;
        };
        match opening.as_mut().poll(cx) {
            Poll::Pending => Step::Fine,
            Poll::Ready(result) => {
                *side = None;
                self.ended();
                match result {
                    Ok(()) => {
                        self.opened(taken);
                        Step::Fine
                    }
                    Err(failure) => self.side_failed(failure),
                }
            }
        }
    }

    fn opened(&mut self, taken: i64) {
        let ordered = !matches!(self.work, Work::Keyed(_));
        self.desk.common.ledger().join(self.desk.id, taken, ordered);
        self.replayed_to = taken;
        self.stage = Stage::Open;
    }
}
