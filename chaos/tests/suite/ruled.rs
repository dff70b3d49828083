//! Random chronicles of hosts without a bug.

use std::time::Duration;

use eventhubs_chaos::chronicle::{
    Attached, Chronicle, Ending, Holding, Look, Manner, Process, Span,
};
use eventhubs_chaos::history::{Content, History, Log, Outcome, Send};
use eventhubs_chaos::journal::{Entry, Note};
use eventhubs_chaos::oracle::hosts;
use eventhubs_chaos::random::Random;
use eventhubs_chaos::stamp::EventId;

pub(crate) const PARTITIONS: u16 = 4;
pub(crate) const HOSTS: u16 = 3;
pub(crate) const SEEDS: u64 = 30;
/// Events of each partition, and the time between two of them.
const EVENTS: i64 = 200;
const EVERY: u64 = 100_000;

/// One partition as its owners read it.
struct Course<'a> {
    random: &'a mut Random,
    chronicle: &'a mut Chronicle,
    partition: u16,
    level: i64,
    /// The last event that was checkpointed, and that was done.
    stored: i64,
    done: i64,
    now: u64,
    /// The process of each host, as an index.
    alive: Vec<usize>,
}

/// What happens where hosts keep their promises: partitions are taken over after kills, from live
/// owners, and after they were given back; events are done again after checkpoints that were not
/// written; handlers fail.
pub(crate) fn chronicle(seed: u64) -> Chronicle {
    let mut random = Random::new(seed);
    let mut chronicle = Chronicle {
        lease: Duration::from_secs(15),
        scan: Duration::from_secs(2),
        alive: usize::from(HOSTS),
        ..Chronicle::default()
    };
    let event = |partition, sequence: i64| EventId {
        producer: 1,
        partition,
        counter: sequence.unsigned_abs(),
    };
    chronicle.history = History::default();
    for partition in 0..PARTITIONS {
        let sends = (0..EVENTS).map(|sequence| {
            let end = sequence.unsigned_abs() * EVERY;
            let EventId { producer, counter: first, .. } = event(partition, sequence);
            let (start, outcome) = (end.saturating_sub(2_000), Outcome::Acked);
            Send { producer, partition, first, count: 1, start, end, outcome }
        });
        chronicle.history.sends.extend(sends);
        let events = (0..EVENTS).map(|sequence| Content::Event(event(partition, sequence)));
        chronicle.history.logs.push(Log { begin: 0, events: events.collect() });
    }
    for host in 0..HOSTS {
        chronicle.processes.push(process(host, 0));
    }
    for partition in 0..PARTITIONS {
        let alive = (0..usize::from(HOSTS)).collect();
        let chronicle = &mut chronicle;
        let random = &mut random.fork(u64::from(partition));
        let mut course = Course {
            random,
            chronicle,
            partition,
            level: 0,
            stored: -1,
            done: -1,
            now: 10_000,
            alive,
        };
        while course.done < EVENTS - 1 {
            course.tenure();
        }
    }
    finish(&mut chronicle, &mut random);
    chronicle
}

pub(crate) fn process(host: u16, turn: u16) -> Process {
    let manner = [Manner::Each, Manner::Batch, Manner::Keys][usize::from(host)];
    let (entries, halts, said) = (Vec::new(), Vec::new(), Vec::new());
    Process { host, turn, manner, entries, ended: None, halts, said }
}

fn finish(chronicle: &mut Chronicle, random: &mut Random) {
    for process in &mut chronicle.processes {
        process.entries.sort_by_key(|entry| entry.at);
    }
    chronicle.attached.sort_by_key(|one| one.at);
    chronicle.looks.sort_by_key(|look| look.span);
    chronicle.end = EVENTS.unsigned_abs() * EVERY + 10_000_000;
    let owner = |partition: u16| Some((format!("host-{}", partition % HOSTS), 1));
    for turn in 0..random.below(5) + 2 {
        let owners = (0..PARTITIONS).map(owner).collect();
        chronicle.holdings.push(Holding { at: chronicle.end + turn, owners });
    }
}

