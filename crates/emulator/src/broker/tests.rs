//! Whole conversations between a client's engine and the broker.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::codec::message::{Body, Message, Properties};
use eventhubs_amqp::codec::performative::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
use eventhubs_amqp::codec::{DeliveryState, Map, Target, Value, condition};
use eventhubs_amqp::engine::{CloseReason, Sasl};

use crate::config::{Config, Limits, Rights, SasKey};
use crate::names::link;
use crate::namespace::Namespace;
use crate::rules::token::sign;
use crate::wire::{LATER, Wire, batch, event, symbol, text};

const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";
const LATEST: &str = "amqp.annotation.x-opt-offset > '@latest'";
const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";

fn namespace() -> Arc<Namespace> {
    Arc::new(Namespace::new(&Config::default()))
}

fn epoch(epoch: i64, name: &'static str) -> impl FnOnce(&mut Attach) {
    move |attach| {
        attach.properties.insert(symbol(link::EPOCH), epoch);
        attach.properties.insert(symbol(link::RECEIVER_NAME), name);
    }
}

/// Receives everything that `address` has, as text.
fn everything(namespace: &Arc<Namespace>, address: &str) -> Vec<String> {
    let mut wire = Wire::trusted(namespace);
    let link = wire.receiver(address, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(link, 10_000);
    wire.exchange();
    wire.bodies(link)
}

#[test]
fn a_stranger_may_only_use_cbs() {
    let mut wire = Wire::new(&namespace());
    for address in ["hub", "hub/Partitions/0", "$management"] {
        let error = wire.sender(address).unwrap_err();
        assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{address}");
    }
    for address in [FIRST, "$management"] {
        let error = wire.receiver(address, EARLIEST, |_| {}).unwrap_err();
        assert_eq!(error.condition, condition::UNAUTHORIZED_ACCESS, "{address}");
    }
    let token = sign("sb://h/hub", "RootManageSharedAccessKey", "wrong", LATER);
    assert_eq!(wire.put_token("sb://h/hub", &token), (401, "com.microsoft:auth-failed".into()));
    assert!(wire.sender("hub").is_err());
    let token = sign("sb://h/hub", "RootManageSharedAccessKey", "SAS_KEY_VALUE", LATER);
    assert_eq!(wire.put_token("sb://h/hub", &token), (202, String::new()));
    assert!(wire.sender("hub").is_ok());
    assert!(wire.receiver(FIRST, EARLIEST, |_| {}).is_ok());
    assert!(wire.closed.is_none());
}

#[test]
fn rights_and_scopes_are_checked_on_each_attach() {
    let config = Config::default()
        .with_hub("hub", 2)
        .with_hub("other", 2)
        .with_sas_key(SasKey::new("reader", "r").with_rights(Rights::LISTEN));
    let mut wire = Wire::new(&Arc::new(Namespace::new(&config)));
    let token = sign("amqps://h/hub", "reader", "r", LATER);
    assert_eq!(wire.put_token("amqps://h/hub", &token).0, 202);
    assert!(wire.receiver(FIRST, EARLIEST, |_| {}).is_ok());
    let refused = wire.sender("hub").unwrap_err();
    assert_eq!(refused.condition, condition::UNAUTHORIZED_ACCESS);
    assert!(refused.description.unwrap_or_default().contains("'Send' claim(s) are required"));
    let other = wire.receiver(&FIRST.replace("hub", "other"), EARLIEST, |_| {}).unwrap_err();
    assert_eq!(other.condition, condition::UNAUTHORIZED_ACCESS);
}

#[test]
fn plain_proves_a_key_in_the_sasl_layer() {
    let plain = |password: &str| Sasl::Plain {
        user: "RootManageSharedAccessKey".into(),
        password: password.into(),
    };
    let mut wire = Wire::with_sasl(&namespace(), plain("SAS_KEY_VALUE"));
    assert!(wire.sender("hub").is_ok());
    let wire = Wire::with_sasl(&namespace(), plain("wrong"));
    assert!(matches!(wire.closed, Some(CloseReason::Sasl(_))), "{:?}", wire.closed);
}

#[test]
fn what_does_not_exist_is_told_in_the_services_words() {
    let mut wire = Wire::trusted(&namespace());
    let missing = |error: eventhubs_amqp::codec::AmqpError| {
        assert_eq!(error.condition, condition::NOT_FOUND);
        error.description.unwrap_or_default()
    };
    let address = "amqps://h:5672/nohub";
    assert_eq!(
        missing(wire.sender(address).unwrap_err()),
        "The messaging entity 'amqps://h:5672/nohub' could not be found."
    );
    let group = "hub/ConsumerGroups/nogroup/Partitions/0";
    assert!(missing(wire.receiver(group, EARLIEST, |_| {}).unwrap_err()).contains("nogroup"));
    assert!(missing(wire.sender("").unwrap_err()).contains("''"));
    for address in ["hub/Partitions/4", "hub/Partitions/x"] {
        let error = wire.sender(address).unwrap_err();
        assert_eq!(error.condition.as_str(), "com.microsoft:argument-out-of-range");
        let text = error.description.unwrap_or_default();
        assert!(text.ends_with("It should be between 0 and 3."), "{text}");
    }
    let error = wire.sender(FIRST).unwrap_err();
    assert_eq!(error.condition, condition::NOT_ALLOWED);
    let error = wire.receiver("hub", EARLIEST, |_| {}).unwrap_err();
    assert_eq!(error.condition, condition::NOT_ALLOWED);
    let error = wire
        .attach(Attach {
            role: Role::Sender,
            target: Some(Target { coordinator: true, ..Target::default() }),
            ..Attach::default()
        })
        .unwrap_err();
    assert_eq!(error.condition, condition::NOT_IMPLEMENTED);
    assert!(wire.closed.is_none());
    assert!(wire.sender("hub").is_ok(), "a refusal costs nothing but its link");
}

#[test]
fn attach_answers_carry_what_clients_read() {
    let mut wire = Wire::trusted(&namespace());
    let sender = wire
        .attach(Attach {
            role: Role::Sender,
            rcv_settle_mode: ReceiverSettleMode::Second,
            target: Some(Target::new("hub")),
            ..Attach::default()
        })
        .unwrap();
    let answer = &wire.attached[&sender];
    assert_eq!(answer.max_message_size, Some(1 << 20));
    assert_eq!(answer.rcv_settle_mode, ReceiverSettleMode::First);
    assert!(answer.source.is_some() && answer.target.is_some());
    assert!(wire.client.credit(sender) >= 500);
    let receiver = wire
        .receiver(FIRST, EARLIEST, |attach| {
            for capability in [link::RUNTIME_METRIC, "com.microsoft:georeplication"] {
                attach.desired_capabilities.push(eventhubs_amqp::codec::Symbol::new(capability));
            }
        })
        .unwrap();
    let answer = &wire.attached[&receiver];
    assert_eq!(answer.snd_settle_mode, SenderSettleMode::Settled);
    assert_eq!(answer.offered_capabilities.len(), 1, "only what is done is offered");
    assert_eq!(answer.initial_delivery_count, Some(0));
}

#[test]
fn events_arrive_with_their_place_and_nothing_else_changed() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let mut message = Message {
        properties: Some(Properties { message_id: Some("m-1".into()), ..Properties::default() }),
        body: Body::Value(Value::from(5_i64)),
        ..Message::default()
    };
    message.application_properties.insert("colour", "blue");
    let mut payload = bytes::BytesMut::new();
    message.encode(&mut payload);
    assert_eq!(wire.send(sender, payload.freeze(), 0), DeliveryState::Accepted);
    let (payload, format) = batch(&["a", "b"], Some("k"));
    assert_eq!(wire.send(sender, payload, format), DeliveryState::Accepted);

    let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(receiver, 10);
    wire.exchange();
    let received = wire.received(receiver);
    assert_eq!(received.len(), 3);
    let first = Message { message_annotations: Map::new(), ..received[0].clone() };
    assert_eq!(first, message);
    for (number, event) in received.iter().enumerate() {
        let annotations = &event.message_annotations;
        assert!(annotations.iter().all(|(key, _)| matches!(key, Value::Symbol(_))));
        assert_eq!(annotations.get("x-opt-sequence-number"), Some(&Value::Long(number as i64)));
        assert!(matches!(annotations.get("x-opt-offset"), Some(Value::String(_))));
        assert!(matches!(annotations.get("x-opt-enqueued-time"), Some(Value::Timestamp(_))));
        let key = annotations.get("x-opt-partition-key").and_then(Value::as_str);
        assert_eq!(key, (number > 0).then_some("k"));
    }
    assert_eq!((text(&received[1]), text(&received[2])), ("a".into(), "b".into()));
}

