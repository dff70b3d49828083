//! The states of a host, and what leads from one to the next.

use std::fmt;

use super::error::{HostError, HostErrorKind};

/// What a host is doing.
///
/// # Examples
///
/// ```
/// use eventhubs_eph::HostState;
///
/// assert_eq!(HostState::Starting.to_string(), "starting");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostState {
    /// It was not started, or it was stopped and may be started again.
    #[default]
    Idle,
    /// It reaches out for hub and store, for as long as that takes.
    Starting,
    /// It takes and processes partitions.
    Running,
    /// It keeps its partitions and calls no handler.
    Paused,
    /// It gives its partitions back.
    Stopping,
    /// It is closed for good.
    Closed,
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Closed => "closed",
        })
    }
}

/// What the task of the host is to bring about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    #[default]
    Run,
    Stop,
    Close,
}

/// Whether a wish needs a task that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Need {
    Nothing,
    /// Spawn the task of the host.
    Task,
}

/// State and goal of a host. Wishes come from handles, reports from the task.
///
/// There is a task exactly in the states Starting, Running, Paused and Stopping.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    state: HostState,
    goal: Goal,
    is_paused: bool,
    /// Starts so far.
    starts: u64,
    /// Why the last start failed, until the next.
    failure: Option<HostError>,
    /// What did not end well when the host stopped or closed last, until the next start.
    remainder: Option<HostError>,
}

impl Machine {
    pub(super) fn state(&self) -> HostState {
        self.state
    }

    pub(super) fn goal(&self) -> Goal {
        self.goal
    }

    pub(super) fn starts(&self) -> u64 {
        self.starts
    }

    pub(super) fn failure(&self) -> Option<&HostError> {
        self.failure.as_ref()
    }

    pub(super) fn remainder(&self) -> Option<&HostError> {
        self.remainder.as_ref()
    }

    /// Whether it has no task.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, HostState::Idle | HostState::Closed)
    }

    /// Whether no handler can be registered any more.
    pub(super) fn is_closing(&self) -> bool {
        self.goal == Goal::Close || self.state == HostState::Closed
    }

    /// Wish: start.
    pub(super) fn start(&mut self, has_handler: bool) -> Result<Need, HostError> {
        if self.is_closing() {
            return Err(HostError::new(HostErrorKind::Closed, "a closed host does not start"));
        }
        if self.state != HostState::Idle {
            let detail = format!("the host is {}", self.state);
            return Err(HostError::new(HostErrorKind::AlreadyStarted, detail));
        }
        if !has_handler {
            return Err(HostError::new(HostErrorKind::NoHandler, "register one first"));
        }
        *self = Self {
            state: HostState::Starting,
            goal: Goal::Run,
            is_paused: self.is_paused,
            starts: self.starts + 1,
            failure: None,
            remainder: None,
        };
        Ok(Need::Task)
    }

    /// Wish: stop.
    pub(super) fn stop(&mut self) {
        match self.state {
            HostState::Starting | HostState::Running | HostState::Paused => {
                self.state = HostState::Stopping;
                self.goal = self.goal.max(Goal::Stop);
            }
            HostState::Idle | HostState::Stopping | HostState::Closed => {}
        }
    }

    /// Wish: close.
    pub(super) fn close(&mut self) -> Need {
        let need = match self.state {
            HostState::Closed => return Need::Nothing,
            HostState::Idle => Need::Task,
            HostState::Starting | HostState::Running | HostState::Paused | HostState::Stopping => {
                Need::Nothing
            }
        };
        (self.state, self.goal) = (HostState::Stopping, Goal::Close);
        need
    }

    /// Wish: pause, or go on.
    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        if matches!(self.state, HostState::Running | HostState::Paused) {
            self.state = self.running();
        }
    }

    /// Report: hub and store were reached.
    pub(super) fn started(&mut self) {
        if self.state == HostState::Starting {
            self.state = self.running();
        }
    }

    /// Report: they were not, and the host is to fail fast. Whether the task ends now.
    pub(super) fn failed(&mut self, error: HostError) -> bool {
        let is_starting = self.state == HostState::Starting;
        if is_starting {
            self.state = HostState::Idle;
            self.failure = Some(error);
        }
        is_starting
    }

    /// Report: everything was given back, or what could not be in time is given up. Whether the task
    /// ends now; it does not when there is still something to close.
    pub(super) fn drained(&mut self, remainder: Option<HostError>) -> bool {
        self.remainder = remainder;
        let is_stop = self.goal == Goal::Stop;
        if is_stop {
            (self.state, self.goal) = (HostState::Idle, Goal::Run);
        }
        is_stop
    }

    /// Report: everything was closed, or has said why not.
    pub(super) fn closed(&mut self, remainder: Option<HostError>) {
        self.remainder = self.remainder.take().or(remainder);
        self.state = HostState::Closed;
    }

    /// Report: the task ended without having been told to: the last handle was dropped, its runtime
    /// shut down, or it panicked.
    pub(super) fn abandoned(&mut self) {
        (self.state, self.goal) = (HostState::Closed, Goal::Close);
    }

    fn running(&self) -> HostState {
        match self.is_paused {
            true => HostState::Paused,
            false => HostState::Running,
        }
    }
}

#[cfg(test)]
mod tests;
