//! One connection as the service sees it: which links it has, and what is done on each.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use eventhubs_amqp::codec::performative::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
use eventhubs_amqp::codec::sasl::Code;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, FieldList, Symbol, condition};
use eventhubs_amqp::engine::{
    self, Connection, Delivery, Event, LinkId, Options, Outgoing, Sasl, SessionId, SessionOptions,
};
use eventhubs_amqp::net::Service;

use crate::address::{self, Address};
use crate::bell::{Bell, Seat, Signal};
use crate::cbs::{self, Grants, Need};
use crate::consumer::{Consumer, Pumped, Wishes};
use crate::hub::{Hub, Namespace};
use crate::log::Stored;
use crate::management;
use crate::names::{self, link};
use crate::plain;
use crate::producer::{self, Producer};
use crate::request::Request;

/// Values the service answers with: frame size, channel-max and idle time-out from traces of it.
const MAX_FRAME_SIZE: u32 = 65_536;
const CHANNEL_MAX: u16 = 4_999;
const IDLE_TIME_OUT: Duration = Duration::from_millis(240_000);
/// Windows, handle-max and the first transfer id, from traces of the service.
const SESSION: SessionOptions = SessionOptions {
    incoming_window: 5_000,
    outgoing_window: 5_000,
    handle_max: 255,
    next_outgoing_id: 1,
    first_delivery_id: 0,
};
/// Credit for requests on `$cbs` and `$management`.
const REQUEST_CREDIT: u32 = 100;
/// What a producer may send on a lenient emulator: the most that any tier of the service takes.
const LENIENT_MESSAGE_SIZE: u64 = 20 << 20;
/// Bytes that may wait to be written to one client before its consumer links pause.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Received bytes that one client can make the emulator hold: unfinished messages, mostly.
const CLIENT_BYTES_MAX: usize = 64 << 20;

/// Options of the engine of an accepted connection.
pub(crate) fn engine_options(number: u64) -> Options {
    let mechanisms = names::SASL_MECHANISMS.map(Symbol::from_static).to_vec();
    Options {
        max_frame_size: MAX_FRAME_SIZE,
        channel_max: CHANNEL_MAX,
        idle_time_out: Some(IDLE_TIME_OUT),
        // The Python client reads performatives by position and fails on lists cut short.
        fields: FieldList::Full,
        sasl: Sasl::Offer {
            mechanisms,
            allow_bare: true,
        },
        limits: engine::Limits {
            output_bytes_max: OUTPUT_BYTES_MAX,
            link_bytes_max: CLIENT_BYTES_MAX,
            connection_bytes_max: CLIENT_BYTES_MAX,
            ..engine::Limits::default()
        },
        ..Options::listener(format!("eventhubs-emulator-{number}"))
    }
}

/// A node on which requests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Cbs,
    Management,
}

/// What a link is for.
#[derive(Debug)]
enum Link {
    /// Brings requests to a node.
    Requests {
        node: Node,
        session: SessionId,
    },
    /// Takes answers of a node; found by session, target address or link name.
    Answers {
        node: Node,
        session: SessionId,
        address: Option<String>,
        name: String,
    },
    Producer(Producer),
    Consumer(Consumer),
}

/// The service's side of one connection.
#[derive(Debug)]
pub(crate) struct Broker {
    namespace: Arc<Namespace>,
    bell: Arc<Bell>,
    number: u64,
    links: HashMap<LinkId, Link>,
    grants: Grants,
    /// Consumer links that may have something to send.
    ready: Vec<LinkId>,
    // Kept for their capacity.
    touched: Vec<LinkId>,
    deliveries: Vec<Delivery>,
    signals: Vec<Signal>,
    chunk: Vec<Stored>,
}

