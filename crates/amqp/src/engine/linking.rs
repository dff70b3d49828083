//! Attach, detach and the link half of flow (AMQP 1.0, 2.6).

use super::Connection;
use super::event::{Event, LinkError, Origin};
use super::id::{LinkId, SessionId};
use super::link::{Link, LinkState};
use super::session::SessionState;
use crate::codec::performative::{Attach, Detach, Flow, Role};
use crate::codec::{AmqpError, Symbol, condition};

impl Connection {
    /// Attaches a link; `attach.role` is ours, `attach.handle` is chosen here. [`Event::Attach`]
    /// brings the peer's answer.
    ///
    /// # Errors
    ///
    /// [`LinkError`] when the session is not live or no handle or room is left.
    pub fn attach(&mut self, session: SessionId, attach: Attach) -> Result<LinkId, LinkError> {
        let links_max = self.options.limits.links_max;
        if self.links.len() >= links_max {
            return Err(LinkError::TooMany(links_max));
        }
        if self.is_closing() {
            return Err(LinkError::UnknownSession);
        }
        let handle = {
            let session = self.session_mut(session).ok_or(LinkError::UnknownSession)?;
            if !matches!(session.state, SessionState::BeginSent | SessionState::Mapped) {
                return Err(LinkError::UnknownSession);
            }
            session.free_handle().ok_or(LinkError::NoHandle(session.remote_handle_max))?
        };
        let mut link =
            Link::new(session.slot, attach.name.clone(), attach.role, LinkState::AttachSent);
        link.local_handle = handle;
        apply_own(&mut link, &attach);
        let (slot, generation) = self.links.insert(link);
        if let Some(session) = self.session_at(session.slot) {
            session.set_local_handle(handle, Some(slot));
        }
        self.send_attach(session.slot, Attach { handle, ..attach });
        Ok(LinkId { slot, generation })
    }

    /// Accepts a link that the peer attached. Name, handle and role of `answer` are filled in; a
    /// missing initial-delivery-count of our sender becomes 0.
    ///
    /// # Errors
    ///
    /// [`LinkError`] when the link does not wait for an answer or no handle is free.
    pub fn accept(&mut self, id: LinkId, answer: Attach) -> Result<(), LinkError> {
        let answer = self.answer(id, answer)?;
        let role = answer.role;
        if let Some(link) = self.links.at_mut(id.slot) {
            apply_own(link, &answer);
            link.state = LinkState::Attached;
            let (session, credit, drain) = (link.session, link.credit, link.draining);
            self.send_attach(session, answer);
            // A receiver need not wait for this answer before it grants credit.
            if role == Role::Sender && credit > 0 {
                self.touch(id.slot);
            }
            if role == Role::Sender && drain {
                self.push_event(Event::Drain { link: id });
            }
        }
        Ok(())
    }

    /// Refuses a link that the peer attached: an attach without source and target, then a detach
    /// with the reason, in one write and with no flow between (AMQP 1.0, 2.6.3). The link is not
    /// heard of again, whether or not the peer answers.
    pub fn refuse(&mut self, id: LinkId, error: AmqpError) {
        let Ok(answer) = self.answer(id, Attach::default()) else {
            return;
        };
        let Some(link) = self.links.at_mut(id.slot) else {
            return;
        };
        link.state = LinkState::DetachSent { reported: true };
        let (session, handle) = (link.session, link.local_handle);
        self.send_attach(session, answer);
        self.send_detach(session, Detach { handle, closed: true, error: Some(error) });
    }

