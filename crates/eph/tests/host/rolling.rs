//! A fleet that is restarted one host after the other, as by a deployment.

use std::collections::BTreeMap;

use eventhubs_eph::HostOptions;

use crate::support::{SECOND, World, pass, seconds, within_paused};

const HOSTS: u16 = 4;
const PARTITIONS: u16 = 16;

fn options(name: &str) -> HostOptions {
    HostOptions::default().with_name(name)
}

/// For how long partitions were without an owner, at most and by partition; looks ten times a
/// second.
#[derive(Default)]
struct Idle {
    now: BTreeMap<u16, u32>,
    longest: u32,
}

impl Idle {
    async fn watch(&mut self, world: &World, looks: u32) {
        for _ in 0..looks {
            pass(SECOND / 10).await;
            let table = world.store.inner().leases().await.expect("it is there");
            for partition in 0..PARTITIONS {
                let lease = table.lease(partition.into()).expect("it is there");
                let idle = self.now.entry(partition).or_default();
                *idle = if lease.holder(table.date).is_none() { *idle + 1 } else { 0 };
                self.longest = self.longest.max(*idle);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p15_a_rolling_restart_moves_little_and_leaves_nothing_alone() {
    let world = World::new(PARTITIONS).await;
    let mut hosts: Vec<_> =
        (0..HOSTS).map(|one| world.started(options(&one.to_string()))).collect();
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(60)).await;
    let moves = |hosts: &[eventhubs_eph::EventProcessorHost]| -> u64 {
        let read = hosts.iter().map(|host| host.statistics());
        read.map(|read| {
            read.acquired_free
                + read.acquired_expired
                + read.acquired_surplus
                + read.acquired_own
                + read.acquired_left_over
        })
        .sum()
    };
    let before = moves(&hosts);
    let (mut idle, mut gone) = (Idle::default(), Vec::new());
    for (round, host) in hosts.iter_mut().enumerate() {
        world.append_all(5);
        idle.watch(&world, 300).await;
        let fresh = world.host(options(&format!("next of {round}")));
        let old = std::mem::replace(host, fresh);
        within_paused(old.close()).await.expect("it closes");
        host.start_nonblocking().expect("it is idle");
        gone.push(old);
    }
    idle.watch(&world, 300).await;
    world.settles(&hosts.iter().collect::<Vec<_>>(), seconds(30)).await;
    world.handles_all(seconds(10)).await;
    assert_eq!(world.record.len(), usize::from(PARTITIONS) * 20, "nothing came twice");

    // Each restart moves the four partitions of a host away and four to the one that comes.
    let minimum = u64::from(PARTITIONS / HOSTS) * 2 * u64::from(HOSTS);
    hosts.append(&mut gone);
    let moved = moves(&hosts) - before;
    assert!(moved <= 2 * minimum, "{moved} moves, {minimum} at least");
    assert!(
        idle.longest <= 210,
        "a partition had no owner for {} tenths of a second",
        idle.longest
    );
    for host in &hosts {
        within_paused(host.close()).await.expect("it closes");
    }
}
