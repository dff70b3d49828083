//! One handler on one partition: what it has, what waits for it, and when it is called.

mod opening;
mod work;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eventhubs_protocol::ReceivedEvent;
use tokio::sync::watch;

use crate::clock;
use crate::handler::{Failure, Handler, HandlerId, Ran, Registered};
use crate::partition::{CloseReason, Partition};

use super::call::Alarm;
use super::desk::{Common, HandlerDesk};
use super::intake::{End, Intake};
use super::post::Post;
use super::prefix::UNKNOWN;

use self::work::Work;

/// A handler could not finish something.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) handler: HandlerId,
    /// The first event it did not finish; none while it is opened.
    pub(crate) first: Option<i64>,
    /// The last event of the call.
    pub(crate) last: Option<ReceivedEvent>,
    pub(crate) failure: Failure,
}

/// What came of letting a handler go on.
#[derive(Debug)]
pub(crate) enum Step {
    Fine,
    Failed(Failed),
    /// No handler may start any more.
    Fenced,
}

type Side = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

enum Stage {
    /// It is told of the partition; or, after that failed, waits to be told again.
    Opening(Option<Side>, Alarm),
    Open,
    /// It was unregistered, and what it has is the last.
    Leaving,
    Closing(Side),
    Gone,
}

/// One handler on one partition.
pub(crate) struct Track<P> {
    handler: Arc<Handler>,
    desk: Arc<HandlerDesk<P>>,
    partition: Partition,
    stage: Stage,
    work: Work,
    /// Whether the partition waits until it is open.
    is_first: bool,
    /// Up to this number events may have been finished before they came.
    replayed_to: i64,
    limit: Option<Duration>,
}

impl<P: Post> Track<P> {
    /// Begins with [`Handler::on_open`]. The partition waits for the `is_first` ones.
    pub(crate) fn new(
        registered: &Registered,
        common: &Arc<Common<P>>,
        limit: Option<Duration>,
        is_first: bool,
    ) -> Self {
        let handler = Arc::clone(&registered.handler);
        let limit = handler.timeout.unwrap_or(limit);
        let (has_left, common) = (watch::Sender::new(false), Arc::clone(common));
        let desk = Arc::new(HandlerDesk { id: registered.id, common, has_left });
        let partition = Partition::new(Arc::clone(&desk) as _);
        let mut track = Self {
            work: Work::of(&handler, limit),
            stage: Stage::Gone,
            handler,
            desk,
            partition,
            is_first,
            replayed_to: UNKNOWN,
            limit,
        };
        track.open();
        track
    }

    pub(crate) fn id(&self) -> HandlerId {
        self.desk.id
    }

    /// Whether the partition must not go on without it.
    pub(crate) fn holds_up(&self) -> bool {
        self.is_first && self.is_opening()
    }

