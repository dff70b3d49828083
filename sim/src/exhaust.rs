//! Every order of calls in the small: two or three hosts on a few partitions, each call taking
//! effect, being answered and being lost at any moment, with time passing in between. What is
//! reached is judged by the rules that random runs are judged by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, UNIX_EPOCH};

use eventhubs_eph::balance::{self, View};
use eventhubs_eph::ownership::{Action, EpochMode, Epochs, Generation, Moment, Ownership};
use eventhubs_eph::ownership::{Step, Timing};
use eventhubs_eph::{Acquire, Claim, Commit, Fence, Hold, Lease, LeaseToken, OwnerId, Presence};
use eventhubs_protocol::PartitionId;

use crate::broker::{Attached, Broker};
use crate::bug::Bug;
use crate::judge::{Judge, Violation};
use crate::post::Post;
use crate::store::{self, Answer, Call, Store};

/// Half a lease: after one of them a proof is too old to attach by, after two a host that proved
/// nothing is fenced and its lease is over.
const TICK: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Clone, Debug)]
pub struct Explored {
    /// States that differ.
    pub states: usize,
    /// A rule that was broken, and the way there.
    pub found: Option<(Violation, Vec<String>)>,
}

/// Goes every way of so many steps, from a store in which nobody owns anything, and from where the
/// first host owns and reads all.
#[must_use]
pub fn explore(hosts: usize, partitions: u16, steps: u32, bug: Option<Bug>) -> Explored {
    let mut explorer = Explorer { seen: HashMap::new(), path: Vec::new(), found: None };
    let mut small = Small::new(hosts, partitions, bug);
    explorer.go(&small, steps);
    small.act(Act::Scan(0));
    // Claims, then what takes the checkpoints over.
    for _ in 0..2 * partitions {
        small.act(Act::Effect(0));
        small.act(Act::Answer(0));
    }
    for partition in 0..partitions {
        small.act(Act::Attach(0, partition.into()));
    }
    explorer.go(&small, steps);
    Explored { states: explorer.seen.len(), found: explorer.found }
}

struct Explorer {
    /// States, and the most steps that were left there.
    seen: HashMap<u64, u32>,
    path: Vec<Act>,
    found: Option<(Violation, Vec<String>)>,
}

impl Explorer {
    fn go(&mut self, small: &Small, left: u32) {
        if self.found.is_some() {
            return;
        }
        if let Some(violation) = small.judge.violations.first() {
            let path = self.path.iter().map(|act| format!("{act:?}")).collect();
            self.found = Some((violation.clone(), path));
            return;
        }
        let before = self.seen.insert(small.key(), left);
        if let Some(before) = before.filter(|before| *before >= left) {
            self.seen.insert(small.key(), before);
            return;
        }
        if left == 0 {
            return;
        }
        for act in small.acts() {
            let mut next = small.clone();
            next.act(act);
            self.path.push(act);
            self.go(&next, left - 1);
            self.path.pop();
        }
    }
}

/// What may happen next. Numbers are those of hosts and of calls.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The host lists, plans, and claims.
    Scan(usize),
    /// The call takes effect.
    Effect(usize),
    /// The host gets the answer.
    Answer(usize),
    /// The host gets none. The call may take effect later all the same.
    Lose(usize),
    Renew(usize, PartitionId),
    /// The receiver is attached.
    Attach(usize, PartitionId),
    /// An event is handled, and the checkpoint goes to the store.
    Handle(usize, PartitionId),
    Release(usize, PartitionId),
    /// The broker's word that another took over arrives.
    Stolen(usize, PartitionId),
    Tick,
}

/// A partition on a host.
#[derive(Clone, Debug)]
struct Owned {
    ownership: Ownership,
    lease: Lease,
    /// Whether the checkpoint was taken over.
    is_begun: bool,
    is_linked: bool,
    is_stolen: bool,
    position: u64,
    stored: u64,
}

#[derive(Clone, Debug)]
struct Tiny {
    id: OwnerId,
    epochs: Epochs,
    owned: BTreeMap<PartitionId, Owned>,
    claiming: BTreeSet<PartitionId>,
}

