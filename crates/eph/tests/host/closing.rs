//! Stopping and closing: complete, in time, whatever else is going on.

use eventhubs_client::ErrorKind;
use eventhubs_emulator::{Direction, Effect, Fault as HubFault};
use eventhubs_eph::{
    Handler, HostErrorKind, HostEvent, HostOptions, HostState, StoreErrorKind, StoreOperation,
};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::support::store::Fault;
use crate::support::{World, drain, only_tasks, pass, seconds, tasks, within_paused};

fn options() -> HostOptions {
    HostOptions::default()
}

/// What the documentation of `stop` promises, with the defaults: the grace, three calls, 10 s.
const STOP_SECONDS: u64 = 10 + 3 * 15 + 10;
/// And of `close`.
const CLOSE_SECONDS: u64 = STOP_SECONDS + 15 + 15;

#[tokio::test(start_paused = true)]
async fn a_stop_writes_the_last_checkpoints_and_gives_everything_back() {
    let world = World::new(4).await;
    // Nothing would be written for an hour.
    let every = eventhubs_eph::CheckpointPolicy::AfterEach { every: seconds(3600) };
    let host = world.started(options().with_checkpoints(every));
    world.settles(&[&host], seconds(40)).await;
    world.append_all(9);
    world.handles_all(seconds(10)).await;
    world.append_all(9);
    world.handles_all(seconds(10)).await;
    let begun = Instant::now();
    within_paused(host.stop()).await.expect("it stops");
    assert!(begun.elapsed() < seconds(1), "there is nothing to wait for");
    assert!(world.holders().await.is_empty());
    for partition in 0..4 {
        let stored = world.store.checkpoints().load(partition.into()).await.expect("it is there");
        assert_eq!(stored.expect("there is one").sequence_number.as_i64(), 17);
    }
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(1);
    world.handles_all(seconds(5)).await;
    assert_eq!(world.record.len(), 4 * 19, "nothing comes twice");
}

