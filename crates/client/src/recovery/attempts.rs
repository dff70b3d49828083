//! The tries of one call: whether there is another one, and when. Pure.

use std::fmt;
use std::time::{Duration, Instant};

use eventhubs_protocol::condition::{Meaning, Recovery, Retry, Verdict};

use super::backoff::{Backoff, scale};
use super::gate;
use crate::error::Error;
use crate::retry::RetryOptions;

/// The bounds of a wait for something that frees itself slowly, such as a quota.
const SLOW_MIN: Duration = Duration::from_secs(10);
const SLOW_MAX: Duration = Duration::from_secs(30);
/// What a call without an end is given instead: a time that clocks can still add.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// What follows a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another try.
    Again {
        /// Not before this.
        at: Instant,
        /// What has to be rebuilt first.
        recovery: Recovery,
        /// Whether it wants a token fetched anew.
        fresh_token: bool,
    },
    /// The call has failed.
    GiveUp(Reason),
}

/// Why a call is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It would fail again.
    NotRetryable,
    /// All tries were made.
    UsedUp,
    /// The event may be stored, and the caller does not want it twice.
    MayBeStored,
    /// The next one could not begin in time.
    Deadline,
    /// Too many calls fail: there is no token left for a retry.
    Budget,
    /// The caller's own policy says so.
    Policy,
}

/// What became of a call that failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    /// Tries that were made.
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// Whether any of them may have stored the event.
    pub(crate) may_have_been_sent: bool,
}

impl Ended {
    /// Whether there is more to say than what the last try failed with.
    pub(crate) fn is_worth_telling(&self) -> bool {
        self.attempts != 1 || !matches!(self.reason, Reason::NotRetryable | Reason::UsedUp)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = if self.attempts == 1 { "try" } else { "tries" };
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "gave up after {} {tries} in {seconds:.1} s", self.attempts)?;
        f.write_str(match self.reason {
            Reason::UsedUp => "",
            Reason::NotRetryable => ", as another would not help",
            Reason::MayBeStored => ", as another may store it twice",
            Reason::Deadline => ", as the time for the call is over",
            Reason::Budget => ", as too many calls fail: the retry budget is used up",
            Reason::Policy => ", as the retry policy says",
        })
    }
}

/// The tries of one call so far.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    started: Instant,
    failed: u32,
    /// Failures of the kinds that are tried again a few times only.
    limited: u32,
    fresh_token: bool,
    unknown: bool,
}

impl Attempts {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, failed: 0, limited: 0, fresh_token: false, unknown: false }
    }

    /// When the call has to be over.
    pub(crate) fn deadline(&self, options: &RetryOptions) -> Instant {
        let end = self.started.checked_add(options.total.min(FOR_EVER));
        end.unwrap_or(self.started)
    }

    /// Tries that failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failed
    }

    /// A try failed at `now`.
    pub(crate) fn failed(
        &mut self,
        error: &Error,
        options: &RetryOptions,
        now: Instant,
        random: u64,
    ) -> Next {
        self.failed = self.failed.saturating_add(1);
        self.unknown |= error.may_have_been_sent();
        let verdict = error.verdict();
        if let Some(reason) = self.refusal(verdict, options) {
            return Next::GiveUp(reason);
        }
        if error.may_have_been_sent() && !options.retry_unknown {
            return Next::GiveUp(Reason::MayBeStored);
        }
        let delay = match &options.policy {
            Some(policy) => {
                policy.delay(error, self.failed, now.saturating_duration_since(self.started))
            }
            None => Some(self.delay(verdict, error.stated_wait(), options, random)),
        };
        let Some(delay) = delay else { return Next::GiveUp(Reason::Policy) };
        match now.checked_add(delay).filter(|at| *at < self.deadline(options)) {
            Some(at) => Next::Again {
                at,
                recovery: verdict.recovery,
                fresh_token: verdict.retry == Retry::WithFreshToken,
            },
            None => Next::GiveUp(Reason::Deadline),
        }
    }

    /// What forbids another try, whatever the time.
    fn refusal(&mut self, verdict: Verdict, options: &RetryOptions) -> Option<Reason> {
        let limit = match verdict.retry {
            Retry::Yes => None,
            Retry::AtMost(limit) | Retry::Slowly(limit) => Some(u32::from(limit)),
            Retry::WithFreshToken if self.fresh_token => return Some(Reason::UsedUp),
            Retry::WithFreshToken => {
                self.fresh_token = true;
                None
            }
            _ => return Some(Reason::NotRetryable),
        };
        self.limited += u32::from(limit.is_some());
        let used_up = limit.is_some_and(|limit| self.limited > limit)
            || options.retries_max.is_some_and(|max| self.failed > max);
        used_up.then_some(Reason::UsedUp)
    }

    fn delay(
        &self,
        verdict: Verdict,
        stated: Option<Duration>,
        options: &RetryOptions,
        random: u64,
    ) -> Duration {
        match verdict.retry {
            Retry::Slowly(_) => return SLOW_MIN + scale(SLOW_MAX - SLOW_MIN, random),
            Retry::WithFreshToken => return Duration::ZERO,
            _ if verdict.at_once && self.failed == 1 => return Duration::ZERO,
            _ => {}
        }
        let backoff = Backoff { base: options.delay_base, max: options.delay_max };
        let delay = backoff.delay(self.failed, random);
        match verdict.meaning {
            Meaning::ServerBusy => spread(delay.max(gate::rest(stated)), random),
            // Before that it would be told the same again.
            _ => delay.max(stated.unwrap_or_default()),
        }
    }

    /// The call ends without success.
    pub(crate) fn ended(&self, reason: Reason, now: Instant) -> Ended {
        Ended {
            reason,
            attempts: self.failed,
            elapsed: now.saturating_duration_since(self.started),
            may_have_been_sent: self.unknown,
        }
    }
}

