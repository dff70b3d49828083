//! Handlers that fail, panic or never end, in a whole host: what is handled again, what is told, and
//! what the store has.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use eventhubs_eph::{
    CheckpointPolicy, CloseReason, Concurrency, FailurePolicy, Handler, HandlerError, HostEvent,
    HostOptions, HostState,
};
use eventhubs_protocol::PartitionKey;

use crate::support::{World, drain, pass, seconds, until, within_paused};

/// How far the store says that a partition is.
async fn stored(world: &World, partition: u16) -> Option<i64> {
    let stored = world.store.checkpoints().load(partition.into()).await.expect("it is there");
    stored.map(|checkpoint| checkpoint.sequence_number.as_i64())
}

/// Writes each event down, then fails at one of them, so many times.
fn failing(world: &World, at: i64, times: i64, how: fn(&str) -> HandlerError) -> Handler {
    let (record, left) = (world.record.clone(), AtomicI64::new(times));
    Handler::each(move |event, partition| {
        record.write(&event, &partition);
        let is_it = event.sequence_number().as_i64() == at && partition.id().as_u16() == 0;
        let fails = is_it && left.fetch_sub(1, Ordering::Relaxed) > 0;
        std::future::ready(match fails {
            true => Err(how("not now")),
            false => Ok(()),
        })
    })
}

#[tokio::test(start_paused = true)]
async fn p06_a_failed_event_is_where_its_partition_goes_on_and_no_other_waits() {
    let world = World::new(3).await;
    let host = world.bare(HostOptions::default());
    host.register_handler(failing(&world, 4, 3, |text| HandlerError::new(text)))
        .expect("it is open");
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(10);
    pass(seconds(6)).await;
    for other in [1, 2] {
        assert_eq!(world.record.of(other), (0..10).collect::<Vec<_>>());
    }
    assert_eq!(stored(&world, 0).await, Some(3), "the store never passes what failed");
    world.handles_all(seconds(20)).await;
    assert_eq!(world.record.of(0), [0, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 8, 9]);
    let failures = drain(&mut events).into_iter().filter_map(|event| match event {
        HostEvent::HandlerFailed { partition, sequence_number, .. } => {
            Some((partition.as_u16(), sequence_number.map(|number| number.as_i64())))
        }
        _ => None,
    });
    assert_eq!(failures.collect::<Vec<_>>(), [(0, Some(4)); 3]);
    assert_eq!(host.statistics().handler_failures, 3);
    within_paused(host.close()).await.expect("it closes");
    assert_eq!(stored(&world, 0).await, Some(9));
}

