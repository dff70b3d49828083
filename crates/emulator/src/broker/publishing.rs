//! Conversations about publishing: sizes, quotas, publishers, numbers, throughput; and the offsets of
//! a geo-replicated namespace.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message, Properties};
use eventhubs_amqp::codec::performative::{Attach, Role};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Symbol, Target, Value, condition};
use eventhubs_amqp::engine::LinkId;

use crate::config::Config;
use crate::names::{BATCH_FORMAT, link};
use crate::namespace::Namespace;
use crate::namespace::meter::Throughput;
use crate::rules::tier::Tier;
use crate::wire::{Wire, batch, event, symbol, text};

const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";
const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";

fn namespace(config: Config) -> Arc<Namespace> {
    Arc::new(Namespace::new(&config))
}

/// Everything that a partition has.
fn stored(namespace: &Arc<Namespace>, partition: u32) -> Vec<Message> {
    let mut wire = Wire::trusted(namespace);
    let address = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
    let link = wire.receiver(&address, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(link, 10_000);
    wire.exchange();
    wire.received(link)
}

fn bodies(namespace: &Arc<Namespace>, partition: u32) -> Vec<String> {
    stored(namespace, partition).iter().map(text).collect()
}

/// The condition of a rejection and its text.
fn rejected(state: DeliveryState) -> (String, String) {
    let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
    (error.condition.as_str().to_owned(), error.description.unwrap_or_default())
}

fn attach_sender(
    wire: &mut Wire,
    address: &str,
    change: impl FnOnce(&mut Attach),
) -> Result<LinkId, AmqpError> {
    let target = Some(Target::new(address));
    let mut attach = Attach { role: Role::Sender, target, ..Attach::default() };
    change(&mut attach);
    wire.attach(attach)
}

fn encode(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

// --- credit ---

#[test]
fn a_producer_gets_its_credit_back() {
    let namespace = namespace(Config::default());
    let mut wire = Wire::trusted(&namespace);
    let link = attach_sender(&mut wire, "hub/Partitions/0", |_| {}).unwrap();
    let granted = wire.client.credit(link);
    assert!(granted > 0);
    for number in 0..granted + 10 {
        let outcome = wire.send(link, event("small", None), 0);
        assert_eq!(outcome, DeliveryState::Accepted, "message {number}");
        assert!(wire.client.credit(link) > 0, "none left after message {number}");
    }
}

// --- sizes ---

#[test]
fn the_smaller_of_both_sizes_is_the_links() {
    let standard = namespace(Config::default().with_tier(Tier::Standard));
    let basic = namespace(Config::default().with_tier(Tier::Basic));
    let lenient = namespace(Config::default().with_tier(Tier::Basic).with_lenient(true));
    for (namespace, theirs, expected) in [
        (&standard, None, 1 << 20),
        (&standard, Some(0), 1 << 20),
        (&standard, Some(5000), 5000),
        (&standard, Some(u64::MAX), 1 << 20),
        (&basic, None, 256 << 10),
        (&basic, Some(1 << 20), 256 << 10),
        (&lenient, None, 20 << 20),
        (&lenient, Some(1 << 20), 1 << 20),
    ] {
        let mut wire = Wire::trusted(namespace);
        let link = attach_sender(&mut wire, "hub", |attach| attach.max_message_size = theirs);
        let answer = &wire.attached[&link.unwrap()];
        assert_eq!(answer.max_message_size, Some(expected), "{theirs:?}");
    }
}

#[test]
fn a_message_above_the_negotiated_size_ends_its_link() {
    let namespace = namespace(Config::default().with_tier(Tier::Basic));
    let mut wire = Wire::trusted(&namespace);
    let link = attach_sender(&mut wire, "hub/Partitions/0", |attach| {
        attach.max_message_size = Some(1000);
    });
    let link = link.unwrap();
    let message = event(&"x".repeat(2000), None);
    let size = message.len();
    // The client forgets what it asked for, as one that ignores the answer would.
    wire.send_raw(link, message);
    let error = wire.detached(link).expect("the link ends");
    assert_eq!(error.condition, condition::MESSAGE_SIZE_EXCEEDED);
    assert_eq!(
        error.description.unwrap(),
        format!(
            "The received message (delivery-id:1, size:{size} bytes) exceeds the limit (1000 \
             bytes) currently allowed on the link."
        )
    );
    assert!(wire.closed.is_none() && bodies(&namespace, 0).is_empty());
}

#[test]
fn keys_and_properties_have_quotas_unless_lenient() {
    let strict = namespace(Config::default());
    let lenient = namespace(Config::default().with_lenient(true));
    let large = |len: usize| {
        let mut message = Message { body: Body::from(&b"p"[..]), ..Message::default() };
        message.application_properties.insert("p", "x".repeat(len));
        encode(&message)
    };
    let key = |len: usize| event("k", Some(&"ü".repeat(len)));
    let mut wire = Wire::trusted(&strict);
    let hub = wire.sender("hub").unwrap();
    assert_eq!(wire.send(hub, key(128), 0), DeliveryState::Accepted);
    let (condition, told) = rejected(wire.send(hub, key(129), 0));
    assert_eq!(condition, "com.microsoft:argument-out-of-range");
    assert!(told.contains("128"), "{told}");
    let (mixed, format) = batch(&["a", "b"], Some(&"k".repeat(129)));
    rejected(wire.send(hub, mixed, format));
    assert_eq!(wire.send(hub, large(32 * 1024 - 10), 0), DeliveryState::Accepted);
    let (condition, told) = rejected(wire.send(hub, large(33 * 1024), 0));
    assert_eq!(condition, "amqp:resource-limit-exceeded");
    assert!(told.contains("32768"), "{told}");
    let mut wire = Wire::trusted(&lenient);
    let hub = wire.sender("hub").unwrap();
    assert_eq!(wire.send(hub, key(129), 0), DeliveryState::Accepted);
    assert_eq!(wire.send(hub, large(33 * 1024), 0), DeliveryState::Accepted);
}

// --- publishers ---

#[test]
fn a_publisher_signs_its_events_and_keeps_to_its_partition() {
    let namespace = namespace(Config::default());
    let mut wire = Wire::trusted(&namespace);
    let link = wire.sender("hub/Publishers/7").unwrap();
    let mut forged = Message { body: Body::from(&b"forged"[..]), ..Message::default() };
    forged.message_annotations.insert(symbol("x-opt-publisher"), "somebody");
    assert_eq!(wire.send(link, encode(&forged), 0), DeliveryState::Accepted);
    assert_eq!(wire.send(link, event("keyed", Some("7")), 0), DeliveryState::Accepted);
    let (payload, format) = batch(&["a", "b"], None);
    assert_eq!(wire.send(link, payload, format), DeliveryState::Accepted);
    let (condition, _) = rejected(wire.send(link, event("other", Some("8")), 0));
    assert_eq!(condition, "com.microsoft:argument-error");
    // The key '7' belongs to partition 3, and so does the publisher '7'.
    let events = stored(&namespace, 3);
    assert_eq!(events.iter().map(text).collect::<Vec<_>>(), ["forged", "keyed", "a", "b"]);
    for event in &events {
        let publishers = event.message_annotations.iter();
        let publishers: Vec<_> =
            publishers.filter(|(key, _)| key.as_str() == Some("x-opt-publisher")).collect();
        assert_eq!(publishers.len(), 1);
        assert_eq!(publishers[0].1.as_str(), Some("7"));
    }
    assert!(wire.receiver("hub/Publishers/7", EARLIEST, |_| {}).is_err());
}

// --- idempotent producers ---

fn number(attach: &mut Attach, id: Value, epoch: Value, sequence: Value) {
    attach.desired_capabilities.push(Symbol::from_static(link::IDEMPOTENT_PRODUCER));
    for (name, value) in [
        (link::PRODUCER_ID, id),
        (link::PRODUCER_EPOCH, epoch),
        (link::PRODUCER_SEQUENCE, sequence),
    ] {
        attach.properties.insert(symbol(name), value);
    }
}

/// An idempotent producer that leaves everything to the service.
fn numbered(wire: &mut Wire) -> LinkId {
    let attach = |attach: &mut Attach| number(attach, Value::Null, Value::Null, Value::Null);
    attach_sender(wire, "hub/Partitions/0", attach).unwrap()
}

fn told(wire: &Wire, link: LinkId) -> (i64, i64, i64) {
    let properties = &wire.attached[&link].properties;
    let of = |name| properties.get(name).and_then(Value::as_i64).expect("told");
    assert!(matches!(properties.get(link::PRODUCER_ID), Some(Value::Long(_))));
    assert!(matches!(properties.get(link::PRODUCER_EPOCH), Some(Value::Short(_))));
    assert!(matches!(properties.get(link::PRODUCER_SEQUENCE), Some(Value::Int(_))));
    (of(link::PRODUCER_ID), of(link::PRODUCER_EPOCH), of(link::PRODUCER_SEQUENCE))
}

/// An event with the number `sequence`, as the official clients annotate it.
fn with_number((id, epoch): (i64, i64), sequence: i64, body: &str) -> Message {
    let mut message = Message { body: Body::from(body.as_bytes()), ..Message::default() };
    let annotations = &mut message.message_annotations;
    annotations.insert(symbol(link::PRODUCER_ID), Value::Long(id));
    let epoch = i16::try_from(epoch).unwrap();
    annotations.insert(symbol(link::PRODUCER_EPOCH), Value::Short(epoch));
    let sequence = i32::try_from(sequence).unwrap();
    annotations.insert(symbol(link::PRODUCER_SEQUENCE), Value::Int(sequence));
    message
}

#[test]
fn a_publication_that_comes_again_is_accepted_and_stored_once() {
    let namespace = namespace(Config::default());
    let mut wire = Wire::trusted(&namespace);
    let link = numbered(&mut wire);
    let (id, epoch, last) = told(&wire, link);
    assert_eq!((epoch, last), (0, -1), "nothing was published yet");
    let offered = &wire.attached[&link].offered_capabilities;
    assert!(offered.iter().any(|c| **c == *link::IDEMPOTENT_PRODUCER));
    let one = |number, body| encode(&with_number((id, epoch), number, body));
    assert_eq!(wire.send(link, one(0, "a"), 0), DeliveryState::Accepted);
    let both = [one(1, "b"), one(2, "c")];
    let envelope = encode(&Message { body: Body::Data(both.to_vec()), ..Message::default() });
    for _ in 0..3 {
        let state = wire.send(link, envelope.clone(), BATCH_FORMAT);
        assert_eq!(state, DeliveryState::Accepted, "its outcome may have been lost");
    }
    assert_eq!(wire.send(link, one(0, "a"), 0), DeliveryState::Accepted);
    let (condition, text) = rejected(wire.send(link, one(4, "e"), 0));
    assert_eq!(condition, "com.microsoft:out-of-order-sequence");
    assert!(text.contains("'4'") && text.contains("'3'"), "{text}");
    let gap = [one(3, "d"), one(5, "f")];
    let envelope = encode(&Message { body: Body::Data(gap.to_vec()), ..Message::default() });
    let (condition, _) = rejected(wire.send(link, envelope, BATCH_FORMAT));
    assert_eq!(condition, "com.microsoft:out-of-order-sequence");
    assert_eq!(wire.send(link, one(3, "d"), 0), DeliveryState::Accepted);
    assert_eq!(bodies(&namespace, 0), ["a", "b", "c", "d"]);
}

#[test]
fn a_numbered_link_takes_no_event_without_its_number() {
    let mut wire = Wire::trusted(&namespace(Config::default()));
    let link = numbered(&mut wire);
    let (id, epoch, _) = told(&wire, link);
    let (condition, _) = rejected(wire.send(link, event("x", None), 0));
    assert_eq!(condition, "com.microsoft:argument-error");
    let other = encode(&with_number((id + 1, epoch), 0, "x"));
    assert_eq!(rejected(wire.send(link, other, 0)).0, "com.microsoft:argument-error");
    let plain = wire.sender("hub/Partitions/0").unwrap();
    let ignored = encode(&with_number((id, epoch), 77, "x"));
    assert_eq!(wire.send(plain, ignored, 0), DeliveryState::Accepted, "numbers are not asked for");
}

#[test]
fn a_successor_with_a_higher_epoch_shuts_a_producer_out() {
    let namespace = namespace(Config::default());
    let mut wire = Wire::trusted(&namespace);
    let old = numbered(&mut wire);
    let (id, epoch, _) = told(&wire, old);
    assert_eq!(
        wire.send(old, encode(&with_number((id, epoch), 0, "a")), 0),
        DeliveryState::Accepted
    );
    let mut other = Wire::trusted(&namespace);
    let mut again = |epoch: Value, sequence: Value| {
        attach_sender(&mut other, "hub/Partitions/0", |attach| {
            number(attach, Value::Long(id), epoch, sequence);
        })
        .map(|link| (link, told(&other, link)))
    };
    let (_, same) = again(Value::Short(0), Value::Null).unwrap();
    assert_eq!(same, (id, 0, 0), "the numbers go on");
    let (new, raised) = again(Value::Short(1), Value::Null).unwrap();
    assert_eq!(raised, (id, 1, -1), "the numbers start anew");
    let late = again(Value::Short(0), Value::Null).unwrap_err();
    assert_eq!(late.condition.as_str(), "com.microsoft:producer-epoch-stolen");
    let (condition, _) = rejected(wire.send(old, encode(&with_number((id, 0), 1, "b")), 0));
    assert_eq!(condition, "com.microsoft:producer-epoch-stolen");
    assert_eq!(other.send(new, encode(&with_number((id, 1), 0, "c")), 0), DeliveryState::Accepted);
    assert_eq!(bodies(&namespace, 0), ["a", "c"]);
}

#[test]
fn what_no_producer_can_ask_for_is_refused() {
    let namespace = namespace(Config::default());
    let mut wire = Wire::trusted(&namespace);
    let mut refused = |address: &str, id: Value, epoch: Value| {
        let attach = |attach: &mut Attach| number(attach, id, epoch, Value::Null);
        attach_sender(&mut wire, address, attach).unwrap_err().condition.as_str().to_owned()
    };
    let first = "hub/Partitions/0";
    // As the service says it to an id that it did not give.
    assert_eq!(refused(first, Value::Long(100), Value::Short(100)), "amqp:not-allowed");
    assert_eq!(refused("hub", Value::Null, Value::Null), "amqp:not-allowed");
    assert_eq!(refused("hub/Publishers/p", Value::Null, Value::Null), "amqp:not-allowed");
    let bad = "com.microsoft:argument-error";
    assert_eq!(refused(first, Value::from("1".to_owned()), Value::Null), bad);
    assert_eq!(refused(first, Value::Long(-1), Value::Null), bad);
    assert_eq!(refused(first, Value::Null, Value::Int(40_000)), bad);
    assert!(wire.closed.is_none());
    let plain = wire.sender(first).unwrap();
    assert!(wire.attached[&plain].properties.get(link::PRODUCER_ID).is_none(), "unasked");
}

// --- throughput ---

#[test]
fn above_the_throughput_the_service_is_busy_for_as_long_as_it_says() {
    let config = Config::default().with_throughput(Throughput::new(1_000_000, 10));
    let namespace = namespace(config);
    let mut wire = Wire::trusted(&namespace);
    let link = wire.sender("hub/Partitions/0").unwrap();
    // 10 are the share of the second, 25 more those of two and a half.
    let (payload, format) = batch(&["x"; 35], None);
    assert_eq!(wire.send(link, payload, format), DeliveryState::Accepted);
    let (condition, told) = rejected(wire.send(link, event("busy", None), 0));
    assert_eq!(condition, "com.microsoft:server-busy");
    assert!(told.ends_with("Please wait 3 seconds and try again."), "{told}");
    let mut other = Wire::trusted(&namespace);
    let elsewhere = other.sender("hub/Partitions/1").unwrap();
    rejected(other.send(elsewhere, event("busy", None), 0));
    wire.advance(Duration::from_secs(3));
    assert_eq!(wire.send(link, event("later", None), 0), DeliveryState::Accepted);
    assert_eq!(bodies(&namespace, 0).len(), 36);
}

fn question(partition: &str) -> Message {
    Message {
        properties: Some(Properties { message_id: Some("id".into()), ..Properties::default() }),
        application_properties: [("operation", "READ"), ("type", "com.microsoft:partition")]
            .into_iter()
            .chain([("name", "hub"), ("partition", partition)])
            .collect(),
        ..Message::default()
    }
}

#[test]
fn questions_are_limited_too() {
    let config = Config::default().with_throughput(Throughput::units(1).with_requests(1));
    let mut wire = Wire::trusted(&namespace(config));
    let ask = |wire: &mut Wire| {
        let answer = wire.ask("$management", question("0"));
        answer.application_properties.get("status-code").and_then(Value::as_i64)
    };
    assert_eq!(ask(&mut wire), Some(200));
    assert_eq!(ask(&mut wire), Some(503));
    wire.advance(Duration::from_secs(1));
    assert_eq!(ask(&mut wire), Some(200));
}

// --- geo-replication ---

fn geo(attach: &mut Attach) {
    attach.desired_capabilities.push(Symbol::from_static(link::GEO_REPLICATION));
}

#[test]
fn a_replicated_namespace_has_offsets_that_are_no_numbers() {
    let namespace = namespace(Config::default().with_geo_replication(true));
    let mut wire = Wire::trusted(&namespace);
    let sender = attach_sender(&mut wire, "hub/Partitions/0", geo).unwrap();
    assert_eq!(wire.attached[&sender].offered_capabilities.len(), 1);
    for body in ["a", "b", "c"] {
        assert_eq!(wire.send(sender, event(body, None), 0), DeliveryState::Accepted);
    }
    let read = |selector: &str, geo_link: bool| {
        let mut wire = Wire::trusted(&namespace);
        let change = |attach: &mut Attach| {
            attach.desired_capabilities.push(Symbol::from_static(link::RUNTIME_METRIC));
            if geo_link {
                geo(attach);
            }
        };
        let link = wire.receiver(FIRST, selector, change)?;
        let offered = wire.attached[&link].offered_capabilities.len();
        assert_eq!(offered, 1 + usize::from(geo_link));
        wire.client.set_credit(link, 10);
        wire.exchange();
        Ok::<_, AmqpError>(wire.received(link))
    };
    let of = |event: &Message, name| event.message_annotations.get(name).cloned();
    let offset = |event: &Message| of(event, "x-opt-offset").unwrap().as_str().unwrap().to_owned();

    let events = read(EARLIEST, true).unwrap();
    assert_eq!(events.iter().map(text).collect::<String>(), "abc");
    for event in &events {
        assert!(offset(event).parse::<i64>().is_err(), "{}", offset(event));
        assert_eq!(of(event, "x-opt-sequence-number-epoch"), Some(Value::Int(0)));
        let last = event.delivery_annotations.get("last_enqueued_offset").unwrap();
        assert_eq!(last.as_str(), Some(offset(&events[2]).as_str()));
    }
    let after = format!("amqp.annotation.x-opt-offset > '{}'", offset(&events[0]));
    assert_eq!(read(&after, true).unwrap().iter().map(text).collect::<String>(), "bc");
    for wrong in ["5", "0", "1:5", "nonsense"] {
        let selector = format!("amqp.annotation.x-opt-offset > '{wrong}'");
        let error = read(&selector, true).unwrap_err();
        assert_eq!(error.condition.as_str(), "com.microsoft:georeplication:invalid-offset");
    }
    let by_number = "amqp.annotation.x-opt-sequence-number > '0'";
    assert_eq!(read(by_number, true).unwrap().len(), 2, "numbers are valid everywhere");

    let plain = read(EARLIEST, false).unwrap();
    for event in &plain {
        assert!(offset(event).parse::<i64>().is_ok(), "whoever cannot take text gets a number");
        assert_eq!(of(event, "x-opt-sequence-number-epoch"), Some(Value::Int(-1)));
    }
    let error = read(&after, false).unwrap_err();
    assert_eq!(error.condition.as_str(), "com.microsoft:argument-error");
}

#[test]
fn management_of_a_replicated_namespace_says_so() {
    for replicated in [false, true] {
        let config = Config::default().with_geo_replication(replicated);
        let namespace = namespace(config);
        let mut wire = Wire::trusted(&namespace);
        let sender = wire.sender("hub/Partitions/0").unwrap();
        wire.send(sender, event("a", None), 0);
        let map = |message: Message| match message.body {
            Body::Value(Value::Map(map)) => map,
            other => panic!("{other:?}"),
        };
        let answer = map(wire.ask("$management", question("0")));
        assert_eq!(answer.get("last_enqueued_offset").and_then(Value::as_str), Some("0"));
        let epoch = if replicated { 0 } else { -1 };
        for name in ["begin_sequence_number_epoch", "last_enqueued_sequence_number_epoch"] {
            assert_eq!(answer.get(name), Some(&Value::Long(epoch)), "{name}");
        }
        let mut whole = question("0");
        whole.application_properties.remove("type");
        whole.application_properties.insert("type", "com.microsoft:eventhub");
        let factor = map(wire.ask("$management", whole)).get("georeplication_factor").cloned();
        assert_eq!(factor, Some(Value::Int(if replicated { 2 } else { 1 })));
        // A client that can take text says so on the links of its questions.
        let link = attach_sender(&mut wire, "$management", geo).unwrap();
        assert_eq!(wire.attached[&link].offered_capabilities.len(), usize::from(replicated));
        let answer = map(wire.ask("$management", question("0")));
        let expected = if replicated { "0:0" } else { "0" };
        assert_eq!(answer.get("last_enqueued_offset").and_then(Value::as_str), Some(expected));
    }
}
