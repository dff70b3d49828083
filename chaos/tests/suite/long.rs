//! The window agrees with the oracle of whole histories.

use std::collections::BTreeMap;

use eventhubs_chaos::history::{Content, History, Outcome, Reading, Send};
use eventhubs_chaos::random::Random;
use eventhubs_chaos::window::{Balance, Window};

use crate::generated::{PARTITIONS, SEEDS, history};

/// Shows a window a history as it would have seen it: readings between sends, each after its send
/// has begun.
fn replay(history: &History, random: &mut Random) -> Balance {
    let mut window = Window::new(3, PARTITIONS, 100_000);
    let mut edges: Vec<(u64, bool, Send)> = Vec::new();
    for send in &history.sends {
        edges.push((send.start, false, *send));
        edges.push((send.end, true, *send));
    }
    // Of one producer and partition they begin in the order of their counters.
    edges.sort_by_key(|(at, ends, send)| (*at, *ends, send.first));
    let mut readers: Vec<_> =
        history.readers.iter().map(|reader| reader.readings.iter().peekable()).collect();
    let mut beginnings = BTreeMap::new();
    for (index, (_, ends, send)) in edges.iter().enumerate() {
        if !ends {
            beginnings.extend(send.events().map(|event| (event, index)));
        }
    }
    let begun = |index: usize, content: Content| match content {
        Content::Event(event) => beginnings.get(&event).is_none_or(|begin| *begin <= index),
        _ => true,
    };
    for index in 0..edges.len() {
        let (at, ends, send) = edges[index];
        match ends {
            true => window.end(&send),
            false => {
                let first = window.begin(send.producer, send.partition, send.count, at);
                assert_eq!(first, Some(send.first));
            }
        }
        for (partition, readings) in (0..).zip(&mut readers) {
            if index + 1 < edges.len() && random.chance(60) {
                continue;
            }
            while let Some(reading) = readings.next_if(|reading| match reading {
                Reading::Event { content, .. } => begun(index, *content),
                _ => true,
            }) {
                window.reading(partition, *reading);
            }
        }
    }
    for (partition, readings) in (0..).zip(readers) {
        readings.for_each(|reading| window.reading(partition, *reading));
    }
    window.finish(history.unknown_retried)
}

/// A history of which the service withheld nothing: a window cannot know why an event is missing.
fn told(seed: u64) -> History {
    let mut history = history(seed);
    for reader in &mut history.readers {
        let log = &history.logs[usize::from(reader.partition)];
        reader.readings = std::iter::once(Reading::Opened { after: None })
            .chain(log.entries().map(|(sequence, content)| Reading::Event { sequence, content }))
            .collect();
    }
    history
}

#[test]
fn a_run_without_a_bug_passes() {
    for seed in 0..SEEDS {
        let history = told(seed);
        let balance = replay(&history, &mut Random::new(seed));
        assert!(balance.findings.is_empty(), "seed {seed}: {:?}", balance.findings.kept());
        let stored: usize = history.logs.iter().map(|log| log.events.len()).sum();
        assert_eq!(balance.read, stored as u64);
    }
}

/// A change of what one consumer saw, or of a send, is found in most histories under a name.
#[track_caller]
fn found(name: &str, change: fn(&mut History, &mut Random) -> bool) {
    let mut changed = 0;
    for seed in 0..SEEDS {
        let mut history = told(seed);
        let mut random = Random::new(seed);
        if change(&mut history, &mut random) {
            changed += 1;
            let findings = replay(&history, &mut random).findings;
            assert!(findings.count(name) > 0, "seed {seed}: {name}, {:?}", findings.kept());
        }
    }
    assert!(changed > SEEDS / 2, "{changed} of {SEEDS}");
}

/// Takes out of the log, as it is read, the only copy of an acknowledged event.
fn lose(history: &mut History, random: &mut Random) -> bool {
    let reader = &mut history.readers[0];
    let acked: Vec<_> = history
        .sends
        .iter()
        .filter(|send| send.outcome == Outcome::Acked && send.partition == 0)
        .flat_map(Send::events)
        .collect();
    let event = Content::Event(random.pick(&acked));
    let is_it =
        |reading: &Reading| matches!(reading, Reading::Event { content, .. } if *content == event);
    if reader.readings.iter().filter(|reading| is_it(reading)).count() != 1 {
        return false;
    }
    reader.readings.retain(|reading| !is_it(reading));
    for (sequence, reading) in (-1..).zip(&mut reader.readings) {
        if let Reading::Event { sequence: number, .. } = reading {
            *number = sequence;
        }
    }
    true
}

