//! A service that breaks the protocol or refuses oddly: rows S7, S10, S31 to S34, S36 and S40 of
//! `docs/faults.md`. On the paused clock, in memory.

use eventhubs_auth::Clock;
use eventhubs_client::{
    Error, ErrorKind, EventStream, Hub, HubOptions, PartitionId, ReceiveOptions, SasKey,
    SasTokenProvider, TokenProvider,
};
use eventhubs_emulator::{
    BadFrame, Direction, Effect, Fault, Lie, Performative, Place, Point, Reason, Role, Scope, Stray,
};
use tokio::time::Instant;

use crate::support::within_paused;
use crate::support::world::{SECOND, World, pass, seconds};

const PARTITION: u16 = 0;

async fn send(world: &World, numbers: std::ops::Range<u32>) {
    let producer = world.hub.producer(PartitionId::from(PARTITION));
    for number in numbers {
        within_paused(producer.send(number.to_string())).await.expect("stored");
    }
}

/// The next bodies; what the service made up and cannot be read is passed over.
async fn bodies(stream: &mut EventStream, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        match within_paused(stream.next()).await.expect("the stream goes on") {
            Ok(event) => bodies.push(String::from_utf8(event.body().to_vec()).expect("text")),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Undecodable, "{error}"),
        }
    }
    bodies
}

/// Events come once and in order, sends are stored and questions answered, whatever is written.
async fn goes_on_after(frame: BadFrame) {
    let name = format!("{frame:?}");
    let world = World::new().await;
    send(&world, 0..5).await;
    let options = ReceiveOptions::default();
    let mut stream = within_paused(world.hub.events(PARTITION, options)).await.expect("attached");
    assert_eq!(bodies(&mut stream, 3).await, ["0", "1", "2"]);
    world.emulator.inject(Fault::now(Effect::Write(frame))).expect("it can strike");
    pass(SECOND).await;
    send(&world, 5..10).await;
    assert_eq!(bodies(&mut stream, 7).await, ["3", "4", "5", "6", "7", "8", "9"], "{name}");
    world.answers_within(seconds(2)).await;
    let statistics = world.hub.statistics();
    assert!(statistics.connections <= 2, "{name}: {statistics:?}");
    assert_eq!((statistics.gaps, statistics.trims), (0, 0), "{name}");
}

#[tokio::test(start_paused = true)]
async fn s07_what_is_not_found_for_good_is_told_at_once_and_what_may_come_back_is_not() {
    let scope = || Scope::all().role(Role::Producer);
    let text = "The messaging entity 'sb://x/hub' could not be found.";
    let missing = Fault::at(Point::Attach, Effect::refuse("amqp:not-found", text)).within(scope());
    let world = World::new().await;
    let fault = world.emulator.inject(missing.always()).expect("it can strike");
    let error = within_paused(world.hub.send("x")).await.expect_err("refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotFound, 1), "{error}");
    assert_eq!(world.emulator.hits(fault), 1);

    let bare = || Fault::at(Point::Attach, Effect::Refuse(Reason::bare("amqp:not-found")));
    let world = World::new().await;
    world.emulator.inject(bare().within(scope()).times(2)).expect("it can strike");
    within_paused(world.hub.send("x")).await.expect("it came back");
    let fault = world.emulator.inject(bare().within(scope()).always()).expect("it can strike");
    let producer = world.hub.producer(PartitionId::from(1));
    let error = within_paused(producer.send("x")).await.expect_err("refused");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotFound, 3), "{error}");
    assert_eq!(world.emulator.hits(fault), 3);
}

