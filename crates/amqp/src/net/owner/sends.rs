//! The sending half of the owner: what is queued goes out, what comes of it comes back.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::{DETACH_TIMEOUT, Entry, Owner, Phase};
use crate::codec::DeliveryState;
use crate::engine::{Connection, LinkId, Outgoing, SendError, later};
use crate::net::SendFailure;
use crate::net::deadline::Due;
use crate::net::error::LinkClosed;
use crate::net::inbox::lock;
use crate::net::sender::{SendLink, SendState};

impl Owner {
    pub(super) fn start_sending(&mut self, id: LinkId, link: Arc<SendLink>) {
        let _ = link.id.set(id);
        // What was queued before the link had its id was marked in vain.
        lock(&link.state).dirty = true;
        self.inbox.sender(Arc::clone(&link));
        if let Some(entry) = self.entry(id) {
            entry.phase = Phase::Sending(link);
        }
    }

    /// Writes what a sender has queued, as credit and room allow.
    pub(super) fn pump(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<SendLink>,
    ) {
        if !matches!(self.entry(id), Some(Entry { phase: Phase::Sending(_), .. })) {
            return;
        }
        let mut state = lock(&link.state);
        state.dirty = false;
        if state.ring.stamp(later(now, link.send_timeout)) {
            state.active = now;
        }
        while let Some((number, size)) = state.ring.next_queued() {
            match engine.can_send(id, size) {
                Ok(()) => {}
                Err(SendError::TooLarge { size, limit }) => {
                    let failure = SendFailure::TooLarge { size, limit };
                    self.wakers.extend(state.ring.complete(number, Err(failure)));
                    continue;
                }
                Err(SendError::NoCredit | SendError::Full | SendError::Detached) => break,
            }
            let Some((payload, message_format)) = state.ring.take_payload(number) else { break };
            let settled = link.settled;
            let outgoing = Outgoing { payload, message_format, settled, token: number };
            let Ok(delivery_id) = engine.send(id, outgoing) else { break };
            state.ring.mark_sent(number, delivery_id);
            if settled {
                // Fire and forget is what was asked for: written is as good as it gets.
                let done = Ok(DeliveryState::Accepted);
                self.wakers.extend(state.ring.complete(number, done));
            }
        }
        self.settle_sender(engine, now, id, link, state);
    }

    /// What follows from a sender's ring after every change: room, its deadline, leaving.
    pub(super) fn settle_sender(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<SendLink>,
        mut state: std::sync::MutexGuard<'_, SendState>,
    ) {
        if link.has_room(&state) {
            // One at a time: whoever had the turn passes it on.
            self.wakers.extend(state.room.first().cloned());
        }
        if !state.armed
            && let Some(deadline) = state.ring.deadline()
        {
            state.armed = true;
            self.deadlines.add(deadline, Due::Sends(id));
        }
        if !state.leaving || state.left || state.ring.pending() > 0 {
            return;
        }
        if engine.is_blocked(id) {
            // Settled sends count as done, but a detach must not overtake them.
            if !state.lingers {
                state.lingers = true;
                self.deadlines.add(later(now, link.send_timeout), Due::Detach(id));
            }
        } else {
            state.left = true;
            engine.detach(id, true, None);
            self.deadlines.add(now + DETACH_TIMEOUT, Due::Detach(id));
        }
    }

    pub(super) fn handle_outcomes(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
        link: &Arc<SendLink>,
    ) {
        engine.outcomes(id, &mut self.outcomes);
        if !self.outcomes.is_empty() {
            let mut state = lock(&link.state);
            state.active = now;
            for outcome in self.outcomes.drain(..) {
                if !outcome.settled {
                    let settled = outcome.state.clone().unwrap_or(DeliveryState::Accepted);
                    engine.settle(id, outcome.delivery_id, outcome.delivery_id, settled, true);
                }
                // Settled without a state means that the receiver forgot it: nothing is known.
                let result = match outcome.state {
                    Some(state) => Ok(state),
                    None => Err(SendFailure::Unknown(LinkClosed::Remote(None))),
                };
                self.wakers.extend(state.ring.complete(outcome.token, result));
            }
        }
        self.pump(engine, now, id, link);
    }

    pub(super) fn handle_sends_overdue(
        &mut self,
        engine: &mut Connection,
        now: Instant,
        id: LinkId,
    ) {
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
                SendFailure::NotSentInTime(timeout)
            } else {
                SendFailure::UnknownInTime(timeout)
            };
            self.wakers.extend(state.ring.complete(late.number, Err(failure)));
        }
        self.overdue = overdue;
        self.settle_sender(engine, now, id, &link, state);
    }
}

pub(super) fn close_sender(link: &SendLink, closed: &LinkClosed, wakers: &mut Vec<Waker>) {
    let mut state = lock(&link.state);
    state.closed.get_or_insert_with(|| closed.clone());
    state.ring.fail_all(closed, wakers);
    wakers.extend(state.room.drain());
    wakers.append(&mut state.ending);
}
