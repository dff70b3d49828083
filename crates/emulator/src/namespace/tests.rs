use std::time::Duration;

use eventhubs_amqp::codec::message::Message;
use eventhubs_amqp::codec::{AmqpError, DeliveryState, Value, condition};
use eventhubs_amqp::engine::LinkId;

use super::*;
use crate::config::ConfigError;
use crate::config::hub_config::HubStatus;
use crate::rules::tier::Tier;
use crate::wire::{Wire, event};

const EARLIEST: &str = "amqp.annotation.x-opt-offset > '-1'";
const FIRST: &str = "hub/ConsumerGroups/$Default/Partitions/0";
const DISABLED: &str = "com.microsoft:entity-disabled";

fn namespace() -> Arc<Namespace> {
    Arc::new(Namespace::new(&Config::default()))
}

fn partitions(count: u32) -> HubUpdate {
    HubUpdate { partitions: Some(count), ..HubUpdate::default() }
}

fn status(status: HubStatus) -> HubUpdate {
    HubUpdate { status: Some(status), ..HubUpdate::default() }
}

fn missing(error: &AmqpError, address: &str) {
    assert_eq!(error.condition, condition::NOT_FOUND);
    let text = format!("The messaging entity '{address}' could not be found.");
    assert_eq!(error.description.as_deref(), Some(text.as_str()));
}

#[test]
fn hubs_come_and_go_while_it_runs() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    assert!(wire.sender("new").is_err());
    namespace.create_hub(HubConfig::new("New", 2)).unwrap();
    let sender = wire.sender("new/Partitions/1").unwrap();
    assert_eq!(wire.send(sender, event("a", None), 0), DeliveryState::Accepted);
    let exists = namespace.create_hub(HubConfig::new("nEW", 1)).unwrap_err();
    assert_eq!(exists, HubError::Exists { hub: "New".into() });
    let names: Vec<_> = namespace.hubs().iter().map(|hub| hub.name.clone()).collect();
    assert_eq!(names, ["hub", "New"]);
    namespace.delete_hub("NEW").unwrap();
    assert_eq!(namespace.delete_hub("new"), Err(HubError::NotFound { hub: "new".into() }));
    assert!(wire.sender("new").is_err());
    namespace.create_hub(HubConfig::new("new", 1)).unwrap();
    let hub = namespace.hub("new").unwrap();
    assert_eq!(hub.partition(0).unwrap().info(0).last_sequence, -1, "another hub, empty");
}

#[test]
fn links_of_a_deleted_hub_are_told() {
    let namespace = namespace();
    namespace.create_hub(HubConfig::new("other", 1)).unwrap();
    let (mut wire, mut idle) = (Wire::trusted(&namespace), Wire::trusted(&namespace));
    let sender = wire.sender("hub").unwrap();
    let bound = wire.sender("hub/Partitions/1").unwrap();
    let elsewhere = wire.sender("other").unwrap();
    let receiver = idle.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    let hub = namespace.hub("hub").unwrap();
    namespace.delete_hub("hub").unwrap();
    wire.exchange();
    idle.exchange();
    missing(&wire.detached(sender).unwrap(), "hub");
    missing(&wire.detached(bound).unwrap(), "hub/Partitions/1");
    missing(&idle.detached(receiver).unwrap(), FIRST);
    missing(&wire.sender("hub").unwrap_err(), "hub");
    assert_eq!(wire.send(elsewhere, event("x", None), 0), DeliveryState::Accepted);
    assert!(wire.closed.is_none() && idle.closed.is_none());
    let (_, receivers) = hub.partition(0).unwrap().look(0);
    assert_eq!(receivers, [], "nobody is left behind");
}

#[test]
fn a_producer_cannot_publish_into_a_hub_that_is_gone() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    let hub = namespace.hub("hub").unwrap();
    // The hub goes without a word to the connection, as when its turn has begun.
    hub.delete();
    let DeliveryState::Rejected(Some(error)) = wire.send(sender, event("a", None), 0) else {
        panic!("accepted into nowhere");
    };
    missing(&error, "hub/Partitions/0");
    assert_eq!(hub.partition(0).unwrap().info(0).last_sequence, -1);
}

