//! The receiving half of the owner: deliveries go to their links, credit comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::{DETACH_TIMEOUT, Entry, Owner, Phase, Receiving};
use crate::codec::DeliveryState;
use crate::engine::{Connection, LinkId};
use crate::net::credit::{self, Budget};
use crate::net::deadline::Due;
use crate::net::error::LinkClosed;
use crate::net::inbox::lock;
use crate::net::receiver::{ReceiveLink, Settlement};

impl Owner {
    pub(super) fn start_receiving(
        &mut self,
        engine: &mut Connection,
        id: LinkId,
        link: Arc<ReceiveLink>,
    ) {
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

    pub(super) fn handle_deliveries(&mut self, engine: &mut Connection, now: Instant, id: LinkId) {
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
                // An aborted delivery or a drain of the peer's own has used credit up.
                drop(state);
                return grant(engine, id, receiving);
            }
            state.starving = is_starving(engine, id, &receiving.link);
            state.arrived = now;
            receiving.waiting += u32::try_from(count).unwrap_or(u32::MAX);
            receiving.largest = largest.max(receiving.largest - receiving.largest / 8);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells the peer what receivers have handed out and would only have reported later.
    pub(super) fn settle_handed_out(&mut self, engine: &mut Connection) {
        for entry in self.links.iter().flatten() {
            let Phase::Receiving(Receiving { link, .. }) = &entry.phase else {
                continue;
            };
            settle(engine, entry.id, std::mem::take(&mut lock(&link.state).settlements));
            if let Some((first, last)) = link.accepted.take() {
                let (state, settled) = (DeliveryState::Accepted, !link.settled_by_peer);
                engine.settle(entry.id, first, last, state, settled);
            }
        }
    }

    /// A receiver has consumed, settled or left.
    pub(super) fn handle_consumption(
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
        settle(engine, id, settlements);
        engine.consumed(id, bytes);
        let Some(Entry { phase: Phase::Receiving(receiving), .. }) = self.entry(id) else {
            return;
        };
        receiving.waiting = receiving.waiting.saturating_sub(taken);
        receiving.waiting_bytes = receiving.waiting_bytes.saturating_sub(bytes);
        if leaving {
            engine.detach(id, true, None);
            self.deadlines.add(now + DETACH_TIMEOUT, Due::Detach(id));
        } else {
            grant(engine, id, receiving);
            let mut state = lock(&link.state);
            state.starving = is_starving(engine, id, link);
            if state.starving {
                // It may have gone to sleep with some consumption not reported.
                self.wakers.extend(state.waker.take());
            }
        }
    }
}

fn settle(engine: &mut Connection, id: LinkId, settlements: Vec<Settlement>) {
    for Settlement { first, last, state, settled } in settlements {
        engine.settle(id, first, last, state, settled);
    }
}

/// Whether less credit is left than the receiver reports at a time. The budget of bytes may have
/// made it so; then nobody would ever return more.
fn is_starving(engine: &Connection, id: LinkId, link: &ReceiveLink) -> bool {
    note_credit(engine, id, link) < credit::step(link.prefetch)
}

/// The credit the peer has; the receiver may ask for it too.
fn note_credit(engine: &Connection, id: LinkId, link: &ReceiveLink) -> u32 {
    let credit = engine.credit(id);
    link.credit.store(credit, Ordering::Relaxed);
    credit
}

/// Grants what the receiver's budget allows beyond what the peer still has.
pub(super) fn grant(engine: &mut Connection, id: LinkId, receiving: &mut Receiving) {
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
    note_credit(engine, id, &receiving.link);
}

pub(super) fn close_receiver(link: &ReceiveLink, closed: &LinkClosed, wakers: &mut Vec<Waker>) {
    let mut state = lock(&link.state);
    state.closed.get_or_insert_with(|| closed.clone());
    link.gone.store(true, Ordering::Release);
    wakers.extend(state.waker.take());
}