/// A wait and up to a quarter more, so that those who were told the same do not come back at once.
pub(crate) fn spread(wait: Duration, random: u64) -> Duration {
    wait.saturating_add(scale(wait / 4, random.rotate_left(32)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eventhubs_protocol::condition::{End, Outcome, Place, classify, local};
    use proptest::prelude::*;

    use super::*;
    use crate::error::Operation;
    use crate::recovery::clock;
    use crate::retry::RetryPolicy;

    fn error(verdict: Verdict) -> Error {
        Error::of_verdict(verdict, Operation::Send, "hub", "it failed".to_owned())
    }

    fn said(condition: &str, text: &str, place: Place) -> Verdict {
        classify(condition, text, place, End::Sender)
    }

    fn unauthorized() -> Verdict {
        said("amqp:unauthorized-access", "", Place::Attach)
    }

    /// Lets each of these errors follow the one before, at the time that was said; gives the waits
    /// and why it ended.
    fn run(
        errors: impl IntoIterator<Item = Error>,
        options: &RetryOptions,
        random: u64,
    ) -> (Vec<Duration>, Option<Reason>) {
        let mut now = clock::now();
        let mut attempts = Attempts::new(now);
        let mut waits = Vec::new();
        for error in errors {
            match attempts.failed(&error, options, now, random) {
                Next::Again { at, .. } => {
                    waits.push(at - now);
                    now = at;
                }
                Next::GiveUp(reason) => return (waits, Some(reason)),
            }
        }
        (waits, None)
    }

    fn always(verdict: Verdict) -> impl Iterator<Item = Error> {
        std::iter::repeat_with(move || error(verdict)).take(10_000)
    }

    const LOST: Verdict = local::CONNECTION_LOST;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn waits_double_up_to_the_cap_and_have_a_floor() {
        let options = RetryOptions { total: Duration::MAX, ..RetryOptions::default() };
        let options = options.with_retries_max(9);
        let (waits, reason) = run(always(LOST), &options, u64::MAX);
        let seconds: Vec<_> = waits.iter().map(Duration::as_secs_f64).collect();
        for (wait, bound) in seconds.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
            assert!(*wait <= bound && *wait > bound * 0.999, "{wait} of {bound}");
        }
        assert_eq!((waits.len(), reason), (9, Some(Reason::UsedUp)));
        let (waits, _) = run(always(LOST), &options, 0);
        assert!(waits.iter().all(|wait| *wait == millis(250)), "{waits:?}");
        let tight = options.clone().with_delays(millis(500), millis(100));
        assert!(run(always(LOST), &tight, 0).0.iter().all(|wait| *wait == millis(100)));
        let endless = options.with_delays(Duration::MAX, Duration::MAX);
        assert_eq!(run(always(LOST), &endless, u64::MAX).1, Some(Reason::Deadline));
    }

    #[test]
    fn the_number_of_tries_is_the_callers() {
        for (options, retries) in [
            (RetryOptions::none(), 0),
            (RetryOptions::default(), 3),
            (RetryOptions::default().with_retries_max(1), 1),
        ] {
            let (waits, reason) = run(always(LOST), &options, 7);
            assert_eq!((waits.len(), reason), (retries, Some(Reason::UsedUp)));
        }
        let (waits, reason) = run(always(LOST), &RetryOptions::unlimited(), 7 << 40);
        assert_eq!((waits.len(), reason), (10_000, None));
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        for verdict in [
            local::TOO_LARGE,
            local::UNTRUSTED,
            said("amqp:link:stolen", "", Place::Detach),
            said("com.microsoft:argument-error", "", Place::Delivery),
        ] {
            let unlimited = RetryOptions::unlimited();
            assert_eq!(run(always(verdict), &unlimited, 7), (vec![], Some(Reason::NotRetryable)));
        }
    }

    #[test]
    fn some_kinds_are_tried_again_a_few_times_only() {
        let unlimited = RetryOptions::unlimited();
        let (waits, reason) = run(always(local::REJECTED), &unlimited, 7);
        assert_eq!((waits.len(), reason), (1, Some(Reason::UsedUp)));
        let decode = said("amqp:decode-error", "", Place::Close);
        assert_eq!(run(always(decode), &unlimited, 7).0.len(), 2);
        let quota = Verdict { retry: Retry::Slowly(5), ..decode };
        for random in [0, 1 << 63, u64::MAX] {
            let (waits, reason) = run(always(quota), &unlimited, random);
            assert_eq!((waits.len(), reason), (5, Some(Reason::UsedUp)));
            assert!(waits.iter().all(|wait| (SLOW_MIN..=SLOW_MAX).contains(wait)), "{waits:?}");
        }
    }

    #[test]
    fn a_token_is_fetched_anew_once_in_a_call_and_at_once() {
        let unlimited = RetryOptions::unlimited();
        let now = clock::now();
        let mut attempts = Attempts::new(now);
        let first = attempts.failed(&error(unauthorized()), &unlimited, now, 7);
        let Next::Again { at, fresh_token: true, .. } = first else { panic!("{first:?}") };
        assert_eq!(at, now);
        let other = attempts.failed(&error(LOST), &unlimited, now, 7);
        assert!(matches!(other, Next::Again { fresh_token: false, .. }), "{other:?}");
        let again = attempts.failed(&error(unauthorized()), &unlimited, now, 7);
        assert_eq!(again, Next::GiveUp(Reason::UsedUp));
    }

    #[test]
    fn what_was_only_cleared_away_is_tried_again_at_once_but_not_twice() {
        let idle = said(
            "amqp:link:detach-forced",
            "IdleTimerExpired: Idle timeout: 00:30:00",
            Place::Detach,
        );
        assert!(idle.at_once);
        let (waits, _) = run(always(idle), &RetryOptions::default(), 0);
        assert_eq!(waits, [Duration::ZERO, millis(250), millis(250)]);
        let (waits, _) = run([error(LOST), error(idle)], &RetryOptions::default(), 0);
        assert_eq!(waits, [millis(250), millis(250)]);
    }

    #[test]
    fn a_busy_service_is_left_alone_for_as_long_as_it_says() {
        let busy = |text: &str| {
            let said = eventhubs_amqp::codec::AmqpError::new("com.microsoft:server-busy", text);
            Error::of_peer(&said, Place::Delivery, Operation::Send, "hub")
        };
        for (text, floor) in [("", 4), ("wait 2 seconds", 4), ("wait 11 seconds", 11)] {
            let floor = Duration::from_secs(floor);
            for random in [0, u64::MAX, 1 << 63] {
                let (waits, _) = run([busy(text)], &RetryOptions::default(), random);
                assert!(waits[0] >= floor && waits[0] <= floor * 5 / 4, "{waits:?} for {text:?}");
            }
        }
    }

    #[test]
    fn a_call_ends_by_its_deadline_and_does_not_wait_in_vain() {
        let options = RetryOptions::unlimited().with_total(Duration::from_secs(20));
        let (waits, reason) = run(always(LOST), &options, u64::MAX);
        assert_eq!((waits.len(), reason), (5, Some(Reason::Deadline)));
        let start = clock::now();
        let mut attempts = Attempts::new(start);
        let late = start + Duration::from_secs(20) - millis(250);
        let next = attempts.failed(&error(LOST), &options, late, 0);
        assert_eq!(next, Next::GiveUp(Reason::Deadline), "a retry at the deadline is too late");
        assert_eq!(Attempts::new(start).deadline(&RetryOptions::unlimited()), start + FOR_EVER);
    }

    #[test]
    fn an_unknown_outcome_stays_unknown_and_may_be_final() {
        let (start, options) = (clock::now(), RetryOptions::default());
        let mut attempts = Attempts::new(start);
        for verdict in [local::NO_OUTCOME, local::NO_CREDIT, local::TOO_LARGE] {
            attempts.failed(&error(verdict), &options, start, 7);
        }
        let ended = attempts.ended(Reason::NotRetryable, start + millis(12_340));
        assert!(ended.may_have_been_sent, "the first one may be stored");
        assert_eq!((ended.attempts, ended.elapsed), (3, millis(12_340)));
        let text = "gave up after 3 tries in 12.3 s, as another would not help";
        assert_eq!(ended.to_string(), text);

        let once = RetryOptions::default().with_retry_unknown(false);
        let (waits, reason) = run([error(local::NO_CREDIT), error(local::NO_OUTCOME)], &once, 7);
        assert_eq!((waits.len(), reason), (1, Some(Reason::MayBeStored)));
    }

    #[derive(Debug)]
    struct Own(Duration);

    impl RetryPolicy for Own {
        fn delay(&self, error: &Error, retry: u32, elapsed: Duration) -> Option<Duration> {
            assert!(error.is_retryable(), "what is not retried is not asked for");
            assert_eq!(elapsed, self.0 * (retry - 1));
            (retry < 6).then_some(self.0)
        }
    }

    #[test]
    fn a_policy_chooses_the_waits_and_nothing_else() {
        let own = Arc::new(Own(millis(70)));
        let options = RetryOptions::unlimited().with_policy(Arc::clone(&own) as _);
        assert_eq!(run(always(LOST), &options, 7), (vec![millis(70); 5], Some(Reason::Policy)));
        assert_eq!(run(always(local::TOO_LARGE), &options, 7).1, Some(Reason::NotRetryable));
        assert_eq!(run(always(local::REJECTED), &options, 7).0.len(), 1);
        let fewer = RetryOptions::default().with_policy(own);
        assert_eq!(run(always(LOST), &fewer, 7).1, Some(Reason::UsedUp));
    }

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        let local = [LOST, local::NO_OUTCOME, local::NO_CREDIT, local::RELEASED, local::REJECTED];
        let table = eventhubs_protocol::condition::TABLE.iter().map(|row| row.verdict);
        let all: Vec<_> = table.chain(local).collect();
        proptest::sample::select(all)
    }

    proptest! {
        #[test]
        fn whatever_fails_every_bound_holds(
            failures in proptest::collection::vec((any_verdict(), 0_u64..9_000, any::<u64>()), 1..60),
            retries_max in proptest::option::of(0_u32..20),
            total in 0_u64..200_000,
            base in 0_u64..3_000,
            cap in 0_u64..40_000,
        ) {
            let mut options = RetryOptions::default()
                .with_delays(millis(base), millis(cap))
                .with_total(millis(total));
            options.retries_max = retries_max;
            let start = clock::now();
            let (mut now, mut attempts) = (start, Attempts::new(start));
            let (mut fresh, mut unknown) = (0, false);
            for (retry, (verdict, taken, random)) in (0..).zip(failures) {
                now += millis(taken);
                unknown |= verdict.outcome == Outcome::Unknown;
                match attempts.failed(&error(verdict), &options, now, random) {
                    Next::Again { at, recovery, fresh_token } => {
                        prop_assert!(verdict.retry != Retry::No);
                        prop_assert!(retries_max.is_none_or(|max| retry < max));
                        prop_assert!(at >= now && at < start + millis(total));
                        prop_assert_eq!(recovery, verdict.recovery);
                        let wait = at - now;
                        if verdict.retry == Retry::Yes && !verdict.at_once {
                            let floor = millis(base.min(cap * 2)) / 2;
                            prop_assert!(wait >= floor, "{wait:?}");
                            let bound = match verdict.meaning {
                                Meaning::ServerBusy => millis(cap.max(4_000)) * 5 / 4,
                                _ => millis(cap),
                            };
                            prop_assert!(wait <= bound, "{wait:?}");
                        }
                        fresh += u32::from(fresh_token);
                        prop_assert!(fresh <= 1);
                        now = at;
                    }
                    Next::GiveUp(_) => break,
                }
            }
            prop_assert_eq!(attempts.ended(Reason::UsedUp, now).may_have_been_sent, unknown);
        }
    }
}