#[test]
fn partitions_are_added_under_live_receivers() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    let sender = wire.sender("hub/Partitions/0").unwrap();
    wire.send(sender, event("a", None), 0);
    wire.client.set_credit(receiver, 10);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["a"], "and now it waits");
    namespace.update_hub("hub", partitions(6)).unwrap();
    wire.exchange();
    assert!(wire.detached(receiver).is_none());
    wire.send(sender, event("b", None), 0);
    assert_eq!(wire.bodies(receiver), ["b"]);
    let hub = namespace.hub("hub").unwrap();
    assert_eq!(hub.partition_count(), 6);
    let added = wire.sender("hub/Partitions/5").unwrap();
    assert_eq!(wire.send(added, event("c", None), 0), DeliveryState::Accepted);
    let fewer = namespace.update_hub("hub", partitions(5)).map(|_| ());
    let refused = HubError::FewerPartitions { hub: "hub".into(), present: 6, wanted: 5 };
    assert_eq!(fewer, Err(refused));
}

#[test]
fn a_disabled_hub_refuses_and_detaches() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let table = [
        (HubStatus::SendDisabled, false, true),
        (HubStatus::ReceiveDisabled, true, false),
        (HubStatus::Disabled, false, false),
        (HubStatus::Active, true, true),
    ];
    for (new, sends, receives) in table {
        namespace.update_hub("hub", status(HubStatus::Active)).unwrap();
        let sender = wire.sender("hub").unwrap();
        let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
        namespace.update_hub("hub", status(new)).unwrap();
        wire.exchange();
        for (link, lives) in [(sender, sends), (receiver, receives)] {
            let condition = wire.detached(link).map(|error| error.condition.as_str().to_owned());
            assert_eq!(condition.as_deref(), (!lives).then_some(DISABLED), "{new:?}");
        }
        assert_eq!(wire.sender("hub").is_ok(), sends, "{new:?}");
        assert_eq!(wire.receiver(FIRST, EARLIEST, |_| {}).is_ok(), receives, "{new:?}");
    }
}

#[test]
fn groups_come_and_go_while_it_runs() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let address = "hub/ConsumerGroups/g1/Partitions/0";
    missing(&wire.receiver(address, EARLIEST, |_| {}).unwrap_err(), address);
    namespace.create_group("HUB", "G1").unwrap();
    let receiver = wire.receiver(address, EARLIEST, |_| {}).unwrap();
    let default = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    let exists = HubError::GroupExists { hub: "hub".into(), group: "G1".into() };
    assert_eq!(namespace.create_group("hub", "g1"), Err(exists));
    namespace.delete_group("hub", "g1").unwrap();
    // Created again before the connection's next turn: still another group.
    namespace.create_group("hub", "g1").unwrap();
    wire.exchange();
    missing(&wire.detached(receiver).unwrap(), address);
    assert!(wire.detached(default).is_none());
    assert!(wire.receiver(address, EARLIEST, |_| {}).is_ok());
    let default = HubError::DefaultGroup { hub: "hub".into() };
    assert_eq!(namespace.delete_group("hub", "$default"), Err(default.clone()));
    assert_eq!(namespace.create_group("hub", "$DEFAULT"), Err(default));
    let unknown = HubError::GroupNotFound { hub: "hub".into(), group: "g2".into() };
    assert_eq!(namespace.delete_group("hub", "g2"), Err(unknown));
    assert!(matches!(namespace.create_group("hub", "/"), Err(HubError::Invalid(_))));
}

