//! The rules, asserted by one who sees everything and trusts nobody's state: the true time, every
//! change of the store, and what each host was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::store::{Answer, Call, Lease};

/// A rule that was broken, with the names of `reliability`: A for safety, V for liveness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// When, in virtual time.
    pub at: Duration,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.rule, self.at.as_secs_f64(), self.what)
    }
}

/// What the judge knows of one partition.
#[derive(Clone, Debug, Default)]
struct Known {
    epoch: i64,
    /// The token of the last claim that was won.
    token: u64,
    /// Events that were handled with none missing before them.
    handled: u64,
    checkpoint: u64,
}

#[derive(Debug)]
pub(crate) struct Judge {
    partitions: Vec<Known>,
    /// When the leases of the tokens end.
    until: BTreeMap<u64, Duration>,
    /// Tokens whose hosts were told that it is over.
    told: BTreeSet<u64>,
    lease: Duration,
    pub(crate) violations: Vec<Violation>,
    /// Claims that were won, and those that were not won back from nobody.
    pub(crate) moves: u32,
    pub(crate) last_move: Duration,
}

impl Judge {
    pub(crate) fn new(partitions: u16, lease: Duration) -> Self {
        Self {
            partitions: vec![Known::default(); usize::from(partitions)],
            until: BTreeMap::new(),
            told: BTreeSet::new(),
            lease,
            violations: Vec::new(),
            moves: 0,
            last_move: Duration::ZERO,
        }
    }

    pub(crate) fn report(&mut self, rule: &'static str, at: Duration, what: String) {
        /// One bug breaks a rule again and again; a few are enough.
        const VIOLATIONS_MAX: usize = 20;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { rule, at, what });
        }
    }

    /// A call took effect; the lease it was about, before and after.
    pub(crate) fn stored(
        &mut self,
        owner: &str,
        call: &Call,
        answer: &Answer,
        leases: (&Lease, &Lease),
        now: Duration,
    ) {
        let (before, after) = leases;
        match (call, answer) {
            (Call::Acquire { partition, epoch, token, .. }, Answer::Won { .. }) => {
                self.acquired(owner, (*partition, *epoch, *token), before, now);
            }
            (Call::Renew { partition, token }, Answer::Done) => {
                if self.partitions[usize::from(*partition)].token != *token {
                    self.report("A3", now, format!("{owner} renewed a lease of another"));
                }
                self.until.insert(*token, now + self.lease);
            }
            (Call::Checkpoint { partition, token, .. }, Answer::Done) => {
                self.checkpointed(owner, (*partition, *token, after.checkpoint), now);
            }
            (Call::Release { token, .. }, Answer::Done) => {
                self.told.insert(*token);
            }
            _ => {}
        }
    }

    fn acquired(&mut self, owner: &str, won: (u16, i64, u64), before: &Lease, now: Duration) {
        let (partition, epoch, token) = won;
        let known = &mut self.partitions[usize::from(partition)];
        let last = std::mem::replace(&mut known.epoch, epoch);
        known.token = token;
        if epoch <= last {
            let what = format!("partition {partition} got epoch {epoch} after {last}");
            self.report("A2", now, what);
        }
        self.until.insert(token, now + self.lease);
        if before.owner.as_deref() != Some(owner) {
            self.moves += 1;
            self.last_move = now;
        }
    }

    fn checkpointed(&mut self, owner: &str, written: (u16, u64, u64), now: Duration) {
        let (partition, token, value) = written;
        let known = &mut self.partitions[usize::from(partition)];
        let last = std::mem::replace(&mut known.checkpoint, value);
        let (handled, current) = (known.handled, known.token);
        if token != current {
            self.report("A3", now, format!("{owner} wrote a checkpoint of partition {partition}"));
        }
        if value < last || value > handled {
            let what = format!("checkpoint {value} of {partition} after {last}, handled {handled}");
            self.report("A4", now, what);
        }
    }

    /// A host processed the word that this ownership is over.
    pub(crate) fn told(&mut self, token: u64) {
        self.told.insert(token);
    }

    /// A handler starts with an event. `grace` is by how much the host's clock may be wrong.
    pub(crate) fn started(
        &mut self,
        partition: u16,
        token: u64,
        event: u64,
        grace: Duration,
        now: Duration,
    ) {
        if self.told.contains(&token) {
            self.report("A5", now, format!("a handler of {partition} started after the end"));
        }
        let until = self.until.get(&token).copied().unwrap_or_default();
        if now > until + grace {
            let late = (now - until).as_secs_f64();
            let what = format!("a handler of {partition} started {late:.1} s after its lease");
            self.report("A5", now, what);
        }
        if event > self.partitions[usize::from(partition)].handled {
            self.report("A6", now, format!("partition {partition} skips to event {event}"));
        }
    }

    pub(crate) fn finished(&mut self, partition: u16, event: u64) {
        let handled = &mut self.partitions[usize::from(partition)].handled;
        if event == *handled {
            *handled += 1;
        }
    }

    pub(crate) fn handled(&self, partition: u16) -> u64 {
        self.partitions[usize::from(partition)].handled
    }
}
