//! What handles and the task of a host tell each other: the state, and what is wished for.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::facts::Facts;
use super::state::Machine;
use crate::clock;
use crate::notice::{HostEvent, Notices};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Board {
    standing: watch::Sender<Standing>,
    /// Whether handlers get no events for now, for all parts of the host.
    paused: watch::Sender<bool>,
    /// The health that decides over pauses too.
    followed: watch::Sender<Option<watch::Receiver<bool>>>,
    notices: Notices,
    facts: Mutex<Facts>,
}

/// The state, and since when.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) machine: Machine,
    pub(super) since: Instant,
    /// Somebody paused it.
    is_held: bool,
    /// What it follows is not well.
    is_unwell: bool,
}

impl Board {
    pub(super) fn new(notices: Notices, paused: watch::Sender<bool>) -> Self {
        let standing = Standing {
            machine: Machine::default(),
            since: clock::now(),
            is_held: false,
            is_unwell: false,
        };
        let followed = watch::Sender::new(None);
        Self {
            standing: watch::Sender::new(standing),
            paused,
            followed,
            notices,
            facts: Mutex::default(),
        }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        look(&self.standing.borrow().machine)
    }

    /// Looks at what the task has found out, or changes it. For a moment only.
    pub(super) fn facts<T>(&self, look: impl FnOnce(&mut Facts) -> T) -> T {
        look(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn since(&self) -> Instant {
        self.standing.borrow().since
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Changes the machine, and tells whom it concerns, in one step for all who look.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        self.modify(|standing| change(&mut standing.machine))
    }

    /// Somebody pauses the host, or has it go on.
    pub(super) fn hold(&self, is_held: bool) {
        self.modify(|standing| {
            standing.is_held = is_held;
            standing.machine.pause(standing.is_held || standing.is_unwell);
            self.pass_on(standing);
        });
    }

    /// What the host follows is well, or not.
    pub(super) fn feels(&self, is_well: bool) {
        self.modify(|standing| {
            standing.is_unwell = !is_well;
            standing.machine.pause(standing.is_held || standing.is_unwell);
            self.pass_on(standing);
        });
    }

    /// Follows this health from now on, and no other.
    pub(super) fn follow(&self, health: watch::Receiver<bool>) {
        let is_well = *health.borrow();
        self.followed.send_replace(Some(health));
        self.feels(is_well);
    }

    pub(super) fn followed(&self) -> watch::Receiver<Option<watch::Receiver<bool>>> {
        self.followed.subscribe()
    }

    fn pass_on(&self, standing: &Standing) {
        let is_paused = standing.is_held || standing.is_unwell;
        self.paused.send_if_modified(|before| std::mem::replace(before, is_paused) != is_paused);
    }

    fn modify<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        let mut output = None;
        self.standing.send_modify(|standing| {
            let from = standing.machine.state();
            output = Some(change(standing));
            let to = standing.machine.state();
            if from != to {
                standing.since = clock::now();
                // In the lock, so that changes are told in their order.
                self.notices.tell(HostEvent::StateChanged { from, to });
            }
        });
        #[expect(clippy::expect_used, reason = "send_modify calls its argument once")]
        output.expect("changed")
    }
}
