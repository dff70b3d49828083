//! Looks at all from outside: who owns what, is it fair, is it read.

use std::time::Duration;

use eventhubs_eph::Lease;
use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::Timing;
use eventhubs_protocol::PartitionId;

use super::World;
use super::host::Host;
use crate::fair;
use crate::plan::{Deed, SCAN, STILL};
use crate::store;

/// Events that a partition may be behind at the end: those of three handlers in a row that are slow
/// for 40 s.
const BEHIND_MAX: u64 = 60;

/// How long the owner of a partition may not read it: some time until it notices, two leases, then
/// up to a lease in which it is asleep, and a way out with handlers that use all of their grace and
/// calls that use all of their time.
fn unread_max(timing: Timing) -> Duration {
    3 * SCAN + timing.unlinked() + timing.lease + timing.grace + 3 * timing.call()
}

impl World {
    /// The lease of a partition that somebody holds, in the first store.
    fn held(&self, partition: PartitionId) -> Option<&Lease> {
        let date = store::date(self.now);
        self.stores[0].lease(partition).filter(|lease| lease.holder(date).is_some())
    }

    /// The hosts that should have partitions, with what they have and should have.
    fn standings(&self) -> Vec<(&Host, usize, (usize, usize))> {
        let live: Vec<&Host> = self.hosts.iter().filter(|host| host.is_serving()).collect();
        let roles: Vec<_> = live.iter().map(|host| (host.role.weight, host.role.maximum)).collect();
        let shares = fair::shares(usize::from(self.partitions), &roles);
        let held: Vec<&Lease> = self.partitions().filter_map(|at| self.held(at)).collect();
        let count = |host: &Host| {
            held.iter().filter(|lease| lease.owner.as_ref() == Some(&host.id)).count()
        };
        live.into_iter().zip(shares).map(|(host, share)| (host, count(host), share)).collect()
    }

    /// From one look to the next. Where seconds are measured there are no events.
    pub(super) fn measuring(&self) -> Duration {
        match self.plan.events_until.is_zero() {
            true => Duration::from_secs(1),
            false => Duration::from_secs(3),
        }
    }

    pub(super) fn measure(&mut self) {
        let starts = |(_, deed): &&(Duration, Deed)| matches!(deed, Deed::Start(_));
        let has_all = self.plan.deeds.iter().filter(starts).count() == self.hosts.len();
        let standings = self.standings();
        let total: usize = standings.iter().map(|(_, count, _)| count).sum();
        let most: usize = standings.iter().map(|(_, _, (_, most))| most).sum();
        let is_fair = has_all
            && standings.iter().all(|(_, count, (few, many))| (few..=many).contains(&count))
            && total == most.min(usize::from(self.partitions));
        self.balanced_since = match (is_fair, self.balanced_since) {
            (true, None) => Some(self.now),
            (true, since) => since,
            (false, _) => None,
        };
        for partition in self.partitions() {
            if self.held(partition).is_some() {
                self.orphans.insert(partition, self.now);
            } else if let Some(since) = self.orphans.get(&partition) {
                self.orphaned = self.orphaned.max(self.now - *since);
            }
        }
        if !self.plan.events_until.is_zero() {
            self.measure_reading();
        }
        self.measure_quiet();
        self.draw();
    }

    /// Who owns a partition reads it, or gives it back.
    fn measure_reading(&mut self) {
        let now = self.now;
        for partition in self.partitions() {
            let held = self.held(partition).and_then(|lease| {
                let token = lease.token.clone()?;
                let host =
                    self.hosts.iter().position(|host| lease.owner.as_ref() == Some(&host.id))?;
                Some((token, host))
            });
            let Some((token, host)) = held else {
                self.unread.remove(&partition);
                continue;
            };
            let owned = self.hosts[host].owned.get(&partition);
            let is_read = self.reaches_hub(host) && owned.is_some_and(|owned| owned.is_linked);
            let since = match self.unread.get(&partition) {
                _ if is_read => now,
                Some((have, since)) if *have == token => *since,
                _ => now,
            };
            if now - since > unread_max(self.timing) {
                let id = &self.hosts[host].id;
                let what = format!("{id} keeps partition {partition} and does not read it");
                self.judge.report("V1", now, what);
                self.unread.insert(partition, (token, now));
            } else {
                self.unread.insert(partition, (token, since));
            }
        }
    }

