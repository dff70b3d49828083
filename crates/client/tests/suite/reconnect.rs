//! The way to the service is lost, or cannot be had: rows N1 to N16 and S2 to S41 of
//! `docs/faults.md` where they concern the connection, its token and its request links. On the
//! paused clock, in memory.

use eventhubs_client::{ErrorKind, HubOptions, Operation, PartitionId, RetryOptions};
use eventhubs_emulator::{DEFAULT_HUB, Direction, Effect, Fault, Point, Reason, Role, Scope};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::support::within_paused;
use crate::support::world::{HOST, SECOND, World, emulator, pass, seconds};

#[tokio::test(start_paused = true)]
async fn n01_a_refused_connect_is_tried_again_and_named_when_it_stays_refused() {
    let world = World::new().await;
    let refused = || Fault::at(Point::Connect, Effect::refuse("", "Connection refused"));
    world.network.inject(refused().times(2)).expect("it can strike");
    world.answers_within(seconds(2)).await;
    assert_eq!(world.hub.statistics().retries, 2);
    world.hub.close().await;

    let world = World::new().await;
    let fault = world.network.inject(refused().always()).expect("it can strike");
    let (answer, took) = world.ask().await;
    let error = answer.expect_err("refused");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Disconnected, Operation::Connect));
    assert!(error.to_string().contains("one.example:5672"), "{error}");
    assert!(error.to_string().contains("gave up after 4 tries"), "{error}");
    assert_eq!((error.attempts(), world.network.hits(fault)), (4, 4));
    assert!(took >= seconds(1) && took <= seconds(8), "{took:?}");
    assert_eq!(error.elapsed(), took);
}

#[tokio::test(start_paused = true)]
async fn n02_a_name_that_cannot_be_resolved_is_asked_for_again() {
    let world = World::new().await;
    let failure = Effect::refuse("", "Temporary failure in name resolution");
    world.network.inject(Fault::at(Point::Resolve, failure)).expect("it can strike");
    world.answers_within(SECOND).await;
    world.hub.close().await;

    let world = World::new().await;
    world.network.forget(HOST);
    let error = world.ask().await.0.expect_err("there is no such name");
    assert!(error.to_string().contains("Name or service not known"), "{error}");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Disconnected, 4));
}

