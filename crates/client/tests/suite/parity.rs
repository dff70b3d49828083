//! Claims of the Go library's tests that no other test of ours makes; `docs/parity.md` has all of
//! them.

use std::collections::HashMap;
use std::time::Duration;

use eventhubs_client::{
    Destination, ErrorKind, EventBatch, EventData, HubOptions, PartitionId, PartitionKey,
    RetryOptions, TryAddError,
};
use eventhubs_emulator::{Config, Effect, Fault, Limits, Point, Role, Scope, Throughput};
use futures_util::future::join_all;

use crate::support::peer::{Peer, Reply};
use crate::support::{Fixture, HUB, Transport, texts, within, within_paused};

async fn batch(fixture: &Fixture, destination: &Destination) -> EventBatch {
    within(fixture.hub.create_batch(destination.clone())).await.expect("attached")
}

/// `TestHugeBatches`: its 20 000 events, smaller batches.
#[tokio::test]
async fn events_of_four_keys_fill_few_batches_and_come_to_an_end() {
    const EVENTS: usize = 20_000;
    let limits = Limits { max_message_size: 64 * 1024, ..Limits::default() };
    let fixture = Fixture::with_config(Config::default().with_limits(limits)).await;
    let keys = ["a", "b", "c", "d"].map(|key| PartitionKey::new(key).expect("it is valid"));
    let (mut bytes, mut count) = (0, 0);
    for key in keys {
        let destination = Destination::Key(key.clone());
        let mut filling = batch(&fixture, &destination).await;
        for number in 0..EVENTS / 4 {
            let event = EventData::new(format!("{key:?} {number}")).with_partition_key(key.clone());
            let Err(refused) = filling.try_add(event) else { continue };
            let full = std::mem::replace(&mut filling, batch(&fixture, &destination).await);
            (bytes, count) = (bytes + full.size_bytes(), count + 1);
            within(fixture.hub.send_batch(full)).await.expect("accepted");
            filling.try_add(refused.into_event()).expect("an empty batch takes it");
        }
        (bytes, count) = (bytes + filling.size_bytes(), count + 1);
        within(fixture.hub.send_batch(filling)).await.expect("accepted");
    }
    assert!(count > 5 && count <= bytes / (64 * 1024) + 8, "{count} batches for {bytes} bytes");
    let stored: usize = fixture.stored().await.iter().map(Vec::len).sum();
    assert_eq!(stored, EVENTS);
}

/// `TestOneHugeEvent`: the event in the middle fits nowhere.
#[tokio::test]
async fn an_event_that_no_batch_takes_is_told_and_the_others_are_sent() {
    let fixture = Fixture::memory().await;
    let destination = Destination::Partition(PartitionId::from(0));
    let mut filling = batch(&fixture, &destination).await;
    let events = [b"first".to_vec(), vec![0; 2 << 20], b"last".to_vec()];
    let mut told = 0;
    for event in events {
        match filling.try_add(event) {
            Ok(()) => {}
            Err(TryAddError::TooLarge { size, limit, .. }) => {
                assert!(size > 2 << 20 && limit == 1 << 20, "{size} {limit}");
                told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, 1);
    within(fixture.hub.send_batch(filling)).await.expect("accepted");
    assert_eq!(texts(&fixture.stored_in(0).await), ["first", "last"]);
}

/// `TestResponseRouterMissingMessageID`, `...BadCorrelationID`, `...NoResponse`.
#[tokio::test]
async fn answers_to_nobody_harm_nobody() {
    use eventhubs_amqp::codec::DeliveryState;

    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted)).with_stray_answers();
    let (hub, _wire) = peer.hub(HubOptions::default());
    within(hub.send("x")).await.expect("the token was put all the same");
    assert_eq!((peer.puts().len(), peer.events()), (1, 1));
}

/// `TestSenderRetries/SendSucceedsOnFirstTry`.
#[tokio::test(start_paused = true)]
async fn a_send_that_succeeds_is_one_send_and_no_recovery() {
    let fixture = Fixture::recovering().await;
    let published = Fault::at(Point::Publish, Effect::Delay(Duration::ZERO)).always();
    let published = fixture.emulator.inject(published).expect("it can strike");
    within_paused(fixture.hub.send("x")).await.expect("accepted");
    assert_eq!(fixture.emulator.hits(published), 1);
    let statistics = fixture.hub.statistics();
    assert_eq!((statistics.retries, statistics.connections), (0, 1), "{statistics:?}");
}

