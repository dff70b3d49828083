//! How a host starts, scans, claims and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::{self, Idle, TakeReason, View};
use eventhubs_eph::ownership::{Epochs, Generation, Moment, Ownership};
use eventhubs_eph::suspicion::{Misconfiguration, Suspicion};
use eventhubs_eph::{
    Acquire, Claim, Lease, LeaseTable, LeaseToken, OwnerId, Presence, PresenceTable,
};
use eventhubs_protocol::{PartitionId, Timestamp};

use super::host::{Clock, Gathering, Host, Owned};
use super::{Event, Request, World};
use crate::bug::Bug;
use crate::plan::{Role, SCAN};
use crate::post::Post;
use crate::store::{Answer, Call};

/// How often checkpoints are written.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// How long a presence record counts: three scans.
const PRESENCE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn start(&mut self, role: Role) {
        let number = self.hosts.len();
        let clock = Clock {
            drift: i64::try_from(self.random.between(0, 20_000)).unwrap_or(0) - 10_000,
            ahead: i64::try_from(self.random.between(0, 7_200)).unwrap_or(0) - 3_600,
            trusted_from: Duration::ZERO,
            suspended: Duration::ZERO,
        };
        // Ids are in another order than starts.
        let id = format!("{:04x}-{number}", self.random.between(0, 0xffff));
        self.hosts.push(Host {
            id: OwnerId::new(&id).expect("it is short"),
            clock,
            is_alive: true,
            is_stopping: false,
            sleeps_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            hub_cut_until: Duration::ZERO,
            role,
            partitions: self.partitions,
            suspicion: Suspicion::new(self.plan.epochs, self.timing.lease),
            is_first_scan: true,
            is_scanning: false,
            gathering: None,
            idle: Idle::default(),
            epochs: Epochs::new(self.plan.epochs),
            owned: BTreeMap::new(),
            claiming: BTreeSet::new(),
        });
        self.agenda.put(self.now, Event::Scan(number));
        if !self.plan.events_until.is_zero() {
            self.agenda.put(self.now + CHECKPOINT, Event::Checkpoints(number));
        }
    }

    pub(super) fn stop(&mut self, host: usize) {
        let now = self.now;
        let is_able = |host: &&mut Host| host.is_alive && host.sleeps_until <= now;
        let Some(stopping) = self.hosts.get_mut(host).filter(is_able) else { return };
        stopping.is_stopping = true;
        let id = stopping.id.clone();
        self.send(host, Call::Withdraw(id));
        if self.bug == Some(Bug::KeepLeases) {
            self.hosts[host].owned.clear();
        }
        for post in self.posts(host) {
            self.give_back(&post);
        }
        self.end_if_stopped(host);
    }

    /// All ownerships of a host.
    pub(super) fn posts(&self, host: usize) -> Vec<Post> {
        let owned = self.hosts[host].owned.values();
        owned.map(|owned| owned.post(host)).collect()
    }

    /// A host that stops ends with its last ownership.
    pub(super) fn end_if_stopped(&mut self, host: usize) {
        let stopping = &mut self.hosts[host];
        if stopping.is_stopping && stopping.owned.is_empty() && stopping.claiming.is_empty() {
            stopping.is_alive = false;
            let id = stopping.id.clone();
            let is_sound = self.plan.rough_until.is_zero();
            let store = &self.stores[self.hosts[host].role.store];
            let leases = self.partitions().filter_map(|partition| store.lease(partition));
            let kept = leases.filter(|lease| lease.owner.as_ref() == Some(&id)).count();
            if is_sound && kept > 0 {
                self.judge.report("V5", self.now, format!("{id} stopped and kept {kept} leases"));
            }
        }
    }

    pub(super) fn scan(&mut self, host: usize) {
        let pause = SCAN.mul_f64(0.95) + self.random.millis(0, 1_000);
        self.agenda.put(self.now + pause, Event::Scan(host));
        if self.hosts[host].is_stopping || self.hosts[host].is_scanning {
            return;
        }
        // The hub is asked which partitions there are, if it answers.
        let is_asked = self.reaches_hub(host) && self.bug != Some(Bug::ForgetAdded);
        let partitions = self.partitions;
        let scanning = &mut self.hosts[host];
        scanning.is_scanning = true;
        if is_asked {
            scanning.partitions = partitions;
        }
        self.announce(host);
    }

    fn announce(&mut self, host: usize) {
        let Host { id, role, .. } = &self.hosts[host];
        let weight = match self.bug {
            Some(Bug::IgnoreWeight) => 1,
            _ => self.weight(host),
        };
        let mut presence = Presence::new(id.clone(), PRESENCE).with_weight(weight);
        presence.maximum = role.maximum;
        self.send(host, Call::Announce(presence));
    }

    /// Who reaches nothing wants nothing.
    fn weight(&self, host: usize) -> u32 {
        let now = self.moment(host).monotonic;
        let Host { role, suspicion, .. } = &self.hosts[host];
        if suspicion.stands_by(now) { 0 } else { role.weight }
    }

    /// Partitions that a host knows of.
    fn known_partitions(&self, host: usize) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.hosts[host].partitions).map(PartitionId::from)
    }

    pub(super) fn answered(&mut self, request: Request, answer: Answer) {
        let Request { host, call, asked, .. } = request;
        match (call, answer) {
            (Call::Announce(_) | Call::List | Call::Make | Call::Ensure(_), answer)
                if self.hosts[host].is_stopping =>
            {
                drop(answer)
            }
            (Call::Announce(_), Answer::Done) => self.send(host, Call::List),
            (Call::Announce(_) | Call::List, Answer::Missing) => {
                // It waits for ever for what it does not ask for.
                let is_first = self.hosts[host].is_first_scan;
                if is_first || self.bug != Some(Bug::StoreGoneEndsScans) {
                    self.send(host, Call::Make);
                }
            }
            (Call::Make, Answer::Done) => self.announce(host),
            (Call::List, Answer::Listed(table, presence)) => {
                let now = self.moment(host).monotonic;
                let Host { id, suspicion, .. } = &mut self.hosts[host];
                let told = suspicion.listed(id, &table, asked.monotonic, now);
                self.suspect(host, told);
                self.listed(host, table, presence);
            }
            (Call::Announce(_) | Call::List | Call::Make, _) => {
                self.hosts[host].is_scanning = false;
            }
            (Call::Ensure(_), answer) => self.ensured(host, answer),
            (Call::Acquire(seen, claim), Answer::Failed) if !self.hosts[host].is_stopping => {
                self.claim_again(host, seen, claim, asked);
            }
            (Call::Acquire(seen, _), answer) => self.acquired(host, seen.partition, answer, asked),
            (Call::Withdraw(_), _) => {}
            (call, answer) => self.owner_answered(host, &call, answer, asked),
        }
    }

    /// The leases are listed; those that are missing are made.
    fn listed(&mut self, host: usize, mut table: LeaseTable, presence: PresenceTable) {
        // A list of pages of which the last did not come.
        let is_cut_short = self.now < self.plan.rough_until && self.random.chance(50);
        let is_short = is_cut_short || self.bug == Some(Bug::FirstPageOnly);
        let missing: Vec<PartitionId> = match is_short {
            true => {
                let page = table.leases.len().div_ceil(2);
                table.leases.truncate(page);
                Vec::new()
            }
            false => self.known_partitions(host).filter(|&at| table.lease(at).is_none()).collect(),
        };
        let is_complete = !is_cut_short;
        let count = missing.len();
        self.hosts[host].gathering =
            Some(Gathering { table, presence, missing: count, is_complete });
        match count {
            0 => self.gathered(host),
            _ => missing.into_iter().for_each(|at| self.send(host, Call::Ensure(at))),
        }
    }

    fn ensured(&mut self, host: usize, answer: Answer) {
        let Some(gathering) = &mut self.hosts[host].gathering else { return };
        match answer {
            Answer::Ensured(lease) => gathering.table.leases.push(lease),
            _ => gathering.is_complete = false,
        }
        gathering.missing -= 1;
        if gathering.missing == 0 {
            self.gathered(host);
        }
    }

    fn gathered(&mut self, host: usize) {
        self.hosts[host].is_scanning = false;
        let Some(gathering) = self.hosts[host].gathering.take() else { return };
        let view = self.view(host, gathering);
        self.claim(host, &view);
    }

    fn view(&mut self, host: usize, gathering: Gathering) -> View {
        let Gathering { mut table, presence, is_complete, .. } = gathering;
        let random = self.random.draw();
        let Moment { wall, monotonic } = self.moment(host);
        let mut partitions: Vec<PartitionId> = self.known_partitions(host).collect();
        let weight = self.weight(host);
        let own = &mut self.hosts[host];
        let mut id = own.id.clone();
        match self.bug {
            Some(Bug::CompareWallClocks) => {
                let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                table.date = Timestamp::UNIX_EPOCH.saturating_add(wall);
            }
            Some(Bug::FirstPageOnly) => partitions.truncate(table.leases.len()),
            Some(Bug::CountTheDead) => {
                let date = table.date;
                table.leases.iter_mut().for_each(|lease| lease.renewed = date);
            }
            Some(Bug::StealFromItself) => id = OwnerId::new("somebody").expect("it is short"),
            _ => {}
        }
        let table = LeaseTable::new(table.date, table.leases);
        own.idle.scanned(&table);
        let mut view = View::new(id, partitions, table);
        view.idle = own.idle.clone();
        view.is_complete = is_complete;
        view.presence = Some(presence);
        view.is_first_scan = std::mem::take(&mut own.is_first_scan);
        view.kept = own.owned.keys().chain(&own.claiming).copied().collect();
        if self.bug != Some(Bug::NoHoldOff) {
            view.kept.extend(own.suspicion.held_off(monotonic));
        }
        view.weight = weight;
        if self.bug != Some(Bug::IgnoreMaximum) {
            view.maximum = own.role.maximum;
        }
        view.strategy = self.plan.strategy;
        view.random = random;
        view
    }

    fn claim(&mut self, host: usize, view: &View) {
        let plan = balance::plan(view);
        self.judge.saw(&self.hosts[host].id, &view.table);
        for lease in &view.table.leases {
            self.hosts[host].epochs.see(lease.partition, lease.epoch);
        }
        for take in plan.takes {
            let Some(seen) = view.table.lease(take.partition).cloned() else { continue };
            let id = self.hosts[host].id.clone();
            if matches!(&take.reason, TakeReason::Surplus { owner, .. } if *owner == id) {
                self.judge.report("A9", self.now, format!("{id} is stolen from"));
            }
            let Some(epoch) = self.hosts[host].epochs.next(take.partition, seen.epoch) else {
                continue;
            };
            self.tokens += 1;
            let token = LeaseToken::new(&self.tokens.to_string()).expect("it is short");
            let mut claim = Claim::new(id, token)
                .with_duration(self.timing.lease)
                .with_epochs(self.plan.epochs);
            if self.bug != Some(Bug::EpochFromTable) {
                claim = claim.with_epoch_at_least(epoch);
            }
            self.judge.claims(&claim.owner, take.partition, &claim.token);
            self.hosts[host].claiming.insert(take.partition);
            self.send(host, Call::Acquire(seen, claim));
        }
        for release in plan.releases {
            let owned = self.hosts[host].owned.get(&release.partition);
            if let Some(post) = owned.map(|owned| owned.post(host)) {
                self.give_back(&post);
            }
        }
    }

    /// A claim may have been won: the same one is made once more, and proves no more than the first.
    fn claim_again(&mut self, host: usize, seen: Lease, claim: Claim, asked: Moment) {
        let now = self.moment(host);
        let deadline = self.timing.call();
        if now.monotonic.saturating_sub(asked.monotonic) > deadline + Duration::from_secs(1) {
            return self.acquired(host, seen.partition, Answer::Failed, asked);
        }
        self.send_again(host, Call::Acquire(seen, claim), asked);
    }

    /// What a host suspects is told.
    pub(super) fn suspect(
        &mut self,
        host: usize,
        told: impl IntoIterator<Item = Misconfiguration>,
    ) {
        for what in told {
            if self.bug != Some(Bug::NoWarning) {
                self.judge.suspected(host, &what, self.now);
            }
        }
    }

    fn acquired(&mut self, host: usize, partition: PartitionId, answer: Answer, asked: Moment) {
        let won = match answer {
            Answer::Acquired(Acquire::Won(lease)) => Some(lease),
            _ => None,
        };
        if won.is_some() || self.bug != Some(Bug::ForgetFailedClaims) {
            self.hosts[host].claiming.remove(&partition);
        }
        if let Some(lease) = won {
            self.won(host, lease, asked);
        }
        self.end_if_stopped(host);
    }

    fn won(&mut self, host: usize, lease: Lease, asked: Moment) {
        let (partition, epoch) = (lease.partition, lease.epoch);
        let Some(token) = lease.token.clone() else { return };
        let generation = Generation::new(partition, epoch, token.clone());
        let ownership = Ownership::acquired(generation, self.timing, asked);
        let owned = Owned {
            ownership,
            lease,
            is_begun: false,
            is_linked: false,
            is_waiting: false,
            raise: None,
            position: 0,
            busy: None,
            stored: 0,
            is_writing: false,
            step: None,
            looks: 0,
            due: Duration::MAX,
        };
        self.hosts[host].owned.insert(partition, owned);
        let post = Post { host, partition, token };
        self.fence(&post);
        self.look(&post);
        if self.hosts[host].is_stopping {
            self.give_back(&post);
        }
    }

    /// Writes what was handled since the last time.
    pub(super) fn checkpoints(&mut self, host: usize) {
        self.agenda.put(self.now + CHECKPOINT, Event::Checkpoints(host));
        for post in self.posts(host) {
            self.write_checkpoint(&post);
        }
    }
}
