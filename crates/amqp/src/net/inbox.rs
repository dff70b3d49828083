//! What the handles of a connection leave for the task that owns it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use super::error::Error;
use super::receiver::{ReceiveLink, ReceiveOwner, ReceiverOptions};
use super::sender::{SendLink, SendOwner, SenderOptions};
use crate::codec::AmqpError;
use crate::codec::performative::Attach;
use crate::engine::{LinkId, SessionId, SessionOptions};

/// Requests that may wait for the owner task. It takes all of them at every turn, so more than this
/// means that it does not run.
pub(crate) const COMMANDS_MAX: usize = 16_384;

/// Locks, whether or not a thread panicked while it held the lock: every state behind our locks is
/// whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A link as its owner task hands it over; dropping it unused lets the link go.
#[derive(Debug)]
pub(crate) enum Attached {
    Sender(SendOwner, Box<Attach>),
    Receiver(ReceiveOwner, Box<Attach>),
}

#[derive(Debug)]
pub(crate) enum LinkOptions {
    Sender(SenderOptions),
    Receiver(ReceiverOptions),
}

#[derive(Debug)]
pub(crate) struct AttachRequest {
    /// The session to use; without one the link gets its own.
    pub(crate) session: Option<SessionId>,
    pub(crate) options: LinkOptions,
    pub(crate) reply: oneshot::Sender<Result<Attached, Error>>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Begin(SessionOptions, oneshot::Sender<Result<SessionId, Error>>),
    End(SessionId),
    Attach(Box<AttachRequest>),
    /// Accepts a link of the peer as a sender of ours.
    AcceptSender(LinkId, Box<Attach>, Arc<SendLink>),
    /// Accepts a link of the peer as a receiver of ours.
    AcceptReceiver(LinkId, Box<Attach>, Arc<ReceiveLink>),
    Refuse(LinkId, AmqpError),
}

#[derive(Debug, Default)]
struct State {
    commands: Vec<Command>,
    /// A close, with its error. It is no command: it is never one too many.
    close: Option<Option<AmqpError>>,
    senders: Vec<Arc<SendLink>>,
    receivers: Vec<Arc<ReceiveLink>>,
    waker: Option<Waker>,
    ended: bool,
}

/// What [`Inbox::take`] found.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) commands: Vec<Command>,
    pub(crate) close: Option<Option<AmqpError>>,
    pub(crate) senders: Vec<Arc<SendLink>>,
    pub(crate) receivers: Vec<Arc<ReceiveLink>>,
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

impl Inbox {
    /// Leaves a request; gives it back when the connection is over or the owner does not run.
    pub(crate) fn command(&self, command: Command) -> Result<(), Command> {
        let mut state = lock(&self.state);
        if state.ended || state.commands.len() >= COMMANDS_MAX {
            return Err(command);
        }
        state.commands.push(command);
        Self::wake(state);
        Ok(())
    }

    /// Asks for a close behind everything that waits. The first of several counts.
    pub(crate) fn close(&self, error: Option<AmqpError>) {
        let mut state = lock(&self.state);
        if !state.ended {
            state.close.get_or_insert(error);
            Self::wake(state);
        }
    }

    /// A sending link wants attention. Its own flag keeps it from being listed twice.
    pub(crate) fn sender(&self, link: Arc<SendLink>) {
        let mut state = lock(&self.state);
        if !state.ended {
            state.senders.push(link);
            Self::wake(state);
        }
    }

    /// A receiving link wants attention.
    pub(crate) fn receiver(&self, link: Arc<ReceiveLink>) {
        let mut state = lock(&self.state);
        if !state.ended {
            state.receivers.push(link);
            Self::wake(state);
        }
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready when something waits.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        let idle = state.commands.is_empty()
            && state.close.is_none()
            && state.senders.is_empty()
            && state.receivers.is_empty();
        if !idle {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Swaps what waits for the empty lists of `taken`, so that neither allocates in the long run.
    pub(crate) fn take(&self, taken: &mut Taken) {
        let mut state = lock(&self.state);
        std::mem::swap(&mut state.commands, &mut taken.commands);
        taken.close = state.close.take();
        std::mem::swap(&mut state.senders, &mut taken.senders);
        std::mem::swap(&mut state.receivers, &mut taken.receivers);
    }

    /// Nobody will take anything any more.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        let left = std::mem::take(&mut *state);
        state.ended = true;
        drop(state);
        // Requests and links are dropped without the lock: their owners may come back here.
        drop(left);
    }
}
