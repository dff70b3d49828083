//! The run: hosts on one store and one broker.

mod host;
mod owning;
mod scanning;

use std::time::Duration;

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::{Moment, Timing};

use crate::agenda::Agenda;
use crate::bug::Bug;
use crate::judge::{Judge, Violation};
use crate::plan::{Deed, Plan};
use crate::random::Random;
use crate::store::{Answer, Call, Lease, Store};

use host::Host;

/// From one scan to the next, give or take a twentieth.
const SCAN: Duration = Duration::from_secs(10);

/// Scans without a move at the end of a run.
const STILL: Duration = Duration::from_secs(120);

/// Events that a partition may be behind at the end: those of three handlers in a row that are slow
/// for 40 s.
const BEHIND_MAX: u64 = 60;

/// A call that is on its way.
#[derive(Debug)]
pub(super) struct Request {
    host: usize,
    call: Call,
    /// The host's clocks when it was sent.
    asked: Moment,
    /// When the answer is there, if it comes back.
    answer_at: Option<Duration>,
}

#[derive(Debug)]
enum Event {
    Deed(Deed),
    /// A host scans.
    Scan(usize),
    /// A call reaches the store.
    Effect(Request),
    /// The answer, or the deadline without one.
    Answer(Request, Answer),
    /// The clock of an ownership: host, partition, token, and which look it is.
    Look(usize, u16, u64, u64),
    /// The receiver is attached.
    Attached(usize, u16, u64),
    /// The broker tells that another receiver took over.
    Stolen(usize, u16, u64),
    /// A handler ends with an event: host, partition, token, event.
    Handled(usize, u16, u64, u64),
    /// The next event, if there is one.
    Intake(usize, u16, u64),
    /// The time to write checkpoints.
    Checkpoints(usize),
    /// Is everything shared?
    Measure,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rules that were broken.
    pub violations: Vec<Violation>,
    /// Claims that were won from others or from nobody.
    pub moves: u32,
    /// Since when everything was shared fairly, if it was at the end.
    pub balanced_since: Option<Duration>,
    /// The longest time a partition had no owner after it had one for the first time.
    pub orphaned: Duration,
}

/// A run that has not begun.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    bug: Option<Bug>,
    now: Duration,
    agenda: Agenda<Event>,
    random: Random,
    store: Store,
    /// The receiver of each partition: host, token, epoch.
    receivers: Vec<Option<(usize, u64, i64)>>,
    hosts: Vec<Host>,
    judge: Judge,
    timing: Timing,
    tokens: u64,
    outage_until: Duration,
    balanced_since: Option<Duration>,
    /// Since when the partitions have no owner.
    orphans: Vec<Duration>,
    orphaned: Duration,
    moves_before: u32,
}

impl World {
    /// Prepares the run of a plan, with a bug planted or without.
    #[must_use]
    pub fn new(plan: Plan, bug: Option<Bug>) -> Self {
        let mut timing = Timing::default();
        if bug == Some(Bug::RenewLate) {
            timing.renewal = timing.lease + SCAN;
        }
        let count = usize::from(plan.partitions);
        let mut agenda = Agenda::new();
        for (at, deed) in &plan.deeds {
            agenda.put(*at, Event::Deed(*deed));
        }
        agenda.put(Duration::ZERO, Event::Measure);
        Self {
            bug,
            now: Duration::ZERO,
            agenda,
            random: Random::new(plan.seed ^ 0x5eed),
            store: Store::new(plan.partitions, timing.lease, bug),
            receivers: vec![None; count],
            hosts: Vec::new(),
            judge: Judge::new(plan.partitions, timing.lease),
            timing,
            tokens: 0,
            outage_until: Duration::ZERO,
            balanced_since: None,
            orphans: vec![Duration::MAX; count],
            orphaned: Duration::ZERO,
            moves_before: 0,
            plan,
        }
    }

    /// Lets everything happen until then.
    pub(crate) fn run_until(&mut self, until: Duration) {
        while let Some((at, event)) = self.agenda.next() {
            if at > until {
                self.agenda.put(at, event);
                break;
            }
            self.now = at;
            self.happen(event);
        }
        self.now = until;
    }

