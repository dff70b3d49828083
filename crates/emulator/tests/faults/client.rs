//! A client that does nothing by itself: the engine on an in-memory stream, with everything that
//! came and when. Time is the runtime's, which every test pauses.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::frame::{Header, Kind};
use eventhubs_amqp::codec::message::{Body, Message, Properties};
use eventhubs_amqp::codec::performative::{Attach, Performative, Role};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Map, Source, Target, Value};
use eventhubs_amqp::engine::{
    CloseReason, Connection, Event, LinkId, Options, Outgoing, Sasl, SessionId, SessionOptions,
};
use eventhubs_amqp::net::Stream;
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Longest time that a test waits for anything, on the paused clock.
const LIMIT: Duration = Duration::from_secs(3600);

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The first partition, as receivers name it.
pub(crate) const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";

/// Something that came to the client.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Open,
    Begin(SessionId),
    Attach(LinkId, Box<Attach>),
    /// Link, delivery id, state.
    Outcome(LinkId, u32, Option<DeliveryState>),
    /// Link, delivery id, payload.
    Delivery(LinkId, u32, Bytes),
    Detach(LinkId, Option<AmqpError>),
    End(SessionId, Option<AmqpError>),
    Drain(LinkId),
    Closed(CloseReason),
    /// The stream ended.
    Eof,
    /// The stream failed.
    Failed(io::ErrorKind),
}

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Since the client was made.
    pub(crate) at: Duration,
    pub(crate) what: What,
}

pub(crate) struct Client {
    pub(crate) engine: Connection,
    pub(crate) seen: Vec<Seen>,
    /// Every byte that came.
    pub(crate) raw: Vec<u8>,
    /// How many came at a time.
    pub(crate) reads: Vec<usize>,
    pub(crate) session: Option<SessionId>,
    stream: Box<dyn Stream>,
    input: BytesMut,
    start: Instant,
    ended: bool,
    next: u64,
}

/// An emulator in memory with one hub of four partitions.
pub(crate) async fn emulator() -> Emulator {
    Emulator::start(Config::default().in_memory()).await.expect("an emulator")
}

impl Client {
    /// A client that has said nothing yet, with a name.
    pub(crate) fn silent(stream: impl Stream, name: &str) -> Self {
        let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
        Self::with_sasl(stream, name, sasl)
    }

    fn with_sasl(stream: impl Stream, name: &str, sasl: Sasl) -> Self {
        let start = Instant::now();
        let options = Options { sasl, ..Options::dialler(name) };
        Self {
            engine: Connection::new(options, start.into_std()),
            seen: Vec::new(),
            raw: Vec::new(),
            reads: Vec::new(),
            session: None,
            stream: Box::new(stream),
            input: BytesMut::new(),
            start,
            ended: false,
            next: 0,
        }
    }

    /// A client that has opened and begun a session.
    pub(crate) async fn open(emulator: &Emulator) -> Self {
        Self::named(emulator, "client").await
    }

    pub(crate) async fn named(emulator: &Emulator, name: &str) -> Self {
        let mut client = Self::silent(emulator.connect_memory(), name);
        client.until(|what| matches!(what, What::Open)).await;
        client.begin().await;
        client
    }

    /// A client that has opened and begun a session, and has to prove itself with a token.
    pub(crate) async fn anonymous(emulator: &Emulator) -> Self {
        let mut client = Self::with_sasl(emulator.connect_memory(), "client", Sasl::Anonymous);
        client.until(|what| matches!(what, What::Open)).await;
        client.begin().await;
        client
    }

    /// Begins a session, on which links are attached from now on.
    pub(crate) async fn begin(&mut self) -> SessionId {
        let session = self.engine.begin(SessionOptions::default()).expect("a session");
        self.session = Some(session);
        self.until(|what| matches!(what, What::Begin(id) if *id == session)).await;
        session
    }

    /// How long this client has lived.
    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// Lets this much time pass.
    pub(crate) async fn run(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.ended {
            self.step(until).await;
        }
        if self.ended {
            tokio::time::timeout_at(until, std::future::pending::<()>()).await.ok();
        }
    }

    /// Lets everything be said that can be said at once.
    pub(crate) async fn settle(&mut self) {
        self.run(Duration::from_millis(1)).await;
    }

