//! The task of a host: everything that goes on beside the partitions themselves.
//!
//! It waits for many things at once and never for one: looks, claims, ends of ownerships, wishes. Each
//! is a future in one set, and what it gives is a [`Work`] to be dealt with at once.

mod drain;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_protocol::PartitionId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, watch};

use super::board::Board;
use super::error::{HostError, HostErrorKind};
use super::shared::Shared;
use super::state::{Goal, HostState};
use crate::balance::{Plan, ReleaseReason};
use crate::clock;
use crate::keeper::{Keeper, Over};
use crate::lease::Claim;
use crate::notice::HostEvent;
use crate::owner::LeaseToken;
use crate::ownership::End;
use crate::partition::CloseReason;
use crate::presence::Presence;
use crate::scan::{self, Backoff, Claimed, Found, Intent, Memory, Outcome, Wish};

use drain::Drain;
use work::{Work, Working};

/// Claims that are on their way at the same time.
const CLAIMS_MAX: usize = 64;

/// Waits between tries to start.
const RETRY: Backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(30) };

/// Scans for which a host counts as present after it was announced.
const PRESENT_SCANS: u32 = 3;

/// Runs a host until it is idle or closed, or until nobody has a handle any more.
pub(super) async fn run(shared: Arc<Shared>, board: Arc<Board>, alive: watch::Receiver<()>) {
    let guard = Guard(Arc::clone(&board));
    Task::new(shared, board, alive).run().await;
    drop(guard);
}

/// Leaves the board as it should be however the task ends.
struct Guard(Arc<Board>);

impl Drop for Guard {
    fn drop(&mut self) {
        // What is dropped here ends without a word to the store.
        let keepers = self.0.facts(|facts| std::mem::take(&mut facts.keepers));
        drop(keepers);
        if !self.0.read(|machine| machine.is_at_rest()) {
            self.0.change(|machine| machine.abandoned());
        }
    }
}

struct Task {
    shared: Arc<Shared>,
    board: Arc<Board>,
    works: FuturesUnordered<Working>,
    memory: Memory,
    turns: Arc<Semaphore>,
    claiming: BTreeSet<PartitionId>,
    is_looking: bool,
    /// Which timer for the next look counts.
    due: u64,
    /// Tries to start that failed in a row.
    failures: u32,
    pause: Pause,
    drain: Option<Drain>,
}

/// How a pause stands.
#[derive(Debug, Default)]
struct Pause {
    is_on: bool,
    /// Which pause it is.
    number: u64,
    /// Whether it took so long that the partitions were given back.
    is_given_back: bool,
}

impl Task {
    fn new(shared: Arc<Shared>, board: Arc<Board>, alive: watch::Receiver<()>) -> Self {
        let works = FuturesUnordered::new();
        works.push(work::abandoned(alive));
        works.push(work::goal(&board));
        works.push(work::follow(&board));
        works.push(work::paused(shared.paused.clone(), None));
        let memory = Memory::new(shared.options.epochs);
        Self {
            shared,
            board,
            works,
            memory,
            turns: Arc::new(Semaphore::new(CLAIMS_MAX)),
            claiming: BTreeSet::new(),
            is_looking: false,
            due: 0,
            failures: 0,
            pause: Pause::default(),
            drain: None,
        }
    }

    async fn run(mut self) {
        if self.board.read(|machine| machine.goal()) == Goal::Run {
            // What an earlier run found does not hold any more.
            self.board.facts(|facts| *facts = super::facts::Facts::default());
            self.look();
        }
        while let Some(work) = self.works.next().await {
            // Before anything else: what comes next may have been cut short because of it.
            if self.drain.is_none() && self.board.read(|machine| machine.goal()) != Goal::Run {
                self.begin_drain();
            }
            match work {
                Work::Abandoned if self.drain.is_none() => return,
                // Whoever stops or closes and then leaves means it.
                Work::Abandoned | Work::Goal => {}
                Work::Due(number) if number == self.due => self.look(),
                Work::Due(_) => {}
                Work::Looked(found) => {
                    if self.looked(*found) {
                        return;
                    }
                }
                Work::Claimed(claimed) => self.claimed(*claimed),
                Work::Over(partition, over) => self.over(partition, over),
                Work::Paused(is_paused) => self.paused(is_paused),
                Work::PauseOver(number) => self.pause_over(number),
                Work::Released | Work::Withdrawn | Work::DrainOver => {
                    self.drained(&work);
                }
            }
            if self.drain.as_ref().is_some_and(|drain| self.is_drained(drain))
                && self.end_drain().await
            {
                return;
            }
        }
    }

    fn is_starting(&self) -> bool {
        self.board.read(|machine| machine.state()) == HostState::Starting
    }

