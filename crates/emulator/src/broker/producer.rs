//! Producer links: messages in, events stored, outcomes back.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, DeliveryState, Symbol, condition};
use eventhubs_amqp::engine::{Connection, Delivery, LinkId};

use super::numbering;
use crate::names;
use crate::namespace::hub::{Hub, Usage, not_found};
use crate::namespace::partition::NumberedError;
use crate::namespace::sequencer::Identity;
use crate::namespace::throttle::Throttle;
use crate::rules::event::{Publication, PublicationError};
use crate::upkeep::standing::Standing;

/// Credit granted to a producer. The service's own value is not known; clients accept this one.
pub(crate) const CREDIT: u32 = 1000;

/// The service's words when it fails itself.
const NOT_STORED: &str =
    "The service was unable to process the request; please retry the operation.";

/// A link on which a client publishes.
#[derive(Debug)]
pub(crate) struct Producer {
    hub: Arc<Hub>,
    way: Way,
    pub(crate) standing: Standing,
    terms: Terms,
    /// How it gets credit.
    pub(crate) granting: Granting,
    /// Messages that came, whatever became of them.
    messages: Cell<u64>,
}

/// Where the messages of a link go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the partition of their key, or to each in turn.
    Hub,
    /// To one partition.
    Partition(u32),
    /// To one partition in the name of an idempotent producer, which numbers them.
    Numbered(u32, Identity),
    /// To the partition of a publisher's name.
    Publisher(Arc<str>),
}

/// What messages have to keep to.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) throttle: Arc<Throttle>,
    /// Quotas for the parts of a message do not count.
    pub(crate) lenient: bool,
}

/// How a producer gets credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granting {
    /// As much as there is, again when half is used.
    Full,
    /// None.
    Withheld,
    /// `each` at a time, the next after it has been used up for `every`.
    Trickle { each: u32, every: Duration, waits: bool },
}

impl Granting {
    /// What is granted at first.
    pub(crate) fn first(self) -> u32 {
        match self {
            Self::Full => CREDIT,
            Self::Withheld => 0,
            Self::Trickle { each, .. } => each,
        }
    }
}

impl Producer {
    pub(crate) fn new(hub: Arc<Hub>, way: Way, standing: Standing, terms: Terms) -> Self {
        let granting = Granting::Full;
        Self { hub, way, standing, terms, granting, messages: Cell::new(0) }
    }

    /// Messages that came, batches counted as one.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.get()
    }

    /// Whether the link may live on.
    pub(crate) fn check(&self) -> Result<(), AmqpError> {
        self.hub.check(Usage::Send, &self.standing.address)
    }

    /// Stores what arrived at `now` and answers it. Nothing is accepted before it is stored. The
    /// result is the first rejection.
    pub(crate) fn handle(
        &self,
        engine: &mut Connection,
        link: LinkId,
        deliveries: &mut Vec<Delivery>,
        now: i64,
    ) -> Option<AmqpError> {
        let mut outcomes = Outcomes::default();
        let mut rejection = None;
        for delivery in deliveries.drain(..) {
            let (id, settled, held) = (delivery.id(), delivery.settled(), delivery.held_bytes());
            let outcome = match self.publish(delivery, now) {
                Ok(()) => DeliveryState::Accepted,
                Err(error) => {
                    rejection.get_or_insert_with(|| error.clone());
                    DeliveryState::Rejected(Some(error))
                }
            };
            engine.consumed(link, held);
            if !settled {
                outcomes.add(engine, link, id, outcome);
            }
        }
        outcomes.flush(engine, link);
        rejection
    }

    /// Stores one message, or says why not.
    pub(crate) fn publish(&self, delivery: Delivery, now: i64) -> Result<(), AmqpError> {
        self.messages.update(|count| count + 1);
        // The hub may have gone since the last turn; the link's end is on its way then.
        self.check()?;
        let (format, payload) = (delivery.message_format(), delivery.into_payload());
        let mut publication = Publication::parse(&payload, format).map_err(rejection)?;
        if !self.terms.lenient {
            publication.check_quotas().map_err(rejection)?;
        }
        if let Way::Publisher(name) = &self.way {
            publication.sign(name).map_err(rejection)?;
        }
        let Publication { key, events } = &publication;
        let number = match &self.way {
            Way::Hub | Way::Publisher(_) => self.hub.route(key.as_deref()),
            Way::Partition(number) | Way::Numbered(number, _) => *number,
        };
        let partition =
            self.hub.partition(number).ok_or_else(|| not_found(&self.standing.address))?;
        self.terms.throttle.publish(&self.hub.name, payload.len(), events.len(), now)?;
        let stored = match &self.way {
            Way::Numbered(_, identity) => {
                let numbering = numbering::numbering(*identity, events)?;
                partition.append_numbered(numbering, events, now)
            }
            Way::Hub | Way::Partition(_) | Way::Publisher(_) => {
                partition.append(events, now).map(drop).map_err(NumberedError::Journal)
            }
        };
        stored.map_err(|error| refusal(&self.hub, number, error))
    }

    /// Who an idempotent producer is.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self.way {
            Way::Numbered(_, identity) => Some(identity),
            Way::Hub | Way::Partition(_) | Way::Publisher(_) => None,
        }
    }
}

/// Why a producer with numbers was not let in, or what it sent was not stored, as it is told.
pub(crate) fn refusal(hub: &Hub, partition: u32, error: NumberedError) -> AmqpError {
    match error {
        NumberedError::Sequence(error) => numbering::refusal(error),
        NumberedError::Journal(error) => {
            tracing::error!(hub = hub.name, partition, %error, "nothing can be stored");
            AmqpError::new(condition::INTERNAL_ERROR, NOT_STORED)
        }
    }
}

/// Why a message was not stored, as its outcome says it.
fn rejection(error: PublicationError) -> AmqpError {
    let condition = match error {
        PublicationError::Malformed(_) | PublicationError::Order => condition::DECODE_ERROR,
        PublicationError::Empty | PublicationError::TooMany | PublicationError::OtherKey => {
            Symbol::from_static(names::condition::ARGUMENT_ERROR)
        }
        PublicationError::Key => Symbol::from_static(names::condition::ARGUMENT_OUT_OF_RANGE),
        PublicationError::Property => condition::RESOURCE_LIMIT_EXCEEDED,
    };
    AmqpError::new(condition, error.to_string())
}

/// Joins neighbouring acceptances into one disposition.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    accepted: Option<(u32, u32)>,
}

impl Outcomes {
    pub(crate) fn add(
        &mut self,
        engine: &mut Connection,
        link: LinkId,
        id: u32,
        outcome: DeliveryState,
    ) {
        match (outcome, self.accepted) {
            (DeliveryState::Accepted, Some((first, last))) if last.wrapping_add(1) == id => {
                self.accepted = Some((first, id));
            }
            (DeliveryState::Accepted, _) => {
                self.flush(engine, link);
                self.accepted = Some((id, id));
            }
            (outcome, _) => {
                self.flush(engine, link);
                engine.settle(link, id, id, outcome, true);
            }
        }
    }

    pub(crate) fn flush(&mut self, engine: &mut Connection, link: LinkId) {
        if let Some((first, last)) = self.accepted.take() {
            engine.settle(link, first, last, DeliveryState::Accepted, true);
        }
    }
}
