//! Who takes which partition: [`plan()`] looks at what the store told and says what to claim and what
//! to give back. It decides and does nothing; what it returns may be lost or refused, because the
//! next scan plans anew.
//!
//! Every strategy has the same goal: each host has its [share](Strategy) of all partitions. They
//! differ in how hosts are counted and in how much is taken in one scan. A host takes what nobody
//! holds first, and from others only what they have above their share; so nothing moves once
//! everybody has a share.

mod idle;
mod plan;
mod share;
mod view;

pub use idle::Idle;
pub use plan::{Abstention, Claim, ClaimReason, Plan, Release, ReleaseReason};
pub use view::{Presence, Standing, Strategy, View};

use std::collections::{BTreeMap, BTreeSet};

use eventhubs_protocol::PartitionId;

use share::Host;

/// Scans in a row that a partition is seen without an owner before a host with its full share takes
/// it all the same: whoever it was meant for cannot or will not have it.
pub const PATIENCE_SCANS: u32 = 6;

/// Decides what to claim and what to release after one scan.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use eventhubs_eph::balance::{ClaimReason, Presence, Standing, View, plan};
/// use eventhubs_protocol::PartitionId;
///
/// let now = UNIX_EPOCH + Duration::from_secs(1_000);
/// let partitions: Vec<_> = (0..4).map(PartitionId::from).collect();
/// let mut view = View::new("b", now, partitions.clone());
/// view.leases = partitions.into_iter().map(Standing::free).collect();
/// let until = now + Duration::from_secs(30);
/// view.presence = Some(vec![Presence::new("a", until), Presence::new("b", until)]);
///
/// let plan = plan(&view);
/// let claimed: Vec<_> = plan.claims.iter().map(|claim| claim.partition.as_u16()).collect();
/// assert_eq!(claimed, [2, 3]);
/// assert_eq!(plan.claims[0].reason, ClaimReason::Free);
/// ```
#[must_use]
pub fn plan(view: &View) -> Plan {
    let Some(leases) = complete(view) else {
        return Plan::abstaining(Abstention::Incomplete);
    };
    let releases = releases(view, &leases);
    if !releases.is_empty() {
        return Plan { releases, ..Plan::default() };
    }
    let strategy = view.effective_strategy();
    let mut claims = regained(view, &leases);
    if strategy == Strategy::Quota && view.is_first_scan {
        return Plan { claims, abstention: Some(Abstention::FirstScan), ..Plan::default() };
    }
    let leases: Vec<&Standing> =
        leases.into_iter().filter(|lease| is_of_the_hub(view, lease.partition)).collect();
    let hosts = hosts(view, &leases, strategy);
    let pool = Pool::new(view, &leases, &hosts, strategy);
    let wanted = hosts.iter().find(|host| host.owner == view.own).map_or(0, Host::deficit);
    let taken = match strategy {
        Strategy::Balanced => pool.take(0, wanted.min(1)),
        Strategy::Greedy => pool.take(0, wanted),
        Strategy::Quota => pool.take(before(&hosts, &view.own), wanted),
    };
    // What is on its way out here is not claimed: its old ownership has to end first.
    claims.extend(taken.into_iter().filter(|claim| !view.kept.contains(&claim.partition)));
    if wanted == 0 {
        claims.extend(left_over(view, &leases));
    }
    Plan { claims, ..Plan::default() }
}

/// The leases, when there is exactly one for each partition of the hub, and none twice.
fn complete(view: &View) -> Option<Vec<&Standing>> {
    let mut leases: Vec<&Standing> = view.leases.iter().collect();
    leases.sort_by_key(|lease| lease.partition);
    let listed: BTreeSet<_> = leases.iter().map(|lease| lease.partition).collect();
    let is_whole = view.is_complete
        && !view.partitions.is_empty()
        && listed.len() == leases.len()
        && view.partitions.iter().all(|partition| listed.contains(partition));
    is_whole.then_some(leases)
}

fn is_of_the_hub(view: &View, partition: PartitionId) -> bool {
    view.partitions.contains(&partition)
}

/// What this host holds and should not.
fn releases(view: &View, leases: &[&Standing]) -> Vec<Release> {
    let own: Vec<_> =
        leases.iter().filter(|lease| lease.holder(view.now) == Some(&*view.own)).collect();
    let maximum = view.maximum.map_or(usize::MAX, |maximum| maximum as usize);
    let mut kept = 0;
    let mut releases = Vec::new();
    for lease in own {
        let reason = match lease.partition {
            partition if !is_of_the_hub(view, partition) => ReleaseReason::NoSuchPartition,
            _ if view.weight == 0 => ReleaseReason::Leaving,
            _ if kept == maximum => ReleaseReason::AboveMaximum,
            _ => {
                kept += 1;
                continue;
            }
        };
        releases.push(Release { partition: lease.partition, reason });
    }
    releases
}

