//! Rules of balancing, for every number of partitions and hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_protocol::Timestamp;
use proptest::prelude::{Just, ProptestConfig, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::lease::LeaseTable;
use crate::owner::LeaseToken;
use crate::presence::{Presence, PresenceTable};

const LEASE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(100_000))
}

fn partitions(count: u16) -> Vec<PartitionId> {
    (0..count).map(PartitionId::from).collect()
}

fn name(host: usize) -> OwnerId {
    OwnerId::new(&format!("host-{host:03}")).expect("it is short")
}

/// A lease that was renewed just now, or one that nobody has.
fn lease(partition: u16, owner: Option<usize>) -> Lease {
    let mut lease = Lease::free(partition.into());
    lease.owner = owner.map(name);
    lease.token = owner.map(|_| LeaseToken::new("a-token").expect("it is short"));
    lease.renewed = now();
    lease
}

fn present(host: usize) -> Presence {
    let mut presence = Presence::new(name(host), LEASE);
    presence.seen = now();
    presence
}

/// The owners of all partitions, `None` where there is none; nobody's lease ends.
#[derive(Clone, Debug)]
struct Fleet {
    hosts: usize,
    owners: Vec<Option<usize>>,
    strategy: Strategy,
}

impl Fleet {
    fn view(&self, own: usize, random: u64) -> View {
        let leases = (0..).zip(&self.owners).map(|(at, owner)| lease(at, *owner)).collect();
        let table = LeaseTable::new(now(), leases);
        let mut view = View::new(name(own), partitions(self.owners.len() as u16), table);
        let presences = (0..self.hosts).map(present).collect();
        view.presence = Some(PresenceTable::new(now(), presences));
        let own = view.table.leases.iter().filter(|lease| lease.owner.as_ref() == Some(&view.own));
        view.kept = own.map(|lease| lease.partition).collect();
        view.strategy = self.strategy;
        view.random = random;
        view
    }

    fn count(&self, host: usize) -> usize {
        self.owners.iter().filter(|owner| **owner == Some(host)).count()
    }

    /// One host scans and its takes are won. How many moved.
    fn scan(&mut self, host: usize, random: u64) -> usize {
        let plan = plan(&self.view(host, random));
        for take in &plan.takes {
            self.owners[usize::from(take.partition.as_u16())] = Some(host);
        }
        plan.takes.len()
    }

    fn is_balanced(&self) -> bool {
        let share = self.owners.len() / self.hosts;
        (0..self.hosts).all(|host| (share..=share + 1).contains(&self.count(host)))
            && self.owners.iter().all(Option::is_some)
    }
}

fn strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![Just(Strategy::Balanced), Just(Strategy::Greedy), Just(Strategy::Quota)]
}

/// Up to 100 partitions and 40 hosts, with any owners.
fn fleet() -> impl proptest::strategy::Strategy<Value = Fleet> {
    (1_usize..=100, 1_usize..=40, strategy()).prop_flat_map(|(count, hosts, strategy)| {
        proptest::collection::vec(proptest::option::of(0..hosts), count)
            .prop_map(move |owners| Fleet { hosts, owners, strategy })
    })
}

