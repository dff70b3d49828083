//! When to doubt a receiving link that is silent, and when to make it anew before it becomes
//! trouble. It is asked when a timer fires, never at an event.

use std::time::{Duration, Instant};

use super::backoff::scale;

/// Silence after which a link is made anew: the service gives an idle one up after 30 minutes.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(25 * 60);

/// What is seen of a link whose events were all handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Instant,
    /// When the last event arrived, or else when the link was attached.
    pub(crate) arrived: Instant,
    /// Events that were handed out on this link.
    pub(crate) deliveries: u64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing before this moment.
    Wait(Instant),
    /// Ask the service for the partition's last event, and tell [`Watchdog::answered`].
    Ask,
    /// Make the link anew; nothing is wrong.
    Recycle,
}

/// Watches one link at a time.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    /// Silence that is suspicious; `None` never is.
    stall_after: Option<Duration>,
    deliveries_max: u64,
    /// The next question, if nothing arrives before it.
    ask_at: Option<Instant>,
    /// Deliveries when the question was asked that has no answer yet.
    asked: u64,
    /// Deliveries when an answer said that there are more.
    behind: Option<u64>,
}

impl Watchdog {
    pub(crate) fn new(stall_after: Option<Duration>, deliveries_max: u64) -> Self {
        Self { stall_after, deliveries_max, ask_at: None, asked: 0, behind: None }
    }

    /// There is a new link.
    pub(crate) fn attached(&mut self) {
        *self = Self::new(self.stall_after, self.deliveries_max);
    }

    /// Whether a link has carried so much that its counters will wrap.
    pub(crate) fn is_worn(&self, deliveries: u64) -> bool {
        deliveries >= self.deliveries_max
    }

    /// Looks at the link. `random` spreads the questions of receivers that began together.
    pub(crate) fn look(&mut self, view: &View, random: u64) -> Step {
        let idle_at = view.arrived + IDLE_MAX;
        if view.now >= idle_at || self.is_worn(view.deliveries) {
            return Step::Recycle;
        }
        let Some(stall_after) = self.stall_after else {
            return Step::Wait(idle_at);
        };
        let suspicious_at = view.arrived + stall_after;
        let ask_at = match self.ask_at {
            Some(ask_at) if ask_at >= suspicious_at => ask_at,
            // Something arrived since that was decided.
            _ => suspicious_at + spread(stall_after, random),
        };
        self.ask_at = Some(ask_at);
        if view.now < ask_at {
            return Step::Wait(ask_at.min(idle_at));
        }
        self.asked = view.deliveries;
        Step::Ask
    }

    /// The question was answered: whether the partition has more than was handed out, or `None`
    /// when nobody answered, which proves nothing. Whether the link is stalled: two answers in a
    /// row said that there is more, and nothing arrived meanwhile.
    pub(crate) fn answered(&mut self, view: &View, behind: Option<bool>, random: u64) -> bool {
        let stall_after = self.stall_after.unwrap_or(IDLE_MAX);
        let mut pause = stall_after;
        if self.asked != view.deliveries {
            self.behind = None;
        } else if let Some(behind) = behind {
            if behind && self.behind == Some(view.deliveries) {
                return true;
            }
            self.behind = behind.then_some(view.deliveries);
            if behind {
                // It may be on its way.
                pause /= 2;
            }
        }
        self.ask_at = Some(view.now + pause + spread(pause, random));
        false
    }
}

