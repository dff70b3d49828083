//! The service behind the handles: it turns their wishes into calls of the engine, and what the
//! engine tells into answers and wake-ups. It runs inside the task that owns the socket.

mod links;
mod receives;
mod sends;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use self::receives::close_receiver;
use self::sends::close_sender;
use super::connection::{Authenticate, Handle};
use super::deadline::{Deadlines, Due};
use super::drive::Service;
use super::error::{Error, ErrorKind, LinkClosed, Operation};
use super::inbox::{AttachRequest, Command, Inbox, Taken, lock};
use super::incoming::IncomingLink;
use super::receiver::ReceiveLink;
use super::ring::Overdue;
use super::sender::SendLink;
use crate::codec::sasl;
use crate::engine::{
    CloseReason, Connection, Delivery, Event, LinkId, Outcome, SessionId, SessionOptions,
};

/// Time for the peer to answer a detach before its session is ended without waiting.
const DETACH_TIMEOUT: Duration = Duration::from_secs(2);

/// What an accepted connection needs beyond a dialled one.
pub(crate) struct Acceptor {
    pub(crate) incoming: mpsc::Sender<IncomingLink>,
    pub(crate) authenticate: Authenticate,
}

/// A receiver's account of what it holds.
struct Receiving {
    link: Arc<ReceiveLink>,
    waiting: u32,
    waiting_bytes: usize,
    largest: usize,
}

enum Phase {
    /// Our attach waits for its answer.
    Attaching(Box<AttachRequest>),
    /// The peer's attach waits for its answer.
    Incoming,
    Sending(Arc<SendLink>),
    Receiving(Receiving),
}

struct Entry {
    id: LinkId,
    session: SessionId,
    /// Whether the session goes with the link.
    own_session: bool,
    phase: Phase,
}

/// See the [module](self).
pub(crate) struct Owner {
    inbox: Arc<Inbox>,
    entity: String,
    /// Who waits for the open.
    opening: Option<(oneshot::Sender<Result<super::Connection, Error>>, Handle)>,
    closed: watch::Sender<Option<CloseReason>>,
    acceptor: Option<Acceptor>,
    links: Vec<Option<Entry>>,
    names: u64,
    deadlines: Deadlines,
    taken: Taken,
    touched: Vec<LinkId>,
    outcomes: Vec<Outcome>,
    overdue: Vec<Overdue>,
    wakers: Vec<Waker>,
    discarded: Vec<Delivery>,
}

impl Owner {
    pub(crate) fn new(
        handle: Handle,
        opening: oneshot::Sender<Result<super::Connection, Error>>,
        closed: watch::Sender<Option<CloseReason>>,
        acceptor: Option<Acceptor>,
    ) -> Self {
        Self {
            inbox: Arc::clone(&handle.inbox),
            entity: handle.entity.clone(),
            opening: Some((opening, handle)),
            closed,
            acceptor,
            links: Vec::new(),
            names: 0,
            deadlines: Deadlines::default(),
            taken: Taken::default(),
            touched: Vec::new(),
            outcomes: Vec::new(),
            overdue: Vec::new(),
            wakers: Vec::new(),
            discarded: Vec::new(),
        }
    }

    fn entry(&mut self, id: LinkId) -> Option<&mut Entry> {
        self.links.get_mut(id.index())?.as_mut().filter(|entry| entry.id == id)
    }

    fn insert(&mut self, entry: Entry) {
        let index = entry.id.index();
        if index >= self.links.len() {
            self.links.resize_with(index + 1, || None);
        }
        self.links[index] = Some(entry);
    }

    fn remove(&mut self, id: LinkId) -> Option<Entry> {
        self.entry(id)?;
        self.links.get_mut(id.index())?.take()
    }

    fn error(&self, operation: Operation, entity: &str, kind: ErrorKind) -> Error {
        let entity = if entity.is_empty() { &self.entity } else { entity };
        Error::new(operation, entity, kind)
    }

    fn handle_commands(&mut self, engine: &mut Connection, now: Instant) {
        let mut taken = std::mem::take(&mut self.taken);
        self.inbox.take(&mut taken);
        for link in taken.senders.drain(..) {
            if let Some(id) = link.id.get() {
                self.pump(engine, now, *id, &link);
            }
        }
        for link in taken.receivers.drain(..) {
            if let Some(id) = link.id.get() {
                self.handle_consumption(engine, now, *id, &link);
            }
        }
        for command in taken.commands.drain(..) {
            self.handle_command(engine, now, command);
        }
        // Last: what was settled or handed out before a close leaves before the close.
        if let Some(error) = taken.close.take() {
            self.settle_handed_out(engine);
            engine.close(error);
        }
        self.taken = taken;
    }

    fn handle_command(&mut self, engine: &mut Connection, now: Instant, command: Command) {
        match command {
            Command::Begin(options, reply) => {
                let session = engine.begin(options).map_err(|error| {
                    let kind = ErrorKind::Exhausted(error.to_string());
                    self.error(Operation::Attach, "", kind)
                });
                if let Err(Ok(session)) = reply.send(session) {
                    engine.end(session, None);
                }
            }
            Command::End(session) => engine.end(session, None),
            Command::Attach(request) => self.handle_attach(engine, now, request),
            Command::AcceptSender(id, attach, link) => {
                if self.accept(engine, id, *attach) {
                    self.start_sending(id, link);
                } else {
                    close_sender(&link, &LinkClosed::Remote(None), &mut self.wakers);
                }
            }
            Command::AcceptReceiver(id, attach, link) => {
                if self.accept(engine, id, *attach) {
                    self.start_receiving(engine, id, link);
                } else {
                    close_receiver(&link, &LinkClosed::Remote(None), &mut self.wakers);
                }
            }
            Command::Refuse(id, error) => {
                if self.remove(id).is_some() {
                    engine.refuse(id, error);
                }
            }
        }
    }

