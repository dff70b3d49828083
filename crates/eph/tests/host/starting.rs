//! Starting, with everything there and with much of it missing.

use eventhubs_emulator::{Effect, Fault as HubFault, Point};
use eventhubs_eph::{
    HostErrorKind, HostEvent, HostOptions, HostState, MemoryStore, Problem, StoreErrorKind,
    StoreOperation,
};
use tokio::time::Instant;

use crate::support::store::Fault;
use crate::support::{World, drain, pass, seconds, states, until, within_paused};

fn options() -> HostOptions {
    HostOptions::default()
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_handler_does_not_start() {
    let world = World::new(2).await;
    let host = world.bare(options());
    let refused = host.start_nonblocking().expect_err("it would do nothing");
    assert_eq!((refused.kind(), host.state()), (HostErrorKind::NoHandler, HostState::Idle));
    assert_eq!(host.start().await.expect_err("neither").kind(), HostErrorKind::NoHandler);
    let id = host.register_handler(world.record.handler()).expect("it is open");
    assert!(host.unregister_handler(id));
    let refused = host.start_nonblocking().expect_err("it went again");
    assert_eq!((refused.kind(), host.state()), (HostErrorKind::NoHandler, HostState::Idle));
}

#[test]
fn a_host_is_made_without_a_runtime_and_starts_in_one() {
    use std::sync::Arc;
    let store = Arc::new(MemoryStore::new());
    let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;\
                SharedAccessKey=CANARYcanary;EntityPath=hub";
    let host = eventhubs_eph::EventProcessorHost::from_connection_string(
        text,
        Arc::clone(&store) as _,
        store,
        options(),
    )
    .expect("it is valid");
    host.register_handler(eventhubs_eph::Handler::each(|_, _| async { Ok(()) })).expect("open");
    let refused = host.start_nonblocking().expect_err("there is no runtime");
    assert_eq!((refused.kind(), host.state()), (HostErrorKind::NoRuntime, HostState::Idle));
    host.pause();
    assert_eq!(host.name(), host.owner().as_str());
    assert!(!format!("{host:?} {:?} {:?}", host.health(), host.statistics()).contains("CANARY"));
}

#[test]
fn options_out_of_their_range_are_refused_when_the_host_is_made() {
    use std::sync::Arc;
    let store = Arc::new(MemoryStore::new());
    let made = |text, options: HostOptions| {
        let (leaser, checkpointer) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
        eventhubs_eph::EventProcessorHost::from_connection_string(
            text,
            leaser,
            checkpointer,
            options,
        )
        .expect_err("refused")
    };
    let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;\
                SharedAccessKey=CANARYcanary";
    for error in [
        made(&format!("{text};EntityPath=hub"), options().with_prefetch(0)),
        made(text, options()),
        made("CANARYcanary", options()),
    ] {
        assert_eq!(error.kind(), HostErrorKind::InvalidOptions);
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn states_come_in_their_order_and_can_be_waited_for() {
    let world = World::new(2).await;
    let host = world.host(options());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    assert_eq!(host.state(), HostState::Starting);
    let again = host.start_nonblocking().expect_err("it is started");
    assert_eq!(again.kind(), HostErrorKind::AlreadyStarted);
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    within_paused(host.stop()).await.expect("it stops");
    assert_eq!(host.state(), HostState::Idle);
    within_paused(host.close()).await.expect("it closes");
    let gone = within_paused(host.wait_for(HostState::Running)).await.expect_err("never again");
    assert_eq!(gone.kind(), HostErrorKind::Closed);
    host.wait_for(HostState::Closed).await.expect("it is");
    let gone = host.start_nonblocking().expect_err("it is closed");
    assert_eq!(gone.kind(), HostErrorKind::Closed);
    use HostState::{Closed, Idle, Running, Starting, Stopping};
    assert_eq!(states(&mut events), [Starting, Running, Stopping, Idle, Stopping, Closed]);
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_end_and_may_be_dropped() {
    let world = World::new(2).await;
    let host = world.host(options());
    let ended = tokio::time::timeout(seconds(30), host.start()).await;
    assert!(ended.is_err(), "it runs");
    assert_eq!(host.state(), HostState::Running, "and goes on when nobody waits");
    within_paused(host.stop()).await.expect("it stops");

    let waiting = {
        let host = host.clone();
        tokio::spawn(async move { host.start().await })
    };
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs again");
    within_paused(host.close()).await.expect("it closes");
    within_paused(waiting).await.expect("no panic").expect("that is a good end");
}

#[tokio::test(start_paused = true)]
async fn a_host_waits_for_a_hub_that_cannot_be_reached() {
    let world = World::new(2).await;
    let refuse = HubFault::at(Point::Connect, Effect::refuse("", "Connection refused")).always();
    let fault = world.network.inject(refuse).expect("it can strike");
    let host = world.host(options());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    pass(seconds(120)).await;
    assert_eq!(host.state(), HostState::Starting);
    let health = host.health();
    assert!(!health.is_ok() && health.since >= seconds(120), "{health:?}");
    let is_hub = |problem: &Problem| matches!(problem, Problem::Hub { .. } | Problem::HubSilent);
    assert!(health.problems.iter().any(is_hub), "{:?}", health.problems);
    let is_hub = |event: &HostEvent| {
        matches!(event, HostEvent::HubFailed { .. } | HostEvent::HubSilent { .. })
    };
    let told = drain(&mut events);
    let told = told.iter().filter(|event| is_hub(event)).count();
    assert!((3..=40).contains(&told), "{told} tries");

    assert!(world.network.lift(fault));
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    world.settles(&[&host], seconds(40)).await;
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
}

#[tokio::test(start_paused = true)]
async fn a_host_waits_for_a_store_that_cannot_be_reached() {
    for fault in [Fault::Before(StoreErrorKind::Unavailable), Fault::Hang] {
        let world = World::new(2).await;
        world.store.down(fault);
        let host = world.started(options());
        pass(seconds(100)).await;
        assert_eq!(host.state(), HostState::Starting);
        let health = host.health();
        let is_store = |problem: &Problem| matches!(problem, Problem::Store { .. });
        assert!(health.problems.iter().any(is_store), "{:?}", health.problems);
        world.store.heal();
        within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
        world.settles(&[&host], seconds(40)).await;
        assert!(host.health().is_ok(), "{:?}", host.health().problems);
    }
}

#[tokio::test(start_paused = true)]
async fn tries_to_start_become_rarer() {
    let world = World::new(2).await;
    world.store.always(StoreOperation::List, Fault::Before(StoreErrorKind::Unavailable));
    let host = world.started(options());
    pass(seconds(30)).await;
    let soon = world.store.calls(StoreOperation::List);
    assert!((4..=12).contains(&soon), "{soon} tries in 30 s");
    pass(seconds(600)).await;
    let late = world.store.calls(StoreOperation::List) - soon;
    assert!((20..=60).contains(&late), "{late} tries in 10 minutes");
    drop(host);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_to_fail_fast_ends_with_the_error_and_may_start_again() {
    let world = World::new(2).await;
    world.store.down(Fault::Before(StoreErrorKind::Unavailable));
    let host = world.host(options().with_fail_fast());
    let error = within_paused(host.start()).await.expect_err("the store is down");
    assert_eq!((error.kind(), host.state()), (HostErrorKind::Store, HostState::Idle));
    let is_start = |problem: &Problem| matches!(problem, Problem::StartFailed { .. });
    assert!(host.health().problems.iter().any(is_start));

    host.start_nonblocking().expect("it is idle");
    let error = within_paused(host.wait_for(HostState::Running)).await.expect_err("it is down");
    assert_eq!(error.kind(), HostErrorKind::Store);

    world.store.heal();
    host.start_nonblocking().expect("it is idle");
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    world.store.down(Fault::Before(StoreErrorKind::Unavailable));
    pass(seconds(30)).await;
    assert_eq!(host.state(), HostState::Running, "only a start fails fast");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_silent_fails_a_fast_start_in_time() {
    let world = World::new(2).await;
    world.network.inject(HubFault::at(Point::Connect, Effect::Ignore).always()).expect("it can");
    let host = world.host(options().with_fail_fast());
    let begun = Instant::now();
    let error = within_paused(host.start()).await.expect_err("the hub is silent");
    assert!(matches!(error.kind(), HostErrorKind::Hub | HostErrorKind::Timeout), "{error}");
    assert!(begun.elapsed() <= seconds(16), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn b20_a_store_that_refuses_is_named_and_asked_slowly_until_a_person_has_acted() {
    let world = World::new(2).await;
    world.store.down(Fault::Before(StoreErrorKind::Unauthorized));
    let host = world.started(options());
    pass(seconds(300)).await;
    let tries = world.store.calls(StoreOperation::Provision) / 2;
    assert!((5..=12).contains(&tries), "{tries} tries in 5 minutes");
    let texts: Vec<_> = host.health().problems.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.contains("a person must act")), "{texts:?}");
    world.store.heal();
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    world.settles(&[&host], seconds(40)).await;

    world.store.down(Fault::Before(StoreErrorKind::Unauthorized));
    until(seconds(70), || {
        let owned = host.partition_ids_being_processed();
        owned.is_empty().then_some(()).ok_or(owned)
    })
    .await;
    assert_eq!(host.state(), HostState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_slow_hub_delays_no_plan_of_a_host_that_knows_its_partitions() {
    let world = World::new(4).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    let silence = HubFault::at(Point::Management, Effect::Ignore).always();
    world.emulator.inject(silence).expect("it can strike");
    let before = host.statistics().scans;
    pass(seconds(100)).await;
    let scans = host.statistics().scans - before;
    assert!((9..=11).contains(&scans), "{scans} scans in 100 s");
    assert_eq!(host.partition_ids_being_processed().len(), 4);
    let age = host.health().scan_age.expect("it has scanned");
    assert!(age < seconds(20), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn p14_a_process_without_file_descriptors_says_so_and_recovers() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    let refuse = Effect::refuse("", "Too many open files (os error 24)");
    let fault = HubFault::at(Point::Connect, refuse).always();
    let fault = world.network.inject(fault).expect("it can strike");
    world.emulator.inject(HubFault::now(Effect::Reset)).expect("it can strike");
    world.store.down(Fault::Before(StoreErrorKind::Unavailable));
    world.append_all(5);
    pass(seconds(40)).await;
    assert_eq!(host.state(), HostState::Running);
    assert!(!host.health().is_ok());
    assert!(world.network.lift(fault));
    world.store.heal();
    world.settles(&[&host], seconds(120)).await;
    world.handles_all(seconds(120)).await;
}
