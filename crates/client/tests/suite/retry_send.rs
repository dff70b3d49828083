//! Sends under faults: rows N5 and S1 to S42 of `docs/faults.md` where they concern a send. On the
//! paused clock, in memory.

use std::time::Duration;

use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_client::{
    Error, ErrorKind, HubOptions, Operation, Pacing, PartitionId, Producer, RetryOptions,
    Statistics,
};
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Fault, Outcome, Performative, Point, Reason, Role, Scope,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::support::{Fixture, HUB, within_paused};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const BUSY: &str = "com.microsoft:server-busy";
/// What timers may be late by.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// An emulator, a hub that recovers, and a producer for partition 0 whose link is attached.
pub(crate) struct World {
    pub(crate) fixture: Fixture,
    pub(crate) producer: Producer,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(HubOptions::default()).await
    }

    pub(crate) async fn retrying(retry: RetryOptions) -> Self {
        Self::with(HubOptions::default().with_retry(retry)).await
    }

    pub(crate) async fn with(options: HubOptions) -> Self {
        let fixture = Fixture::with_options(options).await;
        let producer = fixture.hub.producer(PartitionId::from(0));
        within_paused(producer.ready()).await.expect("attached");
        Self { fixture, producer }
    }

    pub(crate) fn inject(&self, fault: Fault) -> eventhubs_emulator::FaultId {
        self.fixture.emulator.inject(fault).expect("it can strike")
    }

    pub(crate) fn at_publish(&self, effect: Effect) -> eventhubs_emulator::FaultId {
        self.inject(Fault::at(Point::Publish, effect))
    }

    /// Sends one event, and how long that takes.
    pub(crate) async fn send(&self, text: &str) -> (Result<(), Error>, Duration) {
        let start = Instant::now();
        let result = within_paused(self.producer.send(text)).await;
        (result, start.elapsed())
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.fixture.hub.statistics()
    }

    pub(crate) fn stored(&self) -> Vec<String> {
        stored(&self.fixture)
    }
}

/// What partition 0 holds, as texts.
pub(crate) fn stored(fixture: &Fixture) -> Vec<String> {
    let events = fixture.emulator.events(HUB, 0).expect("it exists");
    let text = |message: &bytes::Bytes| match Message::decode(message).expect("a message").body {
        Body::Data(data) => {
            let bytes: Vec<u8> = data.iter().flat_map(|part| part.to_vec()).collect();
            String::from_utf8(bytes).expect("text")
        }
        other => panic!("not data: {other:?}"),
    };
    events.iter().map(|event| text(&event.message)).collect()
}

pub(crate) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

pub(crate) fn assert_between(value: Duration, least: Duration, most: Duration) {
    assert!(value >= least && value <= most + TICK, "{value:?} is not in {least:?} to {most:?}");
}

/// A send that something lost, in whatever way, is accepted in the end.
async fn recovers(fault: Fault, copies: std::ops::RangeInclusive<usize>, unknown: u64) {
    let world = World::new().await;
    let name = format!("{fault:?}");
    world.inject(fault);
    let (result, _) = world.send("x").await;
    result.unwrap_or_else(|error| panic!("{name}: {error}"));
    let stored = world.stored();
    assert!(copies.contains(&stored.len()), "{name}: {stored:?}");
    let statistics = world.statistics();
    assert_eq!(statistics.unknown_retried, unknown, "{name}");
    assert_eq!(statistics.retries, 1, "{name}");
    world.send("y").await.0.expect("the way is free again");
}

fn at_transfer(effect: Effect) -> Fault {
    let (direction, performative) = (Direction::In, Performative::Transfer);
    Fault::at(Point::Frame { direction, performative }, effect)
}

#[tokio::test(start_paused = true)]
async fn n05_a_reset_before_or_after_the_event_is_stored() {
    recovers(Fault::at(Point::Publish, Effect::Reset), 1..=1, 1).await;
    recovers(Fault::at(Point::Stored, Effect::Reset), 2..=2, 1).await;
}