#[test]
fn what_is_not_valid_changes_nothing() {
    let limits = Limits { hubs: 2, partitions: 10, consumer_groups: 1, ..Limits::default() };
    let namespace = Namespace::new(&Config::default().with_limits(limits));
    let too_many = |error: HubError| {
        let HubError::Invalid(ConfigError::TooMany { what, .. }) = error else {
            panic!("{error}");
        };
        what
    };
    let create = |hub| namespace.create_hub(hub).map(|_| ()).unwrap_err();
    assert_eq!(too_many(create(HubConfig::new("b", 7))), "partitions of all hubs");
    let groups = HubConfig::new("b", 1).with_consumer_group("x").with_consumer_group("y");
    assert_eq!(too_many(create(groups)), "consumer groups of one hub");
    assert!(matches!(create(HubConfig::new("-", 1)), HubError::Invalid(_)));
    let long = HubConfig::new("b", 1).with_retention(Duration::from_secs(91 * 86_400));
    assert!(matches!(create(long), HubError::Invalid(ConfigError::Retention { .. })));
    namespace.create_hub(HubConfig::new("b", 6)).unwrap();
    assert_eq!(too_many(create(HubConfig::new("c", 1))), "hubs");
    let update = |update| namespace.update_hub("hub", update).map(|_| ()).unwrap_err();
    assert_eq!(too_many(update(partitions(5))), "partitions of all hubs");
    assert!(matches!(update(partitions(1025)), HubError::Invalid(_)));
    let none = HubUpdate { retention: Some(Duration::ZERO), ..HubUpdate::default() };
    assert!(matches!(update(none), HubError::Invalid(ConfigError::Retention { .. })));
    namespace.create_group("hub", "g").unwrap();
    assert_eq!(
        too_many(namespace.create_group("hub", "h").unwrap_err()),
        "consumer groups of one hub"
    );
    assert_eq!(namespace.hub("hub").unwrap().partition_count(), 4);
    assert_eq!(namespace.hubs().len(), 2);
}

#[test]
fn a_snapshot_shows_hubs_partitions_and_receivers() {
    let namespace = namespace();
    namespace.create_group("hub", "g1").unwrap();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    wire.send(sender, event("a", None), 0);
    let named = |attach: &mut eventhubs_amqp::codec::performative::Attach| {
        attach.name = "reader".into();
        attach.properties.insert(crate::wire::symbol("com.microsoft:epoch"), 7_i64);
    };
    wire.receiver("hub/ConsumerGroups/g1/Partitions/0", EARLIEST, named).unwrap();
    wire.receiver(FIRST, EARLIEST, |attach| attach.name = "plain".into()).unwrap();
    let now = namespace.clock.now();
    let hubs = namespace.snapshot(now + 1000);
    let [hub] = hubs.as_slice() else { panic!("{hubs:?}") };
    let groups: Vec<_> = hub.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups, ["$Default", "g1"]);
    assert_eq!(hub.status, HubStatus::Active);
    assert!(hub.updated >= hub.created);
    let [first, second, ..] = hub.partitions.as_slice() else { panic!("{hub:?}") };
    assert_eq!((first.begin_sequence, first.last_sequence, first.events), (0, 0, 1));
    assert_eq!(
        first.bytes,
        namespace.hub("hub").unwrap().partition(0).unwrap().events(now)[0].message.len()
    );
    let receivers: Vec<_> = first
        .receivers
        .iter()
        .map(|receiver| (receiver.group.as_str(), receiver.name.as_str(), receiver.epoch))
        .collect();
    assert_eq!(receivers, [("$Default", "plain", None), ("g1", "reader", Some(7))]);
    assert_eq!((second.last_sequence, second.events, second.bytes), (-1, 0, 0));
    assert_eq!(second.last_offset, "-1");
}

/// Sequence numbers of what has arrived on a link.
fn sequences(wire: &mut Wire, link: LinkId) -> Vec<i64> {
    let sequence = |message: &Message| {
        let annotations = &message.message_annotations;
        annotations.get("x-opt-sequence-number").and_then(Value::as_i64).unwrap()
    };
    wire.received(link).iter().map(sequence).collect()
}

