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
pub use plan::{Abstention, Plan, Release, ReleaseReason, Take, TakeReason};
pub use view::{Strategy, View};

use std::collections::{BTreeMap, BTreeSet};

use eventhubs_protocol::PartitionId;

use crate::lease::Lease;
use crate::owner::OwnerId;

use share::Host;

/// Scans in a row that a partition is seen without an owner before a host with its full share takes
/// it all the same: whoever it was meant for cannot or will not have it.
pub const PATIENCE_SCANS: u32 = 6;

/// Decides what to claim and what to release after one scan.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use eventhubs_eph::balance::{TakeReason, View, plan};
/// use eventhubs_eph::{Lease, LeaseTable, OwnerId, Presence, PresenceTable};
/// use eventhubs_protocol::{PartitionId, Timestamp};
///
/// let partitions: Vec<_> = (0..4).map(PartitionId::from).collect();
/// let date = Timestamp::UNIX_EPOCH;
/// let table = LeaseTable::new(date, partitions.iter().map(|&id| Lease::free(id)).collect());
///
/// let [a, b] = [OwnerId::new("a")?, OwnerId::new("b")?];
/// let present = |host: &OwnerId| Presence::new(host.clone(), Duration::from_secs(30));
/// let presence = PresenceTable::new(date, vec![present(&a), present(&b)]);
///
/// let mut view = View::new(b, partitions, table);
/// view.presence = Some(presence);
/// let plan = plan(&view);
/// let taken: Vec<_> = plan.takes.iter().map(|take| take.partition.as_u16()).collect();
/// assert_eq!(taken, [2, 3]);
/// assert_eq!(plan.takes[0].reason, TakeReason::Free);
/// # Ok::<(), eventhubs_eph::StoreError>(())
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
    let mut takes = regained(view, &leases);
    if strategy == Strategy::Quota && view.is_first_scan {
        return Plan { takes, abstention: Some(Abstention::FirstScan), ..Plan::default() };
    }
    let leases: Vec<&Lease> =
        leases.into_iter().filter(|lease| is_of_the_hub(view, lease.partition)).collect();
    let hosts = hosts(view, &leases, strategy);
    let pool = Pool::new(view, &leases, &hosts, strategy);
    let wanted = hosts.iter().find(|host| *host.owner == view.own).map_or(0, Host::deficit);
    let taken = match strategy {
        Strategy::Balanced => pool.take(0, wanted.min(1)),
        Strategy::Greedy => pool.take(0, wanted),
        Strategy::Quota => pool.take(before(&hosts, &view.own), wanted),
    };
    // What is on its way out here is not claimed: its old ownership has to end first.
    takes.extend(taken.into_iter().filter(|take| !view.kept.contains(&take.partition)));
    if wanted == 0 {
        takes.extend(left_over(view, &leases));
    }
    Plan { takes, ..Plan::default() }
}

/// The leases, when there is exactly one for each partition of the hub, and none twice.
fn complete(view: &View) -> Option<Vec<&Lease>> {
    let leases: Vec<&Lease> = view.table.leases.iter().collect();
    let mut listed: BTreeSet<_> = leases.iter().map(|lease| lease.partition).collect();
    let is_once = listed.len() == leases.len();
    listed.extend(view.table.corrupt.iter().map(|(partition, _)| *partition));
    let is_whole = view.is_complete
        && !view.partitions.is_empty()
        && is_once
        && view.partitions.iter().all(|partition| listed.contains(partition));
    is_whole.then_some(leases)
}

fn is_of_the_hub(view: &View, partition: PartitionId) -> bool {
    view.partitions.contains(&partition)
}

fn is_own(view: &View, lease: &Lease) -> bool {
    lease.holder(view.date()) == Some(&view.own)
}

fn may_take(view: &View, lease: &Lease) -> bool {
    !view.refused.contains(&lease.partition)
}

