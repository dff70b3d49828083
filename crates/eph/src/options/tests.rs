//! Options in and out of their range.

use std::time::Duration;

use crate::balance::Strategy;
use crate::host::HostErrorKind;
use crate::options::{CheckpointPolicy, FailurePolicy, HostOptions};
use crate::ownership::Timing;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const TOO_LONG: Duration = Duration::from_secs(24 * 3600 + 1);

/// The documentation of the fields, as values.
#[test]
fn defaults_are_what_the_documentation_says() {
    let options = HostOptions::default();
    assert_eq!(options.consumer_group.as_str(), "$Default");
    assert_eq!(options.name, None);
    let seconds = [options.timing.lease, options.timing.renewal, options.timing.grace];
    assert_eq!(seconds.map(|span| span.as_secs()), [60, 10, 10]);
    assert_eq!(options.scan, Duration::from_secs(10));
    assert_eq!(options.strategy, Strategy::Quota);
    assert_eq!((options.weight, options.partitions_max), (1, None));
    assert_eq!(options.prefetch, 300);
    assert_eq!((options.handler_timeout, options.fail_fast), (None, false));
    assert_eq!(options.pause_max, Some(Duration::from_secs(60)));
    options.check().expect("the defaults are in their range");
}

#[test]
fn what_is_out_of_its_range_is_refused_by_the_name_of_its_field() {
    let wrong = |change: &dyn Fn(HostOptions) -> HostOptions| {
        let error = change(HostOptions::default()).check().expect_err("it is out of its range");
        assert_eq!(error.kind(), HostErrorKind::InvalidOptions);
        error.to_string()
    };
    type Change = Box<dyn Fn(HostOptions) -> HostOptions>;
    let timing = |timing: Timing| -> Change { Box::new(move |o| o.with_timing(timing)) };
    let (delay, delay_max) = (Duration::from_secs(2), Duration::from_secs(1));
    let cases: Vec<(&str, Change)> = vec![
        ("name", Box::new(|o| o.with_name(""))),
        ("name", Box::new(|o| o.with_name("a\nb"))),
        ("name", Box::new(|o| o.with_name("n".repeat(257)))),
        ("timing", timing(Timing { renewal: Duration::from_secs(21), ..Timing::default() })),
        ("timing", timing(Timing { lease: Duration::from_secs(61), ..Timing::default() })),
        ("timing", timing(Timing { grace: TOO_LONG, ..Timing::default() })),
        ("scan", Box::new(|o| o.with_scan(Duration::from_millis(999)))),
        ("scan", Box::new(|o| o.with_scan(Duration::from_secs(61)))),
        ("weight", Box::new(|o| o.with_weight(1_000_001))),
        ("weight", Box::new(|o| o.with_weight(2).with_strategy(Strategy::Greedy))),
        ("partitions_max", Box::new(|o| o.with_partitions_max(0))),
        ("prefetch", Box::new(|o| o.with_prefetch(0))),
        ("prefetch", Box::new(|o| o.with_prefetch(100_001))),
        ("handler_timeout", Box::new(|o| o.with_handler_timeout(Some(Duration::ZERO)))),
        ("pause_max", Box::new(|o| o.with_pause_max(Some(TOO_LONG)))),
        ("checkpoints", Box::new(|o| o.with_checkpoints(every(0, MILLISECOND)))),
        ("checkpoints", Box::new(|o| o.with_checkpoints(every(1, Duration::ZERO)))),
        (
            "checkpoints",
            Box::new(|o| o.with_checkpoints(CheckpointPolicy::AfterEach { every: TOO_LONG })),
        ),
        (
            "failures",
            Box::new(move |o| o.with_failures(FailurePolicy::Restart { delay, delay_max })),
        ),
    ];
    for (field, change) in cases {
        let text = wrong(&change);
        assert!(text.contains(&format!("{field}:")), "{field}: {text}");
    }
}

#[test]
fn the_ends_of_the_ranges_are_allowed() {
    let restart = FailurePolicy::Restart { delay: MILLISECOND, delay_max: DAY };
    let small = HostOptions::default()
        .with_name("n")
        .with_scan(Duration::from_secs(1))
        .with_weight(0)
        .with_partitions_max(1)
        .with_prefetch(1)
        .with_handler_timeout(Some(MILLISECOND))
        .with_checkpoints(CheckpointPolicy::AfterEach { every: Duration::ZERO })
        .with_failures(restart)
        .with_pause_max(Some(Duration::ZERO));
    small.check().expect("the lower ends");
    let large = HostOptions::default()
        .with_name("n".repeat(256))
        .with_scan(Duration::from_secs(60))
        .with_weight(1_000_000)
        .with_prefetch(100_000)
        .with_handler_timeout(Some(DAY))
        .with_checkpoints(every(u64::MAX, DAY))
        .with_pause_max(None);
    large.check().expect("the upper ends");
}

fn every(events: u64, time: Duration) -> CheckpointPolicy {
    CheckpointPolicy::Every { events, time }
}
