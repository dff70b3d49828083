//! What a host intends with a table.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_protocol::{OwnerLevel, PartitionId, Timestamp};

use super::{Intent, Memory};
use crate::balance::{Plan, Strategy};
use crate::lease::{EpochMode, Lease, LeaseTable};
use crate::owner::{LeaseToken, OwnerId};
use crate::ownership::Moment;
use crate::presence::{Presence, PresenceTable};
use crate::scan::Found;

const DATE: Timestamp = Timestamp::from_millis(1_000_000);

fn owner(name: &str) -> OwnerId {
    OwnerId::new(name).expect("it is short")
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn held(partition: u16, by: &str) -> Lease {
    let mut lease = Lease::free(PartitionId::from(partition));
    (lease.owner, lease.token) = (Some(owner(by)), Some(LeaseToken::unique()));
    lease.renewed = DATE;
    lease
}

/// What a host finds when partitions are held like that: by a name, or by nobody.
fn found(holders: &[Option<&str>]) -> Found {
    let partitions = || (0..).map(PartitionId::from).take(holders.len());
    let leases = (0..).zip(holders).map(|(partition, holder)| match holder {
        Some(name) => held(partition, name),
        None => Lease::free(PartitionId::from(partition)),
    });
    let presences = ["a", "b"].map(|name| {
        let mut presence = Presence::new(owner(name), at(30));
        presence.seen = DATE;
        presence
    });
    Found {
        began: Moment { monotonic: at(1), wall: UNIX_EPOCH },
        announced: Presence::new(owner("a"), at(30)),
        partitions: partitions().collect(),
        hub: None,
        silence: None,
        table: Some(LeaseTable::new(DATE, leases.collect())),
        presence: Some(PresenceTable::new(DATE, presences.into())),
        is_complete: true,
        corrupt: Vec::new(),
        errors: Vec::new(),
    }
}

fn intent() -> Intent {
    Intent {
        own: owner("a"),
        weight: 1,
        maximum: None,
        strategy: Strategy::Quota,
        kept: BTreeSet::new(),
        random: 0,
    }
}

/// A memory of a host that others know.
fn known() -> Memory {
    let mut memory = Memory::new(EpochMode::Rising);
    memory.announced = Some((1, at(0)));
    memory
}

fn taken(plan: &Plan) -> Vec<u16> {
    plan.takes.iter().map(|take| take.partition.as_u16()).collect()
}

#[test]
fn the_first_complete_scan_only_announces() {
    let mut memory = Memory::new(EpochMode::Rising);
    let cut_short = Found { is_complete: false, ..found(&[None; 4]) };
    assert!(taken(&memory.plan(&cut_short, intent(), at(1))).is_empty());
    assert!(taken(&memory.plan(&found(&[None; 4]), intent(), at(2))).is_empty(), "announces");
    assert_eq!(taken(&memory.plan(&found(&[None; 4]), intent(), at(3))), [0, 1]);
}

#[test]
fn a_host_that_wanted_nothing_or_has_lapsed_is_announced_first() {
    let mut memory = known();
    let mut aside = found(&[None; 4]);
    aside.announced.weight = 0;
    let idle = Intent { weight: 0, ..intent() };
    assert!(taken(&memory.plan(&aside, idle, at(1))).is_empty());
    // Looked before it was resumed, planned after.
    assert!(taken(&memory.plan(&aside, intent(), at(1))).is_empty());
    assert!(taken(&memory.plan(&found(&[None; 4]), intent(), at(1))).is_empty(), "announces");
    assert_eq!(taken(&memory.plan(&found(&[None; 4]), intent(), at(1))), [0, 1]);

    let later = |seconds| {
        let mut found = found(&[None; 4]);
        found.began.monotonic = at(seconds);
        found
    };
    assert_eq!(taken(&memory.plan(&later(30), intent(), at(30))), [0, 1], "it is still present");
    assert!(taken(&memory.plan(&later(60), intent(), at(60))).is_empty(), "it has lapsed");
    assert_eq!(taken(&memory.plan(&later(70), intent(), at(70))), [0, 1]);
}

#[test]
fn b15_an_incomplete_list_never_leads_to_claims() {
    let mut memory = known();
    let cut_short = Found { is_complete: false, ..found(&[None; 4]) };
    assert!(taken(&memory.plan(&cut_short, intent(), at(1))).is_empty());
    let mut short = found(&[None; 4]);
    short.table.as_mut().expect("there is one").leases.pop();
    assert!(taken(&memory.plan(&short, intent(), at(2))).is_empty());
}

#[test]
fn what_is_held_off_is_not_claimed_until_its_time_has_come() {
    let mut memory = known();
    memory.hold_off(0.into(), at(10));
    assert_eq!(taken(&memory.plan(&found(&[None; 4]), intent(), at(9))), [1]);
    assert_eq!(taken(&memory.plan(&found(&[None; 4]), intent(), at(10))), [0, 1]);
}

#[test]
fn a_level_is_above_all_that_were_heard_of() {
    let mut memory = known();
    let seven = OwnerLevel::new(7).expect("valid");
    memory.see(3.into(), seven);
    let level = memory.next_level(&Lease::free(3.into())).expect("there is one");
    assert_eq!(level.as_i64(), 8);
    assert_eq!(memory.next_level(&Lease::free(4.into())).expect("another one").as_i64(), 1);
    let mut zero = Memory::new(EpochMode::Zero);
    zero.see(3.into(), seven);
    assert_eq!(zero.next_level(&Lease::free(3.into())), Some(OwnerLevel::ZERO));
}

#[test]
fn a_partition_that_was_stopped_is_left_to_others_and_they_can_see_it() {
    let mut memory = known();
    memory.stop(5.into());
    let intent = || Intent { kept: BTreeSet::from([0.into(), 1.into()]), ..intent() };
    let holders = [Some("a"), Some("a"), Some("b"), Some("b"), Some("b"), None];
    assert!(taken(&memory.plan(&found(&holders), intent(), at(1))).is_empty());
    assert_eq!(memory.maximum(None), Some(2), "there is nothing else to take");
    assert_eq!(memory.maximum(Some(1)), Some(1));

    // Somebody has it: this host takes another one in its place.
    let holders = [Some("a"), Some("a"), Some("b"), Some("b"), Some("b"), Some("b")];
    assert_eq!(taken(&memory.plan(&found(&holders), intent(), at(2))), [4]);
    assert_eq!(memory.maximum(None), None);
}

#[test]
fn a_partition_that_was_stopped_stands_in_the_way_of_no_other() {
    let mut memory = known();
    memory.stop(0.into());
    let mut found = found(&[None; 4]);
    // The other host is gone.
    found.presence = None;
    let greedy = Intent { strategy: Strategy::Greedy, ..intent() };
    assert_eq!(taken(&memory.plan(&found, greedy, at(1))), [1, 2, 3]);
    // One at a time, and the first in the list.
    let balanced = Intent { strategy: Strategy::Balanced, ..intent() };
    assert_eq!(taken(&memory.plan(&found, balanced, at(1))), [1]);
    assert_eq!(memory.maximum(None), Some(3));
}
