//! How a host starts, scans, claims and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::{self, ClaimReason, Idle, Standing, View};
use eventhubs_eph::ownership::{Epochs, Generation, Moment, Ownership};

use super::host::{Clock, Host, Owned};
use super::{Event, Request, SCAN, World};
use crate::bug::Bug;
use crate::store::{Answer, Call};

/// How often checkpoints are written.
const CHECKPOINT: Duration = Duration::from_secs(5);

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
            id,
            clock,
            is_alive: true,
            is_stopping: false,
            sleeps_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            is_first_scan: true,
            is_scanning: false,
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
        self.send(host, Call::Withdraw);
        if self.bug == Some(Bug::KeepLeases) {
            self.hosts[host].owned.clear();
        }
        let owned: Vec<_> =
            self.hosts[host].owned.iter().map(|(at, one)| (*at, one.token)).collect();
        for (partition, token) in owned {
            self.give_back(host, partition, token);
        }
        self.end_if_stopped(host);
    }

    /// A host that stops ends with its last ownership.
    pub(super) fn end_if_stopped(&mut self, host: usize) {
        let stopping = &mut self.hosts[host];
        if stopping.is_stopping && stopping.owned.is_empty() && stopping.claiming.is_empty() {
            stopping.is_alive = false;
            let id = stopping.id.clone();
            let is_sound = self.plan.rough_until.is_zero();
            let kept = self.store.leases.iter().filter(|lease| lease.owner.as_ref() == Some(&id));
            let kept = kept.count();
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
        self.send(host, Call::Announce);
    }

    pub(super) fn answered(&mut self, request: Request, answer: Answer) {
        let Request { host, call, asked, .. } = request;
        match (call, answer) {
            (Call::Announce, Answer::Done) if !self.hosts[host].is_stopping => {
                self.send(host, Call::List);
            }
            (Call::Announce, _) => self.hosts[host].is_scanning = false,
            (Call::List, Answer::Listed { leases, tokens, presence, now }) => {
                self.hosts[host].is_scanning = false;
                if !self.hosts[host].is_stopping {
                    let view = self.view(host, leases, presence, now);
                    self.claim(host, &view, &tokens);
                }
            }
            (Call::List, _) => self.hosts[host].is_scanning = false,
            (Call::Acquire { partition, epoch, token, .. }, answer) => {
                let is_forgotten = self.bug == Some(Bug::ForgetFailedClaims)
                    && !matches!(answer, Answer::Won { .. });
                if !is_forgotten {
                    self.hosts[host].claiming.remove(&partition);
                }
                if let Answer::Won { checkpoint } = answer {
                    self.won(host, (partition, epoch, token), checkpoint, asked);
                }
                self.end_if_stopped(host);
            }
            (Call::Renew { partition, token }, answer) => {
                self.renewed(host, partition, token, asked, &answer);
            }
            (Call::Checkpoint { partition, token, value }, answer) => {
                self.checkpointed(host, partition, token, value, &answer);
            }
            (Call::Release { partition, token }, _) => self.released(host, partition, token),
            (Call::Withdraw, _) => {}
        }
    }

    fn view(
        &mut self,
        host: usize,
        mut leases: Vec<Standing>,
        presence: Vec<balance::Presence>,
        now: Duration,
    ) -> View {
        let random = self.random.draw();
        let wall = self.moment(host).wall;
        let partitions = (0..self.plan.partitions).map(Into::into).collect();
        let strategy = self.strategy();
        let bug = self.bug;
        // A list of pages of which the last did not come.
        let is_cut_short = self.now < self.plan.rough_until && self.random.chance(50);
        let own = &mut self.hosts[host];
        let now = match bug {
            Some(Bug::CompareWallClocks) => wall,
            _ => UNIX_EPOCH + now,
        };
        let mut view = View::new(&own.id, now, partitions);
        match bug {
            Some(Bug::FirstPageOnly) => {
                let page = leases.len().div_ceil(2);
                leases.truncate(page);
                view.partitions.truncate(page);
            }
            Some(Bug::CountTheDead) => {
                for lease in &mut leases {
                    lease.until = now + SCAN;
                }
            }
            Some(Bug::StealFromItself) => view.own.push('-'),
            _ => {}
        }
        if is_cut_short {
            let page = leases.len() / 2;
            leases.truncate(page);
        }
        own.idle.scanned(&mut leases, now);
        view.leases = leases;
        view.is_complete = !is_cut_short;
        view.presence = Some(presence);
        view.is_first_scan = std::mem::take(&mut own.is_first_scan);
        view.kept = own.owned.keys().chain(&own.claiming).map(|at| (*at).into()).collect();
        view.strategy = strategy;
        view.random = random;
        view
    }

    fn claim(&mut self, host: usize, view: &View, tokens: &[u64]) {
        let plan = balance::plan(view);
        for claim in plan.claims {
            let partition = claim.partition.as_u16();
            if let ClaimReason::Surplus { owner, .. } = &claim.reason
                && *owner == self.hosts[host].id
            {
                self.judge.report("A9", self.now, format!("{owner} is stolen from"));
            }
            let epoch = match self.bug {
                Some(Bug::EqualEpoch) => Some(claim.epoch.max(1)),
                _ => self.hosts[host].epochs.next(claim.partition, claim.epoch),
            };
            let Some(epoch) = epoch else { continue };
            let is_steal = matches!(claim.reason, ClaimReason::Surplus { .. } | ClaimReason::Own);
            self.tokens += 1;
            let (token, seen) = (self.tokens, tokens[usize::from(partition)]);
            self.hosts[host].claiming.insert(partition);
            self.send(host, Call::Acquire { partition, seen, is_steal, epoch, token });
        }
        for release in plan.releases {
            let partition = release.partition.as_u16();
            if let Some(token) = self.hosts[host].owned.get(&partition).map(|one| one.token) {
                self.give_back(host, partition, token);
            }
        }
    }

    fn won(&mut self, host: usize, won: (u16, i64, u64), checkpoint: u64, asked: Moment) {
        let (partition, epoch, token) = won;
        let generation = Generation::new(partition.into(), epoch, &token.to_string());
        let ownership = Ownership::acquired(generation, self.timing, asked);
        let position = match self.bug {
            Some(Bug::StartAtTheEnd) => self.head(),
            _ => checkpoint,
        };
        let owned = Owned {
            ownership,
            token,
            is_attached: false,
            position,
            busy: None,
            stored: checkpoint,
            is_writing: false,
            step: None,
            looks: 0,
        };
        self.hosts[host].owned.insert(partition, owned);
        self.agenda
            .put(self.now + Duration::from_millis(50), Event::Attached(host, partition, token));
        self.look(host, partition, token);
        if self.hosts[host].is_stopping {
            self.give_back(host, partition, token);
        }
    }

    /// Writes what was handled since the last time.
    pub(super) fn checkpoints(&mut self, host: usize) {
        self.agenda.put(self.now + CHECKPOINT, Event::Checkpoints(host));
        let owned: Vec<_> =
            self.hosts[host].owned.iter().map(|(at, one)| (*at, one.token)).collect();
        for (partition, token) in owned {
            self.write_checkpoint(host, partition, token);
        }
    }
}
