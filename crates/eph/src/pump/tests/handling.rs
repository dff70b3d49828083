//! Events come to handlers: each once, in order, and the ownership hears how far they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eventhubs_protocol::{SequenceNumber, StartPosition};

use crate::handler::{Handler, HandlerError};
use crate::options::{HostOptions, StartPositions};
use crate::partition::CloseReason;

use super::rig::*;

#[tokio::test(start_paused = true)]
async fn every_event_comes_once_and_in_order() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(1000);
    rig.register(writing(&numbers));
    rig.start();
    rig.finishes(999).await;
    rig.append(3);
    rig.finishes(1002).await;
    assert_eq!(read(&numbers), (0..1003).collect::<Vec<_>>());
    assert_eq!(rig.post.events.load(Ordering::SeqCst), 1003);
    assert_eq!(rig.shared.counters.read().events_handled, 1003);
    assert_eq!(*rig.post.lag.lock().expect("no panic"), Some(0));
    rig.close(CloseReason::Stopping).await;
    assert_eq!(rig.told().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_counts_and_else_the_start_position() {
    let start = StartPosition::sequence_number(SequenceNumber::from(4)).expect("it is valid");
    let options = HostOptions::default().with_start(StartPositions::from(start));
    for (from, expected) in [(None, 5), (Some(checkpoint(6)), 7)] {
        let mut rig = Rig::with(options.clone()).await;
        let numbers = log();
        rig.append(10);
        rig.register(writing(&numbers));
        rig.start_from(from);
        rig.finishes(9).await;
        assert_eq!(read(&numbers), (expected..10).collect::<Vec<_>>());
        rig.close(CloseReason::Stopping).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b16_a_place_to_begin_at_is_never_a_checkpoint() {
    for start in [StartPosition::latest(), StartPosition::earliest()] {
        let mut rig = Rig::with(HostOptions::default().with_start(start.clone())).await;
        rig.append(if start == StartPosition::latest() { 5 } else { 0 });
        let numbers = log();
        rig.register(writing(&numbers));
        rig.start();
        pass(60 * SECOND).await;
        assert_eq!(rig.post.finished(), None, "nobody handled anything");
        rig.close(CloseReason::Released).await;
        assert_eq!(rig.post.finished(), None);
        assert!(read(&numbers).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_partition_stays_where_it_was_when_a_link_is_lost() {
    let mut rig = Rig::with(HostOptions::default().with_start(StartPosition::latest())).await;
    rig.append(5);
    let numbers = log();
    rig.register(failing(&numbers, {
        let left = std::sync::Mutex::new(2);
        move |_| {
            let mut left = left.lock().expect("no panic");
            *left -= 1;
            (*left >= 0).then(|| HandlerError::new("not yet"))
        }
    }));
    rig.start();
    pass(SECOND).await;
    rig.append(3);
    rig.finishes(7).await;
    // The event at the end was failed at twice, and comes again each time.
    assert_eq!(read(&numbers), [5, 5, 5, 6, 7]);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_or_has_waited() {
    let mut rig = Rig::new().await;
    let (batches, starts) = (log(), log());
    let (written, started) = (Arc::clone(&batches), Arc::clone(&starts));
    rig.append(250);
    rig.register(Handler::batch(move |events, _| {
        write(&written, events.len());
        write(&started, tokio::time::Instant::now());
        async { Ok(()) }
    }));
    rig.start();
    rig.finishes(249).await;
    assert_eq!(read(&batches), [100, 100, 50]);
    let starts = read(&starts);
    assert_eq!((starts[2] - starts[1]).as_millis(), 200);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn empty_batches_come_when_nothing_does() {
    let mut rig = Rig::new().await;
    let batches = log();
    let written = Arc::clone(&batches);
    let handler = Handler::batch(move |events, _| {
        write(&written, events.len());
        async { Ok(()) }
    });
    rig.register(handler.with_wait_max(SECOND).with_empty_batches());
    rig.start();
    pass(3 * SECOND + SECOND / 2).await;
    rig.append(2);
    pass(2 * SECOND + SECOND / 4).await;
    assert_eq!(read(&batches), [0, 0, 0, 2, 0]);
    rig.close(CloseReason::Stopping).await;
    assert_eq!(rig.post.finished(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_paused_pump_takes_nothing_and_keeps_its_link() {
    let mut rig = Rig::new().await;
    let (numbers, gate) = (log(), Arc::new(tokio::sync::Semaphore::new(0)));
    let (written, passed) = (Arc::clone(&numbers), Arc::clone(&gate));
    rig.append(3);
    rig.register(Handler::each(move |event, _| {
        write(&written, event.sequence_number().as_i64());
        let passed = Arc::clone(&passed);
        async move {
            passed.acquire().await?.forget();
            Ok(())
        }
    }));
    rig.start();
    pass(SECOND).await;
    rig.paused.send_replace(true);
    gate.add_permits(3);
    pass(30 * SECOND).await;
    assert_eq!(read(&numbers), [0], "what ran has ended, and nothing else began");
    assert_eq!(rig.post.finished(), Some(0));
    rig.paused.send_replace(false);
    rig.finishes(2).await;
    assert_eq!(rig.post.attaches.load(Ordering::SeqCst), 1);
    rig.close(CloseReason::Stopping).await;
}

/// What becomes of ten events, the fifth of which has `act` happen in the middle of its call: with
/// one handler, and with two.
async fn in_the_middle(act: fn(&Rig) -> Box<dyn Fn() + Send + Sync>, reason: CloseReason) {
    for others in [0, 1] {
        let mut rig = Rig::new().await;
        let (numbers, other) = (log(), log());
        let (written, act) = (Arc::clone(&numbers), act(&rig));
        rig.append(10);
        for _ in 0..others {
            rig.register(writing(&other));
        }
        rig.register(Handler::each(move |event, _| {
            let number = event.sequence_number().as_i64();
            write(&written, number);
            if number == 4 {
                act();
            }
            async { Ok(()) }
        }));
        rig.start();
        pass(10 * SECOND).await;
        assert_eq!(read(&numbers), [0, 1, 2, 3, 4]);
        assert_eq!(read(&other).len(), 5 * others);
        rig.close(reason).await;
        assert_eq!(rig.post.finished(), Some(4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pump_pauses_in_the_middle_of_what_is_here() {
    let pause = |rig: &Rig| {
        let paused = rig.paused.clone();
        let pause = move || {
            paused.send_replace(true);
        };
        Box::new(pause) as Box<dyn Fn() + Send + Sync>
    };
    in_the_middle(pause, CloseReason::Paused).await;
}

#[tokio::test(start_paused = true)]
async fn no_handler_starts_when_the_fence_has_fallen() {
    let fence = |rig: &Rig| {
        let post = Arc::clone(&rig.post);
        Box::new(move || post.fence()) as Box<dyn Fn() + Send + Sync>
    };
    in_the_middle(fence, CloseReason::Fenced).await;
}
