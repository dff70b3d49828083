//! The run: hosts on one store and one broker.

mod host;
mod owning;
mod scanning;

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_eph::Lease;
use eventhubs_eph::ownership::{Moment, Timing};
use eventhubs_protocol::{OwnerLevel, PartitionId};

use crate::agenda::Agenda;
use crate::bug::Bug;
use crate::judge::{Judge, Violation};
use crate::plan::{Deed, Plan};
use crate::post::Post;
use crate::random::Random;
use crate::store::{self, Answer, Call, Store};

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
    /// The clock of an ownership, and which look it is.
    Look(Post, u64),
    /// The checkpoint is taken over once more.
    Fence(Post),
    /// The receiver is attached.
    Attached(Post),
    /// The broker tells that another receiver took over.
    Stolen(Post),
    /// A handler ends with an event.
    Handled(Post, u64),
    /// The next event, if there is one.
    Intake(Post),
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
    /// The receivers, with their epochs.
    receivers: BTreeMap<PartitionId, (Post, OwnerLevel)>,
    hosts: Vec<Host>,
    judge: Judge,
    timing: Timing,
    tokens: u64,
    outage_until: Duration,
    balanced_since: Option<Duration>,
    /// Since when the partitions that had an owner have none.
    orphans: BTreeMap<PartitionId, Duration>,
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
            store: Store::new(bug),
            receivers: BTreeMap::new(),
            hosts: Vec::new(),
            judge: Judge::new(timing.lease),
            timing,
            tokens: 0,
            outage_until: Duration::ZERO,
            balanced_since: None,
            orphans: BTreeMap::new(),
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
            Event::Look(post, look) => self.woken(&post, look),
            Event::Fence(post) => self.fence(&post),
            Event::Attached(post) => self.attached(&post),
            Event::Stolen(post) => self.stolen(&post),
            Event::Intake(post) => self.intake(&post),
            Event::Handled(post, event) => self.handled(&post, event),
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
        let owner = &self.hosts[request.host].id;
        let partition = request.call.partition();
        let before = partition.and_then(|partition| self.store.lease(partition)).cloned();
        let answer = self.store.perform(&request.call, self.now);
        self.judge.stored(owner, &request.call, &answer, before.as_ref(), self.now);
        if let Some(at) = request.answer_at {
            self.agenda.put(at, Event::Answer(request, answer));
        }
    }

    /// The partitions of the hub.
    fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.plan.partitions).map(PartitionId::from)
    }

    /// The lease of a partition that somebody holds.
    fn held(&self, partition: PartitionId) -> Option<&Lease> {
        let date = store::date(self.now);
        self.store.lease(partition).filter(|lease| lease.holder(date).is_some())
    }

    /// Looks whether the live hosts have floor(P/N) or one more each.
    fn measure(&mut self) {
        let count = usize::from(self.plan.partitions);
        let live: Vec<&Host> = self.hosts.iter().filter(|host| host.is_serving()).collect();
        let floor = count / live.len().max(1);
        let held: Vec<&Lease> = self.partitions().filter_map(|at| self.held(at)).collect();
        let counts = live
            .iter()
            .map(|host| held.iter().filter(|lease| lease.owner.as_ref() == Some(&host.id)).count());
        let counts: Vec<usize> = counts.collect();
        let starts = |(_, deed): &&(Duration, Deed)| *deed == Deed::Start;
        let has_all = self.plan.deeds.iter().filter(starts).count() == self.hosts.len();
        let is_fair = has_all
            && counts.iter().all(|count| (floor..=floor + 1).contains(count))
            && counts.iter().sum::<usize>() == count;
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
    }

    /// What must have come about in the quiet time.
    fn judge_liveness(&mut self) {
        let now = self.now;
        for partition in self.partitions() {
            if self.held(partition).is_none() {
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
            Self::Look(post, _)
            | Self::Fence(post)
            | Self::Attached(post)
            | Self::Stolen(post)
            | Self::Handled(post, _)
            | Self::Intake(post) => Some(post.host),
            Self::Deed(_) | Self::Effect(_) | Self::Measure => None,
        }
    }
}