    /// Looks now, unless that is just being done.
    fn look(&mut self) {
        if self.is_looking || self.drain.is_some() {
            return;
        }
        self.is_looking = true;
        self.due += 1;
        let options = &self.shared.options;
        let call = options.timing.call();
        let is_starting = self.is_starting();
        let wish = Wish {
            presence: self.presence(),
            partitions: self.board.facts(|facts| facts.partitions.clone()),
            provision: is_starting,
            patience: match is_starting {
                true => call,
                // What was known before does for one more scan.
                false => call.min(options.scan / 2),
            },
        };
        let look = scan::look(Arc::clone(&self.shared), wish, work::told(&self.board));
        self.works.push(work::looked(look));
    }

    fn look_in(&mut self, wait: Duration) {
        self.due += 1;
        self.works.push(work::due(self.due, wait));
    }

    fn weight(&self) -> u32 {
        let now = clock::moment().monotonic;
        match self.pause.is_given_back || self.shared.stands_by(now) {
            true => 0,
            false => self.shared.options.weight,
        }
    }

    fn presence(&self) -> Presence {
        let options = &self.shared.options;
        let presence = Presence::new(self.shared.owner.clone(), options.scan * PRESENT_SCANS)
            .with_weight(self.weight());
        match self.memory.maximum(options.partitions_max) {
            Some(maximum) => presence.with_maximum(maximum),
            None => presence,
        }
    }

    /// Deals with what a look found; whether the task ends.
    fn looked(&mut self, found: Found) -> bool {
        self.is_looking = false;
        if self.drain.is_some() {
            self.withdraw_once_more();
            return false;
        }
        let (now, random) = (clock::moment(), clock::random());
        self.tell(&found);
        self.board.facts(|facts| facts.found(&found, clock::now()));
        let took = now.monotonic.saturating_sub(found.began.monotonic);
        if self.is_starting() && !found.is_reached() {
            let error = found.error();
            tracing::warn!(host = %self.shared.name, %error, "not started yet");
            if self.shared.options.fail_fast && self.board.change(|machine| machine.failed(error)) {
                return true;
            }
            self.failures = self.failures.saturating_add(1);
            let wait = RETRY.delay(self.failures, random).max(found.rest().unwrap_or_default());
            self.look_in(match found.is_unauthorized() {
                true => RETRY.max.max(wait),
                false => wait,
            });
            return false;
        }
        let plan = self.plan(&found, now.monotonic);
        self.board.change(|machine| machine.started());
        self.perform(&found, plan);
        let interval = self.shared.options.scan;
        self.look_in(scan::next_scan(interval, took, found.rest(), random));
        false
    }

    fn tell(&self, found: &Found) {
        let Shared { notices, counters, .. } = &*self.shared;
        counters.scans.add(1);
        if !found.is_complete {
            counters.scans_failed.add(1);
        }
        for error in found.errors.iter().chain(found.corrupt.iter().map(|(_, error)| error)) {
            tracing::warn!(host = %self.shared.name, %error, "the store failed");
            notices.tell(HostEvent::StoreFailed { error: error.clone() });
        }
        if let Some(error) = &found.hub {
            tracing::warn!(host = %self.shared.name, %error, "the hub failed");
            notices.tell(HostEvent::HubFailed { error: error.clone() });
        }
        if let Some(within) = found.silence {
            notices.tell(HostEvent::HubSilent { within });
        }
        if let Some(table) = &found.table {
            let (own, asked) = (&self.shared.owner, found.began.monotonic);
            self.shared.suspect(|suspicion, now| suspicion.listed(own, table, asked, now));
        }
    }

    fn plan(&mut self, found: &Found, now: Duration) -> Plan {
        let options = &self.shared.options;
        let mut kept: BTreeSet<_> = self.claiming.clone();
        self.board.facts(|facts| kept.extend(facts.keepers.keys()));
        kept.extend(self.shared.held_off(now));
        let intent = Intent {
            own: self.shared.owner.clone(),
            weight: self.weight(),
            maximum: options.partitions_max,
            strategy: options.strategy,
            kept,
            random: clock::random(),
        };
        self.memory.plan(found, intent, now)
    }