impl Course<'_> {
    fn note(&mut self, index: usize, note: Note) {
        self.chronicle.processes[index].entries.push(Entry { at: self.now, note });
        self.now += 100;
    }

    /// One ownership, to an end that is drawn.
    fn tenure(&mut self) {
        let (partition, asked) = (self.partition, self.now);
        self.level += 1 + i64::from(self.random.chance(10));
        self.now += self.random.below(40_000);
        let mut level = self.level;
        let index = self.random.pick(&self.alive);
        self.note(index, Note::Acquired { partition, level, asked });
        let loaded = (self.stored >= 0).then_some(self.stored);
        self.note(index, Note::Loaded { partition, level, sequence: loaded });
        if self.random.chance(20) {
            self.level += 3;
            self.note(index, Note::Raised { partition, from: level, level: self.level });
            level = self.level;
        }
        self.chronicle.attached.push(Attached { at: self.now, partition, level });
        self.done = self.stored;
        let last = (self.done + 20 + self.random.below(60) as i64).min(EVENTS - 1);
        while self.done < last {
            self.call(index, level);
            if self.random.chance(10) {
                self.checkpoint(index, level);
            }
        }
        self.end(index, level);
        self.now += 100_000 + self.random.below(900_000);
    }

    /// One event, which fails now and then.
    fn call(&mut self, index: usize, level: i64) {
        let (partition, sequence) = (self.partition, self.done + 1);
        self.now = self.now.max(sequence.unsigned_abs() * EVERY);
        let event = EventId { producer: 1, partition, counter: sequence.unsigned_abs() };
        self.note(index, Note::Started { partition, level, sequence, event: Some(event) });
        self.now += self.random.below(3_000);
        let ok = !self.random.chance(5);
        self.note(index, Note::Ended { partition, level, sequence, ok });
        match ok {
            true => self.done = sequence,
            // Once more, a little later.
            false => self.now += 10_000,
        }
    }

    fn checkpoint(&mut self, index: usize, level: i64) {
        let (partition, sequence) = (self.partition, self.done);
        if sequence <= self.stored {
            return;
        }
        self.now += 30_000;
        let asked = self.now;
        self.note(index, Note::Storing { partition, level, sequence });
        self.now += self.random.below(5_000);
        self.note(index, Note::Stored { partition, level, sequence, asked });
        self.stored = sequence;
        self.now += 30_000;
        let span = Span { from: self.now, to: self.now + 50 };
        self.chronicle.looks.push(Look { span, partition, sequence: Some(sequence) });
    }

    fn end(&mut self, index: usize, level: i64) {
        let partition = self.partition;
        match self.random.below(3) {
            // Given back.
            0 => {
                self.note(index, Note::Told { partition, level, gives: true });
                self.checkpoint(index, level);
                self.note(index, Note::Released { partition, level });
            }
            // Stolen, or not renewed in time.
            1 => {
                self.now += 30_000;
                self.note(index, Note::Told { partition, level, gives: false });
                // Whoever fenced itself may not write a checkpoint, and frees the lease.
                if self.random.chance(50) {
                    self.note(index, Note::Released { partition, level });
                }
            }
            // Its process is killed in the middle of an event.
            _ => {
                let sequence = self.done + 1;
                let event = EventId { producer: 1, partition, counter: sequence.unsigned_abs() };
                if sequence < EVENTS {
                    let event = Some(event);
                    self.note(index, Note::Started { partition, level, sequence, event });
                }
                self.replace(index);
            }
        }
    }

    /// A new process takes the place of one for this partition; of the others nothing is told.
    fn replace(&mut self, index: usize) {
        let host = self.chronicle.processes[index].host;
        let turns = self.chronicle.processes.iter().filter(|one| one.host == host).count();
        self.alive.retain(|one| *one != index);
        self.alive.push(self.chronicle.processes.len());
        self.chronicle.processes.push(process(host, turns as u16));
        self.now += 1_000_000;
    }
}

#[test]
fn hosts_that_keep_their_promises_are_believed() {
    let mut account = hosts::HostAccount::default();
    for seed in 0..SEEDS {
        let chronicle = chronicle(seed);
        let one = hosts::check(&chronicle);
        assert!(one.findings.is_empty(), "seed {seed}: {:?}", one.findings.kept());
        account.handled += one.handled;
        account.failures += one.failures;
        account.again_by_owner += one.again_by_owner;
        account.handed_over += one.handed_over;
        account.checkpoints += one.checkpoints;
    }
    let events = SEEDS * u64::from(PARTITIONS) * EVENTS.unsigned_abs();
    assert_eq!(account.handled, events + account.again_by_owner);
    assert!(account.again_by_owner > 0 && account.failures > 0, "{account:?}");
    assert!(account.handed_over > 0 && account.checkpoints > 0, "{account:?}");
}

#[test]
fn a_process_that_is_killed_or_asked_to_end_is_no_violation() {
    let mut chronicle = chronicle(1);
    for (ending, count) in [(Ending::Killed, 0), (Ending::Asked, 0), (Ending::Died, 1)] {
        chronicle.processes[0].ended = Some((chronicle.end, ending));
        let findings = hosts::check(&chronicle).findings;
        assert_eq!((findings.count("died"), findings.total()), (count, count), "{ending:?}");
    }
}
