//! Random histories of a service and clients without a bug.

use eventhubs_chaos::history::{Content, History, Log, Outcome, Reader, Reading, Send};
use eventhubs_chaos::oracle;
use eventhubs_chaos::random::Random;

pub(crate) const PARTITIONS: u16 = 3;
const PRODUCERS: u16 = 3;
const SENDS: u64 = 120;
pub(crate) const SEEDS: u64 = 200;

/// A send that is on its way.
struct Flight {
    send: Send,
    /// Copies that will be stored, each at its time.
    arrivals: Vec<u64>,
}

/// What happens in a run of clients that keep their promises: sends that overlap, fail, are stored
/// late or twice with unknown outcomes, receivers that are opened again, gaps that are told.
pub(crate) fn history(seed: u64) -> History {
    let mut random = Random::new(seed);
    let mut history =
        History { logs: vec![Log::default(); usize::from(PARTITIONS)], ..History::default() };
    let mut flights = flights(&mut random, &mut history);
    // What arrives first is stored first.
    let mut arrivals: Vec<(u64, usize)> = Vec::new();
    for (index, flight) in flights.iter_mut().enumerate() {
        arrivals.extend(flight.arrivals.drain(..).map(|at| (at, index)));
    }
    arrivals.sort_unstable();
    for (_, index) in arrivals {
        let send = flights[index].send;
        let log = &mut history.logs[usize::from(send.partition)];
        log.events.extend(send.events().map(Content::Event));
    }
    history.sends = flights.into_iter().map(|flight| flight.send).collect();
    for partition in 0..PARTITIONS {
        let log = &history.logs[usize::from(partition)];
        let mut reader = Reader { consumer: partition, partition, readings: Vec::new() };
        history.withheld += read(&mut random, log, &mut reader.readings);
        history.readers.push(reader);
    }
    history
}

fn flights(random: &mut Random, history: &mut History) -> Vec<Flight> {
    let mut counters = [[0; PARTITIONS as usize]; PRODUCERS as usize];
    let mut flights = Vec::new();
    let mut clock = 0;
    for _ in 0..SENDS {
        let producer = random.below(u64::from(PRODUCERS)) as u16;
        let partition = random.below(u64::from(PARTITIONS)) as u16;
        let count = [1, 1, 1, 5][random.below(4) as usize];
        let first = &mut counters[usize::from(producer)][usize::from(partition)];
        // Some begin before earlier ones have ended.
        clock += random.below(20);
        let (start, end) = (clock, clock + 1 + random.below(30));
        let mut send =
            Send { producer, partition, first: *first, count, start, end, outcome: Outcome::Acked };
        *first += u64::from(count);
        let mut arrivals = Vec::new();
        match random.below(10) {
            0 => send.outcome = Outcome::Failed,
            1 => {
                send.outcome = Outcome::Unknown;
                // Never, before its end, or long after.
                if random.chance(66) {
                    arrivals.push(start + random.below(200));
                }
            }
            more => {
                arrivals.push(start + random.below(end - start));
                if more == 2 {
                    // Sent again, and stored again: at any time.
                    arrivals.push(start + random.below(200));
                    history.unknown_retried += 1;
                }
            }
        }
        flights.push(Flight { send, arrivals });
    }
    flights
}

/// What a consumer sees of a log, and how much the service withheld.
fn read(random: &mut Random, log: &Log, readings: &mut Vec<Reading>) -> u64 {
    let mut withheld = 0;
    let mut last = None;
    readings.push(Reading::Opened { after: None });
    let mut sequence = 0;
    while let Some(content) = log.content(sequence) {
        match random.below(40) {
            0 => {
                readings.push(Reading::Opened { after: last });
                sequence = last.map_or(0, |last: i64| last + 1);
                continue;
            }
            1 => {
                let to = (sequence + random.below(3) as i64).min(log.end() - 1);
                readings.push(Reading::Gap { from: sequence, to });
                withheld += (to - sequence + 1) as u64;
                sequence = to + 1;
                continue;
            }
            2 => {
                let told = random.chance(50).then_some(sequence);
                readings.push(Reading::Undecodable { sequence: told });
                withheld += 1;
            }
            3 if sequence > 5 => {
                // A new receiver that is asked for events once more: at least once.
                let after = last.map_or(sequence - 1, |last: i64| last.min(sequence - 1));
                let after = (after - random.below(4) as i64).max(-1);
                readings.push(Reading::Opened { after: Some(after) });
                sequence = after + 1;
                continue;
            }
            _ => {
                readings.push(Reading::Event { sequence, content });
                last = Some(sequence);
            }
        }
        sequence += 1;
    }
    if let Some(Reading::Undecodable { sequence: sequence @ None }) = readings.last_mut() {
        *sequence = Some(log.end() - 1);
    }
    withheld
}

#[test]
fn a_history_without_a_bug_passes() {
    for seed in 0..SEEDS {
        let history = history(seed);
        let account = oracle::check(&history);
        assert!(account.findings.is_empty(), "seed {seed}: {:?}", account.findings.kept());
        assert!(account.acknowledged > 50 && account.read > 100, "seed {seed}: {account:?}");
    }
}
