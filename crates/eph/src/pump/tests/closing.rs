//! The end of an ownership: what runs ends or is given up, and handlers are told.

use std::sync::Arc;

use crate::handler::{Handler, HandlerError};
use crate::partition::CloseReason;

use super::rig::*;

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_when_its_partition_comes_and_goes() {
    let mut rig = Rig::new().await;
    let (story, opened, closed) = (log(), log(), log());
    let writes = [&story, &opened, &closed].map(|_| Arc::clone(&story));
    let [on_event, on_open, on_close] = writes;
    rig.append(2);
    rig.register(
        Handler::each(move |event, partition| {
            write(&on_event, format!("{} of {}", event.sequence_number(), partition.id()));
            async { Ok(()) }
        })
        .on_open(move |partition| {
            write(&on_open, format!("open {} {}", partition.hub(), partition.consumer_group()));
            async { Ok(()) }
        })
        .on_close(move |partition, reason| {
            write(&on_close, format!("close {reason:?}"));
            async move {
                let checkpoint = partition.checkpoint().await?;
                assert_eq!(
                    checkpoint.checkpoint().expect("there is one").sequence_number,
                    1.into()
                );
                Err(HandlerError::new("it does not matter any more"))
            }
        }),
    );
    rig.start();
    rig.finishes(1).await;
    rig.close(CloseReason::Released).await;
    let expected = ["open hub $Default", "0 of 0", "1 of 0", "close Released"];
    assert_eq!(read(&story), expected);
    assert_eq!(rig.told_of("it does not matter any more").len(), 1);
    let _ = (read::<String>(&opened), read::<String>(&closed));
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_told_and_ends_and_nothing_else_begins() {
    let mut rig = Rig::new().await;
    let (story, closed) = (log(), log());
    let (written, noted) = (Arc::clone(&story), Arc::clone(&closed));
    rig.append(10);
    rig.register(
        Handler::each(move |event, partition| {
            let (number, written) = (event.sequence_number().as_i64(), Arc::clone(&written));
            async move {
                write(&written, (number, None));
                if number == 3 {
                    assert!(!partition.is_ended());
                    let reason = partition.ended().await;
                    assert_eq!(partition.close_reason(), Some(reason));
                    pass(5 * SECOND).await;
                    write(&written, (number, Some(reason)));
                }
                Ok(())
            }
        })
        .on_close(move |_, reason| {
            write(&noted, reason);
            async { Ok(()) }
        }),
    );
    rig.start();
    pass(SECOND).await;
    rig.close(CloseReason::Stopping).await;
    let ends = read(&story).into_iter().filter(|(_, end)| end.is_some());
    assert_eq!(ends.collect::<Vec<_>>(), [(3, Some(CloseReason::Stopping))]);
    assert_eq!(read(&story).len(), 5, "0 to 3, and the end of 3");
    assert_eq!(rig.post.finished(), Some(3), "what ended in time counts");
    assert_eq!(read(&closed), [CloseReason::Stopping]);
}

#[tokio::test(start_paused = true)]
async fn p09_a_handler_that_never_ends_can_be_given_up() {
    let mut rig = Rig::new().await;
    let dropped = Arc::new(());
    let kept = Arc::clone(&dropped);
    rig.append(2);
    let id = rig.register(Handler::each(move |_, _| {
        let kept = Arc::clone(&kept);
        async move {
            let _kept = kept;
            std::future::pending().await
        }
    }));
    rig.start();
    pass(SECOND).await;
    rig.post.closing.send_replace(Some(CloseReason::Stolen));
    pass(60 * SECOND).await;
    assert_eq!(*rig.post.running.lock().expect("no panic"), [id], "who is told of");
    rig.abandon().await;
    assert_eq!(Arc::strong_count(&dropped), 2, "the future is gone, the handler is not");
    assert_eq!(rig.post.finished(), None);
}

#[tokio::test(start_paused = true)]
async fn p12_a_pump_can_be_dropped_wherever_it_waits() {
    // At the attach, in a handler, between events, in a wait: after each number of turns.
    for turns in (0..400).step_by(7) {
        let mut rig = Rig::new().await;
        let numbers = log();
        rig.append(5);
        rig.register(failing(&numbers, |number| {
            (number == 3).then(|| HandlerError::new("not now"))
        }));
        rig.start();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        let before = rig.post.finished();
        rig.abandon().await;
        assert!(before <= Some(2));
        // Another ownership goes on where this one was.
        rig.post.closing.send_replace(None);
        let again = log();
        rig.handlers.send_replace(Arc::default());
        rig.register(writing(&again));
        rig.start_from(before.map(checkpoint));
        rig.finishes(4).await;
        let first = before.map_or(0, |number| number + 1);
        assert_eq!(read(&again), (first..5).collect::<Vec<_>>());
        rig.close(CloseReason::Stopping).await;
    }
}
