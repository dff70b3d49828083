//! Begin, end and the session half of flow (AMQP 1.0, 2.5).

use super::event::{Event, Origin, SessionError};
use super::id::SessionId;
use super::options::SessionOptions;
use super::session::{Session, SessionState};
use super::{Connection, Phase};
use crate::codec::performative::{Begin, End, Flow, Role};
use crate::codec::{AmqpError, Symbol, condition};

impl Connection {
    /// Begins a session; [`Event::Begin`] tells when the peer has answered. Links may be attached to
    /// it at once, their frames are pipelined.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotOpen`] before our open or after a close,
    /// [`SessionError::NoChannel`] when every channel is taken.
    pub fn begin(&mut self, options: SessionOptions) -> Result<SessionId, SessionError> {
        if !self.open_sent || self.close_sent || self.phase == Phase::Closed {
            return Err(SessionError::NotOpen);
        }
        let slot = self.free_channel()?;
        let session = self.insert_session(slot, SessionState::BeginSent, options);
        self.send_begin(slot);
        Ok(session)
    }

    /// Answers a session that the peer began.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unknown`] when the id names no session that waits for an answer.
    pub fn accept_session(
        &mut self,
        id: SessionId,
        options: SessionOptions,
    ) -> Result<(), SessionError> {
        let session = self.session_mut(id).ok_or(SessionError::Unknown)?;
        if session.state != SessionState::BeginReceived {
            return Err(SessionError::Unknown);
        }
        let (channel, next_incoming_id, window, handle_max) = (
            session.remote_channel,
            session.next_incoming_id,
            session.remote_window,
            session.remote_handle_max,
        );
        let generation = session.generation;
        let handles = std::mem::take(&mut session.remote_handles);
        *session = Session {
            remote_channel: channel,
            next_incoming_id,
            remote_window: window,
            remote_handle_max: handle_max,
            remote_handles: handles,
            ..Session::new(generation, SessionState::Mapped, options)
        };
        self.send_begin(id.slot);
        Ok(())
    }