    /// Waits for something, which may have come already; when it came.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&What) -> bool) -> Duration {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(seen) = self.seen.iter().find(|seen| wanted(&seen.what)) {
                return seen.at;
            }
            assert!(!self.ended && Instant::now() < limit, "never came: {:?}", self.seen);
            self.step(limit).await;
        }
    }

    /// One exchange, at most until `until`.
    async fn step(&mut self, until: Instant) {
        self.write(until).await;
        self.collect();
        if self.ended {
            return;
        }
        let due = self.engine.poll_timeout().map_or(until, |due| until.min(due.into()));
        let before = self.input.len();
        match timeout_at(due, self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(0)) => self.end(What::Eof),
            Ok(Ok(count)) => {
                self.reads.push(count);
                self.raw.extend_from_slice(&self.input[before..]);
                let now = Instant::now().into_std();
                while self.engine.handle_input(now, &mut self.input) {
                    self.collect();
                }
            }
            Ok(Err(error)) => self.end(What::Failed(error.kind())),
            Err(_) => self.engine.handle_timeout(Instant::now().into_std()),
        }
        self.collect();
    }

    async fn write(&mut self, until: Instant) {
        while self.engine.has_output() && !self.ended {
            let mut slices = [IoSlice::new(&[]); 16];
            let used = self.engine.poll_transmit(&mut slices);
            let wrote = timeout_at(until, self.stream.write_vectored(&slices[..used])).await;
            match wrote {
                Ok(Ok(count)) => self.engine.wrote(count),
                Ok(Err(_)) => {
                    // Reading tells why.
                    let mut rest = Vec::new();
                    let _ = self.stream.read_to_end(&mut rest).await;
                    self.raw.extend_from_slice(&rest);
                    return self.end(What::Eof);
                }
                Err(_) => return,
            }
        }
    }

    fn end(&mut self, what: What) {
        self.ended = true;
        self.see(what);
        self.engine.handle_eof(Instant::now().into_std());
    }

    fn see(&mut self, what: What) {
        self.seen.push(Seen { at: self.start.elapsed(), what });
    }

    fn collect(&mut self) {
        let mut touched = Vec::new();
        self.engine.touched(&mut touched);
        for link in touched {
            let (mut deliveries, mut outcomes) = (Vec::new(), Vec::new());
            self.engine.deliveries(link, &mut deliveries);
            for delivery in deliveries {
                self.engine.consumed(link, delivery.held_bytes());
                let id = delivery.id();
                self.see(What::Delivery(link, id, delivery.into_payload()));
            }
            self.engine.outcomes(link, &mut outcomes);
            for outcome in outcomes {
                self.see(What::Outcome(link, outcome.delivery_id, outcome.state));
            }
        }
        while let Some(event) = self.engine.poll_event() {
            let what = match event {
                Event::Open(_) => What::Open,
                Event::Begin { session, .. } => What::Begin(session),
                Event::Attach { link, attach, .. } => What::Attach(link, attach),
                Event::Detach { link, error, .. } => What::Detach(link, error),
                Event::End { session, error, .. } => What::End(session, error),
                Event::Drain { link } => What::Drain(link),
                Event::Closed(reason) => What::Closed(reason),
                _ => continue,
            };
            self.see(what);
        }
    }

    /// Attaches a link without waiting for the answer.
    pub(crate) fn attach(&mut self, attach: Attach) -> LinkId {
        self.next += 1;
        let name = match attach.name.is_empty() {
            true => format!("link-{}", self.next),
            false => attach.name,
        };
        let session = self.session.expect("a session");
        self.engine.attach(session, Attach { name, ..attach }).expect("a free handle")
    }

    /// Attaches a sender and waits for the answer.
    pub(crate) async fn sender(&mut self, address: &str) -> LinkId {
        let link = self.attach(to(address));
        self.attached(link).await;
        link
    }

    /// Attaches a receiver that starts at the beginning, and waits for the answer.
    pub(crate) async fn receiver(&mut self, address: &str) -> LinkId {
        let link = self.attach(from(address));
        self.attached(link).await;
        link
    }

    /// The answer to an attach, and when it came.
    pub(crate) async fn attached(&mut self, link: LinkId) -> (Duration, Attach) {
        let at = self.until(|what| matches!(what, What::Attach(id, _) if *id == link)).await;
        let attach = self.seen.iter().find_map(|seen| match &seen.what {
            What::Attach(id, attach) if *id == link => Some((**attach).clone()),
            _ => None,
        });
        (at, attach.expect("it came"))
    }

    /// Why a link was detached, and when.
    pub(crate) async fn detached(&mut self, link: LinkId) -> (Duration, Option<AmqpError>) {
        let at = self.until(|what| matches!(what, What::Detach(id, _) if *id == link)).await;
        let error = self.seen.iter().find_map(|seen| match &seen.what {
            What::Detach(id, error) if *id == link => Some(error.clone()),
            _ => None,
        });
        (at, error.expect("it came"))
    }

    /// Why the connection ended.
    pub(crate) async fn closed(&mut self) -> CloseReason {
        self.until(|what| matches!(what, What::Closed(_))).await;
        let reason = self.seen.iter().find_map(|seen| match &seen.what {
            What::Closed(reason) => Some(reason.clone()),
            _ => None,
        });
        reason.expect("it is over")
    }

    /// Waits for credit and sends a message unsettled; its delivery id.
    pub(crate) async fn send(&mut self, link: LinkId, body: &str) -> u32 {
        self.send_raw(link, event(body)).await
    }

    pub(crate) async fn send_raw(&mut self, link: LinkId, payload: Bytes) -> u32 {
        let limit = Instant::now() + LIMIT;
        while self.engine.can_send(link, payload.len()).is_err() {
            assert!(Instant::now() < limit && !self.ended, "no credit: {:?}", self.seen);
            self.step(limit).await;
        }
        self.next += 1;
        let outgoing = Outgoing { payload, message_format: 0, settled: false, token: self.next };
        self.engine.send(link, outgoing).expect("credit")
    }

    /// The outcome of a message that was sent, and when it came.
    pub(crate) async fn outcome(&mut self, link: LinkId, id: u32) -> (Duration, DeliveryState) {
        let is = |what: &What| matches!(what, What::Outcome(l, i, _) if (*l, *i) == (link, id));
        let at = self.until(is).await;
        let state = self.seen.iter().find_map(|seen| match &seen.what {
            What::Outcome(l, i, state) if (*l, *i) == (link, id) => state.clone(),
            _ => None,
        });
        (at, state.expect("a state"))
    }

    /// Sends and waits for the outcome.
    pub(crate) async fn publish(&mut self, link: LinkId, body: &str) -> DeliveryState {
        let id = self.send(link, body).await;
        self.outcome(link, id).await.1
    }

    /// Outcomes so far, by delivery id.
    pub(crate) fn outcomes(&self) -> Vec<u32> {
        let each = self.seen.iter().filter_map(|seen| match seen.what {
            What::Outcome(_, id, _) => Some(id),
            _ => None,
        });
        each.collect()
    }

    /// Bodies of what has been delivered so far on a link, as text.
    pub(crate) fn bodies(&self, link: LinkId) -> Vec<String> {
        self.payloads(link).iter().map(text).collect()
    }

    /// What has been delivered so far on a link.
    pub(crate) fn payloads(&self, link: LinkId) -> Vec<Bytes> {
        let each = self.seen.iter().filter_map(|seen| match &seen.what {
            What::Delivery(id, _, payload) if *id == link => Some(payload.clone()),
            _ => None,
        });
        each.collect()
    }

    /// Everything that stands in the first partition, through a connection of its own.
    pub(crate) async fn stored(emulator: &Emulator) -> Vec<String> {
        let mut reader = Self::named(emulator, "reader").await;
        let link = reader.receiver(FIRST).await;
        reader.engine.set_credit(link, 10_000);
        reader.settle().await;
        reader.bodies(link)
    }

    /// The AMQP frames among the bytes that came, as far as they can be decoded.
    pub(crate) fn frames(&self) -> Vec<(u16, Performative, Bytes)> {
        frames(&self.raw)
    }

    /// Attaches a pair of links to a node, with credit for answers.
    pub(crate) async fn node(&mut self, node: &str) -> Node {
        let answers = self.attach(Attach { target: Some(Target::new("answers")), ..from(node) });
        let requests = self.attach(to(node));
        self.engine.set_credit(answers, 100);
        self.attached(answers).await;
        self.attached(requests).await;
        Node { requests, answers }
    }

    /// Sends a request; its message id.
    pub(crate) async fn ask(
        &mut self,
        node: &Node,
        properties: &[(&str, &str)],
        body: &str,
    ) -> u64 {
        self.next += 1;
        let id = self.next;
        let message = Message {
            properties: Some(Properties {
                message_id: Some(id.into()),
                reply_to: Some("answers".to_owned()),
                ..Properties::default()
            }),
            application_properties: properties.iter().map(|(k, v)| (*k, *v)).collect(),
            body: Body::Value(Value::from(body)),
            ..Message::default()
        };
        self.send_raw(node.requests, encoded(&message)).await;
        id
    }

    /// Asks about the hub.
    pub(crate) async fn ask_hub(&mut self, node: &Node) -> u64 {
        let hub = "com.microsoft:eventhub";
        let properties = [("operation", "READ"), ("name", "hub"), ("type", hub)];
        self.ask(node, &properties, "").await
    }

    /// Answers to a request so far, with when they came.
    pub(crate) fn answers(&self, node: &Node, id: u64) -> Vec<(Duration, Message)> {
        let each = self.seen.iter().filter_map(|seen| match &seen.what {
            What::Delivery(link, _, payload) if *link == node.answers => {
                Some((seen.at, Message::decode(payload).expect("a message")))
            }
            _ => None,
        });
        let correlated = |message: &Message| {
            let properties = message.properties.as_ref();
            properties.and_then(|properties| properties.correlation_id.clone()) == Some(id.into())
        };
        each.filter(|(_, message)| correlated(message)).collect()
    }

    /// The first answer to a request.
    pub(crate) async fn answer(&mut self, node: &Node, id: u64) -> (Duration, Message) {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(answer) = self.answers(node, id).into_iter().next() {
                return answer;
            }
            assert!(!self.ended && Instant::now() < limit, "never came: {:?}", self.seen);
            self.step(limit).await;
        }
    }
}