#[test]
fn keys_stay_together_and_the_rest_goes_round() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub").unwrap();
    for body in ["0", "1", "2", "3"] {
        assert_eq!(wire.send(sender, event(body, None), 0), DeliveryState::Accepted);
    }
    for body in ["k0", "k1"] {
        assert_eq!(wire.send(sender, event(body, Some("7")), 0), DeliveryState::Accepted);
    }
    let (payload, format) = batch(&["k2", "k3"], Some("7"));
    assert_eq!(wire.send(sender, payload, format), DeliveryState::Accepted);
    let partition = |number| {
        everything(&namespace, &format!("hub/ConsumerGroups/$Default/Partitions/{number}"))
    };
    assert_eq!(partition(0), ["0"]);
    assert_eq!(partition(1), ["1"]);
    assert_eq!(partition(2), ["2"]);
    assert_eq!(partition(3), ["3", "k0", "k1", "k2", "k3"], "key '7' belongs to partition 3");
}

#[test]
fn what_cannot_be_stored_is_rejected_and_the_link_lives() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let rejected = |state| {
        let DeliveryState::Rejected(Some(error)) = state else { panic!("{state:?}") };
        error.condition.as_str().to_owned()
    };
    let garbage = bytes::Bytes::from_static(b"not a message");
    assert_eq!(rejected(wire.send(sender, garbage, 0)), "amqp:decode-error");
    let (empty, format) = batch(&[], None);
    assert_eq!(rejected(wire.send(sender, empty, format)), "com.microsoft:argument-error");
    assert_eq!(wire.send(sender, event("good", None), 0), DeliveryState::Accepted);
    assert_eq!(everything(&namespace, FIRST), ["good"]);
}

