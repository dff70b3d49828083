//! An owner that does what an owner does: opens, accepts, grants, sends, takes, settles.

use bytes::Bytes;
use eventhubs_amqp::codec::sasl::Code;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::{Event, LinkId, Outgoing, SessionId, SessionOptions};

use crate::rng::Rng;
use crate::wire::{End, answer};

#[derive(Debug, Default)]
pub(crate) struct Owner {
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) links: Vec<LinkId>,
}

impl Owner {
    /// Answers every event, then looks at every link. Deliveries are taken and let go at once when
    /// `lets_go`, and kept for ever otherwise.
    pub(crate) fn turn(&mut self, rng: &mut Rng, end: &mut End, lets_go: bool) {
        while let Some(event) = end.events.pop_front() {
            self.event(rng, end, event);
        }
        let mut touched = Vec::new();
        end.engine.touched(&mut touched);
        for link in touched.into_iter().chain(self.links.iter().copied()) {
            let deliveries = end.deliveries(link);
            if lets_go {
                end.engine.consumed(link, deliveries.iter().map(|d| d.held_bytes()).sum());
            }
            if let [first, .., last] = &deliveries[..] {
                let (first, last) = (first.id(), last.id());
                end.engine.settle(link, first, last, DeliveryState::Accepted, rng.chance(80));
            }
            for outcome in end.outcomes(link) {
                let id = outcome.delivery_id;
                end.engine.settle(link, id, id, DeliveryState::Accepted, true);
            }
            if rng.chance(20) {
                let credit = rng.between(0, 20).max(end.engine.credit(link));
                end.engine.set_credit(link, credit);
            }
            let payload = Bytes::from(vec![1; *rng.pick(&[0, 10, 700])]);
            let settled = rng.chance(50);
            let _ =
                end.engine.send(link, Outgoing { payload, message_format: 0, settled, token: 0 });
        }
    }

    fn event(&mut self, rng: &mut Rng, end: &mut End, event: Event) {
        match event {
            Event::SaslInit { .. } | Event::SaslResponse(_) => end.engine.sasl_outcome(Code::Ok),
            Event::SaslChallenge(_) => end.engine.sasl_response(Bytes::new()),
            Event::Open(_) => end.engine.open(),
            Event::Begin { session, incoming, .. } => {
                if incoming && rng.chance(95) {
                    let incoming_window = rng.between(1, 50);
                    let options = SessionOptions { incoming_window, ..SessionOptions::default() };
                    let _ = end.engine.accept_session(session, options);
                }
                self.sessions.push(session);
            }
            Event::Attach { link, incoming, .. } => {
                if incoming && rng.chance(10) {
                    end.engine.refuse(link, AmqpError::new(condition::NOT_FOUND, "not here"));
                } else if incoming && rng.chance(95) {
                    let _ = end.engine.accept(link, answer());
                }
                end.engine.set_credit(link, rng.between(0, 50));
                self.links.push(link);
            }
            Event::Drain { link } => end.engine.drained(link),
            Event::Detach { link, .. } => self.links.retain(|each| *each != link),
            Event::End { session, .. } => self.sessions.retain(|each| *each != session),
            Event::Drained { .. } | Event::Closed(_) => {}
        }
    }
}
