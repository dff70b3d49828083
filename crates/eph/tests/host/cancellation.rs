//! Every public future, dropped after every number of polls until it ends by itself: the host does
//! what it was told all the same, works as before, and nothing is left of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use eventhubs_eph::{EventProcessorHost, HostOptions, HostState};

use crate::support::{World, only_tasks, seconds, tasks, within_paused};

/// More polls than any future takes; one that takes more spins.
const POLLS_MAX: usize = 200;
/// Turns of everybody else between the last poll and the drop.
const TURNS: [usize; 2] = [0, 4];

/// How things stand when the call begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Idle,
    Starting,
    Running,
}

type Calling = Pin<Box<dyn Future<Output = bool>>>;

/// A call by its name, how things stand before it, and the state it leads to even when it is dropped
/// after a poll.
type Call = (&'static str, Stand, Option<HostState>, fn(EventProcessorHost) -> Calling);

fn calls() -> Vec<Call> {
    let start: fn(EventProcessorHost) -> Calling = |host| {
        Box::pin(async move {
            // It waits for the end, so somebody has to end it.
            let ends = async {
                host.wait_for(HostState::Running).await.expect("it runs");
                host.stop().await
            };
            let (started, stopped) = futures_util::future::join(host.start(), ends).await;
            started.is_ok() && stopped.is_ok()
        })
    };
    let stop: fn(EventProcessorHost) -> Calling =
        |host| Box::pin(async move { host.stop().await.is_ok() });
    let close: fn(EventProcessorHost) -> Calling =
        |host| Box::pin(async move { host.close().await.is_ok() });
    let wait: fn(EventProcessorHost) -> Calling =
        |host| Box::pin(async move { host.wait_for(HostState::Running).await.is_ok() });
    let ids: fn(EventProcessorHost) -> Calling =
        |host| Box::pin(async move { host.partition_ids().await.is_ok() });
    let events: fn(EventProcessorHost) -> Calling =
        |host| Box::pin(async move { host.host_events().next().await.is_some() });
    vec![
        ("start", Stand::Idle, None, start),
        ("stop", Stand::Idle, Some(HostState::Idle), stop),
        ("stop while starting", Stand::Starting, Some(HostState::Idle), stop),
        ("stop", Stand::Running, Some(HostState::Idle), stop),
        ("close", Stand::Idle, Some(HostState::Closed), close),
        ("close while starting", Stand::Starting, Some(HostState::Closed), close),
        ("close", Stand::Running, Some(HostState::Closed), close),
        ("wait_for", Stand::Starting, Some(HostState::Running), wait),
        ("partition_ids", Stand::Running, Some(HostState::Running), ids),
        ("HostEvents::next", Stand::Starting, Some(HostState::Running), events),
    ]
}

/// Polls `future` `polls` times at most, gives others `turns`, and drops it. What it gave, if it
/// ended.
async fn dropped_after<F: Future>(future: F, polls: usize, turns: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    let output = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let output = within_paused(output).await;
    if output.is_none() {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
    output
}

async fn case(call: &Call, polls: usize, turns: usize) -> bool {
    let (name, stand, end, calling) = *call;
    let before = tasks();
    let world = World::new(2).await;
    world.append_all(3);
    let host = world.host(HostOptions::default());
    if stand != Stand::Idle {
        host.start_nonblocking().expect("it is idle");
    }
    if stand == Stand::Running {
        world.settles(&[&host], seconds(40)).await;
    }
    let ended = dropped_after(calling(host.clone()), polls, turns).await;
    if let (Some(end), true) = (end, polls > 0) {
        within_paused(host.wait_for(end)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_ne!(ended, Some(false), "{name}");
    if host.state() == HostState::Stopping {
        within_paused(host.wait_for(HostState::Idle)).await.expect("it goes on stopping");
    }
    if host.state() == HostState::Idle {
        host.start_nonblocking().expect("it may start again");
    }
    if host.state() != HostState::Closed {
        world.settles(&[&host], seconds(60)).await;
        world.handles_all(seconds(10)).await;
        within_paused(host.close()).await.expect("it closes");
    }
    assert!(world.holders().await.is_empty(), "after {name} everything is given back");
    drop((host, world));
    only_tasks(before).await;
    ended.is_some()
}

#[tokio::test(start_paused = true)]
async fn p12_every_public_future_may_be_dropped_at_every_poll() {
    for call in calls() {
        for turns in TURNS {
            let mut polls = 0;
            while !case(&call, polls, turns).await {
                polls += 1;
                assert!(polls < POLLS_MAX, "{} takes {polls} polls and is not done", call.0);
            }
            assert!(polls > 0, "{} ended without a poll: the case is wrong", call.0);
        }
    }
}
