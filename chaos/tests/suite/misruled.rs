//! Bugs planted into sound chronicles of hosts: each is found, under its own name.

use eventhubs_chaos::chronicle::{Chronicle, Span, Wipe};
use eventhubs_chaos::journal::{Entry, Note};
use eventhubs_chaos::oracle::hosts;
use eventhubs_chaos::random::Random;
use eventhubs_chaos::stamp::EventId;

use crate::ruled::{SEEDS, chronicle};

/// Changes one thing; false where this chronicle has nothing to change.
type Change = fn(&mut Chronicle, &mut Random) -> bool;

/// Each change of at least half of the chronicles is found under this name.
#[track_caller]
fn found(name: &str, change: Change) {
    let mut changed = 0;
    for seed in 0..SEEDS {
        let mut chronicle = chronicle(seed);
        if !change(&mut chronicle, &mut Random::new(seed)) {
            continue;
        }
        changed += 1;
        let findings = hosts::check(&chronicle).findings;
        assert!(findings.count(name) > 0, "seed {seed}: no {name}, {:?}", findings.kept());
    }
    assert!(changed > SEEDS / 2, "{changed} of {SEEDS}");
}

/// A change that is no violation, however it looks.
#[track_caller]
fn excused(change: Change) {
    let mut changed = 0;
    for seed in 0..SEEDS {
        let mut chronicle = chronicle(seed);
        if change(&mut chronicle, &mut Random::new(seed)) {
            changed += 1;
            let findings = hosts::check(&chronicle).findings;
            assert!(findings.is_empty(), "seed {seed}: {:?}", findings.kept());
        }
    }
    assert!(changed > SEEDS / 2, "{changed} of {SEEDS}");
}

/// One of the entries that a predicate takes: its process and place.
fn any(
    chronicle: &Chronicle,
    random: &mut Random,
    takes: impl Fn(&Note) -> bool,
) -> Option<(usize, usize)> {
    let mut fitting = Vec::new();
    for (process, one) in chronicle.processes.iter().enumerate() {
        let places = (0..one.entries.len()).filter(|at| takes(&one.entries[*at].note));
        fitting.extend(places.map(|at| (process, at)));
    }
    (!fitting.is_empty()).then(|| random.pick(&fitting))
}

/// A successful call in the middle of its ownership: its process and the places of start and end.
fn call(chronicle: &Chronicle, random: &mut Random) -> Option<(usize, usize, usize)> {
    for _ in 0..100 {
        let (process, start) = any(chronicle, random, |note| matches!(note, Note::Started { .. }))?;
        let entries = &chronicle.processes[process].entries;
        let Note::Started { partition, sequence, .. } = entries[start].note else { return None };
        let same = |note: &Note| match *note {
            Note::Ended { partition: p, sequence: s, .. } => (p, s) == (partition, sequence),
            _ => false,
        };
        let end = entries[start..].iter().position(|entry| same(&entry.note));
        let end = end.map(|end| start + end);
        if let Some(end) = end
            && matches!(entries[end].note, Note::Ended { ok: true, .. })
        {
            return Some((process, start, end));
        }
    }
    None
}

fn insert(chronicle: &mut Chronicle, process: usize, at: u64, note: Note) {
    let entries = &mut chronicle.processes[process].entries;
    let place = entries.partition_point(|entry| entry.at <= at);
    entries.insert(place, Entry { at, note });
}

fn event(partition: u16, sequence: i64) -> Option<EventId> {
    Some(EventId { producer: 1, partition, counter: sequence.unsigned_abs() })
}

#[test]
fn an_event_that_no_handler_finished_is_unhandled() {
    found("unhandled", |chronicle, random| {
        let Some((process, _, end)) = call(chronicle, random) else { return false };
        let Note::Ended { partition, sequence, .. } =
            chronicle.processes[process].entries[end].note
        else {
            return false;
        };
        for process in &mut chronicle.processes {
            for entry in &mut process.entries {
                if let Note::Ended { partition: p, sequence: s, ok, .. } = &mut entry.note
                    && (*p, *s) == (partition, sequence)
                {
                    *ok = false;
                }
            }
        }
        true
    });
}

