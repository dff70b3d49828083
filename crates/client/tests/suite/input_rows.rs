//! What callers may hand in, row by row of the table "Input" in `docs/faults.md`: it is taken, or
//! refused by a typed error that names the field and shows nothing of its value.
//!
//! What an event carries is in `input_content`, many callers at once are in `input_crowd`, options
//! are in `bounds`.

use std::sync::{Arc, Mutex};

use eventhubs_client::{
    Connecting, Connector, ConsumerGroup, Destination, Error, ErrorKind, EventData, Hub,
    HubOptions, InvalidValue, Offset, Operation, PartitionId, PartitionKey, ReceiveOptions,
    SequenceNumber, StartPosition, Timestamp, TryAddError,
};
use eventhubs_emulator::Limits;

use crate::support::peer::{Peer, Reply};
use crate::support::{CANARY, Fixture, take, texts, within};

/// Notes where it is sent, and never gets there.
#[derive(Debug, Default)]
struct Compass {
    calls: Mutex<Vec<(String, u16)>>,
}

impl Connector for Compass {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        self.calls.lock().expect("no panic").push((host.to_owned(), port));
        Box::pin(std::future::pending())
    }
}

/// Where a hub of a connection string connects to.
async fn dialled(text: &str) -> (String, u16) {
    let compass = Arc::new(Compass::default());
    let options = HubOptions::default().with_connector(Arc::<Compass>::clone(&compass));
    let hub = Hub::from_connection_string_with(text, None, options)
        .unwrap_or_else(|error| panic!("{text:.200}: {error}"));
    assert_eq!(hub.name().as_str(), "hub", "{text:.200}");
    let sending = tokio::spawn(async move { hub.send("x").await });
    let first = async {
        loop {
            let first = compass.calls.lock().expect("no panic").first().cloned();
            match first {
                Some(first) => return first,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let first = within(first).await;
    sending.abort();
    first
}

#[tokio::test]
async fn u01_connection_strings_that_can_be_meant_are_taken() {
    const KEY: &str = "SharedAccessKeyName=name;SharedAccessKey=a2V5";
    let long = format!("Endpoint=sb://h.example;{KEY};EntityPath=hub;Note=");
    let long = format!("{long}{}", "x".repeat(65_536 - long.len()));
    for (text, host, port) in [
        (format!("Endpoint=sb://h.example/;{KEY};EntityPath=hub"), "h.example", 5671),
        // Letter case of keys, scheme, host and flag.
        (
            "ENDPOINT=SB://H.Example;sharedaccesskeyname=name;SHAREDACCESSKEY=a2V5;entitypath=hub"
                .to_owned(),
            "h.example",
            5671,
        ),
        // Unknown keys, even twice, and of any text.
        (format!("Endpoint=sb://h;{KEY};EntityPath=hub;Later=1;Later=ü=2"), "h", 5671),
        // Blanks, line ends, empty parts and a last semicolon.
        (format!(" Endpoint = sb://h ;; {KEY} ;\n EntityPath= hub ;\r\n;"), "h", 5671),
        // `=` in the key, and a name that is not ASCII.
        (
            "Endpoint=sb://h;SharedAccessKeyName=schlüssel;SharedAccessKey==a=b==;EntityPath=hub"
                .to_owned(),
            "h",
            5671,
        ),
        (format!("Endpoint=sb://h:65535;{KEY};EntityPath=hub"), "h", 65535),
        (format!("Endpoint=sb://[0:0::1]:5672/;{KEY};EntityPath=hub"), "[::1]", 5672),
        (format!("Endpoint=sb://[2001:DB8::1];{KEY};EntityPath=hub"), "[2001:db8::1]", 5671),
        (format!("Endpoint=sb://h;{KEY};EntityPath=hub;UseDevelopmentEmulator=TRUE"), "h", 5672),
        (format!("Endpoint=sb://h;{KEY};EntityPath=hub;UseDevelopmentEmulator=false"), "h", 5671),
        (long, "h.example", 5671),
    ] {
        assert_eq!(dialled(&text).await, (host.to_owned(), port), "{text:.200}");
    }
}

#[test]
fn u01_connection_strings_that_cannot_be_meant_name_the_field() {
    let key = format!("SharedAccessKeyName=n;SharedAccessKey={CANARY}");
    let bare = CANARY.trim_end_matches('=');
    for (text, about) in [
        (String::new(), "is empty"),
        (" \r\n\t".to_owned(), "is empty"),
        (";;;".to_owned(), "Endpoint is missing"),
        (bare.to_owned(), "key=value (part 1"),
        (key.clone(), "Endpoint is missing"),
        (format!("Endpoint=sb://h;SharedAccessKey={CANARY}"), "SharedAccessKeyName is missing"),
        (format!("Endpoint=sb://h;SharedAccessKeyName={CANARY}"), "SharedAccessKey is missing"),
        (format!("Endpoint=sb://h;SharedAccessKeyName=;SharedAccessKey={CANARY}"), "Name is empty"),
        (format!("Endpoint=sb://h;ENDPOINT=sb://{CANARY};{key}"), "Endpoint is given twice"),
        (format!("Endpoint=sb://h;{key};{key}"), "SharedAccessKeyName is given twice"),
        (format!("Endpoint=sb://h;{key};EntityPath=a;entitypath=a"), "EntityPath is given twice"),
        (format!("Endpoint=https://{CANARY};{key}"), "Endpoint must start with"),
        (format!("Endpoint=h;{key}"), "Endpoint must start with"),
        (format!("Endpoint=sb://h:{CANARY};{key}"), "Endpoint has a port"),
        (format!("Endpoint=sb://h:65536;{key}"), "Endpoint has a port"),
        (format!("Endpoint=sb://::1;{key}"), "Endpoint has a port"),
        (format!("Endpoint=sb://[::{CANARY}];{key}"), "Endpoint"),
        (format!("Endpoint=sb://canärycanary.example;{key}"), "Endpoint cannot be used"),
        (format!("Endpoint=sb://h;{key};EntityPath=canäry"), "EntityPath cannot be used"),
        (
            format!("Endpoint=sb://h;{key};UseDevelopmentEmulator={CANARY}"),
            "UseDevelopmentEmulator",
        ),
        (
            format!("Endpoint=sb://n.servicebus.windows.net;{key};UseDevelopmentEmulator=true"),
            "Endpoint names a host of the cloud",
        ),
        (CANARY.repeat(1_000_000 / CANARY.len()), "is longer than 65536"),
        (format!("Endpoint=sb://h;{key};Note={}", "x".repeat(65_536)), "is longer than 65536"),
    ] {
        let error = Hub::from_connection_string_for(&text, "hub").expect_err(about);
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, CONFIGURE));
        assert!(error.to_string().contains(about), "{error} does not name {about}");
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(!shown.contains("canary") && !shown.contains("canäry"), "{shown}");
    }
}

const CONFIGURE: Operation = Operation::Configure;

/// Checks that a value was refused by the name of its field, and is not repeated.
fn refused<T: std::fmt::Debug>(made: Result<T, InvalidValue>, field: &str, value: &str) {
    let error = made.expect_err(value);
    let text = error.to_string();
    assert!(text.starts_with(&format!("invalid {field}: ")), "{value}: {text}");
    assert!(value.len() < 3 || !text.contains(value), "{text}");
}

#[tokio::test]
async fn u02_a_partition_is_known_to_be_none_before_the_network_or_by_the_service() {
    for text in
        ["", "-1", "99999", "0 ", " 0", "../x", "0/../1", "٣", "０", "00", "0x1", "1e0", "\0"]
    {
        refused(PartitionId::new(text), "partition id", text);
    }
    let fixture = Fixture::memory().await;
    let absent = PartitionId::new("65535").expect("it could be one");
    let producer = fixture.hub.producer(absent);
    let options = ReceiveOptions::default();
    let errors = [
        within(producer.send("x")).await.expect_err("0 to 3"),
        within(fixture.hub.events(absent, options)).await.map(drop).expect_err("0 to 3"),
        within(fixture.hub.partition_runtime_information(absent))
            .await
            .map(drop)
            .expect_err("0 to 3"),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("65535"), "{error}");
        assert!(!error.may_have_been_sent() && !error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn u03_a_consumer_group_has_a_name_that_can_be_one() {
    let long = "g".repeat(51);
    for name in ["", "/", "a/b", "a b", "-a", "a-", "grüße", "$other", "a\n", &long] {
        refused(ConsumerGroup::new(name), "consumer group", name);
    }
    assert!(ConsumerGroup::new(&long[..50]).is_ok());
    let fixture = Fixture::memory().await;
    fixture.send(0, &["x"]).await;
    for name in ["$Default", "$default", "$DEFAULT"] {
        let group = ConsumerGroup::new(name).expect("it is valid");
        assert_eq!(group, ConsumerGroup::default(), "{name}");
        let options = ReceiveOptions::default().with_consumer_group(group);
        let mut stream = fixture.stream_with(0, options).await;
        assert_eq!(texts(&take(&mut stream, 1).await), ["x"], "{name}");
    }
}

#[tokio::test]
async fn u04_a_body_of_any_size_fits_exactly_or_is_told_its_size() {
    let fixture = Fixture::memory().await;
    let limit = usize::try_from(Limits::default().max_message_size).expect("it is small");
    let overhead = EventData::new(vec![0; limit]).encoded_len() - limit;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let sizes = [0, 1, limit - overhead - 1, limit - overhead];
    for size in sizes {
        let event = EventData::new(vec![7; size]);
        within(producer.send(event)).await.unwrap_or_else(|error| panic!("{size}: {error}"));
    }
    let before = fixture.wire.written();
    let event = EventData::new(vec![7; limit - overhead + 1]);
    assert_eq!(event.encoded_len(), limit + 1);
    for error in [
        within(producer.send(event.clone())).await.expect_err("a byte too large"),
        within(producer.enqueue(event)).await.expect_err("a byte too large"),
    ] {
        let expected = ErrorKind::TooLarge { size: limit + 1, limit: limit as u64 };
        assert_eq!((error.kind(), error.operation()), (expected, Operation::Send));
        assert!(!error.may_have_been_sent() && !error.is_retryable());
    }
    assert_eq!(fixture.wire.written(), before, "no byte of it was written");
    let stored = fixture.stored_in(0).await;
    assert_eq!(stored.iter().map(|event| event.body().len()).collect::<Vec<_>>(), sizes);
}

#[tokio::test]
async fn u05_a_full_batch_returns_the_event_and_is_sent_at_exactly_the_limit() {
    let fixture = Fixture::memory().await;
    let limit = usize::try_from(Limits::default().max_message_size).expect("it is small");
    let mut batch = within(fixture.hub.create_batch(PartitionId::from(0))).await.expect("attached");
    assert_eq!(batch.limit_bytes(), limit);
    let event = || EventData::new(vec![1; 1000]).with_property("n", 1_i32);
    while batch.size_bytes() + 3000 < limit {
        batch.try_add(event()).expect("there is room");
    }
    // What room is left is filled to the last byte.
    let mut last = limit - batch.size_bytes();
    while batch.try_add(vec![2; last]).is_err() {
        last -= 1;
    }
    assert_eq!(batch.size_bytes(), limit);
    let (count, size) = (batch.count(), batch.size_bytes());
    for one_more in [EventData::new(""), event()] {
        let error = batch.try_add(one_more.clone()).expect_err("not a byte is left");
        assert!(matches!(error, TryAddError::Full(_)), "{error:?}");
        let back = error.into_event();
        assert_eq!((back.body(), back.property("n")), (one_more.body(), one_more.property("n")));
        assert_eq!((batch.count(), batch.size_bytes()), (count, size), "the batch is as it was");
    }
    within(fixture.hub.send_batch(batch)).await.expect("accepted");
    assert_eq!(fixture.stored_in(0).await.len(), count);
}

#[tokio::test]
async fn u10_a_partition_key_is_1_to_128_long_and_goes_with_no_partition() {
    for text in ["", &"k".repeat(129), &"é".repeat(129), &"\u{1F980}".repeat(65)] {
        refused(PartitionKey::new(text), "partition key", text);
    }
    let fixture = Fixture::memory().await;
    let keys = ["k".to_owned(), "k".repeat(128), "é".repeat(128), "\u{1F980}".repeat(64)];
    for text in &keys {
        let key = PartitionKey::new(text).expect("it is valid");
        within(fixture.hub.producer(key).send("x")).await.expect("accepted");
    }
    let stored = fixture.stored().await.concat();
    let mut found: Vec<_> = stored.iter().filter_map(|event| event.partition_key()).collect();
    let mut expected: Vec<&str> = keys.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);

    let key = || PartitionKey::new("k").expect("it is valid");
    let producer = fixture.hub.producer(PartitionId::from(0));
    let mut batch = within(producer.create_batch()).await.expect("attached");
    let before = fixture.wire.written();
    let keyed = || EventData::new("x").with_partition_key(key());
    let refused: [Error; 2] = [
        producer.send(keyed()).await.expect_err("a partition and a key"),
        producer.enqueue(keyed()).await.expect_err("a partition and a key"),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Operation::Send));
        assert!(error.to_string().contains("partition key"), "{error}");
        assert!(!error.may_have_been_sent());
    }
    let error = batch.try_add(keyed()).expect_err("a partition and a key");
    assert!(matches!(error, TryAddError::OtherKey(_)), "{error:?}");
    assert_eq!(fixture.wire.written(), before, "nothing was written");
}