#[tokio::test(start_paused = true)]
async fn s01_a_forced_close_while_busy_or_idle() {
    let close = || Effect::close("amqp:connection:forced", "The connection was moved");
    recovers(Fault::at(Point::Publish, close()), 1..=1, 1).await;
    let world = World::new().await;
    let idle = "inactive for more than the allowed 300000 milliseconds";
    world.inject(Fault::now(Effect::close("amqp:connection:forced", idle)));
    pass(SECOND).await;
    let (result, took) = world.send("x").await;
    result.expect("on a new connection");
    assert!(took < SECOND, "{took:?}");
    assert_eq!(world.stored(), ["x"]);
    assert_eq!(world.statistics().unknown_retried, 0);
}

#[tokio::test(start_paused = true)]
async fn s02_a_close_with_any_condition_or_none() {
    for reason in [
        Some(Reason::bare("amqp:internal-error")),
        Some(Reason::bare("amqp:connection:framing-error")),
        Some(Reason::bare("amqp:connection:redirect")),
        None,
    ] {
        recovers(Fault::at(Point::Publish, Effect::Close(reason)), 1..=1, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s03_an_end_costs_the_session_of_one_link() {
    recovers(Fault::at(Point::Publish, Effect::End(None)), 1..=1, 1).await;
    for condition in ["amqp:session:window-violation", "amqp:session:errant-link"] {
        recovers(Fault::at(Point::Publish, Effect::end(condition, "")), 1..=1, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s04_a_detach_costs_a_link_and_none_of_many_sends() {
    for effect in [Effect::detach("amqp:link:detach-forced", "moved"), Effect::Detach(None)] {
        let world = World::new().await;
        world.inject(Fault::at(Point::Publish, effect).after(30));
        let sends = (0..200_u32).map(|number| world.producer.enqueue(number.to_string()));
        let results = within_paused(join_all(sends.collect::<Vec<_>>())).await;
        for result in results {
            result.expect("more than the budget would pay for one by one");
        }
        let mut stored = world.stored();
        stored.sort_unstable();
        stored.dedup();
        assert_eq!(stored.len(), 200);
        assert_eq!(world.fixture.wire.dials(), 1, "the connection stood");
        assert_eq!(world.statistics().links, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s12_a_busy_service_is_left_alone_and_asked_again_on_the_same_link() {
    for (text, rest) in [("", 4), ("Please wait 2 seconds", 4), ("Please wait 9 seconds", 9)] {
        let world = World::new().await;
        world.at_publish(Effect::reject(BUSY, text));
        let (result, took) = world.send("x").await;
        result.expect("it is not busy any more");
        assert_between(took, rest * SECOND, rest * SECOND * 5 / 4);
        assert_eq!(world.stored(), ["x"]);
        let statistics = world.statistics();
        assert_eq!((statistics.links, statistics.connections), (1, 1), "nothing was rebuilt");
        assert!(statistics.busy_waits > 0);
        assert_eq!(statistics.unknown_retried, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn s12_a_service_that_stays_busy_is_named() {
    let world = World::new().await;
    let fault = world.inject(Fault::at(Point::Publish, Effect::reject(BUSY, "")).always());
    let (result, took) = world.send("x").await;
    let error = result.expect_err("busy for ever");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::ServerBusy, 4));
    assert!(!error.may_have_been_sent() && error.is_retryable());
    assert!(error.to_string().contains("gave up after 4 tries in "), "{error}");
    assert_between(took, 12 * SECOND, 15 * SECOND);
    assert_eq!(error.elapsed().as_secs(), took.as_secs());
    assert_eq!(world.fixture.emulator.hits(fault), 4);
}

#[tokio::test(start_paused = true)]
async fn s12_many_sends_that_find_it_busy_together_all_go_through() {
    let world = World::new().await;
    world.inject(Fault::at(Point::Publish, Effect::reject(BUSY, "")).times(200));
    let sends = (0..200_u32).map(|number| world.producer.enqueue(number.to_string()));
    for result in within_paused(join_all(sends.collect::<Vec<_>>())).await {
        result.expect("one rest is one fault");
    }
    assert_eq!(world.stored().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn s12_a_first_try_waits_for_the_rest_too() {
    let world = World::retrying(RetryOptions::none()).await;
    world.at_publish(Effect::reject(BUSY, "Please wait 8 seconds"));
    let error = world.send("x").await.0.expect_err("busy");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::ServerBusy, 1));
    let (result, took) = world.send("y").await;
    result.expect("it has rested");
    assert_between(took, 8 * SECOND, 10 * SECOND);
    // A rest that is longer than the call may take is not waited for.
    let short = RetryOptions::default().with_total(6 * SECOND);
    let world = World::retrying(short).await;
    world.at_publish(Effect::reject(BUSY, "Please wait 60 seconds"));
    for attempts in [1, 0] {
        let (result, took) = world.send("x").await;
        let error = result.expect_err("it rests for longer");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::ServerBusy, attempts), "{error}");
        assert!(error.to_string().contains("the time for the call is over"), "{error}");
        assert!(took < TICK, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s12_hubs_that_share_their_pacing_rest_together() {
    let pacing = Pacing::default();
    let options = || HubOptions::default().with_pacing(pacing.clone());
    let (one, other) = (World::with(options()).await, World::with(options()).await);
    let apart = World::new().await;
    one.at_publish(Effect::reject(BUSY, "Please wait 20 seconds"));
    let first = tokio::spawn(one.producer.enqueue("x"));
    pass(SECOND).await;
    let (result, took) = other.send("y").await;
    result.expect("it has rested");
    assert_between(took, 19 * SECOND, 24 * SECOND);
    within_paused(first).await.expect("no panic").expect("it has rested");
    assert!(apart.send("z").await.1 < TICK, "another namespace is not concerned");
}

#[tokio::test(start_paused = true)]
async fn s13_a_busy_service_at_the_attach() {
    let fixture = Fixture::recovering().await;
    let busy = Effect::refuse(BUSY, "wait 6 seconds");
    fixture.emulator.inject(Fault::at(Point::Attach, busy)).expect("it can strike");
    let start = Instant::now();
    within_paused(fixture.hub.producer(PartitionId::from(0)).send("x")).await.expect("accepted");
    let took = start.elapsed();
    assert!(took >= 4 * SECOND, "{took:?}");
    assert_eq!(stored(&fixture), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn s14_a_message_rejected_for_its_size_is_final_and_the_link_lives_on() {
    let world = World::new().await;
    world.at_publish(Effect::reject("amqp:link:message-size-exceeded", "exceeds the limit"));
    let error = world.send("x").await.0.expect_err("too large");
    let ErrorKind::TooLarge { size, limit } = error.kind() else { panic!("{error:?}") };
    assert!(size > 0 && limit > size as u64, "what this end knows of it");
    assert_eq!(error.attempts(), 1);
    assert!(!error.is_retryable() && !error.may_have_been_sent());
    world.send("y").await.0.expect("the link is usable");
    assert_eq!((world.stored(), world.statistics().links), (vec!["y".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn s15_a_detach_for_size_fails_none_but_the_one_that_is_too_large() {
    let detach = |text: &str| Effect::detach("amqp:link:message-size-exceeded", text);
    let world = World::new().await;
    world.inject(Fault::at(Point::Publish, detach("exceeds the limit")).after(2));
    let sends = ["a", "b", "c", "d", "e"].map(|text| world.producer.enqueue(text));
    for result in within_paused(join_all(sends)).await {
        result.expect("none of them is larger than the limit that was agreed");
    }
    let mut stored = world.stored();
    stored.sort_unstable();
    assert_eq!(stored, ["a", "b", "c", "d", "e"]);

    let encoded = |text: &str| eventhubs_client::EventData::from(text).encoded_len();
    let large = "c".repeat(1234);
    let size = encoded(&large);
    // As large as the limit that the text names, and not larger.
    let full = (900..1000).map(|n| "d".repeat(n)).find(|text| encoded(text) == 1000);
    let full = full.expect("there is one");
    let text = format!(
        "The received message (delivery-id:2, size:{size} bytes) exceeds the limit (1000 bytes) \
         currently allowed on the link."
    );
    let world = World::new().await;
    world.inject(Fault::at(Point::Publish, detach(&text)).after(2));
    let sends = ["a", "b", &large, &full, "e"].map(|text| world.producer.enqueue(text));
    let results = within_paused(join_all(sends)).await;
    let error = results[2].as_ref().expect_err("the service said that it is this one");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error:?}");
    assert!(!error.may_have_been_sent() && error.attempts() == 1, "{error}");
    for other in [0, 1, 3, 4] {
        results[other].as_ref().expect("it is not concerned");
    }
}

#[tokio::test(start_paused = true)]
async fn s16_what_was_let_go_of_is_not_stored_and_sent_again_on_the_same_link() {
    for outcome in [Outcome::Released, Outcome::Modified, Outcome::Rejected(None)] {
        let world = World::new().await;
        world.at_publish(Effect::Outcome(outcome.clone()));
        let (result, took) = world.send("x").await;
        result.expect("accepted at the second try");
        assert_between(took, SECOND / 4, SECOND / 2);
        assert_eq!(world.stored(), ["x"], "{outcome:?}");
        let statistics = world.statistics();
        assert_eq!((statistics.links, statistics.unknown_retried, statistics.retries), (1, 0, 1));
    }
    let world = World::new().await;
    world.inject(Fault::at(Point::Publish, Effect::Outcome(Outcome::Released)).always());
    let error = world.send("x").await.0.expect_err("never accepted");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Rejected, 4));
    assert!(!error.may_have_been_sent() && world.stored().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s17_a_lost_acknowledgement_is_unknown_and_may_double() {
    let world = World::new().await;
    world.at_publish(Effect::LoseAcknowledgement);
    let (result, took) = world.send("x").await;
    result.expect("the second one was acknowledged");
    assert_between(took, 30 * SECOND, 31 * SECOND);
    assert_eq!(world.stored(), ["x", "x"]);
    assert_eq!(world.statistics().unknown_retried, 1);

    let once = RetryOptions::default().with_retry_unknown(false);
    let world = World::retrying(once).await;
    world.at_publish(Effect::LoseAcknowledgement);
    let error = world.send("x").await.0.expect_err("nobody knows");
    assert!(error.may_have_been_sent() && error.attempts() == 1, "{error}");
    assert!(error.to_string().contains("may store it twice"), "{error}");
    assert_eq!((world.stored().len(), world.statistics().unknown_retried), (1, 0));
    world.send("y").await.0.expect("the next one is not concerned");
}

#[tokio::test(start_paused = true)]
async fn s17_an_unknown_outcome_stays_unknown_whatever_follows() {
    let world = World::new().await;
    world.at_publish(Effect::LoseAcknowledgement);
    let refused = Effect::reject("com.microsoft:entity-disabled", "switched off");
    world.inject(Fault::at(Point::Publish, refused).after(1));
    let error = world.send("x").await.0.expect_err("the second try was refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotFound, 2));
    assert!(error.may_have_been_sent(), "the first one is stored: {error}");
    assert_eq!(world.stored(), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn s18_a_late_acknowledgement_is_for_nobody_else() {
    let world = World::new().await;
    world.at_publish(Effect::DelayAcknowledgement(90 * SECOND));
    let (result, took) = world.send("x").await;
    result.expect("on another link");
    assert_between(took, 30 * SECOND, 31 * SECOND);
    assert_eq!(world.statistics().links, 2, "the old link was left");
    world.inject(Fault::at(Point::Publish, Effect::Ignore).always());
    // The late one comes meanwhile.
    let error = world.send("y").await.0.expect_err("nobody answered this one");
    assert!(error.may_have_been_sent(), "{error}");
    assert_eq!(world.stored(), ["x", "x"]);
}

#[tokio::test(start_paused = true)]
async fn s19_outcomes_of_unknown_deliveries_change_nothing() {
    for frame in [
        BadFrame::Disposition { first: 7, last: None },
        BadFrame::Disposition { first: 9, last: Some(3) },
        BadFrame::Disposition { first: 100, last: Some(u32::MAX) },
    ] {
        let world = World::new().await;
        world.at_publish(Effect::DelayAcknowledgement(5 * SECOND));
        let mut pending = Box::pin(world.producer.send("x"));
        assert!(pending.as_mut().now_or_never().is_none(), "it has begun");
        pass(SECOND).await;
        world.inject(Fault::now(Effect::Write(frame)));
        within_paused(pending).await.expect("its own acknowledgement, or a retry");
        assert!(!world.stored().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn s22_credit_that_never_comes_is_named() {
    let fixture = Fixture::recovering().await;
    let withheld = Fault::at(Point::Attach, Effect::WithholdCredit);
    let withheld = withheld.within(Scope::all().role(Role::Producer));
    fixture.emulator.inject(withheld.clone().always()).expect("it can strike");
    let producer = fixture.hub.producer(PartitionId::from(0));
    let start = Instant::now();
    let error = within_paused(producer.send("x")).await.expect_err("no credit");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Operation::Send));
    assert!(error.to_string().contains("no credit") && !error.may_have_been_sent(), "{error}");
    assert_between(start.elapsed(), 90 * SECOND, 120 * SECOND);

    let fixture = Fixture::recovering().await;
    fixture.emulator.inject(withheld).expect("it can strike");
    within_paused(fixture.hub.producer(PartitionId::from(0)).send("x")).await.expect("a new link");
    assert_eq!(stored(&fixture), ["x"]);
    assert_eq!(fixture.hub.statistics().unknown_retried, 0);
}

#[tokio::test(start_paused = true)]
async fn s23_credit_that_trickles_or_is_withdrawn_stalls_nobody() {
    let fixture = Fixture::recovering().await;
    let trickle = Effect::TrickleCredit { each: 1, every: 2 * SECOND };
    let trickle = Fault::at(Point::Attach, trickle).within(Scope::all().role(Role::Producer));
    fixture.emulator.inject(trickle).expect("it can strike");
    let producer = fixture.hub.producer(PartitionId::from(0));
    within_paused(producer.ready()).await.expect("attached");
    let sends: Vec<_> = (0..10_u32).map(|number| producer.enqueue(number.to_string())).collect();
    for result in within_paused(join_all(sends)).await {
        result.expect("one after the other");
    }
    let order: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(stored(&fixture), order);

    let world = World::new().await;
    world.inject(Fault::now(Effect::WithdrawCredit(10 * SECOND)));
    pass(SECOND).await;
    let (result, took) = world.send("x").await;
    result.expect("there is credit again");
    assert_between(took, 8 * SECOND, 10 * SECOND);
    assert_eq!(world.statistics().retries, 0);
}

#[tokio::test(start_paused = true)]
async fn s25_a_shut_window_is_only_a_wait() {
    let world = World::new().await;
    world.inject(Fault::now(Effect::ShutWindow(10 * SECOND)));
    pass(SECOND).await;
    let (result, took) = world.send("x").await;
    result.expect("the window opened");
    assert_between(took, 8 * SECOND, 10 * SECOND);
    assert_eq!((world.stored().len(), world.statistics().retries), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn s39_a_detach_in_the_middle_of_a_large_event() {
    let large = "x".repeat(400_000);
    let world = World::new().await;
    world.inject(at_transfer(Effect::detach("amqp:link:detach-forced", "moved")).after(1));
    world.send(&large).await.0.expect("on a new link");
    assert_eq!(world.stored(), [large]);
    assert_eq!(world.statistics().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn s42_a_link_that_was_idle_for_long_costs_no_send() {
    let world = World::new().await;
    world.send("before").await.0.expect("accepted");
    pass(26 * MINUTE).await;
    let (result, took) = world.send("after 26 minutes").await;
    result.expect("on a new link");
    assert!(took < SECOND, "{took:?}");
    let statistics = world.statistics();
    assert_eq!((statistics.links, statistics.retries), (2, 0), "left before it failed");
    pass(20 * MINUTE).await;
    world.send("soon after").await.0.expect("on the same link");
    assert_eq!(world.statistics().links, 2, "it was not idle for long");
    assert_eq!(world.stored().len(), 3, "none of them twice");

    let world = World::new().await;
    pass(31 * MINUTE).await;
    world.send("after 31 minutes").await.0.expect("whoever left it");
    assert_eq!((world.stored().len(), world.statistics().retries), (1, 0));
}
