//! The life of links in the owner: attached, accepted, detached, given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::receives::close_receiver;
use super::sends::close_sender;
use super::{Entry, Owner, Phase};
use crate::codec::performative::{Attach, Role};
use crate::codec::{AmqpError, condition};
use crate::engine::{Connection, LinkId, Origin, SessionId, SessionOptions, later};
use crate::net::deadline::Due;
use crate::net::error::{ErrorKind, LinkClosed, Operation};
use crate::net::inbox::{AttachRequest, Attached, LinkOptions};
use crate::net::incoming::IncomingLink;
use crate::net::receiver::{ReceiveLink, ReceiveOwner};
use crate::net::sender::{SendLink, SendOwner};

impl Owner {
    pub(super) fn accept(&mut self, engine: &mut Connection, id: LinkId, attach: Attach) -> bool {
        self.entry(id).is_some() && engine.accept(id, attach).is_ok()
    }

    pub(super) fn handle_attach(
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
                self.deadlines.add(later(now, timeout), Due::Attach(id));
            }
            Err(text) => {
                let kind = ErrorKind::Exhausted(text);
                let entity = address(&request.options);
                let _ = request.reply.send(Err(self.error(Operation::Attach, &entity, kind)));
            }
        }
    }

    /// Begins a session when there is none and attaches to it; both frames leave together.
    pub(super) fn attach_link(
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

    pub(super) fn handle_incoming(
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

    pub(super) fn handle_attached(
        &mut self,
        engine: &mut Connection,
        id: LinkId,
        attach: Box<Attach>,
    ) {
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

    pub(super) fn handle_detached(
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

    pub(super) fn close_entry(&mut self, entry: Entry, closed: &LinkClosed) {
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

    pub(super) fn handle_attach_overdue(&mut self, engine: &mut Connection, id: LinkId) {
        if !matches!(self.entry(id), Some(Entry { phase: Phase::Attaching(_), .. })) {
            return;
        }
        let Some(entry) = self.remove(id) else { return };
        if let Phase::Attaching(request) = entry.phase {
            let (entity, timeout) = (address(&request.options), timeout(&request.options));
            let late = self.error(Operation::Attach, &entity, ErrorKind::Timeout(timeout));
            let _ = request.reply.send(Err(late));
        }
        engine.detach(id, true, None);
        if entry.own_session {
            engine.end(entry.session, None);
        }
    }

    /// The peer does not answer our detach: the link is over for us all the same.
    pub(super) fn handle_detach_overdue(&mut self, engine: &mut Connection, id: LinkId) {
        let Some(entry) = self.remove(id) else { return };
        let own = entry.own_session.then_some(entry.session);
        self.close_entry(entry, &LinkClosed::Local);
        if let Some(session) = own {
            engine.end(session, None);
        }
    }
}

/// What an attach is about, for errors.
pub(super) fn address(options: &LinkOptions) -> String {
    let address = match options {
        LinkOptions::Sender(options) => &options.target.address,
        LinkOptions::Receiver(options) => &options.source.address,
    };
    address.clone().unwrap_or_default()
}

pub(super) fn timeout(options: &LinkOptions) -> Duration {
    match options {
        LinkOptions::Sender(options) => options.attach_timeout,
        LinkOptions::Receiver(options) => options.attach_timeout,
    }
}
