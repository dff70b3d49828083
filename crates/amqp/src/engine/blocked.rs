//! Deliveries whose frames wait for the session window.

use std::collections::VecDeque;

use bytes::Bytes;

/// A delivery whose frames wait, or of which some do.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// Slot and generation of the link.
    pub(crate) link: (u32, u32),
    pub(crate) id: u32,
    pub(crate) message_format: u32,
    pub(crate) settled: bool,
    /// What is left of the payload.
    pub(crate) rest: Bytes,
    /// Whether a frame of it was written.
    pub(crate) begun: bool,
    /// Given up: one more frame has to say so.
    pub(crate) aborted: bool,
}

impl Blocked {
    fn held_bytes(&self) -> usize {
        self.rest.len() + size_of::<Self>()
    }
}

/// Them in order, with what they hold. A peer that grants credit but no window must not make this
/// end hold more than it would hold for a peer that does not read.
#[derive(Debug, Default)]
pub(crate) struct BlockedQueue {
    queue: VecDeque<Blocked>,
    bytes: usize,
}

impl BlockedQueue {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn push_back(&mut self, blocked: Blocked) {
        self.bytes += blocked.held_bytes();
        self.queue.push_back(blocked);
    }

    pub(crate) fn push_front(&mut self, blocked: Blocked) {
        self.bytes += blocked.held_bytes();
        self.queue.push_front(blocked);
    }

    pub(crate) fn pop_front(&mut self) -> Option<Blocked> {
        let blocked = self.queue.pop_front()?;
        self.bytes -= blocked.held_bytes();
        Some(blocked)
    }

    /// Gives a delivery up and its payload free. Its place stays, since the frame that says so
    /// needs the window as any other does. Answers whether the delivery was there.
    pub(crate) fn abort(&mut self, link: (u32, u32), id: u32) -> bool {
        let found = self.queue.iter_mut().find(|each| each.id == id && each.link == link);
        let Some(blocked) = found else {
            return false;
        };
        self.bytes -= std::mem::take(&mut blocked.rest).len();
        blocked.aborted = true;
        true
    }

    /// Whether a frame of a link waits.
    pub(crate) fn holds(&self, link: (u32, u32)) -> bool {
        self.queue.iter().any(|each| each.link == link)
    }

    /// Drops those of one link.
    pub(crate) fn forget(&mut self, link: u32) {
        self.queue.retain(|blocked| blocked.link.0 != link);
        self.bytes = self.queue.iter().map(Blocked::held_bytes).sum();
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}
