//! The rules, asserted by one who sees everything and trusts nobody's state: the true time, every
//! change of the store, every receiver, and what each host was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use eventhubs_eph::ownership::EpochMode;
use eventhubs_eph::suspicion::{MEMORY, Misconfiguration, THEFTS_MAX};
use eventhubs_eph::{Acquire, Commit, Fence, Hold, Lease, LeaseTable, LeaseToken, OwnerId};
use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::broker::Link;
use crate::post::Post;
use crate::store::{self, Answer, Call};

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

/// A partition in one of the stores.
type Place = (usize, PartitionId);

/// What the judge knows of one partition in one store.
#[derive(Clone, Debug, Default)]
struct Known {
    epoch: Option<OwnerLevel>,
    /// The token of the last claim that was won, and who won it.
    owner: Option<(LeaseToken, OwnerId)>,
    /// Events that were handled with none missing before them.
    handled: u64,
    checkpoint: u64,
}

/// What the judge knows of one ownership.
#[derive(Clone, Copy, Debug, Default)]
struct Term {
    /// When its lease ends.
    until: Duration,
    /// When it was claimed.
    since: Duration,
    /// The highest epoch that its host saw before.
    after: Option<OwnerLevel>,
    /// The checkpoint that it found.
    begins: u64,
    /// Whether its host was told that it is over.
    is_told: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Judge {
    partitions: BTreeMap<Place, Known>,
    terms: BTreeMap<LeaseToken, Term>,
    lease: Duration,
    epochs: EpochMode,
    stores: usize,
    /// The highest epoch that each host saw of each partition.
    seen: BTreeMap<(OwnerId, PartitionId), OwnerLevel>,
    /// When leases were deleted last.
    deleted: BTreeMap<PartitionId, Duration>,
    /// When receivers were put out, of late.
    thefts: BTreeMap<PartitionId, Vec<Duration>>,
    /// Partitions that were stolen more often than a host may take quietly.
    stolen_much: BTreeSet<PartitionId>,
    /// When hosts told of a misconfiguration.
    told: BTreeMap<(usize, &'static str), Duration>,
    pub(crate) violations: Vec<Violation>,
    /// Claims that were won, and those that were not won back from nobody.
    pub(crate) moves: u32,
    pub(crate) last_move: Duration,
    /// Events that were handled again.
    pub(crate) repeated: u64,
}

impl Judge {
    pub(crate) fn new(epochs: EpochMode, stores: usize, lease: Duration) -> Self {
        Self {
            partitions: BTreeMap::new(),
            terms: BTreeMap::new(),
            lease,
            epochs,
            stores,
            seen: BTreeMap::new(),
            deleted: BTreeMap::new(),
            thefts: BTreeMap::new(),
            stolen_much: BTreeSet::new(),
            told: BTreeMap::new(),
            violations: Vec::new(),
            moves: 0,
            last_move: Duration::ZERO,
            repeated: 0,
        }
    }

    pub(crate) fn report(&mut self, rule: &'static str, at: Duration, what: String) {
        /// One bug breaks a rule again and again; a few are enough.
        const VIOLATIONS_MAX: usize = 20;
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { rule, at, what });
        }
    }