#[tokio::test(start_paused = true)]
async fn s10_a_refusal_that_comes_late_or_never_is_waited_for_no_longer_than_an_attach() {
    let scope = Scope::all().role(Role::Producer);
    for (after, limit) in [(Some(SECOND / 2), seconds(2)), (None, seconds(16))] {
        let error = Reason::bare("amqp:internal-error");
        let late = Fault::at(Point::Attach, Effect::RefuseLate { error, after });
        let world = World::new().await;
        world.emulator.inject(late.within(scope.clone())).expect("it can strike");
        let start = Instant::now();
        within_paused(world.hub.send("x")).await.expect("on another link");
        assert!(start.elapsed() <= limit, "{:?} for {after:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn s31_unknown_performatives_sections_and_frames_cost_a_connection_at_most() {
    goes_on_after(BadFrame::UnknownPerformative(0x99)).await;
    goes_on_after(BadFrame::UnknownSection { link: None }).await;
    goes_on_after(BadFrame::FrameType(7)).await;
}

#[tokio::test(start_paused = true)]
async fn s32_a_second_open_and_unknown_numbers_cost_a_connection_at_most() {
    goes_on_after(BadFrame::SecondOpen).await;
    goes_on_after(BadFrame::BeginInUse).await;
    for stray in [Stray::Transfer, Stray::Flow, Stray::Detach] {
        goes_on_after(BadFrame::UnknownChannel(stray)).await;
        goes_on_after(BadFrame::UnknownHandle(stray)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s33_endless_nesting_costs_a_connection_at_most() {
    for place in [Place::FlowProperties, Place::MessageAnnotations, Place::Body] {
        goes_on_after(BadFrame::Nested { place, depth: 10_000, link: None }).await;
        goes_on_after(BadFrame::NestedLists { place, depth: 10_000, link: None }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s34_lengths_and_counts_that_lie_cost_a_connection_at_most() {
    for lie in [Lie::HugeString, Lie::HugeCount, Lie::OddMap, Lie::EmptyList, Lie::ShortArray] {
        for place in [Place::FlowProperties, Place::MessageAnnotations, Place::Body] {
            goes_on_after(BadFrame::Lie { lie, place, link: None }).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s28_s29_s30_sizes_and_offsets_that_cannot_be_cost_a_connection_at_most() {
    for size in 0..8 {
        goes_on_after(BadFrame::Size(size)).await;
    }
    goes_on_after(BadFrame::SizeOverLimit).await;
    goes_on_after(BadFrame::Size(1 << 31)).await;
    goes_on_after(BadFrame::DataOffset(4)).await;
    goes_on_after(BadFrame::DataOffset(255)).await;
}

#[tokio::test(start_paused = true)]
async fn s19_outcomes_of_unknown_deliveries_cost_a_connection_at_most() {
    goes_on_after(BadFrame::Disposition { first: 7, last: None }).await;
    goes_on_after(BadFrame::Disposition { first: 9, last: Some(3) }).await;
    goes_on_after(BadFrame::Disposition { first: 0, last: Some(u32::MAX) }).await;
}

#[tokio::test(start_paused = true)]
async fn s40_a_close_that_nobody_answers_ends_by_its_deadline() {
    let swallow = |performative| {
        let point = Point::Frame { direction: Direction::Out, performative };
        Fault::at(point, Effect::Swallow).always()
    };
    let world = World::new().await;
    send(&world, 0..3).await;
    let options = ReceiveOptions::default();
    let mut stream = within_paused(world.hub.events(PARTITION, options)).await.expect("attached");
    bodies(&mut stream, 1).await;
    for performative in [Performative::Detach, Performative::End, Performative::Close] {
        world.emulator.inject(swallow(performative)).expect("it can strike");
    }
    let start = Instant::now();
    within_paused(stream.close()).await;
    assert!(start.elapsed() <= seconds(5), "a stream takes {:?}", start.elapsed());
    let start = Instant::now();
    within_paused(world.hub.close()).await;
    assert!(start.elapsed() <= seconds(11), "a hub takes {:?}", start.elapsed());
    let error = within_paused(world.hub.send("x")).await.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// Time of day that goes with the runtime's clock, as that of the emulator does.
fn paused_time() -> Clock {
    let (wall, start) = (Clock::system().now(), Instant::now());
    Clock::from_fn(move || wall.saturating_add(start.elapsed()))
}

/// A hub on the emulator of `world` that has one token and no key.
fn with_signature(world: &World, signature: &str) -> Hub {
    let text = format!(
        "Endpoint=sb://one.example;SharedAccessSignature={signature};EntityPath=hub;\
         UseDevelopmentEmulator=true"
    );
    let options = HubOptions::default().with_connector(world.network.connector());
    Hub::from_connection_string_with(&text, None, options).expect("it is valid")
}

#[tokio::test(start_paused = true)]
async fn s36_a_token_that_ends_and_cannot_be_renewed_is_named() {
    let world = World::new().await;
    let key = SasKey::new("RootManageSharedAccessKey", "SAS_KEY_VALUE").expect("it is valid");
    let provider = SasTokenProvider::new(key).with_lifetime(seconds(600)).with_clock(paused_time());
    let token = provider.token("amqps://one.example/hub").await.expect("signed");
    let hub = with_signature(&world, token.secret().expose());
    within_paused(hub.send("x")).await.expect("stored");
    let options = ReceiveOptions::default();
    let mut stream = within_paused(hub.events(PARTITION, options)).await.expect("attached");
    pass(seconds(660)).await;
    let end = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        assert!(!error.is_retryable(), "there is no other token: {error}");
        error.to_string()
    };
    let ended = loop {
        match within_paused(stream.next()).await.expect("an error comes first") {
            Ok(_) => {}
            Err(error) => break end(error),
        }
    };
    assert!(ended.contains("ended") || ended.contains("xpired"), "{ended}");
    let error = within_paused(hub.send("x")).await.expect_err("it has ended");
    assert!(!error.may_have_been_sent());
    end(error);
}
