//! Transfers of the peer: windows, credit, frames joined to deliveries (AMQP 1.0, 2.6.12-2.6.14).

use bytes::Bytes;

use super::Connection;
use super::delivery::{Delivery, Partial};
use super::id::LinkId;
use super::link::LinkState;
use super::session::SessionState;
use crate::codec::performative::{Disposition, Role};
use crate::codec::{DeliveryState, condition, transfer};

impl Connection {
    /// Moves what has arrived on a link into `deliveries`, in order. They count against the limits
    /// until they are reported as [`consumed`](Self::consumed).
    pub fn deliveries(&mut self, id: LinkId, deliveries: &mut Vec<Delivery>) {
        let Some(link) = self.links.get_mut(id.slot, id.generation) else {
            return;
        };
        if deliveries.is_empty() {
            std::mem::swap(deliveries, &mut link.inbox);
        } else {
            deliveries.append(&mut link.inbox);
        }
        self.sweep(id.slot);
    }

    /// The owner has let deliveries of `bytes` ([`Delivery::held_bytes`]) go. Opens the session
    /// window again if memory had shut it.
    pub fn consumed(&mut self, id: LinkId, bytes: usize) {
        if self.links.get(id.slot, id.generation).is_some() {
            self.let_go(id.slot, bytes);
        }
    }

    pub(crate) fn let_go(&mut self, slot: u32, bytes: usize) {
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        let bytes = bytes.min(link.held);
        link.held -= bytes;
        self.held -= bytes.min(self.held);
        if link.state != LinkState::Gone {
            let session = link.session;
            self.relieve(session, bytes);
        }
    }

    /// Bytes that a session no longer answers for; its window opens if they had shut it.
    pub(crate) fn relieve(&mut self, slot: u16, bytes: usize) {
        let soft = self.options.limits.session_bytes_soft;
        let Some(session) = self.session_at(slot) else {
            return;
        };
        let was_full = session.held >= soft;
        session.held -= bytes.min(session.held);
        if was_full && session.state == SessionState::Mapped && session.window_is_due(soft) {
            self.send_session_flow(slot);
        }
    }

    /// Forgets a delivery that will not be completed.
    pub(crate) fn drop_partial(&mut self, slot: u32) {
        if let Some(partial) = self.links.at_mut(slot).and_then(|link| link.partial.take()) {
            self.held -= partial.held_bytes().min(self.held);
        }
    }

    /// Tells the peer what became of its deliveries `first..=last` of this link's session
    /// (AMQP 1.0, 2.7.6), or, on a sending link, settles what the peer has left unsettled.
    pub fn settle(
        &mut self,
        id: LinkId,
        first: u32,
        last: u32,
        state: DeliveryState,
        settled: bool,
    ) {
        let fields = self.fields();
        let Some(link) = self.links.get(id.slot, id.generation) else {
            return;
        };
        if link.state != LinkState::Attached {
            return;
        }
        let (channel, role) = (link.session, link.role);
        if role == Role::Sender
            && settled
            && let Some(session) = self.session_at(channel)
        {
            session.ring.visit(first, last, |_, unsettled| unsettled.link == id.slot);
        }
        let disposition = Disposition {
            role,
            first,
            last: (last != first).then_some(last),
            settled,
            state: Some(state),
            batchable: false,
        };
        self.trace_out(channel, &disposition);
        self.write_frame(channel, |out| disposition.encode(fields, out));
    }

    /// One transfer frame, `whole[start..end]`, whose body begins `body` bytes into it.
    #[inline]
    pub(crate) fn handle_transfer(
        &mut self,
        channel: u16,
        whole: &Bytes,
        start: usize,
        end: usize,
        body: usize,
    ) {
        let Some(frame) = whole.get(start..end) else {
            return;
        };
        let view = match transfer::decode(frame, body) {
            Ok(view) => view,
            Err(error) => return self.violate_decoding(&error),
        };
        if self.close_sent {
            return;
        }
        // Frames on a channel that has ended are tolerated (`docs/wire.md`).
        let Some(channel_slot) = self.remote_slot(channel) else {
            return;
        };
        let soft = self.options.limits.session_bytes_soft;
        let Some(session) = self.session_at(channel_slot) else {
            return;
        };
        if session.state != SessionState::Mapped {
            return;
        }
        if !session.take_incoming() {
            let text = "a transfer beyond the incoming window";
            return self.fail_session(channel_slot, condition::WINDOW_VIOLATION, text);
        }
        let window_is_due = session.window_is_due(soft);
        let link = session.remote_handles.get(view.handle as usize).copied().flatten();
        let Some(link) = link else {
            let text = format!("a transfer on handle {}, which has no link", view.handle);
            return self.fail_session(channel_slot, condition::UNATTACHED_HANDLE, text);
        };
        self.handle_link_transfer(link, whole.slice(start..end), &view);
        if window_is_due {
            self.send_session_flow(channel_slot);
        }
    }

