//! A small service that answers as a test wants: it takes any token, and does with transfers what
//! it is told. It is made of the listening end of `eventhubs_amqp`, not of the emulator.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, MessageId, Properties};
use eventhubs_amqp::codec::performative::Role;
use eventhubs_amqp::codec::{DeliveryState, Map, Value};
use eventhubs_amqp::net::{
    AcceptOptions, Connection, IncomingLink, Receiver, ReceiverOptions, Sender, SenderOptions,
    memory_pair,
};
use eventhubs_client::{Hub, HubOptions, Stream};

use super::wire::Wire;

const CBS: &str = "$cbs";

/// What a peer does with an event it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This outcome.
    Outcome(DeliveryState),
    /// Takes it and says nothing.
    Silence,
    /// Leaves it where it is, so that its credit never comes back.
    Ignore,
    /// Detaches the link.
    Detach,
}

/// A token that was put.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Put {
    pub(crate) token: String,
    pub(crate) audience: String,
    pub(crate) kind: String,
    pub(crate) at: tokio::time::Instant,
}

#[derive(Debug, Default)]
struct Log {
    puts: Vec<Put>,
    events: Vec<Bytes>,
    /// What a receiver of the client gets, in order.
    outbox: Vec<Bytes>,
}

#[derive(Debug)]
struct Shared {
    reply: Reply,
    credit: u32,
    /// Status codes of the answers to put-token, the last one for good; none: no answers.
    statuses: Vec<i32>,
    /// Whether links other than those for tokens are answered.
    attaches: bool,
    /// Whether answers that belong to nobody come before each one that does.
    strays: bool,
    log: Mutex<Log>,
}

impl Shared {
    fn new(reply: Reply, credit: u32, statuses: Vec<i32>) -> Self {
        Self { reply, credit, statuses, attaches: true, strays: false, log: Mutex::default() }
    }
}

/// The peer; every connection to it is served alike.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    shared: Arc<Shared>,
}

impl Peer {
    /// Treats events as `reply` says; plenty of credit.
    pub(crate) fn replying(reply: Reply) -> Self {
        Self::new(reply, 100, vec![202])
    }

    /// Answers nothing and grants credit for `credit` events, once.
    pub(crate) fn granting(credit: u32) -> Self {
        Self::new(Reply::Ignore, credit, vec![202])
    }

    /// Answers put-token requests with these status codes in turn, the last one for good; without
    /// any it does not answer.
    pub(crate) fn answering_tokens(statuses: &[i32]) -> Self {
        Self::new(Reply::Outcome(DeliveryState::Accepted), 100, statuses.to_vec())
    }

    /// Takes tokens and leaves every other link without an answer.
    pub(crate) fn attaching_nothing() -> Self {
        let shared = Shared { attaches: false, ..Shared::new(Reply::Ignore, 1, vec![202]) };
        Self { shared: Arc::new(shared) }
    }

    fn new(reply: Reply, credit: u32, statuses: Vec<i32>) -> Self {
        Self { shared: Arc::new(Shared::new(reply, credit, statuses)) }
    }

    /// Answers every request for a token also with what belongs to nobody, and first.
    pub(crate) fn with_stray_answers(self) -> Self {
        let Shared { reply, credit, statuses, .. } = &*self.shared;
        let plain = Shared::new(reply.clone(), *credit, statuses.clone());
        Self { shared: Arc::new(Shared { strays: true, ..plain }) }
    }

    /// Gives these messages, as they are, to whoever receives.
    pub(crate) fn with_outbox(self, messages: impl IntoIterator<Item = Bytes>) -> Self {
        self.log().outbox.extend(messages);
        self
    }

    /// Tokens that were put so far.
    pub(crate) fn puts(&self) -> Vec<Put> {
        self.log().puts.clone()
    }

    /// How many events arrived.
    pub(crate) fn events(&self) -> usize {
        self.log().events.len()
    }

    /// A hub that reaches this peer without TLS, and the wire between them.
    pub(crate) fn hub(&self, options: HubOptions) -> (Hub, Arc<Wire>) {
        let wire = self.wire();
        let text = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=key;\
            UseDevelopmentEmulator=true;EntityPath=hub";
        let options = options.with_connector(wire.connector());
        (Hub::from_connection_string_with(text, None, options).expect("it is valid"), wire)
    }