/// What the store says is held here and is not: an answer was lost on its way.
fn regained(view: &View, leases: &[&Standing]) -> Vec<Claim> {
    let is_forgotten = |lease: &&&Standing| {
        lease.holder(view.now) == Some(&*view.own) && !view.kept.contains(&lease.partition)
    };
    leases.iter().filter(is_forgotten).map(|lease| Claim::new(lease, ClaimReason::Own)).collect()
}

/// One partition that nobody took for long, though hosts were below their share.
fn left_over(view: &View, leases: &[&Standing]) -> Option<Claim> {
    let own = leases.iter().filter(|lease| lease.holder(view.now) == Some(&*view.own)).count();
    if view.weight == 0 || view.maximum.is_some_and(|maximum| own >= maximum as usize) {
        return None;
    }
    let idle: Vec<_> = leases
        .iter()
        .filter(|lease| lease.holder(view.now).is_none() && lease.idle_scans >= PATIENCE_SCANS)
        .filter(|lease| !view.kept.contains(&lease.partition))
        .collect();
    let at = usize::try_from(view.random % idle.len().max(1) as u64).unwrap_or(0);
    let lease = idle.get(at)?;
    Some(Claim::new(lease, ClaimReason::LeftOver { scans: lease.idle_scans }))
}

/// The hosts that count, with their shares, ordered by id. Who holds a lease counts whatever its
/// record says; who holds none counts while its record is fresh; the dead do not.
fn hosts<'a>(view: &'a View, leases: &[&'a Standing], strategy: Strategy) -> Vec<Host<'a>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::from([(&*view.own, 0)]);
    for holder in leases.iter().filter_map(|lease| lease.holder(view.now)) {
        *counts.entry(holder).or_default() += 1;
    }
    let records = match strategy {
        Strategy::Quota => view.presence.as_deref().unwrap_or_default(),
        Strategy::Balanced | Strategy::Greedy => &[],
    };
    for record in records.iter().filter(|record| record.until > view.now) {
        counts.entry(&record.owner).or_default();
    }
    let mut hosts: Vec<_> = counts
        .into_iter()
        .map(|(owner, count)| {
            let record = records.iter().find(|record| record.owner == owner);
            let (weight, maximum) = match record {
                _ if owner == view.own => (view.weight_in(strategy), view.maximum),
                Some(record) => (record.weight, record.maximum),
                None => (1, None),
            };
            Host { owner, count, weight, maximum, share: 0 }
        })
        .collect();
    share::divide(view.partitions.len(), &mut hosts);
    hosts
}

/// How much of the pool goes to hosts before this one. All who see the same agree on that, so they
/// do not race for the same partitions.
fn before(hosts: &[Host<'_>], own: &str) -> usize {
    hosts.iter().take_while(|host| host.owner < own).map(Host::deficit).sum()
}

/// What may be taken, best first: what nobody holds, then what others have above their share.
struct Pool(Vec<Claim>);

impl Pool {
    fn new(view: &View, leases: &[&Standing], hosts: &[Host<'_>], strategy: Strategy) -> Self {
        let mut free: Vec<Claim> = leases
            .iter()
            .filter(|lease| lease.holder(view.now).is_none())
            .map(|lease| {
                let reason = match &lease.owner {
                    Some(owner) => ClaimReason::Expired { owner: owner.clone() },
                    None => ClaimReason::Free,
                };
                Claim::new(lease, reason)
            })
            .collect();
        let mut rich: Vec<_> =
            hosts.iter().filter(|host| host.owner != view.own && host.surplus() > 0).collect();
        // The richest first; the sort is stable, so equals stay in the order of their ids.
        rich.sort_by_key(|host| std::cmp::Reverse(host.surplus()));
        let mut surplus = Vec::new();
        for host in rich {
            let mut held: Vec<_> =
                leases.iter().filter(|lease| lease.holder(view.now) == Some(host.owner)).collect();
            scatter(&mut held, view.random, strategy);
            let reason = || ClaimReason::Surplus {
                owner: host.owner.to_owned(),
                count: host.count,
                share: host.share,
            };
            let above = held.iter().rev().take(host.surplus());
            surplus.extend(above.map(|lease| Claim::new(lease, reason())));
        }
        scatter(&mut free, view.random, strategy);
        free.append(&mut surplus);
        Self(free)
    }

    fn take(self, skip: usize, count: usize) -> Vec<Claim> {
        self.0.into_iter().skip(skip).take(count).collect()
    }
}

/// Hosts that have not agreed on who takes what begin at different places.
fn scatter<T>(items: &mut [T], random: u64, strategy: Strategy) {
    if strategy != Strategy::Quota && !items.is_empty() {
        let at = usize::try_from(random % items.len() as u64).unwrap_or(0);
        items.rotate_left(at);
    }
}

#[cfg(test)]
mod tests;
