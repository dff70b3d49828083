//! When checkpoints are written, whatever happens in between.

use proptest::prelude::*;

use super::*;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn policies() -> impl Strategy<Value = CheckpointPolicy> {
    prop_oneof![
        (0_u64..10_000).prop_map(|every| CheckpointPolicy::AfterEach { every: millis(every) }),
        Just(CheckpointPolicy::AfterBatch),
        (1_u64..50, 1_u64..10_000)
            .prop_map(|(events, time)| CheckpointPolicy::Every { events, time: millis(time) }),
        Just(CheckpointPolicy::Manual),
    ]
}

/// The longest that something finished waits under a policy while the store works.
fn patience(policy: CheckpointPolicy) -> Duration {
    match policy {
        CheckpointPolicy::AfterEach { every } => every,
        CheckpointPolicy::Every { time, .. } => time,
        _ => Duration::ZERO,
    }
}

#[test]
fn pauses_double_up_to_a_limit_and_spread() {
    let pause = |failures, spread| pause_after(failures, StoreErrorKind::Unavailable, spread);
    assert_eq!([1, 2, 3].map(|failures| pause(failures, 0).as_millis()), [200, 400, 800]);
    assert_eq!(pause(50, 0), PAUSE_MAX);
    for failures in 1..60 {
        let (least, most) = (pause(failures, 0), pause(failures, 255));
        assert!(least < most && most < least * 5 / 4, "{failures}");
    }
}

#[test]
fn a_store_may_ask_for_more_time_and_not_for_for_ever() {
    let busy = |after| pause_after(1, StoreErrorKind::Busy { after }, 0);
    assert_eq!(busy(None), PAUSE);
    assert_eq!(busy(Some(millis(1))), PAUSE, "it is left alone for a while anyway");
    assert_eq!(busy(Some(millis(9_000))), millis(9_000));
    assert_eq!(busy(Some(Duration::MAX)), BUSY_MAX);
}

#[test]
fn every_so_many_events_or_so_often_whichever_is_first() {
    let policy = CheckpointPolicy::Every { events: 10, time: millis(1_000) };
    let mut cadence = Cadence::new(policy, 0, millis(0));
    let later = |at: Option<u64>, events| Next::Later { at: at.map(millis), events };
    assert_eq!(cadence.next(0, millis(5_000)), later(None, Some(1)), "there is nothing");
    assert_eq!(cadence.next(3, millis(500)), later(Some(1_000), Some(10)));
    assert_eq!(cadence.next(10, millis(500)), Next::Write);
    assert_eq!(cadence.next(3, millis(1_000)), Next::Write);
    cadence.begin(millis(1_000));
    cadence.succeeded(3);
    assert_eq!(cadence.next(3, millis(9_000)), later(None, Some(4)));
    assert_eq!(cadence.next(4, millis(1_100)), later(Some(2_000), Some(13)));
}

proptest! {
    /// Each step is one of: more is done, time passes, somebody wants a write, and the store works
    /// or not. The write ends at once.
    #[test]
    fn what_is_done_is_written_in_time_and_not_too_often(
        policy in policies(),
        steps in proptest::collection::vec((0_u8..10, 0_u64..3_000, any::<bool>()), 1..80),
    ) {
        let mut cadence = Cadence::new(policy, 7, Duration::ZERO);
        let (mut now, mut events, mut written) = (Duration::ZERO, 0_u64, 0_u64);
        let (mut failed_until, mut last, mut is_wanted) = (Duration::ZERO, None::<Duration>, false);
        for (what, pause, works) in steps {
            now += millis(pause);
            match what {
                0..=5 => events += pause % 7,
                6 => { cadence.want(); is_wanted = true; }
                _ => {}
            }
            let is_due_at_the_end = cadence.is_due_at_the_end(events);
            let is_automatic = policy != CheckpointPolicy::Manual;
            prop_assert_eq!(is_due_at_the_end, is_wanted || (is_automatic && events > written));
            match cadence.next(events, now) {
                Next::Write => {
                    prop_assert!(now >= failed_until, "a store that failed is left alone");
                    prop_assert!(is_wanted || (is_automatic && events > written));
                    if let CheckpointPolicy::AfterEach { every } = policy {
                        prop_assert!(is_wanted || last.is_none_or(|last| now >= last + every));
                    }
                    let was_wanted = cadence.is_wanted();
                    cadence.begin(now);
                    last = Some(now);
                    match works {
                        true => {
                            cadence.succeeded(events);
                            (written, is_wanted, failed_until) = (events, false, Duration::ZERO);
                        }
                        false => {
                            cadence.failed(was_wanted, StoreErrorKind::Unavailable, now);
                            failed_until = now + PAUSE;
                            prop_assert_eq!(cadence.is_wanted(), is_wanted);
                        }
                    }
                }
                Next::Later { at, events: alarm } => {
                    prop_assert!(at.is_none_or(|at| at > now), "it would be looked at for ever");
                    prop_assert!(alarm.is_none_or(|alarm| alarm > events));
                    if is_automatic && events > written {
                        let latest = now.max(failed_until) + patience(policy) + PAUSE_MAX * 5 / 4;
                        prop_assert!(at.is_some_and(|at| at <= latest), "{at:?} at {now:?}");
                    }
                    if is_automatic && events == written {
                        prop_assert_eq!(alarm, Some(events + 1), "the first has to be told");
                    }
                    match cadence.next_at_the_end(now) {
                        Next::Write => prop_assert!(now >= failed_until),
                        Next::Later { at, .. } => prop_assert!(at.is_some_and(|at| at > now)),
                    }
                }
            }
        }
    }
}
