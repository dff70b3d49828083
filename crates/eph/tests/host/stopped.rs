//! Partitions that a handler stopped: given to others, and not taken again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use eventhubs_eph::{
    CloseReason, EventProcessorHost, FailurePolicy, Handler, HandlerError, HostEvent, HostOptions,
    Problem,
};

use crate::support::{World, drain, pass, seconds, until, within_paused};

/// A host whose handler fails at partition 1.
fn failing(world: &World) -> EventProcessorHost {
    failing_at(world, Arc::new(AtomicU16::new(1)))
}

/// A host whose handler fails at a partition that is named in time.
fn failing_at(world: &World, poisoned: Arc<AtomicU16>) -> EventProcessorHost {
    let options = HostOptions::default().with_name("a").with_failures(FailurePolicy::Stop);
    let host = world.bare(options);
    let handler = Handler::each(move |_, partition| {
        let is_poison = partition.id().as_u16() == poisoned.load(Ordering::Relaxed);
        async move {
            match is_poison {
                true => Err(HandlerError::new("poison")),
                false => Ok(()),
            }
        }
    });
    host.register_handler(handler).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    host
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_was_stopped_goes_to_another_host_and_does_not_come_back() {
    let world = World::new(4).await;
    let host = failing(&world);
    world.settles(&[&host], seconds(40)).await;
    world.append(1, 3);
    pass(seconds(60)).await;
    assert_eq!(host.partition_ids_being_processed(), crate::support::ids([0, 2, 3]));
    assert_eq!(host.statistics().lost(CloseReason::Failed), 1);
    let problems = host.health().problems;
    let is_it = |problem: &Problem| matches!(problem, Problem::PartitionStopped { partition } if *partition == 1.into());
    assert!(problems.iter().any(is_it), "{problems:?}");

    let other = world.started(HostOptions::default().with_name("b"));
    // Two scans: the other is announced, and then takes it.
    until(seconds(35), || {
        let owned = other.partition_ids_being_processed();
        owned.contains(&1.into()).then_some(()).ok_or(owned)
    })
    .await;
    world.settles(&[&host, &other], seconds(60)).await;
    let mut events = host.host_events();
    pass(seconds(200)).await;
    let moves = drain(&mut events)
        .into_iter()
        .filter(|event| matches!(event, HostEvent::Acquired { .. } | HostEvent::Lost { .. }));
    assert_eq!(moves.count(), 0, "it stays where it is");
    assert_eq!(world.record.of(1), [0, 1, 2], "nothing was lost");
    assert!(!host.partition_ids_being_processed().contains(&1.into()));
    within_paused(other.close()).await.expect("it closes");
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_host_with_a_full_share_takes_what_another_has_stopped_within_two_scans() {
    let world = World::new(4).await;
    let poisoned = Arc::new(AtomicU16::new(u16::MAX));
    let host = failing_at(&world, Arc::clone(&poisoned));
    let other = world.started(HostOptions::default().with_name("b"));
    world.settles(&[&host, &other], seconds(60)).await;
    let partition = host.partition_ids_being_processed()[0];
    poisoned.store(partition.as_u16(), Ordering::Relaxed);
    world.append(partition.as_u16(), 2);
    until(seconds(33), || {
        let owned = other.partition_ids_being_processed();
        owned.contains(&partition).then_some(()).ok_or(owned)
    })
    .await;
    pass(seconds(60)).await;
    assert!(other.partition_ids_being_processed().contains(&partition));
    assert_eq!(host.partition_ids_being_processed().len(), 2, "it has another in its place");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_started_again_takes_a_stopped_partition_again() {
    let world = World::new(2).await;
    let host = failing(&world);
    world.settles(&[&host], seconds(40)).await;
    world.append(1, 1);
    until(seconds(30), || {
        let owned = host.partition_ids_being_processed();
        (owned.len() == 1).then_some(()).ok_or(owned)
    })
    .await;
    pass(seconds(60)).await;
    within_paused(host.stop()).await.expect("it stops");
    host.start_nonblocking().expect("it is idle");
    let mut events = host.host_events();
    pass(seconds(30)).await;
    let again = drain(&mut events).into_iter().any(
        |event| matches!(event, HostEvent::Acquired { partition, .. } if partition == 1.into()),
    );
    assert!(again, "for a new start it is a new partition");
}
