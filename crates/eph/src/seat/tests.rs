//! A seat without a keeper: what it says by itself.

use std::time::Duration;

use eventhubs_protocol::{Offset, OwnerLevel};

use super::*;
use crate::owner::LeaseToken;
use crate::ownership::{End, Generation};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn seat() -> Seat {
    let token = LeaseToken::unique();
    let generation = Generation::new(0.into(), OwnerLevel::ZERO.next(), token);
    let timing = Timing::default();
    Seat::new(Ownership::acquired(generation, timing, clock::moment()), timing)
}

fn at(number: i64) -> Position {
    let offset = Offset::new(&number.to_string()).unwrap();
    Position { offset, sequence_number: number.into(), enqueued: None }
}

#[tokio::test(start_paused = true)]
async fn p03_the_first_look_after_a_stop_sees_that_the_lease_may_have_ended() {
    let seat = seat();
    assert!(seat.may_handle());
    tokio::time::advance(seconds(53)).await;
    assert!(seat.may_handle());
    tokio::time::advance(seconds(1)).await;
    assert!(!seat.may_handle());
    assert_eq!(seat.may_attach(), Err(Refusal::Ended(End::Unproven)));
    // A renewal that was on its way comes too late.
    let now = clock::moment();
    seat.with(|ownership| ownership.renewed(now, now));
    assert!(!seat.may_handle());
}

#[tokio::test(start_paused = true)]
async fn p04_a_suspension_is_seen_within_a_millisecond_of_running() {
    let seat = seat();
    assert!(seat.may_handle());
    clock::jump(seconds(20));
    tokio::time::advance(WALL_EVERY).await;
    assert!(seat.may_handle(), "a third of the lease at most");
    clock::jump(seconds(1));
    tokio::time::advance(WALL_EVERY).await;
    assert!(!seat.may_handle());
    assert_eq!(seat.may_attach(), Err(Refusal::Ended(End::ClockJump)));
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_fell_wakes_the_keeper() {
    let seat = seat();
    assert!(seat.may_handle());
    tokio::time::advance(seconds(60)).await;
    assert!(!seat.may_handle());
    seat.reported().await;
}

#[tokio::test(start_paused = true)]
async fn progress_only_goes_on_and_wakes_the_keeper_when_it_asked() {
    let seat = seat();
    seat.finished(at(4), 5);
    seat.finished(at(2), 1);
    assert_eq!(seat.progress().sequence_number(), Some(4.into()));
    assert_eq!(seat.progress().events(), 5);
    assert!(clock::within(seconds(1), seat.reported()).await.is_none(), "nobody asked");
    seat.progress().set_alarm(Some(7));
    seat.finished(at(5), 1);
    assert!(clock::within(seconds(1), seat.reported()).await.is_none());
    // What is passed over counts as well.
    seat.finished(at(9), 0);
    assert!(clock::within(seconds(1), seat.reported()).await.is_some());
    seat.finished(at(10), 1);
    assert!(clock::within(seconds(1), seat.reported()).await.is_none(), "once");
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_counts_and_reaches_everybody() {
    let seat = seat();
    assert_eq!(seat.close_reason(), None);
    let (first, second, ()) = tokio::join!(seat.closing(), seat.closing(), async {
        seat.signal(CloseReason::Stolen);
        seat.signal(CloseReason::Stopping);
    });
    assert_eq!([first, second], [CloseReason::Stolen; 2]);
    assert_eq!(seat.close_reason(), Some(CloseReason::Stolen));
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_level_and_is_not_answered_hears_of_the_end() {
    let seat = seat();
    let (answer, ()) = tokio::join!(seat.level_refused(None), async {
        seat.with(|ownership| ownership.stolen(clock::moment()));
        drop(seat.take_reports());
    });
    assert_eq!(answer, Err(Refusal::Ended(End::Stolen)));
}

#[test]
fn calls_of_one_handler_are_told_once_with_the_age_of_the_oldest() {
    let mut running = RunningHandlers::default();
    let (slow, quick) = (HandlerId::unique(), HandlerId::unique());
    running.start(slow, 1_000);
    running.start(quick, 2_000);
    running.start(slow, 3_000);
    let seen = running.list(6_000);
    assert_eq!(seen.handlers, [slow, quick]);
    assert_eq!(seen.longest, Some(Duration::from_nanos(5_000)));
    running.end(quick);
    running.end(slow);
    assert_eq!(running.list(6_000).longest, Some(Duration::from_nanos(3_000)));
    running.end(slow);
    assert_eq!(running.list(6_000).longest, None);
}

#[test]
fn once_it_may_not_it_never_may_again_whichever_thread_asks() {
    let seat = seat();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut was_refused = false;
                loop {
                    let was_ended = ended.load(Ordering::SeqCst);
                    let may = seat.may_handle();
                    assert!(!(was_refused && may), "it came back");
                    assert!(!(was_ended && may), "it had ended before");
                    was_refused = !may;
                    if was_ended {
                        break;
                    }
                }
            });
        }
        for turn in 0..2_000 {
            let asked = clock::moment();
            seat.with(|ownership| match turn {
                1_999 => ownership.lost(asked),
                _ => ownership.renewed(asked, clock::moment()),
            });
        }
        ended.store(true, Ordering::SeqCst);
    });
}
