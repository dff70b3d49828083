//! Many starts and stops: nothing is left of any.

use eventhubs_emulator::Role;
use eventhubs_eph::{HostOptions, HostState};

use crate::support::{World, only_tasks, tasks, within_paused};

const CYCLES: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn p16_ten_thousand_starts_and_stops_leave_nothing_behind() {
    let world = World::new(1).await;
    let before = tasks();
    let host = world.host(HostOptions::default());
    let holders = world.store.holders();
    let mut most = 0;
    for cycle in 0..CYCLES {
        host.start_nonblocking().expect("it is idle");
        // Most end somewhere in their start, some when they run, and a few own something.
        match cycle % 100 {
            0 => world.settles(&[&host], crate::support::seconds(40)).await,
            at if at < 20 => {
                within_paused(host.wait_for(HostState::Running)).await.expect("it runs");
            }
            at => {
                for _ in 0..at {
                    tokio::task::yield_now().await;
                }
            }
        }
        within_paused(host.stop()).await.expect("it stops");
        if cycle == CYCLES / 10 {
            most = tasks();
        }
    }
    assert!(tasks() <= most, "{} tasks, and {most} after a tenth", tasks());
    assert_eq!(world.store.holders(), holders, "no part of a former start is left");
    let snapshot = world.emulator.snapshot().await;
    assert!(snapshot.connections.len() <= 1, "{}", snapshot.connections.len());
    let links = snapshot.connections.iter().flat_map(|connection| &connection.links);
    assert_eq!(links.filter(|link| link.role == Role::Consumer).count(), 0);
    assert!(world.holders().await.is_empty());
    within_paused(host.close()).await.expect("it closes");
    drop(host);
    only_tasks(before).await;
    assert_eq!(world.store.holders(), 1);
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_made_and_closed_leave_nothing_behind() {
    let world = World::new(2).await;
    let before = tasks();
    for _ in 0..200 {
        let host = world.started(HostOptions::default());
        world.settles(&[&host], crate::support::seconds(40)).await;
        within_paused(host.close()).await.expect("it closes");
    }
    only_tasks(before).await;
    assert_eq!(world.store.holders(), 1);
    assert!(world.emulator.snapshot().await.connections.is_empty());
}
