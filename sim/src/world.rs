//! The run: hosts on a store and a broker.

mod deeds;
mod host;
mod measuring;
mod owning;
mod scanning;

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_eph::LeaseToken;
use eventhubs_eph::ownership::{Moment, Timing};
use eventhubs_protocol::PartitionId;

use crate::agenda::Agenda;
use crate::broker::Broker;
use crate::bug::Bug;
use crate::judge::{Judge, Violation};
use crate::picture::Trace;
use crate::plan::{Deed, Plan, SCAN};
use crate::post::Post;
use crate::random::Random;
use crate::store::{Answer, Call, Store};

use host::Host;

/// A call that is on its way.
#[derive(Debug)]
pub(super) struct Request {
    host: usize,
    call: Call,
    /// The host's clocks when it was sent, or when it was sent first.
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
    /// The host notices that the broker cannot be reached.
    Unlinked(Post),
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
    /// Events that were handled again.
    pub repeated: u64,
    /// What happened, if it was asked for.
    pub picture: Option<String>,
}

/// A run that has not begun.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    bug: Option<Bug>,
    now: Duration,
    agenda: Agenda<Event>,
    random: Random,
    stores: Vec<Store>,
    broker: Broker,
    hosts: Vec<Host>,
    judge: Judge,
    timing: Timing,
    tokens: u64,
    /// Partitions of the hub.
    partitions: u16,
    outage_until: Duration,
    /// Until when a store that was deleted cannot be made.
    deleting_until: Duration,
    balanced_since: Option<Duration>,
    /// Since when the partitions that had an owner have none.
    orphans: BTreeMap<PartitionId, Duration>,
    orphaned: Duration,
    /// Since when owners do not read.
    unread: BTreeMap<PartitionId, (LeaseToken, Duration)>,
    /// What had to move when all was quiet, and how many had moved.
    quiet: Option<(u32, u32)>,
    moves_before: u32,
    trace: Option<Trace>,
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
            stores: (0..plan.stores).map(|_| Store::new(bug)).collect(),
            broker: Broker::default(),
            hosts: Vec::new(),
            judge: Judge::new(plan.epochs, plan.stores, timing.lease),
            timing,
            tokens: 0,
            partitions: plan.partitions,
            outage_until: Duration::ZERO,
            deleting_until: Duration::ZERO,
            balanced_since: None,
            orphans: BTreeMap::new(),
            orphaned: Duration::ZERO,
            unread: BTreeMap::new(),
            quiet: None,
            moves_before: 0,
            trace: None,
            plan,
        }
    }

    /// The same run, which will be drawn.
    #[must_use]
    pub fn with_picture(mut self) -> Self {
        self.trace = Some(Trace::default());
        self
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
        self.judge_end();
        let violations = self.judge.violations;
        let picture = self.trace.map(|trace| {
            let ids: Vec<_> = self.hosts.iter().map(|host| host.id.to_string()).collect();
            trace.draw(&self.plan, self.partitions, &ids, &violations)
        });
        Report {
            violations,
            moves: self.judge.moves - self.moves_before,
            balanced_since: self.balanced_since,
            orphaned: self.orphaned,
            repeated: self.judge.repeated,
            picture,
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
            Event::Unlinked(post) => self.unlinked(&post),
            Event::Stolen(post) => self.stolen(&post),
            Event::Intake(post) => self.intake_due(&post),
            Event::Handled(post, event) => self.handled(&post, event),
            Event::Checkpoints(host) => self.checkpoints(host),
            Event::Measure => {
                self.measure();
                self.agenda.put(self.now + self.measuring(), Event::Measure);
            }
        }
    }

    /// A host sends a call to its store.
    fn send(&mut self, host: usize, call: Call) {
        let asked = self.moment(host);
        self.send_again(host, call, asked);
    }

    /// A host sends a call that it began at `asked`.
    fn send_again(&mut self, host: usize, call: Call, asked: Moment) {
        let is_rough = self.now < self.plan.rough_until;
        let (there, back) = match is_rough {
            true => (self.random.latency(), self.random.latency()),
            false => (Duration::from_millis(10), Duration::from_millis(10)),
        };
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

    fn effect(&mut self, mut request: Request) {
        let Host { id, role, .. } = &self.hosts[request.host];
        let store = &mut self.stores[role.store];
        let partition = request.call.partition();
        let before = partition.and_then(|partition| store.lease(partition)).cloned();
        if let (Some(Bug::RefreshToken), Call::Commit(lease, _), Some(before)) =
            (self.bug, &mut request.call, &before)
        {
            lease.clone_from(before);
        }
        let answer = match &request.call {
            Call::Make if self.deleting_until > self.now => Answer::Failed,
            call => store.perform(call, self.now),
        };
        let by = (role.store, id);
        self.judge.stored(by, &request.call, &answer, before.as_ref(), self.now);
        if let Some(at) = request.answer_at {
            self.agenda.put(at, Event::Answer(request, answer));
        }
    }

    /// The partitions of the hub.
    fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.partitions).map(PartitionId::from)
    }

    fn moment(&self, host: usize) -> Moment {
        self.hosts[host].clock.read(self.now)
    }

    /// Whether the broker can be reached.
    fn reaches_hub(&self, host: usize) -> bool {
        self.hosts[host].hub_cut_until <= self.now
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
            | Self::Unlinked(post)
            | Self::Stolen(post)
            | Self::Handled(post, _)
            | Self::Intake(post) => Some(post.host),
            Self::Deed(_) | Self::Effect(_) | Self::Measure => None,
        }
    }
}