    /// Ends a session and with it its links; [`Event::End`] follows when the peer has answered.
    /// What still arrives on it is dropped. Does nothing for a session that is gone.
    pub fn end(&mut self, id: SessionId, error: Option<AmqpError>) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        match session.state {
            SessionState::EndSent { .. } => return,
            // An end needs a begin before it.
            SessionState::BeginReceived => {
                session.state = SessionState::Mapped;
                self.send_begin(id.slot);
            }
            SessionState::BeginSent | SessionState::Mapped => {}
        }
        self.send_end(id.slot, error, false);
        self.release_links(id.slot, None, Origin::Us);
    }

    fn send_end(&mut self, slot: u16, error: Option<AmqpError>, reported: bool) {
        let fields = self.fields();
        let end = End { error };
        self.trace_out(slot, &end);
        self.write_frame(slot, |out| end.encode(fields, out));
        if let Some(session) = self.session_at(slot) {
            session.state = SessionState::EndSent { reported };
            session.blocked.clear();
        }
    }

    /// Ends a session because the peer broke a rule of it.
    pub(crate) fn fail_session(&mut self, slot: u16, condition: Symbol, text: impl Into<String>) {
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let id = SessionId { slot, generation: session.generation };
        match session.state {
            SessionState::EndSent { .. } => return,
            SessionState::BeginReceived => {
                session.state = SessionState::Mapped;
                self.send_begin(slot);
            }
            SessionState::BeginSent | SessionState::Mapped => {}
        }
        let error = AmqpError::new(condition, text);
        self.send_end(slot, Some(error.clone()), true);
        self.release_links(slot, Some(&error), Origin::Us);
        self.push_event(Event::End { session: id, error: Some(error), origin: Origin::Us });
    }

    fn send_begin(&mut self, slot: u16) {
        let fields = self.fields();
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let begin = Begin {
            remote_channel: session.remote_channel,
            next_outgoing_id: session.next_outgoing_id,
            incoming_window: session.incoming_window,
            outgoing_window: session.options.outgoing_window,
            handle_max: session.options.handle_max,
            ..Begin::default()
        };
        self.trace_out(slot, &begin);
        self.write_frame(slot, |out| begin.encode(fields, out));
    }

    pub(crate) fn handle_begin(&mut self, channel: u16, begin: Box<Begin>) {
        if channel > self.options.channel_max {
            let text = format!("channel {channel} is above channel-max");
            return self.violate(condition::FRAMING_ERROR, text);
        }
        if let Some(slot) = self.remote_slot(channel) {
            let text = format!("channel {channel} is already in use");
            return self.fail_session(slot, condition::ILLEGAL_STATE, text);
        }
        match begin.remote_channel {
            Some(ours) => self.handle_begin_answer(channel, ours, begin),
            None => self.handle_incoming_begin(channel, begin),
        }
    }

    fn handle_begin_answer(&mut self, channel: u16, ours: u16, begin: Box<Begin>) {
        let Some(session) = self.session_at(ours) else {
            let text = format!("a begin answers channel {ours}, which has none");
            return self.violate(condition::NOT_FOUND, text);
        };
        if session.remote_channel.is_some() {
            let text = format!("a second begin answers channel {ours}");
            return self.violate(condition::ILLEGAL_STATE, text);
        }
        session.handle_begin(channel, &begin);
        let id = SessionId { slot: ours, generation: session.generation };
        let ended = matches!(session.state, SessionState::EndSent { .. });
        if !ended {
            session.state = SessionState::Mapped;
        }
        self.set_remote_channel(channel, Some(ours));
        if !ended {
            self.push_event(Event::Begin { session: id, begin, incoming: false });
        }
    }

    fn handle_incoming_begin(&mut self, channel: u16, begin: Box<Begin>) {
        let Ok(slot) = self.free_channel() else {
            let text = "every channel is taken";
            return self.violate(condition::RESOURCE_LIMIT_EXCEEDED, text);
        };
        let options = SessionOptions::default();
        let id = self.insert_session(slot, SessionState::BeginReceived, options);
        if let Some(session) = self.session_at(slot) {
            session.handle_begin(channel, &begin);
        }
        self.set_remote_channel(channel, Some(slot));
        self.push_event(Event::Begin { session: id, begin, incoming: true });
    }

    pub(crate) fn handle_end(&mut self, channel: u16, error: Option<AmqpError>) {
        // An end on a channel that has ended is tolerated (`docs/wire.md`).
        let Some(slot) = self.remote_slot(channel) else {
            return;
        };
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let id = SessionId { slot, generation: session.generation };
        let reported = match session.state {
            SessionState::EndSent { reported } => reported,
            SessionState::BeginReceived => {
                session.state = SessionState::Mapped;
                self.send_begin(slot);
                self.send_end(slot, None, false);
                false
            }
            SessionState::BeginSent | SessionState::Mapped => {
                self.send_end(slot, None, false);
                false
            }
        };
        self.release_links(slot, error.as_ref(), Origin::Peer);
        self.set_remote_channel(channel, None);
        self.sessions[usize::from(slot)] = None;
        if !reported {
            self.push_event(Event::End { session: id, error, origin: Origin::Peer });
        }
    }

    /// Reports every link of a session as detached and frees its handles.
    fn release_links(&mut self, slot: u16, error: Option<&AmqpError>, origin: Origin) {
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let local = std::mem::take(&mut session.local_handles);
        let remote = std::mem::take(&mut session.remote_handles);
        session.blocked.clear();
        let mut links: Vec<u32> = local.into_iter().chain(remote).flatten().collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            self.release_link(link, false, error.cloned(), origin);
        }
    }

    pub(crate) fn handle_flow(&mut self, channel: u16, flow: &Flow) {
        let Some(slot) = self.remote_slot(channel) else {
            return;
        };
        let Some(session) = self.session_at(slot) else {
            return;
        };
        if matches!(session.state, SessionState::EndSent { .. }) {
            return;
        }
        session.handle_flow(flow);
        // Nothing can be answered before our begin.
        let answers = session.state != SessionState::BeginReceived;
        match flow.handle {
            Some(handle) => self.handle_link_flow(slot, handle, flow),
            None if flow.echo && answers => self.send_session_flow(slot),
            None => {}
        }
        self.transmit_blocked(slot);
    }

    pub(crate) fn send_session_flow(&mut self, slot: u16) {
        let (fields, soft) = (self.fields(), self.options.limits.session_bytes_soft);
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let flow = session.flow(soft);
        self.trace_out(slot, &flow);
        self.write_frame(slot, |out| flow.encode(fields, out));
    }

    /// A flow about a link. The sender says what it has sent, the receiver what it grants.
    pub(crate) fn send_link_flow(&mut self, slot: u32, echo: bool) {
        let (fields, soft) = (self.fields(), self.options.limits.session_bytes_soft);
        let Some(link) = self.links.at(slot) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(usize::from(link.session)) else {
            return;
        };
        let Some(session) = session.as_mut() else {
            return;
        };
        // A receiver that has not seen the sender's attach does not know its count.
        let known = link.role == Role::Sender || link.remote_handle.is_some();
        let flow = Flow {
            handle: Some(link.local_handle),
            delivery_count: known.then_some(link.delivery_count.wrapping_sub(link.unsent)),
            link_credit: Some(link.credit.saturating_add(link.unsent)),
            available: (link.role == Role::Sender).then_some(0),
            drain: link.draining,
            echo,
            ..session.flow(soft)
        };
        let channel = link.session;
        self.trace_out(channel, &flow);
        self.write_frame(channel, |out| flow.encode(fields, out));
    }

    fn free_channel(&self) -> Result<u16, SessionError> {
        let theirs = self.remote_open.as_ref().map_or(u16::MAX, |open| open.channel_max);
        let max = self.options.channel_max.min(theirs);
        let free = self.sessions.iter().position(Option::is_none).unwrap_or(self.sessions.len());
        match u16::try_from(free) {
            Ok(slot) if slot <= max => Ok(slot),
            _ => Err(SessionError::NoChannel(max)),
        }
    }

    fn insert_session(
        &mut self,
        slot: u16,
        state: SessionState,
        options: SessionOptions,
    ) -> SessionId {
        self.session_generation = self.session_generation.wrapping_add(1);
        let generation = self.session_generation;
        let index = usize::from(slot);
        if index >= self.sessions.len() {
            self.sessions.resize_with(index + 1, || None);
        }
        self.sessions[index] = Some(Session::new(generation, state, options));
        SessionId { slot, generation }
    }

    fn set_remote_channel(&mut self, channel: u16, slot: Option<u16>) {
        let index = usize::from(channel);
        if index >= self.remote_channels.len() {
            self.remote_channels.resize(index + 1, None);
        }
        self.remote_channels[index] = slot;
    }

    #[inline]
    pub(crate) fn remote_slot(&self, channel: u16) -> Option<u16> {
        self.remote_channels.get(usize::from(channel)).copied().flatten()
    }

    #[inline]
    pub(crate) fn session_at(&mut self, slot: u16) -> Option<&mut Session> {
        self.sessions.get_mut(usize::from(slot))?.as_mut()
    }

    pub(crate) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.session_at(id.slot).filter(|session| session.generation == id.generation)
    }
}
