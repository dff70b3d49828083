//! One end of one link: its state, credit, and what arrived on it.

use super::delivery::{Delivery, Partial};
use super::event::Outcome;
use super::serial;
use crate::codec::performative::{Flow, Role};

/// Where a link stands between attach and detach (AMQP 1.0, 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// We attached, the peer has not answered.
    AttachSent,
    /// The peer attached, our owner has not answered.
    AttachReceived,
    Attached,
    /// We detached. What still arrives is dropped until the peer's detach; `reported` when the
    /// owner has been told already, or does not want to know.
    DetachSent {
        reported: bool,
    },
    /// Gone; the slot lives until its owner has taken what arrived before.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Link {
    /// Slot of the session, which is our channel.
    pub(crate) session: u16,
    pub(crate) name: String,
    /// Our role: sender or receiver.
    pub(crate) role: Role,
    pub(crate) state: LinkState,
    pub(crate) local_handle: u32,
    pub(crate) remote_handle: Option<u32>,
    /// Deliveries begun on this link, modulo 2^32 (AMQP 1.0, 2.6.7).
    pub(crate) delivery_count: u32,
    /// Sender: what the peer granted and we have not used. Receiver: what we granted and the peer
    /// has not used.
    pub(crate) credit: u32,
    /// Sender: the peer asked us to drain. Receiver: we asked the peer.
    pub(crate) draining: bool,
    /// Sender: deliveries that are counted, but wait for the session window with their first frame.
    pub(crate) unsent: u32,
    /// Sender: it is drained as soon as what waits for the session window is out.
    pub(crate) drain_waits: bool,
    /// Sender: the peer's limit; receiver: ours. 0 is none.
    pub(crate) max_message_size: u64,
    pub(crate) inbox: Vec<Delivery>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) partial: Option<Partial>,
    /// Bytes of whole deliveries not yet let go.
    pub(crate) held: usize,
    pub(crate) touched: bool,
    /// A send was answered with `Full`.
    pub(crate) wants_room: bool,
}

impl Link {
    pub(crate) fn new(session: u16, name: String, role: Role, state: LinkState) -> Self {
        Self {
            session,
            name,
            role,
            state,
            local_handle: 0,
            remote_handle: None,
            delivery_count: 0,
            credit: 0,
            draining: false,
            unsent: 0,
            drain_waits: false,
            max_message_size: 0,
            inbox: Vec::new(),
            outcomes: Vec::new(),
            partial: None,
            held: 0,
            touched: false,
            wants_room: false,
        }
    }

    /// Whether a taken-out slot can go.
    pub(crate) fn is_spent(&self) -> bool {
        self.state == LinkState::Gone && self.inbox.is_empty() && self.outcomes.is_empty()
    }

    /// Counts one delivery begun by the peer; `false` when it had no credit for it.
    #[inline]
    pub(crate) fn take_credit(&mut self) -> bool {
        let Some(credit) = self.credit.checked_sub(1) else {
            return false;
        };
        self.credit = credit;
        self.delivery_count = self.delivery_count.wrapping_add(1);
        true
    }

    /// Sender: a flow of the receiver (AMQP 1.0, 2.6.7). Its view of the delivery count is missing
    /// when it has not seen our attach; then nothing of ours can be in flight.
    pub(crate) fn handle_grant(&mut self, flow: &Flow) {
        let Some(granted) = flow.link_credit else {
            return;
        };
        let base = flow.delivery_count.unwrap_or(self.delivery_count);
        self.credit = serial::left(base, granted, self.delivery_count);
        self.draining = flow.drain;
    }

    /// Receiver: a flow of the sender. A sender that drains advances its delivery count instead of
    /// sending; answers whether our drain is done.
    pub(crate) fn handle_sender_flow(&mut self, flow: &Flow) -> bool {
        let Some(count) = flow.delivery_count else {
            return false;
        };
        if let Some(skipped) = serial::ahead(self.delivery_count, count) {
            self.delivery_count = count;
            self.credit = self.credit.saturating_sub(skipped);
        }
        let done = self.draining && self.credit == 0;
        if done {
            self.draining = false;
        }
        done
    }
}
