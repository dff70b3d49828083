//! The sending links of a hub.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::net::{self, Sender, SenderOptions};
use eventhubs_protocol::condition::local;
use eventhubs_protocol::{EventData, PartitionId, address, link};

use crate::error::{Error, ErrorKind, Operation};
use crate::hub::Shared;
use crate::live::{Live, Target};
use crate::ordered::Line;
use crate::recovery::call::Try;
use crate::recovery::clock;

/// A link on which nothing was sent for so long is attached anew before the next send: the service
/// takes those away that were idle for thirty minutes.
const IDLE_MAX: Duration = Duration::from_secs(25 * 60);
/// Events are encoded one behind the other in pieces of memory of this size, so that an event that
/// has to be sent again costs no allocation of its own.
const ARENA: usize = 64 << 10;
/// Larger events have their own piece.
const IN_ARENA_MAX: usize = ARENA / 8;

/// An attached sending link and what it is called in errors.
#[derive(Clone, Debug)]
pub(crate) struct SendLink {
    sender: Sender,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    entity: String,
    made: Instant,
    /// Seconds after `made` when the link was last looked at for its age.
    looked: AtomicU64,
    /// Nothing is to be sent on it any more.
    left: AtomicBool,
    /// Whether somebody has paid for trying again what went down with this link.
    paid: Arc<AtomicBool>,
}

impl SendLink {
    fn new(sender: Sender, entity: String) -> Self {
        let about = About {
            entity,
            made: clock::now(),
            looked: AtomicU64::new(0),
            left: AtomicBool::new(false),
            paid: Arc::default(),
        };
        Self { sender, about: Arc::new(about) }
    }

    pub(crate) fn entity(&self) -> &str {
        &self.about.entity
    }

    /// What all errors of this link's end share.
    pub(crate) fn fault(&self) -> &Arc<AtomicBool> {
        &self.about.paid
    }

    pub(crate) fn max_message_size(&self) -> Option<u64> {
        self.sender.max_message_size()
    }

    pub(crate) fn send(&self, payload: Bytes, message_format: u32) -> net::Sending {
        self.sender.send(payload, message_format)
    }

    /// Waits for room, until `deadline` at most.
    pub(crate) async fn has_room_by(&self, deadline: Instant) -> Result<(), Error> {
        // Most of the time there is room, and no timer is needed to see that.
        let mut room = pin!(self.sender.ready());
        let at_once = poll_fn(|cx| Poll::Ready(room.as_mut().poll(cx).is_ready())).await;
        if at_once || clock::by(deadline, room).await.is_some() {
            return Ok(());
        }
        Err(no_room(self.entity()))
    }

    /// An error for something that never fits, before anything is queued.
    pub(crate) fn check_size(&self, size: usize) -> Result<(), Error> {
        match self.max_message_size() {
            Some(limit) if size as u64 > limit => Err(Error::too_large(size, limit, self.entity())),
            _ => Ok(()),
        }
    }

    /// Attaches a link to the hub itself or to a partition.
    ///
    /// Cancel safe: a link that nobody waits for any more is detached.
    pub(crate) async fn attach(
        live: &Live,
        target: &Target,
        partition: Option<PartitionId>,
    ) -> Result<Self, Error> {
        let entity = address::producer(&target.hub, partition);
        let options = &target.options;
        let terms = link::producer(&entity, &target.identifier);
        let sender = live
            .connection
            .sender(SenderOptions {
                target: terms.target,
                source: terms.source,
                properties: terms.properties,
                desired_capabilities: terms.desired_capabilities,
                attach_timeout: options.attach_timeout,
                // No try lasts longer than its call may.
                send_timeout: options.send_timeout.min(options.retry.total),
                pending_max: options.pending_sends_max,
                pending_bytes_max: options.pending_bytes_max,
                ..SenderOptions::default()
            })
            .await
            .map_err(|error| Error::of_net(&error, Operation::AttachProducer, &entity))?;
        Ok(Self::new(sender, entity))
    }

