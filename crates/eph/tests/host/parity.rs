//! What the tests of the Go library's `eph` claim; see `docs/parity.md`.

use std::collections::BTreeMap;

use eventhubs_eph::{Handler, HostOptions};

use crate::support::{World, seconds, until, within_paused};

fn named(name: impl ToString) -> HostOptions {
    HostOptions::default().with_name(name.to_string())
}

#[tokio::test(start_paused = true)]
async fn handlers_are_counted_as_they_come_and_go() {
    let world = World::new(1).await;
    let host = world.bare(named("a"));
    let handler = || Handler::each(|_, _| async { Ok(()) });
    assert!(host.registered_handler_ids().is_empty());
    let ids: Vec<_> = (0..3).map(|_| host.register_handler(handler()).expect("open")).collect();
    assert_eq!(host.registered_handler_ids(), ids);
    assert!(host.unregister_handler(ids[1]));
    assert_eq!(host.registered_handler_ids(), [ids[0], ids[2]]);
    assert!(!host.unregister_handler(ids[1]), "it is gone already");
    assert!(host.unregister_handler(ids[0]) && host.unregister_handler(ids[2]));
    assert!(host.registered_handler_ids().is_empty());
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn one_host_handles_each_event_that_was_sent_once() {
    let world = World::new(4).await;
    let host = world.started(named("a"));
    let hub = world.hub();
    for _ in 0..10 {
        hub.send("one of ten").await.expect("it is stored");
    }
    until(seconds(60), || match world.record.len() {
        10 => Ok(()),
        other => Err(other),
    })
    .await;
    let distinct: usize = (0..4).map(|partition| world.record.distinct(partition)).sum();
    assert_eq!((distinct, world.record.len()), (10, 10));
    hub.close().await;
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn four_hosts_have_a_partition_each_and_what_one_leaves_is_handled_once_by_the_others() {
    let world = World::new(4).await;
    let mut hosts: Vec<_> = (0..4).map(|at| world.started(named(at))).collect();
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(60)).await;
    assert_eq!(world.holders().await.into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);
    world.append_all(5);
    world.handles_all(seconds(20)).await;

    let gone = hosts.pop().expect("there are four");
    within_paused(gone.close()).await.expect("it closes");
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(15)).await;
    world.append_all(5);
    world.handles_all(seconds(20)).await;
    let handled: BTreeMap<u16, Vec<i64>> = (0..4).map(|at| (at, world.record.of(at))).collect();
    for (partition, numbers) in handled {
        assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "partition {partition}, once each");
    }
    for host in hosts {
        within_paused(host.close()).await.expect("it closes");
    }
}
