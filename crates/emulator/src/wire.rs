//! For tests: a client's engine and a broker wired together without a socket, a task or a clock.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, Properties};
use eventhubs_amqp::codec::performative::{Attach, Role};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Map, Source, Target, Value};
use eventhubs_amqp::engine::{
    CloseReason, Connection, Delivery, Event, LinkId, Options, Outcome, Outgoing, Sasl, SessionId,
    SessionOptions,
};
use eventhubs_amqp::net::Service;

use crate::broker::{Broker, engine_options};
use crate::names::{BATCH_FORMAT, request};
use crate::namespace::Namespace;
use crate::rules::token::sign;

/// Far in the future, in seconds since 1970.
pub(crate) const LATER: i64 = 4_000_000_000;

/// One client and its connection to the broker.
pub(crate) struct Wire {
    pub(crate) client: Connection,
    server: Connection,
    broker: Broker,
    now: Instant,
    session: Option<SessionId>,
    /// Answers to our attaches.
    pub(crate) attached: HashMap<LinkId, Attach>,
    detached: HashMap<LinkId, Option<AmqpError>>,
    deliveries: HashMap<LinkId, Vec<Delivery>>,
    outcomes: HashMap<LinkId, Vec<Outcome>>,
    pub(crate) drained: usize,
    pub(crate) closed: Option<CloseReason>,
    next: u64,
    /// Everything the client has written.
    pub(crate) written: Vec<u8>,
    /// Everything the broker's end has written.
    pub(crate) answered: Vec<u8>,
}

impl Wire {
    /// A client with a session, anonymous as yet.
    pub(crate) fn new(namespace: &Arc<Namespace>) -> Self {
        Self::with_sasl(namespace, Sasl::Anonymous)
    }

    pub(crate) fn with_sasl(namespace: &Arc<Namespace>, sasl: Sasl) -> Self {
        Self::with_broker(Broker::new(Arc::clone(namespace)), sasl)
    }

    /// A client on a connection of which the broker knows something already.
    pub(crate) fn with_broker(broker: Broker, sasl: Sasl) -> Self {
        let now = tokio::time::Instant::now().into_std();
        // A client that is to find out what the broker does with a message that is too large.
        let options =
            Options { sasl, exceed_peer_message_size: true, ..Options::dialler("client") };
        let mut wire = Self {
            client: Connection::new(options, now),
            server: Connection::new(
                engine_options(broker.number, broker.namespace.idle_time_out),
                now,
            ),
            broker,
            now,
            session: None,
            attached: HashMap::new(),
            detached: HashMap::new(),
            deliveries: HashMap::new(),
            outcomes: HashMap::new(),
            drained: 0,
            closed: None,
            next: 0,
            written: Vec::new(),
            answered: Vec::new(),
        };
        wire.exchange();
        wire.session = wire.client.begin(SessionOptions::default()).ok();
        wire.exchange();
        wire
    }

    /// A client with a token for the whole namespace.
    pub(crate) fn trusted(namespace: &Arc<Namespace>) -> Self {
        let mut wire = Self::new(namespace);
        let token = sign("sb://h", "RootManageSharedAccessKey", "SAS_KEY_VALUE", LATER);
        assert_eq!(wire.put_token("sb://h", &token), (202, String::new()));
        wire
    }

    /// Lets the service's clock run on.
    pub(crate) fn advance(&mut self, time: Duration) {
        self.broker.namespace.clock.advance(time);
        self.exchange();
    }

    /// Moves bytes both ways until both ends are quiet.
    pub(crate) fn exchange(&mut self) {
        loop {
            let there = take(&mut self.client);
            self.written.extend_from_slice(&there);
            let back = take(&mut self.server);
            self.answered.extend_from_slice(&back);
            let quiet = there.is_empty() && back.is_empty();
            if !there.is_empty() {
                self.server.handle_input(self.now, &mut BytesMut::from(&there[..]));
            }
            self.broker.turn(&mut self.server, self.now);
            if !back.is_empty() {
                self.client.handle_input(self.now, &mut BytesMut::from(&back[..]));
            }
            self.collect();
            if quiet && !self.server.has_output() && !self.client.has_output() {
                return;
            }
        }
    }

