//! Bugs of ownership planted into sound chronicles of hosts, and of what must be once all is quiet.

use eventhubs_chaos::chronicle::{Chronicle, Span, Wipe};
use eventhubs_chaos::journal::{Entry, Note};
use eventhubs_chaos::oracle::hosts;
use eventhubs_chaos::random::Random;

use crate::misruled::{any, call, event, excused, found, insert};
use crate::ruled::{SEEDS, chronicle};

fn same_level(chronicle: &mut Chronicle, random: &mut Random) -> bool {
    let Some((process, place)) =
        any(chronicle, random, |note| matches!(note, Note::Acquired { level, .. } if *level > 4))
    else {
        return false;
    };
    let Entry { at, note: Note::Acquired { partition, level, .. } } =
        chronicle.processes[process].entries[place]
    else {
        return false;
    };
    let other = (process + 1) % chronicle.processes.len();
    let (asked, level) = (at + 50_000, level - i64::from(random.chance(50)));
    insert(chronicle, other, asked + 10, Note::Acquired { partition, level, asked });
    true
}

#[test]
fn ownerships_whose_levels_do_not_rise_are_found() {
    found("not rising", same_level);
}

#[test]
fn levels_may_begin_anew_where_a_lease_was_spoilt() {
    excused(|chronicle, random| {
        let span = Span { from: 0, to: chronicle.end };
        let spoilt = (0..4).map(|partition| Wipe { span, partition: Some(partition) });
        chronicle.wipes.extend(spoilt);
        same_level(chronicle, random)
    });
}

#[test]
fn a_handler_that_is_called_after_the_notice_is_found() {
    found("after notice", |chronicle, random| {
        let Some((process, place)) =
            any(chronicle, random, |note| matches!(note, Note::Told { .. }))
        else {
            return false;
        };
        let Entry { at, note: Note::Told { partition, level, .. } } =
            chronicle.processes[process].entries[place]
        else {
            return false;
        };
        let sequence = 0;
        let started = Note::Started { partition, level, sequence, event: event(partition, 0) };
        match random.chance(50) {
            true => insert(chronicle, process, at + 400_000, started),
            false => {
                insert(chronicle, process, at + 100, started.clone());
                insert(chronicle, process, at + 60_000, started);
            }
        }
        true
    });
}

/// An owner that calls a handler so long after it asked for its partition.
fn overdue(chronicle: &mut Chronicle, random: &mut Random, renewed: Option<u64>) -> bool {
    let acquired = any(chronicle, random, |note| matches!(note, Note::Acquired { .. }));
    let Some((process, place)) = acquired else { return false };
    let Entry { at, note: Note::Acquired { partition, level, .. } } =
        chronicle.processes[process].entries[place]
    else {
        return false;
    };
    let moment = at + 14_000_000;
    if let Some(ago) = renewed {
        let asked = moment - ago;
        insert(chronicle, process, asked + 10, Note::Renewed { partition, level, asked });
    }
    let started = Note::Started { partition, level, sequence: 0, event: event(partition, 0) };
    insert(chronicle, process, moment, started);
    true
}

#[test]
fn an_owner_that_goes_on_without_a_renewal_is_found() {
    found("overdue", |chronicle, random| overdue(chronicle, random, None));
    found("overdue", |chronicle, random| overdue(chronicle, random, Some(13_900_000)));
    for seed in 0..SEEDS {
        let mut chronicle = chronicle(seed);
        overdue(&mut chronicle, &mut Random::new(seed), Some(13_000_000));
        assert_eq!(hosts::check(&chronicle).findings.count("overdue"), 0, "seed {seed}");
    }
}

/// A former owner that still calls a handler, so long after another has come.
fn overlapping(chronicle: &mut Chronicle, random: &mut Random, by: u64) -> bool {
    for _ in 0..50 {
        let newer = random.pick(&chronicle.attached);
        let former = any(chronicle, random, |note| {
            matches!(*note, Note::Acquired { partition, level, .. }
                if partition == newer.partition && level < newer.level)
        });
        let Some((former, place)) = former else { continue };
        let entries = &chronicle.processes[former].entries;
        let Note::Acquired { partition, level, .. } = entries[place].note else { return false };
        let mut successors = chronicle.attached.iter();
        let first = successors.find(|one| one.partition == partition && one.level > level);
        if first != Some(&newer) {
            continue;
        }
        let is_told = entries
            .iter()
            .any(|entry| matches!(entry.note, Note::Told { partition: p, .. } if p == partition));
        if is_told {
            continue;
        }
        let started = Note::Started { partition, level, sequence: 0, event: event(partition, 0) };
        insert(chronicle, former, newer.at + by, started);
        return true;
    }
    false
}

