//! Handlers that fail: at an event, by a panic, by taking too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eventhubs_protocol::SequenceNumber;
use tokio::time::Instant;

use crate::handler::{Handler, HandlerError};
use crate::notice::{FailureCause, FailureNext, HostEvent, SkipReason};
use crate::options::{FailurePolicy, HostOptions};
use crate::partition::CloseReason;

use super::rig::*;

/// An error at one event, so many times.
fn times(at: i64, count: i64) -> impl Fn(i64) -> Option<HandlerError> + Send + Sync {
    let left = AtomicI64::new(count);
    move |number| {
        let fails = number == at && left.fetch_sub(1, Ordering::SeqCst) > 0;
        fails.then(|| HandlerError::new("not now"))
    }
}

#[tokio::test(start_paused = true)]
async fn p06_a_failed_event_comes_again_and_nothing_before_or_after_it_first() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(10);
    let id = rig.register(failing(&numbers, times(4, 3)));
    let start = Instant::now();
    rig.start();
    pass(SECOND / 2).await;
    assert_eq!(rig.post.finished(), Some(3), "a checkpoint never passes what failed");
    rig.finishes(9).await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 8, 9]);
    // 1 s, 2 s, 4 s.
    let taken = start.elapsed();
    assert!(taken >= 7 * SECOND && taken < 8 * SECOND, "{taken:?}");
    let waits: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HostEvent::HandlerFailed { handler, sequence_number, next, .. } => {
                assert_eq!((handler, sequence_number), (id, Some(SequenceNumber::from(4))));
                next
            }
            other => panic!("{other}"),
        })
        .collect();
    let again = |seconds| FailureNext::Restarting { after: Duration::from_secs(seconds) };
    assert_eq!(waits, [again(1), again(2), again(4)]);
    rig.close(CloseReason::Stopping).await;
    assert_eq!(rig.shared.counters.read().handler_failures, 3);
}

#[tokio::test(start_paused = true)]
async fn p06_an_event_that_is_skipped_is_told() {
    let options = HostOptions::default().with_failures(FailurePolicy::Skip);
    let mut rig = Rig::with(options).await;
    let numbers = log();
    rig.append(10);
    rig.register(failing(&numbers, times(4, 1)));
    rig.start();
    rig.finishes(9).await;
    assert_eq!(read(&numbers), (0..10).collect::<Vec<_>>());
    let told = rig.told();
    let [HostEvent::HandlerFailed { next, .. }, HostEvent::Skipped { from, to, why, .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    let four = Some(SequenceNumber::from(4));
    assert_eq!((next, from, to), (&FailureNext::Skipped, &four, &four));
    assert_eq!(*why, SkipReason::Failed);
    rig.close(CloseReason::Stopping).await;
    assert_eq!(rig.shared.counters.read().events_skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn p06_a_partition_that_is_to_stop_is_given_back_at_that_event() {
    let options = HostOptions::default().with_failures(FailurePolicy::Stop);
    let mut rig = Rig::with(options).await;
    let numbers = log();
    rig.append(10);
    rig.register(failing(&numbers, times(4, 1)));
    rig.start();
    rig.ended().await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4]);
    assert_eq!(rig.post.finished(), Some(3));
    assert_eq!(*rig.post.closing.borrow(), Some(CloseReason::Failed));
}

#[tokio::test(start_paused = true)]
async fn p06_what_the_error_says_counts_more_than_the_policy() {
    let options = HostOptions::default().with_failures(FailurePolicy::Stop);
    let mut rig = Rig::with(options).await;
    let numbers = log();
    rig.append(10);
    let seen = AtomicI64::new(-1);
    rig.register(failing(&numbers, move |number| {
        let is_first = seen.fetch_max(number, Ordering::SeqCst) < number;
        match number {
            2 => Some(HandlerError::skip("never")),
            5 if is_first => Some(HandlerError::restart("not now")),
            7 => Some(HandlerError::stop("enough")),
            _ => None,
        }
    }));
    rig.start();
    rig.ended().await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4, 5, 5, 6, 7]);
    assert_eq!(rig.post.finished(), Some(6));
}

