//! Who owned what when: levels rise, and whoever has lost a partition calls no handler for it.

use std::time::Duration;

use super::peace::{Troubles, micros};
use super::tenures::{Call, Tenure};
use super::{CLOCKS, HostAccount};
use crate::breach::Breach;
use crate::chronicle::{Attached, Chronicle, Span};
use crate::violation::Findings;

/// From the look at the ownership to the call of the handler nothing is waited for, but a thread may
/// be kept from running in between: one call may begin so long after the notice.
const TURN: u64 = 250_000;
/// A receiver that another displaced is told at once. It calls no handler later than this, in
/// microseconds, not counting the time in which something was wrong.
const DISPLACED: u64 = 1_000_000;

pub(super) fn check(chronicle: &Chronicle, tenures: &[Tenure], account: &mut HostAccount) {
    let troubles = Troubles::of(chronicle);
    for tenure in tenures {
        notice(tenure, &mut account.findings);
        fenced(chronicle, tenure, &mut account.findings);
    }
    for partition in 0..chronicle.history.logs.len() {
        let partition = u16::try_from(partition).unwrap_or(u16::MAX);
        let own: Vec<_> = tenures.iter().filter(|own| own.partition == partition).collect();
        levels(chronicle, &own, &mut account.findings);
        let newer: Vec<_> =
            chronicle.attached.iter().filter(|one| one.partition == partition).collect();
        for tenure in &own {
            overlap(chronicle, &troubles, tenure, &own, &newer, account);
        }
    }
    for (at, partition) in &chronicle.crowds {
        account.findings.add(Breach::Crowded { partition: *partition, at: *at });
    }
}

/// Whether levels of a partition may begin anew between two moments.
fn begins_anew(chronicle: &Chronicle, partition: u16, from: u64, to: u64) -> bool {
    let span = Span { from, to };
    chronicle.wipes.iter().any(|wipe| wipe.levels(partition) && wipe.span.meets(&span))
}

/// Who asks after another was answered has a higher level, and no two have the same.
fn levels(chronicle: &Chronicle, own: &[&Tenure], findings: &mut Findings) {
    let first = |tenure: &Tenure| tenure.levels.first().map_or(0, |(_, level)| *level);
    for (index, one) in own.iter().enumerate() {
        for other in &own[index + 1..] {
            let (earlier, later) = match one.asked <= other.asked {
                true => (one, other),
                false => (other, one),
            };
            let highest = earlier
                .levels
                .iter()
                .filter(|(at, _)| at + CLOCKS < later.asked)
                .map(|(_, level)| *level)
                .max();
            let (level, partition) = (first(later), later.partition);
            let before = match highest {
                Some(before) if level <= before => before,
                _ if level == first(earlier) => level,
                _ => continue,
            };
            if !begins_anew(chronicle, partition, earlier.asked, later.acquired() + CLOCKS) {
                findings.add(Breach::NotRising { partition, level, before });
            }
        }
    }
}

/// No handler is called after handlers were told that it is over.
fn notice(tenure: &Tenure, findings: &mut Findings) {
    let Some(told) = tenure.told else { return };
    let late: Vec<_> = tenure.calls.iter().filter(|call| call.at > told).collect();
    for (index, call) in late.iter().enumerate() {
        // A batch is one call of many events at one moment.
        let is_first = late[..index].iter().all(|before| call.at - before.at < TURN / 10);
        if !is_first || call.at - told > TURN {
            let (host, partition, level) = (tenure.host, tenure.partition, call.level);
            let by = Duration::from_micros(call.at - told);
            findings.add(Breach::AfterNotice { host, partition, level, by });
        }
    }
}

/// From asking for a lease to the fence, in microseconds: the lease less a tenth, at least a second.
fn held(chronicle: &Chronicle) -> u64 {
    let lease = micros(chronicle.lease);
    lease.saturating_sub((lease / 10).max(1_000_000))
}

/// No handler is called when the lease was not renewed in time, however the process spent it.
fn fenced(chronicle: &Chronicle, tenure: &Tenure, findings: &mut Findings) {
    for call in &tenure.calls {
        let renewals = tenure.renewals.iter().copied().filter(|asked| *asked <= call.at);
        let fence = renewals.fold(tenure.asked, u64::max) + held(chronicle);
        if call.at > fence + TURN {
            let (host, partition, level) = (tenure.host, tenure.partition, call.level);
            let by = Duration::from_micros(call.at - fence);
            findings.add(Breach::Overdue { host, partition, level, by });
        }
    }
}

/// Calls of an owner after another had come.
fn overlap(
    chronicle: &Chronicle,
    troubles: &Troubles,
    tenure: &Tenure,
    own: &[&Tenure],
    newer: &[&Attached],
    account: &mut HostAccount,
) {
    for call in &tenure.calls {
        let other = newer.iter().find(|one| one.level > call.level && one.at + CLOCKS < call.at);
        let Some(other) = other else { continue };
        if begins_anew(chronicle, tenure.partition, tenure.asked, call.at) {
            continue;
        }
        let by = call.at - other.at;
        account.overlapped += 1;
        account.overlap = account.overlap.max(Duration::from_micros(by));
        let sound = troubles.peace_between(other.at, call.at);
        let limit = match fence(chronicle, own, other, call) {
            Some(fence) if call.at > fence => fence.saturating_sub(other.at),
            _ if sound > DISPLACED => DISPLACED,
            _ => continue,
        };
        account.findings.add(Breach::Overlapped {
            host: tenure.host,
            partition: tenure.partition,
            level: call.level,
            newer: other.level,
            by: Duration::from_micros(by),
            limit: Duration::from_micros(limit),
        });
    }
}

/// When whoever had the partition before must have fenced itself, whatever it hears: it has not
/// renewed its lease since another got the partition.
fn fence(chronicle: &Chronicle, own: &[&Tenure], other: &Attached, call: &Call) -> Option<u64> {
    let levels = own.iter().flat_map(|tenure| &tenure.levels);
    let acquired = levels.filter(|(at, level)| *level == other.level && *at <= call.at);
    acquired.map(|(at, _)| at + held(chronicle) + TURN).max()
}
