//! Checkpoints: nothing that was finished is lost at a graceful end, nothing lands after a loss.

use std::time::Duration;

use super::scripted::Fault;
use super::stand::{Stand, ended, finish, partition, pump, seconds};
use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::error::StoreErrorKind;
use crate::leaser::Leaser;
use crate::notice::HostEvent;
use crate::options::{CheckpointPolicy, HostOptions};
use crate::ownership::End;
use crate::partition::{CheckpointError, CloseReason, Committed};

const DOWN: Fault = Fault::Before(StoreErrorKind::Unavailable);
const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn many_events_are_one_write_and_the_latest_wins() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(seconds(1)).await;
    finish(&keeper.seat, 0);
    clock::pause(MOMENT).await;
    assert_eq!(stand.store.landed(), [0], "the first is written at once");
    for number in 1..=1_000 {
        finish(&keeper.seat, number);
        clock::pause(Duration::from_millis(10)).await;
    }
    // Ten seconds with a write every five.
    let landed = stand.store.landed();
    assert_eq!(landed.len(), 3, "{landed:?}");
    finish(&keeper.seat, 500);
    clock::pause(seconds(10)).await;
    assert_eq!(stand.stored().await, Some(1_000));
    assert_eq!(stand.store.landed().len(), 3, "nothing new, nothing written");
}

