//! Consumer links: a position in a partition, and events out as credit allows.

use std::sync::Arc;

use eventhubs_amqp::codec::performative::Attach;
use eventhubs_amqp::codec::{AmqpError, Map, Symbol, Value, condition};
use eventhubs_amqp::engine::{Connection, LinkId, Outgoing};

use crate::disorder::{Delivering, Disturbance};
use crate::fault::Struck;
use crate::names::{self, filter, link};
use crate::namespace::bell::Seat;
use crate::namespace::hub::{Group, Hub, Usage, not_found};
use crate::namespace::log::Stored;
use crate::namespace::partition::{AdmissionError, Partition};
use crate::namespace::receivers::Receiver;
use crate::rules::event::{self, Tail};
use crate::rules::geo;
use crate::rules::selector::Start;
use crate::upkeep::standing::Standing;

/// Events taken from a partition at a time, so that its lock is held shortly.
const CHUNK_EVENTS: usize = 256;
/// Bytes taken from a partition at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a receiver asks for in its attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) start: Start,
    pub(crate) epoch: Option<i64>,
    /// For the texts that other receivers get.
    pub(crate) name: String,
    /// Whether deliveries tell the end of the partition.
    pub(crate) runtime_metric: bool,
    /// Whether offsets are text that is no number.
    pub(crate) geo: bool,
}

impl Wishes {
    /// Reads an attach; on a `replicated` namespace the client may want offsets of another form.
    pub(crate) fn read(attach: &Attach, replicated: bool) -> Result<Self, AmqpError> {
        let desires = |name: &str| attach.desired_capabilities.iter().any(|c| **c == *name);
        let geo = replicated && desires(link::GEO_REPLICATION);
        let named = [link::RECEIVER_NAME, link::RECEIVER_NAME_RUST]
            .into_iter()
            .find_map(|key| attach.properties.get(key).and_then(Value::as_str));
        let start = attach.source.as_ref().map_or(Ok(Start::Earliest), |s| start(&s.filter))?;
        Ok(Self {
            start: if geo { replicated_start(start)? } else { start },
            epoch: epoch(&attach.properties)?,
            name: named.unwrap_or(&attach.name).to_owned(),
            runtime_metric: desires(link::RUNTIME_METRIC),
            geo,
        })
    }
}

/// A start position whose offset has the form of a replicated namespace.
fn replicated_start(start: Start) -> Result<Start, AmqpError> {
    let Start::Offset { text, inclusive } = start else {
        return Ok(start);
    };
    let offset = geo::parse(&text).ok_or_else(|| {
        let condition = Symbol::from_static(names::condition::INVALID_OFFSET);
        AmqpError::new(condition, format!("The supplied offset '{text}' is invalid."))
    })?;
    Ok(Start::Offset { text: offset.to_string(), inclusive })
}

/// The start position in a filter set; without one, the beginning.
fn start(filters: &Map) -> Result<Start, AmqpError> {
    let mut start = Start::Earliest;
    for (key, value) in filters {
        let name = key.as_str().unwrap_or_default();
        let selector = selector(name, value).ok_or_else(|| {
            let text = format!("'{name}' is not a valid amqp filter for EventHub entities.");
            AmqpError::new(condition::NOT_ALLOWED, text)
        })?;
        start = Start::parse(selector).map_err(|error| argument_error(&error.to_string()))?;
    }
    Ok(start)
}

/// The selector text of one filter, in any of the descriptors that clients use.
fn selector<'a>(name: &str, value: &'a Value) -> Option<&'a str> {
    match value {
        Value::Described(described) => {
            let known = match described.descriptor.as_u64() {
                Some(code) => [filter::SELECTOR_CODE, filter::SELECTOR_CODE_DOTNET].contains(&code),
                None => described.descriptor.as_str() == Some(filter::SELECTOR),
            };
            known.then(|| described.value.as_str())?
        }
        plain if name == filter::SELECTOR => plain.as_str(),
        _ => None,
    }
}

fn epoch(properties: &Map) -> Result<Option<i64>, AmqpError> {
    match properties.get(link::EPOCH) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(epoch) if epoch >= 0 => Ok(Some(epoch)),
            _ => {
                let text = format!("The property '{}' is not a number from 0 on.", link::EPOCH);
                Err(argument_error(&text))
            }
        },
    }
}

fn argument_error(text: &str) -> AmqpError {
    AmqpError::new(Symbol::from_static(names::condition::ARGUMENT_ERROR), text)
}

/// What a client receives from.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) hub: Arc<Hub>,
    pub(crate) group: Arc<Group>,
    pub(crate) partition: Arc<Partition>,
    pub(crate) standing: Standing,
}