/// A pair of links to a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) requests: LinkId,
    pub(crate) answers: LinkId,
}

/// Status and error condition of an answer.
pub(crate) fn status(answer: &Message) -> (Option<i64>, String) {
    let property = |name| answer.application_properties.get(name);
    let condition = property("error-condition").and_then(Value::as_str).unwrap_or_default();
    (property("status-code").and_then(Value::as_i64), condition.to_owned())
}

/// The attach of a sender.
pub(crate) fn to(address: &str) -> Attach {
    Attach {
        role: Role::Sender,
        source: Some(Source::default()),
        target: Some(Target::new(address)),
        initial_delivery_count: Some(0),
        ..Attach::default()
    }
}

/// The attach of a receiver that starts at the beginning.
pub(crate) fn from(address: &str) -> Attach {
    let mut filter = Map::new();
    filter.insert("apache.org:selector-filter:string", "amqp.annotation.x-opt-offset > '-1'");
    Attach {
        role: Role::Receiver,
        source: Some(Source { filter, ..Source::new(address) }),
        target: Some(Target::default()),
        ..Attach::default()
    }
}

/// The attach of a receiver with an epoch.
pub(crate) fn owner(epoch: i64) -> Attach {
    let mut attach = from(FIRST);
    attach.properties.insert("com.microsoft:epoch", epoch);
    attach
}

pub(crate) fn encoded(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// An encoded event.
pub(crate) fn event(body: &str) -> Bytes {
    encoded(&Message { body: Body::from(body.as_bytes()), ..Message::default() })
}

/// The body of an event as text.
pub(crate) fn text(payload: &Bytes) -> String {
    let message = Message::decode(payload).expect("a message");
    let Body::Data(sections) = message.body else { panic!("{message:?}") };
    String::from_utf8(sections.concat()).expect("text")
}

/// The AMQP frames of a stream, as far as they can be decoded.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u16, Performative, Bytes)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() >= 8 && bytes.starts_with(b"AMQP") {
            bytes = &bytes[8..];
            continue;
        }
        let Ok(Some(header)) = Header::decode(bytes) else { break };
        let size = header.size as usize;
        if size < 8 || size > bytes.len() {
            break;
        }
        let (whole, rest) = bytes.split_at(size);
        bytes = rest;
        let body = &whole[header.body_start()..];
        if header.kind == Kind::Amqp && !body.is_empty() {
            let Ok((performative, used)) = Performative::decode(body) else { break };
            frames.push((header.channel, performative, Bytes::copy_from_slice(&body[used..])));
        }
    }
    frames
}