#[tokio::test(start_paused = true)]
async fn each_policy_writes_when_it_says() {
    let every = |events, time| CheckpointPolicy::Every { events, time: seconds(time) };
    let cases = [
        (CheckpointPolicy::AfterEach { every: Duration::ZERO }, 10),
        (CheckpointPolicy::AfterEach { every: seconds(3) }, 4),
        (CheckpointPolicy::AfterBatch, 10),
        (every(5, 3_600), 2),
        (every(1_000, 4), 2),
        (CheckpointPolicy::Manual, 0),
    ];
    for (policy, writes) in cases {
        let stand = Stand::with(HostOptions::default().with_checkpoints(policy)).await;
        let keeper = stand.own().await;
        clock::pause(MOMENT).await;
        for number in 0..10 {
            finish(&keeper.seat, number);
            clock::pause(seconds(1)).await;
        }
        assert_eq!(stand.store.landed().len(), writes, "{policy:?}: {:?}", stand.store.landed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_finished_is_flushed_before_the_release() {
    let every = CheckpointPolicy::Every { events: 1_000, time: seconds(3_600) };
    for policy in [CheckpointPolicy::default(), every, CheckpointPolicy::AfterBatch] {
        let stand = Stand::with(HostOptions::default().with_checkpoints(policy)).await;
        let keeper = stand.own().await;
        clock::pause(MOMENT).await;
        (0..5).for_each(|number| finish(&keeper.seat, number));
        clock::pause(MOMENT).await;
        (5..9).for_each(|number| finish(&keeper.seat, number));
        keeper.release(CloseReason::Stopping);
        assert_eq!(ended(&keeper).await.end, End::Released);
        assert_eq!(stand.stored().await, Some(8), "{policy:?}");
        let order = stand.store.order();
        assert!(order.ends_with(&["store", "release"]), "{order:?}");
        assert_eq!(stand.lease().await.owner, None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_writes_by_hand_is_not_written_for() {
    let stand = Stand::manual().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    finish(&keeper.seat, 3);
    assert!(matches!(keeper.seat.checkpoint().await, Ok(Committed::Stored(_))));
    finish(&keeper.seat, 4);
    keeper.release(CloseReason::Stopping);
    ended(&keeper).await;
    assert_eq!(stand.store.landed(), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_fails_is_tried_again_and_told_when_it_cannot_be() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    (0..3).for_each(|_| stand.store.once("store", DOWN));
    finish(&keeper.seat, 1);
    keeper.release(CloseReason::Stopping);
    ended(&keeper).await;
    assert_eq!(stand.store.landed(), [1]);
    assert_eq!(stand.statistics().checkpoints_failed, 3);

    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    stand.store.always("store", Fault::Silent);
    finish(&keeper.seat, 2);
    stand.told();
    keeper.release(CloseReason::Stopping);
    let began = clock::now();
    ended(&keeper).await;
    assert!(clock::now() - began <= seconds(15) + MOMENT, "one call's time");
    let told = stand.told_events();
    assert!(told.iter().any(|event| matches!(event, HostEvent::CheckpointFailed { .. })));
    assert_eq!(stand.lease().await.owner, None, "released all the same");
}

#[tokio::test(start_paused = true)]
async fn b03_a_checkpoint_that_is_lost_ends_the_ownership_and_is_not_tried_again() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    stand.store.once("store", Fault::Lost);
    finish(&keeper.seat, 1);
    let error = keeper.seat.checkpoint().await.expect_err("the ownership ended");
    assert!(matches!(error, CheckpointError::Ended(CloseReason::LeaseLost)), "{error:?}");
    let over = ended(&keeper).await;
    assert_eq!(over.end, End::Lost);
    assert!(!keeper.seat.may_handle());
    assert_eq!(stand.store.calls("store").len(), 1);
    let error = keeper.seat.checkpoint().await.expect_err("it is over");
    assert!(matches!(error, CheckpointError::Ended(CloseReason::LeaseLost)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn b06_a_store_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    stand.store.once("store", Fault::Before(StoreErrorKind::Busy { after: Some(seconds(40)) }));
    finish(&keeper.seat, 1);
    clock::pause(seconds(100)).await;
    let calls = stand.store.calls("store");
    assert_eq!(calls.len(), 2);
    assert!(calls[1] - calls[0] >= seconds(40), "{calls:?}");
    // Renewals are not held up by it.
    let renewals = stand.store.calls("renew");
    assert!(renewals.windows(2).all(|pair| pair[1] - pair[0] == seconds(10)));
    assert_eq!(stand.stored().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn b07_a_checkpoint_whose_answer_was_lost_is_written_again() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    stand.store.once("store", Fault::After(StoreErrorKind::Timeout));
    finish(&keeper.seat, 1);
    let committed = keeper.seat.checkpoint().await.expect("the second try");
    assert!(matches!(committed, Committed::Stored(_)));
    assert_eq!(stand.store.landed(), [1, 1]);
    assert!(!keeper.is_over());
}

#[tokio::test(start_paused = true)]
async fn b13_checkpoints_of_a_store_that_was_deleted_are_written_again_from_memory() {
    let mut stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    finish(&keeper.seat, 41);
    clock::pause(seconds(11)).await;
    assert_eq!(stand.stored().await, Some(41));
    Leaser::delete_store(&stand.store.inner).await.unwrap();
    // Nothing new is finished. The renewal finds out, and what was processed comes back.
    clock::pause(seconds(10)).await;
    assert_eq!(stand.stored().await, Some(41));
    let told = stand.told_events();
    assert!(told.iter().any(|event| matches!(event, HostEvent::StoreFailed { .. })));
    // The lease is gone with the store: it is claimed anew, never assumed.
    assert_eq!(ended(&keeper).await.reason, CloseReason::LeaseLost);
    let next = stand.own().await;
    clock::pause(MOMENT).await;
    finish(&next.seat, 10);
    clock::pause(seconds(10)).await;
    assert_eq!(stand.stored().await, Some(41), "never lower than what was processed");
}

#[tokio::test(start_paused = true)]
async fn b13_a_record_that_was_deleted_is_written_again_with_the_next_write() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    finish(&keeper.seat, 41);
    clock::pause(seconds(6)).await;
    Checkpointer::delete(&stand.store.inner, partition()).await.unwrap();
    finish(&keeper.seat, 42);
    clock::pause(seconds(6)).await;
    assert_eq!(stand.stored().await, Some(42));
    assert!(!keeper.is_over());
}

#[tokio::test(start_paused = true)]
async fn b14_a_checkpoint_that_cannot_be_read_is_told_and_nothing_is_read_meanwhile() {
    let mut stand = Stand::new().await;
    stand.store.always("ensure", Fault::Before(StoreErrorKind::Corrupt));
    let keeper =
        stand.own_with(partition(), pump(|_| async { panic!("it must not begin anywhere") })).await;
    clock::pause(seconds(100)).await;
    assert!(!keeper.is_over());
    let tries = stand.store.calls("ensure").len();
    assert!((5..30).contains(&tries), "{tries} tries");
    let told = stand.told();
    assert!(told.iter().any(|line| line.contains("corrupt")), "{told:?}");
    let over = ended(&keeper).await;
    assert_eq!(over.reason, CloseReason::NotReceiving);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_taken_over_before_anything_is_read() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    finish(&keeper.seat, 9);
    keeper.release(CloseReason::Released);
    ended(&keeper).await;
    let before = stand.store.calls("ensure").len();
    let (tell, from) = tokio::sync::oneshot::channel();
    let keeper = stand
        .own_with(
            partition(),
            Box::new(move |_, seat, from| {
                Box::pin(async move {
                    tell.send(from).unwrap();
                    seat.closing().await;
                })
            }),
        )
        .await;
    let from = from.await.unwrap().expect("there is one");
    assert_eq!(from.sequence_number.as_i64(), 9);
    assert_eq!(stand.store.calls("ensure").len(), before + 1);
    // Nothing new was finished, so what the store has is the answer.
    let committed = keeper.seat.checkpoint().await.unwrap();
    assert_eq!(committed, Committed::Unchanged(Some(from)));
}

#[tokio::test(start_paused = true)]
async fn a_wish_joins_the_write_that_is_on_its_way() {
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    stand.store.always("store", Fault::Slow(seconds(4)));
    finish(&keeper.seat, 1);
    clock::pause(seconds(1)).await;
    finish(&keeper.seat, 2);
    let began = clock::now();
    let (first, second) = tokio::join!(keeper.seat.checkpoint(), keeper.seat.checkpoint());
    for committed in [first, second] {
        assert_eq!(committed.unwrap().checkpoint().unwrap().sequence_number.as_i64(), 2);
    }
    assert_eq!(clock::now() - began, seconds(3 + 4), "after the one that had less");
    assert_eq!(stand.store.landed(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_the_store_refuses_or_never_answers_has_an_end() {
    let stand = Stand::manual().await;
    let keeper = stand.own().await;
    clock::pause(MOMENT).await;
    assert_eq!(keeper.seat.checkpoint().await.unwrap(), Committed::Unchanged(None));
    stand.store.once("store", Fault::Before(StoreErrorKind::Unauthorized));
    finish(&keeper.seat, 1);
    let kind = |error| match error {
        CheckpointError::Store(error) => error.kind(),
        CheckpointError::Ended(reason) => panic!("{reason}"),
    };
    let refused = keeper.seat.checkpoint().await.expect_err("it was refused");
    assert_eq!(kind(refused), StoreErrorKind::Unauthorized);
    stand.store.always("store", Fault::Silent);
    finish(&keeper.seat, 2);
    let began = clock::now();
    let late = keeper.seat.checkpoint().await.expect_err("nobody answers");
    assert_eq!(kind(late), StoreErrorKind::Timeout);
    assert!(clock::now() - began <= seconds(30));
    stand.store.heal();
    clock::pause(seconds(60)).await;
    assert_eq!(stand.stored().await, Some(2), "it was tried on");
}

#[tokio::test(start_paused = true)]
async fn handlers_that_are_told_to_end_may_still_write() {
    let stand = Stand::manual().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                seat.closing().await;
                clock::pause(seconds(3)).await;
                finish(&seat, 5);
                seat.checkpoint().await.expect("the lease is still held");
            }),
        )
        .await;
    clock::pause(MOMENT).await;
    keeper.release(CloseReason::Stopping);
    assert_eq!(ended(&keeper).await.end, End::Released);
    assert_eq!(stand.store.landed(), [5]);
}

#[tokio::test(start_paused = true)]
async fn nothing_lands_after_the_partition_was_stolen() {
    let stand = Stand::new().await;
    // Its handlers take their time to end.
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                seat.closing().await;
                finish(&seat, 3);
                clock::pause(seconds(8)).await;
            }),
        )
        .await;
    clock::pause(MOMENT).await;
    stand.store.always("store", Fault::Slow(seconds(2)));
    finish(&keeper.seat, 1);
    clock::pause(seconds(1)).await;
    keeper.seat.stolen();
    finish(&keeper.seat, 2);
    assert_eq!(ended(&keeper).await.reason, CloseReason::Stolen);
    clock::pause(seconds(60)).await;
    assert_eq!(stand.store.landed(), Vec::<i64>::new());
}
