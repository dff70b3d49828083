//! Batches: where they go, how full they get, and what comes back.

use eventhubs_client::{
    Destination, ErrorKind, EventBatch, EventData, PartitionId, PartitionKey, TryAddError,
};
use eventhubs_emulator::{Config, Limits};
use futures_util::future::try_join_all;

use crate::support::{BOTH, Fixture, texts, within};

/// An emulator whose links take messages of `limit` bytes.
async fn limited(limit: u64) -> Fixture {
    let limits = Limits { max_message_size: limit, ..Limits::default() };
    Fixture::with_config(Config::default().with_limits(limits)).await
}

fn key(text: &str) -> PartitionKey {
    PartitionKey::new(text).expect("it is valid")
}

fn partition(number: u16) -> Destination {
    PartitionId::from(number).into()
}

async fn batch_of(fixture: &Fixture, destination: Destination, events: &[&str]) -> EventBatch {
    let mut batch = within(fixture.hub.create_batch(destination)).await.expect("attached");
    for event in events {
        batch.try_add(*event).expect("it fits");
    }
    batch
}

#[tokio::test]
async fn a_batch_goes_to_its_partition_as_a_whole_and_in_order() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let destination = Destination::Partition(PartitionId::from(2));
        let batch = batch_of(&fixture, destination, &["a", "b", "c"]).await;
        assert_eq!((batch.count(), batch.is_empty()), (3, false));
        assert_eq!((batch.partition(), batch.partition_key()), (Some(2.into()), None));
        within(fixture.hub.send_batch(batch)).await.expect("accepted");
        let stored = fixture.stored().await;
        assert_eq!(texts(&stored[2]), ["a", "b", "c"], "{transport:?}");
        assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), 3);
    }
}

#[tokio::test]
async fn a_batch_of_a_key_goes_where_the_key_goes() {
    let fixture = Fixture::memory().await;
    within(fixture.hub.producer(key("k")).send("alone")).await.expect("accepted");
    let mut batch = batch_of(&fixture, Destination::Key(key("k")), &["without"]).await;
    batch.try_add(EventData::new("with").with_partition_key(key("k"))).expect("the same key");
    assert_eq!(batch.partition_key(), Some(&key("k")));
    within(fixture.hub.send_batch(batch)).await.expect("accepted");
    let stored = fixture.stored().await;
    let all = stored.iter().find(|events| !events.is_empty()).expect("some partition has them");
    assert_eq!(texts(all), ["alone", "without", "with"]);
    assert!(all.iter().all(|event| event.partition_key() == Some("k")));
}

#[tokio::test]
async fn batches_without_a_destination_are_spread_and_stay_whole() {
    let fixture = Fixture::memory().await;
    for _ in 0..8 {
        let batch = batch_of(&fixture, Destination::Any, &["1", "2", "3"]).await;
        within(fixture.hub.send_batch(batch)).await.expect("accepted");
    }
    for events in fixture.stored().await {
        assert_eq!(texts(&events), ["1", "2", "3", "1", "2", "3"]);
    }
}

#[tokio::test]
async fn ten_thousand_events_in_batches_arrive_once_each() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let (mut pending, mut batches) = (Vec::new(), 0);
    let mut batch = producer.create_batch().await.expect("attached");
    for number in 0..10_000_u32 {
        let event = EventData::new(format!("{number:0>200}"));
        if let Err(refused) = batch.try_add(event) {
            let full = std::mem::replace(&mut batch, producer.create_batch().await.unwrap());
            pending.push(producer.enqueue_batch(full));
            batches += 1;
            batch.try_add(refused.into_event()).expect("an empty batch takes it");
        }
    }
    pending.push(producer.enqueue_batch(batch));
    within(try_join_all(pending)).await.expect("accepted");
    assert!(batches >= 2, "{batches} full batches of 1 MiB");
    let expected: Vec<_> = (0..10_000).map(|number| format!("{number:0>200}")).collect();
    assert_eq!(texts(&fixture.stored_in(0).await), expected);
}

#[tokio::test]
async fn a_full_batch_gives_the_event_back() {
    let fixture = limited(1024).await;
    let mut batch = batch_of(&fixture, Destination::Any, &["first"]).await;
    assert_eq!(batch.limit_bytes(), 1024);
    let before = batch.size_bytes();
    let event = EventData::new(vec![7; 985]).with_property("kept", 1_i32);
    let error = batch.try_add(event).expect_err("both do not fit");
    let TryAddError::Full(event) = error else { panic!("{error:?}") };
    assert_eq!(event.body().map(<[u8]>::len), Some(985));
    assert!(event.property("kept").is_some());
    assert_eq!((batch.count(), batch.size_bytes()), (1, before), "the batch is as it was");
    within(fixture.hub.send_batch(batch)).await.expect("accepted");
    let mut next = batch_of(&fixture, Destination::Any, &[]).await;
    next.try_add(event).expect("an empty batch takes it");
    within(fixture.hub.send_batch(next)).await.expect("accepted");
    assert_eq!(fixture.stored().await.iter().map(Vec::len).sum::<usize>(), 2);
}

