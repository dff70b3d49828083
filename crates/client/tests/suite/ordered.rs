//! Ordered sends: what is stored first comes in the order of the calls, whatever fails between.

use std::time::Duration;

use eventhubs_client::{ErrorKind, HubOptions, PartitionId, RetryOptions, Sending};
use eventhubs_emulator::{Effect, Fault, Outcome, Point};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::retry_send::stored;
use crate::support::{Fixture, only_tasks, tasks, within_paused};

const SECOND: Duration = Duration::from_secs(1);

async fn ordered() -> Fixture {
    let retry = RetryOptions::unlimited();
    Fixture::with_options(HubOptions::default().with_retry(retry).with_ordered_sends()).await
}

/// Small numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn fault(&mut self) -> Fault {
        let effect = match self.roll(7) {
            0 => Effect::Reset,
            1 => Effect::LoseAcknowledgement,
            2 => Effect::detach("amqp:link:detach-forced", "moved"),
            3 => Effect::Outcome(Outcome::Released),
            4 => Effect::reject("com.microsoft:server-busy", "wait 4 seconds"),
            5 => Effect::DelayAcknowledgement(40 * SECOND),
            _ => Effect::reject("amqp:internal-error", "broken"),
        };
        Fault::at(Point::Publish, effect).after(self.roll(30))
    }
}

/// Without what is there for the second time.
fn first_occurrences(texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_events_are_stored_in_the_order_of_the_calls() {
    for seed in 0..25 {
        let mut dice = Dice(seed);
        let fixture = ordered().await;
        for _ in 0..dice.roll(8) {
            fixture.emulator.inject(dice.fault()).expect("it can strike");
        }
        let producer = fixture.hub.producer(PartitionId::from(0));
        let mut sends: Vec<Sending> = Vec::new();
        for number in 0..30 {
            let text = number.to_string();
            if dice.roll(3) == 0 {
                let mut batch = within_paused(producer.create_batch()).await.expect("attached");
                batch.try_add(text).expect("it fits");
                sends.push(producer.enqueue_batch(batch));
            } else {
                sends.push(producer.enqueue(text));
            }
            if dice.roll(4) == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Whoever is polled first.
        sends.reverse();
        for result in within_paused(join_all(sends)).await {
            result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
        let expected: Vec<_> = (0..30).map(|number| number.to_string()).collect();
        let all = stored(&fixture);
        assert_eq!(first_occurrences(all.clone()), expected, "seed {seed}: {all:?}");
        let doubled = (all.len() - 30) as u64;
        assert!(doubled <= fixture.hub.statistics().unknown_retried, "seed {seed}: {all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_is_on_its_way_at_a_time() {
    let fixture = ordered().await;
    let late = Fault::at(Point::Publish, Effect::DelayAcknowledgement(SECOND)).always();
    fixture.emulator.inject(late).expect("it can strike");
    let producer = fixture.hub.producer(PartitionId::from(0));
    let start = Instant::now();
    let sends: Vec<_> = (0..5_u32).map(|number| producer.enqueue(number.to_string())).collect();
    let _ = tokio::time::timeout(SECOND / 2, std::future::pending::<()>()).await;
    assert_eq!(stored(&fixture), ["0"], "it began by itself, and the others wait");
    for result in within_paused(join_all(sends)).await {
        result.expect("accepted");
    }
    assert!(start.elapsed() >= 5 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_before_it_began_is_withdrawn() {
    let fixture = ordered().await;
    let late = Fault::at(Point::Publish, Effect::DelayAcknowledgement(SECOND));
    fixture.emulator.inject(late).expect("it can strike");
    let producer = fixture.hub.producer(PartitionId::from(0));
    let before = producer.enqueue("a");
    let dropped = producer.enqueue("b");
    let after = producer.enqueue("c");
    drop(dropped);
    within_paused(before).await.expect("accepted");
    within_paused(after).await.expect("accepted");
    assert_eq!(stored(&fixture), ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn the_queue_has_a_bound() {
    let retry = RetryOptions::default().with_total(20 * SECOND);
    let mut options = HubOptions::default().with_retry(retry).with_ordered_sends();
    options.pending_sends_max = 2;
    let fixture = Fixture::with_options(options).await;
    fixture
        .emulator
        .inject(Fault::at(Point::Publish, Effect::Ignore).always())
        .expect("it strikes");
    let producer = fixture.hub.producer(PartitionId::from(0));
    let mut sends: Vec<_> =
        (0..33_u32).map(|number| producer.enqueue(number.to_string())).collect();
    let last = sends.pop().expect("thirty-three");
    let start = Instant::now();
    let error = last.await.expect_err("sixteen times the bound");
    assert!(error.kind() == ErrorKind::Timeout && !error.may_have_been_sent(), "{error}");
    assert_eq!(start.elapsed(), Duration::ZERO);
    let error = within_paused(producer.send("x")).await.expect_err("no room");
    assert!(!error.may_have_been_sent(), "{error}");
    let results = within_paused(join_all(sends)).await;
    assert!(start.elapsed() <= 21 * SECOND, "{:?}", start.elapsed());
    assert!(results[0].as_ref().expect_err("no outcome").may_have_been_sent());
    for result in &results[1..] {
        let error = result.as_ref().expect_err("its time was over before it began");
        assert!(error.kind() == ErrorKind::Timeout && !error.may_have_been_sent(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_closed_sends_no_more_and_leaves_no_task() {
    let fixture = ordered().await;
    let before = tasks();
    let producer = fixture.hub.producer(PartitionId::from(0));
    within_paused(producer.send("a")).await.expect("accepted");
    let late = Fault::at(Point::Publish, Effect::DelayAcknowledgement(SECOND));
    fixture.emulator.inject(late).expect("it can strike");
    let (begun, waiting) = (producer.enqueue("b"), producer.enqueue("c"));
    let _ = tokio::time::timeout(SECOND / 2, std::future::pending::<()>()).await;
    let ((), begun, waiting) = tokio::join!(fixture.hub.close(), begun, waiting);
    begun.expect("it had its time to end");
    let error = waiting.expect_err("it had not begun");
    assert!(error.kind() == ErrorKind::Closed && !error.may_have_been_sent(), "{error}");
    drop(producer);
    only_tasks(before).await;
}