/// A call that is on its way.
#[derive(Clone, Debug)]
struct Sent {
    host: usize,
    call: Call,
    asked: Moment,
    answer: Option<Answer>,
    /// Whether the host still waits for it.
    is_awaited: bool,
}

#[derive(Clone, Debug)]
struct Small {
    now: Duration,
    partitions: u16,
    store: Store,
    broker: Broker,
    hosts: Vec<Tiny>,
    calls: Vec<Sent>,
    judge: Judge,
    tokens: u64,
}

impl Small {
    fn new(hosts: usize, partitions: u16, bug: Option<Bug>) -> Self {
        let timing = Timing::default();
        let mut store = Store::new(bug);
        store.perform(&Call::Make, Duration::ZERO);
        for partition in 0..partitions {
            store.perform(&Call::Ensure(partition.into()), Duration::ZERO);
        }
        let host = |number: usize| Tiny {
            id: OwnerId::new(&format!("host-{number}")).expect("it is short"),
            epochs: Epochs::new(EpochMode::Rising),
            owned: BTreeMap::new(),
            claiming: BTreeSet::new(),
        };
        let mut small = Self {
            now: Duration::ZERO,
            partitions,
            store,
            broker: Broker::default(),
            hosts: (0..hosts).map(host).collect(),
            calls: Vec::new(),
            judge: Judge::new(EpochMode::Rising, 1, timing.lease),
            tokens: 0,
        };
        // Who comes later is known later: until then the first host takes all.
        small.announce(0);
        small
    }

    fn announce(&mut self, host: usize) {
        let presence = Presence::new(self.hosts[host].id.clone(), Duration::from_secs(3_600));
        self.store.perform(&Call::Announce(presence), self.now);
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        hasher.finish()
    }

    fn moment(&self) -> Moment {
        Moment { monotonic: self.now, wall: UNIX_EPOCH + self.now }
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for (number, sent) in self.calls.iter().enumerate() {
            match &sent.answer {
                None => acts.push(Act::Effect(number)),
                Some(_) => acts.push(Act::Answer(number)),
            }
            if sent.is_awaited {
                acts.push(Act::Lose(number));
            }
        }
        for (number, host) in self.hosts.iter().enumerate() {
            if host.claiming.is_empty() {
                acts.push(Act::Scan(number));
            }
            for (partition, owned) in &host.owned {
                acts.extend(self.acts_of(number, *partition, owned));
            }
        }
        if self.now < 3 * TICK {
            acts.push(Act::Tick);
        }
        acts
    }