    /// What happened so far is not counted.
    pub(crate) fn forget(&mut self) {
        self.moves_before = self.judge.moves;
        self.balanced_since = None;
        self.orphaned = Duration::ZERO;
        self.measure();
    }

    /// Runs to the end, and judges.
    #[must_use]
    pub fn run(mut self) -> Report {
        let ends = self.plan.ends;
        self.run_until(ends);
        self.judge_liveness();
        Report {
            violations: self.judge.violations,
            moves: self.judge.moves - self.moves_before,
            balanced_since: self.balanced_since,
            orphaned: self.orphaned,
        }
    }

    fn happen(&mut self, event: Event) {
        if let Some(host) = event.host().and_then(|host| self.hosts.get(host)) {
            if !host.is_alive {
                return;
            }
            if host.sleeps_until > self.now {
                // It is handled when the host wakes, in the same order.
                return self.agenda.put(host.sleeps_until, event);
            }
        }
        match event {
            Event::Deed(deed) => self.deed(deed),
            Event::Scan(host) => self.scan(host),
            Event::Effect(request) => self.effect(request),
            Event::Answer(request, answer) => self.answered(request, answer),
            Event::Look(host, partition, token, look) => self.woken(host, partition, token, look),
            Event::Attached(host, partition, token) => self.attached(host, partition, token),
            Event::Stolen(host, partition, token) => self.stolen(host, partition, token),
            Event::Intake(host, partition, token) => self.intake(host, partition, token),
            Event::Handled(host, partition, token, event) => {
                self.handled(host, partition, token, event);
            }
            Event::Checkpoints(host) => self.checkpoints(host),
            Event::Measure => {
                self.measure();
                self.agenda.put(self.now + Duration::from_secs(1), Event::Measure);
            }
        }
    }

    fn deed(&mut self, deed: Deed) {
        let now = self.now;
        match deed {
            Deed::Start => self.start(),
            Deed::Stop(host) => self.stop(host),
            Deed::Crash(host) => {
                if let Some(host) = self.hosts.get_mut(host) {
                    host.is_alive = false;
                }
            }
            Deed::Pause(host, long) => {
                if let Some(host) = self.hosts.get_mut(host) {
                    host.sleeps_until = host.sleeps_until.max(now + long);
                }
            }
            Deed::Suspend(host, long) => {
                if let Some(host) = self.hosts.get_mut(host).filter(|host| host.sleeps_until <= now)
                {
                    host.sleeps_until = now + long;
                    host.clock.suspended += long;
                }
            }
            Deed::Cut(host, long) => {
                if let Some(host) = self.hosts.get_mut(host) {
                    host.cut_until = now + long;
                }
            }
            Deed::Outage(long) => self.outage_until = now + long,
        }
    }

    /// A host sends a call to the store.
    fn send(&mut self, host: usize, call: Call) {
        let is_rough = self.now < self.plan.rough_until;
        let (there, back) = match is_rough {
            true => (self.random.latency(), self.random.latency()),
            false => (Duration::from_millis(10), Duration::from_millis(10)),
        };
        let asked = self.moment(host);
        let is_cut = self.outage_until > self.now || self.hosts[host].cut_until > self.now;
        let fails_before = is_cut || (is_rough && self.random.chance(20));
        let fails_after = is_rough && self.random.chance(20);
        let deadline = self.now + self.timing.call();
        let answer_at = self.now + there + back;
        let is_answered = !fails_before && !fails_after && answer_at < deadline;
        let answer_at = is_answered.then_some(answer_at);
        if !is_answered {
            let failed_at = if is_cut { deadline } else { deadline.min(self.now + there + back) };
            let request = Request { host, call: call.clone(), asked, answer_at: None };
            self.agenda.put(failed_at, Event::Answer(request, Answer::Failed));
        }
        if !fails_before {
            let effect_at = self.now + there;
            self.agenda.put(effect_at, Event::Effect(Request { host, call, asked, answer_at }));
        }
    }

