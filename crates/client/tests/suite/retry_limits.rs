//! How far retries go: deadlines of whole calls, the budget, policies of one's own, none and without
//! end, closed hubs and dropped sends. On the paused clock, in memory.

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::{Error, ErrorKind, Hub, HubOptions, PartitionId, RetryOptions, RetryPolicy};
use eventhubs_emulator::{Effect, Fault, Outcome, Point};
use tokio::time::Instant;

use crate::retry_send::{BUSY, MINUTE, SECOND, TICK, World, assert_between, pass};
use crate::support::peer::{Peer, Reply};
use crate::support::wire::Nowhere;
use crate::support::within_paused;

#[tokio::test(start_paused = true)]
async fn a_link_is_attached_anew_well_before_its_counters_wrap() {
    let mut options = HubOptions::default();
    options.link_deliveries_max = 10;
    let world = World::with(options).await;
    for round in 1..=5 {
        for _ in 0..10 {
            world.send("x").await.0.expect("accepted");
        }
        assert_eq!(world.statistics().links, round);
        pass(2 * SECOND).await;
    }
    assert_eq!((world.stored().len(), world.statistics().retries), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn every_sending_call_ends_by_its_deadline() {
    const TOTAL: Duration = Duration::from_secs(10);
    let options = || HubOptions::default().with_retry(RetryOptions::default().with_total(TOTAL));
    // Nobody is there at all.
    let text = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=key;\
        UseDevelopmentEmulator=true;EntityPath=hub";
    let nowhere = options().with_connector(Arc::new(Nowhere));
    let hub = Hub::from_connection_string_with(text, None, nowhere).expect("it is valid");
    let producer = hub.producer(PartitionId::from(0));
    ends(TOTAL, producer.send("x")).await;
    ends(TOTAL, producer.enqueue("x")).await;
    ends(TOTAL, producer.ready()).await;
    ends(TOTAL, async { producer.create_batch().await.map(drop) }).await;

    // Somebody takes one event and falls silent: the others wait for credit, and then for room.
    for pending_max in [1, 100] {
        let mut options = options();
        options.pending_sends_max = pending_max;
        let (hub, _wire) = Peer::granting(1).hub(options);
        let producer = hub.producer(PartitionId::from(0));
        within_paused(producer.ready()).await.expect("attached");
        let mut batch = producer.create_batch().await.expect("attached");
        batch.try_add("x").expect("it fits");
        let start = Instant::now();
        let (first, second, third, ready, batch) = tokio::join!(
            producer.send("x"),
            producer.send("y"),
            producer.enqueue("z"),
            async { if pending_max == 1 { producer.ready().await } else { Ok(()) } },
            producer.send_batch(batch),
        );
        assert!(start.elapsed() <= TOTAL + TICK, "{:?}", start.elapsed());
        // It was queued first, when it was called.
        assert!(third.expect_err("no outcome").may_have_been_sent());
        assert!(!first.expect_err("no room or credit").may_have_been_sent());
        assert!(!second.expect_err("no room or credit").may_have_been_sent());
        assert!(!batch.expect_err("no room or credit").may_have_been_sent());
        drop(ready);
    }
}

async fn ends(limit: Duration, call: impl Future<Output = Result<(), Error>>) {
    let start = Instant::now();
    let error = within_paused(call).await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(!error.may_have_been_sent(), "{error}");
    assert_between(start.elapsed(), limit - TICK, limit);
}

#[tokio::test(start_paused = true)]
async fn retries_that_all_fail_use_up_the_budget_and_successes_fill_it() {
    let world = World::new().await;
    let released = Fault::at(Point::Publish, Effect::Outcome(Outcome::Released)).always();
    let fault = world.inject(released.clone());
    let mut tries = 0;
    let error = loop {
        let error = world.send("x").await.0.expect_err("never accepted");
        tries += error.attempts();
        if error.attempts() < 4 {
            break error;
        }
        assert!(tries < 200, "it has an end");
    };
    assert!(error.to_string().contains("the retry budget is used up"), "{error}");
    assert_eq!(world.statistics().retries, 50);
    assert_eq!(world.send("x").await.0.expect_err("no retries").attempts(), 1);
    world.fixture.emulator.lift(fault);
    for _ in 0..20 {
        world.send("y").await.0.expect("accepted");
    }
    world.inject(released);
    assert_eq!(world.send("x").await.0.expect_err("two retries").attempts(), 3);
}

#[derive(Debug)]
struct EverySecond;

impl RetryPolicy for EverySecond {
    fn delay(&self, error: &Error, retry: u32, elapsed: Duration) -> Option<Duration> {
        assert!(error.is_retryable() && elapsed >= SECOND * (retry - 1));
        (retry <= 2).then_some(SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn waits_may_be_of_ones_own_choice() {
    let own = RetryOptions::unlimited().with_policy(Arc::new(EverySecond));
    let world = World::retrying(own).await;
    let fault = Fault::at(Point::Publish, Effect::Outcome(Outcome::Released));
    world.inject(fault.clone().times(2));
    let (result, took) = world.send("x").await;
    result.expect("the third was accepted");
    assert_between(took, 2 * SECOND, 2 * SECOND);
    world.inject(fault.always());
    let error = world.send("x").await.0.expect_err("never accepted");
    assert_eq!(error.attempts(), 3);
    assert!(error.to_string().contains("as the retry policy says"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn none_is_one_try_and_unlimited_outlives_an_outage() {
    let released = Fault::at(Point::Publish, Effect::Outcome(Outcome::Released)).always();
    let world = World::retrying(RetryOptions::none()).await;
    world.inject(released.clone());
    let error = world.send("x").await.0.expect_err("never accepted");
    assert_eq!(error.attempts(), 1);
    assert!(!error.to_string().contains("gave up"), "{error}");

    let world = World::retrying(RetryOptions::unlimited()).await;
    let fault = world.inject(released);
    let mut pending = Box::pin(world.producer.send("x"));
    // Long enough for more tries than there are tokens for.
    assert!(tokio::time::timeout(30 * MINUTE, &mut pending).await.is_err(), "it goes on");
    assert!(world.fixture.hub.statistics().retries > 60, "it has tried on");
    world.fixture.emulator.lift(fault);
    within_paused(pending).await.expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_closed_ends_the_waits_of_its_sends() {
    let world = World::retrying(RetryOptions::unlimited()).await;
    world.inject(Fault::at(Point::Publish, Effect::reject(BUSY, "wait 100 seconds")).always());
    let mut pending = Box::pin(world.producer.send("x"));
    assert!(tokio::time::timeout(SECOND, &mut pending).await.is_err(), "it waits");
    let start = Instant::now();
    world.fixture.hub.close().await;
    let error = pending.await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(start.elapsed() < 11 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_while_it_recovers_leaves_everything_usable() {
    let world = World::new().await;
    for polls in 1..8 {
        world.at_publish(Effect::detach("amqp:link:detach-forced", "moved"));
        let mut pending = Box::pin(world.producer.send("x"));
        for _ in 0..polls {
            if tokio::time::timeout(SECOND / 10, &mut pending).await.is_ok() {
                break;
            }
        }
        world.send("y").await.0.expect("the next one works");
    }
}

#[tokio::test(start_paused = true)]
async fn a_smaller_limit_after_a_reconnect_is_told() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, _wire) = peer.hub(HubOptions::default());
    let producer = hub.producer(PartitionId::from(0));
    let text = "x".repeat(2 << 20);
    let error = within_paused(producer.send(text.as_str())).await.expect_err("1 MiB is the limit");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { limit: 1_048_576, .. }), "{error:?}");
    assert!(!error.may_have_been_sent() && !error.is_retryable());
    assert_eq!(peer.events(), 0);
}