impl Broker {
    /// The service for a connection just accepted.
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        let bell = Arc::new(Bell::default());
        let number = namespace.enter(&bell);
        Self {
            namespace,
            bell,
            number,
            links: HashMap::new(),
            grants: Grants::default(),
            ready: Vec::new(),
            touched: Vec::new(),
            deliveries: Vec::new(),
            signals: Vec::new(),
            chunk: Vec::new(),
        }
    }

    /// Number of the connection, for its container id.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn handle_signals(&mut self, engine: &mut Connection) {
        let mut signals = std::mem::take(&mut self.signals);
        self.bell.take(&mut signals);
        for signal in signals.drain(..) {
            match signal {
                Signal::Appended(link) => {
                    if let Some(Link::Consumer(consumer)) = self.links.get_mut(&link) {
                        consumer.handle_appended();
                        self.ready.push(link);
                    }
                }
                Signal::Displaced(link, error) => {
                    if self.links.remove(&link).is_some() {
                        engine.detach(link, true, Some(error));
                    }
                }
                Signal::Shutdown => {
                    let text = "The emulator is shutting down.";
                    engine.close(Some(AmqpError::new(condition::CONNECTION_FORCED, text)));
                }
            }
        }
        self.signals = signals;
    }

    /// Takes what the engine has, links before events: a link may receive and be detached at once.
    fn handle_engine(&mut self, engine: &mut Connection) {
        loop {
            let mut touched = std::mem::take(&mut self.touched);
            engine.touched(&mut touched);
            for link in touched.drain(..) {
                self.handle_touched(engine, link);
            }
            self.touched = touched;
            let Some(event) = engine.poll_event() else {
                break;
            };
            self.handle_event(engine, event);
        }
    }

    fn handle_touched(&mut self, engine: &mut Connection, link: LinkId) {
        if let Some(Link::Consumer(_)) = self.links.get(&link) {
            return self.ready.push(link);
        }
        let mut deliveries = std::mem::take(&mut self.deliveries);
        engine.deliveries(link, &mut deliveries);
        match self.links.get(&link) {
            Some(Link::Producer(producer)) => {
                producer.handle(engine, link, &mut deliveries, self.namespace.clock.now());
            }
            Some(Link::Requests { node, session }) => {
                let (node, session) = (*node, *session);
                self.handle_requests(engine, (link, node, session), &mut deliveries);
            }
            Some(Link::Answers { .. } | Link::Consumer(_)) | None => {
                let held = deliveries
                    .drain(..)
                    .map(|delivery| delivery.held_bytes())
                    .sum();
                engine.consumed(link, held);
            }
        }
        self.deliveries = deliveries;
    }

    fn handle_event(&mut self, engine: &mut Connection, event: Event) {
        match event {
            Event::SaslInit {
                mechanism,
                initial_response,
                ..
            } => {
                let response = initial_response.unwrap_or_default();
                match plain::check(&mechanism, &response, &self.namespace.keys) {
                    plain::Outcome::Anonymous => engine.sasl_outcome(Code::Ok),
                    plain::Outcome::Proved(rights) => {
                        self.grants.put_namespace(rights);
                        engine.sasl_outcome(Code::Ok);
                    }
                    plain::Outcome::Refused => engine.sasl_outcome(Code::Auth),
                }
            }
            Event::SaslResponse(_) => engine.sasl_outcome(Code::Auth),
            Event::Open(_) => engine.open(),
            Event::Begin {
                session,
                incoming: true,
                ..
            } => {
                if let Err(error) = engine.accept_session(session, SESSION) {
                    tracing::debug!(connection = self.number, %error, "a session went at once");
                }
            }
            Event::Attach {
                link,
                session,
                attach,
                incoming: true,
            } => {
                self.handle_attach(engine, link, session, *attach);
            }
            Event::Drain { link } => match self.links.get_mut(&link) {
                Some(Link::Consumer(consumer)) => {
                    consumer.handle_drain();
                    self.ready.push(link);
                }
                _ => engine.drained(link),
            },
            Event::Detach { link, error, .. } => {
                if let Some(error) = error {
                    tracing::debug!(connection = self.number, %error, "a link was detached");
                }
                self.links.remove(&link);
            }
            Event::Closed(reason) => {
                tracing::debug!(connection = self.number, %reason, "the connection is over");
                self.links.clear();
            }
            Event::SaslChallenge(_)
            | Event::Begin { .. }
            | Event::Attach { .. }
            | Event::Drained { .. }
            | Event::End { .. } => {}
        }
    }

    fn handle_attach(
        &mut self,
        engine: &mut Connection,
        id: LinkId,
        session: SessionId,
        attach: Attach,
    ) {
        let opened = match attach.role {
            Role::Sender => self.open_for_sender(session, &attach),
            Role::Receiver => self.open_for_receiver(id, session, &attach),
        };
        let link = match opened {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(connection = self.number, %error, "a link was refused");
                return engine.refuse(id, error);
            }
        };
        let credit = match &link {
            Link::Producer(_) => producer::CREDIT,
            Link::Requests { .. } => REQUEST_CREDIT,
            Link::Answers { .. } | Link::Consumer(_) => 0,
        };
        if engine.accept(id, self.answer(&link, attach)).is_err() {
            let text = "The session has no handle left for this link.";
            let error = AmqpError::new(condition::RESOURCE_LIMIT_EXCEEDED, text);
            return engine.end(session, Some(error));
        }
        if credit > 0 {
            engine.set_credit(id, credit);
        }
        self.links.insert(id, link);
    }

    /// The answer to an attach that is accepted.
    fn answer(&self, link: &Link, attach: Attach) -> Attach {
        let max_message_size = match self.namespace.lenient {
            true => self
                .namespace
                .limits
                .max_message_size
                .max(LENIENT_MESSAGE_SIZE),
            false => self.namespace.limits.max_message_size,
        };
        let offered = |capability: &Symbol| {
            matches!(link, Link::Consumer(_)) && **capability == *link::RUNTIME_METRIC
        };
        Attach {
            snd_settle_mode: match attach.role {
                // The service sends settled whatever the receiver asks for.
                Role::Receiver => SenderSettleMode::Settled,
                Role::Sender => attach.snd_settle_mode,
            },
            // The Python client asks for `second` and then reacts to settled outcomes only.
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(attach.source.unwrap_or_default()),
            target: Some(attach.target.unwrap_or_default()),
            max_message_size: Some(max_message_size),
            offered_capabilities: attach
                .desired_capabilities
                .into_iter()
                .filter(offered)
                .collect(),
            properties: attach.properties,
            ..Attach::default()
        }
    }

    /// A link on which the client sends.
    fn open_for_sender(&self, session: SessionId, attach: &Attach) -> Result<Link, AmqpError> {
        let target = attach.target.as_ref();
        if target.is_some_and(|target| target.coordinator) {
            let text = "Transactions are not supported by Event Hubs.";
            return Err(AmqpError::new(condition::NOT_IMPLEMENTED, text));
        }
        let text = target
            .and_then(|target| target.address.as_deref())
            .unwrap_or_default();
        match Address::parse(text) {
            Address::Cbs => Ok(Link::Requests {
                node: Node::Cbs,
                session,
            }),
            Address::Management => {
                self.authorize_any(text)?;
                Ok(Link::Requests {
                    node: Node::Management,
                    session,
                })
            }
            Address::Hub { hub } => {
                self.authorize(text, Need::Send)?;
                Ok(Link::Producer(Producer::new(self.hub(&hub, text)?, None)))
            }
            Address::Partition { hub, partition } => {
                self.authorize(text, Need::Send)?;
                let hub = self.hub(&hub, text)?;
                let number = partition_number(&hub, &partition)?;
                Ok(Link::Producer(Producer::new(hub, Some(number))))
            }
            Address::Consumer { .. } => {
                let text = format!("The entity '{text}' takes no messages: send to the hub.");
                Err(AmqpError::new(condition::NOT_ALLOWED, text))
            }
            Address::Unknown => Err(not_found(text)),
        }
    }

    /// A link on which the client receives.
    fn open_for_receiver(
        &self,
        id: LinkId,
        session: SessionId,
        attach: &Attach,
    ) -> Result<Link, AmqpError> {
        let source = attach
            .source
            .as_ref()
            .and_then(|source| source.address.as_deref());
        let text = source.unwrap_or_default();
        let answers = |node| Link::Answers {
            node,
            session,
            address: attach
                .target
                .as_ref()
                .and_then(|target| target.address.clone()),
            name: attach.name.clone(),
        };
        match Address::parse(text) {
            Address::Cbs => Ok(answers(Node::Cbs)),
            Address::Management => {
                self.authorize_any(text)?;
                Ok(answers(Node::Management))
            }
            Address::Consumer {
                hub,
                group,
                partition,
            } => {
                self.authorize(text, Need::Listen)?;
                let hub = self.hub(&hub, text)?;
                let group = hub.group(&group).ok_or_else(|| not_found(text))?.to_owned();
                let number = partition_number(&hub, &partition)?;
                let seat = Seat {
                    bell: Arc::clone(&self.bell),
                    link: id,
                };
                let limit = self.namespace.limits.receivers_per_partition;
                let wishes = Wishes::read(attach)?;
                Consumer::admit((hub, number, group), seat, wishes, limit).map(Link::Consumer)
            }
            Address::Hub { .. } | Address::Partition { .. } => {
                let text = format!(
                    "The entity '{text}' cannot be received from: use \
                     '{{hub}}/ConsumerGroups/{{group}}/Partitions/{{partition}}'."
                );
                Err(AmqpError::new(condition::NOT_ALLOWED, text))
            }
            Address::Unknown => Err(not_found(text)),
        }
    }

    fn hub(&self, name: &str, address: &str) -> Result<Arc<Hub>, AmqpError> {
        self.namespace.hub(name).ok_or_else(|| not_found(address))
    }

    fn authorize(&self, address: &str, need: Need) -> Result<(), AmqpError> {
        let path = address::path(address);
        match self.grants.allow(path, need, self.namespace.clock.now()) {
            true => Ok(()),
            false => Err(Grants::refusal(path, need)),
        }
    }

    /// The node does not say which hub is meant; the requests do, and are checked one by one.
    fn authorize_any(&self, address: &str) -> Result<(), AmqpError> {
        match self.grants.any(self.namespace.clock.now()) {
            true => Ok(()),
            false => Err(Grants::refusal(address::path(address), Need::Read)),
        }
    }

    fn handle_requests(
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
            let Some(request) = request else {
                let text = "The request cannot be decoded, or is larger than a request can be.";
                let error = AmqpError::new(condition::DECODE_ERROR, text);
                if !settled {
                    let state = DeliveryState::Rejected(Some(error));
                    engine.settle(link, id, id, state, true);
                }
                continue;
            };
            if !settled {
                let state = DeliveryState::Accepted;
                engine.settle(link, id, id, state, true);
            }
            let answer = match node {
                Node::Cbs => cbs::answer(&self.namespace, &request, &mut self.grants, now),
                Node::Management => {
                    management::answer(&self.namespace, &request, &self.grants, now)
                }
            };
            let payload = answer.encode(&request);
            match self.reply_link(node, session, request.reply_to()) {
                Some(reply) => {
                    let answer = Outgoing {
                        payload,
                        message_format: 0,
                        settled: true,
                        token: 0,
                    };
                    if let Err(error) = engine.send(reply, answer) {
                        tracing::debug!(connection = self.number, %error, "an answer was dropped");
                    }
                }
                None => tracing::debug!(connection = self.number, "nobody takes the answer"),
            }
        }
        if engine.credit(link) <= REQUEST_CREDIT / 2 {
            engine.set_credit(link, REQUEST_CREDIT);
        }
    }

    /// Where an answer goes. A reply-to names a link of the node by target address or by link
    /// name; without one, or when it names none, the node's link on the same session is meant.
    fn reply_link(&self, node: Node, on: SessionId, reply_to: Option<&str>) -> Option<LinkId> {
        let answers = || {
            self.links.iter().filter_map(|(id, link)| match link {
                Link::Answers {
                    node: of,
                    session,
                    address,
                    name,
                } if *of == node => Some((*id, *session, address.as_deref(), name.as_str())),
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

    /// Sends on all consumer links that are ready, a chunk each in turn.
    fn pump_ready(&mut self, engine: &mut Connection) {
        if self.ready.is_empty() {
            return;
        }
        let now = self.namespace.clock.now();
        while !self.ready.is_empty() {
            let Self {
                ready,
                links,
                chunk,
                ..
            } = self;
            ready.retain(|id| match links.get_mut(id) {
                Some(Link::Consumer(consumer)) => {
                    let more = consumer.pump(engine, *id, now, chunk) == Pumped::More;
                    if consumer.take_drained() {
                        engine.drained(*id);
                    }
                    more
                }
                _ => false,
            });
        }
    }
}

impl Service for Broker {
    fn turn(&mut self, engine: &mut Connection, _now: Instant) {
        self.handle_signals(engine);
        self.handle_engine(engine);
        self.pump_ready(engine);
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.poll(cx)
    }

    fn timeout(&self) -> Option<Instant> {
        None
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.namespace.leave(self.number);
    }
}

fn partition_number(hub: &Hub, id: &str) -> Result<u32, AmqpError> {
    hub.partition_number(id).ok_or_else(|| {
        let condition = Symbol::from_static(names::condition::ARGUMENT_OUT_OF_RANGE);
        AmqpError::new(condition, management::unknown_partition_text(hub))
    })
}

/// The service's words for an entity that does not exist; clients recognise them.
fn not_found(address: &str) -> AmqpError {
    let text = format!("The messaging entity '{address}' could not be found.");
    AmqpError::new(condition::NOT_FOUND, text)
}
