//! The rest a throttling service asks for. Pure.

use std::time::{Duration, Instant};

/// The shortest rest, also when the service names none.
pub(crate) const REST_MIN: Duration = Duration::from_secs(4);
/// The longest rest that is granted, whatever the service says.
pub(crate) const REST_MAX: Duration = Duration::from_secs(300);

/// How long to leave a service alone that is busy and has named this time, or none.
pub(crate) fn rest(stated: Option<Duration>) -> Duration {
    stated.unwrap_or(REST_MIN).clamp(REST_MIN, REST_MAX)
}

/// Open, or closed until an instant.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    until: Option<Instant>,
}

impl Gate {
    /// Closes it for the rest that the service asked for at `now`. It stays closed until then at
    /// least: a shorter rest asked for later changes nothing. Gives whether it was open.
    pub(crate) fn close(&mut self, now: Instant, stated: Option<Duration>) -> bool {
        let was_open = self.closed_until(now).is_none();
        self.until = self.until.max(now.checked_add(rest(stated)));
        was_open
    }

    /// When it opens, if it is closed at `now`.
    pub(crate) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.until = self.until.filter(|until| *until > now);
        self.until
    }

    /// Whether nothing has closed it that was not looked at since.
    pub(crate) fn is_open(&self) -> bool {
        self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Instant {
        crate::recovery::clock::now()
    }

    #[test]
    fn a_rest_has_a_floor_and_a_bound() {
        assert_eq!(rest(None), REST_MIN);
        assert_eq!(rest(Some(Duration::from_secs(1))), REST_MIN);
        assert_eq!(rest(Some(Duration::from_secs(9))), Duration::from_secs(9));
        assert_eq!(rest(Some(Duration::MAX)), REST_MAX);
    }

    #[test]
    fn it_opens_by_itself_and_says_who_closed_it() {
        let (mut gate, start) = (Gate::default(), start());
        assert!(gate.is_open() && gate.closed_until(start).is_none());
        assert!(gate.close(start, None), "it was open");
        assert!(!gate.close(start, None), "it was closed");
        assert!(!gate.is_open());
        assert_eq!(gate.closed_until(start), Some(start + REST_MIN));
        assert_eq!(gate.closed_until(start + REST_MIN), None);
        assert!(gate.is_open() && gate.close(start + REST_MIN, None));
    }

    proptest! {
        #[test]
        fn it_only_ever_opens_later_and_never_too_late(
            asked in proptest::collection::vec((0_u64..20_000, proptest::option::of(0_u64..400)), 1..50),
        ) {
            let (mut gate, mut now) = (Gate::default(), start());
            let mut opens = now;
            for (later, stated) in asked {
                now += Duration::from_millis(later);
                gate.close(now, stated.map(Duration::from_secs));
                let until = gate.closed_until(now).expect("it was just closed");
                prop_assert!(until >= opens, "it opens earlier than it said");
                prop_assert!(until >= now + REST_MIN);
                prop_assert!(until <= now + REST_MAX);
                opens = until;
            }
        }
    }
}
