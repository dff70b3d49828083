//! What idempotent producers say of themselves, on links and on events.

use eventhubs_amqp::codec::performative::Attach;
use eventhubs_amqp::codec::{AmqpError, Map, Symbol, Value, condition};

use crate::names::{self, link};
use crate::namespace::sequencer::{Claim, Identity, Numbering, SequenceError};
use crate::rules::event::{Incoming, Numbers};

/// What an attach asks for, if its client wants to be an idempotent producer: it says so with a
/// capability, or with one of three properties. What is null is left to the service.
pub(crate) fn claim(attach: &Attach) -> Result<Option<Claim>, AmqpError> {
    let names = [link::PRODUCER_ID, link::PRODUCER_EPOCH, link::PRODUCER_SEQUENCE];
    let capable = |c: &Symbol| c.as_str() == link::IDEMPOTENT_PRODUCER;
    let wanted = attach.desired_capabilities.iter().any(capable);
    let named = names.iter().any(|name| attach.properties.get(name).is_some());
    if !wanted && !named {
        return Ok(None);
    }
    let [id, epoch, sequence] = names.map(|name| property(&attach.properties, name));
    Ok(Some(Claim {
        id: fit(id?, link::PRODUCER_ID, 0)?,
        epoch: fit(epoch?, link::PRODUCER_EPOCH, 0)?,
        sequence: fit(sequence?, link::PRODUCER_SEQUENCE, -1)?,
    }))
}

/// The properties that tell a producer who it is.
pub(crate) fn tell(identity: Identity, properties: &mut Map) {
    let Identity { id, epoch, sequence } = identity;
    for (name, value) in [
        (link::PRODUCER_ID, Value::Long(id)),
        (link::PRODUCER_EPOCH, Value::Short(epoch)),
        (link::PRODUCER_SEQUENCE, Value::Int(sequence)),
    ] {
        properties.remove(name);
        properties.insert(Value::Symbol(Symbol::from_static(name)), value);
    }
}

/// The place of a publication on the link of a producer: each event has a number, and they follow
/// one another.
pub(crate) fn numbering(identity: Identity, events: &[Incoming]) -> Result<Numbering, AmqpError> {
    let mut first = None;
    let mut said = identity.epoch;
    for (event, place) in events.iter().zip(0_i64..) {
        let Numbers { id, epoch, sequence } = event.numbers();
        if id.is_some_and(|id| id != identity.id) {
            return Err(bad(link::PRODUCER_ID));
        }
        if let Some(epoch) = fit(epoch, link::PRODUCER_EPOCH, 0)? {
            said = epoch;
        }
        let number: i32 = fit(sequence, link::PRODUCER_SEQUENCE, 0)?
            .ok_or_else(|| bad(link::PRODUCER_SEQUENCE))?;
        let start = *first.get_or_insert(number);
        if (i64::from(start) + place).rem_euclid(1 << 31) != i64::from(number) {
            let text = "The sequence numbers of the events do not follow one another.";
            return Err(AmqpError::new(Symbol::from_static(names::condition::OUT_OF_ORDER), text));
        }
    }
    let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
    Ok(Numbering { id: identity.id, epoch: said, first: first.unwrap_or(0), count })
}

/// How the service says it.
pub(crate) fn refusal(error: SequenceError) -> AmqpError {
    let condition = match error {
        SequenceError::Stolen { .. } => Symbol::from_static(names::condition::PRODUCER_STOLEN),
        SequenceError::OutOfOrder { .. } => Symbol::from_static(names::condition::OUT_OF_ORDER),
        SequenceError::Unknown(_) | SequenceError::UsedUp(_) => condition::NOT_ALLOWED,
    };
    AmqpError::new(condition, error.to_string())
}

fn property(properties: &Map, name: &'static str) -> Result<Option<i64>, AmqpError> {
    match properties.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| bad(name)),
    }
}

/// A number from `least` up to the largest of its type.
fn fit<T: TryFrom<i64>>(
    number: Option<i64>,
    name: &'static str,
    least: i64,
) -> Result<Option<T>, AmqpError> {
    let fitted = number.map(|number| {
        let number = T::try_from(number).ok().filter(|_| number >= least);
        number.ok_or_else(|| bad(name))
    });
    fitted.transpose()
}

fn bad(name: &str) -> AmqpError {
    let text = format!("The property '{name}' is missing or has no valid value.");
    AmqpError::new(Symbol::from_static(names::condition::ARGUMENT_ERROR), text)
}
