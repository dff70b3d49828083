//! One connection as the service sees it: which links it has, and what is done on each.

mod admission;
pub(crate) mod cbs;
pub(crate) mod consumer;
mod management;
mod numbering;
pub(crate) mod producer;
mod report;
pub(crate) mod request;
mod requests;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use eventhubs_amqp::codec::performative::Attach;
use eventhubs_amqp::codec::sasl::Code;
use eventhubs_amqp::codec::{AmqpError, FieldList, Symbol, condition};
use eventhubs_amqp::engine::{
    self, Connection, Delivery, Event, LinkId, Options, Sasl, SessionId, SessionOptions,
};
use eventhubs_amqp::net::Service;

use crate::disorder::{self, Disorder};
use crate::fault::{Effect, Registry};
use crate::line::LineControl;
use crate::names;
use crate::namespace::Namespace;
use crate::namespace::bell::{Bell, Signal};
use crate::namespace::log::Stored;
use crate::rules::plain;
use crate::upkeep::watch::Watch;

use cbs::Grants;
use consumer::{Consumer, Pumped};
use producer::Producer;
use requests::Answers;

pub(crate) use report::Visit;

/// Values the service answers with: frame size and channel-max from traces of it.
const MAX_FRAME_SIZE: u32 = 65_536;
const CHANNEL_MAX: u16 = 4_999;
/// Windows, handle-max and the first transfer id, from traces of the service.
pub(crate) const SESSION: SessionOptions = SessionOptions {
    incoming_window: 5_000,
    outgoing_window: 5_000,
    handle_max: 255,
    next_outgoing_id: 1,
    first_delivery_id: 0,
};
/// Bytes that may wait to be written to one client before its consumer links pause.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Received bytes that one client can make the emulator hold: unfinished messages, mostly.
const CLIENT_BYTES_MAX: usize = 64 << 20;

/// Options of the engine of an accepted connection.
pub(crate) fn engine_options(number: u64, idle_time_out: Duration) -> Options {
    let mechanisms = names::SASL_MECHANISMS.map(Symbol::from_static).to_vec();
    Options {
        max_frame_size: MAX_FRAME_SIZE,
        channel_max: CHANNEL_MAX,
        idle_time_out: Some(idle_time_out),
        // The Python client reads performatives by position and fails on lists cut short.
        fields: FieldList::Full,
        sasl: Sasl::Offer { mechanisms, allow_bare: true },
        limits: engine::Limits {
            output_bytes_max: OUTPUT_BYTES_MAX,
            link_bytes_max: CLIENT_BYTES_MAX,
            connection_bytes_max: CLIENT_BYTES_MAX,
            ..engine::Limits::default()
        },
        // A stored event is larger than what was sent by the annotations that were added to it.
        exceed_peer_message_size: true,
        ..Options::listener(format!("eventhubs-emulator-{number}"))
    }
}

/// A node on which requests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Cbs,
    Management,
}

/// What a link is for.
#[derive(Debug)]
pub(crate) enum Link {
    /// Brings requests to a node.
    Requests {
        node: Node,
        session: SessionId,
    },
    /// Takes answers of a node.
    Answers(Answers),
    Producer(Producer),
    Consumer(Consumer),
}

impl Link {
    /// The node that the link is on, if it is no link of a hub.
    pub(crate) fn node(&self) -> Option<Node> {
        match self {
            Self::Requests { node, .. } => Some(*node),
            Self::Answers(answers) => Some(answers.node()),
            Self::Producer(_) | Self::Consumer(_) => None,
        }
    }

    /// Whether the entity behind it still is what it was attached to.
    fn check(&self) -> Result<(), AmqpError> {
        match self {
            Self::Producer(producer) => producer.check(),
            Self::Consumer(consumer) => consumer.check(),
            Self::Requests { .. } | Self::Answers(_) => Ok(()),
        }
    }
}