#[tokio::test(start_paused = true)]
async fn a_close_closes_the_hub_and_may_be_repeated() {
    let world = World::new(2).await;
    let hub = world.hub();
    let store = std::sync::Arc::new(world.store.clone());
    let host = eventhubs_eph::EventProcessorHost::new(
        hub.clone(),
        std::sync::Arc::clone(&store) as _,
        store,
        options(),
    )
    .expect("it is valid");
    host.register_handler(world.record.handler()).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    let closes = (0..5).map(|_| host.close());
    for closed in within_paused(join_all(closes)).await {
        closed.expect("it closes");
    }
    assert_eq!(host.state(), HostState::Closed);
    within_paused(host.close()).await.expect("it is closed");
    within_paused(host.stop()).await.expect("it is stopped, too");
    assert!(host.partition_ids_being_processed().is_empty());
    let error = hub.runtime_information().await.expect_err("the hub is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    let presences = world.store.inner().presences().await.expect("it is there");
    assert_eq!(presences.expect("it keeps them").present().count(), 0, "it has withdrawn");
}

#[tokio::test(start_paused = true)]
async fn p10_a_host_closes_at_every_moment_of_its_start() {
    let before = tasks();
    for millis in (0..25_000).step_by(250) {
        let world = World::new(4).await;
        world.append_all(20);
        // Every call takes a while, so that something is always on its way.
        world.store.down(Fault::Slow(seconds(1)));
        let host = world.started(options());
        pass(std::time::Duration::from_millis(millis)).await;
        let begun = Instant::now();
        within_paused(host.close()).await.expect("it closes");
        assert!(begun.elapsed() <= seconds(CLOSE_SECONDS), "{millis}: {:?}", begun.elapsed());
        assert_eq!(host.state(), HostState::Closed);
        assert!(world.holders().await.is_empty(), "{millis}: nothing is kept");
        drop((host, world));
    }
    only_tasks(before).await;
}

/// What goes wrong, and its name.
type Strike = (&'static str, fn(&World));

#[tokio::test(start_paused = true)]
async fn a_stop_is_over_in_time_whoever_does_not_answer() {
    let strikes: [Strike; 3] = [
        ("the store is silent", |world| world.store.down(Fault::Hang)),
        ("the hub is silent", |world| {
            let silence = HubFault::now(Effect::Silence(Direction::Both));
            world.emulator.inject(silence).expect("it can strike");
        }),
        ("both are", |world| {
            world.store.down(Fault::Hang);
            let silence = HubFault::now(Effect::Silence(Direction::Both));
            world.emulator.inject(silence).expect("it can strike");
        }),
    ];
    for (name, strike) in strikes {
        let world = World::new(4).await;
        let host = world.started(options());
        world.settles(&[&host], seconds(40)).await;
        world.append_all(5);
        world.handles_all(seconds(10)).await;
        strike(&world);
        let begun = Instant::now();
        // Whether all of it went well is not the question.
        let _ = within_paused(host.stop()).await;
        assert!(begun.elapsed() <= seconds(STOP_SECONDS), "{name}: {:?}", begun.elapsed());
        assert_eq!(host.state(), HostState::Idle, "{name}");
        let begun = Instant::now();
        let _ = within_paused(host.close()).await;
        assert!(begun.elapsed() <= seconds(CLOSE_SECONDS), "{name}: {:?}", begun.elapsed());
        assert_eq!(host.state(), HostState::Closed, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn p09_a_handler_that_never_ends_is_given_up_after_the_grace() {
    let world = World::new(2).await;
    let host = world.bare(options());
    host.register_handler(Handler::each(|_, _| std::future::pending())).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(1);
    pass(seconds(1)).await;
    let mut events = host.host_events();
    let begun = Instant::now();
    within_paused(host.stop()).await.expect("it stops");
    let took = begun.elapsed();
    assert!(took >= seconds(10) && took < seconds(12), "the grace: {took:?}");
    let abandoned = drain(&mut events)
        .into_iter()
        .filter(|event| matches!(event, HostEvent::HandlerAbandoned { .. }));
    assert_eq!(abandoned.count(), 2);
    assert!(world.holders().await.is_empty(), "given back all the same");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_won_while_the_host_stops_is_given_back() {
    let world = World::new(4).await;
    world.store.always(StoreOperation::Acquire, Fault::Slow(seconds(5)));
    let host = world.started(options());
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    while world.store.calls(StoreOperation::Acquire) == 0 {
        pass(seconds(1)).await;
    }
    within_paused(host.stop()).await.expect("it stops");
    assert_eq!(host.statistics().acquired_free, 4, "they were won");
    assert!(world.holders().await.is_empty(), "and given back");
    assert_eq!(host.state(), HostState::Idle);
}

#[tokio::test(start_paused = true)]
async fn an_idle_host_closes_and_tells_what_did_not_close() {
    let world = World::new(2).await;
    let host = world.host(options());
    within_paused(host.stop()).await.expect("there is nothing to stop");
    assert_eq!(host.state(), HostState::Idle);
    world.store.always(StoreOperation::Configure, Fault::Before(StoreErrorKind::Unavailable));
    let error = within_paused(host.close()).await.expect_err("the store does not");
    assert_eq!((error.kind(), host.state()), (HostErrorKind::Store, HostState::Closed));
    let error = within_paused(host.close()).await.expect_err("as it was told");
    assert_eq!(error.kind(), HostErrorKind::Store);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_comes_while_it_stops_closes() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    world.store.always(StoreOperation::Release, Fault::Slow(seconds(3)));
    let stopping = {
        let host = host.clone();
        tokio::spawn(async move { host.stop().await })
    };
    pass(seconds(1)).await;
    assert_eq!(host.state(), HostState::Stopping);
    within_paused(host.close()).await.expect("it closes");
    within_paused(stopping).await.expect("no panic").expect("it is stopped");
    assert_eq!(host.state(), HostState::Closed);
}

#[tokio::test(start_paused = true)]
async fn p11_a_host_that_nobody_holds_any_more_ends_and_its_leases_run_out() {
    let before = tasks();
    let world = World::new(4).await;
    let within = tasks();
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    let mut events = host.host_events();
    drop(host);
    assert!(only_events_left(&mut events).await, "the host is gone");
    pass(seconds(10)).await;
    assert!(tasks() <= within + 2, "{} tasks of {within}", tasks());
    assert_eq!(world.holders().await.len(), 1, "nothing was given back");
    pass(seconds(60)).await;
    assert!(world.holders().await.is_empty(), "the leases ran out");
    drop((events, world));
    only_tasks(before).await;
}

/// Whether the events end.
async fn only_events_left(events: &mut eventhubs_eph::HostEvents) -> bool {
    let rest = async { while events.next().await.is_some() {} };
    tokio::time::timeout(seconds(30), rest).await.is_ok()
}

#[test]
fn p13_a_runtime_that_goes_takes_the_host_with_it_and_nothing_panics() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().expect("a runtime")
    };
    let first = runtime();
    let (world, host) = first.block_on(async {
        let world = World::new(2).await;
        let host = world.started(options());
        world.settles(&[&host], seconds(40)).await;
        (world, host)
    });
    let mut events = host.host_events();
    drop(first);
    assert_eq!(host.state(), HostState::Closed);
    assert!(host.partition_ids_being_processed().is_empty());
    assert!(!drain(&mut events).is_empty());
    let second = runtime();
    second.block_on(async {
        host.stop().await.expect("it is");
        host.close().await.expect("it is, too");
        assert_eq!(host.start().await.expect_err("closed").kind(), HostErrorKind::Closed);
    });
    drop((host, world));
}

#[tokio::test(start_paused = true)]
async fn an_announcement_that_lands_late_is_withdrawn() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    world.store.late(seconds(2));
    let begun = world.store.calls(StoreOperation::Presence);
    while world.store.calls(StoreOperation::Presence) == begun {
        pass(std::time::Duration::from_millis(10)).await;
    }
    within_paused(host.stop()).await.expect("it stops");
    pass(seconds(5)).await;
    let presences = world.store.inner().presences().await.expect("it is there");
    assert_eq!(presences.expect("it keeps them").present().count(), 0);
}
