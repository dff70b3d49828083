//! Which links a client may attach, and what it is told about those it may not.

use std::sync::Arc;

use eventhubs_amqp::codec::performative::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
use eventhubs_amqp::codec::{AmqpError, Symbol, condition};
use eventhubs_amqp::engine::{LinkId, SessionId};

use super::cbs::{Grants, Need};
use super::consumer::{Consumer, Place, Wishes};
use super::management;
use super::numbering;
use super::producer::{self, Producer, Terms, Way};
use super::requests::Answers;
use crate::broker::{Broker, Link, Node};
use crate::names::{self, link};
use crate::namespace::Namespace;
use crate::namespace::bell::Seat;
use crate::namespace::hub::{Hub, Usage, not_found};
use crate::namespace::partition::Partition;
use crate::rules::address::{self, Address};
use crate::upkeep::standing::Standing;

impl Broker {
    /// The link that a client attaches.
    pub(crate) fn admit(
        &self,
        id: LinkId,
        session: SessionId,
        attach: &Attach,
    ) -> Result<Link, AmqpError> {
        match attach.role {
            Role::Sender => self.open_for_sender(session, attach),
            Role::Receiver => self.open_for_receiver(id, session, attach),
        }
    }

    /// The answer to an attach that is accepted.
    pub(crate) fn answer(&self, link: &Link, attach: Attach) -> Attach {
        let producer = match link {
            Link::Producer(producer) => Some(producer),
            Link::Consumer(_) | Link::Requests { .. } | Link::Answers(_) => None,
        };
        let ours = self.namespace.max_publication;
        let theirs = attach.max_message_size.filter(|size| *size > 0);
        let max_message_size = theirs.map_or(ours, |theirs| theirs.min(ours));
        let offered = |capability: &Symbol| match &**capability {
            link::RUNTIME_METRIC => matches!(link, Link::Consumer(_)),
            link::GEO_REPLICATION => self.namespace.geo && link.node() != Some(Node::Cbs),
            link::IDEMPOTENT_PRODUCER => producer.is_some_and(|p| p.identity().is_some()),
            _ => false,
        };
        let mut properties = attach.properties;
        if let Some(identity) = producer.and_then(Producer::identity) {
            numbering::tell(identity, &mut properties);
        }
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
            offered_capabilities: attach.desired_capabilities.into_iter().filter(offered).collect(),
            properties,
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
        let text = target.and_then(|target| target.address.as_deref()).unwrap_or_default();
        match Address::parse(text) {
            Address::Cbs => {
                self.check_cbs(Role::Sender)?;
                Ok(Link::Requests { node: Node::Cbs, session })
            }
            Address::Management => {
                self.authorize_any(text)?;
                Ok(Link::Requests { node: Node::Management, session })
            }
            Address::Hub { hub } => {
                let hub = self.hub_to_send(&hub, text)?;
                refuse_numbers(attach)?;
                Ok(self.producer(hub, Way::Hub, text, attach))
            }
            Address::Partition { hub, partition } => {
                let hub = self.hub_to_send(&hub, text)?;
                let (number, partition) = partition_of(&hub, &partition)?;
                let way = match numbering::claim(attach)? {
                    Some(claim) => {
                        let refuse = |error| producer::refusal(&hub, number, error);
                        Way::Numbered(number, partition.attach_producer(claim).map_err(refuse)?)
                    }
                    None => Way::Partition(number),
                };
                Ok(self.producer(hub, way, text, attach))
            }
            Address::Publisher { hub, publisher } => {
                let hub = self.hub_to_send(&hub, text)?;
                refuse_numbers(attach)?;
                Ok(self.producer(hub, Way::Publisher(publisher.into()), text, attach))
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
        let source = attach.source.as_ref().and_then(|source| source.address.as_deref());
        let text = source.unwrap_or_default();
        let answers = |node| {
            let target = attach.target.as_ref().and_then(|target| target.address.clone());
            Link::Answers(Answers::new(node, session, target, attach.name.clone()))
        };
        match Address::parse(text) {
            Address::Cbs => {
                self.check_cbs(Role::Receiver)?;
                Ok(answers(Node::Cbs))
            }
            Address::Management => {
                self.authorize_any(text)?;
                Ok(answers(Node::Management))
            }
            Address::Consumer { hub, group, partition } => {
                self.authorize(text, Need::Listen)?;
                let hub = self.hub(&hub, text, Usage::Receive)?;
                let group = hub.group(&group).ok_or_else(|| not_found(text))?;
                let (_, partition) = partition_of(&hub, &partition)?;
                let standing = self.standing(text, attach);
                let place = Place { hub, group, partition, standing };
                let seat = Seat { bell: Arc::clone(&self.bell), link: id };
                let limit = self.namespace.limits.receivers_per_partition;
                let wishes = Wishes::read(attach, self.namespace.geo)?;
                let now = self.namespace.clock.now();
                Consumer::admit(place, seat, wishes, limit, now).map(Link::Consumer)
            }
            Address::Hub { .. } | Address::Partition { .. } | Address::Publisher { .. } => {
                let text = format!(
                    "The entity '{text}' cannot be received from: use \
                     '{{hub}}/ConsumerGroups/{{group}}/Partitions/{{partition}}'."
                );
                Err(AmqpError::new(condition::NOT_ALLOWED, text))
            }
            Address::Unknown => Err(not_found(text)),
        }
    }

    /// A connection may have one link of each kind on `$cbs`, as on the service. The official Rust
    /// client closes its pair and opens another one later.
    fn check_cbs(&self, role: Role) -> Result<(), AmqpError> {
        let held = self.cbs[usize::from(role == Role::Receiver)];
        if held.is_none_or(|id| !self.links.contains_key(&id)) {
            return Ok(());
        }
        let text = format!(
            "A link to connection '{}' {} node has already been opened.",
            self.number,
            names::CBS_NODE
        );
        Err(AmqpError::new(condition::NOT_ALLOWED, text))
    }

    fn producer(&self, hub: Arc<Hub>, way: Way, address: &str, attach: &Attach) -> Link {
        let Namespace { throttle, lenient, .. } = &*self.namespace;
        let terms = Terms { throttle: Arc::clone(throttle), lenient: *lenient };
        Link::Producer(Producer::new(hub, way, self.standing(address, attach), terms))
    }

    /// The hub at `address`, if the client may send to it.
    fn hub_to_send(&self, name: &str, address: &str) -> Result<Arc<Hub>, AmqpError> {
        self.authorize(address, Need::Send)?;
        self.hub(name, address, Usage::Send)
    }

    fn standing(&self, address: &str, attach: &Attach) -> Standing {
        Standing::new(address, &attach.name, self.namespace.clock.now())
    }

    fn hub(&self, name: &str, address: &str, usage: Usage) -> Result<Arc<Hub>, AmqpError> {
        let hub = self.namespace.hub(name).ok_or_else(|| not_found(address))?;
        hub.check(usage, address)?;
        Ok(hub)
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
}

/// Numbers of events are those of one partition.
fn refuse_numbers(attach: &Attach) -> Result<(), AmqpError> {
    match numbering::claim(attach)? {
        None => Ok(()),
        Some(_) => {
            let text = "An idempotent producer has to be attached to a partition.";
            Err(AmqpError::new(condition::NOT_ALLOWED, text))
        }
    }
}

fn partition_of(hub: &Hub, id: &str) -> Result<(u32, Arc<Partition>), AmqpError> {
    let number = hub.partition_number(id);
    number.and_then(|number| Some((number, hub.partition(number)?))).ok_or_else(|| {
        let condition = Symbol::from_static(names::condition::ARGUMENT_OUT_OF_RANGE);
        AmqpError::new(condition, management::unknown_partition_text(hub))
    })
}
