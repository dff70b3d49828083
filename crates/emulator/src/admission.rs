//! Which links a client may attach, and what it is told about those it may not.

use std::sync::Arc;

use eventhubs_amqp::codec::performative::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
use eventhubs_amqp::codec::{AmqpError, Symbol, condition};
use eventhubs_amqp::engine::{LinkId, SessionId};

use crate::address::{self, Address};
use crate::bell::Seat;
use crate::broker::{Broker, Link, Node};
use crate::cbs::{Grants, Need};
use crate::consumer::{Consumer, Place, Wishes};
use crate::hub::{Hub, Usage, not_found};
use crate::management;
use crate::names::{self, link};
use crate::partition::Partition;
use crate::producer::Producer;
use crate::requests::Answers;
use crate::standing::Standing;

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
        let ours = self.namespace.max_publication;
        let theirs = attach.max_message_size.filter(|size| *size > 0);
        let max_message_size = theirs.map_or(ours, |theirs| theirs.min(ours));
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
            offered_capabilities: attach.desired_capabilities.into_iter().filter(offered).collect(),
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
                self.authorize(text, Need::Send)?;
                let hub = self.hub(&hub, text, Usage::Send)?;
                Ok(Link::Producer(Producer::new(hub, None, self.standing(text, attach))))
            }
            Address::Partition { hub, partition } => {
                self.authorize(text, Need::Send)?;
                let hub = self.hub(&hub, text, Usage::Send)?;
                let (number, _) = partition_of(&hub, &partition)?;
                Ok(Link::Producer(Producer::new(hub, Some(number), self.standing(text, attach))))
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
                let wishes = Wishes::read(attach)?;
                let now = self.namespace.clock.now();
                Consumer::admit(place, seat, wishes, limit, now).map(Link::Consumer)
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

fn partition_of(hub: &Hub, id: &str) -> Result<(u32, Arc<Partition>), AmqpError> {
    let number = hub.partition_number(id);
    number.and_then(|number| Some((number, hub.partition(number)?))).ok_or_else(|| {
        let condition = Symbol::from_static(names::condition::ARGUMENT_OUT_OF_RANGE);
        AmqpError::new(condition, management::unknown_partition_text(hub))
    })
}
