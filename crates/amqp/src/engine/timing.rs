//! The deadlines of a connection: opening, closing, the peer's silence, our own.

use std::time::{Duration, Instant};

use super::options::Options;
use super::{CloseReason, Connection, Phase};
use crate::codec::{AmqpError, condition};

/// What counts as never: longer than any connection lives, short enough to reckon with.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// `at` and `by` together, however long somebody wants to wait.
pub(crate) fn later(at: Instant, by: Duration) -> Instant {
    at + by.min(NEVER)
}

#[derive(Debug)]
pub(crate) struct Timing {
    /// The latest time seen.
    now: Instant,
    last_read: Instant,
    last_write: Instant,
    open_by: Option<Instant>,
    close_by: Option<Instant>,
    /// Silence of the peer that we accept.
    silence_max: Option<Duration>,
    /// How often we have to write something.
    heartbeat: Option<Duration>,
    /// Time for a frame of the peer to arrive whole.
    frame_timeout: Duration,
    /// When the first bytes of the frame under way arrived.
    frame_since: Option<Instant>,
}

impl Timing {
    pub(crate) fn new(now: Instant, options: &Options) -> Self {
        Self {
            now,
            last_read: now,
            last_write: now,
            open_by: Some(later(now, options.open_timeout)),
            close_by: None,
            // The peer sends at least once per advertised period; a single late frame is no death
            // (AMQP 1.0, 2.4.5 wants half the real limit advertised).
            silence_max: options.advertised_idle().map(|period| period.saturating_mul(2)),
            heartbeat: None,
            frame_timeout: options.frame_timeout,
            frame_since: None,
        }
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn read(&mut self) {
        self.last_read = self.now;
    }

    pub(crate) fn wrote(&mut self) {
        self.last_write = self.now;
    }

    /// Both opens are through.
    pub(crate) fn opened(&mut self) {
        self.open_by = None;
    }

    /// The peer wants to hear from us once per `period`; half of it leaves room for the way. What is
    /// between the ends may be less patient than the peer.
    pub(crate) fn peer_idle_time_out(&mut self, period: Option<Duration>) {
        self.heartbeat = period
            .filter(|period| !period.is_zero())
            .map(|period| (period / 2).clamp(SHORTEST, LONGEST));
    }

    /// All that has arrived was looked at: `partial`, the beginning of a frame is left; `progress`,
    /// a frame before it was complete.
    pub(crate) fn looked(&mut self, partial: bool, progress: bool) {
        match partial {
            true if progress => self.frame_since = Some(self.now),
            true => self.frame_since = self.frame_since.or(Some(self.now)),
            false => self.frame_since = None,
        }
    }

    fn frame_by(&self) -> Option<Instant> {
        self.frame_since.map(|since| later(since, self.frame_timeout))
    }

    fn silence_by(&self) -> Option<Instant> {
        self.silence_max.map(|silence| later(self.last_read, silence))
    }

    pub(crate) fn close_sent(&mut self, timeout: Duration) {
        self.open_by = None;
        self.close_by = Some(later(self.now, timeout));
    }

    pub(crate) fn stop(&mut self) {
        self.open_by = None;
        self.close_by = None;
        self.silence_max = None;
        self.heartbeat = None;
        self.frame_since = None;
    }

    fn next(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.map(|period| self.last_write + period);
        let all = [self.open_by, self.close_by, self.silence_by(), self.frame_by(), heartbeat];
        all.into_iter().flatten().min()
    }
}

/// A peer that asks for heartbeats more often than this gets them this often.
const SHORTEST: Duration = Duration::from_millis(50);

/// A peer that asks for heartbeats less often than this gets them this often: balancers and address
/// translators forget a connection that is idle for 4 minutes, and one heartbeat may be lost.
const LONGEST: Duration = Duration::from_secs(110);

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) is next of use; it may be called earlier.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timing.next()
    }

    /// Time has come to `now`: deadlines that have passed take effect, a heartbeat that is due is
    /// written.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.timing.advance(now);
        let now = self.timing.now;
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if self.phase == Phase::Closed {
            return;
        }
        if passed(self.timing.close_by) {
            let reason = match self.reason.take() {
                Some(violation @ CloseReason::Violation(_)) => violation,
                _ => CloseReason::CloseTimeout,
            };
            self.output.clear();
            self.finish(reason);
        } else if passed(self.timing.open_by) {
            self.output.clear();
            self.finish(CloseReason::OpenTimeout);
        } else if passed(self.timing.silence_by()) {
            self.give_up("local-idle-timeout expired", CloseReason::IdleTimeout);
        } else if passed(self.timing.frame_by()) {
            self.give_up("a frame takes too long to arrive", CloseReason::FrameTimeout);
        } else if passed(self.timing.heartbeat.map(|period| self.timing.last_write + period)) {
            // Bytes that wait to be written will do as a sign of life.
            if self.output.is_empty() && self.open_sent && !self.close_sent {
                self.write_frame(0, |_| ());
            }
            self.timing.wrote();
        }
    }

    /// The peer is lost. It is told, should it still listen.
    fn give_up(&mut self, text: &'static str, reason: CloseReason) {
        if self.open_sent && !self.close_sent {
            self.send_close(Some(AmqpError::new(condition::RESOURCE_LIMIT_EXCEEDED, text)));
        }
        self.finish(reason);
    }

    /// The transport has ended: nothing more will arrive and nothing can be written.
    pub fn handle_eof(&mut self, now: Instant) {
        self.handle_failure(now, CloseReason::Eof);
    }

    /// The transport is of no use any more, for a reason only its owner knows. A close that was
    /// under way keeps its own reason.
    pub fn handle_failure(&mut self, now: Instant, reason: CloseReason) {
        self.timing.advance(now);
        self.output.clear();
        let reason = self.reason.take().unwrap_or(reason);
        self.finish(reason);
    }
}
