//! Events of different keys at the same time.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::handler::{Concurrency, Handler, HandlerError};
use crate::partition::CloseReason;

use super::rig::*;

fn per_key(lanes: usize) -> Concurrency {
    Concurrency::PerKey { lanes: NonZeroUsize::new(lanes).expect("not zero") }
}

#[tokio::test(start_paused = true)]
async fn events_of_a_key_stay_in_order_and_others_do_not_wait_for_them() {
    let mut rig = Rig::new().await;
    let keys: Vec<_> = (0..60).map(|number| ["a", "b", "c"][number % 3]).collect();
    rig.send(&keys).await;
    let (begun, ended) = (log(), log());
    let (starts, ends) = (Arc::clone(&begun), Arc::clone(&ended));
    let handler = Handler::each(move |event, _| {
        let key = event.partition_key().expect("it has one").to_owned();
        let number = event.sequence_number().as_i64();
        write(&starts, (key.clone(), number));
        let ends = Arc::clone(&ends);
        async move {
            // One key is slow.
            pass(if key == "a" { SECOND } else { SECOND / 50 }).await;
            write(&ends, (key, number));
            Ok(())
        }
    });
    rig.register(handler.with_concurrency(per_key(64)));
    let start = tokio::time::Instant::now();
    rig.start();
    rig.finishes(59).await;
    let seconds = start.elapsed().as_secs();
    assert!((19..=21).contains(&seconds), "as long as the slow key: {seconds} s");
    for log in [&begun, &ended] {
        let mut by_key: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (key, number) in read(log) {
            by_key.entry(key).or_default().push(number);
        }
        assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 60, "each once");
        assert!(by_key.values().all(|numbers| numbers.is_sorted()));
    }
    let others = read(&ended).iter().take(40).filter(|(key, _)| key != "a").count();
    assert!(others >= 38, "{others} of the others ended first");
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn p06_a_checkpoint_waits_for_the_slowest_lane_and_done_events_do_not_come_again() {
    let mut rig = Rig::new().await;
    rig.send(&["a", "b", "b", "a", "b"]).await;
    let (numbers, left) = (log(), Arc::new(AtomicI64::new(1)));
    let written = Arc::clone(&numbers);
    let handler = Handler::each(move |event, _| {
        let number = event.sequence_number().as_i64();
        write(&written, number);
        let left = Arc::clone(&left);
        async move {
            if number == 0 {
                pass(SECOND).await;
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    return Err(HandlerError::new("not now"));
                }
            }
            Ok(())
        }
    });
    rig.register(handler.with_concurrency(per_key(64)));
    rig.start();
    pass(SECOND / 2).await;
    assert_eq!(read(&numbers), [0, 1, 2, 4]);
    assert_eq!(rig.post.finished(), None, "0 is not done");
    rig.finishes(4).await;
    assert_eq!(read(&numbers), [0, 1, 2, 4, 0, 3], "1, 2 and 4 were done");
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_ahead_of_a_slow_key_than_the_window() {
    let mut rig = Rig::new().await;
    let numbers = log();
    let written = Arc::clone(&numbers);
    let handler = Handler::each(move |event, _| {
        let number = event.sequence_number().as_i64();
        write(&written, number);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    rig.register(handler.with_concurrency(per_key(2)));
    rig.append(500);
    rig.start();
    pass(10 * SECOND).await;
    // Without keys all are in one lane, and behind it wait 31 more.
    assert_eq!(read(&numbers), [0]);
    rig.post.closing.send_replace(Some(CloseReason::Stolen));
    rig.abandon().await;
}
