//! Rules R1 to R12 of one ownership.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Both clocks run.
fn at(second: u64) -> Moment {
    Moment { monotonic: seconds(second), wall: UNIX_EPOCH + seconds(1_000 + second) }
}

/// The monotonic clock stood still for so long before.
fn suspended(second: u64, pause: u64) -> Moment {
    Moment { wall: at(second).wall + seconds(pause), ..at(second) }
}

fn level(level: i64) -> OwnerLevel {
    OwnerLevel::new(level).expect("it is not negative")
}

fn generation_of(partition: u16, epoch: i64, token: &str) -> Generation {
    let token = LeaseToken::new(token).expect("it is short");
    Generation::new(partition.into(), level(epoch), token)
}

fn generation() -> Generation {
    generation_of(0, 5, "token")
}

/// With its receiver attached.
fn owned() -> Ownership {
    let mut ownership = Ownership::acquired(generation(), Timing::default(), at(0));
    ownership.linked();
    ownership
}

/// Lets time pass from one second to another with every renewal succeeding. What there is to do
/// then, besides.
fn kept(ownership: &mut Ownership, from: u64, to: u64) -> Action {
    for second in from..to {
        match look_kept(ownership, second) {
            Action::Wait(_) => {}
            other => return other,
        }
    }
    look_kept(ownership, to)
}

fn look_kept(ownership: &mut Ownership, second: u64) -> Action {
    match ownership.look(at(second)) {
        Action::Renew => {
            ownership.renewed(at(second), at(second));
            ownership.look(at(second))
        }
        other => other,
    }
}

/// Performs the way out without a delay, and says which steps there were.
fn steps(ownership: &mut Ownership, now: Moment) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Action::Perform(step) = ownership.look(now) {
        steps.push(step);
        ownership.done(step);
    }
    steps
}

#[test]
fn the_fence_falls_a_margin_before_the_lease_can_have_ended() {
    let mut ownership = owned();
    assert_eq!(ownership.fence_at(), seconds(54));
    assert_eq!(ownership.look(at(10)), Action::Renew);
    // It was begun at 10, whenever the answer came.
    ownership.renewed(at(10), at(25));
    assert_eq!(ownership.fence_at(), seconds(64));
    assert_eq!(ownership.look(at(63)), Action::Renew);
    assert_eq!(ownership.look(at(64)), Action::Perform(Step::StopIntake));
    assert_eq!(ownership.end(), Some(End::Unproven));
}

#[test]
fn a_fence_needs_no_look_to_hold() {
    let ownership = owned();
    assert_eq!(ownership.may_handle(&generation(), at(53)), Ok(()));
    let refused = Err(Refusal::Ended(End::Unproven));
    assert_eq!(ownership.may_handle(&generation(), at(54)), refused);
    assert_eq!(ownership.may_checkpoint(&generation(), at(54)), refused);
}

#[test]
fn an_answer_after_the_fence_does_not_lift_it() {
    let mut ownership = owned();
    assert_eq!(ownership.look(at(50)), Action::Renew);
    ownership.renewed(at(50), at(55));
    assert_eq!(ownership.end(), Some(End::Unproven));
    assert!(ownership.may_handle(&generation(), at(56)).is_err());
}

#[test]
fn an_answer_that_is_older_than_another_proves_nothing_new() {
    let mut ownership = owned();
    ownership.renewed(at(20), at(21));
    ownership.renewed(at(10), at(22));
    assert_eq!(ownership.fence_at(), seconds(74));
}

#[test]
fn a_suspended_machine_is_fenced() {
    let mut ownership = owned();
    assert!(ownership.may_handle(&generation(), suspended(5, 20)).is_ok(), "a third is allowed");
    let refused = Err(Refusal::Ended(End::ClockJump));
    assert_eq!(ownership.may_handle(&generation(), suspended(5, 21)), refused);
    // The answer that was on its way does not help.
    ownership.renewed(at(4), suspended(5, 21));
    assert_eq!(ownership.end(), Some(End::ClockJump));
}

#[test]
fn a_clock_that_is_put_back_is_no_reason() {
    let mut ownership = owned();
    let back = Moment { wall: UNIX_EPOCH, ..at(5) };
    assert!(ownership.may_handle(&generation(), back).is_ok());
    assert!(matches!(ownership.look(back), Action::Wait(_)));
}