/// A link on which a client receives. Leaves the partition when dropped.
#[derive(Debug)]
pub(crate) struct Consumer {
    hub: Arc<Hub>,
    group: Arc<Group>,
    partition: Arc<Partition>,
    pub(crate) standing: Standing,
    seat: Seat,
    epoch: Option<i64>,
    /// Events that were sent.
    messages: u64,
    /// Sequence number of the next event to send.
    next: i64,
    runtime_metric: bool,
    geo: bool,
    /// The last read gave nothing; the bell rings when there is more.
    waiting: bool,
    /// A drain is to be answered at the end of the partition.
    draining: bool,
    pub(crate) disturbance: Disturbance,
}

/// What a consumer link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerProgress {
    pub(crate) epoch: Option<i64>,
    /// Sequence number of the next event to send.
    pub(crate) position: i64,
    /// Events that are stored and not sent.
    pub(crate) lag: u64,
    /// Events that were sent.
    pub(crate) messages: u64,
}

/// Why a pump stopped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pumped {
    /// There may be more to send at once.
    More,
    /// Nothing to send, no credit or no room; a signal or a touch tells when that changes.
    Idle,
    /// A fault strikes that concerns more than the next event.
    Struck(Struck),
}

impl Consumer {
    /// Takes a seat at a partition, in place of those it displaces.
    pub(crate) fn admit(
        place: Place,
        seat: Seat,
        wishes: Wishes,
        limit: usize,
        now: i64,
    ) -> Result<Self, AmqpError> {
        let Place { hub, group, partition, standing } = place;
        let epoch = wishes.epoch;
        let receiver = Receiver { handle: seat.clone(), epoch: wishes.epoch, name: wishes.name };
        let admitted = partition.admit(&group.name, receiver, &wishes.start, limit, now);
        let next = admitted.map_err(|error| match error {
            AdmissionError::Position(error) => argument_error(&error.to_string()),
            AdmissionError::Receivers(error) => error,
        })?;
        let Wishes { runtime_metric, geo, .. } = wishes;
        Ok(Self {
            hub,
            group,
            partition,
            standing,
            seat,
            epoch,
            messages: 0,
            next,
            runtime_metric,
            geo,
            waiting: false,
            draining: false,
            disturbance: Disturbance::default(),
        })
    }

    /// What the link is doing, as of `now`.
    pub(crate) fn progress(&self, now: i64) -> ConsumerProgress {
        let end = self.partition.info(now).last_sequence + 1;
        ConsumerProgress {
            epoch: self.epoch,
            position: self.next,
            lag: u64::try_from(end - self.next).unwrap_or_default(),
            messages: self.messages,
        }
    }

    /// Whether the link may live on.
    pub(crate) fn check(&self) -> Result<(), AmqpError> {
        self.hub.check(Usage::Receive, &self.standing.address)?;
        match self.group.is_deleted() {
            true => Err(not_found(&self.standing.address)),
            false => Ok(()),
        }
    }

    /// The partition has grown since the last read gave nothing.
    pub(crate) fn handle_appended(&mut self) {
        self.waiting = false;
    }

    /// Sends at most one chunk of events, as credit and room allow. `ask` finds the fault that
    /// strikes an event.
    pub(crate) fn pump(
        &mut self,
        (engine, link): (&mut Connection, LinkId),
        now: i64,
        chunk: &mut Vec<Stored>,
        mut ask: Option<&mut dyn FnMut() -> Option<Struck>>,
    ) -> Pumped {
        let credit = usize::try_from(engine.credit(link)).unwrap_or(usize::MAX);
        if self.waiting || credit == 0 || self.disturbance.is_paused() {
            return Pumped::Idle;
        }
        self.standing.touch(now);
        chunk.clear();
        let bounds = (credit.min(CHUNK_EVENTS), CHUNK_BYTES);
        let (partition, metric) = (&self.partition, self.runtime_metric);
        let mut tail = partition.read(self.next, bounds, &self.seat, now, metric, chunk);
        // Whoever was given nothing has a bell that rings. Where the log ends does not matter: its
        // last events may have been lost.
        self.waiting = chunk.is_empty();
        if self.waiting {
            return Pumped::Idle;
        }
        if self.geo {
            replicate(chunk, &mut tail);
        }
        for event in chunk.drain(..) {
            let sequence = event.sequence;
            let payload = match &tail {
                Some(tail) => event::with_tail(&event.message, event.header_len, tail),
                None => event.message,
            };
            let mut next = sequence + 1;
            let payload = match &mut ask {
                None => payload,
                Some(ask) => match self.disturbance.decide(engine, link, payload, ask) {
                    Delivering::Send(payload) => payload,
                    Delivering::SendTwice(payload) => {
                        next = sequence;
                        payload
                    }
                    Delivering::Skip => {
                        self.next = sequence + 1;
                        continue;
                    }
                    Delivering::Again => {
                        self.next = sequence;
                        return Pumped::More;
                    }
                    Delivering::Stop(struck) => {
                        self.next = sequence;
                        return struck.map_or(Pumped::Idle, Pumped::Struck);
                    }
                },
            };
            // Settled from the start, as the service does: some clients never send a disposition.
            let outgoing = Outgoing { payload, message_format: 0, settled: true, token: 0 };
            match engine.send(link, outgoing) {
                Ok(_) => {
                    self.messages += 1;
                    self.next = next;
                    if next == sequence {
                        return Pumped::More;
                    }
                }
                Err(_) => {
                    self.next = sequence;
                    return Pumped::Idle;
                }
            }
        }
        Pumped::More
    }

