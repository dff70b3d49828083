//! Requests on the nodes of a connection, and the way back for their answers.

use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::{Connection, Delivery, LinkId, Outgoing, SessionId};

use crate::broker::{Broker, Link, Node};
use crate::cbs;
use crate::management;
use crate::request::{Answer, Request};

/// Credit for requests on `$cbs` and `$management`.
pub(crate) const CREDIT: u32 = 100;

impl Broker {
    /// Answers what arrived on a node.
    pub(crate) fn handle_requests(
        &mut self,
        engine: &mut Connection,
        (link, node, session): (LinkId, Node, SessionId),
        deliveries: &mut Vec<Delivery>,
    ) {
        let now = self.namespace.clock.now();
        for delivery in deliveries.drain(..) {
            let (id, settled, held) = (delivery.id(), delivery.settled(), delivery.held_bytes());
            let request = Request::decode(&delivery.into_payload());
            engine.consumed(link, held);
            if !settled {
                let state = if request.is_some() { DeliveryState::Accepted } else { undecodable() };
                engine.settle(link, id, id, state, true);
            }
            let Some(request) = request else { continue };
            let answer = match node {
                Node::Cbs => cbs::answer(&self.namespace, &request, &mut self.grants, now),
                Node::Management => {
                    management::answer(&self.namespace, &request, &self.grants, now)
                }
            };
            self.reply(engine, (node, session), &request, answer);
        }
        if engine.credit(link) <= CREDIT / 2 {
            engine.set_credit(link, CREDIT);
        }
    }

    /// Sends an answer, or drops it when nobody can take it: requests are not queued for clients
    /// that grant no credit for the answers.
    fn reply(
        &self,
        engine: &mut Connection,
        (node, session): (Node, SessionId),
        request: &Request,
        answer: Answer,
    ) {
        let Some(link) = self.reply_link(node, session, request.reply_to()) else {
            return tracing::debug!(connection = self.number, "nobody takes the answer");
        };
        let payload = answer.encode(request);
        let outgoing = Outgoing { payload, message_format: 0, settled: true, token: 0 };
        if let Err(error) = engine.send(link, outgoing) {
            tracing::debug!(connection = self.number, %error, "an answer was dropped");
        }
    }

    /// Where an answer goes. A reply-to names a link of the node by target address or by link
    /// name; without one, or when it names none, the node's link on the same session is meant.
    fn reply_link(&self, node: Node, on: SessionId, reply_to: Option<&str>) -> Option<LinkId> {
        let answers = || {
            self.links.iter().filter_map(|(id, link)| match link {
                Link::Answers { node: of, session, address, name } if *of == node => {
                    Some((*id, *session, address.as_deref(), name.as_str()))
                }
                _ => None,
            })
        };
        let named = reply_to.and_then(|reply_to| {
            let is_named =
                |address: Option<&str>, name| address == Some(reply_to) || name == reply_to;
            let mut named = answers().filter(|(_, _, address, name)| is_named(*address, *name));
            // The same names come back on another session once the first has ended.
            let same = named.clone().find(|(_, session, ..)| *session == on);
            same.or_else(|| named.next())
        });
        let found = named.or_else(|| answers().find(|(_, session, ..)| *session == on));
        found.map(|(id, ..)| id)
    }
}

/// The outcome of a request that is none.
fn undecodable() -> DeliveryState {
    let text = "The request cannot be decoded, or is larger than a request can be.";
    DeliveryState::Rejected(Some(AmqpError::new(condition::DECODE_ERROR, text)))
}