    /// Lets time pass on the broker's end only.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        self.exchange();
    }

    fn collect(&mut self) {
        let mut touched = Vec::new();
        self.client.touched(&mut touched);
        for link in touched {
            let into = self.deliveries.entry(link).or_default();
            let before = into.len();
            self.client.deliveries(link, into);
            let held = into[before..].iter().map(Delivery::held_bytes).sum();
            self.client.consumed(link, held);
            self.client.outcomes(link, self.outcomes.entry(link).or_default());
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Attach { link, attach, .. } => {
                    self.attached.insert(link, *attach);
                }
                Event::Detach { link, error, .. } => {
                    self.detached.insert(link, error);
                }
                Event::Drained { .. } => self.drained += 1,
                Event::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
    }

    /// Attaches a link; the error is the broker's refusal.
    pub(crate) fn attach(&mut self, attach: Attach) -> Result<LinkId, AmqpError> {
        self.next += 1;
        let name = if attach.name.is_empty() { format!("link-{}", self.next) } else { attach.name };
        let session = self.session.expect("the session was begun");
        let link = self.client.attach(session, Attach { name, ..attach }).expect("a free handle");
        self.exchange();
        assert!(self.attached.contains_key(&link), "every attach is answered");
        match self.detached.remove(&link) {
            Some(error) => Err(error.expect("a refusal has an error")),
            None => Ok(link),
        }
    }

    pub(crate) fn sender(&mut self, address: &str) -> Result<LinkId, AmqpError> {
        self.attach(Attach {
            role: Role::Sender,
            source: Some(Source::default()),
            target: Some(Target::new(address)),
            initial_delivery_count: Some(0),
            ..Attach::default()
        })
    }

    /// A receiver with a selector (empty: none) and a change to the attach.
    pub(crate) fn receiver(
        &mut self,
        address: &str,
        selector: &str,
        change: impl FnOnce(&mut Attach),
    ) -> Result<LinkId, AmqpError> {
        let mut filter = Map::new();
        if !selector.is_empty() {
            filter.insert("apache.org:selector-filter:string", selector);
        }
        let mut attach = Attach {
            role: Role::Receiver,
            source: Some(Source { filter, ..Source::new(address) }),
            target: Some(Target::default()),
            ..Attach::default()
        };
        change(&mut attach);
        self.attach(attach)
    }

    /// Sends a message and waits for its outcome.
    pub(crate) fn send(&mut self, link: LinkId, payload: Bytes, format: u32) -> DeliveryState {
        let outgoing =
            Outgoing { payload, message_format: format, settled: false, token: self.next };
        self.client.send(link, outgoing).expect("credit");
        self.exchange();
        let outcomes = self.outcomes.remove(&link).unwrap_or_default();
        let [outcome] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert!(outcome.settled, "outcomes are settled at once");
        outcome.state.clone().expect("an outcome has a state")
    }

    /// Sends a message whose outcome nobody waits for.
    pub(crate) fn send_raw(&mut self, link: LinkId, payload: Bytes) {
        let outgoing = Outgoing { payload, message_format: 0, settled: false, token: self.next };
        self.client.send(link, outgoing).expect("credit");
        self.exchange();
    }

    /// What has arrived on a link since the last call.
    pub(crate) fn received(&mut self, link: LinkId) -> Vec<Message> {
        let deliveries = self.deliveries.remove(&link).unwrap_or_default();
        let decode = |delivery: Delivery| {
            assert!(delivery.settled(), "the service sends settled");
            Message::decode(&delivery.into_payload()).expect("a message")
        };
        deliveries.into_iter().map(decode).collect()
    }

    /// Bodies of what has arrived, as text.
    pub(crate) fn bodies(&mut self, link: LinkId) -> Vec<String> {
        self.received(link).iter().map(text).collect()
    }

    /// The error with which the broker detached a link, if it did.
    pub(crate) fn detached(&mut self, link: LinkId) -> Option<AmqpError> {
        self.detached.remove(&link).flatten()
    }

    /// A request on a node and its answer.
    pub(crate) fn ask(&mut self, node: &str, message: Message) -> Message {
        let answers = self
            .receiver(node, "", |attach| {
                attach.target = Some(Target::new("answers"));
            })
            .expect("the node takes links");
        let requests = self.sender(node).expect("the node takes links");
        self.client.set_credit(answers, 10);
        self.exchange();
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        assert_eq!(self.send(requests, payload.freeze(), 0), DeliveryState::Accepted);
        let answer = self.received(answers).pop().expect("every request is answered");
        for link in [requests, answers] {
            self.client.detach(link, true, None);
        }
        self.exchange();
        answer
    }

    /// Puts a shared access signature; status and error condition of the answer.
    pub(crate) fn put_token(&mut self, audience: &str, token: &str) -> (i64, String) {
        self.put_token_of(request::SAS_TOKEN, audience, token)
    }

    /// Puts a token of some kind; status and error condition of the answer.
    pub(crate) fn put_token_of(&mut self, kind: &str, name: &str, token: &str) -> (i64, String) {
        let message = Message {
            properties: Some(Properties {
                message_id: Some(7_u64.into()),
                ..Properties::default()
            }),
            application_properties: [
                (request::OPERATION, request::PUT_TOKEN),
                (request::TYPE, kind),
                (request::NAME, name),
            ]
            .into_iter()
            .collect(),
            body: Body::Value(Value::from(token)),
            ..Message::default()
        };
        let answer = self.ask("$cbs", message);
        let correlation = answer.properties.and_then(|properties| properties.correlation_id);
        assert_eq!(correlation, Some(7_u64.into()), "same id, same type");
        let property = |name| answer.application_properties.get(name);
        let status = property(request::STATUS_CODE).and_then(Value::as_i64).unwrap_or_default();
        let condition = property(request::ERROR_CONDITION).and_then(Value::as_str);
        (status, condition.unwrap_or_default().to_owned())
    }
}