    /// The client wants its credit used up: what there is goes first.
    pub(crate) fn handle_drain(&mut self) {
        self.draining = true;
    }

    /// Whether a drain was asked for and is to be answered now: everything there is has gone out,
    /// or as much as the credit allowed.
    pub(crate) fn take_drained(&mut self, credit: u32) -> bool {
        let done = (self.waiting && !self.disturbance.is_paused()) || credit == 0;
        done && std::mem::take(&mut self.draining)
    }
}

/// Gives events and the end of the partition the offsets of a replicated namespace.
fn replicate(chunk: &mut [Stored], tail: &mut Option<Tail>) {
    for event in chunk {
        let offset = geo::text(event.offset);
        event.message = event::with_offset(&event.message, event.header_len, geo::EPOCH, &offset);
    }
    if let Some(tail) = tail {
        tail.offset = geo::rewrite(std::mem::take(&mut tail.offset));
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.partition.leave(&self.group.name, &self.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventhubs_amqp::codec::{Described, Source};

    const SELECTOR: &str = "amqp.annotation.x-opt-sequence-number > '7'";

    fn attach(filters: &[(&str, Value)]) -> Attach {
        let filters = filters
            .iter()
            .map(|(name, value)| (Value::from(Symbol::new(*name)), value.clone()))
            .collect();
        Attach {
            name: "link".into(),
            source: Some(Source { filter: filters, ..Source::default() }),
            ..Attach::default()
        }
    }

    fn described(descriptor: Value) -> Value {
        let value = Value::from(SELECTOR.to_owned());
        Value::Described(Box::new(Described { descriptor, value }))
    }

    #[test]
    fn every_descriptor_of_a_selector_is_read() {
        let expected = Start::Sequence { number: 7, inclusive: false };
        for value in [
            described(Value::from(Symbol::from_static(filter::SELECTOR))),
            described(Value::Ulong(0x0000_468C_0000_0004)),
            described(Value::Ulong(0x0000_0013_7000_000A)),
            Value::from(SELECTOR.to_owned()),
        ] {
            let wishes = Wishes::read(&attach(&[(filter::SELECTOR, value)]), false).unwrap();
            assert_eq!(wishes.start, expected);
        }
        assert_eq!(Wishes::read(&attach(&[]), false).unwrap().start, Start::Earliest);
    }

    #[test]
    fn other_filters_are_refused() {
        let refused = |name, value| Wishes::read(&attach(&[(name, value)]), false).unwrap_err();
        let error = refused("apache.org:other", described(Value::Ulong(1)));
        assert_eq!(error.condition, condition::NOT_ALLOWED);
        assert!(error.description.unwrap_or_default().contains("is not a valid amqp filter"));
        let nonsense = Value::from("nonsense".to_owned());
        let error = refused(filter::SELECTOR, nonsense);
        assert_eq!(error.condition.as_str(), "com.microsoft:argument-error");
    }

    #[test]
    fn epochs_come_in_any_width() {
        for value in [Value::Long(5), Value::Int(5), Value::Ulong(5), Value::Uint(5)] {
            let mut attach = attach(&[]);
            attach.properties.insert(link::EPOCH, value);
            assert_eq!(Wishes::read(&attach, false).unwrap().epoch, Some(5));
        }
        for value in [Value::Long(-1), Value::from("5".to_owned())] {
            let mut attach = attach(&[]);
            attach.properties.insert(link::EPOCH, value);
            assert!(Wishes::read(&attach, false).is_err());
        }
    }

    #[test]
    fn a_receiver_is_named_by_its_property_or_its_link() {
        let mut attach = attach(&[]);
        assert_eq!(Wishes::read(&attach, false).unwrap().name, "link");
        attach.properties.insert(link::RECEIVER_NAME_RUST, Value::from("r".to_owned()));
        assert_eq!(Wishes::read(&attach, false).unwrap().name, "r");
        attach.desired_capabilities.push(Symbol::from_static(link::RUNTIME_METRIC));
        assert!(Wishes::read(&attach, false).unwrap().runtime_metric);
    }
}