    pub(crate) fn wire(&self) -> Arc<Wire> {
        let peer = self.clone();
        Wire::new(move || {
            let (near, far) = memory_pair(64 * 1024);
            tokio::spawn(peer.clone().serve(far));
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }

    /// Serves one connection until it is over.
    pub(crate) async fn serve(self, stream: impl Stream) {
        let Ok((_connection, mut incoming)) =
            Connection::accept(stream, AcceptOptions::new("peer")).await
        else {
            return;
        };
        let mut requests = None;
        let (mut unread, mut consumers, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        while let Ok(link) = incoming.next().await {
            match (link.role(), address(&link)) {
                (Role::Receiver, address) if address == CBS => {
                    requests = link.accept_receiver(ReceiverOptions::default()).ok();
                }
                (Role::Sender, address) if address == CBS => {
                    let answers = link.accept_sender(SenderOptions::default());
                    if let (Some(requests), Ok(answers)) = (requests.take(), answers) {
                        tokio::spawn(self.clone().answer(requests, answers));
                    }
                }
                _ if !self.shared.attaches => unanswered.push(link),
                (Role::Receiver, _) => {
                    let prefetch = self.shared.credit;
                    let options = ReceiverOptions {
                        auto_accept: false,
                        prefetch,
                        max_message_size: 1 << 20,
                        ..ReceiverOptions::default()
                    };
                    match link.accept_receiver(options) {
                        Ok(receiver) if matches!(self.shared.reply, Reply::Ignore) => {
                            unread.push(receiver);
                        }
                        Ok(receiver) => drop(tokio::spawn(self.clone().receive(receiver))),
                        Err(_) => return,
                    }
                }
                (Role::Sender, _) => {
                    if let Ok(sender) = link.accept_sender(SenderOptions::default()) {
                        let outbox = self.log().outbox.clone();
                        let sent = outbox.into_iter().map(|message| sender.send(message, 0));
                        consumers.push((sent.collect::<Vec<_>>(), sender));
                    }
                }
            }
        }
    }

    async fn answer(self, mut requests: Receiver, answers: Sender) {
        while let Ok(delivery) = requests.recv().await {
            let Ok(request) = Message::decode(&delivery.into_payload()) else { return };
            let text = |name| {
                request.application_properties.get(name).and_then(Value::as_str).unwrap_or_default()
            };
            let status = {
                let mut log = self.log();
                log.puts.push(Put {
                    token: match &request.body {
                        Body::Value(Value::String(token)) => token.clone(),
                        other => panic!("a token is a text: {other:?}"),
                    },
                    audience: text("name").to_owned(),
                    kind: text("type").to_owned(),
                    at: tokio::time::Instant::now(),
                });
                let statuses = &self.shared.statuses;
                let Some(last) = statuses.last() else { continue };
                *statuses.get(log.puts.len() - 1).unwrap_or(last)
            };
            let mut properties = Map::new();
            properties.insert("status-code", Value::Int(status));
            properties.insert("status-description", "as the test wants");
            let message = Message {
                properties: Some(Properties {
                    correlation_id: request.properties.and_then(|its| its.message_id),
                    ..Properties::default()
                }),
                application_properties: properties,
                body: Body::Value(Value::Null),
                ..Message::default()
            };
            let strays = if self.shared.strays { strays(&message) } else { Vec::new() };
            for message in strays.into_iter().chain([encoded(&message)]) {
                if answers.send(message, 0).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn receive(self, mut receiver: Receiver) {
        while let Ok(delivery) = receiver.recv().await {
            self.log().events.push(Bytes::copy_from_slice(delivery.payload()));
            match &self.shared.reply {
                Reply::Outcome(state) => receiver.settle(&delivery, state.clone()),
                Reply::Silence | Reply::Ignore => {}
                Reply::Detach => return,
            }
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().expect("nobody panics with it")
    }
}

fn encoded(message: &Message) -> Bytes {
    let mut payload = BytesMut::new();
    message.encode(&mut payload);
    payload.freeze()
}

/// Answers that belong to nobody: the refusal `404` under ids of all types, or none, and no message.
fn strays(answer: &Message) -> Vec<Bytes> {
    let ids = [
        None,
        Some(MessageId::Ulong(u64::MAX)),
        Some(MessageId::Uuid([7; 16])),
        Some(MessageId::String("nobody".to_owned())),
        Some(MessageId::Binary(Bytes::from_static(b"nobody"))),
    ];
    let stray = |id: Option<MessageId>| {
        let mut stray = answer.clone();
        stray.application_properties.insert("status-code", Value::Int(404));
        stray.properties = Some(Properties { correlation_id: id, ..Properties::default() });
        encoded(&stray)
    };
    let none = Message { properties: None, ..answer.clone() };
    let broken = Bytes::from_static(b"\x00\x53\x75\xb0\xff\xff\xff\xff");
    ids.into_iter().map(stray).chain([encoded(&none), broken, Bytes::new()]).collect()
}

/// The node that the peer of a link means.
fn address(link: &IncomingLink) -> String {
    let attach = link.attach();
    let address = match link.role() {
        Role::Receiver => attach.target.as_ref().and_then(|target| target.address.clone()),
        Role::Sender => attach.source.as_ref().and_then(|source| source.address.clone()),
    };
    address.unwrap_or_default()
}
