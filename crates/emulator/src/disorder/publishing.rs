//! Messages of a client, and what may become of them.

use eventhubs_amqp::codec::{DeliveryState, Map};
use eventhubs_amqp::engine::{Connection, Delivery, LinkId};

use super::Later;
use crate::broker::producer::Outcomes;
use crate::broker::{Broker, Link};
use crate::fault::{Effect, Outcome, Point, Struck};

/// What is done with one message.
enum Done {
    /// It has this outcome.
    Outcome(DeliveryState),
    /// Nobody is told.
    Nothing,
    /// It waits, and so does what follows.
    Wait(std::time::Duration, Delivery),
}

impl Broker {
    /// Messages have arrived on a producer link.
    pub(crate) fn handle_publications(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        deliveries: &mut Vec<Delivery>,
    ) {
        if let Some(Link::Producer(producer)) = self.links.get_mut(&link)
            && !deliveries.is_empty()
        {
            producer.standing.touch(self.namespace.clock.now());
        }
        let points = Point::Publish.bit() | Point::Stored.bit();
        match self.namespace.faults.is_armed(points) {
            true => self.publish_each(engine, link, std::mem::take(deliveries), false),
            false => {
                if let Some(Link::Producer(producer)) = self.links.get(&link)
                    && let now = self.namespace.clock.now()
                    && let Some(error) = producer.handle(engine, link, deliveries, now)
                {
                    self.note(format!("A message was rejected: {error}"));
                }
            }
        }
        self.grant(engine, link);
    }

    /// The same, with faults; the first message has been `asked` for already.
    fn publish_each(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        deliveries: Vec<Delivery>,
        mut asked: bool,
    ) {
        let mut outcomes = Outcomes::default();
        let mut deliveries = deliveries.into_iter();
        while let Some(delivery) = deliveries.next() {
            let (id, settled, held) = (delivery.id(), delivery.settled(), delivery.held_bytes());
            let struck = match std::mem::take(&mut asked) {
                true => None,
                false => self.strike_link(Point::Publish, link),
            };
            if struck.is_some() {
                outcomes.flush(engine, link);
            }
            match self.publish_one(engine, link, delivery, struck) {
                Done::Outcome(state) => {
                    engine.consumed(link, held);
                    if !settled {
                        outcomes.add(engine, link, id, state);
                    }
                }
                Done::Nothing => engine.consumed(link, held),
                Done::Wait(by, delivery) => {
                    let waiting = std::iter::once(delivery).chain(deliveries).collect();
                    self.pause(link, true);
                    self.put_off(engine, by, Later::Publish(link, waiting));
                    break;
                }
            }
        }
        outcomes.flush(engine, link);
    }

    fn publish_one(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        delivery: Delivery,
        struck: Option<Struck>,
    ) -> Done {
        let id = delivery.id();
        let Some(struck) = struck else {
            return self.store(engine, link, delivery);
        };
        match struck.effect() {
            Effect::Delay(by) => Done::Wait(*by, delivery),
            Effect::Ignore => Done::Nothing,
            Effect::Outcome(outcome) => Done::Outcome(state(outcome)),
            Effect::LoseAcknowledgement => {
                self.store(engine, link, delivery);
                Done::Nothing
            }
            Effect::DelayAcknowledgement(by) => {
                let settled = delivery.settled();
                if let Done::Outcome(state) = self.store(engine, link, delivery)
                    && !settled
                {
                    self.put_off(engine, *by, Later::Settle(link, id, state));
                }
                Done::Nothing
            }
            _ => {
                let session = self.disorder.session_of(link);
                match self.perform(engine, &struck, Some(link), session) {
                    true => self.store(engine, link, delivery),
                    false => Done::Nothing,
                }
            }
        }
    }

    /// Stores a message; a fault may strike before its sender is told.
    fn store(&mut self, engine: &mut Connection, link: LinkId, delivery: Delivery) -> Done {
        // The link may have been struck with a message before this.
        let Some(Link::Producer(producer)) = self.links.get(&link) else {
            return Done::Nothing;
        };
        let now = self.namespace.clock.now();
        if let Err(error) = producer.publish(delivery, now) {
            self.note(format!("A message was rejected: {error}"));
            return Done::Outcome(DeliveryState::Rejected(Some(error)));
        }
        let Some(struck) = self.strike_link(Point::Stored, link) else {
            return Done::Outcome(DeliveryState::Accepted);
        };
        let session = self.disorder.session_of(link);
        match self.perform(engine, &struck, Some(link), session) {
            true => Done::Outcome(DeliveryState::Accepted),
            false => Done::Nothing,
        }
    }

    pub(super) fn publish_late(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        deliveries: Vec<Delivery>,
    ) {
        self.pause(link, false);
        self.publish_each(engine, link, deliveries, true);
        self.grant(engine, link);
        if !self.is_paused(link) {
            // What has arrived meanwhile.
            self.handle_touched(engine, link);
        }
    }
}

fn state(outcome: &Outcome) -> DeliveryState {
    match outcome {
        Outcome::Rejected(reason) => DeliveryState::Rejected(reason.clone().map(Into::into)),
        Outcome::Released => DeliveryState::Released,
        Outcome::Modified => DeliveryState::Modified {
            delivery_failed: true,
            undeliverable_here: false,
            message_annotations: Map::new(),
        },
    }
}