#[tokio::test]
async fn u11_an_empty_batch_is_no_transfer() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, wire) = peer.hub(HubOptions::default());
    let key = PartitionKey::new("k").expect("it is valid");
    for destination in [Destination::Any, PartitionId::from(0).into(), key.into()] {
        let producer = hub.producer(destination.clone());
        let [first, second, third] = [
            within(producer.create_batch()).await.expect("attached"),
            within(producer.create_batch()).await.expect("attached"),
            within(producer.create_batch()).await.expect("attached"),
        ];
        let before = wire.written();
        within(producer.send_batch(first)).await.expect("there is nothing to send");
        within(producer.enqueue_batch(second)).await.expect("there is nothing to send");
        within(hub.send_batch(third)).await.expect("there is nothing to send");
        assert_eq!(wire.written(), before, "{destination:?}");
    }
    assert_eq!(peer.events(), 0);
}

#[tokio::test]
async fn u12_a_position_is_a_place_a_typed_error_or_refused_by_the_service() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["0", "1", "2"]).await;
    let offset = |text: &str| StartPosition::offset(Offset::new(text).expect("it is valid"));
    let with = |start: StartPosition| ReceiveOptions::default().with_start(start);

    // The service's own words for both ends are offsets like others.
    let mut stream = fixture.stream_with(0, with(offset("-1"))).await;
    assert_eq!(texts(&take(&mut stream, 3).await), ["0", "1", "2"]);
    let mut latest = fixture.stream_with(0, with(offset("@latest"))).await;
    let last_moment = Timestamp::from_millis(253_402_300_799_999);
    let far = StartPosition::enqueued_time(last_moment).expect("the last moment of 9999");
    let _waits = fixture.stream_with(0, with(far)).await;
    fixture.send(0, &["3"]).await;
    assert_eq!(texts(&take(&mut latest, 1).await), ["3"]);

    let sequence = |number| StartPosition::sequence_number(SequenceNumber::from(number));
    for start in [
        offset("rubbish"),
        offset("'"),
        offset("' OR '1'='1"),
        offset("-1' OR amqp.annotation.x-opt-offset > '-1"),
        offset("@LATEST"),
        sequence(i64::MAX).expect("it is valid"),
    ] {
        let error = within(fixture.hub.events(0, with(start.clone()))).await.expect_err("nowhere");
        assert_eq!(error.kind(), ErrorKind::InvalidPosition, "{start:?}: {error}");
        assert_eq!(error.operation(), Operation::AttachConsumer);
        assert!(!error.is_retryable(), "{start:?}");
    }

    refused(sequence(-5), "sequence number", "-5");
    for (year, millis) in
        [(1601, -11_644_473_600_000), (1969, -1), (10_000, 253_402_300_800_000), (0, i64::MIN)]
    {
        let made = StartPosition::enqueued_time(Timestamp::from_millis(millis));
        refused(made, "enqueued time", &format!("the year {year}"));
    }
    for text in ["", "a\nb", &"9".repeat(1025)] {
        refused(Offset::new(text), "offset", text);
    }
}