    fn effect(&mut self, request: Request) {
        let owner = self.hosts[request.host].id.clone();
        let before = self.lease_of(&request.call);
        let answer = self.store.perform(&owner, &request.call, self.now);
        let after = self.lease_of(&request.call);
        self.judge.stored(&owner, &request.call, &answer, (&before, &after), self.now);
        if let Some(at) = request.answer_at {
            self.agenda.put(at, Event::Answer(request, answer));
        }
    }

    /// The lease that a call is about.
    fn lease_of(&self, call: &Call) -> Lease {
        let lease = call.partition().and_then(|at| self.store.leases.get(usize::from(at)));
        lease.cloned().unwrap_or_default()
    }

    /// Looks whether the live hosts have floor(P/N) or one more each.
    fn measure(&mut self) {
        let live: Vec<&Host> = self.hosts.iter().filter(|host| host.is_serving()).collect();
        let floor = self.store.leases.len() / live.len().max(1);
        let held = |host: &&Host| {
            let holds = |lease: &&Lease| lease.holder(self.now) == Some(&*host.id);
            self.store.leases.iter().filter(holds).count()
        };
        let counts: Vec<usize> = live.iter().map(held).collect();
        let starts = |(_, deed): &&(Duration, Deed)| *deed == Deed::Start;
        let has_all = self.plan.deeds.iter().filter(starts).count() == self.hosts.len();
        let is_fair = has_all
            && counts.iter().all(|count| (floor..=floor + 1).contains(count))
            && counts.iter().sum::<usize>() == self.store.leases.len();
        self.balanced_since = match (is_fair, self.balanced_since) {
            (true, None) => Some(self.now),
            (true, since) => since,
            (false, _) => None,
        };
        for (lease, since) in self.store.leases.iter().zip(&mut self.orphans) {
            match lease.holder(self.now) {
                Some(_) => *since = self.now,
                None if *since == Duration::MAX => {}
                None => self.orphaned = self.orphaned.max(self.now - *since),
            }
        }
    }

    /// What must have come about in the quiet time.
    fn judge_liveness(&mut self) {
        let now = self.now;
        for partition in 0..self.plan.partitions {
            if self.store.leases[usize::from(partition)].holder(now).is_none() {
                self.judge.report("V1", now, format!("nobody owns partition {partition}"));
            }
            let behind = self.head().saturating_sub(self.judge.handled(partition));
            if self.plan.has_events && behind > BEHIND_MAX {
                let what = format!("partition {partition} is {behind} events behind");
                self.judge.report("V1", now, what);
            }
        }
        if self.balanced_since.is_none_or(|since| since + STILL > now) {
            self.judge.report("V2", now, "partitions are not shared fairly".to_owned());
        }
        if self.judge.last_move + STILL > now {
            let at = self.judge.last_move;
            self.judge.report("V3", at, "a partition moves though all is quiet".to_owned());
        }
    }

    /// Events that there are in each partition: one every two seconds.
    fn head(&self) -> u64 {
        self.now.as_secs() / 2
    }

    /// How the hosts share.
    fn strategy(&self) -> Strategy {
        self.plan.strategy
    }

    fn moment(&self, host: usize) -> Moment {
        self.hosts[host].clock.read(self.now)
    }
}

impl Event {
    /// The host that has to run for it.
    fn host(&self) -> Option<usize> {
        match self {
            Self::Scan(host) | Self::Checkpoints(host) => Some(*host),
            Self::Answer(request, _) => Some(request.host),
            Self::Look(host, ..)
            | Self::Attached(host, ..)
            | Self::Stolen(host, ..)
            | Self::Handled(host, ..)
            | Self::Intake(host, ..) => Some(*host),
            Self::Deed(_) | Self::Effect(_) | Self::Measure => None,
        }
    }
}

impl Call {
    fn partition(&self) -> Option<u16> {
        match self {
            Self::Announce | Self::Withdraw | Self::List => None,
            Self::Acquire { partition, .. }
            | Self::Renew { partition, .. }
            | Self::Checkpoint { partition, .. }
            | Self::Release { partition, .. } => Some(*partition),
        }
    }
}