/// Up to a quarter of `pause`.
fn spread(pause: Duration, random: u64) -> Duration {
    scale(pause / 4, random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STALL: Duration = Duration::from_secs(60);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A link that was attached at `start`, and the clock.
    struct Link {
        dog: Watchdog,
        view: View,
    }

    impl Link {
        fn new(stall_after: Option<Duration>) -> Self {
            // The one clock reading of these tests; nothing depends on its value.
            let now = tokio::time::Instant::now().into_std();
            let dog = Watchdog::new(stall_after, 1 << 31);
            Self { dog, view: View { now, arrived: now, deliveries: 0 } }
        }

        fn deliver(&mut self) {
            self.view.arrived = self.view.now;
            self.view.deliveries += 1;
        }

        /// Follows the steps until there is something to do, and how long that took.
        fn next(&mut self, random: u64) -> (Duration, Step) {
            let start = self.view.now;
            loop {
                match self.dog.look(&self.view, random) {
                    Step::Wait(at) => {
                        assert!(at > self.view.now, "it always gets on");
                        self.view.now = at;
                    }
                    step => return (self.view.now - start, step),
                }
            }
        }

        fn answer(&mut self, behind: Option<bool>) -> bool {
            self.dog.answered(&self.view, behind, 0)
        }
    }

    #[test]
    fn two_answers_without_an_event_between_them_are_a_stall() {
        let mut link = Link::new(Some(STALL));
        assert_eq!(link.next(0), (STALL, Step::Ask));
        assert!(!link.answer(Some(true)), "it may be on its way");
        assert_eq!(link.next(0), (STALL / 2, Step::Ask));
        assert!(link.answer(Some(true)));
    }

    #[test]
    fn an_event_between_two_answers_proves_the_link() {
        let mut link = Link::new(Some(STALL));
        link.next(0);
        assert!(!link.answer(Some(true)));
        link.deliver();
        assert_eq!(link.next(0), (STALL, Step::Ask), "the silence begins anew");
        assert!(!link.answer(Some(true)), "that is the first one again");
        link.next(0);
        link.deliver();
        assert!(!link.answer(Some(true)), "it came while the question was on its way");
        link.next(0);
        assert!(!link.answer(Some(true)));
    }

    #[test]
    fn an_answer_that_there_is_nothing_starts_anew() {
        let mut link = Link::new(Some(STALL));
        for answer in [Some(true), Some(false), Some(true), Some(false), Some(false)] {
            assert_eq!(link.next(0).1, Step::Ask);
            assert!(!link.answer(answer));
        }
        assert_eq!(link.next(0), (STALL, Step::Ask));
    }

    #[test]
    fn a_question_without_answer_counts_neither_way() {
        let mut link = Link::new(Some(STALL));
        for answer in [None, Some(true), None, None] {
            assert_eq!(link.next(0).1, Step::Ask);
            assert!(!link.answer(answer));
        }
        assert_eq!(link.next(0), (STALL, Step::Ask));
        assert!(link.answer(Some(true)), "the second one that was answered");
    }

    #[test]
    fn what_arrives_puts_the_question_off() {
        let mut link = Link::new(Some(STALL));
        for _ in 0..100 {
            let Step::Wait(at) = link.dog.look(&link.view, 0) else {
                panic!("there is nothing to doubt")
            };
            link.view.now = at - seconds(1);
            link.deliver();
            link.view.now = at;
        }
    }

    #[test]
    fn a_silent_link_is_made_anew_in_time() {
        let mut off = Link::new(None);
        assert_eq!(off.next(0), (IDLE_MAX, Step::Recycle), "without questions");
        let mut link = Link::new(Some(STALL));
        let start = link.view.now;
        loop {
            match link.next(u64::MAX) {
                (_, Step::Ask) => assert!(!link.answer(Some(false))),
                (_, step) => break assert_eq!(step, Step::Recycle),
            }
        }
        assert_eq!(link.view.now - start, IDLE_MAX);
        let mut slow = Link::new(Some(seconds(100_000)));
        assert_eq!(slow.next(u64::MAX), (IDLE_MAX, Step::Recycle));
    }

    #[test]
    fn a_worn_link_is_made_anew() {
        let mut link = Link::new(Some(STALL));
        link.view.deliveries = (1 << 31) - 1;
        assert!(matches!(link.dog.look(&link.view, 0), Step::Wait(_)));
        link.view.deliveries += 1;
        assert!(link.dog.is_worn(link.view.deliveries));
        assert_eq!(link.dog.look(&link.view, 0), Step::Recycle);
    }

    #[test]
    fn a_new_link_starts_without_suspicion() {
        let mut link = Link::new(Some(STALL));
        link.next(0);
        assert!(!link.answer(Some(true)));
        link.dog.attached();
        link.view.arrived = link.view.now;
        assert_eq!(link.next(0), (STALL, Step::Ask));
        assert!(!link.answer(Some(true)));
    }

    proptest! {
        #[test]
        fn receivers_that_began_together_ask_at_other_times(one: u32, other: u32) {
            let at = |random: u32| Link::new(Some(STALL)).next(u64::from(random) << 32).0;
            prop_assert!(at(one) >= STALL && at(one) <= STALL + STALL / 4);
            prop_assert_eq!(one.cmp(&other), at(one).cmp(&at(other)));
        }

        /// Whatever is answered when: only a link that two answers called behind, with nothing in
        /// between, is stalled.
        #[test]
        fn a_stall_is_never_told_without_two_answers(
            script in proptest::collection::vec((0_u8..4, any::<u64>()), 1..40),
        ) {
            let mut link = Link::new(Some(STALL));
            let mut behind = 0;
            for (what, random) in script {
                if link.next(random).1 == Step::Recycle {
                    link.dog.attached();
                    link.view.arrived = link.view.now;
                    behind = 0;
                    continue;
                }
                let answer = [None, Some(false), Some(true), Some(true)][usize::from(what)];
                if what == 3 {
                    link.deliver();
                    behind = 0;
                }
                let stalled = link.dog.answered(&link.view, answer, random);
                match (what, answer) {
                    (2, _) => behind += 1,
                    (_, Some(false)) => behind = 0,
                    _ => {}
                }
                prop_assert_eq!(stalled, behind == 2);
                if stalled {
                    link.dog.attached();
                    link.view.arrived = link.view.now;
                    behind = 0;
                }
            }
        }
    }
}
