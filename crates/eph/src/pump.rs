//! From the events of an owned partition to the handlers, and back to how far they are.
//!
//! A pump lives as long as its ownership. It attaches a receiver, lets events [flow] to the
//! handlers, and begins again after the last event that all of them have finished, whatever came in
//! between: a handler that failed, a link that was lost, events that were left out.

mod call;
mod desk;
mod failures;
mod flow;
mod forming;
mod intake;
mod lanes;
mod ledger;
mod post;
mod prefix;
mod report;
mod side;
mod source;
mod track;

pub(crate) use self::intake::{End, Intake, Kept};

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{Error, ErrorKind};
use tokio::sync::watch;

use crate::checkpoint::Checkpoint;
use crate::clock;
use crate::handler::Registered;
use crate::health::PartitionStage;
use crate::host::Shared;
use crate::notice::SkipReason;
use crate::options::CheckpointPolicy;
use crate::partition::{CloseReason, Place};
use crate::seat::Seat;

use self::desk::Common;
use self::failures::Next;
use self::flow::{Flow, Turn};
use self::ledger::Ledger;
use self::post::Post;
use self::source::Source;
use self::track::{Failed, Track};

/// Runs until the ownership ends and the handlers have ended with it. To end it earlier, drop it:
/// then handlers are dropped where they wait.
pub(crate) async fn run(shared: Arc<Shared>, seat: Arc<Seat>, from: Option<Checkpoint>) {
    Pump::new(shared, seat, from).run().await;
}

/// What comes after the handlers have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Attach again, after this while.
    Attach(Duration),
    /// Nothing: the ownership ends, or is about to be told to.
    Nothing,
}

struct Pump<P> {
    shared: Arc<Shared>,
    post: Arc<P>,
    common: Arc<Common<P>>,
    handlers: watch::Receiver<Arc<[Registered]>>,
    paused: watch::Receiver<bool>,
    source: Source<P>,
    flow: Flow<P>,
    /// The gap after which the partition was attached again once.
    gap: Option<i64>,
}

impl<P: Post> Pump<P> {
    fn new(shared: Arc<Shared>, post: Arc<P>, from: Option<Checkpoint>) -> Self {
        let options = &shared.options;
        let place = Place {
            id: post.partition(),
            hub: shared.hub.name().clone(),
            consumer_group: options.consumer_group.clone(),
            host: shared.name.as_str().into(),
        };
        let source = Source::new(&shared, &post, from.as_ref());
        let (told, marks_only) = (source.after(), options.checkpoints == CheckpointPolicy::Manual);
        let ledger = Ledger::new(told, marks_only);
        let grace = options.timing.grace;
        let common = Arc::new(Common::new(place, Arc::clone(&post), grace, ledger));
        let flow = Flow::new(&shared, &common, told);
        let (handlers, paused) = (shared.handlers.clone(), shared.paused.clone());
        Self { shared, post, common, handlers, paused, source, flow, gap: None }
    }

    async fn run(mut self) {
        let post = Arc::clone(&self.post);
        let reason = {
            let mut closing = post.closing();
            self.sync(true);
            tokio::select! {
                biased;
                reason = &mut closing => reason,
                () = self.serve() => closing.await,
            }
        };
        self.close(reason).await;
    }

    /// Attaches and lets events flow, again and again; ends when there is nothing more to do in this
    /// ownership.
    ///
    /// May be dropped at any point: what runs goes on with [`close`](Self::close).
    async fn serve(&mut self) {
        loop {
            self.post.set_stage(PartitionStage::Opening);
            let Some((stream, is_anew)) = self.source.attach().await else { return };
            if is_anew {
                self.common.ledger().forget();
                self.flow.tracks.iter_mut().for_each(Track::forget);
                self.flow.taken = prefix::UNKNOWN;
            }
            self.flow.stream = Some(stream);
            self.post.set_stage(PartitionStage::Receiving);
            let after = self.stream().await;
            self.dry().await;
            if let Some(stream) = self.flow.stream.take() {
                stream.close().await;
            }
            let After::Attach(wait) = after else { return };
            self.rewind();
            if !wait.is_zero() {
                self.post.set_stage(PartitionStage::Restarting);
                clock::pause(wait).await;
            }
        }
    }

