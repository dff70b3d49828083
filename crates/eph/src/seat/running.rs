//! Which handlers are at work, and what else is told about the pump.

use std::time::Duration;

use crate::handler::HandlerId;
use crate::health::PartitionStage;

/// What health wants to know of the pump.
#[derive(Debug)]
pub(super) struct RunningHandlers {
    /// Calls that have not ended, the oldest first: as many as there are lanes at most.
    calls: Vec<(HandlerId, u64)>,
    pub(super) stage: PartitionStage,
    pub(super) failures: u32,
    pub(super) lag_events: Option<u64>,
    pub(super) lag_time: Option<Duration>,
}

/// The same at one moment.
#[derive(Debug)]
pub(crate) struct Running {
    /// Handlers at work, each once.
    pub(crate) handlers: Vec<HandlerId>,
    /// For how long the oldest call has been at work.
    pub(crate) longest: Option<Duration>,
    pub(crate) stage: PartitionStage,
    pub(crate) failures: u32,
    pub(crate) lag_events: Option<u64>,
    pub(crate) lag_time: Option<Duration>,
}

impl Default for RunningHandlers {
    fn default() -> Self {
        let stage = PartitionStage::Opening;
        Self { calls: Vec::new(), stage, failures: 0, lag_events: None, lag_time: None }
    }
}

impl RunningHandlers {
    pub(super) fn start(&mut self, handler: HandlerId, now: u64) {
        self.calls.push((handler, now));
    }

    /// The oldest call of the handler is taken for the one that ended: in one lane it is, and with
    /// several only the age of the others is guessed.
    pub(super) fn end(&mut self, handler: HandlerId) {
        if let Some(at) = self.calls.iter().position(|(running, _)| *running == handler) {
            self.calls.remove(at);
        }
    }

    pub(super) fn list(&self, now: u64) -> Running {
        let mut handlers: Vec<_> = Vec::new();
        for (handler, _) in &self.calls {
            if !handlers.contains(handler) {
                handlers.push(*handler);
            }
        }
        let since = self.calls.iter().map(|(_, since)| *since).min();
        Running {
            handlers,
            longest: since.map(|since| Duration::from_nanos(now.saturating_sub(since))),
            stage: self.stage,
            failures: self.failures,
            lag_events: self.lag_events,
            lag_time: self.lag_time,
        }
    }
}
