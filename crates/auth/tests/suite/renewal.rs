//! When a token is renewed.

use eventhubs_auth::renewal::{FAILURE_KEPT, FAILURE_KEPT_MAX, after, back_off, back_off_serving};
use proptest::prelude::*;
use std::time::Duration;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn half_or_seven_minutes_before_but_not_before_a_quarter() {
    for (life, due) in [
        (24 * 3600, 12 * 3600),
        (3600, 1800),
        (14 * 60, 7 * 60),
        (12 * 60, 5 * 60),
        (10 * 60, 3 * 60),
        (8 * 60, 2 * 60),
        (7 * 60, 105),
        (60, 15),
        (0, 0),
    ] {
        assert_eq!(after(seconds(life), 0), seconds(due), "life of {life} s");
    }
    assert_eq!(after(seconds(2000), 255), seconds(950));
}

proptest! {
    #[test]
    fn always_before_the_end_and_never_at_once(
        millis in 1_000_u64..1_000_000_000_000,
        spread in any::<u8>(),
    ) {
        let life = Duration::from_millis(millis);
        let due = after(life, spread);
        prop_assert!(due <= life / 2);
        prop_assert!(due >= life / 5);
        prop_assert!(due <= after(life, 0));
    }

    #[test]
    fn a_pause_grows_and_is_bounded(failures in any::<u32>(), spread in any::<u8>()) {
        let pause = back_off(failures, spread);
        prop_assert!(pause >= FAILURE_KEPT / 2 && pause <= FAILURE_KEPT_MAX);
        prop_assert!(pause <= back_off(failures, 0) && pause >= back_off(failures, 0) / 2);
        prop_assert!(back_off(failures.saturating_add(1), spread) >= pause);
    }

    #[test]
    fn while_a_token_serves_there_is_a_try_before_its_end(
        failures in any::<u32>(),
        millis in 0_u64..10_000_000,
        spread in any::<u8>(),
    ) {
        let left = Duration::from_millis(millis);
        let pause = back_off_serving(failures, left, spread);
        prop_assert!(pause <= back_off(failures, spread));
        prop_assert!(pause <= (left / 2).max(FAILURE_KEPT / 2));
        prop_assert!(pause >= FAILURE_KEPT / 2, "no storm");
    }
}

#[test]
fn every_failure_in_a_row_doubles_the_pause_up_to_a_minute() {
    let pauses: Vec<_> = (1..=8).map(|failures| back_off(failures, 0).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(back_off(1, 255), seconds(1));
    assert_eq!(back_off(u32::MAX, 255), seconds(30));
}