#[test]
fn an_owner_that_goes_on_beside_its_successor_is_found() {
    found("overlapped", |chronicle, random| overlapping(chronicle, random, 1_200_000));
}

#[test]
fn an_owner_that_goes_on_beyond_its_lease_is_found_whatever_is_wrong() {
    found("overlapped", |chronicle, random| {
        chronicle.troubles.push(Span { from: 0, to: chronicle.end * 2 });
        overlapping(chronicle, random, 14_000_000)
    });
}

#[test]
fn an_owner_that_is_cut_off_may_go_on_until_its_fence() {
    for seed in 0..SEEDS {
        let mut chronicle = chronicle(seed);
        chronicle.troubles.push(Span { from: 0, to: chronicle.end * 2 });
        if overlapping(&mut chronicle, &mut Random::new(seed), 12_000_000) {
            let account = hosts::check(&chronicle);
            assert_eq!(account.findings.count("overlapped"), 0, "{:?}", account.findings.kept());
            assert!(account.overlap.as_secs() >= 11, "{:?}", account.overlap);
        }
    }
}

#[test]
fn several_owners_at_the_hub_are_found() {
    found("crowded", |chronicle, random| {
        chronicle.crowds.push((random.below(chronicle.end), 1));
        true
    });
}

#[test]
fn events_that_pass_under_no_ownership_are_found() {
    found("unowned", |chronicle, random| {
        let Some((process, start, _)) = call(chronicle, random) else { return false };
        let Note::Started { partition, level, .. } =
            chronicle.processes[process].entries[start].note
        else {
            return false;
        };
        let taken = |note: &Note| {
            matches!(*note, Note::Loaded { partition: p, level: l, .. }
                if (p, l) == (partition, level))
                || matches!(*note, Note::Raised { partition: p, level: l, .. }
                    if (p, l) == (partition, level))
        };
        chronicle.processes[process].entries.retain(|entry| !taken(&entry.note));
        true
    });
}

/// All of a partition is handled so much later.
fn delay(chronicle: &mut Chronicle, by: u64) {
    for process in &mut chronicle.processes {
        for entry in &mut process.entries {
            if let Note::Ended { partition: 0, .. } = entry.note {
                entry.at += by;
            }
        }
        process.entries.sort_by_key(|entry| entry.at);
    }
    chronicle.end += by;
}

#[test]
fn events_that_wait_in_peace_are_found() {
    found("waited", |chronicle, _| {
        delay(chronicle, 26_000_000);
        true
    });
}

#[test]
fn events_may_wait_while_something_is_wrong() {
    for seed in 0..SEEDS {
        let mut chronicle = chronicle(seed);
        delay(&mut chronicle, 26_000_000);
        let spans = (0..20).map(|at| Span { from: at * 10_000_000, to: at * 10_000_000 + 10 });
        chronicle.troubles.extend(spans);
        let account = hosts::check(&chronicle);
        assert_eq!(account.findings.count("waited"), 0, "{:?}", account.findings.kept());
        assert!(account.wait.as_secs() >= 26, "{:?}", account.wait);
    }
}

#[test]
fn partitions_that_are_not_shared_fairly_are_found() {
    found("unbalanced", |chronicle, random| {
        let owners = &mut chronicle.holdings[0].owners;
        match random.below(3) {
            0 => owners[0] = None,
            1 => owners[1] = owners[0].clone(),
            _ => chronicle.alive += 1,
        }
        true
    });
}

#[test]
fn a_partition_that_moves_in_the_end_is_found() {
    found("moved", |chronicle, random| {
        let last = chronicle.holdings.len() - 1;
        let owner = &mut chronicle.holdings[last].owners[random.below(4) as usize];
        if let Some((_, level)) = owner {
            *level += 1;
        }
        true
    });
}

#[test]
fn what_a_process_says_or_skips_is_found() {
    found("said", |chronicle, _| {
        chronicle.processes[1].said.push("thread 'main' panicked".to_owned());
        true
    });
    found("passed over", |chronicle, random| {
        let at = random.below(chronicle.end);
        insert(chronicle, 0, at, Note::Skipped { partition: 0, from: 1, to: 2 });
        true
    });
}
