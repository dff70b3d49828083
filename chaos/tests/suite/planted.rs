//! Bugs planted into sound histories: each is found, under its own name.

use eventhubs_chaos::history::{Content, History, Outcome, Reading};
use eventhubs_chaos::oracle;
use eventhubs_chaos::random::Random;
use eventhubs_chaos::stamp::{Damage, EventId};
use eventhubs_chaos::tamper::{Bug, Tamper};

use crate::generated::{PARTITIONS, SEEDS, history};

/// Changes one thing; false where this history has nothing to change.
type Change = fn(&mut History, &mut Random) -> bool;

/// Each change of at least most histories is found as one of these.
#[track_caller]
fn found(names: &[&str], change: Change) {
    let mut changed = 0;
    for seed in 0..SEEDS {
        let mut history = history(seed);
        if !change(&mut history, &mut Random::new(seed)) {
            continue;
        }
        changed += 1;
        let findings = oracle::check(&history).findings;
        let hit = names.iter().any(|name| findings.count(name) > 0);
        assert!(hit, "seed {seed}: {names:?} expected, {:?}", findings.kept());
    }
    assert!(changed > SEEDS / 2, "{changed} of {SEEDS}");
}

/// An index of one of the entries that a predicate takes.
fn any<T>(random: &mut Random, all: &[T], takes: impl Fn(&T) -> bool) -> Option<usize> {
    let fitting: Vec<_> = (0..all.len()).filter(|index| takes(&all[*index])).collect();
    (!fitting.is_empty()).then(|| random.pick(&fitting))
}

/// One stored event: its partition and index in the log.
fn stored(history: &History, random: &mut Random) -> Option<(usize, usize)> {
    let partition = random.below(u64::from(PARTITIONS)) as usize;
    let events = &history.logs[partition].events;
    (events.len() > 3).then(|| (partition, random.below(events.len() as u64 - 1) as usize))
}

/// A send with an outcome that is stored once.
fn stored_send(history: &History, random: &mut Random, outcome: Outcome) -> Option<usize> {
    any(random, &history.sends, |send| {
        let events = &history.logs[usize::from(send.partition)].events;
        let copies = |event| events.iter().filter(|one| **one == Content::Event(event)).count();
        send.outcome == outcome && copies(send.event(0)) == 1
    })
}

/// What a consumer saw, without what it saw of a partition's events from `sequence` on moved.
fn forget(history: &mut History, partition: usize) {
    history.readers[partition].readings.clear();
}

#[test]
fn an_acknowledged_event_that_is_gone_is_lost() {
    found(&["lost"], |history, random| {
        let Some(index) = stored_send(history, random, Outcome::Acked) else { return false };
        let send = history.sends[index];
        let partition = usize::from(send.partition);
        let last = Content::Event(send.event(send.count - 1));
        history.logs[partition].events.retain(|content| *content != last);
        forget(history, partition);
        true
    });
}

#[test]
fn a_batch_of_which_a_part_is_stored_is_torn() {
    found(&["torn"], |history, random| {
        let batch = any(random, &history.sends, |send| {
            let events = &history.logs[usize::from(send.partition)].events;
            let is_there = events.contains(&Content::Event(send.event(0)));
            send.outcome != Outcome::Failed && send.count > 1 && is_there
        });
        let Some(send) = batch.map(|index| history.sends[index]) else { return false };
        let partition = usize::from(send.partition);
        let second = Content::Event(send.event(1));
        history.logs[partition].events.retain(|content| *content != second);
        true
    });
}

#[test]
fn an_event_that_nobody_sent_is_invented() {
    found(&["invented"], |history, random| {
        let Some((partition, index)) = stored(history, random) else { return false };
        let content = match random.below(3) {
            0 => Content::Foreign { run: 1 },
            1 => {
                let partition = partition as u16;
                Content::Event(EventId { producer: 0, partition, counter: 1_000_000 })
            }
            _ => Content::Event(EventId { producer: 77, partition: partition as u16, counter: 0 }),
        };
        history.logs[partition].events.insert(index, content);
        true
    });
}

#[test]
fn an_event_that_was_changed_is_damaged() {
    found(&["damaged"], |history, random| {
        let Some((partition, index)) = stored(history, random) else { return false };
        history.logs[partition].events[index] = Content::Damaged(Damage::Checksum);
        true
    });
}

#[test]
fn an_event_in_the_wrong_partition_is_misplaced() {
    found(&["misplaced"], |history, random| {
        let Some((partition, index)) = stored(history, random) else { return false };
        let content = history.logs[partition].events.remove(index);
        history.logs[(partition + 1) % usize::from(PARTITIONS)].events.push(content);
        true
    });
}

#[test]
fn a_certain_failure_that_is_stored_is_found() {
    found(&["stored all the same"], |history, random| {
        let outcome = random.pick(&[Outcome::Acked, Outcome::Unknown]);
        let Some(index) = stored_send(history, random, outcome) else { return false };
        history.sends[index].outcome = Outcome::Failed;
        true
    });
}

#[test]
fn a_failure_that_is_reported_as_accepted_is_found() {
    found(&["lost"], |history, random| {
        let failed = any(random, &history.sends, |send| send.outcome == Outcome::Failed);
        let Some(index) = failed else { return false };
        history.sends[index].outcome = Outcome::Acked;
        true
    });
}

