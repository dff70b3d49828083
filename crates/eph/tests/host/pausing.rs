//! Pauses: by hand, by what a host follows, for short and for long.

use eventhubs_eph::{CloseReason, HostEvent, HostOptions, HostState};
use tokio::sync::watch;

use crate::support::{World, drain, pass, seconds, until, within_paused};

fn options() -> HostOptions {
    HostOptions::default()
}

#[tokio::test(start_paused = true)]
async fn a_paused_host_keeps_its_partitions_and_handles_nothing() {
    let world = World::new(4).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    world.append_all(5);
    world.handles_all(seconds(10)).await;
    host.pause();
    assert_eq!(host.state(), HostState::Paused);
    pass(seconds(1)).await;
    let handled = world.record.len();
    world.append_all(5);
    pass(seconds(50)).await;
    assert_eq!(world.record.len(), handled);
    assert_eq!(host.partition_ids_being_processed().len(), 4);
    assert_eq!(world.holders().await.len(), 1, "leases are renewed");
    host.resume();
    assert_eq!(host.state(), HostState::Running);
    world.handles_all(seconds(5)).await;
    assert_eq!(world.record.len(), 4 * 10, "and nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_lasts_gives_the_partitions_to_others() {
    let world = World::new(4).await;
    let hosts = ["a", "b"].map(|name| world.started(options().with_name(name)));
    let [first, second] = &hosts;
    world.settles(&[first, second], seconds(60)).await;
    let mut events = first.host_events();
    first.pause();
    pass(seconds(58)).await;
    assert_eq!(first.partition_ids_being_processed().len(), 2, "for one lease they are kept");
    until(seconds(25), || {
        let owned = [first, second].map(|host| host.partition_ids_being_processed().len());
        (owned == [0, 4]).then_some(()).ok_or(owned)
    })
    .await;
    let paused = drain(&mut events)
        .into_iter()
        .filter(|event| matches!(event, HostEvent::Lost { reason: CloseReason::Paused, .. }));
    assert_eq!(paused.count(), 2);
    assert_eq!(first.statistics().lost(CloseReason::Paused), 2);
    pass(seconds(100)).await;
    assert_eq!(second.partition_ids_being_processed().len(), 4, "nobody takes them back");
    first.resume();
    world.settles(&[first, second], seconds(35)).await;
    world.append_all(2);
    world.handles_all(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn short_pauses_do_not_add_up() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    for _ in 0..5 {
        host.pause();
        pass(seconds(50)).await;
        host.resume();
        pass(seconds(1)).await;
    }
    assert_eq!(host.statistics().lost_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_a_limit_keeps_partitions_for_good() {
    let world = World::new(2).await;
    let host = world.started(options().with_pause_max(None));
    world.settles(&[&host], seconds(40)).await;
    host.pause();
    pass(seconds(1_000)).await;
    assert_eq!(host.partition_ids_being_processed().len(), 2);
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
    world.append_all(1);
    host.resume();
    world.handles_all(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_starts_paused_takes_nothing_until_it_is_resumed() {
    let world = World::new(2).await;
    let host = world.host(options());
    host.pause();
    assert_eq!(host.state(), HostState::Idle);
    host.start_nonblocking().expect("it is idle");
    within_paused(host.wait_for(HostState::Paused)).await.expect("it is paused");
    pass(seconds(40)).await;
    assert!(host.partition_ids_being_processed().is_empty());
    host.resume();
    world.settles(&[&host], seconds(30)).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_follows_what_it_depends_on() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    let (well, health) = watch::channel(true);
    host.follow(health);
    assert_eq!(host.state(), HostState::Running);
    well.send_replace(false);
    within_paused(host.wait_for(HostState::Paused)).await.expect("it follows");
    pass(seconds(1)).await;
    world.append_all(3);
    pass(seconds(5)).await;
    assert_eq!(world.record.len(), 0);

    // Both have to agree to go on.
    host.pause();
    well.send_replace(true);
    pass(seconds(1)).await;
    assert_eq!(host.state(), HostState::Paused);
    host.resume();
    assert_eq!(host.state(), HostState::Running);
    world.handles_all(seconds(5)).await;

    well.send_replace(false);
    within_paused(host.wait_for(HostState::Paused)).await.expect("it follows");
    drop(well);
    within_paused(host.wait_for(HostState::Running)).await.expect("nobody is left to say no");

    // Another takes the place of the first.
    let (well, health) = watch::channel(false);
    host.follow(health);
    assert_eq!(host.state(), HostState::Paused, "at once");
    host.follow(watch::channel(true).1);
    within_paused(host.wait_for(HostState::Running)).await.expect("it follows the other");
    well.send_replace(false);
    pass(seconds(1)).await;
    assert_eq!(host.state(), HostState::Running);
}
