//! Since when an owner does not receive. One that is refused again and again just after it was
//! attached keeps the partition from others as well as one that is never attached. Pure.

use std::time::Duration;

/// How long there was no receiver that worked.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// How long a receiver has to stand to count as one that works, if nothing comes.
    proven_after: Duration,
    /// Since when there is none that worked; `None` when the last one did.
    without_since: Option<Duration>,
    /// When the present one was attached.
    attached_at: Option<Duration>,
    /// Events that were done when it was last looked at.
    events: u64,
}

impl Link {
    /// For leases of this length.
    pub(super) fn new(lease: Duration, now: Duration) -> Self {
        Self { proven_after: lease, without_since: Some(now), attached_at: None, events: 0 }
    }

    /// There is a receiver.
    pub(super) fn attached(&mut self, now: Duration) {
        self.attached_at = Some(now);
    }

    /// There is none, though there should be; since when there is none that works.
    pub(super) fn failed(&mut self, now: Duration) -> Duration {
        let stood = self.attached_at.take().map(|at| now.saturating_sub(at));
        if stood.is_some_and(|stood| stood >= self.proven_after) {
            self.without_since = None;
        }
        *self.without_since.get_or_insert(now)
    }

    /// So many events are done: whoever gets on receives.
    pub(super) fn progressed(&mut self, events: u64) {
        if events > self.events {
            self.events = events;
            self.without_since = None;
        }
    }

    /// Nothing was to be received for a while that ends now; since when a receiver is missing,
    /// unless there is one.
    pub(super) fn resumed(&mut self, now: Duration) -> Option<Duration> {
        self.without_since = self.without_since.map(|_| now);
        self.without_since.filter(|_| self.attached_at.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_receiver_that_is_refused_at_once_again_and_again_is_none() {
        let mut link = Link::new(LEASE, at(0));
        for second in (5..120).step_by(10) {
            link.attached(at(second));
            assert_eq!(link.failed(at(second + 1)), at(0));
        }
    }

    #[test]
    fn one_that_stood_for_a_lease_or_brought_something_was_one() {
        let mut link = Link::new(LEASE, at(0));
        link.attached(at(5));
        assert_eq!(link.failed(at(65)), at(65));
        link.attached(at(70));
        link.progressed(3);
        assert_eq!(link.failed(at(71)), at(71));
        // The same number of events is nothing new.
        link.attached(at(72));
        link.progressed(3);
        assert_eq!(link.failed(at(73)), at(71));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut link = Link::new(LEASE, at(0));
        assert_eq!(link.resumed(at(100)), Some(at(100)));
        assert_eq!(link.failed(at(110)), at(100));
        link.attached(at(120));
        assert_eq!(link.resumed(at(130)), None);
    }
}
