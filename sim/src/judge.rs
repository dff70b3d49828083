//! The rules, asserted by one who sees everything and trusts nobody's state: the true time, every
//! change of the store, and what each host was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use eventhubs_eph::{Acquire, Commit, Hold, Lease, LeaseToken, OwnerId};
use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::post::Post;
use crate::store::{Answer, Call};

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
    epoch: Option<OwnerLevel>,
    /// The token of the last claim that was won.
    token: Option<LeaseToken>,
    /// Events that were handled with none missing before them.
    handled: u64,
    checkpoint: u64,
}

#[derive(Debug)]
pub(crate) struct Judge {
    partitions: BTreeMap<PartitionId, Known>,
    /// When the leases of the tokens end.
    until: BTreeMap<LeaseToken, Duration>,
    /// Tokens whose hosts were told that it is over.
    told: BTreeSet<LeaseToken>,
    lease: Duration,
    pub(crate) violations: Vec<Violation>,
    /// Claims that were won, and those that were not won back from nobody.
    pub(crate) moves: u32,
    pub(crate) last_move: Duration,
}

impl Judge {
    pub(crate) fn new(lease: Duration) -> Self {
        Self {
            partitions: BTreeMap::new(),
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

    /// A call took effect. `before` is the lease it was about.
    pub(crate) fn stored(
        &mut self,
        owner: &OwnerId,
        call: &Call,
        answer: &Answer,
        before: Option<&Lease>,
        now: Duration,
    ) {
        match (call, answer) {
            (Call::Acquire(seen, _), Answer::Acquired(Acquire::Won(lease))) => {
                let is_as_seen = before.is_some_and(|before| before.token == seen.token);
                let is_repeated = before.is_some_and(|before| before.token == lease.token);
                if !is_as_seen && !is_repeated {
                    let what = format!("{owner} took {}, of another than it saw", seen.partition);
                    self.report("A7", now, what);
                }
                self.acquired(owner, lease, before, now);
            }
            (Call::Renew(asked) | Call::Update(asked), Answer::Held(Hold::Kept(lease))) => {
                let known = self.partitions.entry(asked.partition).or_default();
                if known.token != asked.token {
                    self.report("A3", now, format!("{owner} renewed a lease of another"));
                }
                let known = self.partitions.entry(asked.partition).or_default();
                known.epoch = known.epoch.max(Some(lease.epoch));
                self.until.extend(asked.token.clone().map(|token| (token, now + self.lease)));
            }
            (Call::Commit(lease, count), Answer::Committed(Commit::Stored)) if *count > 0 => {
                self.checkpointed(owner, lease, *count, now);
            }
            (Call::Release(lease), Answer::Released(true)) => {
                self.told.extend(lease.token.clone());
            }
            _ => {}
        }
    }

    fn acquired(&mut self, owner: &OwnerId, won: &Lease, before: Option<&Lease>, now: Duration) {
        let known = self.partitions.entry(won.partition).or_default();
        // A claim that is repeated is won again, and changes nothing.
        if known.token == won.token {
            return;
        }
        let last = known.epoch.replace(won.epoch);
        known.token.clone_from(&won.token);
        if last.is_some_and(|last| won.epoch <= last) {
            let what =
                format!("partition {} got epoch {} after {last:?}", won.partition, won.epoch);
            self.report("A2", now, what);
        }
        self.until.extend(won.token.clone().map(|token| (token, now + self.lease)));
        if before.and_then(|before| before.owner.as_ref()) != Some(owner) {
            self.moves += 1;
            self.last_move = now;
        }
    }

    fn checkpointed(&mut self, owner: &OwnerId, lease: &Lease, value: u64, now: Duration) {
        let partition = lease.partition;
        let known = self.partitions.entry(partition).or_default();
        let last = std::mem::replace(&mut known.checkpoint, value);
        let (handled, is_owner) = (known.handled, known.token == lease.token);
        if !is_owner {
            self.report("A3", now, format!("{owner} wrote a checkpoint of partition {partition}"));
        }
        if value < last || value > handled {
            let what = format!("checkpoint {value} of {partition} after {last}, handled {handled}");
            self.report("A4", now, what);
        }
    }

    /// A host processed the word that this ownership is over.
    pub(crate) fn told(&mut self, token: &LeaseToken) {
        self.told.insert(token.clone());
    }

    /// A handler starts with an event. `grace` is by how much the host's clock may be wrong.
    pub(crate) fn started(&mut self, post: &Post, event: u64, grace: Duration, now: Duration) {
        let partition = post.partition;
        if self.told.contains(&post.token) {
            self.report("A5", now, format!("a handler of {partition} started after the end"));
        }
        let until = self.until.get(&post.token).copied().unwrap_or_default();
        if now > until + grace {
            let late = (now - until).as_secs_f64();
            let what = format!("a handler of {partition} started {late:.1} s after its lease");
            self.report("A5", now, what);
        }
        if event > self.handled(partition) {
            self.report("A6", now, format!("partition {partition} skips to event {event}"));
        }
    }

    pub(crate) fn finished(&mut self, partition: PartitionId, event: u64) {
        let handled = &mut self.partitions.entry(partition).or_default().handled;
        if event == *handled {
            *handled += 1;
        }
    }

    pub(crate) fn handled(&self, partition: PartitionId) -> u64 {
        self.partitions.get(&partition).map_or(0, |known| known.handled)
    }
}
