//! Receivers: an owner that does not receive gives its partition back; one may only be attached on
//! a fresh proof.

use super::scripted::Fault;
use super::stand::{Stand, ended, finish, level, partition, pump, seconds};
use crate::clock;
use crate::error::StoreErrorKind;
use crate::ownership::{End, Refusal};
use crate::partition::CloseReason;

fn refused() -> eventhubs_client::Error {
    eventhubs_client::Hub::from_connection_string("").expect_err("it is empty")
}

#[tokio::test(start_paused = true)]
async fn b11_an_owner_that_never_attaches_gives_back_after_two_leases() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                while seat.close_reason().is_none() {
                    seat.attach_failed(&refused());
                    clock::pause(seconds(3)).await;
                }
            }),
        )
        .await;
    clock::pause(seconds(119)).await;
    assert!(!keeper.is_over() && stand.lease().await.owner.is_some());
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Unlinked, CloseReason::NotReceiving));
    assert_eq!(over.hold_off, Some(seconds(120)));
    assert_eq!(stand.lease().await.owner, None);
}

#[tokio::test(start_paused = true)]
async fn b11_an_owner_that_is_refused_again_and_again_gives_back_too() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                while seat.close_reason().is_none() {
                    seat.attached();
                    clock::pause(seconds(2)).await;
                    seat.attach_failed(&refused());
                    clock::pause(seconds(3)).await;
                }
            }),
        )
        .await;
    let began = clock::now();
    assert_eq!(ended(&keeper).await.reason, CloseReason::NotReceiving);
    assert!(clock::now() - began < seconds(130));
}

#[tokio::test(start_paused = true)]
async fn one_that_gets_on_between_its_troubles_keeps_the_partition() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                for number in 0.. {
                    seat.attached();
                    finish(&seat, number);
                    seat.attach_failed(&refused());
                    clock::pause(seconds(100)).await;
                }
            }),
        )
        .await;
    clock::pause(seconds(1_000)).await;
    assert!(!keeper.is_over());
}

#[tokio::test(start_paused = true)]
async fn who_is_paused_is_not_expected_to_receive() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attach_failed(&refused());
                seat.closing().await;
            }),
        )
        .await;
    clock::pause(seconds(60)).await;
    stand.paused.send_replace(true);
    clock::pause(seconds(600)).await;
    assert!(!keeper.is_over());
    stand.paused.send_replace(false);
    clock::pause(seconds(119)).await;
    assert!(!keeper.is_over());
    assert_eq!(ended(&keeper).await.reason, CloseReason::NotReceiving);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_waits_for_a_fresh_proof() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(1)).await;
    assert_eq!(keeper.seat.may_attach(), Ok(level(1)));
    let down = Fault::Before(StoreErrorKind::Unavailable);
    stand.store.always("renew", down);
    clock::pause(seconds(20)).await;
    assert_eq!(keeper.seat.may_attach(), Err(Refusal::Stale));
    let seat = std::sync::Arc::clone(&keeper.seat);
    let waiting = tokio::spawn(async move { seat.attach_allowed().await });
    clock::pause(seconds(5)).await;
    assert!(!waiting.is_finished());
    stand.store.heal();
    assert_eq!(waiting.await.unwrap(), Ok(level(1)));

    stand.store.always("renew", down);
    clock::pause(seconds(30)).await;
    let began = clock::now();
    let never = keeper.seat.attach_allowed().await;
    assert_eq!(never, Err(Refusal::Ended(End::Unproven)));
    assert!(clock::now() - began < seconds(30));
}
