//! Sends that stay in order: one at a time, with all its retries, before the next one begins.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::delivery::Delivery;
use crate::error::Error;
use crate::links::no_room;
use crate::options::HubOptions;
use crate::recovery::clock;

/// How far the queue may pass the point where sends wait for room: beyond that one fails at once.
const HARD_FACTOR: usize = 16;

/// The sends to one destination, waiting for each other. A task works them off; it is there only
/// while there are any.
#[derive(Debug, Default)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Tells those who wait for room that there may be some.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Place>,
    /// Sends without an outcome, the one that is on its way among them, and their bytes.
    pending: usize,
    bytes: usize,
    /// Whether there is a task.
    is_worked: bool,
}

#[derive(Debug)]
struct Place {
    delivery: Delivery,
    outcome: oneshot::Sender<Result<(), Error>>,
}

impl State {
    fn has_room(&self, options: &HubOptions, factor: usize) -> bool {
        self.pending < options.pending_sends_max.saturating_mul(factor)
            && self.bytes < options.pending_bytes_max.saturating_mul(factor)
    }
}

impl Line {
    /// Puts a message at the end, where its outcome will come out. The caller has to see to it that
    /// the line [is worked](Self::work).
    ///
    /// # Errors
    ///
    /// When the queue is far beyond its bound.
    pub(crate) fn join(
        &self,
        delivery: Delivery,
        entity: impl FnOnce() -> String,
    ) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let mut state = self.state();
        if !state.has_room(&delivery.hub.target().options, HARD_FACTOR) {
            return Err(no_room(&entity()));
        }
        let (outcome, result) = oneshot::channel();
        state.pending += 1;
        state.bytes += delivery.payload.len();
        state.queue.push_back(Place { delivery, outcome });
        Ok(result)
    }

    /// Starts the task, unless it is there or there is nothing to do for it. Gives whether that is
    /// so; without a runtime it is not.
    pub(crate) fn work(self: &Arc<Self>) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let mut state = self.state();
        if !state.is_worked && !state.queue.is_empty() {
            state.is_worked = true;
            let worker = Worker { line: Arc::clone(self), is_done: false };
            runtime.spawn(worker.run());
        }
        true
    }

    /// Waits until there is room, until `deadline` at most. Gives whether there is.
    pub(crate) async fn has_room_by(&self, options: &HubOptions, deadline: Instant) -> bool {
        let room = async {
            loop {
                let mut moved = std::pin::pin!(self.moved.notified());
                moved.as_mut().enable();
                if self.state().has_room(options, 1) {
                    return;
                }
                moved.await;
            }
        };
        clock::by(deadline, room).await.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a line. However it ends, the line knows, and nobody waits in vain.
struct Worker {
    line: Arc<Line>,
    /// Nothing was left to do, and another task may have begun.
    is_done: bool,
}

impl Worker {
    async fn run(mut self) {
        while let Some(Place { delivery, outcome }) = self.next() {
            let size = delivery.payload.len();
            // Nobody waits for it any more and it has not begun: it is withdrawn.
            if !outcome.is_closed() {
                let result = delivery.run(None).await;
                let _ = outcome.send(result);
            }
            let mut state = self.line.state();
            state.pending -= 1;
            state.bytes -= size;
            drop(state);
            self.line.moved.notify_waiters();
        }
    }

    fn next(&mut self) -> Option<Place> {
        let mut state = self.line.state();
        let next = state.queue.pop_front();
        // Whoever joins from now on starts another task.
        state.is_worked = next.is_some();
        self.is_done = next.is_none();
        next
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_done {
            // The runtime goes, or a policy of the caller's panicked.
            let lost = std::mem::take(&mut *self.line.state());
            drop(lost);
            self.line.moved.notify_waiters();
        }
    }
}