    /// Sends nothing more on it: what is queued gets its outcome, and then it is detached.
    pub(crate) fn leave(&self) {
        if !self.about.left.swap(true, Ordering::Relaxed) {
            self.sender.start_detach();
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.about.left.load(Ordering::Relaxed) && self.sender.close_reason().is_none()
    }

    /// Whether it was idle for so long, or used so much, that another one should take its place.
    fn is_worn(&self, deliveries_max: u64, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.about.made).as_secs();
        // Once a second is enough, and costs the other sends nothing.
        if age <= self.about.looked.load(Ordering::Relaxed) {
            return false;
        }
        self.about.looked.store(age, Ordering::Relaxed);
        let idle = self.sender.idle_since().map(|since| now.saturating_duration_since(since));
        self.sender.sent() >= deliveries_max || idle.is_some_and(|idle| idle >= IDLE_MAX)
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There was no room in a queue by the end of a call.
pub(crate) fn no_room(entity: &str) -> Error {
    let detail = "not sent: no room in the queue of the link in the time for the call";
    Error::of_verdict(local::NO_CREDIT, Operation::Send, entity, detail.to_owned())
}

/// Where the senders to one place find their link: the owner task made it on first use, and makes
/// another one when it was lost.
#[derive(Debug)]
pub(crate) struct SendLinks {
    partition: Option<PartitionId>,
    /// The latest one, dead or alive.
    link: Mutex<Option<SendLink>>,
    arena: Mutex<BytesMut>,
    line: Arc<Line>,
}

impl SendLinks {
    pub(crate) fn new(partition: Option<PartitionId>) -> Self {
        Self { partition, link: Mutex::default(), arena: Mutex::default(), line: Arc::default() }
    }

    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// Where sends wait for each other, if they are to stay in order.
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) fn sender(&self) -> Option<Sender> {
        lock(&self.link).as_ref().map(|link| link.sender.clone())
    }

    /// The link, if there is one to send on.
    pub(crate) fn current(&self, hub: &Shared, now: Instant) -> Option<SendLink> {
        let link = lock(&self.link).as_ref().filter(|link| link.is_live()).cloned()?;
        if link.is_worn(hub.target().options.link_deliveries_max, now) {
            link.leave();
            return None;
        }
        Some(link)
    }

    /// The link to send on, attached by the deadline of `this` if there is none.
    pub(crate) async fn attached(&self, hub: &Shared, this: Try) -> Result<SendLink, Error> {
        if let Some(link) = self.current(hub, clock::now()) {
            return Ok(link);
        }
        let made = clock::by(this.deadline, hub.sender(self.partition, this.anew())).await;
        let link = made.unwrap_or_else(|| {
            let entity = address::producer(&hub.target().hub, self.partition);
            let detail = "the link was not there in the time for the call";
            Err(Error::new(ErrorKind::Timeout, Operation::AttachProducer, entity, detail))
        })?;
        *lock(&self.link) = Some(link.clone());
        Ok(link)
    }

    /// An event as a message, in memory that it may share with its neighbours.
    pub(crate) fn encode(&self, event: &EventData) -> Bytes {
        let size = event.encoded_len();
        if size > IN_ARENA_MAX {
            return event.to_payload();
        }
        let mut arena = lock(&self.arena);
        if arena.capacity() < size {
            // The piece is used again when all events in it have had their outcome.
            arena.reserve(ARENA);
        }
        event.encode(&mut arena);
        arena.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_events_share_memory_and_copies_of_them_cost_none() {
        let links = SendLinks::new(None);
        let event = EventData::from("x".repeat(100));
        let size = event.encoded_len();
        let mut pieces = 1;
        let mut last = links.encode(&event);
        for _ in 0..10_000 {
            let next = links.encode(&event);
            assert_eq!((next.len(), next.clone().as_ptr()), (size, next.as_ptr()));
            // A piece is followed by the next one, or is full.
            pieces += u32::from(next.as_ptr() as usize != last.as_ptr() as usize + size);
            last = next;
        }
        assert!(pieces as usize <= 10_000 * size / (ARENA - size) + 2, "{pieces}");
        let large = EventData::from("x".repeat(IN_ARENA_MAX + 1));
        assert_eq!(links.encode(&large).len(), large.encoded_len());
    }
}
