//! One sender, many tasks: row U14 of the table "Input" in `docs/faults.md`.

use std::collections::HashMap;

use eventhubs_client::{HubOptions, PartitionId};
use futures_util::future::join_all;

use crate::support::peer::{Peer, Reply};
use crate::support::{Fixture, only_tasks, tasks, texts};

const TASKS: usize = 1000;

fn options(pending_sends_max: usize) -> HubOptions {
    let mut options = HubOptions::default();
    options.pending_sends_max = pending_sends_max;
    options
}

#[tokio::test(start_paused = true)]
async fn u14_a_thousand_tasks_take_turns_at_one_sender() {
    const ROUNDS: usize = 4;
    for pending_sends_max in [1, 8, 64, 4096] {
        let fixture = Fixture::with_options(options(pending_sends_max)).await;
        let producer = fixture.hub.producer(PartitionId::from(0));
        producer.ready().await.expect("attached");
        let senders = (0..TASKS).map(|task| {
            let producer = producer.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    producer.send(task.to_string()).await.expect("accepted");
                }
            })
        });
        let senders: Vec<_> = senders.collect();
        join_all(senders).await.into_iter().for_each(|ended| ended.expect("no panic"));

        let stored = texts(&fixture.stored_in(0).await);
        assert_eq!(stored.len(), TASKS * ROUNDS);
        let mut turns: HashMap<&str, usize> = HashMap::new();
        for (place, task) in stored.iter().enumerate() {
            let turn = turns.entry(task).or_default();
            *turn += 1;
            // Whoever has had its n-th turn has waited while all others had at least n - 2.
            let had = place.saturating_sub(TASKS) / TASKS;
            assert!(
                *turn <= place / TASKS + 2 && *turn >= had,
                "task {task} has its turn {turn} at place {place} of {pending_sends_max}"
            );
        }
        assert!(turns.values().all(|turn| *turn == ROUNDS));
    }
}

#[tokio::test(start_paused = true)]
async fn u14_what_a_thousand_tasks_have_under_way_is_bounded() {
    let before = tasks();
    let peer = Peer::replying(Reply::Silence);
    let (hub, wire) = peer.hub(options(8));
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let written = wire.written();
    let body = "x".repeat(1000);
    let senders = (0..TASKS).map(|_| {
        let (producer, body) = (producer.clone(), body.clone());
        tokio::spawn(async move { producer.send(body).await })
    });
    let senders: Vec<_> = senders.collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.events(), 8, "the rest waits without being queued");
    assert!(wire.written() - written < 16 * body.len(), "and without being written");
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(senders).await;
    hub.close().await;
    drop((hub, producer));
    only_tasks(before).await;
}