#[tokio::test(start_paused = true)]
async fn n03_silence_before_the_header_is_given_up_after_the_open_timeout() {
    let world = World::new().await;
    world.emulator.inject(Fault::at(Point::Accept, Effect::Ignore)).expect("it can strike");
    let (answer, took) = world.ask().await;
    answer.expect("the second connection answers");
    assert!(took >= seconds(30) && took <= seconds(31), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn n08_a_black_hole_that_heals_is_left_behind_without_a_storm() {
    for hole in [10, 60, 300] {
        let unlimited = HubOptions::default().with_retry(RetryOptions::unlimited());
        let world = World::with(unlimited).await;
        world.answers_within(SECOND).await;
        let silence = Fault::now(Effect::Silence(Direction::Both));
        let fault = world.emulator.inject(silence).expect("it can strike");
        let connects = Fault::at(Point::Connect, Effect::Ignore).always();
        let connects = world.network.inject(connects).expect("it can strike");
        let asked = {
            let hub = world.hub.clone();
            tokio::spawn(async move { hub.runtime_information().await.map(drop) })
        };
        pass(seconds(hole)).await;
        assert!(!asked.is_finished(), "nobody can have answered");
        world.emulator.lift(fault);
        world.network.lift(connects);
        let healed = Instant::now();
        within_paused(asked).await.expect("no panic").expect("answered");
        let took = healed.elapsed();
        // A connect that hangs has 20 s, and a rest after it 30 s at most.
        assert!(took <= seconds(51), "{took:?} after {hole} s");
        assert!(world.network.hits(connects) <= 2 + hole / 20, "a storm of connects");
        world.hub.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn n15_everybody_on_a_lost_connection_shares_one_new_one() {
    let world = World::new().await;
    let producers: Vec<_> =
        (0..32_u16).map(|id| world.hub.producer(PartitionId::from(id))).collect();
    for ready in join_all(producers.iter().map(|producer| producer.ready())).await {
        ready.expect("attached");
    }
    let links = world.hub.statistics().links;
    world.emulator.inject(Fault::now(Effect::Reset)).expect("it can strike");
    pass(SECOND).await;
    let sends = producers.iter().flat_map(|producer| (0..30).map(|_| producer.send("x")));
    for sent in within_paused(join_all(sends)).await {
        sent.expect("stored");
    }
    let statistics = world.hub.statistics();
    assert_eq!(statistics.connections, 2, "one for all: {statistics:?}");
    assert_eq!(statistics.links, links + 32, "one link for each: {statistics:?}");
}

#[tokio::test(start_paused = true)]
async fn n16_a_name_that_leads_elsewhere_is_followed_at_the_next_connect() {
    let world = World::new().await;
    world.answers_within(SECOND).await;
    let other = emulator().await;
    world.network.point(HOST, &other);
    world.emulator.shutdown().await;
    within_paused(world.hub.producer(PartitionId::from(1)).send("x")).await.expect("stored");
    assert_eq!(other.events(DEFAULT_HUB, 1).expect("it exists").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn s02_a_close_with_any_condition_or_none_costs_one_connection() {
    for condition in [
        Some("amqp:internal-error"),
        Some("amqp:connection:forced"),
        Some("amqp:connection:framing-error"),
        Some("amqp:connection:redirect"),
        Some("com.example:never-heard-of"),
        None,
    ] {
        let world = World::new().await;
        world.answers_within(SECOND).await;
        let close = Effect::Close(condition.map(Reason::bare));
        let fault = Fault::at(Point::Management, close);
        world.emulator.inject(fault).expect("it can strike");
        world.answers_within(seconds(2)).await;
        assert_eq!(world.hub.statistics().connections, 2, "{condition:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s08_an_unauthorized_attach_gets_one_new_token_and_no_more() {
    let unauthorized = || {
        let refusal = Effect::refuse("amqp:unauthorized-access", "ExpiredToken: it has ended");
        Fault::at(Point::Attach, refusal).within(Scope::all().role(Role::Producer))
    };
    let world = World::new().await;
    world.emulator.inject(unauthorized()).expect("it can strike");
    within_paused(world.hub.send("x")).await.expect("with the new token");
    let statistics = world.hub.statistics();
    assert_eq!((statistics.token_renewals, statistics.connections), (1, 1), "{statistics:?}");

    let world = World::new().await;
    let fault = world.emulator.inject(unauthorized().always()).expect("it can strike");
    let error = within_paused(world.hub.send("x")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!error.may_have_been_sent() && error.to_string().contains("ExpiredToken"), "{error}");
    assert_eq!((error.attempts(), world.emulator.hits(fault)), (2, 2));
    assert_eq!(world.hub.statistics().token_renewals, 1);
}

#[tokio::test(start_paused = true)]
async fn s08_many_who_are_refused_at_once_share_one_new_token() {
    let world = World::new().await;
    world.answers_within(SECOND).await;
    pass(SECOND).await;
    // Half of them hear of it when the other half has a new token already.
    for after in [SECOND, 2 * SECOND] {
        let error = Reason::bare("amqp:unauthorized-access");
        let refusal = Effect::RefuseLate { error, after: Some(after) };
        let fault = Fault::at(Point::Attach, refusal).within(Scope::all().role(Role::Producer));
        world.emulator.inject(fault.times(16)).expect("it can strike");
    }
    let producers = (0..32_u16).map(|id| world.hub.producer(PartitionId::from(id)));
    let sends = producers.map(|producer| async move { producer.send("x").await });
    for sent in within_paused(join_all(sends)).await {
        sent.expect("stored");
    }
    assert_eq!(world.hub.statistics().token_renewals, 1);
}

#[tokio::test(start_paused = true)]
async fn s11_an_attach_that_is_never_answered_is_given_up_and_tried_again() {
    let world = World::new().await;
    world.answers_within(SECOND).await;
    let scope = Scope::all().role(Role::Producer);
    let fault = Fault::at(Point::Attach, Effect::Ignore).within(scope);
    world.emulator.inject(fault).expect("it can strike");
    let start = Instant::now();
    within_paused(world.hub.send("x")).await.expect("on the second link");
    let took = start.elapsed();
    assert!(took >= seconds(15) && took <= seconds(16), "{took:?}");
    world.answers_within(SECOND).await;
    assert_eq!(world.hub.statistics().connections, 1, "nothing else is touched");
}

#[tokio::test(start_paused = true)]
async fn s13_a_busy_service_is_left_alone_wherever_it_says_so() {
    let busy = || "The service is busy. Please wait 6 seconds and try again.";
    let condition = "com.microsoft:server-busy";
    for fault in [
        Fault::at(Point::Attach, Effect::refuse(condition, busy()))
            .within(Scope::all().role(Role::Producer)),
        Fault::at(Point::PutToken, Effect::answer(503, condition, busy())),
    ] {
        let world = World::new().await;
        world.emulator.inject(fault).expect("it can strike");
        let start = Instant::now();
        within_paused(world.hub.send("x")).await.expect("stored after the rest");
        let took = start.elapsed();
        assert!(took >= seconds(6) && took <= seconds(9), "{took:?}");
        assert!(world.hub.statistics().busy_waits > 0);
    }
    let world = World::new().await;
    let fault = Fault::at(Point::Management, Effect::answer(503, condition, busy()));
    world.emulator.inject(fault).expect("it can strike");
    let (answer, took) = world.ask().await;
    answer.expect("answered after the rest");
    assert!(took >= seconds(6) && took <= seconds(9), "{took:?}");
    assert_eq!(world.hub.statistics().connections, 1, "being busy costs no connection");
}

#[tokio::test(start_paused = true)]
async fn s37_a_refused_token_is_replaced_once_and_a_busy_or_silent_node_is_asked_again() {
    let refused = || Effect::answer(401, "com.microsoft:auth-failed", "ExpiredToken: it has ended");
    let world = World::new().await;
    world.emulator.inject(Fault::at(Point::PutToken, refused())).expect("it can strike");
    world.answers_within(SECOND).await;
    world.hub.close().await;

    let world = World::new().await;
    let fault = world.emulator.inject(Fault::at(Point::PutToken, refused()).always());
    let fault = fault.expect("it can strike");
    let error = world.ask().await.0.expect_err("refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthorized, 2));
    assert_eq!(world.emulator.hits(fault), 2);

    let world = World::new().await;
    world.emulator.inject(Fault::at(Point::PutToken, Effect::Ignore)).expect("it can strike");
    let (answer, took) = world.ask().await;
    answer.expect("the second is answered");
    assert!(took >= seconds(20) && took <= seconds(21), "{took:?}");

    let world = World::new().await;
    world.emulator.inject(Fault::at(Point::PutToken, Effect::Twice)).expect("it can strike");
    world.answers_within(SECOND).await;
    world.answers_within(SECOND).await;
    assert_eq!(world.hub.statistics().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn s37_a_lost_token_link_is_attached_again_for_the_next_token() {
    let world = World::new().await;
    world.answers_within(SECOND).await;
    let detach = Fault::now(Effect::Detach(None)).within(Scope::all().role(Role::Cbs));
    world.emulator.inject(detach).expect("it can strike");
    // Half of an hour's token is over.
    pass(seconds(31 * 60)).await;
    assert_eq!(world.hub.statistics().token_renewals, 1);
    world.answers_within(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn s38_a_question_is_asked_again_until_it_has_a_good_answer() {
    let moved = "amqp:internal-error";
    for effect in [
        Effect::answer(500, moved, "broken"),
        Effect::answer(408, "com.microsoft:timeout", "too late"),
        Effect::detach("amqp:link:detach-forced", "moved"),
        Effect::Ignore,
        Effect::Reset,
        Effect::End(None),
    ] {
        let world = World::new().await;
        let name = format!("{effect:?}");
        world.emulator.inject(Fault::at(Point::Management, effect)).expect("it can strike");
        let (answer, took) = world.ask().await;
        answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(took <= seconds(21), "{took:?} after {name}");
    }
    for (effect, kind) in [
        (
            Effect::answer(404, "amqp:not-found", "The messaging entity 'x' could not be found."),
            ErrorKind::NotFound,
        ),
        (Effect::Malformed, ErrorKind::Protocol),
    ] {
        let world = World::new().await;
        let name = format!("{effect:?}");
        world.emulator.inject(Fault::at(Point::Management, effect)).expect("it can strike");
        let error = world.ask().await.0.expect_err(&name);
        assert_eq!((error.kind(), error.attempts()), (kind, 1), "{name}: {error}");
        world.answers_within(SECOND).await;
    }
    // Either of the two fields tells the partitions; without a number of the last event there is
    // no answer.
    let world = World::new().await;
    for field in ["partition_ids", "partition_count"] {
        let omit = Fault::at(Point::Management, Effect::Omit(field.to_owned()));
        world.emulator.inject(omit).expect("it can strike");
        let answer = within_paused(world.hub.runtime_information()).await.expect("answered");
        assert_eq!(answer.partition_ids.len(), 32, "without {field}");
    }
    let omit = Effect::Omit("last_enqueued_sequence_number".to_owned());
    world.emulator.inject(Fault::at(Point::Management, omit)).expect("it can strike");
    let asked = within_paused(world.hub.partition_runtime_information(0)).await;
    assert_eq!(asked.expect_err("a field is missing").kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn s41_a_restart_is_waited_for_at_a_growing_distance() {
    let unlimited = HubOptions::default().with_retry(RetryOptions::unlimited());
    let world = World::with(unlimited).await;
    world.answers_within(SECOND).await;
    let refused = Fault::at(Point::Connect, Effect::refuse("", "Connection refused")).always();
    let fault = world.network.inject(refused).expect("it can strike");
    let restart = Effect::close("amqp:connection:forced", "The service is being restarted.");
    world.emulator.inject(Fault::now(restart)).expect("it can strike");
    let producers: Vec<_> =
        (0..32_u16).map(|id| world.hub.producer(PartitionId::from(id))).collect();
    let sends: Vec<_> = producers
        .into_iter()
        .map(|producer| tokio::spawn(async move { producer.send("x").await }))
        .collect();
    pass(seconds(60)).await;
    let tries = world.network.hits(fault);
    assert!((5..=20).contains(&tries), "{tries} connects of one client in a minute");
    world.network.lift(fault);
    let healed = Instant::now();
    for sent in within_paused(join_all(sends)).await {
        sent.expect("no panic").expect("stored");
    }
    assert!(healed.elapsed() <= seconds(60), "{:?}", healed.elapsed());
    assert_eq!(world.hub.statistics().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_the_connection_that_is_being_made_to_others() {
    let world = World::new().await;
    let delay = Fault::at(Point::Connect, Effect::Delay(seconds(7)));
    world.network.inject(delay).expect("it can strike");
    let first = tokio::time::timeout(seconds(3), world.hub.runtime_information());
    first.await.expect_err("it takes longer");
    let (answer, took) = world.ask().await;
    answer.expect("answered");
    assert_eq!(took, seconds(4), "it was under way");
    assert_eq!(world.hub.statistics().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_of_no_use_is_left_once() {
    let world = World::new().await;
    world.answers_within(SECOND).await;
    // What the service says here is about the connection, though it says it of a link.
    let broken = Effect::refuse("amqp:decode-error", "the peer sends nonsense");
    let scope = Scope::all().role(Role::Management);
    let connection = world.hub.statistics().connections;
    world.emulator.inject(Fault::now(Effect::Detach(None)).within(scope)).expect("it can strike");
    let scope = Scope::all().role(Role::Management);
    world.emulator.inject(Fault::at(Point::Attach, broken).within(scope)).expect("it can strike");
    world.answers_within(seconds(2)).await;
    assert_eq!(world.hub.statistics().connections, connection + 1);
    world.answers_within(SECOND).await;
    assert_eq!(world.hub.statistics().connections, connection + 1, "and it is kept");
}
