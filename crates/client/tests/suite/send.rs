//! Single events: sent and awaited, or queued with many in flight.

use std::collections::HashMap;

use eventhubs_client::{Destination, EventData, PartitionId, PartitionKey};
use futures_util::future::{join_all, try_join_all};

use crate::support::{BOTH, Fixture, PARTITIONS, take, texts, within};

#[tokio::test]
async fn an_event_goes_round() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        fixture.send(1, &["hello, world!"]).await;
        let mut stream = fixture.stream(1).await;
        let event = take(&mut stream, 1).await.remove(0);
        assert_eq!(event.body(), b"hello, world!");
        assert_eq!(event.sequence_number().as_i64(), 0, "{transport:?}");
        assert!(!event.offset().is_empty());
        assert!(event.enqueued_time().as_millis() > 1_700_000_000_000, "it is about now");
        assert_eq!(event.partition_key(), None);
        fixture.hub.close().await;
        fixture.emulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_hundred_in_flight_are_accepted_and_keep_their_order() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let producer = fixture.hub.producer(PartitionId::from(2));
        producer.ready().await.expect("attached");
        let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let pending: Vec<_> = expected.iter().map(|text| producer.enqueue(text.as_str())).collect();
        within(try_join_all(pending)).await.expect("all are accepted");
        assert_eq!(texts(&fixture.stored_in(2).await), expected, "{transport:?}");
    }
}

#[tokio::test]
async fn outcomes_may_be_awaited_in_any_order() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let mut pending: Vec<_> = (0..50).map(|n: u32| producer.enqueue(n.to_string())).collect();
    while let Some(sending) = pending.pop() {
        within(sending).await.expect("accepted");
    }
    assert_eq!(fixture.stored_in(0).await.len(), 50);
}

#[tokio::test]
async fn events_queued_before_the_link_is_there_arrive_too() {
    let fixture = Fixture::memory().await;
    let pending: Vec<_> = (0..100).map(|n: u32| fixture.hub.enqueue(n.to_string())).collect();
    assert!(within(join_all(pending)).await.iter().all(Result::is_ok));
    let stored: usize = fixture.stored().await.iter().map(Vec::len).sum();
    assert_eq!(stored, 100);
    assert_eq!(fixture.wire.dials(), 1);
}

#[tokio::test]
async fn sends_that_follow_each_other_keep_their_order() {
    let fixture = Fixture::memory().await;
    let expected: Vec<_> = (0..20).map(|number| format!("event {number}")).collect();
    let refs: Vec<_> = expected.iter().map(String::as_str).collect();
    fixture.send(3, &refs).await;
    let events = fixture.stored_in(3).await;
    assert_eq!(texts(&events), expected);
    for (number, event) in (0..).zip(&events) {
        assert_eq!(event.sequence_number().as_i64(), number);
    }
}

#[tokio::test]
async fn a_key_keeps_its_events_on_one_partition() {
    let fixture = Fixture::memory().await;
    let hub = &fixture.hub;
    let keys: Vec<_> = (0..20).map(|n| PartitionKey::new(&format!("key {n}")).unwrap()).collect();
    for key in &keys {
        let producer = hub.producer(key.clone());
        within(producer.send("by a producer of the key")).await.expect("accepted");
        let event = EventData::new("by an event with the key").with_partition_key(key.clone());
        within(hub.send(event.clone())).await.expect("accepted");
        within(producer.send(event)).await.expect("the keys are the same");
        let mut batch = hub.create_batch(key.clone()).await.expect("attached");
        batch.try_add("in a batch of the key").expect("it fits");
        batch.try_add("in the same batch").expect("it fits");
        within(hub.send_batch(batch)).await.expect("accepted");
    }
    let mut found: HashMap<String, Vec<usize>> = HashMap::new();
    for (partition, events) in fixture.stored().await.iter().enumerate() {
        for event in events {
            let key = event.partition_key().expect("each was sent with one").to_owned();
            found.entry(key).or_default().push(partition);
        }
    }
    assert_eq!(found.len(), keys.len());
    for (key, partitions) in &found {
        assert_eq!(partitions.len(), 5, "{key}");
        assert!(partitions.iter().all(|one| one == &partitions[0]), "{key}: {partitions:?}");
    }
    let used: std::collections::HashSet<_> = found.values().map(|all| all[0]).collect();
    assert!(used.len() > 1, "twenty keys use more than one partition");
}

#[tokio::test]
async fn events_without_a_destination_are_spread() {
    let fixture = Fixture::memory().await;
    for number in 0..40_u32 {
        within(fixture.hub.send(number.to_string())).await.expect("accepted");
    }
    let stored = fixture.stored().await;
    assert!(stored.iter().all(|events| !events.is_empty()), "every partition has some");
    assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), 40);
}

#[tokio::test]
async fn a_destination_is_what_it_was_made_from() {
    assert_eq!(Destination::default(), Destination::Any);
    assert_eq!(Destination::from(PartitionId::from(3)), Destination::Partition(3.into()));
    let key = PartitionKey::new("k").unwrap();
    assert_eq!(Destination::from(key.clone()), Destination::Key(key));
}

#[tokio::test]
async fn a_send_that_nobody_waits_for_leaves_the_link_usable() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    drop(producer.enqueue("never polled, so never queued"));
    producer.ready().await.expect("attached");
    for number in 0..10_u32 {
        drop(producer.enqueue(number.to_string()));
        within(producer.send(format!("kept {number}"))).await.expect("accepted");
    }
    let kept = texts(&fixture.stored_in(0).await);
    let kept: Vec<_> = kept.into_iter().filter(|text| text.starts_with("kept")).collect();
    assert_eq!(kept, (0..10).map(|number| format!("kept {number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_one_connection() {
    let fixture = Fixture::memory().await;
    let tasks = (0..32_u16).map(|number| {
        let hub = fixture.hub.clone();
        tokio::spawn(async move {
            let producer = hub.producer(PartitionId::from(number % PARTITIONS));
            for event in 0..50_u32 {
                producer.send(format!("{number}/{event}")).await.expect("accepted");
            }
        })
    });
    within(try_join_all(tasks)).await.expect("no panic");
    assert_eq!(fixture.wire.dials(), 1, "one connection for all");
    for events in fixture.stored().await {
        assert_eq!(events.len(), 400);
        let mut next: HashMap<String, u32> = HashMap::new();
        for text in texts(&events) {
            let (task, number) = text.split_once('/').expect("both are there");
            let expected = next.entry(task.to_owned()).or_default();
            assert_eq!(number, expected.to_string(), "task {task} keeps its order");
            *expected += 1;
        }
    }
}
