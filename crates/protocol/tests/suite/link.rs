//! Terms of links, and addresses.

use eventhubs_amqp::codec::Value;
use eventhubs_protocol::link::{self, ConsumerTerms};
use eventhubs_protocol::{
    ConsumerGroup, HubName, OwnerLevel, StartPosition, address, filter, names,
};

#[test]
fn addresses() {
    let hub = HubName::new("Hub").expect("a name");
    let group = ConsumerGroup::new("g").expect("a name");
    assert_eq!(address::producer(&hub, None), "Hub");
    assert_eq!(address::producer(&hub, Some(31.into())), "Hub/Partitions/31");
    assert_eq!(address::consumer(&hub, &group, 2.into()), "Hub/ConsumerGroups/g/Partitions/2");
    assert_eq!(address::audience("NS.example", &hub), "amqps://ns.example/hub");
    assert_eq!(address::audience("[::1]", &hub), "amqps://[::1]/hub");
}

#[test]
fn a_producer() {
    let terms = link::producer("hub/Partitions/1", "me");
    assert_eq!(terms.source.address.as_deref(), Some("me"));
    assert_eq!(terms.target.address.as_deref(), Some("hub/Partitions/1"));
    assert!(terms.properties.is_empty(), "nothing that no official client sends: {terms:?}");
    assert_eq!(terms.desired_capabilities, ["com.microsoft:georeplication"]);
}

#[test]
fn a_consumer_with_everything() {
    let position = StartPosition::latest();
    let terms = ConsumerTerms {
        identifier: "me",
        owner_level: Some(OwnerLevel::new(7).expect("not negative")),
        track_last_enqueued: true,
    };
    let terms = link::consumer("hub/ConsumerGroups/g/Partitions/0", &position, &terms);
    assert_eq!(terms.source.address.as_deref(), Some("hub/ConsumerGroups/g/Partitions/0"));
    assert_eq!(terms.source.filter, filter::source_filter(&position));
    assert_eq!(terms.target.address.as_deref(), Some("me"));
    assert_eq!(terms.properties.get("com.microsoft:epoch"), Some(&Value::Long(7)));
    assert_eq!(terms.properties.get("com.microsoft:receiver-name"), Some(&Value::from("me")));
    assert_eq!(terms.properties.len(), 2);
    assert_eq!(
        terms.desired_capabilities,
        ["com.microsoft:georeplication", "com.microsoft:enable-receiver-runtime-metric"]
    );
}

#[test]
fn a_consumer_with_nothing() {
    let terms = ConsumerTerms { identifier: "me", owner_level: None, track_last_enqueued: false };
    let terms = link::consumer("a", &StartPosition::earliest(), &terms);
    assert!(!terms.properties.contains_key("com.microsoft:epoch"));
    assert_eq!(terms.desired_capabilities, ["com.microsoft:georeplication"]);
}

#[test]
fn a_pair_for_requests() {
    let (requests, answers) = link::request_response(names::CBS_NODE, "me");
    assert_eq!(requests.target.address.as_deref(), Some("$cbs"));
    assert_eq!(answers.source.address.as_deref(), Some("$cbs"));
    assert_eq!(answers.target.address.as_deref(), Some("me"));
}
