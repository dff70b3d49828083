//! How a host starts, scans, claims and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::{self, Idle, TakeReason, View};
use eventhubs_eph::ownership::{Epochs, Generation, Moment, Ownership};
use eventhubs_eph::{
    Acquire, Claim, Lease, LeaseTable, LeaseToken, OwnerId, Presence, PresenceTable,
};
use eventhubs_protocol::{PartitionId, Timestamp};

use super::host::{Clock, Gathering, Host, Owned};
use super::{Event, Request, SCAN, World};
use crate::bug::Bug;
use crate::post::Post;
use crate::store::{Answer, Call};

/// How often checkpoints are written.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// How long a presence record counts: three scans.
const PRESENCE: Duration = Duration::from_secs(30);

impl World {
    pub(super) fn start(&mut self) {
        let number = self.hosts.len();
        let clock = Clock {
            drift: i64::try_from(self.random.between(0, 20_000)).unwrap_or(0) - 10_000,
            ahead: Duration::from_secs(self.random.between(0, 7_200)),
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
            is_first_scan: true,
            is_scanning: false,
            gathering: None,
            idle: Idle::default(),
            epochs: Epochs::new(self.plan.epochs),
            owned: BTreeMap::new(),
            claiming: BTreeSet::new(),
        });
        self.agenda.put(self.now, Event::Scan(number));
        if self.plan.has_events {
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
            let leases = self.partitions().filter_map(|partition| self.store.lease(partition));
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
        self.hosts[host].is_scanning = true;
        self.announce(host);
    }

    fn announce(&mut self, host: usize) {
        let presence = Presence::new(self.hosts[host].id.clone(), PRESENCE);
        self.send(host, Call::Announce(presence));
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
            (Call::Announce(_) | Call::List, Answer::Missing) => self.send(host, Call::Make),
            (Call::Make, Answer::Done) => self.announce(host),
            (Call::List, Answer::Listed(table, presence)) => self.listed(host, table, presence),
            (Call::Announce(_) | Call::List | Call::Make, _) => {
                self.hosts[host].is_scanning = false;
            }
            (Call::Ensure(_), answer) => self.ensured(host, answer),
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
            false => self.partitions().filter(|&at| table.lease(at).is_none()).collect(),
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
        let wall = self.moment(host).wall;
        let mut partitions: Vec<PartitionId> = self.partitions().collect();
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
        view.strategy = self.plan.strategy;
        view.random = random;
        view
    }

    fn claim(&mut self, host: usize, view: &View) {
        let plan = balance::plan(view);
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
            let claim = Claim::new(id, token)
                .with_duration(self.timing.lease)
                .with_epochs(self.plan.epochs)
                .with_epoch_at_least(epoch);
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
            raise: None,
            position: 0,
            busy: None,
            stored: 0,
            is_writing: false,
            step: None,
            looks: 0,
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