#[test]
fn an_acknowledged_event_that_is_never_read_is_lost() {
    found("lost", lose);
}

#[test]
fn what_was_trimmed_is_not_called_lost() {
    for seed in 0..SEEDS {
        let mut history = told(seed);
        let trimmed = 1 + (seed % 5) as i64;
        let readings = &mut history.readers[0].readings;
        readings.drain(1..1 + trimmed as usize);
        readings.insert(1, Reading::Trimmed { from: 0, to: trimmed - 1 });
        let balance = replay(&history, &mut Random::new(seed));
        assert!(balance.findings.is_empty(), "seed {seed}: {:?}", balance.findings.kept());
        assert_eq!(balance.trimmed, trimmed as u64);
    }
}

#[test]
fn a_certain_failure_that_is_read_is_found() {
    found("stored all the same", |history, random| {
        let stored = &history.logs[0].events;
        let acked: Vec<_> = (0..history.sends.len())
            .filter(|index| stored.contains(&Content::Event(history.sends[*index].event(0))))
            .collect();
        let index = random.pick(&acked);
        history.sends[index].outcome = Outcome::Failed;
        true
    });
}

#[test]
fn what_nobody_sent_is_invented() {
    found("invented", |history, _| {
        let sequence = history.logs[0].end();
        let content = Content::Foreign { run: 4 };
        history.readers[0].readings.push(Reading::Event { sequence, content });
        true
    });
}

#[test]
fn a_sequence_number_that_is_left_out_is_found() {
    found("skipped", |history, random| {
        let readings = &mut history.readers[0].readings;
        let at = 1 + random.below(readings.len() as u64 - 2) as usize;
        readings.remove(at);
        true
    });
}

#[test]
fn a_sequence_number_that_comes_again_is_found() {
    found("repeated", |history, random| {
        let readings = &mut history.readers[0].readings;
        let at = 1 + random.below(readings.len() as u64 - 1) as usize;
        readings.insert(at, readings[at]);
        true
    });
}

#[test]
fn events_that_overtook_others_are_found() {
    let mut window = Window::new(1, 1, 16);
    let send = |first, start, outcome| Send {
        producer: 0,
        partition: 0,
        first,
        count: 1,
        start,
        end: start + 5,
        outcome,
    };
    for first in 0..3 {
        let send = send(first, first * 10, Outcome::Acked);
        assert_eq!(window.begin(0, 0, 1, send.start), Some(first));
        window.end(&send);
    }
    for (sequence, counter) in [(0, 1), (1, 0), (2, 2)] {
        let content = Content::Event(send(counter, 0, Outcome::Acked).event(0));
        window.reading(0, Reading::Event { sequence, content });
    }
    assert!(window.is_settled());
    let findings = window.finish(0).findings;
    assert_eq!((findings.count("reordered"), findings.total()), (1, 1), "{:?}", findings.kept());
}

#[test]
fn copies_beyond_what_was_sent_again_are_found() {
    for (unknown_retried, expected) in [(0, 1), (1, 0)] {
        let mut window = Window::new(1, 1, 16);
        let first = window.begin(0, 0, 2, 1).expect("there is room");
        let outcome = Outcome::Acked;
        let send = Send { producer: 0, partition: 0, first, count: 2, start: 1, end: 2, outcome };
        window.end(&send);
        for (sequence, counter) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
            let content = Content::Event(send.event(counter));
            window.reading(0, Reading::Event { sequence, content });
        }
        let findings = window.finish(unknown_retried).findings;
        assert_eq!((findings.count("doubled"), findings.total()), (expected, expected));
    }
}

#[test]
fn a_full_window_makes_its_producer_wait_until_events_are_read() {
    let mut window = Window::new(2, 2, 4);
    assert_eq!(window.begin(1, 1, 3, 0), Some(0));
    assert_eq!(window.begin(1, 1, 2, 0), None, "there is room for one more only");
    assert_eq!(window.begin(1, 0, 2, 0), Some(0), "others have room of their own");
    let outcome = Outcome::Acked;
    let send = Send { producer: 1, partition: 1, first: 0, count: 3, start: 0, end: 1, outcome };
    window.end(&send);
    assert_eq!(window.begin(1, 1, 2, 0), None, "acknowledged and not read");
    for (sequence, event) in (0..).zip(send.events()) {
        window.reading(1, Reading::Event { sequence, content: Content::Event(event) });
    }
    assert_eq!(window.begin(1, 1, 4, 0), Some(3));
    assert!(!window.is_settled());
}
