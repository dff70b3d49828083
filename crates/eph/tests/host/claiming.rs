//! Scans and claims over a store that fails: each failure is that of one call.

use eventhubs_eph::balance::TakeReason;
use eventhubs_eph::{
    CloseReason, EpochMode, HostEvent, HostOptions, HostState, Leaser, Misconfiguration, Problem,
    StoreErrorKind, StoreOperation,
};
use tokio::time::Instant;

use crate::support::store::Fault;
use crate::support::{World, drain, pass, seconds, until, within_paused};

fn options() -> HostOptions {
    HostOptions::default()
}

/// Reasons why partitions were acquired.
fn reasons(events: &[HostEvent]) -> Vec<(u16, TakeReason)> {
    let acquired = events.iter().filter_map(|event| match event {
        HostEvent::Acquired { partition, reason, .. } => Some((partition.as_u16(), reason.clone())),
        _ => None,
    });
    acquired.collect()
}

#[tokio::test(start_paused = true)]
async fn b01_a_claim_that_is_lost_is_no_error_and_stops_no_other() {
    let world = World::new(8).await;
    let hosts = ["a", "b"].map(|name| {
        // Both want everything at once, so that they race for it.
        let greedy = options().with_strategy(eventhubs_eph::balance::Strategy::Greedy);
        world.host(greedy.with_name(name))
    });
    let mut events = hosts.each_ref().map(|host| host.host_events());
    hosts.iter().for_each(|host| host.start_nonblocking().expect("it is idle"));
    let all: Vec<_> = hosts.iter().collect();
    world.settles(&all, seconds(60)).await;
    let lost: u64 = hosts.iter().map(|host| host.statistics().claims_lost).sum();
    let taken: u64 = hosts.iter().map(|host| host.statistics().lost_total()).sum();
    assert!(lost + taken > 0, "they did race");
    for events in &mut events {
        let failed = |event: &HostEvent| matches!(event, HostEvent::StoreFailed { .. });
        assert!(!drain(events).iter().any(failed));
    }
    assert!(hosts.iter().all(|host| host.health().is_ok()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_fails_affects_no_other_and_is_made_again_by_the_next_scan() {
    let world = World::new(4).await;
    let busy = Fault::Before(StoreErrorKind::Contended);
    world.store.times(StoreOperation::Acquire, 2, 1, busy);
    let host = world.started(options());
    until(seconds(30), || {
        let owned = host.partition_ids_being_processed();
        (owned.len() == 3).then_some(()).ok_or(owned)
    })
    .await;
    world.settles(&[&host], seconds(15)).await;
    assert!(host.health().is_ok());
}

#[tokio::test(start_paused = true)]
async fn b07_b18_a_claim_that_took_effect_and_failed_is_repeated_as_the_same_claim() {
    let world = World::new(4).await;
    let mut levels = Vec::new();
    for kind in [StoreErrorKind::Timeout, StoreErrorKind::Unavailable] {
        world.store.times(StoreOperation::Acquire, 1, 1, Fault::After(kind));
        let host = world.host(options());
        let mut events = host.host_events();
        host.start_nonblocking().expect("it is idle");
        world.settles(&[&host], seconds(30)).await;
        let events = drain(&mut events);
        let reasons = reasons(&events);
        assert_eq!(reasons.len(), 4);
        assert!(reasons.iter().all(|(_, reason)| *reason == TakeReason::Free), "{reasons:?}");
        within_paused(host.close()).await.expect("it closes");
        let table = world.store.inner().leases().await.expect("it is there");
        levels.push(table.lease(1.into()).expect("it is there").epoch.as_i64());
    }
    assert_eq!(levels, [1, 2], "one claim, one owner level");
}

#[tokio::test(start_paused = true)]
async fn b08_a_claim_without_an_answer_holds_nobody_up_and_is_found_again_as_own() {
    let world = World::new(4).await;
    // It takes effect, and nobody ever says so.
    world.store.times(StoreOperation::Acquire, 1, 2, Fault::After(StoreErrorKind::Timeout));
    let host = world.host(options());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    let reasons = reasons(&drain(&mut events));
    let own =
        reasons.iter().filter(|(partition, reason)| *partition == 1 && *reason == TakeReason::Own);
    assert_eq!(own.count(), 1, "{reasons:?}");

    let world = World::new(4).await;
    world.store.times(StoreOperation::Acquire, 1, 2, Fault::Hang);
    let begun = Instant::now();
    let host = world.started(options());
    until(seconds(30), || {
        let owned = host.partition_ids_being_processed();
        (owned.len() == 3).then_some(()).ok_or(owned)
    })
    .await;
    assert!(begun.elapsed() < seconds(13), "the others do not wait: {:?}", begun.elapsed());
    // Two calls of 15 s, then the next scan.
    world.settles(&[&host], seconds(50)).await;
}

#[tokio::test(start_paused = true)]
async fn b06_a_store_that_is_busy_is_asked_again_when_it_said_and_renewals_go_on() {
    let world = World::new(4).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    let after = Some(seconds(45));
    world.store.always(StoreOperation::List, Fault::Before(StoreErrorKind::Busy { after }));
    pass(seconds(15)).await;
    let (lists, renewals) = (world.store.calls(StoreOperation::List), host.statistics().renewals);
    pass(seconds(38)).await;
    assert!(world.store.calls(StoreOperation::List) <= lists + 1, "it is left alone");
    let renewed = host.statistics().renewals - renewals;
    assert!((12..=20).contains(&renewed), "{renewed} renewals of 4 leases in 38 s");
    assert_eq!(host.partition_ids_being_processed().len(), 4);
    world.store.heal();
    pass(seconds(60)).await;
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
}

#[tokio::test(start_paused = true)]
async fn b05_b13_a_store_that_was_deleted_is_made_again_and_processing_goes_on() {
    let world = World::new(4).await;
    let host = world.started(options());
    world.settles(&[&host], seconds(40)).await;
    world.append_all(10);
    world.handles_all(seconds(20)).await;
    pass(seconds(10)).await;
    Leaser::delete_store(&world.store).await.expect("it is deleted");
    world.append_all(10);
    // The leases are gone with it: that is noticed with the next renewal, and they are claimed anew.
    pass(seconds(30)).await;
    world.settles(&[&host], seconds(120)).await;
    world.handles_all(seconds(120)).await;
    assert_eq!(host.state(), HostState::Running);
    within_paused(host.close()).await.expect("it closes");
    for partition in 0..4 {
        let stored = world.store.checkpoints().load(partition.into()).await.expect("there again");
        assert_eq!(stored.expect("there is one").sequence_number.as_i64(), 19);
    }
}

#[tokio::test(start_paused = true)]
async fn b14_a_lease_that_cannot_be_read_is_reported_and_made_anew_and_others_go_on() {
    let world = World::new(4).await;
    let first = world.started(options());
    world.settles(&[&first], seconds(40)).await;
    within_paused(first.close()).await.expect("it closes");

    world.store.corrupt(2);
    let failed = Fault::Before(StoreErrorKind::Unavailable);
    world.store.times(StoreOperation::Ensure, 2, 4, failed);
    let host = world.host(options());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    until(seconds(30), || {
        let owned = host.partition_ids_being_processed();
        (owned.len() == 3).then_some(()).ok_or(owned)
    })
    .await;
    let problems = host.health().problems;
    let is_it = |problem: &Problem| matches!(problem, Problem::CorruptLease { partition, .. } if *partition == 2.into());
    assert!(problems.iter().any(is_it), "{problems:?}");
    let is_told = |event: &HostEvent| match event {
        HostEvent::StoreFailed { error } => error.kind() == StoreErrorKind::Corrupt,
        _ => false,
    };
    assert!(drain(&mut events).iter().any(is_told));
    world.settles(&[&host], seconds(90)).await;
    pass(seconds(20)).await;
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
}

#[tokio::test(start_paused = true)]
async fn b15_a_scan_that_was_cut_short_claims_nothing() {
    let world = World::new(4).await;
    world.store.always(StoreOperation::Presence, Fault::Slow(seconds(1)));
    let host = world.started(options());
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    world.store.heal();
    // The leases come, the hosts do not.
    world.store.always(StoreOperation::Presence, Fault::Before(StoreErrorKind::Unavailable));
    pass(seconds(60)).await;
    assert_eq!(world.store.calls(StoreOperation::Acquire), 0);
    let numbers = host.statistics();
    assert!(numbers.scans_failed >= 5, "{numbers:?}");
    world.store.heal();
    world.settles(&[&host], seconds(25)).await;
}

#[tokio::test(start_paused = true)]
async fn partitions_that_are_added_get_leases_and_owners() {
    let mut world = World::new(4).await;
    let hosts = ["a", "b"].map(|name| world.started(options().with_name(name)));
    let all: Vec<_> = hosts.iter().collect();
    world.settles(&all, seconds(60)).await;
    world.emulator.set_partitions(crate::support::HUB, 8).expect("it grows");
    world.partitions = 8;
    world.settles(&all, seconds(30)).await;
    world.append_all(3);
    world.handles_all(seconds(10)).await;
    assert_eq!(hosts[0].partition_ids().await.expect("answered").len(), 8);
}

#[tokio::test(start_paused = true)]
async fn owner_levels_rise_with_each_owner_or_stay_zero() {
    for (mode, levels) in [(EpochMode::Rising, [1, 2, 3]), (EpochMode::Zero, [0, 0, 0])] {
        let world = World::new(1).await;
        let host = world.host(options().with_epochs(mode));
        for level in levels {
            host.start_nonblocking().expect("it is idle");
            world.settles(&[&host], seconds(40)).await;
            assert_eq!(host.health().partitions[0].owner_level.as_i64(), level);
            within_paused(host.stop()).await.expect("it stops");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b19_a_lease_of_a_former_life_runs_out_before_it_is_taken() {
    // One partition, so that nothing of it is above the share of the former life.
    let world = World::new(1).await;
    let host = world.started(options().with_name("same"));
    world.settles(&[&host], seconds(40)).await;
    drop(host);
    let host = world.started(options().with_name("same"));
    pass(seconds(40)).await;
    assert!(host.partition_ids_being_processed().is_empty(), "it is another owner");
    world.settles(&[&host], seconds(50)).await;
    let numbers = host.statistics();
    assert_eq!((numbers.acquired_expired, numbers.acquired_own), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn b04_a_lease_that_was_deleted_is_claimed_anew_at_a_higher_level() {
    let world = World::new(2).await;
    let host = world.host(options());
    let mut events = host.host_events();
    host.start_nonblocking().expect("it is idle");
    world.settles(&[&host], seconds(40)).await;
    for level in 2..5 {
        // With it the store loses the level.
        Leaser::delete(&world.store, 0.into()).await.expect("it is deleted");
        until(seconds(40), || {
            let found = host.health().partitions;
            let is_new = |it: &eventhubs_eph::PartitionHealth| {
                it.partition == 0.into() && it.owner_level.as_i64() >= level
            };
            found.iter().any(is_new).then_some(()).ok_or(found)
        })
        .await;
        world.append(0, 1);
        world.handles_all(seconds(10)).await;
    }
    let lost = drain(&mut events).into_iter().filter_map(|event| match event {
        HostEvent::Lost { partition, reason } => Some((partition.as_u16(), reason)),
        _ => None,
    });
    assert_eq!(lost.collect::<Vec<_>>(), [(0, CloseReason::LeaseLost); 3]);
}

#[tokio::test(start_paused = true)]
async fn b12_hosts_with_two_stores_notice_it_and_stop_fighting() {
    let world = World::new(2).await;
    let other = crate::support::store::Store::new();
    let first = world.host(options().with_name("a"));
    let second = world.host_on(&other, options().with_name("b"));
    let mut events = [first.host_events(), second.host_events()];
    first.start_nonblocking().expect("it is idle");
    second.start_nonblocking().expect("it is idle");
    pass(seconds(1_200)).await;
    let told: Vec<_> = events.iter_mut().flat_map(drain).collect();
    let is_told = told.iter().any(|event| {
        matches!(event, HostEvent::Misconfigured(Misconfiguration::SecondStore { .. }))
    });
    assert!(is_told, "{told:?}");
    let stolen = |host: &eventhubs_eph::EventProcessorHost| {
        host.statistics().lost(CloseReason::Stolen)
            + host.statistics().lost(CloseReason::LevelRefused)
    };
    let before = stolen(&first) + stolen(&second);
    pass(seconds(600)).await;
    let later = stolen(&first) + stolen(&second) - before;
    assert!(later <= 6, "{later} thefts of two partitions in ten minutes, {before} before");
}

#[tokio::test(start_paused = true)]
async fn b13_a_host_that_owns_nothing_makes_a_deleted_store_again() {
    let world = World::new(2).await;
    let host = world.started(options().with_weight(0));
    within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
    Leaser::delete_store(&world.store).await.expect("it is deleted");
    pass(seconds(25)).await;
    assert!(host.health().is_ok(), "{:?}", host.health().problems);
    assert_eq!(world.store.inner().leases().await.expect("there again").leases.len(), 2);
}