#[test]
fn sends_in_the_wrong_order_are_found() {
    found(&["reordered"], |history, random| {
        let Some(first) = stored_send(history, random, Outcome::Acked) else { return false };
        let first = history.sends[first];
        let later = any(random, &history.sends, |send| {
            let events = &history.logs[usize::from(first.partition)].events;
            let same = (send.producer, send.partition) == (first.producer, first.partition);
            let is_there = events.contains(&Content::Event(send.event(0)));
            same && is_there && send.start > first.end && send.count == 1 && first.count == 1
        });
        let Some(later) = later.map(|index| history.sends[index]) else { return false };
        let events = &mut history.logs[usize::from(first.partition)].events;
        let at = |event| events.iter().position(|content| *content == Content::Event(event));
        let (Some(one), Some(other)) = (at(first.event(0)), at(later.event(0))) else {
            return false;
        };
        events.swap(one, other);
        true
    });
}

#[test]
fn overlapping_sends_of_an_ordered_producer_in_the_wrong_order_are_found() {
    found(&["reordered"], |history, random| {
        history.ordered = vec![0, 1, 2];
        let index = stored_send(history, random, Outcome::Acked);
        let Some(send) = index.map(|index| history.sends[index]) else { return false };
        let partition = usize::from(send.partition);
        let events = &mut history.logs[partition].events;
        let earlier = history.sends.iter().any(|one| {
            let same = (one.producer, one.partition) == (send.producer, send.partition);
            let is_there = events.contains(&Content::Event(one.event(0)));
            same && one.first < send.first && one.outcome == Outcome::Acked && is_there
        });
        // As if it had been called before all others.
        let moved: Vec<_> = send.events().map(Content::Event).collect();
        events.retain(|content| !moved.contains(content));
        events.splice(0..0, moved);
        earlier
    });
}

#[test]
fn a_send_that_is_stored_twice_without_a_reason_is_found() {
    found(&["doubled"], |history, random| {
        let Some(index) = stored_send(history, random, Outcome::Acked) else { return false };
        let send = history.sends[index];
        let events = &mut history.logs[usize::from(send.partition)].events;
        events.extend(send.events().map(Content::Event));
        true
    });
}

#[test]
fn a_batch_of_which_a_part_is_stored_twice_is_torn() {
    found(&["torn"], |history, random| {
        let batch = any(random, &history.sends, |send| {
            let events = &history.logs[usize::from(send.partition)].events;
            let is_there = events.contains(&Content::Event(send.event(0)));
            send.outcome == Outcome::Acked && send.count > 1 && is_there
        });
        let Some(send) = batch.map(|index| history.sends[index]) else { return false };
        let events = &mut history.logs[usize::from(send.partition)].events;
        events.push(Content::Event(send.event(1)));
        true
    });
}

/// Puts a bug between the consumers and the oracle.
fn tampered(history: &mut History, bug: Bug, every: u64) {
    for reader in &mut history.readers {
        let mut tamper = Tamper::new(Some(bug), every);
        let mut seen = Vec::new();
        reader.readings.drain(..).for_each(|reading| tamper.reading(reading, &mut seen));
        reader.readings = seen;
    }
}

#[test]
fn an_event_that_is_not_handed_out_is_skipped_and_undelivered() {
    found(&["skipped", "undelivered"], |history, random| {
        tampered(history, Bug::Lose, 20 + random.below(5));
        true
    });
}

#[test]
fn the_last_events_that_are_not_handed_out_are_undelivered() {
    found(&["undelivered"], |history, _| {
        let last = |reader: &eventhubs_chaos::history::Reader| {
            matches!(reader.readings.last(), Some(Reading::Event { .. }))
        };
        let Some(reader) = history.readers.iter_mut().find(|reader| last(reader)) else {
            return false;
        };
        reader.readings.pop();
        true
    });
}

#[test]
fn an_event_that_is_handed_out_twice_is_repeated() {
    found(&["repeated"], |history, random| {
        tampered(history, Bug::Duplicate, 20 + random.below(5));
        true
    });
}

#[test]
fn events_that_are_handed_out_in_the_wrong_order_are_found() {
    found(&["skipped"], |history, random| {
        tampered(history, Bug::Swap, 20 + random.below(5));
        true
    });
}

#[test]
fn a_receiver_that_resumes_at_its_original_position_is_found() {
    found(&["repeated"], |history, random| {
        tampered(history, Bug::ResumeAtOrigin, 20 + random.below(5));
        true
    });
}

#[test]
fn an_event_that_changed_on_its_way_is_misread() {
    found(&["misread"], |history, random| {
        tampered(history, Bug::Corrupt, 20 + random.below(5));
        true
    });
}

#[test]
fn events_that_are_reported_as_missing_and_were_not_are_found() {
    found(&["untrue"], |history, random| {
        tampered(history, Bug::FalseGap, 20 + random.below(5));
        true
    });
}

#[test]
fn a_gap_that_is_reported_elsewhere_is_found() {
    found(&["false report"], |history, random| {
        let readings = &mut history.readers[0].readings;
        let told = |pair: &[Reading]| matches!(pair, [Reading::Event { .. }, Reading::Gap { .. }]);
        let pairs: Vec<_> =
            (1..readings.len()).filter(|at| told(&readings[at - 1..=*at])).collect();
        if pairs.is_empty() {
            return false;
        }
        let at = random.pick(&pairs);
        if let Reading::Gap { from, .. } = &mut readings[at] {
            *from -= 1;
        }
        true
    });
}