#[tokio::test(start_paused = true)]
async fn p06_a_skipped_event_is_told_and_a_stop_gives_the_partition_back() {
    let world = World::new(2).await;
    let options = HostOptions::default().with_failures(FailurePolicy::Skip);
    let host = world.bare(options);
    host.register_handler(failing(&world, 4, 1, |text| HandlerError::new(text)))
        .expect("it is open");
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(10);
    world.handles_all(seconds(10)).await;
    pass(seconds(10)).await;
    assert_eq!(world.record.of(0), (0..10).collect::<Vec<_>>());
    let is_told = |event: &HostEvent| matches!(event, HostEvent::Skipped { from: Some(from), .. } if from.as_i64() == 4);
    assert_eq!(drain(&mut events).iter().filter(|event| is_told(event)).count(), 1);
    assert_eq!(stored(&world, 0).await, Some(9));
    within_paused(host.close()).await.expect("it closes");

    let world = World::new(2).await;
    let host = world.bare(HostOptions::default());
    host.register_handler(failing(&world, 4, 1, |text| HandlerError::stop(text)))
        .expect("it is open");
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(10);
    pass(seconds(100)).await;
    assert_eq!(world.record.of(0), [0, 1, 2, 3, 4], "and not again");
    assert_eq!(stored(&world, 0).await, Some(3));
    assert_eq!(host.statistics().lost(CloseReason::Failed), 1);
    assert_eq!(host.partition_ids_being_processed().len(), 1);
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn p05_a_panic_costs_its_event_a_second_call_and_nobody_else_anything() {
    let world = World::new(3).await;
    let host = world.bare(HostOptions::default());
    let (record, left) = (world.record.clone(), AtomicI64::new(1));
    let handler = Handler::each(move |event, partition| {
        record.write(&event, &partition);
        let is_it = event.sequence_number().as_i64() == 4 && partition.id().as_u16() == 0;
        let panics = is_it && left.fetch_sub(1, Ordering::Relaxed) > 0;
        async move {
            tokio::task::yield_now().await;
            assert!(!panics, "planned");
            Ok(())
        }
    });
    host.register_handler(handler).expect("it is open");
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append_all(10);
    world.handles_all(seconds(20)).await;
    assert_eq!(world.record.of(0), [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]);
    assert_eq!(world.record.of(1), (0..10).collect::<Vec<_>>());
    let told = drain(&mut events).into_iter().map(|event| event.to_string());
    let told: Vec<_> = told.filter(|event| event.contains("panicked: planned")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("partition 0 at event 4"), "{told:?}");
    within_paused(host.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn p09_a_handler_that_never_ends_is_given_up_after_its_grace_and_its_event_comes_again() {
    let world = World::new(1).await;
    let host = world.bare(HostOptions::default());
    let record = world.record.clone();
    let handler = Handler::each(move |event, partition| {
        record.write(&event, &partition);
        let hangs = event.sequence_number().as_i64() == 3;
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let id = host.register_handler(handler).expect("it is open");
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    world.append(0, 6);
    pass(seconds(300)).await;
    assert_eq!(world.record.of(0), [0, 1, 2, 3]);
    let begun = tokio::time::Instant::now();
    within_paused(host.stop()).await.expect("it stops");
    let took = begun.elapsed();
    assert!(took >= seconds(10) && took <= seconds(12), "the grace: {took:?}");
    let is_told = |event: &HostEvent| matches!(event, HostEvent::HandlerAbandoned { handler, .. } if *handler == id);
    assert_eq!(drain(&mut events).iter().filter(|event| is_told(event)).count(), 1);
    assert_eq!(stored(&world, 0).await, Some(2));
    assert!(world.holders().await.is_empty(), "it was given back all the same");
    within_paused(host.close()).await.expect("it closes");
    let next = world.started(HostOptions::default());
    world.handles_all(seconds(60)).await;
    assert_eq!(world.record.of(0), [0, 1, 2, 3, 3, 4, 5]);
    within_paused(next.close()).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_of_each_policy_are_the_prefix_of_what_is_done() {
    let every = CheckpointPolicy::Every { events: 7, time: seconds(3600) };
    for (policy, running) in [
        (CheckpointPolicy::AfterEach { every: seconds(5) }, Some(39)),
        (CheckpointPolicy::AfterBatch, Some(39)),
        (every, Some(39)),
        (CheckpointPolicy::Manual, None),
    ] {
        let world = World::new(1).await;
        let host = world.bare(HostOptions::default().with_checkpoints(policy));
        let record = world.record.clone();
        let handler = Handler::batch(move |events, partition| {
            events.iter().for_each(|event| record.write(event, &partition));
            async {
                pass(seconds(1)).await;
                Ok(())
            }
        });
        host.register_handler(handler.with_events_max(10)).expect("it is open");
        host.start_nonblocking().expect("it is idle");
        world.settles(&[&host], seconds(40)).await;
        world.append(0, 40);
        for _ in 0..20 {
            pass(seconds(1)).await;
            let done = i64::try_from(world.record.of(0).len()).expect("few") - 1;
            assert!(stored(&world, 0).await.is_none_or(|number| number <= done), "{policy:?}");
        }
        assert_eq!(stored(&world, 0).await, running, "{policy:?}");
        within_paused(host.close()).await.expect("it closes");
        assert_eq!(stored(&world, 0).await, running, "{policy:?}: what is done is flushed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_hangs_holds_the_checkpoint_and_no_other_lane() {
    let world = World::new(1).await;
    let host = world.bare(HostOptions::default());
    let record = world.record.clone();
    let lanes = NonZeroUsize::new(1024).expect("not zero");
    let handler = Handler::each(move |event, partition| {
        record.write(&event, &partition);
        let hangs = event.sequence_number().as_i64() == 2;
        async move {
            if hangs {
                partition.ended().await;
            }
            Ok(())
        }
    });
    let handler = handler.with_concurrency(Concurrency::PerKey { lanes });
    host.register_handler(handler).expect("it is open");
    host.start_nonblocking().expect("it is idle");
    let hub = world.hub();
    for number in 0..20 {
        let key = PartitionKey::new(&format!("device-{}", number % 10)).expect("it is valid");
        let event = eventhubs_client::EventData::new("an event").with_partition_key(key);
        hub.send(event).await.expect("it is accepted");
    }
    // All but those of the key that hangs: the second of it waits.
    until(seconds(60), || match world.record.of(0).len() {
        19 => Ok(()),
        other => Err(other),
    })
    .await;
    pass(seconds(20)).await;
    assert_eq!(stored(&world, 0).await, Some(1));
    let record = Arc::new(world.record.of(0));
    assert!(!record.contains(&12));
    within_paused(host.close()).await.expect("it closes");
    assert_eq!(host.state(), HostState::Closed);
    assert_eq!(stored(&world, 0).await, Some(11), "all but 12, which did not begin");
    hub.close().await;
}