#[test]
fn receivers_go_on_at_the_first_event_that_is_left() {
    let namespace = namespace();
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub/Partitions/0").unwrap();
    for body in ["0", "1", "2", "3", "4", "5"] {
        wire.send(sender, event(body, None), 0);
    }
    let middle = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(middle, 2);
    wire.exchange();
    assert_eq!(sequences(&mut wire, middle), [0, 1]);
    let partition = namespace.partition("hub", 0).unwrap();
    partition.trim(4).unwrap();
    wire.client.set_credit(middle, 1);
    wire.exchange();
    assert_eq!(sequences(&mut wire, middle), [4], "without a word, as in the service");
    let before = wire.receiver(FIRST, "amqp.annotation.x-opt-sequence-number > '0'", |_| {});
    let before = before.unwrap();
    wire.client.set_credit(before, 10);
    wire.exchange();
    assert_eq!(sequences(&mut wire, before), [4, 5], "a position that was trimmed is no error");
    partition.trim(i64::MAX).unwrap();
    wire.client.set_credit(middle, 10);
    wire.exchange();
    assert!(sequences(&mut wire, middle).is_empty());
    let info = partition.info(namespace.clock.now());
    assert_eq!((info.begin_sequence, info.last_sequence, info.is_empty), (6, 5, true));
    wire.send(sender, event("6", None), 0);
    assert_eq!(sequences(&mut wire, middle), [6]);
    assert_eq!(sequences(&mut wire, before), [6], "those who waited at the end too");
    let beyond = wire.receiver(FIRST, "amqp.annotation.x-opt-sequence-number > '7'", |_| {});
    assert_eq!(beyond.unwrap_err().condition.as_str(), "com.microsoft:argument-error");
}

#[test]
fn retention_goes_by_the_services_clock() {
    let hub = HubConfig::new("hub", 1).with_retention(Duration::from_secs(3600));
    let namespace = Arc::new(Namespace::new(&Config::default().with_hub_config(hub)));
    let mut wire = Wire::trusted(&namespace);
    let sender = wire.sender("hub").unwrap();
    wire.send(sender, event("old", None), 0);
    namespace.clock.advance(Duration::from_secs(3500));
    wire.send(sender, event("new", None), 0);
    namespace.clock.advance(Duration::from_secs(200));
    let receiver = wire.receiver(FIRST, EARLIEST, |_| {}).unwrap();
    wire.client.set_credit(receiver, 10);
    wire.exchange();
    assert_eq!(wire.bodies(receiver), ["new"]);
    let shorter = HubUpdate { retention: Some(Duration::from_millis(1)), ..HubUpdate::default() };
    namespace.update_hub("hub", shorter).unwrap();
    namespace.clock.advance(Duration::from_millis(2));
    namespace.expire();
    let hubs = namespace.snapshot(0);
    let partition = &hubs[0].partitions[0];
    assert_eq!((partition.events, partition.last_sequence), (0, 1), "nobody had to ask");
}

#[test]
fn a_tier_limits_what_its_owner_may_create() {
    let day = Duration::from_secs(24 * 3600);
    let of = |tier| Namespace::new(&Config::default().with_tier(tier).with_hub("hub", 4));
    let refused = |error: HubError| {
        let HubError::Invalid(error) = error else { panic!("{error:?}") };
        error
    };
    let basic = of(Tier::Basic);
    assert_eq!(basic.hub("hub").unwrap().retention(), day, "7 days would be too many");
    let long = HubUpdate { retention: Some(9 * day), ..HubUpdate::default() };
    assert_eq!(basic.update_hub("hub", long).unwrap().retention(), day);
    let error = refused(basic.create_group("hub", "g").unwrap_err());
    assert!(matches!(error, ConfigError::Tier { what: "consumer groups", most: 1, .. }));
    let error = refused(basic.create_hub(HubConfig::new("wide", 33)).unwrap_err());
    assert!(matches!(error, ConfigError::Tier { what: "partitions", most: 32, .. }));
    let error = refused(basic.update_hub("hub", partitions(5)).unwrap_err());
    assert!(matches!(error, ConfigError::FixedPartitions { .. }));
    assert!(basic.update_hub("hub", partitions(4)).is_ok(), "no change is no scaling");
    let premium = of(Tier::Premium);
    assert_eq!(premium.update_hub("hub", partitions(100)).unwrap().partition_count(), 100);
    assert!(premium.update_hub("hub", partitions(101)).is_err());
    assert!(premium.create_group("hub", "g").is_ok());
}