    fn handle_touched(&mut self, engine: &mut Connection, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        engine.touched(&mut touched);
        for id in touched.drain(..) {
            match self.entry(id).map(|entry| &entry.phase) {
                Some(Phase::Receiving(_)) => self.handle_deliveries(engine, now, id),
                Some(Phase::Sending(link)) => {
                    let link = Arc::clone(link);
                    self.handle_outcomes(engine, now, id, &link);
                }
                _ => {
                    engine.deliveries(id, &mut self.discarded);
                    let bytes = self.discarded.drain(..).map(|d| d.held_bytes()).sum();
                    engine.consumed(id, bytes);
                    engine.outcomes(id, &mut self.outcomes);
                    self.outcomes.clear();
                }
            }
        }
        self.touched = touched;
    }

    fn handle_event(&mut self, engine: &mut Connection, event: Event) {
        match event {
            Event::SaslInit { mechanism, initial_response, .. } => {
                let welcome = self.acceptor.as_ref().is_some_and(|acceptor| {
                    (acceptor.authenticate)(mechanism.as_str(), initial_response.as_deref())
                });
                let code = if welcome { sasl::Code::Ok } else { sasl::Code::Auth };
                engine.sasl_outcome(code);
            }
            Event::SaslChallenge(_) => engine.sasl_response(bytes::Bytes::new()),
            Event::SaslResponse(_) => engine.sasl_outcome(sasl::Code::Auth),
            Event::Open(open) => {
                engine.open();
                if let Some((opening, handle)) = self.opening.take() {
                    let _ = opening.send(Ok(super::Connection::new(handle, open)));
                }
            }
            Event::Begin { session, incoming: true, .. } => {
                let _ = engine.accept_session(session, SessionOptions::default());
            }
            Event::Begin { .. } | Event::Drained { .. } | Event::End { .. } => {}
            Event::Attach { link, session, attach, incoming: true } => {
                self.handle_incoming(engine, link, session, attach);
            }
            Event::Attach { link, attach, .. } => self.handle_attached(engine, link, attach),
            // What can be sent was sent when it was queued.
            Event::Drain { link } => engine.drained(link),
            Event::Detach { link, error, origin, .. } => {
                self.handle_detached(engine, link, error, origin);
            }
            Event::Closed(reason) => self.handle_closed(&reason),
        }
    }

    fn handle_closed(&mut self, reason: &CloseReason) {
        let closed = LinkClosed::Connection(reason.clone());
        for entry in std::mem::take(&mut self.links).into_iter().flatten() {
            self.close_entry(entry, &closed);
        }
        if let Some((opening, _handle)) = self.opening.take() {
            let kind = ErrorKind::Closed(reason.clone());
            let _ = opening.send(Err(self.error(Operation::Open, "", kind)));
        }
        self.acceptor = None;
        self.closed.send_replace(Some(reason.clone()));
    }

    /// Ends the links whose acceptance nobody will carry out any more.
    fn close_unanswered(&mut self, reason: &CloseReason) {
        let closed = LinkClosed::Connection(reason.clone());
        let mut taken = std::mem::take(&mut self.taken);
        self.inbox.take(&mut taken);
        for command in taken.commands {
            match command {
                Command::AcceptSender(_, _, link) => {
                    close_sender(&link, &closed, &mut self.wakers);
                }
                Command::AcceptReceiver(_, _, link) => {
                    close_receiver(&link, &closed, &mut self.wakers);
                }
                _ => {}
            }
        }
    }

    fn handle_deadlines(&mut self, engine: &mut Connection, now: Instant) {
        while let Some(due) = self.deadlines.take(now) {
            match due {
                Due::Attach(id) => self.handle_attach_overdue(engine, id),
                Due::Detach(id) => self.handle_detach_overdue(engine, id),
                Due::Sends(id) => self.handle_sends_overdue(engine, now, id),
            }
        }
    }
}

impl Service for Owner {
    fn turn(&mut self, engine: &mut Connection, now: Instant) {
        self.handle_touched(engine, now);
        while let Some(event) = engine.poll_event() {
            self.handle_event(engine, event);
        }
        self.handle_commands(engine, now);
        self.handle_deadlines(engine, now);
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((opening, _)) = &mut self.opening
            && opening.poll_closed(cx).is_ready()
        {
            // Nobody waits for the open any more. Dropping the handle asks for a close.
            self.opening = None;
        }
        self.inbox.poll(cx)
    }

    fn timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}

impl Drop for Owner {
    /// However the task ends, nobody is left waiting.
    fn drop(&mut self) {
        let reason = self.closed.borrow().clone().unwrap_or(CloseReason::Eof);
        self.handle_closed(&reason);
        self.close_unanswered(&reason);
        self.inbox.end();
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

impl Entry {
    /// Whether this end wants the link gone.
    fn is_leaving(&self) -> bool {
        match &self.phase {
            Phase::Sending(link) => lock(&link.state).leaving,
            Phase::Receiving(receiving) => lock(&receiving.link.state).leaving,
            Phase::Attaching(_) | Phase::Incoming => false,
        }
    }
}