#[test]
fn failed_renewals_are_tried_again_until_the_fence() {
    let mut ownership = owned();
    let (mut now, mut tries) = (0, 0);
    loop {
        match ownership.look(at(now)) {
            Action::Wait(until) => now = until.as_secs().max(now + 1),
            Action::Renew => {
                tries += 1;
                ownership.renew_failed(at(now));
                assert_eq!(ownership.failures(), tries);
            }
            Action::Perform(step) => break assert_eq!(step, Step::StopIntake),
            Action::Over(end) => panic!("{end}"),
        }
    }
    assert_eq!((now, ownership.end()), (54, Some(End::Unproven)));
    assert!(tries > 8, "{tries}");
}

#[test]
fn one_renewal_is_on_its_way_at_a_time() {
    let mut ownership = owned();
    assert_eq!(ownership.look(at(10)), Action::Renew);
    assert_eq!(ownership.look(at(11)), Action::Wait(seconds(54)));
    ownership.renewed(at(10), at(12));
    assert_eq!(ownership.failures(), 0);
    assert_eq!(ownership.look(at(12)), Action::Wait(seconds(20)));
}

#[test]
fn a_receiver_is_attached_on_fresh_proof_only() {
    let mut ownership = owned();
    assert_eq!(ownership.may_attach(&generation(), at(19)), Ok(()));
    assert_eq!(ownership.may_attach(&generation(), at(20)), Err(Refusal::Stale));
    ownership.renewed(at(18), at(20));
    assert_eq!(ownership.may_attach(&generation(), at(20)), Ok(()));
}

#[test]
fn another_generation_may_do_nothing() {
    let ownership = owned();
    let (token, epoch) = (generation_of(0, 5, "old"), generation_of(0, 4, "token"));
    for other in [token, epoch, generation_of(1, 5, "token")] {
        let refused = Err(Refusal::OtherGeneration);
        assert_eq!(ownership.may_handle(&other, at(1)), refused);
        assert_eq!(ownership.may_checkpoint(&other, at(1)), refused);
        assert_eq!(ownership.may_attach(&other, at(1)), refused);
    }
}

#[test]
fn what_is_given_back_goes_in_order() {
    let mut ownership = owned();
    ownership.release(at(1));
    assert!(ownership.may_handle(&generation(), at(1)).is_err());
    assert_eq!(ownership.may_checkpoint(&generation(), at(1)), Ok(()));
    use Step::{AwaitHandlers, Detach, Flush, Release, Signal, StopIntake};
    let order = [StopIntake, Signal, AwaitHandlers, Flush, Detach, Release];
    assert_eq!(steps(&mut ownership, at(2)), order);
    assert_eq!(ownership.look(at(3)), Action::Over(End::Released));
    let refused = Err(Refusal::Ended(End::Released));
    assert_eq!(ownership.may_checkpoint(&generation(), at(3)), refused);
}

#[test]
fn nothing_is_released_before_the_checkpoint_is_flushed() {
    let mut ownership = owned();
    ownership.release(at(1));
    for step in STEPS {
        assert_eq!(ownership.look(at(2)), Action::Perform(step));
        assert!(!matches!(ownership.look(at(2)), Action::Perform(_)), "each once");
        ownership.done(Step::Release);
        assert!(step == Step::Release || !matches!(ownership.look(at(2)), Action::Over(_)));
        ownership.done(step);
    }
}

#[test]
fn what_was_taken_is_neither_flushed_nor_released() {
    use Step::{AwaitHandlers, Detach, Release, Signal, StopIntake};
    let taken: [fn(&mut Ownership); 2] =
        [|ownership| ownership.stolen(at(1)), |ownership| ownership.lost(at(1))];
    for take in taken {
        let mut ownership = owned();
        take(&mut ownership);
        assert!(ownership.may_checkpoint(&generation(), at(1)).is_err());
        assert_eq!(steps(&mut ownership, at(1)), [StopIntake, Signal, AwaitHandlers, Detach]);
    }
    let mut fenced = owned();
    let order = [StopIntake, Signal, AwaitHandlers, Detach, Release];
    assert_eq!(steps(&mut fenced, at(60)), order);
}