    /// From when on all is quiet: what moves is counted, and nobody is left without.
    fn measure_quiet(&mut self) {
        let Some(quiet_from) = self.plan.quiet_from.filter(|from| self.now >= *from) else {
            return;
        };
        if self.quiet.is_none() {
            let missing =
                |(_, count, (few, _)): (&Host, usize, (usize, usize))| few.saturating_sub(count);
            let standings = self.standings();
            let most: usize = standings.iter().map(|(_, _, (_, most))| most).sum();
            let kept: usize = standings.iter().map(|(_, count, (_, many))| count.min(many)).sum();
            let below: usize = standings.into_iter().map(missing).sum();
            let unowned = most.min(usize::from(self.partitions)).saturating_sub(kept);
            let minimum = u32::try_from(unowned.max(below)).unwrap_or(u32::MAX);
            self.quiet = Some((minimum, self.judge.moves));
        }
        let settled = quiet_from + self.timing.lease + 3 * SCAN;
        let is_due = self.now >= settled && self.now < settled + self.measuring();
        if is_due && self.plan.strategy == Strategy::Quota {
            let standings = self.standings();
            let starved = standings.iter().find(|(_, count, (few, _))| *few > 0 && *count == 0);
            if let Some(id) = starved.map(|(host, ..)| host.id.clone()) {
                self.judge.report("V6", self.now, format!("{id} has nothing"));
            }
        }
    }

    /// What must have come about in the quiet time.
    pub(super) fn judge_end(&mut self) {
        if self.plan.stores > 1 {
            return self.judge.judge_warnings(self.now);
        }
        let now = self.now;
        let most: usize = self.standings().iter().map(|(_, _, (_, most))| most).sum();
        // Hosts with maxima may leave something.
        let is_all_taken = most >= usize::from(self.partitions);
        for partition in self.partitions().filter(|_| is_all_taken) {
            if self.held(partition).is_none() {
                self.judge.report("V1", now, format!("nobody owns partition {partition}"));
            }
            let behind = self.head().saturating_sub(self.judge.handled(0, partition));
            if behind > BEHIND_MAX {
                let what = format!("partition {partition} is {behind} events behind");
                self.judge.report("V1", now, what);
            }
        }
        let still = if self.quiet.is_some() { STILL } else { 12 * SCAN };
        if self.balanced_since.is_none_or(|since| since + still > now) {
            self.judge.report("V2", now, "partitions are not shared fairly".to_owned());
        }
        if self.judge.last_move + still > now {
            let at = self.judge.last_move;
            self.judge.report("V3", at, "a partition moves though all is quiet".to_owned());
        }
        self.judge_moves();
    }

    /// V4. Greedy hosts move more, which is why they are not the default.
    fn judge_moves(&mut self) {
        let Some((minimum, before)) = self.quiet else { return };
        let hosts = self.hosts.iter().filter(|host| host.is_serving()).count();
        let slack = u32::try_from(hosts).unwrap_or(u32::MAX);
        let moves = self.judge.moves - before;
        if self.plan.strategy != Strategy::Greedy && moves > minimum + slack {
            let what = format!("{moves} moves in the quiet time, {minimum} were needed");
            self.judge.report("V4", self.now, what);
        }
    }

    /// Events that there are in each partition: one every two seconds.
    pub(super) fn head(&self) -> u64 {
        self.now.min(self.plan.events_until).as_secs() / 2
    }

    /// Who has what, for the picture.
    fn draw(&mut self) {
        let Some(mut trace) = self.trace.take() else { return };
        for partition in self.partitions() {
            let owner = self.held(partition).and_then(|lease| lease.owner.as_ref());
            let owner = self.hosts.iter().position(|host| Some(&host.id) == owner);
            let reader = self.broker.links(partition).first().map(|link| link.post.host);
            trace.standing(self.now, partition, owner, reader);
        }
        self.trace = Some(trace);
    }
}
