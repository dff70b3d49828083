//! The sends of one link, in order: what waits, what is on its way, what came of it. Pure.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::{LinkClosed, SendFailure};
use crate::codec::DeliveryState;

/// What a send ended with.
pub(crate) type SendResult = Result<DeliveryState, SendFailure>;

/// Finished sends that may stay in the ring behind one that nobody has looked at; more of them move
/// to a map, where each costs only as long as its future lives.
const FINISHED_IN_RING_MAX: usize = 1024;

#[derive(Debug)]
enum State {
    Queued { payload: Bytes, message_format: u32 },
    Sent { size: usize, delivery_id: u32 },
    Done(Finish),
    Taken,
}

/// A result in few bytes: slots are many and move, and nearly all end the same way.
#[derive(Debug)]
enum Finish {
    Accepted,
    Other(Box<SendResult>),
}

impl From<SendResult> for Finish {
    fn from(result: SendResult) -> Self {
        match result {
            Ok(DeliveryState::Accepted) => Self::Accepted,
            other => Self::Other(Box::new(other)),
        }
    }
}

impl From<Finish> for SendResult {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Accepted => Ok(DeliveryState::Accepted),
            Finish::Other(result) => *result,
        }
    }
}

#[derive(Debug)]
struct Slot {
    state: State,
    waker: Option<Waker>,
    deadline: Option<Instant>,
    /// Nobody waits for it.
    abandoned: bool,
}

/// A send that has run out of time after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) number: u64,
    pub(crate) delivery_id: u32,
}

#[derive(Debug, Default)]
pub(crate) struct SendRing {
    /// Number of the first slot.
    base: u64,
    slots: VecDeque<Slot>,
    /// First number that may still be queued.
    next: u64,
    /// First number without a deadline.
    unstamped: u64,
    /// First number that may still be pending.
    oldest: u64,
    parked: HashMap<u64, Finish>,
    written: u64,
    pending: usize,
    bytes: usize,
}

impl SendRing {
    /// Sends without a result.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Sends that were given to the engine to write.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes of the sends without a result.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(crate) fn push(&mut self, payload: Bytes, message_format: u32) -> u64 {
        self.pending += 1;
        self.bytes += payload.len();
        self.slots.push_back(Slot {
            state: State::Queued { payload, message_format },
            waker: None,
            deadline: None,
            abandoned: false,
        });
        self.base + self.slots.len() as u64 - 1
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let index = number.checked_sub(self.base)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// The next send to write: its number and its bytes.
    #[inline]
    pub(crate) fn next_queued(&mut self) -> Option<(u64, usize)> {
        self.next = self.next.max(self.base);
        while self.next < self.end() {
            let number = self.next;
            if let Some(Slot { state: State::Queued { payload, .. }, .. }) = self.slot(number) {
                return Some((number, payload.len()));
            }
            self.next += 1;
        }
        None
    }

    /// Takes a queued payload to write it now; [`mark_sent`](Self::mark_sent) follows.
    #[inline]
    pub(crate) fn take_payload(&mut self, number: u64) -> Option<(Bytes, u32)> {
        let slot = self.slot(number)?;
        let State::Queued { payload, message_format } = &mut slot.state else { return None };
        let taken = (std::mem::take(payload), *message_format);
        slot.state = State::Sent { size: taken.0.len(), delivery_id: 0 };
        Some(taken)
    }

    #[inline]
    pub(crate) fn mark_sent(&mut self, number: u64, id: u32) {
        if let Some(Slot { state: State::Sent { delivery_id, .. }, .. }) = self.slot(number) {
            *delivery_id = id;
            self.next = number + 1;
            self.written += 1;
        }
    }

    /// Gives every send that has none a deadline; answers whether there was one.
    #[inline]
    pub(crate) fn stamp(&mut self, deadline: Instant) -> bool {
        self.unstamped = self.unstamped.max(self.base);
        let new = self.unstamped < self.end();
        for number in self.unstamped..self.end() {
            if let Some(slot) = self.slot(number) {
                slot.deadline = Some(deadline);
            }
        }
        self.unstamped = self.end();
        new
    }