/// What this host holds and should not.
fn releases(view: &View, leases: &[&Lease]) -> Vec<Release> {
    let maximum = view.maximum.map_or(usize::MAX, |maximum| maximum as usize);
    let mut kept = 0;
    let mut releases = Vec::new();
    for lease in leases.iter().filter(|lease| is_own(view, lease)) {
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
fn regained(view: &View, leases: &[&Lease]) -> Vec<Take> {
    let is_forgotten =
        |lease: &&&Lease| is_own(view, lease) && !view.kept.contains(&lease.partition);
    let own = leases.iter().filter(is_forgotten).filter(|lease| may_take(view, lease));
    own.map(|lease| Take::new(lease.partition, TakeReason::Own)).collect()
}

/// One partition that nobody took for long, though hosts were below their share.
fn left_over(view: &View, leases: &[&Lease]) -> Option<Take> {
    let own = leases.iter().filter(|lease| is_own(view, lease)).count();
    if view.weight == 0 || view.maximum.is_some_and(|maximum| own >= maximum as usize) {
        return None;
    }
    let idle: Vec<_> = leases
        .iter()
        .filter(|lease| lease.is_free(view.date()) && !view.kept.contains(&lease.partition))
        .filter(|lease| may_take(view, lease))
        .map(|lease| (lease.partition, view.idle.scans(lease.partition)))
        .filter(|(_, scans)| *scans >= PATIENCE_SCANS)
        .collect();
    let at = usize::try_from(view.random % idle.len().max(1) as u64).unwrap_or(0);
    let (partition, scans) = *idle.get(at)?;
    Some(Take::new(partition, TakeReason::LeftOver { scans }))
}

/// The hosts that count, with their shares, ordered by id. Who holds a lease counts whatever its
/// record says; who holds none counts while its record is fresh; the dead do not.
fn hosts<'a>(view: &'a View, leases: &[&'a Lease], strategy: Strategy) -> Vec<Host<'a>> {
    let mut counts: BTreeMap<&OwnerId, usize> = BTreeMap::from([(&view.own, 0)]);
    for holder in leases.iter().filter_map(|lease| lease.holder(view.date())) {
        *counts.entry(holder).or_default() += 1;
    }
    let table = view.presence.as_ref().filter(|_| strategy == Strategy::Quota);
    for record in table.iter().flat_map(|table| table.present()) {
        counts.entry(&record.owner).or_default();
    }
    let records = table.map_or(&[][..], |table| &table.presences);
    let mut hosts: Vec<_> = counts
        .into_iter()
        .map(|(owner, count)| {
            let record = records.iter().find(|record| record.owner == *owner);
            let (weight, maximum) = match record {
                _ if *owner == view.own => (view.weight_in(strategy), view.maximum),
                Some(record) => (record.weight, record.maximum),
                None => (1, None),
            };
            Host { owner, count, weight, maximum, share: 0 }
        })
        .collect();
    share::divide(leases.len(), &mut hosts);
    hosts
}

/// How much of the pool goes to hosts before this one. All who see the same agree on that, so they
/// do not race for the same partitions.
fn before(hosts: &[Host<'_>], own: &OwnerId) -> usize {
    hosts.iter().take_while(|host| host.owner < own).map(Host::deficit).sum()
}

/// What may be taken, best first: what nobody holds, then what others have above their share.
struct Pool(Vec<Take>);

impl Pool {
    fn new(view: &View, leases: &[&Lease], hosts: &[Host<'_>], strategy: Strategy) -> Self {
        let date = view.date();
        let mut free: Vec<Take> = leases
            .iter()
            .filter(|lease| lease.is_free(date) && may_take(view, lease))
            .map(|lease| {
                let reason = match &lease.owner {
                    Some(owner) => TakeReason::Expired { owner: owner.clone() },
                    None => TakeReason::Free,
                };
                Take::new(lease.partition, reason)
            })
            .collect();
        let mut rich: Vec<_> =
            hosts.iter().filter(|host| *host.owner != view.own && host.surplus() > 0).collect();
        // The richest first; the sort is stable, so equals stay in the order of their ids.
        rich.sort_by_key(|host| std::cmp::Reverse(host.surplus()));
        let mut surplus = Vec::new();
        for host in rich {
            let mut held: Vec<_> = leases
                .iter()
                .filter(|lease| lease.holder(date) == Some(host.owner) && may_take(view, lease))
                .collect();
            scatter(&mut held, view.random, strategy);
            let reason = || TakeReason::Surplus {
                owner: host.owner.clone(),
                count: host.count,
                share: host.share,
            };
            let above = held.iter().rev().take(host.surplus());
            surplus.extend(above.map(|lease| Take::new(lease.partition, reason())));
        }
        scatter(&mut free, view.random, strategy);
        free.append(&mut surplus);
        Self(free)
    }

    fn take(self, skip: usize, count: usize) -> Vec<Take> {
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
