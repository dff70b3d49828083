//! Our transfers: cut into frames, sent as windows allow, and what became of them.

use bytes::Bytes;

use super::Connection;
use super::blocked::Blocked;
use super::event::{Outcome, SendError};
use super::id::LinkId;
use super::link::LinkState;
use super::ring::Unsettled;
use super::session::SessionState;
use crate::codec::performative::{Disposition, Role};
use crate::codec::{DeliveryState, transfer};

/// One delivery to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The encoded message, contiguous. Large ones are shared with the write queue, not copied.
    pub payload: Bytes,
    /// The message format (AMQP 1.0, 2.8.11).
    pub message_format: u32,
    /// Whether it is settled from the start; then there is no outcome.
    pub settled: bool,
    /// The owner's name for it, handed back in [`Outcome::token`].
    pub token: u64,
}

impl Connection {
    /// Sends a delivery; its tag is its delivery id. It uses one credit. Frames that the session
    /// window does not take now follow by themselves.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing was written then.
    pub fn send(&mut self, id: LinkId, outgoing: Outgoing) -> Result<u32, SendError> {
        self.can_send(id, outgoing.payload.len())?;
        let link = self.links.get_mut(id.slot, id.generation).ok_or(SendError::Detached)?;
        let session_slot = link.session;
        let session = self.sessions.get_mut(usize::from(session_slot)).and_then(Option::as_mut);
        let session = session.ok_or(SendError::Detached)?;
        link.credit -= 1;
        link.delivery_count = link.delivery_count.wrapping_add(1);
        let delivery_id = session.next_delivery_id;
        session.next_delivery_id = delivery_id.wrapping_add(1);
        let unsettled = Unsettled { link: id.slot, token: outgoing.token, reported: false };
        session.ring.push((!outgoing.settled).then_some(unsettled));
        let blocked = Blocked {
            link: (id.slot, id.generation),
            id: delivery_id,
            message_format: outgoing.message_format,
            settled: outgoing.settled,
            rest: outgoing.payload,
            begun: false,
            aborted: false,
        };
        let waits = !session.blocked.is_empty();
        let rest = if waits { Some(blocked) } else { self.transmit(session_slot, blocked) };
        if let Some(rest) = rest {
            if !rest.begun
                && let Some(link) = self.links.at_mut(id.slot)
            {
                link.unsent += 1;
            }
            if let Some(session) = self.session_at(session_slot) {
                session.blocked.push_back(rest);
            }
        }
        Ok(delivery_id)
    }