    fn acts_of(&self, host: usize, partition: PartitionId, owned: &Owned) -> Vec<Act> {
        let is_waited_for = |is_it: fn(&Call) -> bool| {
            self.calls.iter().any(|sent| {
                sent.is_awaited
                    && sent.host == host
                    && sent.call.partition() == Some(partition)
                    && is_it(&sent.call)
            })
        };
        let mut acts = Vec::new();
        if !is_waited_for(|call| matches!(call, Call::Renew(_))) {
            acts.push(Act::Renew(host, partition));
        }
        if owned.is_begun && !owned.is_linked {
            acts.push(Act::Attach(host, partition));
        }
        if owned.is_linked && !is_waited_for(|call| matches!(call, Call::Commit(..))) {
            acts.push(Act::Handle(host, partition));
            acts.push(Act::Release(host, partition));
        }
        if owned.is_stolen {
            acts.push(Act::Stolen(host, partition));
        }
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Scan(host) => self.scan(host),
            Act::Effect(number) => self.effect(number),
            Act::Answer(number) => {
                let sent = self.calls.remove(number);
                if let Some(answer) = sent.answer.clone().filter(|_| sent.is_awaited) {
                    self.answered(sent, answer);
                }
            }
            Act::Lose(number) => {
                let sent = &mut self.calls[number];
                sent.is_awaited = false;
                let sent = sent.clone();
                if sent.answer.is_some() {
                    self.calls.remove(number);
                }
                self.answered(sent, Answer::Failed);
            }
            Act::Renew(host, partition) => {
                let lease = self.hosts[host].owned.get(&partition).map(|one| one.lease.clone());
                lease.into_iter().for_each(|lease| self.send(host, Call::Renew(lease)));
            }
            Act::Attach(host, partition) => self.attach(host, partition),
            Act::Handle(host, partition) => self.handle(host, partition),
            Act::Release(host, partition) => {
                let now = self.moment();
                self.with(host, partition, |owned| owned.ownership.release(now));
                self.way_out(host, partition);
            }
            Act::Stolen(host, partition) => {
                let now = self.moment();
                self.with(host, partition, |owned| owned.ownership.stolen(now));
                self.way_out(host, partition);
            }
            Act::Tick => {
                self.now += TICK;
                for host in 0..self.hosts.len() {
                    let owned: Vec<_> = self.hosts[host].owned.keys().copied().collect();
                    owned.into_iter().for_each(|partition| self.way_out(host, partition));
                }
            }
        }
    }

    fn send(&mut self, host: usize, call: Call) {
        let asked = self.moment();
        self.calls.push(Sent { host, call, asked, answer: None, is_awaited: true });
    }

    fn with(&mut self, host: usize, partition: PartitionId, change: impl FnOnce(&mut Owned)) {
        if let Some(owned) = self.hosts[host].owned.get_mut(&partition) {
            change(owned);
        }
    }

    fn scan(&mut self, host: usize) {
        self.announce(host);
        let Answer::Listed(table, presence) = self.store.perform(&Call::List, self.now) else {
            return;
        };
        let partitions = (0..self.partitions).map(PartitionId::from).collect();
        let own = &mut self.hosts[host];
        table.leases.iter().for_each(|lease| own.epochs.see(lease.partition, lease.epoch));
        let mut view = View::new(own.id.clone(), partitions, table);
        view.presence = Some(presence);
        view.kept = own.owned.keys().chain(&own.claiming).copied().collect();
        for take in balance::plan(&view).takes {
            let Some(seen) = view.table.lease(take.partition).cloned() else { continue };
            let own = &mut self.hosts[host];
            let Some(epoch) = own.epochs.next(take.partition, seen.epoch) else { continue };
            own.claiming.insert(take.partition);
            self.tokens += 1;
            let token = LeaseToken::new(&self.tokens.to_string()).expect("it is short");
            let claim = Claim::new(own.id.clone(), token).with_epoch_at_least(epoch);
            self.send(host, Call::Acquire(seen, claim));
        }
    }

    fn effect(&mut self, number: usize) {
        let sent = &self.calls[number];
        let partition = sent.call.partition();
        let before = partition.and_then(|partition| self.store.lease(partition)).cloned();
        let answer = self.store.perform(&sent.call, self.now);
        let by = (0, &self.hosts[sent.host].id);
        self.judge.stored(by, &sent.call, &answer, before.as_ref(), self.now);
        match sent.is_awaited {
            true => self.calls[number].answer = Some(answer),
            false => drop(self.calls.remove(number)),
        }
    }

    fn answered(&mut self, sent: Sent, answer: Answer) {
        let Sent { host, call, asked, .. } = sent;
        let Some(partition) = call.partition() else { return };
        if let Call::Acquire(..) = call {
            self.hosts[host].claiming.remove(&partition);
            if let Answer::Acquired(Acquire::Won(lease)) = answer {
                self.won(host, lease, asked);
            }
            return;
        }
        let now = self.moment();
        let token = match &call {
            Call::Renew(lease) | Call::Fence(lease) | Call::Commit(lease, _) => lease.token.clone(),
            _ => None,
        };
        let owned = self.hosts[host].owned.get_mut(&partition);
        let Some(owned) = owned.filter(|owned| owned.lease.token == token) else { return };
        match (call, answer) {
            (Call::Renew(_), Answer::Held(Hold::Kept(lease))) => {
                owned.lease = lease;
                owned.ownership.renewed(asked, now);
            }
            (Call::Renew(_), Answer::Held(Hold::Lost(_)))
            | (Call::Fence(_), Answer::Fenced(Fence::Lost { .. }))
            | (Call::Commit(..), Answer::Committed(Commit::Lost)) => owned.ownership.lost(now),
            (Call::Renew(_), _) => owned.ownership.renew_failed(now),
            (Call::Fence(_), Answer::Fenced(Fence::Up(checkpoint))) => {
                owned.stored = store::handled(checkpoint.as_ref());
                owned.position = owned.stored;
                owned.is_begun = true;
            }
            (Call::Fence(lease), _) => self.send(host, Call::Fence(lease)),
            (Call::Commit(_, count), Answer::Committed(_)) => {
                owned.stored = owned.stored.max(count);
            }
            _ => {}
        }
        self.way_out(host, partition);
    }

    fn won(&mut self, host: usize, lease: Lease, asked: Moment) {
        let Some(token) = lease.token.clone() else { return };
        let generation = Generation::new(lease.partition, lease.epoch, token);
        let owned = Owned {
            ownership: Ownership::acquired(generation, Timing::default(), asked),
            lease: lease.clone(),
            is_begun: false,
            is_linked: false,
            is_stolen: false,
            position: 0,
            stored: 0,
        };
        self.hosts[host].owned.insert(lease.partition, owned);
        self.send(host, Call::Fence(lease));
    }

    fn post(&self, host: usize, partition: PartitionId) -> Option<(Post, Generation)> {
        let generation = self.hosts[host].owned.get(&partition)?.ownership.generation().clone();
        Some((Post { host, partition, token: generation.token.clone() }, generation))
    }

    fn attach(&mut self, host: usize, partition: PartitionId) {
        let now = self.moment();
        let Some((post, generation)) = self.post(host, partition) else { return };
        let owned = self.hosts[host].owned.get(&partition);
        if owned.is_none_or(|owned| owned.ownership.may_attach(&generation, now).is_err()) {
            return;
        }
        match self.broker.attach(&post, generation.epoch) {
            Attached::Done(put_out) => {
                self.judge.linked(&post, self.broker.links(partition), &put_out, self.now);
                for link in put_out {
                    self.with(link.post.host, partition, |owned| {
                        let is_it = owned.lease.token.as_ref() == Some(&link.post.token);
                        owned.is_stolen |= is_it;
                    });
                }
                self.with(host, partition, |owned| {
                    owned.ownership.linked();
                    owned.is_linked = true;
                });
            }
            // This store never loses an epoch: whoever has a higher one claimed later.
            Attached::Refused(_) => {
                self.with(host, partition, |owned| owned.ownership.lost(now));
                self.way_out(host, partition);
            }
        }
    }

    fn handle(&mut self, host: usize, partition: PartitionId) {
        let now = self.moment();
        let Some((post, generation)) = self.post(host, partition) else { return };
        let Some(owned) = self.hosts[host].owned.get_mut(&partition) else { return };
        if owned.ownership.may_handle(&generation, now).is_err() {
            return;
        }
        let event = owned.position;
        owned.position += 1;
        let (lease, count) = (owned.lease.clone(), owned.position);
        let may_write = owned.ownership.may_checkpoint(&generation, now).is_ok();
        self.judge.started(0, &post, event, Duration::ZERO, self.now);
        self.judge.finished(0, partition, event);
        if may_write {
            self.send(host, Call::Commit(lease, count));
        }
    }

    /// Performs the way out, if it is one, as far as it goes without an answer.
    fn way_out(&mut self, host: usize, partition: PartitionId) {
        let now = self.moment();
        let Some((post, _)) = self.post(host, partition) else { return };
        loop {
            let Some(owned) = self.hosts[host].owned.get_mut(&partition) else { return };
            if owned.ownership.end().is_none() && now.monotonic < owned.ownership.fence_at() {
                return;
            }
            match owned.ownership.look(now) {
                Action::Perform(step) => {
                    owned.ownership.done(step);
                    let lease = owned.lease.clone();
                    match step {
                        Step::StopIntake => self.judge.told(&post.token),
                        Step::Detach => self.broker.detach(&post),
                        Step::Release => self.send(host, Call::Release(lease)),
                        Step::Signal | Step::AwaitHandlers | Step::Flush => {}
                    }
                }
                Action::Over(_) => drop(self.hosts[host].owned.remove(&partition)),
                Action::Renew => {}
                Action::Wait(_) => return,
            }
        }
    }
}

/// What is gone through: hosts, partitions, steps.
pub const TIERS: [(usize, u16, u32); 3] = [(2, 1, 8), (2, 2, 5), (3, 3, 4)];
