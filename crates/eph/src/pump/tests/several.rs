//! Several handlers at once; handlers that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::handler::{Handler, HandlerError};
use crate::options::{FailurePolicy, HostOptions};
use crate::partition::CloseReason;

use super::rig::*;

/// A handler of single events, each of which takes a while.
fn slow(numbers: &Log<i64>, time: std::time::Duration) -> Handler {
    let numbers = Arc::clone(numbers);
    Handler::each(move |event, _| {
        let (numbers, number) = (Arc::clone(&numbers), event.sequence_number().as_i64());
        async move {
            pass(time).await;
            write(&numbers, number);
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn all_handlers_get_all_events_and_the_slowest_counts() {
    let mut rig = Rig::new().await;
    let (quick, slowly, batches) = (log(), log(), log());
    let written = Arc::clone(&batches);
    rig.append(5);
    rig.register(writing(&quick));
    rig.register(slow(&slowly, SECOND));
    rig.register(Handler::batch(move |events, _| {
        write(&written, events.len());
        async { Ok(()) }
    }));
    let start = tokio::time::Instant::now();
    rig.start();
    pass(SECOND / 2).await;
    assert_eq!((read(&quick), rig.post.finished()), (vec![0], None));
    rig.finishes(4).await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(read(&quick), [0, 1, 2, 3, 4]);
    assert_eq!(read(&slowly), [0, 1, 2, 3, 4]);
    assert_eq!(read(&batches).iter().sum::<usize>(), 5);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn two_handlers_run_at_the_same_time() {
    let mut rig = Rig::new().await;
    let (one, other) = (log(), log());
    rig.append(10);
    rig.register(slow(&one, SECOND));
    rig.register(slow(&other, SECOND));
    let start = tokio::time::Instant::now();
    rig.start();
    rig.finishes(9).await;
    assert_eq!(start.elapsed().as_secs(), 10, "and not 20");
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn p06_what_one_handler_failed_at_does_not_come_again_to_the_other() {
    let mut rig = Rig::new().await;
    let (sound, fails, left) = (log(), log(), AtomicI64::new(2));
    rig.append(6);
    rig.register(writing(&sound));
    rig.register(failing(&fails, move |number| {
        let fails = number == 3 && left.fetch_sub(1, Ordering::SeqCst) > 0;
        fails.then(|| HandlerError::new("not now"))
    }));
    rig.start();
    pass(SECOND / 2).await;
    assert_eq!(rig.post.finished(), Some(2));
    rig.finishes(5).await;
    assert_eq!(read(&sound), [0, 1, 2, 3, 4, 5]);
    assert_eq!(read(&fails), [0, 1, 2, 3, 3, 3, 4, 5]);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn handlers_that_fail_at_the_same_event_are_both_heard() {
    let mut rig = Rig::with(HostOptions::default().with_failures(FailurePolicy::Skip)).await;
    let (one, other) = (log(), log());
    rig.append(5);
    let fails = |number| (number == 2).then(|| HandlerError::new("never"));
    rig.register(failing(&one, fails));
    rig.register(failing(&other, fails));
    rig.start();
    rig.finishes(4).await;
    assert_eq!((read(&one), read(&other)), ((0..5).collect(), (0..5).collect()));
    assert_eq!(rig.told_of("never").len(), 2);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_joins_begins_with_the_next_event() {
    let mut rig = Rig::new().await;
    let (first, story) = (log(), log());
    let (opens, handles) = (Arc::clone(&story), Arc::clone(&story));
    rig.append(3);
    rig.register(writing(&first));
    rig.start();
    rig.finishes(2).await;
    rig.register(
        Handler::each(move |event, _| {
            write(&handles, event.sequence_number().to_string());
            async { Ok(()) }
        })
        .on_open(move |_| {
            let opens = Arc::clone(&opens);
            async move {
                pass(SECOND).await;
                write(&opens, "open".to_owned());
                Ok(())
            }
        }),
    );
    pass(SECOND / 10).await;
    // The others do not wait until it is open.
    rig.append(1);
    rig.finishes(3).await;
    pass(SECOND).await;
    rig.append(2);
    rig.finishes(5).await;
    assert_eq!(read(&story), ["open", "4", "5"]);
    assert_eq!(read(&first), [0, 1, 2, 3, 4, 5]);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_leaves_ends_what_it_has_and_is_told() {
    let mut rig = Rig::new().await;
    let (stays, story) = (log(), log());
    let (handles, closes) = (Arc::clone(&story), Arc::clone(&story));
    rig.append(3);
    rig.register(writing(&stays));
    let id = rig.register(
        Handler::each(move |event, partition| {
            let handles = Arc::clone(&handles);
            async move {
                write(&handles, format!("begin {}", event.sequence_number()));
                let reason = partition.ended().await;
                pass(SECOND).await;
                write(&handles, format!("{reason:?}"));
                Ok(())
            }
        })
        .on_close(move |_, reason| {
            write(&closes, format!("close {reason:?}"));
            async { Ok(()) }
        }),
    );
    rig.start();
    pass(SECOND).await;
    assert_eq!(rig.post.finished(), None);
    rig.unregister(id);
    rig.finishes(2).await;
    assert_eq!(read(&story), ["begin 0", "Unregistered", "close Unregistered"]);
    assert_eq!(read(&stays), [0, 1, 2]);
    rig.close(CloseReason::Stopping).await;
    assert_eq!(read(&story).len(), 3, "it is closed once");
}
