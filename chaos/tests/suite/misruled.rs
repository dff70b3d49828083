//! Bugs planted into sound chronicles of hosts: each is found, under its own name.

use eventhubs_chaos::chronicle::{Chronicle, Span, Wipe};
use eventhubs_chaos::journal::{Entry, Note};
use eventhubs_chaos::oracle::hosts;
use eventhubs_chaos::random::Random;
use eventhubs_chaos::stamp::EventId;

use crate::ruled::{SEEDS, chronicle};

/// Changes one thing; false where this chronicle has nothing to change.
pub(crate) type Change = fn(&mut Chronicle, &mut Random) -> bool;

/// Each change of at least half of the chronicles is found under this name.
#[track_caller]
pub(crate) fn found(name: &str, change: Change) {
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
pub(crate) fn excused(change: Change) {
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
pub(crate) fn any(
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
pub(crate) fn call(chronicle: &Chronicle, random: &mut Random) -> Option<(usize, usize, usize)> {
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

pub(crate) fn insert(chronicle: &mut Chronicle, process: usize, at: u64, note: Note) {
    let entries = &mut chronicle.processes[process].entries;
    let place = entries.partition_point(|entry| entry.at <= at);
    entries.insert(place, Entry { at, note });
}

pub(crate) fn event(partition: u16, sequence: i64) -> Option<EventId> {
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
            let told = chronicle.processes[process].entries[..place].iter().rev();
            let mut told = told.filter_map(|entry| match entry.note {
                Note::Told { partition: p, gives, .. } if p == partition => Some(gives),
                _ => None,
            });
            if told.next() != Some(true) {
                continue;
            }
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
