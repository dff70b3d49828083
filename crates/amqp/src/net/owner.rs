//! The service behind the handles: it turns their wishes into calls of the engine, and what the
//! engine tells into answers and wake-ups. It runs inside the task that owns the socket.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{Authenticate, Handle};
use super::credit::Budget;
use super::deadline::{Deadlines, Due};
use super::drive::Service;
use super::error::{Error, ErrorKind, LinkClosed, Operation};
use super::inbox::{AttachRequest, Attached, Command, Inbox, LinkOptions, Taken, lock};
use super::incoming::IncomingLink;
use super::receiver::{ReceiveLink, ReceiveOwner};
use super::ring::Overdue;
use super::sender::{SendLink, SendOwner};
use crate::codec::performative::{Attach, Role};
use crate::codec::{AmqpError, DeliveryState, condition, sasl};
use crate::engine::{
    CloseReason, Connection, Delivery, Event, LinkId, Origin, Outcome, Outgoing, SendError,
    SessionId, SessionOptions,
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
        // After the links: what was settled before a close leaves before the close.
        for command in taken.commands.drain(..) {
            self.handle_command(engine, now, command);
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
            Command::Close(error) => engine.close(error),
        }
    }

    fn accept(&mut self, engine: &mut Connection, id: LinkId, attach: Attach) -> bool {
        self.entry(id).is_some() && engine.accept(id, attach).is_ok()
    }

    fn handle_attach(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        request: Box<AttachRequest>,
    ) {
        let (session_options, timeout, name) = match &request.options {
            LinkOptions::Sender(options) => {
                (options.session, options.attach_timeout, options.name.clone())
            }
            LinkOptions::Receiver(options) => {
                (options.session, options.attach_timeout, options.name.clone())
            }
        };
        self.names += 1;
        let container = &engine.options().container_id;
        let name = if name.is_empty() { format!("{container}-{}", self.names) } else { name };
        let attach = match &request.options {
            LinkOptions::Sender(options) => options.attach(name),
            LinkOptions::Receiver(options) => options.attach(name),
        };
        match Self::attach_link(engine, request.session, session_options, attach) {
            Ok((session, id)) => {
                let own_session = request.session.is_none();
                self.insert(Entry { id, session, own_session, phase: Phase::Attaching(request) });
                self.deadlines.add(now + timeout, Due::Link(id));
            }
            Err(text) => {
                let kind = ErrorKind::Exhausted(text);
                let entity = address(&request.options);
                let _ = request.reply.send(Err(self.error(Operation::Attach, &entity, kind)));
            }
        }
    }

    /// Begins a session when there is none and attaches to it; both frames leave together.
    fn attach_link(
        engine: &mut Connection,
        session: Option<SessionId>,
        options: SessionOptions,
        attach: Attach,
    ) -> Result<(SessionId, LinkId), String> {
        let own = session.is_none();
        let session = match session {
            Some(session) => session,
            None => engine.begin(options).map_err(|error| error.to_string())?,
        };
        match engine.attach(session, attach) {
            Ok(link) => Ok((session, link)),
            Err(error) => {
                if own {
                    engine.end(session, None);
                }
                Err(error.to_string())
            }
        }
    }

    fn start_sending(&mut self, id: LinkId, link: Arc<SendLink>) {
        let _ = link.id.set(id);
        // What was queued before the link had its id was marked in vain.
        lock(&link.state).dirty = true;
        self.inbox.sender(Arc::clone(&link));
        if let Some(entry) = self.entry(id) {
            entry.phase = Phase::Sending(link);
        }
    }

    fn start_receiving(&mut self, engine: &mut Connection, id: LinkId, link: Arc<ReceiveLink>) {
        let _ = link.id.set(id);
        let mut receiving = Receiving { link, waiting: 0, waiting_bytes: 0, largest: 0 };
        if lock(&receiving.link.state).leaving {
            // Given up before it had a name: its flag was raised in vain.
            lock(&receiving.link.state).dirty = true;
            self.inbox.receiver(Arc::clone(&receiving.link));
        }
        grant(engine, id, &mut receiving);
        if let Some(entry) = self.entry(id) {
            entry.phase = Phase::Receiving(receiving);
        }
    }

    /// Writes what a sender has queued, as credit and room allow.
    fn pump(&mut self, engine: &mut Connection, now: Instant, id: LinkId, link: &Arc<SendLink>) {
        if !matches!(self.entry(id), Some(Entry { phase: Phase::Sending(_), .. })) {
            return;
        }
        let mut state = lock(&link.state);
        state.dirty = false;
        state.ring.stamp(now + link.send_timeout);
        while let Some((number, payload, message_format)) = state.ring.next_queued() {
            let settled = link.settled;
            let outgoing = Outgoing { payload, message_format, settled, token: number };
            match engine.send(id, outgoing) {
                Ok(delivery_id) => {
                    state.ring.mark_sent(number, delivery_id);
                    if settled {
                        // Fire and forget is what was asked for: written is as good as it gets.
                        let done = Ok(DeliveryState::Accepted);
                        self.wakers.extend(state.ring.complete(number, done));
                    }
                }
                Err(SendError::TooLarge { size, limit }) => {
                    let failure = super::SendFailure::TooLarge { size, limit };
                    self.wakers.extend(state.ring.complete(number, Err(failure)));
                }
                Err(SendError::NoCredit | SendError::Full | SendError::Detached) => break,
            }
        }
        self.settle_sender(engine, now, id, link, state);
    }

    /// What follows from a sender's ring after every change: room, its deadline, leaving.
    fn settle_sender(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<SendLink>,
        mut state: std::sync::MutexGuard<'_, super::sender::SendState>,
    ) {
        if link.has_room(&state) {
            self.wakers.append(&mut state.room);
        }
        if !state.armed
            && let Some(deadline) = state.ring.deadline()
        {
            state.armed = true;
            self.deadlines.add(deadline, Due::Sends(id));
        }
        let leaves = state.leaving && state.ring.pending() == 0 && !state.left;
        if leaves {
            state.left = true;
            engine.detach(id, true, None);
            self.deadlines.add(now + DETACH_TIMEOUT, Due::Link(id));
        }
    }

    fn handle_outcomes(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<SendLink>,
    ) {
        engine.outcomes(id, &mut self.outcomes);
        if !self.outcomes.is_empty() {
            let mut state = lock(&link.state);
            for outcome in self.outcomes.drain(..) {
                if !outcome.settled {
                    let settled = outcome.state.clone().unwrap_or(DeliveryState::Accepted);
                    engine.settle(id, outcome.delivery_id, outcome.delivery_id, settled, true);
                }
                // Settled without a state means that the receiver forgot it: nothing is known.
                let result = match outcome.state {
                    Some(state) => Ok(state),
                    None => Err(super::SendFailure::Unknown(LinkClosed::Remote(None))),
                };
                self.wakers.extend(state.ring.complete(outcome.token, result));
            }
        }
        self.pump(engine, now, id, link);
    }

    fn handle_deliveries(&mut self, engine: &mut Connection, id: LinkId) {
        let Some(Entry { phase: Phase::Receiving(receiving), .. }) =
            self.links.get_mut(id.index()).and_then(Option::as_mut).filter(|e| e.id == id)
        else {
            return;
        };
        let waker = {
            let mut state = lock(&receiving.link.state);
            let before = state.queue.len();
            engine.deliveries(id, &mut state.queue);
            let mut largest = 0;
            for delivery in &state.queue[before..] {
                let bytes = delivery.held_bytes();
                receiving.waiting_bytes += bytes;
                largest = largest.max(bytes);
            }
            let count = state.queue.len() - before;
            if count == 0 {
                return;
            }
            receiving.waiting += u32::try_from(count).unwrap_or(u32::MAX);
            receiving.largest = largest.max(receiving.largest - receiving.largest / 8);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A receiver has consumed, settled or left.
    fn handle_consumption(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<ReceiveLink>,
    ) {
        let (taken, bytes, settlements, leaving) = {
            let mut state = lock(&link.state);
            state.dirty = false;
            (
                std::mem::take(&mut state.taken),
                std::mem::take(&mut state.taken_bytes),
                std::mem::take(&mut state.settlements),
                state.leaving,
            )
        };
        for settlement in settlements {
            let super::receiver::Settlement { first, last, state, settled } = settlement;
            engine.settle(id, first, last, state, settled);
        }
        engine.consumed(id, bytes);
        let Some(Entry { phase: Phase::Receiving(receiving), .. }) = self.entry(id) else {
            return;
        };
        receiving.waiting = receiving.waiting.saturating_sub(taken);
        receiving.waiting_bytes = receiving.waiting_bytes.saturating_sub(bytes);
        if leaving {
            engine.detach(id, true, None);
            self.deadlines.add(now + DETACH_TIMEOUT, Due::Link(id));
        } else {
            grant(engine, id, receiving);
        }
    }

    fn handle_touched(&mut self, engine: &mut Connection, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        engine.touched(&mut touched);
        for id in touched.drain(..) {
            match self.entry(id).map(|entry| &entry.phase) {
                Some(Phase::Receiving(_)) => self.handle_deliveries(engine, id),
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

    fn handle_incoming(
        &mut self,
        engine: &mut Connection,
        id: LinkId,
        session: SessionId,
        attach: Box<Attach>,
    ) {
        if self.acceptor.is_none() {
            let text = "this end accepts no links";
            return engine.refuse(id, AmqpError::new(condition::NOT_ALLOWED, text));
        }
        self.insert(Entry { id, session, own_session: false, phase: Phase::Incoming });
        let link = IncomingLink::new(id, attach, Arc::clone(&self.inbox));
        if let Some(acceptor) = &self.acceptor {
            // A link that finds the queue full is dropped, which refuses it.
            let _ = acceptor.incoming.try_send(link);
        }
    }

    fn handle_attached(&mut self, engine: &mut Connection, id: LinkId, attach: Box<Attach>) {
        let refused = match attach.role {
            Role::Sender => attach.source.is_none(),
            Role::Receiver => attach.target.is_none(),
        };
        let Some(entry) = self.entry(id) else { return };
        if refused || !matches!(entry.phase, Phase::Attaching(_)) {
            // The reason follows as a detach.
            return;
        }
        let Phase::Attaching(request) = std::mem::replace(&mut entry.phase, Phase::Incoming) else {
            return;
        };
        let reply = request.reply;
        let left = match request.options {
            LinkOptions::Sender(options) => {
                let link = Arc::new(SendLink::new(&options, Arc::clone(&self.inbox)));
                self.start_sending(id, Arc::clone(&link));
                reply.send(Ok(Attached::Sender(SendOwner(link), attach)))
            }
            LinkOptions::Receiver(options) => {
                let link = Arc::new(ReceiveLink::new(&options, Arc::clone(&self.inbox)));
                self.start_receiving(engine, id, Arc::clone(&link));
                reply.send(Ok(Attached::Receiver(ReceiveOwner(link), attach)))
            }
        };
        // Nobody waits any more: dropping the owner of the link asks for its detach.
        drop(left);
    }

    fn handle_detached(
        &mut self,
        engine: &mut Connection,
        id: LinkId,
        error: Option<AmqpError>,
        origin: Origin,
    ) {
        let Some(entry) = self.remove(id) else { return };
        let closed = match (origin, error) {
            (Origin::Peer, error) if !entry.is_leaving() => LinkClosed::Remote(error),
            (Origin::Peer, Some(error)) => LinkClosed::Remote(Some(error)),
            (Origin::Us, Some(error)) => LinkClosed::Violation(error),
            (_, None) => LinkClosed::Local,
        };
        let own = entry.own_session.then_some(entry.session);
        self.close_entry(entry, &closed);
        if let Some(session) = own {
            engine.end(session, None);
        }
    }

    fn close_entry(&mut self, entry: Entry, closed: &LinkClosed) {
        match entry.phase {
            Phase::Attaching(request) => {
                let kind = match closed {
                    LinkClosed::Connection(reason) => ErrorKind::Closed(reason.clone()),
                    closed => ErrorKind::Detached(closed.clone()),
                };
                let entity = address(&request.options);
                let _ = request.reply.send(Err(self.error(Operation::Attach, &entity, kind)));
            }
            Phase::Incoming => {}
            Phase::Sending(link) => close_sender(&link, closed, &mut self.wakers),
            Phase::Receiving(receiving) => {
                close_receiver(&receiving.link, closed, &mut self.wakers);
            }
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

    fn handle_deadlines(&mut self, engine: &mut Connection, now: Instant) {
        while let Some(due) = self.deadlines.take(now) {
            match due {
                Due::Link(id) => self.handle_link_overdue(engine, id),
                Due::Sends(id) => self.handle_sends_overdue(engine, now, id),
            }
        }
    }

    fn handle_link_overdue(&mut self, engine: &mut Connection, id: LinkId) {
        let Some(entry) = self.entry(id) else { return };
        let (session, own) = (entry.session, entry.own_session);
        match &entry.phase {
            Phase::Attaching(_) => {
                if let Some(Entry { phase: Phase::Attaching(request), .. }) = self.remove(id) {
                    let (entity, timeout) = (address(&request.options), timeout(&request.options));
                    let kind = ErrorKind::Timeout(timeout);
                    let late = self.error(Operation::Attach, &entity, kind);
                    let _ = request.reply.send(Err(late));
                }
                engine.detach(id, true, None);
            }
            Phase::Sending(_) | Phase::Receiving(_) if entry.is_leaving() => {
                // The peer does not answer our detach: the link is over for us all the same.
                if let Some(entry) = self.remove(id) {
                    self.close_entry(entry, &LinkClosed::Local);
                }
            }
            _ => return,
        }
        if own {
            engine.end(session, None);
        }
    }

    fn handle_sends_overdue(&mut self, engine: &mut Connection, now: Instant, id: LinkId) {
        let Some(Entry { phase: Phase::Sending(link), .. }) = self.entry(id) else {
            return;
        };
        let link = Arc::clone(link);
        let mut state = lock(&link.state);
        state.armed = false;
        let timeout = link.send_timeout;
        let mut overdue = std::mem::take(&mut self.overdue);
        state.ring.expire(now, timeout, &mut overdue, &mut self.wakers);
        for late in overdue.drain(..) {
            // A delivery that did not leave whole is aborted, so the peer cannot have it.
            let failure = if engine.abort(id, late.delivery_id) {
                super::SendFailure::NotSentInTime(timeout)
            } else {
                super::SendFailure::UnknownInTime(timeout)
            };
            self.wakers.extend(state.ring.complete(late.number, Err(failure)));
        }
        self.overdue = overdue;
        self.settle_sender(engine, now, id, &link, state);
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

/// Grants what the receiver's budget allows beyond what the peer still has.
fn grant(engine: &mut Connection, id: LinkId, receiving: &mut Receiving) {
    let budget = Budget {
        prefetch: receiving.link.prefetch,
        bytes_max: receiving.link.prefetch_bytes,
        waiting: receiving.waiting,
        waiting_bytes: receiving.waiting_bytes,
        largest: receiving.largest,
    };
    let credit = budget.credit();
    if credit > engine.credit(id) {
        engine.set_credit(id, credit);
    }
}

fn close_sender(link: &SendLink, closed: &LinkClosed, wakers: &mut Vec<Waker>) {
    let mut state = lock(&link.state);
    state.closed.get_or_insert_with(|| closed.clone());
    state.ring.fail_all(closed, wakers);
    wakers.append(&mut state.room);
    wakers.append(&mut state.ending);
}

fn close_receiver(link: &ReceiveLink, closed: &LinkClosed, wakers: &mut Vec<Waker>) {
    let mut state = lock(&link.state);
    state.closed.get_or_insert_with(|| closed.clone());
    wakers.extend(state.waker.take());
}

/// What an attach is about, for errors.
fn address(options: &LinkOptions) -> String {
    let address = match options {
        LinkOptions::Sender(options) => &options.target.address,
        LinkOptions::Receiver(options) => &options.source.address,
    };
    address.clone().unwrap_or_default()
}

fn timeout(options: &LinkOptions) -> Duration {
    match options {
        LinkOptions::Sender(options) => options.attach_timeout,
        LinkOptions::Receiver(options) => options.attach_timeout,
    }
}
