//! The only door to time in this crate. It is the runtime's clock, so a paused runtime pauses us.

use std::time::Instant;

/// The runtime's idea of now.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A timer that can be set again without allocating.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
    set: Option<Instant>,
}

impl Timer {
    pub(crate) fn new() -> Self {
        let sleep = tokio::time::sleep_until(tokio::time::Instant::now());
        Self { sleep: Box::pin(sleep), set: None }
    }

    /// Polls for `deadline`; without one it is never ready.
    pub(crate) fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
        deadline: Option<Instant>,
    ) -> std::task::Poll<()> {
        let Some(deadline) = deadline else {
            return std::task::Poll::Pending;
        };
        if self.set != Some(deadline) {
            self.set = Some(deadline);
            self.sleep.as_mut().reset(deadline.into());
        }
        let fired = std::future::Future::poll(self.sleep.as_mut(), cx);
        if fired.is_ready() {
            self.set = None;
        }
        fired
    }
}
