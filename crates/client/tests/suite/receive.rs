//! Receiving as a stream: credit, ownership, what is dropped, and what cannot be received.

use std::error::Error as _;

use bytes::{Bytes, BytesMut};
use eventhubs_client::message::{Body, Message};
use eventhubs_client::{
    ConsumerGroup, ErrorKind, EventError, HubOptions, Operation, OwnerLevel, PartitionId,
    ReceiveOptions, StartPosition, Symbol, Value,
};
use eventhubs_emulator::Config;
use futures_util::{FutureExt, StreamExt};

use crate::support::peer::{Peer, Reply};
use crate::support::{BOTH, Fixture, SECOND_GROUP, end_of, take, texts, within};

fn level(level: i64) -> ReceiveOptions {
    ReceiveOptions::default().with_owner_level(OwnerLevel::new(level).expect("not negative"))
}

/// Fills a partition with the numbers from 0 on.
async fn fill(fixture: &Fixture, partition: u16, count: u32) {
    let producer = fixture.hub.producer(PartitionId::from(partition));
    let mut batch = within(producer.create_batch()).await.expect("attached");
    for number in 0..count {
        batch.try_add(number.to_string()).expect("it fits");
    }
    within(producer.send_batch(batch)).await.expect("accepted");
}

fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_stream_is_a_stream() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        fill(&fixture, 0, 1000).await;
        let stream = fixture.stream(0).await;
        assert_eq!(stream.partition(), PartitionId::from(0));
        let events: Vec<_> = within(stream.take(1000).collect::<Vec<_>>()).await;
        let events: Vec<_> = events.into_iter().map(|event| event.expect("an event")).collect();
        assert_eq!(texts(&events), numbers(1000), "{transport:?}");
    }
}

#[tokio::test]
async fn events_come_as_they_are_sent() {
    let fixture = Fixture::memory().await;
    let mut stream = fixture.stream(1).await;
    for text in ["a", "b", "c"] {
        fixture.send(1, &[text]).await;
        assert_eq!(texts(&take(&mut stream, 1).await), [text]);
    }
}

#[tokio::test]
async fn the_smallest_prefetch_works() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 50).await;
    for prefetch in [1, 2, 3] {
        let options = ReceiveOptions::default().with_prefetch(prefetch);
        let mut stream = fixture.stream_with(0, options).await;
        assert_eq!(texts(&take(&mut stream, 50).await), numbers(50), "prefetch {prefetch}");
    }
}

#[tokio::test]
async fn a_small_budget_of_bytes_lets_large_events_through() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    for _ in 0..10 {
        within(producer.send(vec![1; 100_000])).await.expect("accepted");
    }
    let mut options = ReceiveOptions::default();
    options.prefetch_bytes = 1;
    let mut stream = fixture.stream_with(0, options).await;
    assert!(take(&mut stream, 10).await.iter().all(|event| event.body().len() == 100_000));
}

#[tokio::test]
async fn large_and_small_events_in_turn_never_wait_for_each_other() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let mut options = ReceiveOptions::default().with_prefetch(8);
    options.prefetch_bytes = 1_000_000;
    let mut stream = fixture.stream_with(0, options).await;
    for size in [900_000, 1].repeat(20) {
        within(producer.send(vec![1; size])).await.expect("accepted");
        assert_eq!(take(&mut stream, 1).await[0].body().len(), size);
    }
}

#[tokio::test]
async fn events_of_the_largest_size_flow_by_default() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let mut stream = fixture.stream(0).await;
    for _ in 0..100 {
        within(producer.send(vec![1; 1_000_000])).await.expect("accepted");
        assert_eq!(take(&mut stream, 1).await[0].body().len(), 1_000_000);
    }
}

#[tokio::test]
async fn a_dropped_stream_leaves_the_hub_usable() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 2000).await;
    for taken in [0, 1, 299, 300, 301, 1999] {
        let mut stream = fixture.stream(0).await;
        take(&mut stream, taken).await;
        drop(stream);
    }
    let mut stream = fixture.stream(0).await;
    assert_eq!(take(&mut stream, 2000).await.len(), 2000);
    fixture.send(1, &["still sending"]).await;
    assert_eq!(fixture.wire.dials(), 1, "on the same connection");
}

#[tokio::test]
async fn a_cancelled_next_loses_nothing() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 500).await;
    let mut stream = fixture.stream(0).await;
    let mut events = Vec::new();
    let all = async {
        while events.len() < 500 {
            match stream.next().now_or_never() {
                Some(event) => events.push(event.expect("it goes on").expect("an event")),
                None => tokio::task::yield_now().await,
            }
        }
    };
    within(all).await;
    assert_eq!(texts(&events), numbers(500));
}

#[tokio::test]
async fn a_cancelled_attach_is_detached() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["x"]).await;
    // The emulator lets five in; whoever was cancelled must not count for long.
    for _ in 0..20 {
        assert!(fixture.hub.events(0, ReceiveOptions::default()).now_or_never().is_none());
        fixture.stream(0).await.close().await;
    }
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(fixture.stream(0).await);
    }
    for stream in &mut streams {
        assert_eq!(texts(&take(stream, 1).await), ["x"]);
    }
    let error = within(fixture.hub.events(0, ReceiveOptions::default())).await.expect_err("six");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    streams.pop().expect("five").close().await;
    assert_eq!(texts(&take(&mut fixture.stream(0).await, 1).await), ["x"], "room again");
}