    #[inline]
    fn handle_link_transfer(&mut self, slot: u32, frame: Bytes, view: &transfer::View) {
        self.trace_transfer(view, &frame);
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        if !matches!(link.state, LinkState::Attached | LinkState::AttachReceived) {
            return;
        }
        if link.role != Role::Receiver {
            let text = "a transfer on a link on which this end is the sender";
            return self.fail_link(slot, condition::NOT_ALLOWED, text);
        }
        if link.partial.is_some() {
            return self.handle_continuation(slot, &frame, view);
        }
        let Some(id) = view.delivery_id else {
            let text = "the first transfer of a delivery has no delivery-id";
            return self.fail_link(slot, condition::INVALID_FIELD, text);
        };
        if !link.take_credit() {
            let text = "a transfer without link credit";
            return self.fail_link(slot, condition::TRANSFER_LIMIT_EXCEEDED, text);
        }
        if view.aborted {
            // It has used up credit, which is all that its receiver needs to know.
            return self.touch(slot);
        }
        if view.more {
            let partial = Partial::new(&frame, view, id);
            self.held += partial.held_bytes();
            link.partial = Some(partial);
            return self.handle_continuation(slot, &frame, view);
        }
        let size = frame.len().saturating_sub(view.payload as usize) as u64;
        if link.max_message_size != 0 && size > link.max_message_size {
            return self.fail_oversize(slot, id, size);
        }
        let delivery = Delivery::of_frame(frame, view, id);
        self.deliver(slot, delivery);
    }

    /// A further frame of the delivery that is under way.
    fn handle_continuation(&mut self, slot: u32, frame: &[u8], view: &transfer::View) {
        let limits = self.options.limits;
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        let Some(partial) = link.partial.as_mut() else {
            return;
        };
        if view.delivery_id.is_some_and(|id| id != partial.id) {
            let text = format!("delivery {} is not complete", partial.id);
            return self.fail_link(slot, condition::INVALID_FIELD, text);
        }
        if view.aborted {
            self.drop_partial(slot);
            return self.touch(slot);
        }
        let before = partial.held_bytes();
        let (id, size) = (partial.id, partial.push(frame, view) as u64);
        self.held += partial.held_bytes() - before;
        let (max, held) = (link.max_message_size, link.held + partial.held_bytes());
        if max != 0 && size > max {
            return self.fail_oversize(slot, id, size);
        }
        if held > limits.link_bytes_max || self.held > limits.connection_bytes_max {
            return self.fail_memory(slot);
        }
        if !view.more
            && let Some(partial) = link.partial.take()
        {
            self.held -= partial.held_bytes();
            self.deliver(slot, partial.finish());
        }
    }

    /// A whole delivery for the owner.
    #[inline]
    fn deliver(&mut self, slot: u32, delivery: Delivery) {
        let limits = self.options.limits;
        let Some(link) = self.links.at_mut(slot) else {
            return;
        };
        let bytes = delivery.held_bytes();
        let (held, all) = (link.held + bytes, self.held + bytes);
        if held > limits.link_bytes_max || all > limits.connection_bytes_max {
            return self.fail_memory(slot);
        }
        link.held = held;
        self.held = all;
        link.inbox.push(delivery);
        let (first, session) = (!link.touched, link.session);
        if let Some(session) = self.session_at(session) {
            session.held += bytes;
        }
        if first {
            self.touch(slot);
        }
    }

    fn fail_oversize(&mut self, slot: u32, id: u32, size: u64) {
        let limit = self.links.at(slot).map_or(0, |link| link.max_message_size);
        let text = format!(
            "The received message (delivery-id:{id}, size:{size} bytes) exceeds the limit \
             ({limit} bytes) currently allowed on the link."
        );
        self.fail_link(slot, condition::MESSAGE_SIZE_EXCEEDED, text);
    }

    fn fail_memory(&mut self, slot: u32) {
        let text = "more bytes wait on this link than it may hold";
        self.fail_link(slot, condition::RESOURCE_LIMIT_EXCEEDED, text);
    }

    #[cfg(feature = "wire-trace")]
    fn trace_transfer(&self, view: &transfer::View, frame: &Bytes) {
        self.trace_in(0, view, frame.len().saturating_sub(view.payload as usize));
    }

    #[cfg(not(feature = "wire-trace"))]
    #[inline(always)]
    fn trace_transfer(&self, _view: &transfer::View, _frame: &Bytes) {}
}