    /// A call of that owner took effect in a store. `before` is the lease it was about.
    pub(crate) fn stored(
        &mut self,
        (at_store, owner): (usize, &OwnerId),
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
                self.acquired((at_store, owner), lease, before, now);
            }
            (Call::Renew(asked) | Call::Update(asked), Answer::Held(Hold::Kept(lease))) => {
                let lasts = now + self.lease;
                let known = self.partitions.entry((at_store, asked.partition)).or_default();
                known.epoch = known.epoch.max(Some(lease.epoch));
                if !is_owner(known, asked, owner) {
                    self.report("A3", now, format!("{owner} renewed a lease of another"));
                }
                if let Some(token) = &asked.token {
                    self.terms.entry(token.clone()).or_default().until = lasts;
                }
            }
            (Call::Fence(lease), Answer::Fenced(Fence::Up(checkpoint))) => {
                if let Some(token) = &lease.token {
                    let begins = store::handled(checkpoint.as_ref());
                    self.terms.entry(token.clone()).or_default().begins = begins;
                }
            }
            (Call::Commit(lease, count), Answer::Committed(Commit::Stored)) if *count > 0 => {
                self.checkpointed((at_store, owner), lease, *count, now);
            }
            (Call::Release(lease), Answer::Released(true)) => {
                if let Some(token) = &lease.token {
                    self.told(token);
                }
            }
            _ => {}
        }
    }

    /// A host got a list.
    pub(crate) fn saw(&mut self, owner: &OwnerId, table: &LeaseTable) {
        for lease in &table.leases {
            let seen = self.seen.entry((owner.clone(), lease.partition)).or_insert(lease.epoch);
            *seen = lease.epoch.max(*seen);
        }
    }

    /// A host makes a claim: it is to have a higher epoch than all that the host saw.
    pub(crate) fn claims(&mut self, owner: &OwnerId, partition: PartitionId, token: &LeaseToken) {
        let after = self.seen.get(&(owner.clone(), partition)).copied();
        self.terms.entry(token.clone()).or_default().after = after;
    }

    fn acquired(
        &mut self,
        (at_store, owner): (usize, &OwnerId),
        won: &Lease,
        before: Option<&Lease>,
        now: Duration,
    ) {
        let known = self.partitions.entry((at_store, won.partition)).or_default();
        let Some(token) = won.token.clone() else { return };
        // A claim that is repeated is won again, and changes nothing.
        if known.owner.as_ref().is_some_and(|(last, _)| *last == token) {
            return;
        }
        let last = known.epoch.replace(won.epoch);
        known.owner = Some((token.clone(), owner.clone()));
        let is_rising = self.epochs == EpochMode::Rising;
        let is_higher = last.is_none_or(|last| won.epoch > last);
        let seen = self.terms.get(&token).and_then(|term| term.after);
        if seen.is_some_and(|seen| is_rising && won.epoch <= seen) {
            let what =
                format!("{owner} got epoch {} of {} after {seen:?}", won.epoch, won.partition);
            self.report("A2", now, what);
        }
        if !is_higher && is_rising {
            let what =
                format!("partition {} got epoch {} after {last:?}", won.partition, won.epoch);
            self.report("A2", now, what);
        }
        let term = self.terms.entry(token).or_default();
        (term.since, term.until) = (now, now + self.lease);
        if before.and_then(|before| before.owner.as_ref()) != Some(owner) {
            self.moves += 1;
            self.last_move = now;
        }
    }

    fn checkpointed(
        &mut self,
        (at_store, owner): (usize, &OwnerId),
        lease: &Lease,
        value: u64,
        now: Duration,
    ) {
        let partition = lease.partition;
        let known = self.partitions.entry((at_store, partition)).or_default();
        let last = std::mem::replace(&mut known.checkpoint, value);
        let (handled, is_owner) = (known.handled, is_owner(known, lease, owner));
        if !is_owner {
            self.report("A3", now, format!("{owner} wrote a checkpoint of partition {partition}"));
        }
        if value < last || value > handled {
            let what = format!("checkpoint {value} of {partition} after {last}, handled {handled}");
            self.report("A4", now, what);
        }
    }

    /// A store was deleted, or the lease of one partition in it: epochs begin anew there.
    pub(crate) fn deleted(&mut self, partition: Option<PartitionId>, now: Duration) {
        for ((_, at), known) in &mut self.partitions {
            match partition {
                None => (known.epoch, known.checkpoint) = (None, 0),
                Some(partition) if partition == *at => known.epoch = None,
                Some(_) => continue,
            }
            self.deleted.insert(*at, now);
        }
    }

    /// A receiver was attached and put out others. `links` are all that there are now.
    pub(crate) fn linked(&mut self, post: &Post, links: &[Link], put_out: &[Link], now: Duration) {
        let partition = post.partition;
        if links.len() != 1 {
            let what = format!("partition {partition} has {} receivers", links.len());
            self.report("A1", now, what);
        }
        // Two stores give the same epochs, and mode zero gives no other.
        let rises = self.epochs == EpochMode::Rising && self.stores == 1;
        let epoch = links.first().map(|link| link.epoch);
        // A host that never saw the lease that is gone begins anew, and may have the same epoch.
        let deleted = self.deleted.get(&partition).copied().unwrap_or_default();
        let is_after =
            |token: &LeaseToken| self.terms.get(token).map(|term| term.since) > Some(deleted);
        let is_known = |link: &&Link| {
            let are_after = is_after(&link.post.token) && is_after(&post.token);
            are_after && Some(link.epoch) >= epoch
        };
        let known: Vec<&Link> = put_out.iter().filter(|link| rises && is_known(link)).collect();
        for link in known {
            let what = format!("{partition}: epoch {epoch:?} put out epoch {}", link.epoch);
            self.report("A1", now, what);
        }
        if self.stores > 1 && !put_out.is_empty() {
            self.stolen(partition, now);
        }
    }

    /// How often partitions change hands when there are two stores: for some minutes without
    /// restraint, then less and less.
    fn stolen(&mut self, partition: PartitionId, now: Duration) {
        /// From when on the restraint must show.
        const LEARNED: Duration = Duration::from_secs(1_800);
        /// Thefts in ten minutes then, by up to four hosts. Without restraint it is one in each
        /// scan of a host: sixty and more.
        const RESTRAINED: usize = 20;
        let thefts = self.thefts.entry(partition).or_default();
        thefts.retain(|theft| now - *theft < MEMORY);
        thefts.push(now);
        let count = thefts.len();
        // Half of them are of one side.
        if count > 2 * (THEFTS_MAX + 1) {
            self.stolen_much.insert(partition);
        }
        if now > LEARNED && count > RESTRAINED {
            let what = format!("partition {partition} was stolen {count} times in 10 minutes");
            self.report("B12", now, what);
        }
    }

    /// At the end of a run with two stores.
    pub(crate) fn judge_warnings(&mut self, now: Duration) {
        let is_told = |kind: &str| self.told.keys().any(|(_, told)| *told == kind);
        let is_all_told = is_told("ping-pong") && is_told("second-store");
        if !self.stolen_much.is_empty() && !is_all_told {
            self.report("B12", now, "nobody told that there are two stores".to_owned());
        }
    }

    /// A host tells of a misconfiguration.
    pub(crate) fn suspected(&mut self, host: usize, what: &Misconfiguration, now: Duration) {
        let kind = match what {
            Misconfiguration::SecondStore { .. } => "second-store",
            Misconfiguration::EpochPingPong { .. } => "ping-pong",
            Misconfiguration::ForeignOwners { .. } => "foreign-owners",
            Misconfiguration::ClockTrouble(_) => "clock-trouble",
            _ => "another",
        };
        // Its clock may be a little fast.
        let again = MEMORY.mul_f64(0.98);
        let before = self.told.insert((host, kind), now);
        if before.is_some_and(|before| now - before < again) {
            self.report("B12", now, format!("host {host} tells of {kind} again"));
        }
        let is_wrong = match kind {
            "second-store" => self.stores == 1 && self.epochs == EpochMode::Rising,
            "foreign-owners" => true,
            _ => false,
        };
        if is_wrong {
            self.report("B12", now, format!("host {host} tells of {kind}, and there is none"));
        }
    }

    /// A host processed the word that this ownership is over.
    pub(crate) fn told(&mut self, token: &LeaseToken) {
        self.terms.entry(token.clone()).or_default().is_told = true;
    }

    /// A handler starts with an event. `grace` is by how much the host's clock may be wrong.
    pub(crate) fn started(
        &mut self,
        at_store: usize,
        post: &Post,
        event: u64,
        grace: Duration,
        now: Duration,
    ) {
        let partition = post.partition;
        let term = self.terms.get(&post.token).copied().unwrap_or_default();
        if term.is_told {
            self.report("A5", now, format!("a handler of {partition} started after the end"));
        }
        if now > term.until + grace {
            let late = (now - term.until).as_secs_f64();
            let what = format!("a handler of {partition} started {late:.1} s after its lease");
            self.report("A5", now, what);
        }
        let handled = self.handled(at_store, partition);
        if event > handled {
            self.report("A6", now, format!("partition {partition} skips to event {event}"));
        }
        if event < term.begins {
            let what = format!("{event} of {partition} again, after checkpoint {}", term.begins);
            self.report("A6", now, what);
        }
        self.repeated += u64::from(event < handled);
    }

    pub(crate) fn finished(&mut self, at_store: usize, partition: PartitionId, event: u64) {
        let handled = &mut self.partitions.entry((at_store, partition)).or_default().handled;
        if event == *handled {
            *handled += 1;
        }
    }

    pub(crate) fn handled(&self, at_store: usize, partition: PartitionId) -> u64 {
        self.partitions.get(&(at_store, partition)).map_or(0, |known| known.handled)
    }
}

/// Whether a lease is the ownership that was won last, and by this host.
fn is_owner(known: &Known, lease: &Lease, owner: &OwnerId) -> bool {
    let is_it = |(token, host): &(LeaseToken, OwnerId)| {
        lease.token.as_ref() == Some(token) && host == owner
    };
    known.owner.as_ref().is_some_and(is_it)
}
