//! What a connection says of itself when it is asked.

use std::net::SocketAddr;

use eventhubs_amqp::codec::Value;
use eventhubs_amqp::engine::{CloseReason, Connection, LinkId};
use tokio::time::Instant;

use super::{Broker, Link, Node};
use crate::fault::Role;
use crate::names;
use crate::rules::address::Address;
use crate::view::overview::{ConnectionSnapshot, LinkSnapshot};

/// How a client came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The kind of listener, as on the command line.
    pub(crate) transport: &'static str,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) since: Instant,
    /// What the client chose, if it spoke SASL.
    pub(crate) mechanism: Option<String>,
}

impl Visit {
    /// A client without a socket, from now on.
    pub(crate) fn in_memory() -> Self {
        Self { transport: "in memory", peer: None, since: Instant::now(), mechanism: None }
    }
}

impl Broker {
    /// Notes what happened on this connection, for people who look.
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.namespace.note(self.number, what);
    }

    /// Notes the end of the connection if it was not an orderly one.
    pub(super) fn note_end(&self, reason: &CloseReason) {
        match reason {
            CloseReason::Local | CloseReason::Remote(None) => {}
            // Noted where it was refused.
            CloseReason::Sasl(_) => {}
            other => self.note(format!("The connection ended: {other}")),
        }
    }

    /// Answers whoever wants to know what this connection is doing.
    pub(super) fn handle_question(&self, engine: &Connection) {
        if let Some(asking) = self.bell.asked() {
            // Whoever asked may have gone.
            let _ = asking.send(self.report(engine));
        }
    }

    fn report(&self, engine: &Connection) -> ConnectionSnapshot {
        let now = self.namespace.clock.now();
        let open = engine.remote_open();
        let user_agent = open.and_then(|open| {
            open.properties.get(names::open::USER_AGENT).and_then(Value::as_str).map(str::to_owned)
        });
        let mut links: Vec<_> = self.links.iter().collect();
        links.sort_unstable_by_key(|(id, _)| id.index());
        ConnectionSnapshot {
            number: self.number,
            transport: self.visit.transport.to_owned(),
            peer: self.visit.peer,
            container_id: open.map(|open| open.container_id.clone()),
            user_agent,
            mechanism: self.visit.mechanism.clone(),
            age: self.visit.since.elapsed(),
            audiences: self.grants.audiences(),
            links: links
                .into_iter()
                .map(|(id, link)| report_link(engine, *id, link, now))
                .collect(),
        }
    }
}

fn report_link(engine: &Connection, id: LinkId, link: &Link, now: i64) -> LinkSnapshot {
    let (role, incoming, address) = match link {
        Link::Producer(producer) => (Role::Producer, true, producer.standing.address.as_str()),
        Link::Consumer(consumer) => (Role::Consumer, false, consumer.standing.address.as_str()),
        Link::Requests { node, .. } => (role(*node), true, node_name(*node)),
        Link::Answers(answers) => (role(answers.node()), false, node_name(answers.node())),
    };
    let (hub, group, partition) = match Address::parse(address) {
        Address::Hub { hub } | Address::Publisher { hub, .. } => (Some(hub), None, None),
        Address::Partition { hub, partition } => (Some(hub), None, Some(partition)),
        Address::Consumer { hub, group, partition } => (Some(hub), Some(group), Some(partition)),
        Address::Cbs | Address::Management | Address::Unknown => (None, None, None),
    };
    let progress = match link {
        Link::Consumer(consumer) => Some(consumer.progress(now)),
        _ => None,
    };
    LinkSnapshot {
        name: engine.link_name(id).unwrap_or_default().to_owned(),
        role,
        incoming,
        address: crate::rules::address::path(address).to_owned(),
        hub,
        partition,
        consumer_group: group,
        epoch: progress.and_then(|progress| progress.epoch),
        credit: engine.credit(id),
        position: progress.map(|progress| progress.position),
        lag: progress.map(|progress| progress.lag),
        messages: match link {
            Link::Producer(producer) => Some(producer.messages()),
            _ => progress.map(|progress| progress.messages),
        },
    }
}

fn role(node: Node) -> Role {
    match node {
        Node::Cbs => Role::Cbs,
        Node::Management => Role::Management,
    }
}

fn node_name(node: Node) -> &'static str {
    match node {
        Node::Cbs => names::CBS_NODE,
        Node::Management => names::MANAGEMENT_NODE,
    }
}