/// Everything an engine has to write.
pub(crate) fn take(engine: &mut Connection) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 16];
        let used = engine.poll_transmit(&mut slices);
        if used == 0 {
            return all;
        }
        let before = all.len();
        for slice in &slices[..used] {
            all.extend_from_slice(slice);
        }
        let wrote = all.len() - before;
        engine.wrote(wrote);
    }
}

/// An encoded event.
pub(crate) fn event(body: &str, key: Option<&str>) -> Bytes {
    let mut message = Message { body: Body::from(body.as_bytes()), ..Message::default() };
    if let Some(key) = key {
        message.message_annotations.insert(symbol("x-opt-partition-key"), key);
    }
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// An encoded batch envelope, to be sent with [`BATCH_FORMAT`].
pub(crate) fn batch(bodies: &[&str], key: Option<&str>) -> (Bytes, u32) {
    let mut message = Message {
        body: Body::Data(bodies.iter().map(|body| event(body, key)).collect()),
        ..Message::default()
    };
    if let Some(key) = key {
        message.message_annotations.insert(symbol("x-opt-partition-key"), key);
    }
    let mut out = BytesMut::new();
    message.encode(&mut out);
    (out.freeze(), BATCH_FORMAT)
}

pub(crate) fn symbol(text: &'static str) -> Value {
    Value::Symbol(eventhubs_amqp::codec::Symbol::from_static(text))
}

/// The body of an event as text.
pub(crate) fn text(message: &Message) -> String {
    let Body::Data(sections) = &message.body else { panic!("{message:?}") };
    String::from_utf8(sections.concat()).expect("text")
}
