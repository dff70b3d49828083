//! Requests on the nodes of a connection, and the way back for their answers.

use std::collections::VecDeque;

use bytes::Bytes;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::{Connection, Delivery, LinkId, Outgoing, SendError, SessionId};

use super::cbs;
use super::management;
use super::request::{Answer, Request};
use crate::broker::{Broker, Link, Node};

/// Credit for requests on `$cbs` and `$management`.
pub(crate) const CREDIT: u32 = 100;

/// Answers that wait for the client's credit; more are dropped, as a client that sends this many
/// requests and reads no answer has gone astray.
const PENDING_MAX: usize = 128;

/// A link that takes the answers of a node.
#[derive(Debug)]
pub(crate) struct Answers {
    node: Node,
    session: SessionId,
    /// Its target address, by which requests may name it.
    address: Option<String>,
    /// Its link name, by which some clients name it instead.
    name: String,
    /// Answers for which there was no credit yet.
    pending: VecDeque<Bytes>,
}

impl Answers {
    pub(crate) fn new(
        node: Node,
        session: SessionId,
        address: Option<String>,
        name: String,
    ) -> Self {
        Self { node, session, address, name, pending: VecDeque::new() }
    }

    pub(crate) fn node(&self) -> Node {
        self.node
    }

    fn is_named(&self, reply_to: &str) -> bool {
        self.address.as_deref() == Some(reply_to) || self.name == reply_to
    }

    /// Sends what waits, as credit and room allow.
    pub(crate) fn send(&mut self, engine: &mut Connection, link: LinkId) {
        while let Some(payload) = self.pending.front() {
            let payload = payload.clone();
            let outgoing = Outgoing { payload, message_format: 0, settled: true, token: 0 };
            match engine.send(link, outgoing) {
                Err(SendError::NoCredit | SendError::Full) => return,
                // Gone out, or never will.
                Ok(_) | Err(SendError::TooLarge { .. } | SendError::Detached) => {
                    self.pending.pop_front();
                }
            }
        }
    }
}

impl Broker {
    /// Answers what arrived on a node.
    pub(crate) fn handle_requests(
        &mut self,
        engine: &mut Connection,
        (link, node, session): (LinkId, Node, SessionId),
        deliveries: &mut Vec<Delivery>,
    ) {
        for delivery in deliveries.drain(..) {
            let (id, settled, held) = (delivery.id(), delivery.settled(), delivery.held_bytes());
            let request = Request::decode(&delivery.into_payload());
            engine.consumed(link, held);
            if !settled {
                let state = if request.is_some() { DeliveryState::Accepted } else { undecodable() };
                engine.settle(link, id, id, state, true);
            }
            let Some(request) = request else { continue };
            if let Some(struck) = self.strike_request((link, node), &request) {
                self.answer_struck(engine, (link, node, session), &request, &struck);
                continue;
            }
            let answer = self.work(node, &request);
            match self.reply_link(node, session, request.reply_to()) {
                Some(to) => self.send_answer(engine, to, answer.encode(&request)),
                None => tracing::debug!(connection = self.number, "nobody takes the answer"),
            }
        }
        if engine.credit(link) <= CREDIT / 2 {
            engine.set_credit(link, CREDIT);
        }
    }

    /// Does what a request asks for.
    pub(crate) fn work(&mut self, node: Node, request: &Request) -> Answer {
        let now = self.namespace.clock.now();
        let answer = match node {
            Node::Cbs => cbs::answer(&self.namespace, request, &mut self.grants, now),
            Node::Management => {
                management::answer(&self.namespace, request, (&self.grants, self.geo), now)
            }
        };
        if let Some(refusal) = answer.refusal() {
            self.note(format!("A request was refused: {refusal}"));
        }
        answer
    }

    /// Sends an answer as soon as the client has credit for it.
    pub(crate) fn send_answer(&mut self, engine: &mut Connection, link: LinkId, payload: Bytes) {
        if let Some(Link::Answers(answers)) = self.links.get_mut(&link) {
            if answers.pending.len() == PENDING_MAX {
                return tracing::debug!(connection = self.number, "nobody reads the answers");
            }
            answers.pending.push_back(payload);
            answers.send(engine, link);
        }
    }

    /// Where an answer goes. A reply-to names a link of the node by target address or by link
    /// name; without one, or when it names none, the node's link on the same session is meant.
    pub(crate) fn reply_link(
        &self,
        node: Node,
        on: SessionId,
        reply_to: Option<&str>,
    ) -> Option<LinkId> {
        let answers = || {
            self.links.iter().filter_map(|(id, link)| match link {
                Link::Answers(answers) if answers.node == node => Some((*id, answers)),
                _ => None,
            })
        };
        let named = |answers: &Answers| reply_to.is_some_and(|name| answers.is_named(name));
        let here = |answers: &Answers| answers.session == on;
        // The same names come back on another session once the first has ended.
        let found = answers()
            .find(|(_, answers)| named(answers) && here(answers))
            .or_else(|| answers().find(|(_, answers)| named(answers)))
            .or_else(|| answers().find(|(_, answers)| here(answers)));
        found.map(|(id, _)| id)
    }
}

/// The outcome of a request that is none.
fn undecodable() -> DeliveryState {
    let text = "The request cannot be decoded, or is larger than a request can be.";
    DeliveryState::Rejected(Some(AmqpError::new(condition::DECODE_ERROR, text)))
}