    fn perform(&mut self, found: &Found, plan: Plan) {
        if let Some(why) = plan.abstention {
            tracing::debug!(host = %self.shared.name, %why, "nothing is planned");
        }
        for release in plan.releases {
            let reason = match (release.reason, self.pause.is_given_back) {
                (ReleaseReason::Leaving, true) => CloseReason::Paused,
                _ => CloseReason::Released,
            };
            let keeper = self.board.facts(|facts| facts.keepers.get(&release.partition).cloned());
            if let Some(keeper) = keeper {
                keeper.release(reason);
            }
        }
        // Who is paused keeps what it has, and takes nothing.
        let takes = if self.pause.is_on { Vec::new() } else { plan.takes };
        for take in takes {
            let seen = found.table.as_ref().and_then(|table| table.lease(take.partition)).cloned();
            let Some(seen) = seen else { continue };
            let Some(level) = self.memory.next_level(&seen) else {
                tracing::warn!(partition = %take.partition, "there is no higher owner level");
                continue;
            };
            let claim = Claim::new(self.shared.owner.clone(), LeaseToken::unique())
                .with_duration(self.shared.options.timing.lease)
                .with_epochs(self.shared.options.epochs)
                .with_epoch_at_least(level);
            self.claiming.insert(take.partition);
            let (shared, turns) = (Arc::clone(&self.shared), Arc::clone(&self.turns));
            let claiming = scan::claim(shared, turns, seen, claim, take.reason);
            self.works.push(Box::pin(async { Work::Claimed(Box::new(claiming.await)) }));
        }
    }

    /// Each claim comes to its own end, whatever becomes of others.
    fn claimed(&mut self, claimed: Claimed) {
        let Claimed { seen, reason, asked, outcome } = claimed;
        let partition = seen.partition;
        self.claiming.remove(&partition);
        let Shared { notices, counters, .. } = &*self.shared;
        match outcome {
            Outcome::Won(lease) => {
                counters.acquired(&reason);
                if self.drain.is_some() {
                    return self.release(lease);
                }
                let owner_level = lease.epoch;
                let keeper = Keeper::start(Arc::clone(&self.shared), lease, asked, &reason);
                let keeper = Arc::new(keeper);
                self.board.facts(|facts| facts.keepers.insert(partition, Arc::clone(&keeper)));
                if self.pause.is_given_back {
                    keeper.release(CloseReason::Paused);
                }
                self.works.push(work::over(keeper));
                notices.tell(HostEvent::Acquired { partition, reason, owner_level });
            }
            Outcome::Lost => counters.claims_lost.add(1),
            Outcome::Failed(error) => {
                notices.tell(HostEvent::StoreFailed { error: error.clone() });
                self.board.facts(|facts| facts.store = Some(error));
            }
        }
    }

    /// An ownership is over; nothing of it is left.
    fn over(&mut self, partition: PartitionId, over: Over) {
        let now = clock::moment().monotonic;
        self.memory.see(partition, over.highest_level_seen);
        if let Some(span) = over.hold_off {
            self.memory.hold_off(partition, now + span);
        }
        if over.reason == CloseReason::Failed {
            self.memory.stop(partition);
        }
        self.shared.suspect(|suspicion, now| suspicion.ended(partition, end_of(over.reason), now));
        self.board.facts(|facts| {
            facts.keepers.remove(&partition);
            facts.stopped.clone_from(self.memory.stopped());
        });
    }

    fn paused(&mut self, is_paused: bool) {
        self.works.push(work::paused(self.shared.paused.clone(), Some(is_paused)));
        if std::mem::replace(&mut self.pause.is_on, is_paused) == is_paused {
            return;
        }
        self.pause.number += 1;
        match (is_paused, self.shared.options.pause_max) {
            (true, Some(pause_max)) => {
                let number = self.pause.number;
                self.works.push(work::pause_over(number, pause_max));
            }
            (true, None) => {}
            (false, _) if std::mem::take(&mut self.pause.is_given_back) => {
                // Others have shared everything among themselves, and have to hear of it.
                self.look();
            }
            (false, _) => {}
        }
    }

    fn pause_over(&mut self, number: u64) {
        if !self.pause.is_on || number != self.pause.number {
            return;
        }
        self.pause.is_given_back = true;
        self.release_all(CloseReason::Paused);
        // Others have to hear of it.
        self.look();
    }

    fn release_all(&self, reason: CloseReason) {
        let keepers = self.board.facts(|facts| facts.keepers.clone());
        keepers.values().for_each(|keeper| keeper.release(reason));
    }
}

/// What the suspicion calls it.
fn end_of(reason: CloseReason) -> End {
    match reason {
        CloseReason::Stolen => End::Stolen,
        CloseReason::LeaseLost => End::Lost,
        CloseReason::Fenced => End::Unproven,
        CloseReason::Suspended => End::ClockJump,
        CloseReason::LevelRefused => End::EpochRefused,
        CloseReason::NotReceiving => End::Unlinked,
        CloseReason::Stopping
        | CloseReason::Released
        | CloseReason::Paused
        | CloseReason::Failed
        | CloseReason::Unregistered => End::Released,
    }
}

impl Found {
    /// Why a host cannot start.
    fn error(&self) -> HostError {
        match (self.errors.first(), &self.hub) {
            (Some(error), _) => error.clone().into(),
            (None, Some(error)) => error.clone().into(),
            (None, None) => HostError::new(HostErrorKind::Timeout, "the hub does not answer"),
        }
    }
}
