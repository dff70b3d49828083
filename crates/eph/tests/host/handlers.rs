//! Handlers that come and go while a host runs, and hosts that are told what to do by their handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventhubs_eph::{Handler, HostErrorKind, HostOptions, HostState};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{Record, World, pass, seconds, within_paused};

fn options() -> HostOptions {
    HostOptions::default()
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_registered_later_gets_what_comes_then() {
    let world = World::new(2).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    world.append_all(5);
    world.handles_all(seconds(10)).await;
    let second = Record::default();
    let id = host.register_handler(second.handler()).expect("it is open");
    assert_eq!(host.registered_handler_ids().len(), 2);
    assert_eq!(host.registered_handler_ids()[1], id);
    pass(seconds(1)).await;
    world.append_all(5);
    world.handles_all(seconds(10)).await;
    pass(seconds(1)).await;
    assert_eq!(second.of(0), (5..10).collect::<Vec<_>>());
    assert!(host.unregister_handler(id));
    assert!(!host.unregister_handler(id), "it is gone");
    pass(seconds(1)).await;
    world.append_all(5);
    world.handles_all(seconds(10)).await;
    assert_eq!((second.len(), world.record.len()), (10, 30));
    assert_eq!(host.state(), HostState::Running);
}

#[tokio::test(start_paused = true)]
async fn the_last_handler_that_goes_closes_the_host() {
    let world = World::new(2).await;
    let host = world.bare(options());
    let id = host.register_handler(world.record.handler()).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(5);
    world.handles_all(seconds(10)).await;
    assert!(host.unregister_handler(id));
    let refused = host.register_handler(world.record.handler()).expect_err("it is closing");
    assert_eq!(refused.kind(), HostErrorKind::Closed);
    within_paused(host.wait_for(HostState::Closed)).await.expect("it closes");
    assert!(world.holders().await.is_empty(), "everything was given back");
    let stored = world.store.checkpoints().load(0.into()).await.expect("it is there");
    assert_eq!(stored.expect("there is one").sequence_number.as_i64(), 4);
}

#[tokio::test(start_paused = true)]
async fn handlers_may_come_and_go_inside_handlers() {
    let world = World::new(1).await;
    let host = world.bare(options());
    let second = Record::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (host, second, calls) = (host.clone(), second.clone(), Arc::clone(&calls));
        Handler::each(move |_, _| {
            let (host, second, calls) = (host.clone(), second.clone(), Arc::clone(&calls));
            async move {
                match calls.fetch_add(1, Ordering::Relaxed) {
                    0 => drop(host.register_handler(second.handler())),
                    2 => assert!(host.unregister_handler(host.registered_handler_ids()[0])),
                    _ => {}
                }
                Ok(())
            }
        })
    };
    host.register_handler(handler).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    for _ in 0..5 {
        world.append(0, 1);
        pass(seconds(1)).await;
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert_eq!(second.of(0), [1, 2, 3, 4]);
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_stopped_or_closed_inside_a_handler_does_not_wait_for_ever() {
    for close in [false, true] {
        let world = World::new(2).await;
        let host = world.bare(options());
        let handler = {
            let host = host.clone();
            Handler::each(move |_, _| {
                let host = host.clone();
                async move {
                    let ended = match close {
                        true => host.close().await,
                        false => host.stop().await,
                    };
                    ended.map_err(Into::into)
                }
            })
        };
        host.register_handler(handler).expect("it is open");
        host.start_nonblocking().expect("it is idle");
        world.settles(&[&host], seconds(40)).await;
        let begun = Instant::now();
        world.append(0, 1);
        let end = if close { HostState::Closed } else { HostState::Idle };
        within_paused(host.wait_for(end)).await.expect("it ends");
        assert!(begun.elapsed() <= seconds(12), "the grace: {:?}", begun.elapsed());
        assert_eq!(host.statistics().handlers_abandoned, 1);
        assert!(world.holders().await.is_empty());
        within_paused(host.close()).await.expect("it closes");
    }
}

#[tokio::test(start_paused = true)]
async fn p07_a_handler_slower_than_the_lease_keeps_its_partition() {
    let world = World::new(2).await;
    let host = world.bare(options());
    let go = Arc::new(Notify::new());
    let handler = {
        let go = Arc::clone(&go);
        Handler::each(move |_, _| {
            let go = Arc::clone(&go);
            async move {
                go.notified().await;
                Ok(())
            }
        })
    };
    host.register_handler(handler).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    let second = world.started(options().with_name("b").with_weight(0));
    world.append(0, 1);
    pass(seconds(200)).await;
    assert_eq!(host.partition_ids_being_processed().len(), 2);
    assert_eq!(host.statistics().lost_total(), 0);
    let health = host.health();
    let slow = health.problems.iter().map(ToString::to_string).find(|it| it.contains("at it for"));
    assert!(slow.is_some(), "{:?}", health.problems);
    go.notify_one();
    pass(seconds(10)).await;
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
    assert_eq!(host.statistics().events_handled, 1);
    drop(second);
}
