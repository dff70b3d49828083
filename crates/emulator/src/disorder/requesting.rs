//! Requests of a client, and what may become of their answers.

use bytes::BytesMut;
use eventhubs_amqp::codec::Value;
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::engine::{Connection, LinkId, SessionId};

use super::Later;
use crate::broker::request::{Answer, Request};
use crate::broker::{Broker, Node};
use crate::fault::occurrence::LinkFacts;
use crate::fault::{Effect, Point, Struck};
use crate::names::request as names;

impl Broker {
    /// What strikes a request.
    pub(crate) fn strike_request(
        &self,
        (link, node): (LinkId, Node),
        request: &Request,
    ) -> Option<Struck> {
        let point = match node {
            Node::Cbs => Point::PutToken,
            Node::Management => Point::Management,
        };
        if !self.namespace.faults.is_armed(point.bit()) {
            return None;
        }
        let link = &self.disorder.links.get(&link)?.facts;
        let name = request.text(names::NAME).unwrap_or_default();
        let about = match node {
            Node::Cbs => LinkFacts::of_address(name),
            Node::Management => LinkFacts {
                hub: Some(name.to_owned()),
                partition: request.text(names::PARTITION).map(str::to_owned),
                ..LinkFacts::default()
            },
        };
        let facts = LinkFacts { role: link.role, name: link.name.clone(), ..about };
        self.strike_facts(point, &facts)
    }

    /// Answers a request that was struck.
    pub(crate) fn answer_struck(
        &mut self,
        engine: &mut Connection,
        (link, node, session): (LinkId, Node, SessionId),
        request: &Request,
        struck: &Struck,
    ) {
        let mut message = match struck.effect() {
            Effect::Ignore => return,
            Effect::Answer { status, condition, text } => {
                let condition = condition.clone().map(Into::into);
                Answer::saying(*status, condition, text.as_str()).message(request)
            }
            Effect::Delay(_) | Effect::Twice | Effect::Malformed | Effect::Omit(_) => {
                self.work(node, request).message(request)
            }
            _ => {
                if !self.perform(engine, struck, Some(link), Some(session)) {
                    return;
                }
                self.work(node, request).message(request)
            }
        };
        let mut copies = 1;
        match struck.effect() {
            Effect::Twice => copies = 2,
            Effect::Malformed => garble(&mut message),
            Effect::Omit(name) => omit(&mut message, name),
            _ => {}
        }
        let Some(to) = self.reply_link(node, session, request.reply_to()) else {
            return;
        };
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        let payload = payload.freeze();
        if let Effect::Delay(by) = struck.effect() {
            return self.put_off(engine, *by, Later::Reply(to, payload));
        }
        for _ in 0..copies {
            self.send_answer(engine, to, payload.clone());
        }
    }
}

/// Leaves the correlation and makes nonsense of the rest.
fn garble(message: &mut Message) {
    message.application_properties.remove(names::STATUS_CODE);
    message.application_properties.insert(names::STATUS_CODE, "garbled");
    message.body = Body::Value(Value::from("garbled"));
}

/// Takes a property out, or a key of the body.
fn omit(message: &mut Message, name: &str) {
    message.application_properties.remove(name);
    if let Body::Value(Value::Map(map)) = &mut message.body {
        map.remove(name);
    }
}