#[tokio::test(start_paused = true)]
async fn p05_a_panic_is_a_failure_wherever_it_comes_from() {
    let mut rig = Rig::new().await;
    let (numbers, left) = (log(), Arc::new(AtomicI64::new(3)));
    let written = Arc::clone(&numbers);
    rig.append(5);
    rig.register(Handler::each(move |event, _| {
        let number = event.sequence_number().as_i64();
        write(&written, number);
        let left = match number == 2 {
            true => left.fetch_sub(1, Ordering::SeqCst),
            false => 0,
        };
        assert!(left != 3, "before there is a future");
        async move {
            assert!(left != 2, "{} it is polled", "when");
            tokio::task::yield_now().await;
            assert!(left != 1, "after it has waited");
            Ok(())
        }
    }));
    rig.start();
    rig.finishes(4).await;
    assert_eq!(read(&numbers), [0, 1, 2, 2, 2, 2, 3, 4]);
    let causes: Vec<_> = rig
        .told()
        .into_iter()
        .map(|event| match event {
            HostEvent::HandlerFailed { cause: FailureCause::Panicked(text), .. } => text,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(causes, ["before there is a future", "when it is polled", "after it has waited"]);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_dropped_where_it_waits() {
    let options = HostOptions::default().with_handler_timeout(Some(30 * SECOND));
    for own in [None, Some(Some(5 * SECOND)), Some(None)] {
        let mut rig = Rig::with(options.clone()).await;
        let (numbers, left) = (log(), AtomicI64::new(1));
        let written = Arc::clone(&numbers);
        rig.append(3);
        let mut handler = Handler::each(move |event, _| {
            let number = event.sequence_number().as_i64();
            write(&written, number);
            let hangs = number == 1 && left.fetch_sub(1, Ordering::SeqCst) == 1;
            async move {
                if hangs {
                    pass(100 * SECOND).await;
                }
                Ok(())
            }
        });
        if let Some(own) = own {
            handler = handler.with_timeout(own);
        }
        rig.register(handler);
        rig.start();
        let start = Instant::now();
        rig.finishes(2).await;
        let seconds = start.elapsed().as_secs();
        let limit = own.unwrap_or_else(|| Some(30 * SECOND));
        match limit {
            None => {
                assert_eq!(read(&numbers), [0, 1, 2]);
                assert_eq!(seconds, 100);
            }
            Some(limit) => {
                assert_eq!(read(&numbers), [0, 1, 1, 2]);
                assert_eq!(seconds, limit.as_secs() + 1);
                let told = rig.told();
                let [HostEvent::HandlerFailed { cause: FailureCause::TimedOut(after), .. }] =
                    &told[..]
                else {
                    panic!("{told:?}")
                };
                assert_eq!(*after, limit);
            }
        }
        rig.close(CloseReason::Stopping).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_comes_again_whole_or_is_skipped_whole() {
    for policy in [FailurePolicy::default(), FailurePolicy::Skip] {
        let mut rig = Rig::with(HostOptions::default().with_failures(policy)).await;
        let (batches, left) = (log(), AtomicI64::new(1));
        let written = Arc::clone(&batches);
        rig.append(6);
        let handler = Handler::batch(move |events, _| {
            let first = events.first().map(|event| event.sequence_number().as_i64());
            write(&written, (first, events.len()));
            let fails = first == Some(3) && left.fetch_sub(1, Ordering::SeqCst) == 1;
            std::future::ready(match fails {
                true => Err(HandlerError::new("not now")),
                false => Ok(()),
            })
        });
        rig.register(handler.with_events_max(3));
        rig.start();
        rig.finishes(5).await;
        let mut expected = vec![(Some(0), 3), (Some(3), 3)];
        if policy != FailurePolicy::Skip {
            expected.push((Some(3), 3));
        }
        assert_eq!(read(&batches), expected);
        let skipped = rig.told_of("passed over, 3 to 5").len();
        assert_eq!(skipped, usize::from(policy == FailurePolicy::Skip));
        rig.close(CloseReason::Stopping).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_opened_is_opened_again_later() {
    let mut rig = Rig::new().await;
    let (numbers, opened, left) = (log(), log(), AtomicI64::new(2));
    let written = Arc::clone(&opened);
    rig.append(3);
    let start = Instant::now();
    rig.register(writing(&numbers).on_open(move |_| {
        write(&written, start.elapsed().as_secs());
        let fails = left.fetch_sub(1, Ordering::SeqCst) > 0;
        async move {
            match fails {
                true => Err(HandlerError::new("no database")),
                false => Ok(()),
            }
        }
    }));
    rig.start();
    rig.finishes(2).await;
    assert_eq!(read(&opened), [0, 1, 3], "after 1 s and 2 s");
    assert_eq!(read(&numbers), [0, 1, 2]);
    assert_eq!(rig.told_of("no database").len(), 2);
    rig.close(CloseReason::Stopping).await;
}
