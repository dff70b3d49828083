//! What a well-behaved peer never does, for brokers that test how others take it.

use bytes::Bytes;

use super::Connection;
use super::event::SendError;
use super::id::{LinkId, SessionId};
use super::session::SessionState;
use crate::codec::performative::Role;
use crate::codec::transfer;

impl Connection {
    /// Sender: acts as if the peer had granted `extra` more credit than it has. What is sent on it
    /// breaks AMQP 1.0, 2.6.7.
    pub fn assume_credit(&mut self, id: LinkId, extra: u32) {
        if let Some(link) = self.links.get_mut(id.slot, id.generation)
            && link.role == Role::Sender
        {
            link.credit = link.credit.saturating_add(extra);
            self.touch(id.slot);
        }
    }

    /// Sends the first half of a delivery, in one frame at most, and then aborts it (AMQP 1.0,
    /// 2.6.14) or never comes back to it. The next delivery on a link with one that is not
    /// finished breaks the protocol. It uses one credit.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was written then. [`SendError::Full`] also when the session window
    /// has no room for both frames at once.
    pub fn send_half(
        &mut self,
        id: LinkId,
        payload: &Bytes,
        aborted: bool,
    ) -> Result<(), SendError> {
        self.can_send(id, payload.len())?;
        let (fields, frame_size) = (self.fields(), self.frame_size());
        let link = self.links.get_mut(id.slot, id.generation).ok_or(SendError::Detached)?;
        let (slot, handle) = (link.session, link.local_handle);
        let session = self.sessions.get_mut(usize::from(slot)).and_then(Option::as_mut);
        let session = session.ok_or(SendError::Detached)?;
        if !session.blocked.is_empty() || session.remote_window < 2 {
            link.wants_room = true;
            self.wants_room = true;
            return Err(SendError::Full);
        }
        link.credit -= 1;
        link.delivery_count = link.delivery_count.wrapping_add(1);
        let delivery_id = session.next_delivery_id;
        session.next_delivery_id = delivery_id.wrapping_add(1);
        session.ring.push(None);
        let frames = 1 + u32::from(aborted);
        session.remote_window -= frames;
        session.next_outgoing_id = session.next_outgoing_id.wrapping_add(frames);
        let tag = delivery_id.to_be_bytes();
        let first = transfer::Head {
            handle,
            delivery_id: Some(delivery_id),
            tag: &tag,
            message_format: Some(0),
            settled: Some(true),
            more: true,
            aborted: false,
        };
        let room = frame_size.saturating_sub(transfer::head_len(&first, fields)).max(1);
        let half = payload.slice(..(payload.len() / 2).min(room));
        self.output.gather(|out| transfer::write_head(out, slot, &first, fields, half.len()));
        self.output.payload(half);
        if aborted {
            let last = transfer::Head { more: false, aborted: true, ..first };
            self.output.gather(|out| transfer::write_head(out, slot, &last, fields, 0));
        }
        Ok(())
    }

    /// Shuts the incoming window of a session, whatever room there is, or opens it again. The peer
    /// is told at once; what it sent before it knew is taken.
    pub fn shut_window(&mut self, id: SessionId, shut: bool) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        if session.state == SessionState::Mapped && session.shut != shut {
            session.shut = shut;
            self.send_session_flow(id.slot);
        }
    }
}