#[test]
fn an_event_that_changed_on_its_way_to_the_handler_is_mishandled() {
    found("mishandled", |chronicle, random| {
        let Some((process, start, _)) = call(chronicle, random) else { return false };
        if let Note::Started { event, .. } = &mut chronicle.processes[process].entries[start].note {
            *event = None;
        }
        true
    });
}

#[test]
fn an_event_that_is_left_out_is_found() {
    found("jumped", |chronicle, random| {
        for _ in 0..20 {
            let Some((process, start, end)) = call(chronicle, random) else { return false };
            if chronicle.processes[process].host == 2 {
                continue;
            }
            let entries = &mut chronicle.processes[process].entries;
            let Note::Started { partition, level, sequence, .. } = entries[start].note else {
                return false;
            };
            let next = |entry: &Entry| match entry.note {
                Note::Started { partition: p, level: l, sequence: s, .. } => {
                    (p, l, s) == (partition, level, sequence + 1)
                }
                _ => false,
            };
            let first = entries.iter().position(|entry| match entry.note {
                Note::Started { partition: p, level: l, sequence: s, .. } => {
                    (p, l, s) == (partition, level, sequence)
                }
                _ => false,
            });
            if first != Some(start) || !entries[end..].iter().any(next) {
                continue;
            }
            entries.remove(end);
            entries.remove(start);
            return true;
        }
        false
    });
}

#[test]
fn an_event_that_is_handled_twice_for_nothing_is_found() {
    found("again", |chronicle, random| {
        let Some((process, start, end)) = call(chronicle, random) else { return false };
        let entries = &chronicle.processes[process].entries;
        let (first, last) = (entries[start].note.clone(), entries[end].clone());
        insert(chronicle, process, last.at + 1, first);
        insert(chronicle, process, last.at + 2, last.note);
        true
    });
}

#[test]
fn an_event_below_the_checkpoint_that_is_handled_again_is_found() {
    found("again", |chronicle, random| {
        let loaded =
            any(chronicle, random, |note| matches!(note, Note::Loaded { sequence: Some(_), .. }));
        let Some((process, place)) = loaded else { return false };
        let Entry { at, note } = chronicle.processes[process].entries[place].clone();
        let Note::Loaded { partition, level, sequence: Some(sequence) } = note else {
            return false;
        };
        let started =
            Note::Started { partition, level, sequence, event: event(partition, sequence) };
        insert(chronicle, process, at + 1, started);
        insert(chronicle, process, at + 2, Note::Ended { partition, level, sequence, ok: true });
        true
    });
}

#[test]
fn a_checkpoint_before_the_end_of_its_event_is_beyond() {
    found("beyond", |chronicle, random| {
        let Some((process, place)) =
            any(chronicle, random, |note| matches!(note, Note::Storing { .. }))
        else {
            return false;
        };
        let Entry { at, note: Note::Storing { partition, sequence, .. } } =
            chronicle.processes[process].entries[place]
        else {
            return false;
        };
        let early = |entry: &Entry| match entry.note {
            Note::Ended { partition: p, sequence: s, ok, .. } => {
                (p, s, ok) == (partition, sequence + 1, true) && entry.at < at + 25_000
            }
            _ => false,
        };
        // Somebody before may have done the next one without a checkpoint.
        if chronicle.processes.iter().any(|process| process.entries.iter().any(early)) {
            return false;
        }
        if let Note::Storing { sequence, .. } =
            &mut chronicle.processes[process].entries[place].note
        {
            *sequence += 1;
        }
        true
    });
}

#[test]
fn a_checkpoint_over_an_event_that_failed_is_beyond() {
    found("beyond", |chronicle, random| {
        let Some((process, place)) =
            any(chronicle, random, |note| matches!(note, Note::Storing { .. }))
        else {
            return false;
        };
        let Entry { at, note: Note::Storing { partition, sequence, .. } } =
            chronicle.processes[process].entries[place]
        else {
            return false;
        };
        for process in &mut chronicle.processes {
            for entry in process.entries.iter_mut().filter(|entry| entry.at < at) {
                if let Note::Ended { partition: p, sequence: s, ok, .. } = &mut entry.note
                    && (*p, *s) == (partition, sequence)
                {
                    *ok = false;
                }
            }
        }
        true
    });
}