#[test]
fn a_message_above_the_limit_is_refused_unless_lenient() {
    let limits = Limits { max_message_size: 1000, ..Limits::default() };
    let config = Config::default().with_limits(limits);
    let big = "x".repeat(2000);
    let strict = Arc::new(Namespace::new(&config));
    let mut wire = Wire::trusted(&strict);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    assert_eq!(wire.attached[&sender].max_message_size, Some(1000));
    assert_eq!(everything(&strict, FIRST), Vec::<String>::new());
    let lenient = Arc::new(Namespace::new(&config.with_lenient(true)));
    let mut wire = Wire::trusted(&lenient);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    assert_eq!(wire.send(sender, event(&big, None), 0), DeliveryState::Accepted);
    assert_eq!(everything(&lenient, FIRST), [big]);
}

#[test]
fn a_message_of_many_frames_arrives_whole() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let big = "0123456789".repeat(90_000);
    assert_eq!(wire.send(sender, event(&big, None), 0), DeliveryState::Accepted);
    assert_eq!(everything(&namespace, FIRST), [big]);
}

#[test]
fn credit_decides_how_much_is_sent_and_new_events_follow() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    for body in ["a", "b", "c"] {
        wire.send(sender, event(body, None), 0);
    }
    assert!(wire.bodies(receiver).is_empty(), "no credit, no events");
    wire.client.set_credit(receiver, 2);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["a", "b"]);
    wire.client.set_credit(receiver, 10);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["c"]);
    wire.send(sender, event("d", None), 0);
    assert_eq!(wire.bodies(receiver), ["d"]);
    let mut other = Wire::trusted(&namespace);
    let sender = other.sender("hub/Partitions/0").unwrap();
    other.send(sender, event("e", None), 0);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["e"], "events of another connection ring the bell");
}

#[test]
fn drain_sends_what_there_is_first() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let bodies: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    let (payload, format) = batch(&bodies.iter().map(String::as_str).collect::<Vec<_>>(), None);
    wire.send(sender, payload, format);
    let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(receiver, 1000);
    wire.client.drain(receiver);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), bodies);
    assert_eq!(wire.drained, 1);
    assert_eq!(wire.client.credit(receiver), 0);
    wire.client.set_credit(receiver, 5);
    wire.client.drain(receiver);
    wire.exchange();
    assert_eq!(wire.drained, 2, "nothing to send is answered as well");
    wire.send(sender, event("later", None), 0);
    assert!(wire.bodies(receiver).is_empty(), "drained credit is gone");
    wire.client.set_credit(receiver, 1);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["later"]);
    let (payload, format) = batch(&["x", "y", "z"], None);
    wire.send(sender, payload, format);
    wire.client.set_credit(receiver, 2);
    wire.client.drain(receiver);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["x", "y"]);
    assert_eq!(wire.drained, 3, "credit used up by events is answered as well");
}

