//! How shared state reaches a connection: a bell with a slip of paper for each reason.
//!
//! Whoever changes shared state rings the bells of the connections that wait for the change. A
//! link leaves at most one slip of each kind until its connection has read them, so the pile is
//! bounded by the links of the connection, however fast events arrive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use eventhubs_amqp::codec::AmqpError;
use eventhubs_amqp::engine::LinkId;
use tokio::sync::oneshot;

use crate::view::overview::ConnectionSnapshot;

/// Why a bell rang.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signal {
    /// The partition that this consumer link waits for has grown.
    Appended(LinkId),
    /// This consumer link has to give way.
    Displaced(LinkId, AmqpError),
    /// Faults were injected or lifted.
    Faults,
    /// The service's clock was moved.
    Clock,
    /// A hub or consumer group was changed or deleted; each link has to look whether its own was.
    Changed,
    /// The emulator is shutting down.
    Shutdown,
}

/// The bell of one connection.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    signals: Vec<Signal>,
    /// Who wants to know what the connection is doing; a later one takes the place of an earlier.
    asking: Option<oneshot::Sender<ConnectionSnapshot>>,
    waker: Option<Waker>,
}

impl Bell {
    /// Leaves a signal and wakes the connection.
    pub(crate) fn ring(&self, signal: Signal) {
        self.wake(|state| {
            let once = matches!(signal, Signal::Faults | Signal::Clock | Signal::Changed);
            if !(once && state.signals.contains(&signal)) {
                state.signals.push(signal);
            }
        });
    }

    /// Asks what the connection is doing. The answer never comes when the connection ends, or
    /// somebody else asks, before it was given.
    pub(crate) fn ask(&self) -> oneshot::Receiver<ConnectionSnapshot> {
        let (asking, answer) = oneshot::channel();
        self.wake(|state| state.asking = Some(asking));
        answer
    }

    /// Who wants to know what the connection is doing.
    pub(crate) fn asked(&self) -> Option<oneshot::Sender<ConnectionSnapshot>> {
        self.lock().asking.take()
    }

    fn wake(&self, leave: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.lock();
            leave(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready when there is a signal to take.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.signals.is_empty() || state.asking.is_some() {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes all signals; `signals` must be empty and keeps its capacity for the next time.
    pub(crate) fn take(&self, signals: &mut Vec<Signal>) {
        std::mem::swap(&mut self.lock().signals, signals);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer link of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) bell: Arc<Bell>,
    pub(crate) link: LinkId,
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bell, &other.bell) && self.link == other.link
    }
}