/// The service's side of one connection.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) line: Arc<LineControl>,
    pub(crate) number: u64,
    /// Whether TLS has proved who the client is.
    pub(crate) certified: bool,
    pub(crate) visit: Visit,
    pub(crate) links: HashMap<LinkId, Link>,
    pub(crate) grants: Grants,
    pub(crate) disorder: Disorder,
    /// The links on `$cbs`, the one that brings requests first; of each kind there may be one.
    pub(crate) cbs: [Option<LinkId>; 2],
    /// Whether answers about partitions may have offsets that are no numbers.
    pub(crate) geo: bool,
    pub(crate) watch: Watch,
    /// When to look for links that nobody uses.
    pub(crate) idle_due: Option<i64>,
    /// When the service's clock asks for a turn.
    pub(crate) due: Option<i64>,
    /// Consumer links that may have something to send.
    pub(crate) ready: Vec<LinkId>,
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
        let disorder = Disorder::new(number, namespace.faults.read(Registry::latest));
        let mut broker = Self {
            disorder,
            watch: Watch::new(namespace.timers),
            namespace,
            bell,
            line: Arc::default(),
            number,
            certified: false,
            visit: Visit::in_memory(),
            links: HashMap::new(),
            grants: Grants::default(),
            cbs: [None; 2],
            geo: false,
            idle_due: None,
            due: None,
            ready: Vec::new(),
            touched: Vec::new(),
            deliveries: Vec::new(),
            signals: Vec::new(),
            chunk: Vec::new(),
        };
        broker.align_line();
        broker
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
                        self.note(format!("A receiver was displaced: {error}"));
                        engine.detach(link, true, Some(error));
                    }
                }
                Signal::Faults => self.handle_faults(engine),
                Signal::Clock => {}
                Signal::Changed => self.detach_orphans(engine),
                Signal::Shutdown => {
                    let text = "The emulator is shutting down.";
                    engine.close(Some(AmqpError::new(condition::CONNECTION_FORCED, text)));
                }
            }
        }
        self.signals = signals;
    }

    /// Detaches the links whose hub or group is gone or disabled.
    fn detach_orphans(&mut self, engine: &mut Connection) {
        let Self { links, namespace, number, .. } = self;
        links.retain(|id, link| match link.check() {
            Ok(()) => true,
            Err(error) => {
                namespace.note(*number, format!("A link was detached: {error}"));
                engine.detach(*id, true, Some(error));
                false
            }
        });
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
            if let Some(event) = self.hold_event(engine, event) {
                self.handle_event(engine, event);
            }
        }
    }

    pub(crate) fn handle_touched(&mut self, engine: &mut Connection, link: LinkId) {
        if self.is_paused(link) {
            return;
        }
        match self.links.get_mut(&link) {
            Some(Link::Consumer(_)) => return self.ready.push(link),
            Some(Link::Answers(answers)) => answers.send(engine, link),
            Some(Link::Producer(_) | Link::Requests { .. }) | None => {}
        }
        let mut deliveries = std::mem::take(&mut self.deliveries);
        engine.deliveries(link, &mut deliveries);
        match self.links.get(&link) {
            Some(Link::Producer(_)) => self.handle_publications(engine, link, &mut deliveries),
            Some(Link::Requests { node, session }) => {
                let (node, session) = (*node, *session);
                self.handle_requests(engine, (link, node, session), &mut deliveries);
            }
            Some(Link::Answers(_) | Link::Consumer(_)) | None => {
                let held = deliveries.drain(..).map(|delivery| delivery.held_bytes()).sum();
                engine.consumed(link, held);
            }
        }
        self.deliveries = deliveries;
    }

    pub(crate) fn handle_event(&mut self, engine: &mut Connection, event: Event) {
        match event {
            Event::SaslInit { mechanism, initial_response, .. } => {
                let response = initial_response.unwrap_or_default();
                self.visit.mechanism = Some(mechanism.to_string());
                match plain::check(&mechanism, &response, &self.namespace.keys, self.certified) {
                    plain::Outcome::Anonymous => engine.sasl_outcome(Code::Ok),
                    plain::Outcome::Proved(rights) => {
                        self.grants.put_namespace(rights);
                        engine.sasl_outcome(Code::Ok);
                    }
                    plain::Outcome::Refused => {
                        self.note(format!("SASL {mechanism} was refused."));
                        engine.sasl_outcome(Code::Auth);
                    }
                }
            }
            Event::SaslResponse(_) => engine.sasl_outcome(Code::Auth),
            Event::Open(open) => {
                self.watch.handle_open(self.namespace.clock.now());
                self.handle_open(engine, *open);
            }
            Event::Begin { session, incoming: true, .. } => self.handle_begin(engine, session),
            Event::Attach { link, session, attach, incoming: true } => {
                self.handle_incoming_attach(engine, (link, session), *attach);
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
                self.forget_link(link);
            }
            Event::End { session, .. } => self.forget_session(session),
            Event::Closed(reason) => {
                tracing::debug!(connection = self.number, %reason, "the connection is over");
                self.note_end(&reason);
                self.links.clear();
                self.forget_everything();
                self.watch.handle_closed();
            }
            Event::SaslChallenge(_)
            | Event::Begin { .. }
            | Event::Attach { .. }
            | Event::Drained { .. } => {}
        }
    }

    /// Lets a link in or refuses it; `effect` changes what it gets.
    pub(crate) fn handle_attach(
        &mut self,
        engine: &mut Connection,
        (id, session): (LinkId, SessionId),
        attach: Attach,
        effect: Option<&Effect>,
    ) {
        let mut link = match self.admit(id, session, &attach) {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(connection = self.number, %error, "a link was refused");
                self.forget_link(id);
                self.note(format!("Link '{}' was refused: {error}", attach.name));
                return engine.refuse(id, error);
            }
        };
        let mut answer = self.answer(&link, attach);
        disorder::alter(effect, &mut link, &mut answer);
        let geo = answer.offered_capabilities.iter().any(|c| **c == *names::link::GEO_REPLICATION);
        let credit = match &link {
            Link::Producer(producer) => producer.granting.first(),
            Link::Requests { .. } => requests::CREDIT,
            Link::Answers(_) | Link::Consumer(_) => 0,
        };
        if engine.accept(id, answer).is_err() {
            let text = "The session has no handle left for this link.";
            let error = AmqpError::new(condition::RESOURCE_LIMIT_EXCEEDED, text);
            return engine.end(session, Some(error));
        }
        if credit > 0 {
            engine.set_credit(id, credit);
        }
        match link.node() {
            Some(Node::Cbs) => self.cbs[usize::from(matches!(link, Link::Answers(_)))] = Some(id),
            Some(Node::Management) => self.geo |= geo,
            None => self.expect_idle(self.namespace.clock.now()),
        }
        self.links.insert(id, link);
    }

    /// Sends on all consumer links that are ready, a chunk each in turn.
    fn pump_ready(&mut self, engine: &mut Connection) {
        if self.ready.is_empty() {
            return;
        }
        let now = self.namespace.clock.now();
        while !self.ready.is_empty() {
            let Self { ready, links, chunk, namespace, disorder, .. } = self;
            let mut all_struck = Vec::new();
            ready.retain(|id| match links.get_mut(id) {
                Some(Link::Consumer(consumer)) => {
                    let at = (&mut *engine, *id);
                    let pumped = disorder.pump(&namespace.faults, consumer, at, now, chunk);
                    if consumer.take_drained(engine.credit(*id)) {
                        engine.drained(*id);
                    }
                    match pumped {
                        Pumped::More => true,
                        Pumped::Idle => false,
                        Pumped::Struck(struck) => {
                            all_struck.push((*id, struck));
                            false
                        }
                    }
                }
                _ => false,
            });
            for (link, struck) in all_struck {
                self.handle_struck_delivery(engine, link, &struck);
            }
        }
    }
}

impl Service for Broker {
    fn turn(&mut self, engine: &mut Connection, now: Instant) {
        self.handle_agenda(engine, now);
        self.handle_rings(engine);
        self.handle_signals(engine);
        self.handle_engine(engine);
        self.pump_ready(engine);
        self.keep_time(engine);
        self.handle_question(engine);
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.line.has_rung() {
            true => Poll::Ready(()),
            false => self.bell.poll(cx),
        }
    }

    fn timeout(&self) -> Option<Instant> {
        let due = self.due.map(|due| self.namespace.clock.instant(due));
        [self.disorder.due(), due].into_iter().flatten().min()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.namespace.leave(self.number);
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod tests;
