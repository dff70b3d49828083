//! Bad input: a typed error that names the field, before the network, without the value.

use std::error::Error as StdError;
use std::sync::Arc;

use eventhubs_client::{
    ConsumerGroup, Error, ErrorKind, EventData, Hub, HubName, HubOptions, Offset, Operation,
    OwnerLevel, PartitionId, PartitionKey, SasKey, SasTokenProvider, SequenceNumber, StartPosition,
    Timestamp,
};
use eventhubs_emulator::{Config, Limits};

use crate::support::{CANARY, Fixture, HUB, within};

const WHOLE: &str = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=name;\
    SharedAccessKey=key;EntityPath=hub";

fn provider() -> Arc<SasTokenProvider> {
    Arc::new(SasTokenProvider::new(SasKey::new("name", CANARY).expect("it is valid")))
}

/// Everything that an error shows, to whoever looks, together with its causes.
fn shown(error: &dyn StdError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(" {source} {source:?}"));
        next = source.source();
    }
    text
}

/// Checks that a constructor refused, says what about, and shows nothing it must not.
fn refused(made: Result<Hub, Error>, about: &str) {
    let error = made.expect_err(about);
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{about}: {error}");
    assert_eq!(error.operation(), Operation::Configure);
    assert!(!error.is_retryable() && !error.may_have_been_sent());
    assert!(error.to_string().contains(about), "{error} does not name {about}");
    let text = shown(&error).to_ascii_lowercase();
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn a_hub_is_made_without_a_runtime() {
    let hubs = [
        Hub::from_connection_string(WHOLE),
        Hub::from_connection_string_for(WHOLE, "hub"),
        Hub::from_connection_string_with(WHOLE, None, HubOptions::default()),
        Hub::new("ns", "hub", provider(), HubOptions::default()),
        Hub::new("ns.servicebus.windows.net", "hub", provider(), HubOptions::default()),
        Hub::new("NS.servicebus.windows.net.", "hub", provider(), HubOptions::default()),
    ];
    for hub in hubs {
        let hub = hub.expect("it is valid");
        assert_eq!((hub.name().as_str(), hub.host()), ("hub", "ns.servicebus.windows.net"));
        let clone = hub.clone();
        let producer = clone.producer(PartitionId::from(0));
        drop((hub, producer.enqueue("never polled"), producer));
        assert!(!format!("{clone:?}").to_ascii_lowercase().contains("canary"));
    }
    for (namespace, host) in
        [("localhost", "localhost"), ("[::1]", "[::1]"), ("10.0.0.1", "10.0.0.1")]
    {
        let hub = Hub::new(namespace, "hub", provider(), HubOptions::default());
        assert_eq!(hub.expect("it is valid").host(), host);
    }
}

#[test]
fn a_hub_needs_a_name_and_only_one() {
    let nameless = WHOLE.replace(";EntityPath=hub", "");
    refused(Hub::from_connection_string(&nameless), "no hub");
    let hub = Hub::from_connection_string_for(&nameless, "hub").expect("named beside the string");
    assert_eq!(hub.name().as_str(), "hub");
    refused(Hub::from_connection_string_for(WHOLE, "other"), "EntityPath names another hub");
    refused(Hub::from_connection_string_for(WHOLE, "Hub"), "EntityPath names another hub");
    let with = |hub| Hub::from_connection_string_with(WHOLE, hub, HubOptions::default());
    refused(with(Some("other")), "EntityPath names another hub");
    assert!(with(Some("hub")).is_ok());
}

#[test]
fn names_that_cannot_be_are_refused() {
    for name in ["", "a/b", "a b", "-a", "a\n", "é", &"a".repeat(257)] {
        let nameless = WHOLE.replace(";EntityPath=hub", "");
        refused(Hub::from_connection_string_for(&nameless, name), "event hub name");
        refused(Hub::new("ns", name, provider(), HubOptions::default()), "event hub name");
    }
    for namespace in ["", " ", "a/b", "a:5671", "sb://ns", "a b", "a..b", "[::1", "é.com", "."] {
        refused(Hub::new(namespace, "hub", provider(), HubOptions::default()), "the namespace");
    }
}

#[test]
fn malformed_connection_strings_name_the_field() {
    let key = format!("SharedAccessKeyName=n;SharedAccessKey={CANARY}");
    let bare = CANARY.trim_end_matches('=');
    let table = [
        (String::new(), "is empty"),
        (CANARY.to_owned(), "Endpoint is missing"),
        (bare.to_owned(), "key=value (part 1"),
        (format!("Endpoint=sb://h;{bare};{bare}"), "key=value (part 2"),
        (key.clone(), "Endpoint is missing"),
        (format!("Endpoint={CANARY};{key}"), "Endpoint must start with"),
        (format!("Endpoint=http://h;{key}"), "Endpoint must start with"),
        (format!("Endpoint=amqp://h;{key}"), "Endpoint must start with"),
        (format!("Endpoint=sb://;{key}"), "Endpoint cannot be used"),
        (format!("Endpoint=sb://{CANARY};{key}"), "Endpoint"),
        (format!("Endpoint=sb://h/{CANARY};{key}"), "Endpoint must be"),
        (format!("Endpoint=sb://h:{CANARY};{key}"), "Endpoint has a port"),
        (format!("Endpoint=sb://h:0;{key}"), "Endpoint has a port"),
        (format!("Endpoint=sb://h;Endpoint=sb://h;{key}"), "Endpoint is given twice"),
        (format!("Endpoint=sb://h;SharedAccessKey={CANARY}"), "SharedAccessKeyName is missing"),
        (format!("Endpoint=sb://h;SharedAccessKeyName={CANARY}"), "SharedAccessKey is missing"),
        (
            "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=".to_owned(),
            "SharedAccessKey is empty",
        ),
        (
            format!("Endpoint=sb://h;{key};SharedAccessKey={CANARY}"),
            "SharedAccessKey is given twice",
        ),
        (format!("Endpoint=sb://h;SharedAccessSignature={CANARY}"), "SharedAccessSignature is not"),
        (format!("Endpoint=sb://h;{key};SharedAccessSignature={CANARY}"), "SharedAccessSignature"),
        (format!("Endpoint=sb://h;{key};EntityPath={CANARY}/"), "EntityPath cannot be used"),
        (format!("Endpoint=sb://h;{key};EntityPath="), "EntityPath is empty"),
        (
            format!("Endpoint=sb://h;{key};UseDevelopmentEmulator={CANARY}"),
            "UseDevelopmentEmulator",
        ),
        (
            format!("Endpoint=sb://ns.servicebus.windows.net;{key};UseDevelopmentEmulator=true"),
            "Endpoint names a host of the cloud",
        ),
        (format!("Endpoint=sb://h;{key};EntityPath=hub").repeat(2000), "is longer than"),
    ];
    for (text, about) in &table {
        refused(Hub::from_connection_string(text), about);
        refused(Hub::from_connection_string_for(text, "hub"), about);
    }
    let hub = Hub::from_connection_string(&format!("Endpoint=sb://h;{key};EntityPath=hub"));
    assert!(!format!("{hub:?}").to_ascii_lowercase().contains("canary"));
}

#[test]
fn values_are_checked_when_they_are_made() {
    let table: Vec<(&str, Vec<Result<(), eventhubs_client::InvalidValue>>)> = vec![
        (
            "partition id",
            ["", "-1", "+1", "01", " 1", "1.0", "x", "65536", "99999999999999999999", CANARY]
                .map(|text| PartitionId::new(text).map(drop))
                .to_vec(),
        ),
        (
            "partition key",
            ["", &"k".repeat(129), &format!("{CANARY}{}", "é".repeat(128))]
                .map(|text| PartitionKey::new(text).map(drop))
                .to_vec(),
        ),
        ("event hub name", ["", "a/b", "-"].map(|text| HubName::new(text).map(drop)).to_vec()),
        (
            "consumer group",
            ["", "a/b", "$default2", &"g".repeat(51), CANARY]
                .map(|text| ConsumerGroup::new(text).map(drop))
                .to_vec(),
        ),
        (
            "offset",
            ["", "a\u{7}", &CANARY.repeat(100)].map(|text| Offset::new(text).map(drop)).to_vec(),
        ),
        (
            "sequence number",
            [-2, i64::MIN]
                .map(|n| StartPosition::sequence_number(SequenceNumber::from(n)).map(drop))
                .to_vec(),
        ),
        (
            "enqueued time",
            [Timestamp::NEVER.as_millis(), -1, 253_402_300_800_000, i64::MAX]
                .map(|n| StartPosition::enqueued_time(Timestamp::from_millis(n)).map(drop))
                .to_vec(),
        ),
        ("owner level", [-1, i64::MIN].map(|level| OwnerLevel::new(level).map(drop)).to_vec()),
    ];
    for (field, results) in table {
        for result in results {
            let error = result.expect_err(field);
            assert!(error.to_string().starts_with(&format!("invalid {field}: ")), "{error}");
            assert!(!shown(&error).to_ascii_lowercase().contains("canary"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_event_that_can_never_fit_says_its_size_and_the_limit() {
    let limits = Limits { max_message_size: 1024, ..Limits::default() };
    let fixture = Fixture::with_config(Config::default().with_limits(limits)).await;
    let key = PartitionKey::new("k").expect("it is valid");
    let producers = [
        fixture.hub.producer(PartitionId::from(0)),
        fixture.hub.producer(key.clone()),
        fixture.hub.producer(eventhubs_client::Destination::Any),
    ];
    for producer in producers {
        producer.ready().await.expect("attached");
        let event = EventData::new(vec![1; 1100]).with_property("p", 1_i32);
        let before = fixture.wire.written();
        for error in [
            within(producer.send(event.clone())).await.expect_err("too large"),
            within(producer.enqueue(event.clone())).await.expect_err("too large"),
        ] {
            let ErrorKind::TooLarge { size, limit } = error.kind() else { panic!("{error:?}") };
            assert!(size >= event.encoded_len() && size < event.encoded_len() + 64, "{size}");
            assert_eq!(limit, 1024);
            let text = error.to_string();
            assert!(text.contains(&size.to_string()) && text.contains("1024"), "{text}");
            assert!(!error.may_have_been_sent() && !error.is_retryable());
        }
        assert_eq!(fixture.wire.written(), before, "nothing left this end");
    }
    assert!(fixture.stored().await.iter().all(Vec::is_empty), "nothing reached the emulator");

    let overhead = EventData::new(vec![0; 1000]).encoded_len() - 1000;
    let exact = EventData::new(vec![0; 1024 - overhead]);
    assert_eq!(exact.encoded_len(), 1024);
    within(fixture.hub.send(exact)).await.expect("exactly the limit is accepted");
    let error = within(fixture.hub.send(vec![0; 1025 - overhead])).await.expect_err("one more");
    assert_eq!(error.kind(), ErrorKind::TooLarge { size: 1025, limit: 1024 });
}

#[tokio::test]
async fn an_event_with_a_key_goes_with_its_destination_or_nowhere() {
    let fixture = Fixture::memory().await;
    let keyed = |key: &str| {
        EventData::new("x").with_partition_key(PartitionKey::new(key).expect("it is valid"))
    };
    let to_partition = fixture.hub.producer(PartitionId::from(0));
    let to_key = fixture.hub.producer(PartitionKey::new("a").expect("it is valid"));
    for (error, about) in [
        (within(to_partition.send(keyed("a"))).await, "chosen partition"),
        (within(to_partition.enqueue(keyed("a"))).await, "chosen partition"),
        (within(to_key.send(keyed("b"))).await, "not the producer's"),
        (within(to_key.enqueue(keyed("b"))).await, "not the producer's"),
    ] {
        let error = error.expect_err(about);
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Operation::Send));
        assert!(error.to_string().contains(about), "{error}");
        assert!(!error.may_have_been_sent() && !error.is_retryable());
    }
    assert_eq!(fixture.wire.dials(), 0, "found before the network");
    within(to_key.send(keyed("a"))).await.expect("the same key");
    assert_eq!(fixture.stored().await.iter().map(Vec::len).sum::<usize>(), 1);
    assert_eq!(fixture.hub.name().as_str(), HUB);
}