#[tokio::test]
async fn a_batch_of_exactly_the_limit_is_accepted() {
    let fixture = limited(1024).await;
    let mut batch = batch_of(&fixture, Destination::Any, &["first"]).await;
    let mut refused = 0;
    for size in (0..1024).rev() {
        match batch.try_add(vec![1; size]) {
            Ok(()) => break,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
    assert_eq!((batch.size_bytes(), batch.count()), (1024, 2), "not a byte is left");
    within(fixture.hub.send_batch(batch)).await.expect("accepted");
}

#[tokio::test]
async fn an_event_that_no_batch_takes_says_its_size_and_the_limit() {
    let fixture = limited(1024).await;
    let mut batch = batch_of(&fixture, Destination::Any, &["first"]).await;
    let error = batch.try_add(vec![0; 5000]).expect_err("never");
    let text = error.to_string();
    let TryAddError::TooLarge { event, size, limit } = error else { panic!("{error:?}") };
    assert!(size > 5000 && limit == 1024, "{size} {limit}");
    assert!(text.contains(&size.to_string()) && text.contains("1024"), "{text}");
    assert_eq!(event.body().map(<[u8]>::len), Some(5000));
    assert_eq!(batch.count(), 1);
}

#[tokio::test]
async fn an_event_of_another_key_comes_back() {
    let fixture = Fixture::memory().await;
    for destination in [Destination::Any, Destination::Key(key("b")), partition(0)] {
        let mut batch = batch_of(&fixture, destination, &[]).await;
        let error = batch
            .try_add(EventData::new("x").with_partition_key(key("a")))
            .expect_err("the key is not the batch's");
        assert!(matches!(&error, TryAddError::OtherKey(_)), "{error:?}");
        assert_eq!(error.into_event().partition_key(), Some(&key("a")));
        assert!(batch.is_empty());
    }
}

#[tokio::test]
async fn a_batch_for_another_destination_is_refused_before_the_network() {
    let fixture = Fixture::memory().await;
    let keys = [Destination::Key(key("a")), Destination::Key(key("b"))];
    let destinations = [Destination::Any, partition(0), partition(1)].into_iter().chain(keys);
    let destinations: Vec<_> = destinations.collect();
    for made_for in &destinations {
        for sent_to in destinations.iter().filter(|other| *other != made_for) {
            let producer = fixture.hub.producer(sent_to.clone());
            let batches = [
                batch_of(&fixture, made_for.clone(), &["x"]).await,
                batch_of(&fixture, made_for.clone(), &["x"]).await,
            ];
            let before = fixture.wire.written();
            let [first, second] = batches;
            let refused = [producer.send_batch(first).await, producer.enqueue_batch(second).await];
            assert_eq!(fixture.wire.written(), before, "nothing was written for it");
            for refused in refused {
                let error = refused.expect_err("refused");
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{made_for:?} to {sent_to:?}");
                assert!(!error.may_have_been_sent() && !error.is_retryable());
            }
        }
    }
    assert!(fixture.stored().await.iter().all(Vec::is_empty), "nothing was stored");
}

#[tokio::test]
async fn an_empty_batch_is_nothing_to_send() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let batch = producer.create_batch().await.expect("attached");
    assert!(batch.is_empty() && batch.count() == 0);
    within(producer.send_batch(batch)).await.expect("nothing to do");
    let batch = producer.create_batch().await.expect("attached");
    within(producer.enqueue_batch(batch)).await.expect("nothing to do");
    assert!(fixture.stored_in(0).await.is_empty());
}

#[tokio::test]
async fn a_batch_of_one_empty_event_is_an_event() {
    let fixture = Fixture::memory().await;
    let batch = batch_of(&fixture, partition(0), &[""]).await;
    within(fixture.hub.send_batch(batch)).await.expect("accepted");
    assert_eq!(texts(&fixture.stored_in(0).await), [""]);
}

#[tokio::test]
async fn a_batch_shows_sizes_and_no_content() {
    let fixture = Fixture::memory().await;
    let batch = batch_of(&fixture, Destination::Key(key("hidden")), &["hidden"]).await;
    let shown = format!("{batch:?}");
    assert!(shown.contains("count: 1") && !shown.contains("hidden"), "{shown}");
}