    /// Detaches a link. What still arrives on it is dropped without a word; [`Event::Detach`]
    /// follows when the peer has answered. Does nothing for a link that is gone.
    pub fn detach(&mut self, id: LinkId, closed: bool, error: Option<AmqpError>) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        match link.state {
            LinkState::DetachSent { .. } | LinkState::Gone => return,
            LinkState::AttachReceived => {
                let refusal = error.unwrap_or_else(|| {
                    AmqpError::new(condition::DETACH_FORCED, "the link was not accepted")
                });
                return self.refuse(id, refusal);
            }
            LinkState::AttachSent | LinkState::Attached => {}
        }
        link.state = LinkState::DetachSent { reported: false };
        let (session, handle) = (link.session, link.local_handle);
        self.drop_partial(id.slot);
        self.forget_sends(id.slot);
        self.send_detach(session, Detach { handle, closed, error });
    }

    /// Name, handle and role of an answer to the peer's attach.
    fn answer(&mut self, id: LinkId, answer: Attach) -> Result<Attach, LinkError> {
        let link = self.links.get(id.slot, id.generation).ok_or(LinkError::Unknown)?;
        if link.state != LinkState::AttachReceived {
            return Err(LinkError::Unknown);
        }
        let (name, role, session) = (link.name.clone(), link.role, link.session);
        let session = self.session_at(session).ok_or(LinkError::UnknownSession)?;
        if session.state != SessionState::Mapped {
            return Err(LinkError::UnknownSession);
        }
        let handle = session.free_handle().ok_or(LinkError::NoHandle(session.remote_handle_max))?;
        session.set_local_handle(handle, Some(id.slot));
        if let Some(link) = self.links.at_mut(id.slot) {
            link.local_handle = handle;
        }
        let count = answer.initial_delivery_count.unwrap_or(0);
        Ok(Attach {
            name,
            handle,
            role,
            initial_delivery_count: (role == Role::Sender).then_some(count),
            ..answer
        })
    }

    fn send_attach(&mut self, channel: u16, attach: Attach) {
        let fields = self.fields();
        self.trace_out(channel, &attach);
        self.write_frame(channel, |out| attach.encode(fields, out));
    }

    fn send_detach(&mut self, channel: u16, detach: Detach) {
        let fields = self.fields();
        self.trace_out(channel, &detach);
        self.write_frame(channel, |out| detach.encode(fields, out));
    }

    /// Detaches a link because the peer broke a rule of it, and says so at once.
    pub(crate) fn fail_link(&mut self, slot: u32, condition: Symbol, text: impl Into<String>) {
        let generation = self.links.generation(slot);
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        let error = AmqpError::new(condition, text);
        let id = LinkId { slot, generation };
        match link.state {
            LinkState::AttachReceived => self.refuse(id, error.clone()),
            LinkState::Attached | LinkState::AttachSent => {
                link.state = LinkState::DetachSent { reported: true };
                let (session, handle) = (link.session, link.local_handle);
                let error = Some(error.clone());
                self.drop_partial(slot);
                self.forget_sends(slot);
                self.send_detach(session, Detach { handle, closed: true, error });
            }
            LinkState::DetachSent { .. } | LinkState::Gone => return,
        }
        let (error, origin) = (Some(error), Origin::Us);
        self.push_event(Event::Detach { link: id, closed: true, error, origin });
    }

    pub(crate) fn handle_attach(&mut self, channel: u16, attach: Box<Attach>) {
        let Some(slot) = self.remote_slot(channel) else {
            return;
        };
        let links_full = self.links.len() >= self.options.limits.links_max;
        let Some(session) = self.session_at(slot) else {
            return;
        };
        if matches!(session.state, SessionState::EndSent { .. }) {
            return;
        }
        if attach.handle > session.options.handle_max {
            let text = format!("handle {} is above handle-max", attach.handle);
            return self.violate(condition::FRAMING_ERROR, text);
        }
        let generation = session.generation;
        let held = session.remote_handles.get(attach.handle as usize).copied().flatten();
        if let Some(held) = held {
            let refused = LinkState::DetachSent { reported: true };
            if self.links.at(held).is_none_or(|link| link.state != refused) {
                let text = format!("handle {} is in use", attach.handle);
                return self.fail_session(slot, condition::HANDLE_IN_USE, text);
            }
            // A peer that never answered our detach starts over on the same handle.
            self.release_link(held, true, None, Origin::Us);
        }
        if let Some(link) = self.find_attaching(slot, &attach) {
            return self.handle_attach_answer(slot, link, attach);
        }
        if links_full {
            let text = "the connection has as many links as it takes";
            return self.fail_session(slot, condition::RESOURCE_LIMIT_EXCEEDED, text);
        }
        let role = match attach.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        let mut link = Link::new(slot, attach.name.clone(), role, LinkState::AttachReceived);
        link.remote_handle = Some(attach.handle);
        apply_peer(&mut link, &attach);
        let (link, link_generation) = self.links.insert(link);
        if let Some(session) = self.session_at(slot) {
            session.set_remote_handle(attach.handle, Some(link));
        }
        self.push_event(Event::Attach {
            link: LinkId { slot: link, generation: link_generation },
            session: SessionId { slot, generation },
            attach,
            incoming: true,
        });
    }

    /// Our link that this attach answers: same name, other role (AMQP 1.0, 2.6.1).
    fn find_attaching(&mut self, session: u16, attach: &Attach) -> Option<u32> {
        let handles = self.session_at(session)?.local_handles.clone();
        handles.into_iter().flatten().find(|slot| {
            self.links.at(*slot).is_some_and(|link| {
                link.remote_handle.is_none()
                    && link.role != attach.role
                    && link.name == attach.name
                    && link.state != LinkState::AttachReceived
            })
        })
    }

    fn handle_attach_answer(&mut self, session: u16, slot: u32, attach: Box<Attach>) {
        let generation = self.links.generation(slot);
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        link.remote_handle = Some(attach.handle);
        apply_peer(link, &attach);
        let waiting = link.state == LinkState::AttachSent;
        if waiting {
            link.state = LinkState::Attached;
        }
        let Some(session_state) = self.session_at(session) else {
            return;
        };
        session_state.set_remote_handle(attach.handle, Some(slot));
        let session = SessionId { slot: session, generation: session_state.generation };
        if waiting {
            self.push_event(Event::Attach {
                link: LinkId { slot, generation },
                session,
                attach,
                incoming: false,
            });
        }
    }

    pub(crate) fn handle_detach(&mut self, channel: u16, detach: Detach) {
        // A detach on an ended session or of an unknown handle is tolerated (`docs/wire.md`).
        let Some(slot) = self.remote_slot(channel) else {
            return;
        };
        let Some(session) = self.session_at(slot) else {
            return;
        };
        if matches!(session.state, SessionState::EndSent { .. }) {
            return;
        }
        let link = session.remote_handles.get(detach.handle as usize).copied().flatten();
        let Some(link) = link else { return };
        let Some(state) = self.links.at(link).map(|link| link.state) else {
            return;
        };
        match state {
            LinkState::DetachSent { .. } | LinkState::Gone => {}
            LinkState::AttachReceived => {
                // Detached before our owner answered: complete the pair first.
                let id = LinkId { slot: link, generation: self.links.generation(link) };
                if let Ok(answer) = self.answer(id, Attach::default()) {
                    self.send_attach(slot, answer);
                    self.answer_detach(slot, link, detach.closed);
                }
            }
            LinkState::AttachSent | LinkState::Attached => {
                self.answer_detach(slot, link, detach.closed);
            }
        }
        self.release_link(link, detach.closed, detach.error, Origin::Peer);
    }

    fn answer_detach(&mut self, session: u16, link: u32, closed: bool) {
        let Some(handle) = self.links.at(link).map(|link| link.local_handle) else {
            return;
        };
        self.send_detach(session, Detach { handle, closed, error: None });
    }

    /// The link is gone: frees its handles, forgets its sends, tells the owner unless it knows.
    pub(crate) fn release_link(
        &mut self,
        slot: u32,
        closed: bool,
        error: Option<AmqpError>,
        origin: Origin,
    ) {
        self.forget_sends(slot);
        let generation = self.links.generation(slot);
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        let reported =
            matches!(link.state, LinkState::DetachSent { reported: true } | LinkState::Gone);
        link.state = LinkState::Gone;
        let (session, local, remote) = (link.session, link.local_handle, link.remote_handle);
        // The session's slot may have another tenant by the time the owner lets these go.
        let held = link.held;
        self.drop_partial(slot);
        self.relieve(session, held);
        if let Some(session) = self.session_at(session) {
            if session.local_handles.get(local as usize) == Some(&Some(slot)) {
                session.set_local_handle(local, None);
            }
            if let Some(remote) = remote
                && session.remote_handles.get(remote as usize) == Some(&Some(slot))
            {
                session.set_remote_handle(remote, None);
            }
        }
        if !reported {
            let link = LinkId { slot, generation };
            self.push_event(Event::Detach { link, closed, error, origin });
        }
        self.sweep(slot);
    }

    /// Frees the slot of a link that is gone and has nothing left to give.
    pub(crate) fn sweep(&mut self, slot: u32) {
        if self.links.at(slot).is_some_and(Link::is_spent)
            && let Some(link) = self.links.remove(slot)
        {
            self.held -= link.held.min(self.held);
        }
    }

    pub(crate) fn handle_link_flow(&mut self, session: u16, handle: u32, flow: &Flow) {
        let Some(state) = self.session_at(session) else {
            return;
        };
        let Some(slot) = state.remote_handles.get(handle as usize).copied().flatten() else {
            // A flow that crosses our detach, or one for a link that never was: nothing to grant.
            return;
        };
        let generation = self.links.generation(slot);
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        if link.state == LinkState::AttachReceived && link.role == Role::Sender {
            // Credit that came right behind the attach is there when the link is accepted. Until
            // then nothing is answered.
            return link.handle_grant(flow);
        }
        if link.state != LinkState::Attached {
            return;
        }
        let id = LinkId { slot, generation };
        if link.role == Role::Sender {
            link.handle_grant(flow);
            let (credit, drain) = (link.credit, link.draining);
            if drain && credit == 0 {
                self.drained(id);
            } else {
                if drain {
                    self.push_event(Event::Drain { link: id });
                }
                if flow.echo {
                    self.send_link_flow(slot, false);
                }
            }
            if credit > 0 {
                self.touch(slot);
            }
        } else {
            let before = link.credit;
            let drained = link.handle_sender_flow(flow);
            if link.credit != before {
                self.touch(slot);
            }
            if flow.echo {
                self.send_link_flow(slot, false);
            }
            if drained {
                self.push_event(Event::Drained { link: id });
            }
        }
    }

    /// Receiver: grants the peer `credit` deliveries from now on, in place of what was left. Use
    /// [`drain`](Self::drain) to take credit back: deliveries that are on their way already would
    /// exceed a smaller one.
    pub fn set_credit(&mut self, id: LinkId, credit: u32) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        if link.role == Role::Receiver
            && matches!(link.state, LinkState::Attached | LinkState::AttachSent)
        {
            link.credit = credit;
            link.draining = false;
            self.send_link_flow(id.slot, false);
        }
    }

    /// Receiver: asks the peer to use up the credit it has; [`Event::Drained`] follows when it has.
    pub fn drain(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        if link.role == Role::Receiver && link.state == LinkState::Attached {
            link.draining = true;
            self.send_link_flow(id.slot, true);
        }
    }

    /// Sender: uses up the credit that is left without sending (AMQP 1.0, 2.6.7).
    pub fn drained(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        if link.role == Role::Sender && link.state == LinkState::Attached && link.draining {
            if link.unsent > 0 {
                // The flow must not overtake deliveries that it counts.
                link.drain_waits = true;
                let session = link.session;
                if let Some(session) = self.session_at(session) {
                    session.drain_waits = true;
                }
                return;
            }
            link.drain_waits = false;
            link.delivery_count = link.delivery_count.wrapping_add(link.credit);
            link.credit = 0;
            self.send_link_flow(id.slot, false);
            if let Some(link) = self.links.get_mut(id.slot, id.generation) {
                link.draining = false;
            }
        }
    }

    /// Answers the drains of a session that waited for its window.
    pub(crate) fn drain_waiting(&mut self, session: u16) {
        let Some(session) = self.session_at(session) else {
            return;
        };
        if !std::mem::take(&mut session.drain_waits) {
            return;
        }
        for slot in session.local_handles.clone().into_iter().flatten() {
            if self.links.at(slot).is_some_and(|link| link.drain_waits) {
                self.drained(LinkId { slot, generation: self.links.generation(slot) });
            }
        }
    }

    /// The name of a link, for people; `None` for one that is gone.
    pub fn link_name(&self, id: LinkId) -> Option<&str> {
        self.links.get(id.slot, id.generation).map(|link| link.name.as_str())
    }

    /// Credit of a link: what our sender may send, or what our receiver has granted and the peer
    /// has not used. 0 for a link that is gone.
    pub fn credit(&self, id: LinkId) -> u32 {
        match self.links.get(id.slot, id.generation) {
            Some(link) if link.state == LinkState::Attached => link.credit,
            _ => 0,
        }
    }
}

/// What our own attach says about a link.
fn apply_own(link: &mut Link, attach: &Attach) {
    match link.role {
        Role::Sender => link.delivery_count = attach.initial_delivery_count.unwrap_or(0),
        Role::Receiver => link.max_message_size = attach.max_message_size.unwrap_or(0),
    }
}

/// What the peer's attach says about a link. A sender without initial-delivery-count starts at 0
/// (`docs/wire.md`: seen on `$cbs`).
fn apply_peer(link: &mut Link, attach: &Attach) {
    match link.role {
        Role::Sender => link.max_message_size = attach.max_message_size.unwrap_or(0),
        Role::Receiver => link.delivery_count = attach.initial_delivery_count.unwrap_or(0),
    }
}
