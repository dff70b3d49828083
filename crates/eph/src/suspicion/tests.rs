//! What is told when, and what is held off for how long.

use super::*;
use crate::lease::Lease;
use crate::owner::LeaseToken;

const LEASE: Duration = Duration::from_secs(60);

fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn suspicion() -> Suspicion {
    Suspicion::new(EpochMode::Rising, LEASE)
}

fn own() -> OwnerId {
    OwnerId::new("own").expect("it is short")
}

fn date(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(at(second))
}

/// Partition 0, held by that owner.
fn table(second: u64, owner: &str, epoch: i64) -> LeaseTable {
    let mut lease = Lease::free(0.into());
    lease.owner = Some(OwnerId::new(owner).expect("it is short"));
    lease.token = Some(LeaseToken::new("a-token").expect("it is short"));
    lease.epoch = OwnerLevel::new(epoch).expect("it is not negative");
    lease.renewed = date(second);
    LeaseTable::new(date(second), vec![lease])
}

fn listed(suspicion: &mut Suspicion, second: u64, owner: &str, epoch: i64) -> Vec<Kind> {
    let told = suspicion.listed(&own(), &table(second, owner, epoch), at(second), at(second));
    told.iter().map(Misconfiguration::kind).collect()
}

fn steal(suspicion: &mut Suspicion, second: u64) -> Option<Kind> {
    suspicion.ended(0.into(), End::Stolen, at(second)).map(|told| told.kind())
}

fn is_held_off(suspicion: &Suspicion, second: u64) -> bool {
    suspicion.held_off(at(second)).contains(&0.into())
}

#[test]
fn b12_a_partition_that_is_stolen_again_and_again_is_held_off_longer_and_longer() {
    let mut suspicion = suspicion();
    for second in [0, 100, 200] {
        assert_eq!(steal(&mut suspicion, second), None);
        assert!(!is_held_off(&suspicion, second));
    }
    assert_eq!(steal(&mut suspicion, 300), Some(Kind::EpochPingPong));
    let mut stolen = 300;
    for hold_off in [30, 60, 120, 240, 480, 600, 600] {
        assert!(is_held_off(&suspicion, stolen + hold_off - 1), "{hold_off}");
        assert!(!is_held_off(&suspicion, stolen + hold_off), "{hold_off}");
        stolen += hold_off;
        steal(&mut suspicion, stolen);
    }
    // Quiet for long: it begins anew.
    let later = stolen + 600 + 600;
    assert_eq!(steal(&mut suspicion, later), None);
    assert!(!is_held_off(&suspicion, later));
}

#[test]
fn thefts_that_are_rare_are_nothing() {
    let mut suspicion = suspicion();
    for time in 0..50 {
        assert_eq!(steal(&mut suspicion, time * 201), None);
        assert!(!is_held_off(&suspicion, time * 201));
    }
}

#[test]
fn partitions_are_held_off_each_for_itself() {
    let mut suspicion = suspicion();
    for partition in 0..40_u16 {
        assert_eq!(suspicion.ended(partition.into(), End::Stolen, at(1)), None);
    }
    assert!(suspicion.held_off(at(1)).is_empty());
}

#[test]
fn b12_a_second_store_is_told_when_the_store_contradicts_twice() {
    let mut suspicion = suspicion();
    steal(&mut suspicion, 5);
    // The list was begun before: it says nothing.
    let early = suspicion.listed(&own(), &table(4, "own", 3), at(4), at(6));
    assert!(early.is_empty());
    assert!(listed(&mut suspicion, 10, "own", 3).is_empty(), "it may have been a person");
    assert!(listed(&mut suspicion, 20, "own", 4).is_empty(), "the same theft");
    steal(&mut suspicion, 25);
    assert_eq!(listed(&mut suspicion, 30, "own", 5), [Kind::SecondStore]);
    steal(&mut suspicion, 35);
    assert!(listed(&mut suspicion, 40, "own", 6).is_empty(), "once in ten minutes");
}

#[test]
fn who_steals_by_way_of_the_store_is_no_second_store() {
    let mut suspicion = suspicion();
    for time in 0..20 {
        steal(&mut suspicion, 300 * time + 1);
        assert!(listed(&mut suspicion, 300 * time + 2, "another", 7).is_empty());
    }
}

#[test]
fn owners_with_other_levels_are_foreign() {
    assert_eq!(listed(&mut suspicion(), 1, "another", 0), [Kind::ForeignOwners]);
    assert!(listed(&mut suspicion(), 1, "another", 1).is_empty());
    let mut zero = Suspicion::new(EpochMode::Zero, LEASE);
    assert!(listed(&mut zero, 1, "another", 0).is_empty());
    assert_eq!(listed(&mut zero, 2, "another", 1), [Kind::ForeignOwners]);
    // Who is gone does no harm, and what is free has any level.
    let gone = LeaseTable { date: date(62), ..table(1, "another", 0) };
    assert!(suspicion().listed(&own(), &gone, at(62), at(62)).is_empty());
}

#[test]
fn each_kind_is_told_once_in_ten_minutes() {
    let mut suspicion = suspicion();
    let mut told = Vec::new();
    for second in (0..1_800).step_by(10) {
        told.extend(listed(&mut suspicion, second, "another", 0).iter().map(|_| second));
    }
    assert_eq!(told, [0, 600, 1_200]);
}

#[test]
fn b10_clocks_that_are_wrong_are_told() {
    let by = at(21);
    let late = Misconfiguration::ClockTrouble(ClockTrouble::RenewedLate { by });
    assert_eq!(suspicion().renewed(by, at(1)), Some(late));
    assert_eq!(suspicion().renewed(at(20), at(1)), None);

    let jumped = Misconfiguration::ClockTrouble(ClockTrouble::Jumped);
    assert_eq!(suspicion().ended(0.into(), End::ClockJump, at(1)), Some(jumped));

    let mut suspicion = suspicion();
    assert!(listed(&mut suspicion, 100, "another", 1).is_empty());
    assert!(
        listed(&mut suspicion, 99, "another", 1).is_empty(),
        "two replicas may differ a little"
    );
    assert_eq!(listed(&mut suspicion, 50, "another", 1), [Kind::ClockTrouble]);
}

#[test]
fn b11_who_reaches_nothing_stands_by_and_tries_again() {
    let mut suspicion = suspicion();
    suspicion.linked(1.into());
    // Another partition can be read: this one is the trouble, and is held off alone.
    assert_eq!(suspicion.ended(0.into(), End::Unlinked, at(100)), None);
    assert!(is_held_off(&suspicion, 129) && !is_held_off(&suspicion, 130));
    assert!(!suspicion.stands_by(at(100)));

    suspicion.unlinked(1.into());
    suspicion.ended(1.into(), End::Unlinked, at(200));
    suspicion.ended(2.into(), End::Unlinked, at(200));
    assert!(suspicion.stands_by(at(229)) && !suspicion.stands_by(at(230)));
    suspicion.ended(1.into(), End::Unlinked, at(350));
    assert!(suspicion.stands_by(at(409)) && !suspicion.stands_by(at(410)), "twice as long");

    suspicion.linked(2.into());
    assert!(!suspicion.stands_by(at(351)));
}

#[test]
fn what_ends_in_order_is_no_sign() {
    let mut suspicion = suspicion();
    for second in 0..100 {
        for end in [End::Released, End::Lost, End::Unproven] {
            assert_eq!(suspicion.ended(0.into(), end, at(second)), None);
        }
    }
    assert!(!is_held_off(&suspicion, 100) && !suspicion.stands_by(at(100)));
}
