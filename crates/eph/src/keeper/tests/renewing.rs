//! Leases: kept while the store can be reached in time, given up when it cannot.

use super::scripted::Fault;
use super::stand::{Stand, ended, finish, level, partition, pump, seconds};
use crate::clock;
use crate::error::StoreErrorKind;
use crate::keeper::Keeper;
use crate::lease::{Acquire, Claim, Hold};
use crate::leaser::Leaser;
use crate::notice::HostEvent;
use crate::owner::{LeaseToken, OwnerId};
use crate::ownership::End;
use crate::partition::CloseReason;

const DOWN: Fault = Fault::Before(StoreErrorKind::Unavailable);

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_every_ten_seconds() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(605)).await;
    assert!(keeper.seat.may_handle() && !keeper.is_over());
    let calls = stand.store.calls("renew");
    assert_eq!(calls.len(), 60);
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] == seconds(10)));
    let read = stand.statistics();
    assert_eq!((read.renewals, read.renewals_late), (60, 0));
    assert_eq!(stand.told(), Vec::<String>::new());
    let health = keeper.health();
    assert_eq!((health.fence_in, health.last_renewed_ago), (seconds(49), seconds(5)));
}

#[tokio::test(start_paused = true)]
async fn b02_a_renewal_that_is_lost_ends_at_once() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    stand.store.once("renew", Fault::Lost);
    clock::pause(seconds(10)).await;
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Lost, CloseReason::LeaseLost));
    assert!(!keeper.seat.may_handle());
    assert_eq!(stand.store.calls("renew").len(), 1);
    assert_eq!(stand.store.calls("release").len(), 0, "it is another's");
    assert!(matches!(
        stand.told_events()[..],
        [HostEvent::Lost { reason: CloseReason::LeaseLost, .. }]
    ));
    assert_eq!(stand.statistics().lost(CloseReason::LeaseLost), 1);
}

#[tokio::test(start_paused = true)]
async fn b04_a_lease_that_is_gone_is_only_owned_again_by_a_claim() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(15)).await;
    Leaser::delete(&stand.store.inner, partition()).await.unwrap();
    let over = ended(&keeper).await;
    assert_eq!(over.reason, CloseReason::LeaseLost);
    // Whoever claims next has to go on from there, for the store has forgotten.
    assert_eq!(over.highest_level_seen, level(1));
    assert!(Leaser::leases(&stand.store).await.unwrap().leases.is_empty(), "nothing was made anew");
}

#[tokio::test(start_paused = true)]
async fn b05_a_store_that_is_gone_stops_nothing_before_the_fence() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    stand.store.always("renew", Fault::Before(StoreErrorKind::NotFound));
    clock::pause(seconds(45)).await;
    assert!(keeper.seat.may_handle());
    let failed = |event: &HostEvent| matches!(event, HostEvent::StoreFailed { .. });
    assert_eq!(stand.told_events().iter().filter(|event| failed(event)).count(), 1);
    stand.store.heal();
    clock::pause(seconds(600)).await;
    assert!(keeper.seat.may_handle() && !keeper.is_over());

    stand.store.always("renew", Fault::Before(StoreErrorKind::NotFound));
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Unproven, CloseReason::Fenced));
}

