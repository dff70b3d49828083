//! Owner levels: what the hub or the store of checkpoints knows and the store of leases forgot.

use super::scripted::Fault;
use super::stand::{Stand, ended, level, partition, pump, seconds, zero};
use crate::clock;
use crate::error::StoreErrorKind;
use crate::ownership::{End, Refusal};
use crate::partition::CloseReason;

#[tokio::test(start_paused = true)]
async fn b04_a_level_the_hub_refused_is_passed_once() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(3)).await;
    let answer = keeper.seat.level_refused(Some(level(41))).await;
    assert_eq!(answer, Ok(level(42)));
    assert_eq!((keeper.owner_level(), stand.lease().await.epoch), (level(42), level(42)));
    clock::pause(seconds(60)).await;
    assert_eq!(stand.lease().await.epoch, level(42), "renewals keep it");

    let answer = keeper.seat.level_refused(Some(level(60))).await;
    assert_eq!(answer, Err(Refusal::Ended(End::EpochRefused)));
    let over = ended(&keeper).await;
    assert_eq!((over.reason, over.highest_level_seen), (CloseReason::LevelRefused, level(60)));
    assert!(over.hold_off.is_some());
    assert_eq!(stand.store.calls("update").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_the_store_cannot_take_yet_is_tried_again() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(3)).await;
    stand.store.once("update", Fault::Before(StoreErrorKind::Unavailable));
    stand.store.once("update", Fault::Mute);
    assert_eq!(keeper.seat.level_refused(Some(level(8))).await, Ok(level(9)));
    assert_eq!(stand.store.calls("update").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_cannot_be_passed_ends_it() {
    let cases = [(zero(), Some(level(5))), (Default::default(), None)];
    for (options, existing) in cases {
        let stand = Stand::with(options).await;
        let keeper = stand.own().await;
        clock::pause(seconds(3)).await;
        let answer = keeper.seat.level_refused(existing).await;
        assert_eq!(answer, Err(Refusal::Ended(End::EpochRefused)));
        assert_eq!(ended(&keeper).await.reason, CloseReason::LevelRefused);
        assert_eq!(stand.store.calls("update").len(), 0);
        assert_eq!(stand.lease().await.owner, None, "another host may have more luck");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_lost_meanwhile_is_not_raised() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(3)).await;
    stand.store.once("update", Fault::Lost);
    let answer = keeper.seat.level_refused(Some(level(8))).await;
    assert_eq!(answer, Err(Refusal::Ended(End::Lost)));
    assert_eq!(ended(&keeper).await.reason, CloseReason::LeaseLost);
}

#[tokio::test(start_paused = true)]
async fn p10_a_level_that_is_being_raised_does_not_hold_up_the_end() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(3)).await;
    stand.store.always("update", Fault::Silent);
    let seat = std::sync::Arc::clone(&keeper.seat);
    let asking = tokio::spawn(async move { seat.level_refused(Some(level(8))).await });
    clock::pause(seconds(1)).await;
    keeper.release(CloseReason::Stopping);
    let began = clock::now();
    ended(&keeper).await;
    assert!(clock::now() - began < seconds(1));
    assert_eq!(asking.await.unwrap(), Err(Refusal::Ended(End::Released)));
}

#[tokio::test(start_paused = true)]
async fn b04_a_checkpoint_of_a_forgotten_level_is_taken_over_with_a_higher_one() {
    let stand = Stand::new().await;
    stand.store.once("ensure", Fault::Lost);
    let keeper = stand.own().await;
    clock::pause(seconds(1)).await;
    assert!(keeper.seat.may_handle());
    assert_eq!(keeper.owner_level(), level(2));
    assert_eq!(stand.store.order(), ["ensure", "update", "ensure"]);

    // A second one that knows better owns it.
    let stand = Stand::new().await;
    stand.store.always("ensure", Fault::Lost);
    let keeper =
        stand.own_with(partition(), pump(|_| async { panic!("nothing may be read") })).await;
    let over = ended(&keeper).await;
    assert_eq!((over.reason, over.highest_level_seen), (CloseReason::LevelRefused, level(2)));
    assert_eq!(stand.store.calls("update").len(), 1);
}
