//! Workers in processes of their own: who has which partition, and that nothing is lost, however a
//! worker ends. The test binary runs itself again as the workers, with the code of `process`.
#![cfg(test)]

mod fleet;
#[path = "../../service.rs"]
mod service;

use clap::Parser;
use fleet::{ARGUMENTS, Fleet};

/// As another process: a worker. Otherwise it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_works() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    service::run(service::Options::parse_from(arguments.split('\n'))).await.unwrap();
}

#[tokio::test]
async fn ten_partitions_are_shared_by_two_and_taken_over_by_one() {
    let mut fleet = Fleet::new(10).await;
    fleet.start("a");
    fleet.until("a has all", |fleet| fleet.has(&[10])).await;
    fleet.send(100).await;
    fleet.start("b");
    fleet.until("5 and 5", |fleet| fleet.has(&[5, 5])).await;
    fleet.send(100).await;
    // What b took over from the last checkpoint of a is repeated before what is new.
    fleet.until("all is handled", Fleet::is_all_handled).await;

    let repeated = fleet.repeated();
    fleet.forget_acquisitions();
    // In the midst of events, which go on.
    let sending = fleet.begin_to_send(2_000);
    let handled = fleet.handled_by("b") + 20;
    fleet.until("b has some of them", |fleet| fleet.handled_by("b") >= handled).await;
    fleet.terminate("b").await;
    fleet.until("a has all again", |fleet| fleet.has(&[10])).await;
    // Not after the lease has run out: b gave its partitions back.
    let taken = fleet.acquisitions();
    assert!(taken.iter().all(|why| why.ends_with("nobody holds it")), "{taken:#?}");
    sending.await.unwrap();
    fleet.until("all is handled", Fleet::is_all_handled).await;
    fleet.close("a").await;
    assert_eq!(fleet.repeated(), repeated, "b left checkpoints of all that it had handled");
}

#[tokio::test]
async fn p15_a_rolling_restart_moves_little_and_loses_nothing() {
    let mut fleet = Fleet::new(9).await;
    for name in ["a1", "b1", "c1"] {
        fleet.start(name);
    }
    fleet.until("3 each", |fleet| fleet.has(&[3, 3, 3])).await;
    fleet.forget_acquisitions();
    for (old, new) in [("a1", "a2"), ("b1", "b2"), ("c1", "c2")] {
        fleet.send(50).await;
        fleet.terminate(old).await;
        fleet.start(new);
        fleet.until("3 each", |fleet| fleet.has(&[3, 3, 3])).await;
    }
    fleet.until("all is handled", Fleet::is_all_handled).await;
    // The fewest: each time the three partitions of the one that goes, to the one that comes. When
    // that one is slow, the others have them in between.
    let taken = fleet.acquisitions();
    let fewest = 3 * 3;
    assert!(taken.len() <= 2 * fewest, "{} moves, {fewest} are needed: {taken:#?}", taken.len());
    for name in ["a2", "b2", "c2"] {
        fleet.close(name).await;
    }
}