/// A stored checkpoint that is not the first of its partition.
fn stored(chronicle: &Chronicle, random: &mut Random) -> Option<(usize, usize)> {
    any(chronicle, random, |note| matches!(note, Note::Stored { sequence, .. } if *sequence > 40))
}

fn backward(chronicle: &mut Chronicle, random: &mut Random) -> bool {
    let Some((process, place)) = stored(chronicle, random) else { return false };
    let Entry { at, note: Note::Stored { partition, level, .. } } =
        chronicle.processes[process].entries[place]
    else {
        return false;
    };
    let asked = at + 25_000;
    let note = Note::Stored { partition, level, sequence: 1, asked };
    insert(chronicle, process, asked + 10, note);
    true
}

#[test]
fn a_checkpoint_that_goes_back_is_found() {
    found("went back", backward);
}

#[test]
fn a_checkpoint_may_go_back_where_the_store_was_deleted() {
    excused(|chronicle, random| {
        let before = chronicle.clone();
        if !backward(chronicle, random) {
            return false;
        }
        let all = Span { from: 0, to: before.end };
        chronicle.wipes.push(Wipe { span: all, partition: None });
        true
    });
}

#[test]
fn a_checkpoint_that_is_read_and_was_higher_is_found() {
    found("went back", |chronicle, random| {
        let taken: Vec<_> = (0..chronicle.looks.len())
            .filter(|at| chronicle.looks[*at].sequence.is_some_and(|sequence| sequence > 40))
            .collect();
        if taken.is_empty() {
            return false;
        }
        let look = &mut chronicle.looks[random.pick(&taken)];
        look.sequence = if random.chance(50) { None } else { Some(0) };
        true
    });
}

#[test]
fn a_checkpoint_of_a_former_owner_that_lands_is_found() {
    found("unfenced", |chronicle, random| {
        let loaded =
            any(chronicle, random, |note| matches!(note, Note::Loaded { sequence: Some(_), .. }));
        let Some((process, place)) = loaded else { return false };
        let Entry { at, note: Note::Loaded { partition, level, sequence: Some(sequence) } } =
            chronicle.processes[process].entries[place]
        else {
            return false;
        };
        let former = any(chronicle, random, |note| {
            matches!(*note, Note::Acquired { partition: p, level: l, .. }
                if p == partition && l < level)
        });
        let Some((former, place)) = former else { return false };
        let Note::Acquired { level, .. } = chronicle.processes[former].entries[place].note else {
            return false;
        };
        let asked = at + 30_000;
        let note = Note::Stored { partition, level, sequence, asked };
        insert(chronicle, former, asked + 10, note);
        true
    });
}

#[test]
fn a_partition_that_is_given_back_without_its_checkpoint_is_found() {
    found("unflushed", |chronicle, random| {
        for _ in 0..20 {
            let Some((process, place)) =
                any(chronicle, random, |note| matches!(note, Note::Released { .. }))
            else {
                return false;
            };
            let Entry { at, note: Note::Released { partition, .. } } =
                chronicle.processes[process].entries[place]
            else {
                return false;
            };
            let loaded = chronicle
                .processes
                .iter_mut()
                .flat_map(|process| &mut process.entries)
                .filter(|entry| entry.at > at)
                .filter_map(|entry| match &mut entry.note {
                    Note::Loaded { partition: p, sequence, .. } if *p == partition => {
                        Some((entry.at, sequence))
                    }
                    _ => None,
                })
                .min_by_key(|(at, _)| *at);
            if let Some((_, Some(sequence))) = loaded {
                *sequence -= 1;
                return true;
            }
        }
        false
    });
}

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
        let Entry { at, note: Note::Told { partition, level } } =
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
