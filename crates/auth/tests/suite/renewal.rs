//! When a token is renewed.

use eventhubs_auth::renewal::after;
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
}