    /// When the oldest pending send runs out of time.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.oldest = self.oldest.max(self.base);
        while self.oldest < self.end() {
            let number = self.oldest;
            match self.slot(number) {
                Some(slot) if matches!(slot.state, State::Queued { .. } | State::Sent { .. }) => {
                    return slot.deadline;
                }
                _ => self.oldest += 1,
            }
        }
        None
    }

    /// The result of a send; gives the waker of whoever waits. A second result, or one for a send
    /// that was given up, changes nothing.
    pub(crate) fn complete(&mut self, number: u64, result: SendResult) -> Option<Waker> {
        let slot = self.slot(number)?;
        let size = match &slot.state {
            State::Queued { payload, .. } => payload.len(),
            State::Sent { size, .. } => *size,
            State::Done(_) | State::Taken => return None,
        };
        slot.state = if slot.abandoned { State::Taken } else { State::Done(result.into()) };
        let waker = slot.waker.take();
        self.pending -= 1;
        self.bytes -= size;
        self.trim();
        waker
    }

    pub(crate) fn poll(&mut self, number: u64, cx: &mut Context<'_>) -> Poll<SendResult> {
        let Some(slot) = self.slot(number) else {
            return match self.parked.remove(&number) {
                Some(finish) => Poll::Ready(finish.into()),
                None => Poll::Pending,
            };
        };
        match &slot.state {
            State::Done(_) => {
                let State::Done(finish) = std::mem::replace(&mut slot.state, State::Taken) else {
                    return Poll::Pending;
                };
                self.trim();
                Poll::Ready(finish.into())
            }
            _ => {
                match &mut slot.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    empty => *empty = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Nobody waits for this send any more. One that was not written is withdrawn; one that was
    /// stays pending until its outcome or deadline. Gives whether it was withdrawn.
    pub(crate) fn abandon(&mut self, number: u64) -> bool {
        let Some(slot) = self.slot(number) else {
            self.parked.remove(&number);
            return false;
        };
        slot.abandoned = true;
        slot.waker = None;
        let withdrawn = matches!(slot.state, State::Queued { .. });
        match &slot.state {
            State::Queued { payload, .. } => {
                let size = payload.len();
                slot.state = State::Taken;
                self.pending -= 1;
                self.bytes -= size;
            }
            State::Done(_) => slot.state = State::Taken,
            State::Sent { .. } | State::Taken => {}
        }
        self.trim();
        withdrawn
    }

    /// Ends the sends whose time is over at `now`: queued ones at once, written ones are listed in
    /// `overdue` for the caller, who knows whether all of them left.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        timeout: Duration,
        overdue: &mut Vec<Overdue>,
        wakers: &mut Vec<Waker>,
    ) {
        let mut number = self.oldest.max(self.base);
        while number < self.end() {
            let Some(slot) = self.slot(number) else { break };
            if slot.deadline.is_none_or(|deadline| deadline > now) {
                break;
            }
            match slot.state {
                State::Queued { .. } => {
                    let late = Err(SendFailure::NotSentInTime(timeout));
                    wakers.extend(self.complete(number, late));
                }
                State::Sent { delivery_id, .. } => overdue.push(Overdue { number, delivery_id }),
                State::Done(_) | State::Taken => {}
            }
            number += 1;
        }
    }

    /// The link is gone: what was written is unknown, what was not is not sent.
    pub(crate) fn fail_all(&mut self, closed: &LinkClosed, wakers: &mut Vec<Waker>) {
        for number in self.base..self.end() {
            let Some(slot) = self.slot(number) else {
                continue;
            };
            let failure = match slot.state {
                State::Queued { .. } => SendFailure::NotSent(closed.clone()),
                State::Sent { .. } => SendFailure::Unknown(closed.clone()),
                State::Done(_) | State::Taken => continue,
            };
            wakers.extend(self.complete(number, Err(failure)));
        }
    }

    fn trim(&mut self) {
        loop {
            let crowded = self.slots.len() > FINISHED_IN_RING_MAX;
            let gone = match self.slots.front().map(|slot| &slot.state) {
                Some(State::Taken) => true,
                Some(State::Done(_)) => crowded,
                _ => false,
            };
            if !gone {
                return;
            }
            if let Some(Slot { state: State::Done(finish), .. }) = self.slots.pop_front() {
                self.parked.insert(self.base, finish);
            }
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(ring: &mut SendRing, number: u64) -> Poll<SendResult> {
        ring.poll(number, &mut Context::from_waker(Waker::noop()))
    }

    fn sent(ring: &mut SendRing, count: u64) {
        for id in 0..count {
            ring.push(Bytes::from_static(b"x"), 0);
            let (number, _) = ring.next_queued().expect("one is queued");
            ring.take_payload(number).expect("it is queued");
            ring.mark_sent(number, u32::try_from(id).expect("small"));
        }
    }

    #[test]
    fn a_withdrawn_send_is_never_written() {
        let mut ring = SendRing::default();
        let first = ring.push(Bytes::from_static(b"a"), 0);
        let second = ring.push(Bytes::from_static(b"b"), 0);
        ring.abandon(first);
        assert_eq!(ring.next_queued().map(|(number, ..)| number), Some(second));
        assert_eq!((ring.pending(), ring.bytes()), (1, 1));
    }

    #[test]
    fn an_unread_result_does_not_hold_the_ring() {
        let mut ring = SendRing::default();
        let count = FINISHED_IN_RING_MAX as u64 * 4;
        sent(&mut ring, count);
        for number in 0..count {
            ring.complete(number, Ok(DeliveryState::Accepted));
            if number > 0 {
                assert!(poll(&mut ring, number).is_ready());
            }
        }
        assert!(ring.slots.len() <= FINISHED_IN_RING_MAX + 1, "{} slots", ring.slots.len());
        assert_eq!(poll(&mut ring, 0), Poll::Ready(Ok(DeliveryState::Accepted)));
        assert!(ring.parked.is_empty());
    }

    #[test]
    fn a_lost_link_tells_sent_from_not_sent() {
        let mut ring = SendRing::default();
        sent(&mut ring, 1);
        let queued = ring.push(Bytes::from_static(b"x"), 0);
        ring.fail_all(&LinkClosed::Local, &mut Vec::new());
        let unknown = SendFailure::Unknown(LinkClosed::Local);
        assert_eq!(poll(&mut ring, 0), Poll::Ready(Err(unknown)));
        let not_sent = SendFailure::NotSent(LinkClosed::Local);
        assert_eq!(poll(&mut ring, queued), Poll::Ready(Err(not_sent)));
        assert_eq!(ring.pending(), 0);
    }
}