#[test]
fn every_start_position_is_served() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    for body in ["a", "b", "c"] {
        wire.send(sender, event(body, None), 0);
    }
    let offset = (event("a", None).len()).to_string();
    let from = |selector: &str| {
        let mut wire = Wire::trusted(&namespace);
        let link = wire.receiver(FIRST, selector, |_| {})?;
        wire.client.set_credit(link, 100);
        wire.exchange();
        Ok::<_, eventhubs_amqp::codec::AmqpError>(wire.bodies(link).concat())
    };
    assert_eq!(from("").unwrap(), "abc", "without a filter from the start");
    assert_eq!(from(EARLIEST).unwrap(), "abc");
    assert_eq!(from(LATEST).unwrap(), "");
    assert_eq!(from("amqp.annotation.x-opt-sequence-number > '0'").unwrap(), "bc");
    assert_eq!(from("amqp.annotation.x-opt-sequence-number >='1'").unwrap(), "bc");
    assert_eq!(from(&format!("amqp.annotation.x-opt-offset > '{offset}'")).unwrap(), "c");
    assert_eq!(from(&format!("amqp.annotation.x-opt-offset >= '{offset}'")).unwrap(), "bc");
    assert_eq!(from("amqp.annotation.x-opt-enqueued-time > '0'").unwrap(), "abc");
    assert_eq!(from("amqp.annotation.x-opt-enqueued-time > '99999999999999'").unwrap(), "");
    for bad in ["amqp.annotation.x-opt-sequence-number > '3'", "amqp.annotation.x-opt-offset > 'x'"]
    {
        let error = from(bad).unwrap_err();
        assert_eq!(error.condition.as_str(), "com.microsoft:argument-error");
        assert!(error.description.unwrap_or_default().contains("is invalid. The last"));
    }
}

#[test]
fn runtime_metrics_come_with_each_event_when_asked() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    wire.send(sender, event("a", None), 0);
    wire.send(sender, event("b", None), 0);
    let receiver = wire
        .receiver(FIRST, EARLIEST, |attach| {
            let capability = eventhubs_amqp::codec::Symbol::from_static(link::RUNTIME_METRIC);
            attach.desired_capabilities.push(capability);
        })
        .unwrap();
    wire.client.set_credit(receiver, 1);
    wire.exchange();
    let received = wire.received(receiver);
    let annotations = &received[0].delivery_annotations;
    assert_eq!(annotations.get("last_enqueued_sequence_number"), Some(&Value::Long(1)));
    assert!(matches!(annotations.get("last_enqueued_offset"), Some(Value::String(_))));
    for time in ["last_enqueued_time_utc", "runtime_info_retrieval_time_utc"] {
        assert!(matches!(annotations.get(time), Some(Value::Timestamp(_))), "{time}");
    }
    assert_eq!(text(&received[0]), "a");
}

#[test]
fn a_higher_epoch_steals_and_a_lower_one_is_refused() {
    let namespace = namespace();
    let (mut old, mut new) = (Wire::trusted(&namespace), Wire::trusted(&namespace));
    let victim = old.receiver(FIRST, LATEST, epoch(1, "old")).unwrap();
    old.client.set_credit(victim, 10);
    old.exchange();
    let thief = new.receiver(FIRST, LATEST, epoch(5, "new")).unwrap();
    old.exchange();
    let error = old.detached(victim).expect("the victim is told");
    assert_eq!(error.condition, condition::LINK_STOLEN);
    assert!(error.description.unwrap_or_default().starts_with(
        "New receiver 'new' with higher epoch of '5' is created hence current receiver 'old' with \
         epoch '1' is getting disconnected."
    ));
    let refused = old.receiver(FIRST, LATEST, epoch(2, "old")).unwrap_err();
    assert_eq!(refused.condition, condition::LINK_STOLEN);
    assert!(refused.description.unwrap_or_default().starts_with(
        "Receiver 'new' with a higher epoch '5' already exists. Receiver 'old' with epoch 2 cannot \
         be created."
    ));
    assert!(old.receiver(FIRST, LATEST, |_| {}).is_err(), "nor one without an epoch");
    let elsewhere = "hub/ConsumerGroups/$Default/Partitions/1";
    assert!(old.receiver(elsewhere, LATEST, |_| {}).is_ok(), "other partitions are free");
    new.client.set_credit(thief, 10);
    let sender = new.sender("hub/Partitions/0").unwrap();
    new.send(sender, event("x", None), 0);
    assert_eq!(new.bodies(thief), ["x"]);
    assert!(old.bodies(victim).is_empty());
    drop(new);
    assert!(old.receiver(FIRST, LATEST, |_| {}).is_ok(), "a dead connection holds no seat");
}

#[test]
fn a_detached_receiver_gives_its_seat_up() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let links: Vec<_> = (0..5).map(|_| wire.receiver(FIRST, LATEST, |_| {}).unwrap()).collect();
    let error = wire.receiver(FIRST, LATEST, |_| {}).unwrap_err();
    assert_eq!(error.condition, condition::RESOURCE_LIMIT_EXCEEDED);
    wire.client.detach(links[0], true, None);
    wire.exchange();
    assert!(wire.receiver(FIRST, LATEST, |_| {}).is_ok());
}