/// `TestSenderRetries/SendExceedingRetries` and `TestSenderRetryOptionsThroughHub`.
#[tokio::test(start_paused = true)]
async fn a_send_that_goes_on_failing_is_tried_as_often_as_allowed_and_gives_the_last_error() {
    for (retries, tries) in [(0, 1), (1, 2), (3, 4)] {
        let retry = RetryOptions::default().with_retries_max(retries);
        let fixture = Fixture::with_options(HubOptions::default().with_retry(retry)).await;
        let producer = fixture.hub.producer(PartitionId::from(0));
        within_paused(producer.ready()).await.expect("attached");
        let links = fixture.hub.statistics().links;
        let moved = Effect::detach("amqp:link:detach-forced", "moved again");
        let fault = Fault::at(Point::Publish, moved).always();
        let fault = fixture.emulator.inject(fault).expect("it can strike");
        let error = within_paused(producer.send("x")).await.expect_err("it goes on failing");
        assert_eq!((fixture.emulator.hits(fault), u64::from(error.attempts())), (tries, tries));
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert!(error.to_string().contains("moved again"), "{error}");
        assert!(fixture.hub.statistics().links >= links + u64::from(retries), "a link for each");
        fixture.emulator.lift_all();
        within_paused(producer.send("y")).await.expect("a link for the next one, too");
    }
}

/// `TestConcurrency/TestConcurrentSendWithRecover`: its 100 senders, and links and connections that
/// go away under them.
#[tokio::test(start_paused = true)]
async fn a_hundred_sends_at_once_outlive_what_is_rebuilt_under_them() {
    const SENDERS: usize = 100;
    const EACH: usize = 10;
    let options = HubOptions::default().with_retry(RetryOptions::unlimited());
    let fixture = Fixture::with_options(options).await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    let senders = (0..SENDERS).map(|sender| {
        let producer = producer.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                producer.send(format!("{sender} {number}")).await.expect("accepted in the end");
                tokio::time::advance(Duration::from_millis(1)).await;
            }
        })
    });
    let senders = join_all(senders.collect::<Vec<_>>());
    let senders_role = || Scope::all().role(Role::Producer);
    let moved = || Effect::detach("amqp:link:detach-forced", "moved");
    for fault in [
        Fault::at(Point::Publish, moved()).after(50).times(3).within(senders_role()),
        Fault::at(Point::Stored, moved()).after(100).times(3).within(senders_role()),
        Fault::at(Point::Publish, Effect::Reset).after(200).times(2),
        Fault::at(Point::Stored, Effect::Reset).after(300).times(2),
        Fault::at(Point::Attach, Effect::Delay(Duration::from_secs(1))).times(2),
    ] {
        fixture.emulator.inject(fault).expect("it can strike");
    }
    within_paused(senders).await.into_iter().for_each(|ended| ended.expect("no panic"));
    let stored = texts(&fixture.stored_in(0).await);
    let mut counts: HashMap<&str, u64> = HashMap::new();
    stored.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    assert_eq!(counts.len(), SENDERS * EACH, "all of them");
    let doubled = stored.len() as u64 - counts.len() as u64;
    let again = fixture.hub.statistics().unknown_retried;
    assert!(doubled <= again, "{doubled} twice, {again} were sent again after an unknown outcome");
}

/// The program `internal/stress/throttling`: its 50 batches of 880 events at once, bodies of 100
/// bytes, and a namespace of one throughput unit.
#[tokio::test(start_paused = true)]
async fn batches_at_once_on_a_throttled_namespace_all_arrive() {
    const BATCHES: usize = 50;
    const EACH: usize = 880;
    let config = Config::default().with_throughput(Throughput::units(1));
    let retry = RetryOptions::default().with_retries_max(10).with_total(Duration::from_secs(3600));
    let options = HubOptions::default().with_retry(retry);
    let fixture = Fixture::with(Transport::Memory, config, options).await;
    let mut sends = Vec::new();
    for number in 0..BATCHES {
        let mut batch =
            within_paused(fixture.hub.create_batch(Destination::Any)).await.expect("room");
        for event in 0..EACH {
            batch.try_add(format!("{number} {event} {:>90}", "")).expect("it fits");
        }
        sends.push(fixture.hub.send_batch(batch));
    }
    for result in within_paused(join_all(sends)).await {
        result.expect("it was only throttled");
    }
    let statistics = fixture.hub.statistics();
    assert!(statistics.busy_waits > 0, "it was throttled: {statistics:?}");
    let mut stored = Vec::new();
    for partition in 0..4 {
        let events = fixture.emulator.events(HUB, partition).expect("it is there");
        stored.extend(events.into_iter().map(|event| event.message));
    }
    let count = stored.len();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), BATCHES * EACH, "every one of them");
    assert_eq!(count, stored.len(), "and none twice: a throttled batch was not stored");
}