    /// Lets events flow from one link, until it cannot go on.
    async fn stream(&mut self) -> After {
        loop {
            let turn = tokio::select! {
                biased;
                Ok(()) = self.handlers.changed() => {
                    self.sync(false);
                    continue;
                }
                Ok(()) = self.paused.changed() => continue,
                turn = self.flow.turn() => turn,
            };
            let after = match turn {
                Turn::Failed(failed) => self.failed(failed),
                Turn::Told(error) => self.told(&error),
                Turn::Ended(error) => Some(self.ended(&error)),
                Turn::Fenced => Some(After::Nothing),
                Turn::Dry => None,
            };
            if let Some(after) = after {
                return after;
            }
        }
    }

    /// Waits for what runs, and starts nothing.
    async fn dry(&mut self) {
        self.flow.runs_dry = true;
        self.flow.tracks.iter_mut().for_each(Track::clear);
        loop {
            match self.flow.turn().await {
                Turn::Failed(failed) => {
                    // Whatever it says comes later; what it skips is skipped.
                    self.failed(failed);
                }
                Turn::Dry => break,
                _ => {}
            }
        }
    }

    /// The next stream begins after what all handlers have finished.
    fn rewind(&mut self) {
        let mut ledger = self.common.ledger();
        ledger.restart();
        let handled = ledger.handled().unwrap_or(self.flow.taken);
        drop(ledger);
        let taken = self.flow.taken;
        self.flow.tracks.iter_mut().for_each(|track| track.restart(taken));
        self.source.go_on_after(handled);
        self.flow.runs_dry = false;
    }

    /// Makes the tracks what the registered handlers are.
    fn sync(&mut self, is_first: bool) {
        let registered = Arc::clone(&self.handlers.borrow_and_update());
        for track in &mut self.flow.tracks {
            if registered.iter().all(|one| one.id != track.id()) {
                track.leave();
            }
        }
        let limit = self.shared.options.handler_timeout;
        for one in registered.iter() {
            if self.flow.tracks.iter().all(|track| track.id() != one.id) {
                let track = Track::new(one, &self.common, limit, is_first);
                self.flow.tracks.push(track);
            }
        }
    }

    /// What follows a failure; `None` when events go on flowing.
    fn failed(&mut self, failed: Failed) -> Option<After> {
        let done = self.common.ledger().handled().unwrap_or(prefix::UNKNOWN);
        let verdict = failed.failure.verdict;
        let next = self.flow.failures.failed(failed.first, done, verdict);
        self.report_failure(&failed, next);
        self.post.set_failures(self.flow.failures.count());
        let taken = self.flow.taken;
        let track = self.flow.track(failed.handler)?;
        match (next, failed.first, failed.last) {
            (Next::Skip, Some(_), Some(last)) => {
                track.skip(last);
                None
            }
            (Next::Restart { after }, Some(_), _) => Some(After::Attach(after)),
            (Next::Stop, ..) => {
                self.post.give_up(CloseReason::Failed);
                Some(After::Nothing)
            }
            // It was being opened, or had an empty batch.
            (Next::Restart { after }, None, _) if !track.was_opened() && !track.is_gone() => {
                track.open_later(after);
                None
            }
            (Next::Skip, ..) if !track.was_opened() && !track.is_gone() => {
                track.open_anyway(taken);
                None
            }
            (Next::Restart { .. } | Next::Skip, ..) => None,
        }
    }

    /// What follows something that is no event.
    fn told(&mut self, error: &Error) -> Option<After> {
        match error.kind() {
            ErrorKind::Gap { from, .. } if self.gap != Some(from.as_i64()) => {
                // Another receiver may get them.
                self.gap = Some(from.as_i64());
                Some(After::Attach(Duration::ZERO))
            }
            ErrorKind::Gap { from, to } => {
                self.report_passed(Some((from, to)), SkipReason::Gap);
                None
            }
            ErrorKind::Trimmed { from, to } => {
                self.report_passed(Some((from, to)), SkipReason::Trimmed);
                None
            }
            _ => {
                let number = report::number_of(error);
                self.report_passed(number.map(|one| (one, one)), SkipReason::Undecodable);
                None
            }
        }
    }

    /// What follows the end of a stream.
    fn ended(&mut self, error: &Error) -> After {
        if error.kind() == ErrorKind::Stolen {
            self.post.stolen();
            return After::Nothing;
        }
        self.source.failed(error);
        After::Attach(Duration::ZERO)
    }

    /// The way out: what runs ends, then every handler that was opened is told.
    async fn close(mut self, reason: CloseReason) {
        self.dry().await;
        for track in &mut self.flow.tracks {
            if track.was_opened() {
                track.close(reason);
            }
        }
        self.dry().await;
        if let Some(stream) = self.flow.stream.take() {
            stream.close().await;
        }
    }
}

#[cfg(test)]
mod tests;