#[test]
fn management_tells_what_was_sent() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/2").unwrap();
    wire.send(sender, event("a", None), 0);
    let ask = |wire: &mut Wire, properties: &[(&str, &str)]| {
        let message = Message {
            properties: Some(Properties {
                message_id: Some("id".into()),
                reply_to: Some("answers".into()),
                ..Properties::default()
            }),
            application_properties: properties.iter().copied().collect(),
            ..Message::default()
        };
        let answer = wire.ask("$management", message);
        let status = answer.application_properties.get("status-code").cloned();
        let Body::Value(body) = answer.body else { panic!("{:?}", answer.body) };
        (status, body)
    };
    let read = ("operation", "READ");
    let (status, body) =
        ask(&mut wire, &[read, ("type", "com.microsoft:eventhub"), ("name", "hub")]);
    assert_eq!(status, Some(Value::Int(200)));
    let Value::Map(map) = body else { panic!("{body:?}") };
    assert_eq!(map.get("partition_count"), Some(&Value::Int(4)));
    let partition =
        [read, ("type", "com.microsoft:partition"), ("name", "hub"), ("partition", "2")];
    let (_, body) = ask(&mut wire, &partition);
    let Value::Map(map) = body else { panic!("{body:?}") };
    assert_eq!(map.get("last_enqueued_sequence_number"), Some(&Value::Long(0)));
    assert_eq!(map.get("is_partition_empty"), Some(&Value::Bool(false)));
    let (status, body) = ask(&mut wire, &[read, ("name", "nohub")]);
    assert_eq!((status, body), (Some(Value::Int(404)), Value::Null));
}

#[test]
fn a_shutdown_closes_with_a_reason() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    namespace.shut_down();
    wire.exchange();
    let Some(CloseReason::Remote(Some(error))) = &wire.closed else { panic!("{:?}", wire.closed) };
    assert_eq!(error.condition, condition::CONNECTION_FORCED);
}

#[test]
fn answers_wait_for_credit_and_find_their_way() {
    let mut wire = Wire::trusted(&namespace());
    let request = |reply_to: Option<&str>| {
        let message = Message {
            properties: Some(Properties {
                message_id: Some(1_u64.into()),
                reply_to: reply_to.map(str::to_owned),
                ..Properties::default()
            }),
            application_properties: [("operation", "READ"), ("type", "com.microsoft:eventhub")]
                .into_iter()
                .chain([("name", "hub")])
                .collect(),
            ..Message::default()
        };
        let mut payload = bytes::BytesMut::new();
        message.encode(&mut payload);
        payload.freeze()
    };
    let answers = |address: Option<&'static str>, name: &'static str| {
        move |attach: &mut Attach| {
            attach.name = name.to_owned();
            attach.target = Some(address.map_or_else(Target::default, Target::new));
        }
    };
    let by_name = wire.receiver("$management", "", answers(None, "one")).unwrap();
    let by_address = wire.receiver("$management", "", answers(Some("there"), "two")).unwrap();
    let requests = wire.sender("$management").unwrap();
    for reply_to in [Some("one"), Some("there"), Some("nobody"), None] {
        assert_eq!(wire.send(requests, request(reply_to), 0), DeliveryState::Accepted);
    }
    assert!(wire.received(by_name).is_empty(), "no credit, no answer");
    for link in [by_name, by_address] {
        wire.client.set_credit(link, 10);
    }
    wire.exchange();
    let (one, two) = (wire.received(by_name).len(), wire.received(by_address).len());
    assert!(one >= 1 && two >= 1, "each reply-to finds its link: {one} and {two}");
    assert_eq!(one + two, 4, "without a match any link of the session will do");
}

#[test]
fn a_client_is_cut_off_after_twice_the_idle_time_out() {
    let allowed = Duration::from_secs(4);
    let config = Config::default().with_idle_time_out(allowed);
    let mut wire = Wire::trusted(&Arc::new(Namespace::new(&config)));
    wire.pass(allowed * 2 - Duration::from_millis(1));
    assert!(wire.closed.is_none());
    wire.pass(Duration::from_millis(1));
    assert!(wire.closed.is_some());
    assert_eq!(Config::default().idle_time_out, Duration::from_secs(240));
    let error = Config::default().with_idle_time_out(Duration::ZERO).validate().unwrap_err();
    assert!(error.to_string().contains("idle_time_out"), "{error}");
}