#[test]
fn an_end_is_final() {
    let mut ownership = owned();
    ownership.stolen(at(1));
    ownership.renewed(at(1), at(2));
    ownership.release(at(2));
    ownership.lost(at(2));
    assert_eq!(ownership.end(), Some(End::Stolen));
    steps(&mut ownership, at(3));
    assert_eq!(ownership.look(at(4)), Action::Over(End::Stolen));
}

#[test]
fn what_is_taken_on_the_way_out_is_not_flushed() {
    let mut ownership = owned();
    ownership.release(at(1));
    for step in [Step::StopIntake, Step::Signal, Step::AwaitHandlers] {
        assert_eq!(ownership.look(at(1)), Action::Perform(step));
        ownership.done(step);
    }
    assert_eq!(ownership.look(at(1)), Action::Perform(Step::Flush));
    ownership.lost(at(2));
    assert_eq!(ownership.look(at(2)), Action::Perform(Step::Detach));
    ownership.done(Step::Detach);
    assert_eq!(ownership.look(at(2)), Action::Over(End::Lost));
}

#[test]
fn handlers_are_given_up_after_the_grace_and_the_lease_is_kept_until_then() {
    let timing = Timing { grace: seconds(300), ..Timing::default() };
    let mut ownership = Ownership::acquired(generation(), timing, at(0));
    ownership.release(at(0));
    for step in [Step::StopIntake, Step::Signal] {
        assert_eq!(ownership.look(at(0)), Action::Perform(step));
        ownership.done(step);
    }
    assert_eq!(ownership.look(at(0)), Action::Perform(Step::AwaitHandlers));
    for second in 0..300 {
        if ownership.look(at(second)) == Action::Renew {
            ownership.renewed(at(second), at(second));
        }
        assert_eq!(ownership.end(), Some(End::Released));
    }
    assert_eq!(ownership.look(at(300)), Action::Perform(Step::Flush));
}

#[test]
fn a_lost_epoch_is_passed_once() {
    let mut ownership = owned();
    assert_eq!(ownership.epoch_refused(Some(level(9)), EpochMode::Rising, at(1)), Some(level(10)));
    ownership.raised(level(10), at(1), at(2));
    assert_eq!(ownership.generation().epoch, level(10));
    assert!(ownership.may_attach(&generation(), at(2)).is_err(), "that was another one");
    assert_eq!(ownership.epoch_refused(Some(level(12)), EpochMode::Rising, at(3)), None);
    assert_eq!(ownership.end(), Some(End::EpochRefused));
}

#[test]
fn an_epoch_that_cannot_be_passed_ends_the_ownership() {
    let hopeless = [
        (None, EpochMode::Rising),
        (Some(level(4)), EpochMode::Rising),
        (Some(level(i64::MAX)), EpochMode::Rising),
        (Some(level(9)), EpochMode::Zero),
    ];
    for (existing, mode) in hopeless {
        let mut ownership = owned();
        assert_eq!(ownership.epoch_refused(existing, mode, at(1)), None);
        assert_eq!(ownership.end(), Some(End::EpochRefused));
    }
}

#[test]
fn epochs_rise_whatever_the_store_says_and_end_with_the_numbers() {
    let mut epochs = Epochs::new(EpochMode::Rising);
    let mut last = OwnerLevel::ZERO;
    for stored in [0, 7, 3, 0, 5, 20, 20].map(level) {
        let next = epochs.next(1.into(), stored).expect("there is one");
        assert!(next > last && next > stored);
        last = next;
    }
    epochs.see(1.into(), level(i64::MAX));
    assert_eq!(epochs.next(1.into(), OwnerLevel::ZERO), None);
    assert_eq!(epochs.next(2.into(), OwnerLevel::ZERO), Some(level(1)));
    assert_eq!(Epochs::new(EpochMode::Zero).next(1.into(), level(9)), Some(OwnerLevel::ZERO));
}

