//! Hosts that share: few and many, joining, leaving and dying.

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::{CloseReason, EventProcessorHost, HostEvent, HostOptions, HostState};

use crate::support::store::Fault;
use crate::support::{World, drain, seconds, until, within_paused};

fn named(name: &str) -> HostOptions {
    HostOptions::default().with_name(name)
}

#[tokio::test(start_paused = true)]
async fn p17_on_one_thread_every_event_is_handled_and_the_last_is_in_the_checkpoint() {
    let world = World::new(4).await;
    world.append_all(50);
    let host = world.started(named("a"));
    world.handles_all(seconds(60)).await;
    world.append_all(7);
    world.handles_all(seconds(10)).await;
    assert_eq!(world.record.len(), 4 * 57, "and once");
    within_paused(host.close()).await.expect("it closes");
    for partition in 0..4 {
        assert_eq!(world.record.of(partition), (0..57).collect::<Vec<_>>(), "in order");
        let stored = world.store.checkpoints().load(partition.into()).await.expect("it is there");
        assert_eq!(stored.expect("there is one").sequence_number.as_i64(), 56);
    }
    assert!(world.holders().await.is_empty(), "everything was given back");
}

#[tokio::test(start_paused = true)]
async fn two_hosts_have_five_of_ten_partitions_each_and_one_that_is_left_has_ten() {
    let world = World::new(10).await;
    world.append_all(20);
    let first = world.started(named("a"));
    world.settles(&[&first], seconds(40)).await;
    let second = world.started(named("b"));
    world.settles(&[&first, &second], seconds(40)).await;
    let mut events = first.host_events();
    world.append_all(20);
    world.handles_all(seconds(20)).await;

    within_paused(second.stop()).await.expect("it stops");
    world.settles(&[&first], seconds(15)).await;
    world.append_all(20);
    world.handles_all(seconds(20)).await;
    let free = drain(&mut events).into_iter().filter(|event| match event {
        HostEvent::Acquired { reason, .. } => reason.to_string() == "nobody holds it",
        _ => false,
    });
    assert_eq!(free.count(), 5, "they were given back, not waited for");
    assert_eq!(first.statistics().owned, 10);
    within_paused(first.close()).await.expect("it closes");
    // Whoever stopped checkpointed first: what comes twice is what moved when the second joined.
    assert_eq!(world.record.len(), 10 * 60);
}

#[tokio::test(start_paused = true)]
async fn p01_partitions_of_a_host_that_died_are_owned_within_the_lease_and_three_scans() {
    let world = World::new(10).await;
    let (first, second) = (world.started(named("a")), world.started(named("b")));
    world.settles(&[&first, &second], seconds(60)).await;
    world.append_all(30);
    world.handles_all(seconds(20)).await;

    // Its tasks end wherever they are, and nobody gives anything back.
    drop(second);
    world.append_all(30);
    world.settles(&[&first], seconds(90)).await;
    world.handles_all(seconds(20)).await;
    assert_eq!(world.holders().await.len(), 1);
    assert_eq!(first.statistics().acquired_expired, 5, "their leases ran out");
    within_paused(first.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_once_everybody_has_a_share() {
    let world = World::new(10).await;
    let hosts = ["a", "b", "c"].map(|name| world.started(named(name)));
    let all: Vec<_> = hosts.iter().collect();
    world.settles(&all, seconds(60)).await;
    let mut events = hosts.each_ref().map(EventProcessorHost::host_events);
    crate::support::pass(seconds(500)).await;
    for events in &mut events {
        let moves = drain(events)
            .into_iter()
            .filter(|event| matches!(event, HostEvent::Acquired { .. } | HostEvent::Lost { .. }));
        assert_eq!(moves.count(), 0);
    }
    for host in &hosts {
        within_paused(host.close()).await.expect("it closes");
    }
}

#[tokio::test(start_paused = true)]
async fn many_partitions_are_balanced_within_three_scans_of_a_join_or_a_leave() {
    let world = World::new(128).await;
    let mut hosts: Vec<_> = (0..7).map(|at| world.started(named(&at.to_string()))).collect();
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(32)).await;
    hosts.extend((7..10).map(|at| world.started(named(&at.to_string()))));
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(32)).await;
    for leaving in hosts.split_off(6) {
        within_paused(leaving.close()).await.expect("it closes");
    }
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(32)).await;
    drop(hosts.split_off(5));
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(92)).await;
    for host in hosts {
        within_paused(host.close()).await.expect("it closes");
    }
}

#[tokio::test(start_paused = true)]
async fn weights_and_maxima_are_heeded() {
    let world = World::new(12).await;
    let heavy = world.started(named("heavy").with_weight(3));
    let light = world.started(named("light"));
    let idle = world.started(named("idle").with_weight(0));
    let counts = || [&heavy, &light, &idle].map(|host| host.partition_ids_being_processed().len());
    until(seconds(60), || (counts() == [9, 3, 0]).then_some(()).ok_or_else(counts)).await;
    within_paused(heavy.stop()).await.expect("it stops");
    let small = world.started(named("small").with_partitions_max(2));
    let counts = || [&light, &small].map(|host| host.partition_ids_being_processed().len());
    until(seconds(60), || (counts() == [10, 2]).then_some(()).ok_or_else(counts)).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_cut_off_from_the_store_fences_itself_and_another_takes_over() {
    let world = World::new(4).await;
    let cut = world.store.beside();
    let first = world.host_on(&cut, named("a"));
    first.start_nonblocking().expect("it is idle");
    world.settles(&[&first], seconds(40)).await;
    let mut events = first.host_events();
    cut.down(Fault::Hang);
    let second = world.started(named("b"));
    until(seconds(120), || {
        let left = first.partition_ids_being_processed();
        let taken = second.partition_ids_being_processed();
        (left.is_empty() && taken.len() == 4).then_some(()).ok_or((left, taken))
    })
    .await;
    let lost: Vec<_> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            HostEvent::Lost { reason, .. } => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(lost.len(), 4, "{lost:?}");
    assert!(lost.contains(&CloseReason::Fenced), "{lost:?}");
    assert!(!first.health().is_ok());
    assert_eq!(first.state(), HostState::Running);
    world.append_all(5);
    world.handles_all(seconds(20)).await;

    cut.heal();
    world.settles(&[&first, &second], seconds(120)).await;
    assert!(first.health().is_ok(), "{:?}", first.health().problems);
}

/// In real time, with threads: what the paused clock puts in order happens as it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_on_many_threads_handle_everything() {
    let world = World::new(8).await;
    world.append_all(500);
    let options = || HostOptions::default().with_scan(seconds(1)).with_strategy(Strategy::Balanced);
    let greedy = options().with_strategy(Strategy::Greedy).with_name("a");
    let (first, second) = (world.started(greedy), world.started(options().with_name("b")));
    world.handles_all(seconds(20)).await;
    second.close().await.expect("it closes");
    world.append_all(100);
    world.handles_all(seconds(20)).await;
    first.close().await.expect("it closes");
    for partition in 0..8 {
        let stored = world.store.checkpoints().load(partition.into()).await.expect("it is there");
        assert_eq!(stored.expect("there is one").sequence_number.as_i64(), 599);
    }
    assert!(world.holders().await.is_empty());
}