proptest! {
    /// A8, A9, and that a claim says the truth about why it is made.
    #[test]
    fn nobody_takes_too_much_or_from_whom_it_may_not(fleet in fleet(), own: usize, random: u64) {
        let own = own % fleet.hosts;
        let view = fleet.view(own, random);
        let plan = plan(&view);
        prop_assert!(plan.releases.is_empty());
        let seen = match view.effective_strategy() {
            Strategy::Quota => fleet.hosts,
            _ => (0..fleet.hosts).filter(|&host| host == own || fleet.count(host) > 0).count(),
        };
        let share = fleet.owners.len().div_ceil(seen);
        let after = fleet.count(own) + plan.takes.len();
        prop_assert!(plan.takes.is_empty() || after <= share, "{after} of {share}");
        let mut lost: BTreeMap<usize, usize> = BTreeMap::new();
        let mut claimed = BTreeSet::new();
        for take in &plan.takes {
            prop_assert!(claimed.insert(take.partition), "twice");
            let owner = fleet.owners[usize::from(take.partition.as_u16())];
            match (owner, &take.reason) {
                (None, TakeReason::Free) => {}
                (Some(owner), TakeReason::Surplus { .. }) => {
                    prop_assert!(owner != own, "from itself");
                    *lost.entry(owner).or_default() += 1;
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        for (victim, lost) in lost {
            prop_assert!(fleet.count(victim) - lost >= fleet.owners.len() / seen, "below its share");
        }
        if view.effective_strategy() == Strategy::Balanced {
            prop_assert!(plan.takes.len() <= 1);
        }
    }

    /// V4: hosts that see the same list at the same moment claim different partitions, and nothing
    /// is claimed that need not move.
    #[test]
    fn quotas_of_one_list_do_not_overlap(mut fleet in fleet()) {
        fleet.strategy = Strategy::Quota;
        let before = fleet.clone();
        let mut moved = BTreeSet::new();
        for host in 0..fleet.hosts {
            for take in plan(&before.view(host, 0)).takes {
                prop_assert!(moved.insert(take.partition), "two hosts claim it");
                fleet.owners[usize::from(take.partition.as_u16())] = Some(host);
            }
        }
        prop_assert!(fleet.is_balanced());
        let (count, floor) = (fleet.owners.len(), fleet.owners.len() / fleet.hosts);
        let mut counts: Vec<_> = (0..fleet.hosts).map(|host| before.count(host)).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        let extra = count % fleet.hosts;
        let kept: usize = counts.iter().enumerate()
            .map(|(place, count)| *count.min(&(floor + usize::from(place < extra)))).sum();
        prop_assert_eq!(moved.len(), count - kept, "the minimum");
    }

    /// B15, A7.
    #[test]
    fn an_incomplete_list_never_leads_to_claims(
        fleet in fleet(), own: usize, cut in 1_usize..100, how in 0_u8..3,
    ) {
        let mut view = fleet.view(own % fleet.hosts, 0);
        match how {
            0 => view.is_complete = false,
            1 => view.table.leases.truncate(view.table.leases.len().saturating_sub(cut)),
            _ => view.table.leases.push(view.table.leases[0].clone()),
        }
        let plan = plan(&view);
        prop_assert!(plan.takes.is_empty() && plan.releases.is_empty());
        prop_assert_eq!(plan.abstention, Some(Abstention::Incomplete));
    }

    /// The dead are not counted, whatever they held.
    #[test]
    fn the_dead_have_no_share(mut fleet in fleet(), own: usize) {
        let own = own % fleet.hosts;
        fleet.strategy = Strategy::Quota;
        let mut view = fleet.view(own, 0);
        let long_ago = Timestamp::UNIX_EPOCH;
        let leases = view.table.leases.iter_mut();
        for lease in leases.filter(|lease| lease.owner.as_ref() != Some(&view.own)) {
            lease.renewed = long_ago;
        }
        let records = view.presence.iter_mut().flat_map(|table| &mut table.presences);
        for record in records.filter(|record| record.owner != view.own) {
            record.seen = long_ago;
        }
        let missing = fleet.owners.len() - fleet.count(own);
        prop_assert_eq!(plan(&view).takes.len(), missing);
    }

    /// Weights and maxima: everything is shared that anybody can take, and never more.
    #[test]
    fn shares_are_in_proportion_and_within_the_maxima(
        count in 0_usize..300,
        hosts in proptest::collection::vec((0_u32..5, proptest::option::of(0_u32..20)), 1..40),
    ) {
        let names: Vec<OwnerId> = (0..hosts.len()).map(name).collect();
        let mut hosts: Vec<_> = hosts.iter().zip(&names).map(|(&(weight, maximum), owner)| {
            Host { owner, count: 0, weight, maximum, share: 0 }
        }).collect();
        share::divide(count, &mut hosts);
        let total: usize = hosts.iter().map(|host| host.share).sum();
        let capacity: usize = hosts.iter().filter(|host| host.weight > 0)
            .map(|host| host.maximum.map_or(count, |maximum| maximum as usize)).sum();
        prop_assert_eq!(total, count.min(capacity));
        for host in &hosts {
            prop_assert!(host.maximum.is_none_or(|maximum| host.share <= maximum as usize));
            prop_assert!(host.weight > 0 || host.share == 0);
        }
        for (one, other) in hosts.iter().zip(hosts.iter().skip(1)) {
            if one.maximum.is_none() && other.maximum.is_none() && one.weight <= other.weight {
                prop_assert!(one.share <= other.share + 1);
            }
        }
    }
}

proptest! {
    // Each case is hundreds of scans.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// V2 and V3: scans one after the other lead to balance, in at most as many rounds as the
    /// strategy needs, and then nothing moves.
    #[test]
    fn any_fleet_settles_and_then_nothing_moves(mut fleet in fleet(), seed: u64) {
        // One in a scan, and every scan of a host below its share takes one.
        let rounds = match fleet.strategy {
            Strategy::Quota => 2,
            Strategy::Greedy => 2 * fleet.hosts,
            Strategy::Balanced => 2 * fleet.owners.len() + fleet.hosts,
        };
        let mut round = 0;
        loop {
            let random = |host: usize| seed.wrapping_mul(round + 1).rotate_left(host as u32);
            let moved: usize = (0..fleet.hosts).map(|host| fleet.scan(host, random(host))).sum();
            if moved == 0 {
                break;
            }
            round += 1;
            prop_assert!(round <= rounds as u64, "{:?}", fleet);
        }
        prop_assert!(fleet.is_balanced(), "{:?}", fleet);
        for host in 0..fleet.hosts {
            prop_assert_eq!(fleet.scan(host, seed), 0);
        }
    }
}

#[test]
fn the_first_scan_of_a_quota_only_announces() {
    let fleet = Fleet { hosts: 1, owners: vec![None; 4], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.is_first_scan = true;
    assert_eq!(plan(&view).abstention, Some(Abstention::FirstScan));
    assert!(plan(&view).takes.is_empty());
    view.strategy = Strategy::Balanced;
    assert_eq!(plan(&view).takes.len(), 1, "there is nobody to announce to");
}

#[test]
fn a_quota_without_records_takes_one_in_a_scan() {
    let fleet = Fleet { hosts: 1, owners: vec![None; 4], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.presence = None;
    assert_eq!(plan(&view).takes.len(), 1);
}

#[test]
fn a_host_that_wants_none_gives_back_and_takes_nothing() {
    let owners = vec![Some(0), None, Some(0)];
    let fleet = Fleet { hosts: 1, owners, strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.weight = 0;
    let plan = plan(&view);
    let reasons: Vec<_> = plan.releases.iter().map(|release| release.reason).collect();
    assert_eq!(reasons, [ReleaseReason::Leaving; 2]);
    assert!(plan.takes.is_empty());
}

#[test]
fn what_is_above_the_maximum_is_given_back() {
    let fleet = Fleet { hosts: 1, owners: vec![Some(0); 3], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.maximum = Some(2);
    let released = plan(&view).releases;
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].reason, ReleaseReason::AboveMaximum);
    view.maximum = Some(3);
    assert_eq!(plan(&view), Plan::default());
}

#[test]
fn partitions_the_hub_does_not_have_are_given_back_and_not_claimed() {
    let fleet = Fleet { hosts: 1, owners: vec![Some(0), Some(0), None], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.partitions.truncate(1);
    let plan = super::plan(&view);
    assert_eq!(plan.releases.len(), 1);
    assert_eq!(plan.releases[0].reason, ReleaseReason::NoSuchPartition);
    view.table.leases[1] = lease(1, None);
    assert_eq!(super::plan(&view), Plan::default());
}

#[test]
fn partitions_that_were_added_are_claimed() {
    let mut fleet = Fleet { hosts: 1, owners: vec![Some(0); 4], strategy: Strategy::Quota };
    fleet.owners.extend([None, None]);
    let taken = plan(&fleet.view(0, 0)).takes;
    assert_eq!(taken.len(), 2);
}

#[test]
fn what_the_store_says_is_held_here_is_claimed_again() {
    let fleet = Fleet { hosts: 2, owners: vec![Some(0), Some(1)], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.kept.clear();
    view.is_first_scan = true;
    let takes = plan(&view).takes;
    assert_eq!(takes.len(), 1);
    assert_eq!(takes[0].reason, TakeReason::Own);
}

#[test]
fn what_is_still_on_its_way_out_is_not_claimed() {
    let fleet = Fleet { hosts: 1, owners: vec![None, None], strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.kept.insert(0.into());
    let takes = plan(&view).takes;
    assert_eq!(takes.len(), 1);
    assert_eq!(takes[0].partition, 1.into());
}

#[test]
fn what_nobody_takes_for_long_is_taken_above_the_share() {
    let owners = vec![Some(0), Some(1), None, None];
    let fleet = Fleet { hosts: 3, owners, strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    for scan in 1..PATIENCE_SCANS {
        view.idle.scanned(&view.table);
        assert_eq!(view.idle.scans(2.into()), scan);
        let kept: Vec<_> = plan(&view).takes.iter().map(|take| take.partition).collect();
        assert!(kept.len() <= 1, "its share only");
    }
    view.table.leases[2] = lease(2, Some(0));
    view.kept.insert(2.into());
    view.idle.scanned(&view.table);
    let takes = plan(&view).takes;
    assert_eq!(takes.len(), 1);
    assert_eq!(takes[0].reason, TakeReason::LeftOver { scans: PATIENCE_SCANS });
    view.maximum = Some(2);
    assert!(plan(&view).takes.is_empty());
}

#[test]
fn a_record_that_cannot_be_read_stops_only_its_partition() {
    let owners = vec![None, None, Some(0), None];
    let fleet = Fleet { hosts: 1, owners, strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    let broken = view.table.leases.remove(1);
    assert_eq!(plan(&view).abstention, Some(Abstention::Incomplete));
    let (kind, operation) = (StoreErrorKind::Corrupt, StoreOperation::List);
    let error = StoreError::new(kind, operation, "the lease", "it is no JSON");
    view.table.corrupt.push((broken.partition, error));
    let taken: Vec<_> = plan(&view).takes.iter().map(|take| take.partition.as_u16()).collect();
    assert_eq!(taken, [0, 3]);
}

#[test]
fn a_host_that_stands_by_has_no_share_in_the_eyes_of_others() {
    let owners = vec![Some(1), Some(1), None, None];
    let fleet = Fleet { hosts: 2, owners, strategy: Strategy::Quota };
    let mut view = fleet.view(0, 0);
    view.presence.iter_mut().for_each(|table| table.presences[1].weight = 0);
    assert_eq!(plan(&view).takes.len(), 4);
    view.presence.iter_mut().for_each(|table| {
        table.presences[1].weight = 1;
        table.presences[1].maximum = Some(1);
    });
    assert_eq!(plan(&view).takes.len(), 3);
}