#[test]
fn times_that_cannot_be_kept_are_refused() {
    assert_eq!(Timing::default().check(), Ok(()));
    let times = |lease, renewal| Timing {
        lease: seconds(lease),
        renewal: seconds(renewal),
        ..Timing::default()
    };
    for (lease, renewal) in [(14, 1), (61, 10), (60, 21), (15, 6), (30, 0)] {
        assert!(times(lease, renewal).check().is_err(), "{lease} {renewal}");
    }
    for (lease, renewal) in [(15, 5), (60, 20)] {
        assert_eq!(times(lease, renewal).check(), Ok(()));
    }
    assert_eq!(times(15, 5).margin(), Duration::from_millis(1_500));
    assert!(times(60, 20).call() < seconds(60) / 3);
}

proptest! {
    /// Whatever is reported when: no handler starts a margin before the lease can have ended, an
    /// end stays, the way out goes in order, and it always gets on.
    #[test]
    fn no_order_of_reports_breaks_a_rule(
        script in proptest::collection::vec((0_u8..10, 0_u64..30, any::<bool>()), 1..60),
    ) {
        let mut ownership = owned();
        let (mut now, mut proof, mut asked) = (0, 0, None);
        let mut end: Option<End> = None;
        let mut step = None;
        for (what, pause, is_late) in script {
            now += pause;
            match what {
                0 => ownership.stolen(at(now)),
                1 => ownership.lost(at(now)),
                2 => ownership.release(at(now)),
                3 => ownership.renew_failed(at(now)),
                4..=6 => if let Some(asked) = asked.take() {
                    if ownership.end().is_none() && now < proof + 54 {
                        proof = proof.max(asked);
                    }
                    ownership.renewed(at(asked), at(now));
                },
                _ => match ownership.look(at(now)) {
                    Action::Renew => asked = Some(now),
                    Action::Wait(until) => prop_assert!(until > at(now).monotonic),
                    Action::Perform(next) => {
                        prop_assert!(step.is_none_or(|step| step < next));
                        step = Some(next);
                        if !is_late {
                            ownership.done(next);
                        }
                    }
                    Action::Over(_) => prop_assert!(ownership.end().is_some()),
                },
            }
            if now >= proof + 54 {
                prop_assert!(ownership.may_handle(&generation(), at(now)).is_err());
            }
            if let Some(end) = end {
                prop_assert!(ownership.may_handle(&generation(), at(now)).is_err());
                let have = ownership.end();
                prop_assert!(have == Some(end) || end == End::Released, "{have:?} after {end}");
            }
            end = ownership.end();
        }
        prop_assert_eq!(ownership.generation(), &generation());
    }
}

#[test]
fn who_cannot_read_a_partition_does_not_keep_it() {
    let mut ownership = Ownership::acquired(generation(), Timing::default(), at(0));
    assert!(matches!(kept(&mut ownership, 0, 119), Action::Wait(_)));
    assert!(ownership.end().is_none());
    assert_eq!(kept(&mut ownership, 119, 120), Action::Perform(Step::StopIntake));
    assert_eq!(ownership.end(), Some(End::Unlinked));
    // The lease is still its own: what was handled is written, and the lease given back.
    assert_eq!(ownership.may_checkpoint(&generation(), at(120)), Ok(()));
    ownership.done(Step::StopIntake);
    use Step::{AwaitHandlers, Detach, Flush, Release, Signal};
    let order = [Signal, AwaitHandlers, Flush, Detach, Release];
    assert_eq!(steps(&mut ownership, at(121)), order);
}

#[test]
fn a_receiver_that_comes_back_keeps_the_partition() {
    let mut ownership = owned();
    assert!(matches!(kept(&mut ownership, 0, 300), Action::Wait(_)));
    ownership.unlinked(at(300));
    // Each failed attach says so again, and it began with the first.
    ownership.unlinked(at(400));
    assert!(matches!(kept(&mut ownership, 300, 419), Action::Wait(_)));
    ownership.linked();
    assert!(matches!(kept(&mut ownership, 419, 600), Action::Wait(_)));
    ownership.unlinked(at(600));
    assert!(matches!(kept(&mut ownership, 600, 719), Action::Wait(_)));
    assert_eq!(kept(&mut ownership, 719, 720), Action::Perform(Step::StopIntake));
}