    /// Whether it gets events.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening(..))
    }

    /// Whether it was opened and not closed since.
    pub(crate) fn was_opened(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Leaving)
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// Whether one of its calls runs.
    pub(crate) fn is_running(&self) -> bool {
        let is_beside = matches!(self.stage, Stage::Opening(Some(_), _) | Stage::Closing(_));
        is_beside || self.work.is_running()
    }

    /// Whether one more event may be given to it.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        match &self.work {
            Work::Each(each) => !each.call.is_running(),
            Work::Keyed(keyed) => keyed.lanes.has_room(),
            Work::Batch(batch) => !batch.call.is_running() && !batch.forming.is_full(),
        }
    }

    /// Gives it the next event.
    #[inline]
    pub(crate) fn give(&mut self, event: ReceivedEvent, cx: &mut Context<'_>) -> Step {
        let number = event.sequence_number().as_i64();
        if number <= self.replayed_to && self.desk.common.ledger().is_done(self.id(), number) {
            return Step::Fine;
        }
        match &mut self.work {
            Work::Each(each) => {
                if !self.desk.common.post.may_handle() {
                    return Step::Fenced;
                }
                each.kept.begin(&event);
                match each.call.begin(event, self.partition.clone(), cx) {
                    Poll::Ready(Ok(())) => {
                        each.kept.done();
                        Step::Fine
                    }
                    Poll::Ready(Err(failure)) => self.each_failed(failure),
                    Poll::Pending => {
                        self.began();
                        Step::Fine
                    }
                }
            }
            Work::Keyed(keyed) => {
                self.desk.common.ledger().give(self.desk.id, number);
                keyed.push(event);
                self.start(cx)
            }
            Work::Batch(batch) => {
                batch.forming.push(event);
                match batch.forming.is_full() {
                    true => self.start_batch(cx),
                    false => Step::Fine,
                }
            }
        }
    }

    /// Whether whatever comes after the event `taken` comes to it for the first time.
    pub(crate) fn is_beyond(&self, taken: i64) -> bool {
        self.is_open() && taken >= self.replayed_to
    }

    /// Takes from the link as much as it can, being the only one who does.
    pub(crate) fn run(
        &mut self,
        intake: &mut Intake<'_>,
        cx: &mut Context<'_>,
    ) -> Result<End, Box<Step>> {
        match &mut self.work {
            Work::Each(each) => match each.call.run(intake, &mut each.kept, &self.partition, cx) {
                Ran::Out(end) => Ok(end),
                Ran::Waits => {
                    self.began();
                    Ok(End::Waits)
                }
                Ran::Failed(failure) => Err(Box::new(self.each_failed(failure))),
            },
            Work::Batch(batch) => {
                while !batch.forming.is_full() {
                    match intake.next(cx) {
                        Ok(event) => batch.forming.push(event),
                        Err(end) => return Ok(end),
                    }
                }
                match self.start_batch(cx) {
                    // Another one begins.
                    Step::Fine => Ok(End::Enough),
                    step => Err(Box::new(step)),
                }
            }
            Work::Keyed(_) => {
                while self.has_room() {
                    match intake.next(cx) {
                        Ok(event) => match self.give(event, cx) {
                            Step::Fine => {}
                            step => return Err(Box::new(step)),
                        },
                        Err(end) => return Ok(end),
                    }
                }
                Ok(End::Waits)
            }
        }
    }

    /// Lets everything that runs go on. A track that is to run `dry` begins nothing.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, taken: i64, dry: bool) -> Step {
        match &mut self.stage {
            Stage::Opening(None, _) if dry => return Step::Fine,
            Stage::Opening(..) => return self.poll_opening(cx, taken),
            Stage::Closing(side) => {
                if let Poll::Ready(result) = side.as_mut().poll(cx) {
                    self.stage = Stage::Gone;
                    self.ended();
                    if let Err(failure) = result {
                        return self.side_failed(failure);
                    }
                }
                return Step::Fine;
            }
            Stage::Open | Stage::Leaving => {}
            Stage::Gone => return Step::Fine,
        }
        if let Some(step) = self.poll_calls(cx) {
            return step;
        }
        if matches!(self.stage, Stage::Leaving) && !self.work.is_running() {
            self.enter();
            self.desk.common.ledger().leave(self.desk.id);
            self.close(CloseReason::Unregistered);
            return self.poll(cx, taken, dry);
        }
        Step::Fine
    }

    /// Starts what waits: what lanes have queued, and a batch that is due.
    pub(crate) fn start(&mut self, cx: &mut Context<'_>) -> Step {
        match self.work {
            Work::Each(_) => Step::Fine,
            Work::Keyed(_) => self.start_lanes(cx),
            Work::Batch(_) => self.start_batches(cx),
        }
    }

    /// Enters what was finished since the last time.
    #[inline]
    pub(crate) fn enter(&mut self) {
        if let Work::Each(each) = &mut self.work
            && let Some(event) = each.kept.take_done()
        {
            self.desk.common.ledger().advance(self.desk.id, event);
        }
    }

    /// What it failed at counts as finished.
    pub(crate) fn skip(&mut self, last: ReceivedEvent) {
        let mut ledger = self.desk.common.ledger();
        match self.work {
            Work::Keyed(_) => ledger.finish(self.desk.id, last),
            Work::Each(_) | Work::Batch(_) => ledger.advance(self.desk.id, last),
        }
    }

    /// Number of the first event of a failed batch that is not finished, and how many there are.
    pub(crate) fn unfinished(&self) -> i64 {
        self.desk.common.ledger().done(self.desk.id)
    }

    /// Drops what waits: it comes again.
    pub(crate) fn clear(&mut self) {
        match &mut self.work {
            Work::Each(_) => {}
            Work::Keyed(keyed) => keyed.lanes.clear(),
            Work::Batch(batch) => batch.forming.clear(),
        }
    }

    /// Everything up to `taken` may come again.
    pub(crate) fn restart(&mut self, taken: i64) {
        self.clear();
        self.replayed_to = self.replayed_to.max(taken);
    }

    /// Numbers begin anew.
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.replayed_to = UNKNOWN;
    }

    /// It was unregistered.
    pub(crate) fn leave(&mut self) {
        match &self.stage {
            Stage::Opening(..) => self.stage = Stage::Gone,
            Stage::Open => {
                self.clear();
                self.stage = Stage::Leaving;
            }
            Stage::Leaving | Stage::Closing(_) | Stage::Gone => return,
        }
        self.desk.has_left.send_replace(true);
    }

    /// Polls the calls that run; what failed, if one did.
    fn poll_calls(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        match &mut self.work {
            Work::Each(each) => {
                if !each.call.is_running() {
                    return None;
                }
                let Poll::Ready(result) = each.call.poll(cx) else { return None };
                if result.is_ok() {
                    each.kept.done();
                }
                self.ended();
                result.err().map(|failure| self.each_failed(failure))
            }
            Work::Keyed(keyed) => {
                for lane in 0..keyed.calls.len() {
                    let Some((event, result)) = keyed.poll_lane(lane, cx) else { continue };
                    self.desk.common.post.handler_ended(self.desk.id);
                    let number = event.sequence_number().as_i64();
                    match result {
                        Ok(()) => self.desk.common.ledger().finish(self.desk.id, event),
                        Err(failure) => return Some(self.failed(number, Some(event), failure)),
                    }
                }
                None
            }
            Work::Batch(batch) => {
                if !batch.call.is_running() {
                    return None;
                }
                let Poll::Ready(result) = batch.call.poll(cx) else { return None };
                self.ended();
                self.batch_ended(result)
            }
        }
    }

    fn start_lanes(&mut self, cx: &mut Context<'_>) -> Step {
        loop {
            let Work::Keyed(keyed) = &mut self.work else { return Step::Fine };
            if !self.desk.common.post.may_handle() {
                return Step::Fenced;
            }
            let Some((lane, event)) = keyed.lanes.pop() else { return Step::Fine };
            let number = event.sequence_number().as_i64();
            let kept = event.clone();
            let (call, current) = &mut keyed.calls[lane];
            match call.begin(event, self.partition.clone(), cx) {
                Poll::Pending => {
                    *current = Some(kept);
                    self.began();
                }
                Poll::Ready(result) => {
                    keyed.lanes.ended(lane);
                    match result {
                        Ok(()) => self.desk.common.ledger().finish(self.desk.id, kept),
                        Err(failure) => return self.failed(number, Some(kept), failure),
                    }
                }
            }
        }
    }

    /// Starts batches that are due, and sets the alarm for the next one.
    fn start_batches(&mut self, cx: &mut Context<'_>) -> Step {
        loop {
            let Work::Batch(batch) = &mut self.work else { return Step::Fine };
            if batch.call.is_running() {
                return Step::Fine;
            }
            let Some(due) = batch.forming.due(clock::now) else { return Step::Fine };
            batch.alarm.set(due);
            if batch.alarm.poll(cx).is_pending() {
                return Step::Fine;
            }
            match self.start_batch(cx) {
                Step::Fine => {}
                step => return step,
            }
        }
    }

    fn start_batch(&mut self, cx: &mut Context<'_>) -> Step {
        let Work::Batch(batch) = &mut self.work else { return Step::Fine };
        if !self.desk.common.post.may_handle() {
            return Step::Fenced;
        }
        let events = batch.forming.take();
        batch.current = match (events.first(), events.last()) {
            (Some(first), Some(last)) => Some((first.sequence_number().as_i64(), last.clone())),
            _ => None,
        };
        match batch.call.begin(events, self.partition.clone(), cx) {
            Poll::Ready(result) => self.batch_ended(result).unwrap_or(Step::Fine),
            Poll::Pending => {
                self.began();
                Step::Fine
            }
        }
    }

    fn batch_ended(&mut self, result: Result<(), Failure>) -> Option<Step> {
        let Work::Batch(batch) = &mut self.work else { return None };
        let current = batch.current.take();
        match (result, current) {
            (Ok(()), None) => None,
            (Ok(()), Some((_, last))) => {
                self.desk.common.ledger().advance(self.desk.id, last);
                None
            }
            (Err(failure), None) => {
                Some(Step::Failed(Failed { handler: self.id(), first: None, last: None, failure }))
            }
            (Err(failure), Some((first, last))) => {
                // What it marked is finished.
                let done = self.unfinished();
                let number = first.max(done.saturating_add(1));
                let number = number.min(last.sequence_number().as_i64());
                Some(self.failed(number, Some(last), failure))
            }
        }
    }

    #[cold]
    fn each_failed(&mut self, failure: Failure) -> Step {
        let last = match &mut self.work {
            Work::Each(each) => each.kept.take_current(),
            Work::Keyed(_) | Work::Batch(_) => None,
        };
        let first = last.as_ref().map(|event| event.sequence_number().as_i64());
        Step::Failed(Failed { handler: self.id(), first, last, failure })
    }

    #[cold]
    fn failed(&self, number: i64, last: Option<ReceivedEvent>, failure: Failure) -> Step {
        Step::Failed(Failed { handler: self.id(), first: Some(number), last, failure })
    }

    #[cold]
    fn side_failed(&self, failure: Failure) -> Step {
        Step::Failed(Failed { handler: self.id(), first: None, last: None, failure })
    }

    /// A call was not ready at once.
    fn began(&self) {
        self.desk.common.post.handler_started(self.desk.id);
    }

    fn ended(&self) {
        self.desk.common.post.handler_ended(self.desk.id);
    }
}