    /// Whether [`send`](Self::send) would take a message of `size` bytes now. A link that is told
    /// [`SendError::Full`] is touched when there is room.
    ///
    /// # Errors
    ///
    /// What `send` would answer.
    #[inline]
    pub fn can_send(&mut self, id: LinkId, size: usize) -> Result<(), SendError> {
        if self.is_closing() {
            return Err(SendError::Detached);
        }
        let link = self.links.get_mut(id.slot, id.generation).ok_or(SendError::Detached)?;
        if link.state != LinkState::Attached || link.role != Role::Sender {
            return Err(SendError::Detached);
        }
        let limit = link.max_message_size;
        if limit != 0 && size as u64 > limit && !self.options.exceed_peer_message_size {
            return Err(SendError::TooLarge { size, limit });
        }
        if link.credit == 0 {
            return Err(SendError::NoCredit);
        }
        let session = self.sessions.get(usize::from(link.session)).and_then(Option::as_ref);
        let session = session.ok_or(SendError::Detached)?;
        if session.state != SessionState::Mapped {
            return Err(SendError::Detached);
        }
        let waiting = self.output.len() + session.blocked.bytes();
        if waiting > self.options.limits.output_bytes_max {
            link.wants_room = true;
            self.wants_room = true;
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Writes as many frames of a delivery as the window takes; gives back what is left of it.
    #[inline]
    fn transmit(&mut self, slot: u16, mut delivery: Blocked) -> Option<Blocked> {
        let (fields, frame_size) = (self.fields(), self.frame_size());
        let link = self.links.get(delivery.link.0, delivery.link.1)?;
        let handle = link.local_handle;
        let tag = delivery.id.to_be_bytes();
        loop {
            let session = self.sessions.get_mut(usize::from(slot)).and_then(Option::as_mut)?;
            if session.remote_window == 0 {
                return Some(delivery);
            }
            session.remote_window -= 1;
            session.next_outgoing_id = session.next_outgoing_id.wrapping_add(1);
            let first = !delivery.begun;
            let mut head = transfer::Head {
                handle,
                delivery_id: first.then_some(delivery.id),
                tag: if first { &tag[..] } else { &[] },
                message_format: first.then_some(delivery.message_format),
                settled: Some(delivery.settled),
                more: false,
                aborted: delivery.aborted,
            };
            let room = frame_size.saturating_sub(transfer::head_len(&head, fields)).max(1);
            let part = if delivery.rest.len() > room {
                head.more = true;
                delivery.rest.split_to(room)
            } else {
                std::mem::take(&mut delivery.rest)
            };
            self.output.gather(|out| transfer::write_head(out, slot, &head, fields, part.len()));
            self.output.payload(part);
            delivery.begun = true;
            if !head.more {
                return None;
            }
        }
    }

    /// Writes what waited for the session window.
    pub(crate) fn transmit_blocked(&mut self, slot: u16) {
        let mut moved = false;
        loop {
            let Some(session) = self.session_at(slot) else { return };
            if session.remote_window == 0 {
                break;
            }
            let Some(delivery) = session.blocked.pop_front() else { break };
            moved = true;
            if !delivery.begun
                && let Some(link) = self.links.get_mut(delivery.link.0, delivery.link.1)
            {
                link.unsent = link.unsent.saturating_sub(1);
            }
            if let Some(rest) = self.transmit(slot, delivery)
                && let Some(session) = self.session_at(slot)
            {
                session.blocked.push_front(rest);
            }
        }
        if moved {
            self.drain_waiting(slot);
            self.offer_room();
        }
    }

    /// Whether frames of a sending link wait for the session window. If so, the link is touched
    /// when some have left.
    pub fn is_blocked(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return false;
        };
        let session = self.sessions.get(usize::from(link.session)).and_then(Option::as_ref);
        let blocked = session.is_some_and(|s| s.blocked.holds((id.slot, id.generation)));
        if blocked {
            link.wants_room = true;
            self.wants_room = true;
        }
        blocked
    }

    /// Gives a delivery up: there will be no outcome of it. If frames of it still wait for the
    /// session window, the peer is told instead that it was aborted (AMQP 1.0, 2.6.14). Answers
    /// whether that was so; otherwise all of it is on its way.
    pub fn abort(&mut self, id: LinkId, delivery_id: u32) -> bool {
        let Some(link) = self.links.get(id.slot, id.generation) else {
            return false;
        };
        let slot = link.session;
        let Some(session) = self.session_at(slot) else {
            return false;
        };
        // A peer that never settles it must not keep the ring from moving on.
        session.ring.visit(delivery_id, delivery_id, |_, unsettled| unsettled.link == id.slot);
        session.blocked.abort((id.slot, id.generation), delivery_id)
    }

    /// Moves the outcomes of a sending link into `outcomes`, in the order the peer named them.
    pub fn outcomes(&mut self, id: LinkId, outcomes: &mut Vec<Outcome>) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        if outcomes.is_empty() {
            std::mem::swap(outcomes, &mut link.outcomes);
        } else {
            outcomes.append(&mut link.outcomes);
        }
        self.sweep(id.slot);
    }

    /// A disposition about our deliveries. One about the peer's own needs no bookkeeping, as we
    /// keep no unsettled map (the service does not support resuming one).
    pub(crate) fn handle_disposition(&mut self, channel: u16, disposition: &Disposition) {
        if disposition.role != Role::Receiver {
            return;
        }
        let Some(slot) = self.remote_slot(channel) else {
            return;
        };
        let Self { sessions, links, touched, .. } = self;
        let Some(session) = sessions.get_mut(usize::from(slot)).and_then(Option::as_mut) else {
            return;
        };
        let last = disposition.last.unwrap_or(disposition.first);
        let terminal = is_terminal(disposition.state.as_ref());
        session.ring.visit(disposition.first, last, |delivery_id, unsettled| {
            let generation = links.generation(unsettled.link);
            let Some(link) = links.at_mut(unsettled.link) else {
                return true;
            };
            if disposition.settled || (terminal && !unsettled.reported) {
                unsettled.reported = true;
                link.outcomes.push(Outcome {
                    token: unsettled.token,
                    delivery_id,
                    state: disposition.state.clone(),
                    settled: disposition.settled,
                });
                if !link.touched {
                    link.touched = true;
                    touched.push(LinkId { slot: unsettled.link, generation });
                }
            }
            disposition.settled
        });
    }

    /// Nothing more will be heard of this link's deliveries.
    pub(crate) fn forget_sends(&mut self, slot: u32) {
        let Some(link) = self.links.at(slot) else {
            return;
        };
        if link.role != Role::Sender {
            return;
        }
        let session = link.session;
        if let Some(session) = self.session_at(session) {
            session.blocked.forget(slot);
            session.ring.forget(slot);
        }
    }
}

/// Whether a state says how the delivery ended (AMQP 1.0, 3.4).
fn is_terminal(state: Option<&DeliveryState>) -> bool {
    !matches!(state, None | Some(DeliveryState::Received { .. }))
}