#[tokio::test(start_paused = true)]
async fn b07_a_renewal_whose_answer_was_lost_does_no_harm() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    for fault in [Fault::Mute, Fault::After(StoreErrorKind::Timeout), Fault::Panic, Fault::Mute] {
        stand.store.once("renew", fault);
        clock::pause(seconds(60)).await;
        assert!(keeper.seat.may_handle() && !keeper.is_over(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b08_renewals_that_take_long_are_kept_and_told() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    stand.store.always("renew", Fault::Slow(seconds(14)));
    clock::pause(seconds(600)).await;
    assert!(keeper.seat.may_handle());
    let told = stand.told_events();
    assert!(told.iter().any(|event| matches!(event, HostEvent::RenewalLate { .. })), "{told:?}");
    let read = stand.statistics();
    assert!(read.renewals_late > 20, "{read:?}");
    // Each begins four seconds late, because the one before took so long.
    assert_eq!(read.renewal_lateness_max, seconds(18));
}

#[tokio::test(start_paused = true)]
async fn b08_a_store_that_never_answers_ends_in_the_fence() {
    let stand = Stand::new().await;
    let began = clock::now();
    let keeper = stand.own().await;
    stand.store.always("renew", Fault::Silent);
    clock::pause(seconds(54) - std::time::Duration::from_millis(5)).await;
    assert!(keeper.seat.may_handle());
    assert_eq!(ended(&keeper).await.reason, CloseReason::Fenced);
    // The release gets its deadline, and no checkpoint is tried.
    assert!(clock::now() - began <= seconds(54 + 15));
    assert_eq!(stand.store.calls("store").len(), 0);
    // Each call had a deadline of its own and was tried again.
    assert_eq!(stand.store.calls("renew").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn b08_a_slow_call_for_one_partition_delays_no_other() {
    let stand = Stand::new().await;
    let first = stand.own().await;
    // The first renewal is of the partition that was claimed first.
    stand.store.once("renew", Fault::Silent);
    let second = stand
        .own_with(
            1.into(),
            pump(|seat| async move {
                seat.attached();
                seat.closing().await;
            }),
        )
        .await;
    clock::pause(seconds(12)).await;
    assert_eq!(stand.store.calls("renew").len(), 2);
    let ages = [&first, &second].map(|keeper| keeper.health().last_renewed_ago);
    assert_eq!(ages, [seconds(12), seconds(2)]);
}

#[tokio::test(start_paused = true)]
async fn b08_a_checkpoint_that_hangs_delays_no_renewal() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    stand.store.always("store", Fault::Silent);
    clock::pause(seconds(1)).await;
    finish(&keeper.seat, 7);
    clock::pause(seconds(300)).await;
    assert!(keeper.seat.may_handle());
    let calls = stand.store.calls("renew");
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] == seconds(10)));
}

#[tokio::test(start_paused = true)]
async fn b09_a_lease_that_was_broken_is_noticed_within_a_third_of_it() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(25)).await;
    let lease = stand.lease().await;
    assert!(stand.store.inner.release(&lease).await.unwrap(), "an operator breaks it");
    let broken = clock::now();
    assert_eq!(ended(&keeper).await.reason, CloseReason::LeaseLost);
    assert!(clock::now() - broken <= seconds(20));
}

#[tokio::test(start_paused = true)]
async fn b10_clocks_of_stores_and_hosts_that_differ_change_nothing() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    for hours in [1, 24, 1_000] {
        // For the store the lease has expired. Nobody took it, so it can be renewed.
        stand.store.inner.advance(seconds(hours * 3600));
        clock::pause(seconds(15)).await;
        assert!(keeper.seat.may_handle() && !keeper.is_over());
        assert!(!stand.lease().await.is_free(stand.store.inner.leases().await.unwrap().date));
    }
    // A wall clock that creeps is set right by a few seconds now and then.
    for _ in 0..20 {
        clock::jump(seconds(5));
        clock::pause(seconds(15)).await;
        assert!(keeper.seat.may_handle() && !keeper.is_over());
    }
}

#[tokio::test(start_paused = true)]
async fn b17_a_foreign_write_that_keeps_the_token_is_no_loss() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    let lease = stand.lease().await;
    let Hold::Kept(written) = stand.store.inner.update(&lease).await.unwrap() else {
        panic!("it is the owner's");
    };
    assert_ne!(written.version, lease.version, "every version this owner knew is gone");
    clock::pause(seconds(65)).await;
    assert!(keeper.seat.may_handle() && !keeper.is_over());
}

