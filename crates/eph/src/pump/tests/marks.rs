//! Marks: what a handler says of the middle of a batch, and all that counts when nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::handler::{Handler, HandlerError};
use crate::options::{CheckpointPolicy, HostOptions};
use crate::partition::CloseReason;

use super::rig::*;

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_comes_again_after_its_last_mark() {
    let mut rig = Rig::new().await;
    let (batches, left) = (log(), AtomicI64::new(1));
    let written = Arc::clone(&batches);
    rig.append(6);
    let handler = Handler::batch(move |events, partition| {
        let numbers: Vec<_> = events.iter().map(|event| event.sequence_number().as_i64()).collect();
        write(&written, numbers);
        let fails = left.fetch_sub(1, Ordering::SeqCst) == 1;
        if fails {
            partition.mark(&events[3]);
            // A mark never goes back.
            partition.mark(&events[1]);
        }
        std::future::ready(match fails {
            true => Err(HandlerError::new("not now")),
            false => Ok(()),
        })
    });
    rig.register(handler.with_events_max(6));
    rig.start();
    pass(SECOND / 2).await;
    assert_eq!(rig.post.finished(), Some(3));
    rig.finishes(5).await;
    assert_eq!(read(&batches), [vec![0, 1, 2, 3, 4, 5], vec![4, 5]]);
    assert_eq!(rig.told_of("at event 4").len(), 1);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_mark_counts_while_the_call_still_runs() {
    let mut rig = Rig::new().await;
    rig.append(4);
    let handler = Handler::batch(|events, partition| async move {
        pass(SECOND).await;
        partition.mark(&events[1]);
        let committed = partition.checkpoint().await?;
        assert_eq!(committed.checkpoint().expect("there is one").sequence_number, 1.into());
        pass(100 * SECOND).await;
        Ok(())
    });
    rig.register(handler.with_events_max(4));
    rig.start();
    pass(10 * SECOND).await;
    assert_eq!(rig.post.finished(), Some(1));
    rig.finishes(3).await;
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_has_what_was_done_just_before() {
    let mut rig = Rig::new().await;
    let stored = log();
    let written = Arc::clone(&stored);
    rig.append(50);
    rig.register(Handler::each(move |event, partition| {
        let written = Arc::clone(&written);
        async move {
            if event.sequence_number().as_i64() == 30 {
                let committed = partition.checkpoint().await?;
                write(&written, committed.checkpoint().expect("there is one").sequence_number);
            }
            Ok(())
        }
    }));
    rig.start();
    rig.finishes(49).await;
    assert_eq!(read(&stored), [29.into()]);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn only_marks_count_when_checkpoints_are_manual() {
    let options = HostOptions::default().with_checkpoints(CheckpointPolicy::Manual);
    let mut rig = Rig::with(options).await;
    let (numbers, left) = (log(), AtomicI64::new(1));
    let written = Arc::clone(&numbers);
    rig.append(10);
    rig.register(Handler::each(move |event, partition| {
        let number = event.sequence_number().as_i64();
        write(&written, number);
        if number % 4 == 3 {
            partition.mark(&event);
        }
        let fails = number == 6 && left.fetch_sub(1, Ordering::SeqCst) == 1;
        std::future::ready(match fails {
            true => Err(HandlerError::new("not now")),
            false => Ok(()),
        })
    }));
    rig.start();
    rig.finishes(7).await;
    rig.close(CloseReason::Stopping).await;
    assert_eq!(rig.post.finished(), Some(7));
    // It restarts at what failed, and not at the last mark.
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9]);
}