#[tokio::test]
async fn a_reader_who_stops_holds_nobody_up() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 2000).await;
    let unread = fixture.stream(0).await;
    fill(&fixture, 1, 2000).await;
    let mut other = fixture.stream(1).await;
    assert_eq!(take(&mut other, 2000).await.len(), 2000);
    drop(unread);
}

#[tokio::test]
async fn groups_read_independently() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 10).await;
    let group = ConsumerGroup::new(SECOND_GROUP).expect("it is valid");
    let second = ReceiveOptions::default().with_consumer_group(group);
    let mut first = fixture.stream_with(0, level(1)).await;
    let mut second = fixture.stream_with(0, second).await;
    assert_eq!(texts(&take(&mut first, 10).await), numbers(10));
    assert_eq!(texts(&take(&mut second, 10).await), numbers(10));
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let fixture = Fixture::memory().await;
    let group = ConsumerGroup::new("nobody").expect("it is valid");
    let options = ReceiveOptions::default().with_consumer_group(group);
    let error = within(fixture.hub.events(0, options)).await.expect_err("no such group");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Operation::AttachConsumer));
    assert!(error.entity().contains("nobody") && error.to_string().contains("nobody"), "{error}");
    assert!(!error.is_retryable());

    let error = within(fixture.hub.events(4, ReceiveOptions::default())).await.expect_err("0 to 3");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFound, Operation::AttachConsumer));
    assert!(error.to_string().contains("Partitions/4"), "{error}");

    let producer = fixture.hub.producer(PartitionId::from(4));
    for error in [
        within(producer.send("x")).await.expect_err("0 to 3"),
        within(producer.enqueue("x")).await.expect_err("0 to 3"),
        within(producer.create_batch()).await.expect_err("0 to 3"),
        within(producer.ready()).await.expect_err("0 to 3"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(error.operation(), Operation::AttachProducer);
        assert!(!error.may_have_been_sent());
    }
    fixture.send(0, &["the hub is usable all the same"]).await;
}

#[tokio::test]
async fn a_higher_owner_level_takes_the_partition_over() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 10).await;
    let mut unlevelled = fixture.stream(0).await;
    let mut first = fixture.stream_with(0, level(1)).await;
    let error = end_of(&mut unlevelled).await;
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Stolen, Operation::Receive));
    assert!(!error.is_retryable());

    let mut second = fixture.stream_with(0, level(2)).await;
    assert_eq!(end_of(&mut first).await.kind(), ErrorKind::Stolen);
    for refused in [level(1), ReceiveOptions::default()] {
        let error = within(fixture.hub.events(0, refused)).await.expect_err("a higher level reads");
        assert_eq!(error.kind(), ErrorKind::Stolen);
        assert_eq!(error.operation(), Operation::AttachConsumer);
    }
    assert_eq!(texts(&take(&mut second, 10).await), numbers(10));

    let mut same = fixture.stream_with(0, level(2)).await;
    assert_eq!(end_of(&mut second).await.kind(), ErrorKind::Stolen, "the same level steals too");
    assert_eq!(texts(&take(&mut same, 10).await), numbers(10));
}

#[tokio::test]
async fn the_end_of_the_partition_is_told_when_asked_for() {
    let fixture = Fixture::memory().await;
    fill(&fixture, 0, 10).await;
    let options = ReceiveOptions::default().with_last_enqueued_tracking();
    let mut tracked = fixture.stream_with(0, options).await;
    for event in take(&mut tracked, 10).await {
        let last = event.last_enqueued().expect("it was asked for");
        assert_eq!(last.sequence_number.as_i64(), 9);
        assert!(last.offset.is_some() && last.enqueued_time.is_some());
        assert!(last.retrieval_time >= last.enqueued_time);
    }
    let mut plain = fixture.stream(0).await;
    assert!(take(&mut plain, 10).await.iter().all(|event| event.last_enqueued().is_none()));
}

#[tokio::test]
async fn closing_a_stream_ends_the_receiver_alone() {
    let fixture = Fixture::with_config(Config::default()).await;
    let mut other = fixture.stream(0).await;
    let stream = fixture.stream(0).await;
    within(stream.close()).await;
    fixture.send(0, &["to the other"]).await;
    assert_eq!(texts(&take(&mut other, 1).await), ["to the other"]);
    let options = ReceiveOptions::default().with_start(StartPosition::latest());
    let idle = fixture.stream_with(0, options).await;
    within(idle.close()).await;
}

fn message(number: i64) -> Bytes {
    let annotations = [
        (Symbol::from_static("x-opt-sequence-number"), Value::Long(number)),
        (Symbol::from_static("x-opt-offset"), Value::from(number.to_string())),
    ];
    let message = Message {
        message_annotations: annotations.into_iter().collect(),
        body: Body::from(&b"body"[..]),
        ..Message::default()
    };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_an_item() {
    let broken = Bytes::from_static(b"\x00\x53\x75\xb0\xff\xff\xff\xff");
    let peer = Peer::replying(Reply::Silence).with_outbox([message(7), broken, message(9)]);
    let (hub, _wire) = peer.hub(HubOptions::default());
    let mut stream = within(hub.events(0, ReceiveOptions::default())).await.expect("attached");
    let mut next = async || within(stream.next()).await.expect("the stream goes on");
    assert_eq!(next().await.expect("an event").sequence_number().as_i64(), 7);
    let error = next().await.expect_err("it is broken");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Undecodable, Operation::Receive));
    assert!(!error.is_retryable());
    let source = error.source().and_then(|source| source.downcast_ref::<EventError>());
    assert_eq!(source.expect("the cause").raw().len(), 8);
    assert_eq!(next().await.expect("an event").sequence_number().as_i64(), 9);
}