#[tokio::test(start_paused = true)]
async fn b18_a_claim_that_was_sent_twice_is_one_ownership() {
    let stand = Stand::new().await;
    let store = &stand.store.inner;
    let seen = Leaser::ensure(store, partition()).await.unwrap();
    let claim = Claim::new(stand.shared.owner.clone(), LeaseToken::unique());
    // Something between host and store repeats the call, and the second answer arrives.
    let asked = clock::moment();
    store.acquire(&seen, &claim).await.unwrap();
    let Acquire::Won(lease) = store.acquire(&seen, &claim).await.unwrap() else {
        panic!("it is the same claim");
    };
    let pumping = pump(|seat| async move {
        seat.attached();
        seat.closing().await;
    });
    let keeper = Keeper::start_with(std::sync::Arc::clone(&stand.shared), lease, asked, pumping);
    clock::pause(seconds(65)).await;
    assert!(keeper.seat.may_handle() && !keeper.is_over());
    assert_eq!((keeper.owner_level(), stand.lease().await.epoch), (level(1), level(1)));
    keeper.release(CloseReason::Stopping);
    assert_eq!(ended(&keeper).await.end, End::Released);
    assert_eq!(stand.lease().await.owner, None);
}

#[tokio::test(start_paused = true)]
async fn b19_the_lease_of_a_former_life_is_not_this_ones() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    // The process starts again under its name: another id, a higher level.
    let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
    stand.store.inner.acquire(&stand.lease().await, &claim).await.unwrap();
    let over = ended(&keeper).await;
    assert_eq!((over.reason, over.highest_level_seen), (CloseReason::LeaseLost, level(2)));
    assert_eq!(stand.lease().await.owner, Some(claim.owner), "nothing was released");
}

#[tokio::test(start_paused = true)]
async fn b20_a_store_that_refuses_is_named_and_ends_in_the_fence() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    stand.store.always("renew", Fault::Before(StoreErrorKind::Unauthorized));
    stand.store.always("release", Fault::Before(StoreErrorKind::Unauthorized));
    assert_eq!(ended(&keeper).await.reason, CloseReason::Fenced);
    let told = stand.told();
    assert!(told.iter().any(|line| line.contains("unauthorized")), "{told:?}");
    assert_eq!(stand.store.calls("release").len(), 1, "another try would not help");
}

#[tokio::test(start_paused = true)]
async fn p03_a_process_that_stood_still_for_longer_than_the_lease_fences_itself_first() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(1)).await;
    finish(&keeper.seat, 5);
    clock::pause(seconds(1)).await;
    finish(&keeper.seat, 6);
    tokio::time::advance(seconds(70)).await;
    assert!(!keeper.seat.may_handle());
    let over = ended(&keeper).await;
    assert_eq!(over.reason, CloseReason::Fenced);
    assert_eq!(stand.store.landed(), [5], "no checkpoint lands after the wake-up");
}

#[tokio::test(start_paused = true)]
async fn p04_a_machine_that_was_suspended_fences_itself() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(5)).await;
    assert!(keeper.seat.may_handle());
    finish(&keeper.seat, 5);
    // The monotonic clock stood still: only the wall clock tells.
    clock::jump(seconds(21));
    clock::pause(std::time::Duration::from_millis(1)).await;
    assert!(!keeper.seat.may_handle());
    assert_eq!(ended(&keeper).await.reason, CloseReason::Suspended);
    assert_eq!(stand.store.landed(), Vec::<i64>::new());
}

#[tokio::test(start_paused = true)]
async fn p07_a_handler_slower_than_the_lease_keeps_its_partition() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    // Nothing is finished for ten leases, and the receiver stays attached.
    clock::pause(seconds(600)).await;
    assert!(keeper.seat.may_handle() && !keeper.is_over());
}

#[tokio::test(start_paused = true)]
async fn p08_a_thread_that_was_blocked_shows_as_a_late_renewal() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(15)).await;
    tokio::time::advance(seconds(35)).await;
    clock::pause(seconds(1)).await;
    let told = stand.told_events();
    let late = told.iter().find_map(|event| match event {
        HostEvent::RenewalLate { by, .. } => Some(*by),
        _ => None,
    });
    assert_eq!(late, Some(seconds(30)), "{told:?}");
    assert!(keeper.seat.may_handle());
    assert_eq!(stand.statistics().renewal_lateness_max, seconds(30));
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_are_tried_again_sooner() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    (0..4).for_each(|_| stand.store.once("renew", DOWN));
    clock::pause(seconds(25)).await;
    assert_eq!(keeper.health().failures, 0, "those are the pump's");
    let began = stand.store.calls("renew");
    let gaps: Vec<_> = began.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(gaps, [1, 2, 3, 4]);
}
