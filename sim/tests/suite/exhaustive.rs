//! Every order of calls, in the small: A1 to A5 and A7.

use eventhubs_sim::bug::Bug;
use eventhubs_sim::exhaust::explore;

/// Hosts, partitions, steps. `cargo xtask sim` goes further.
const TIERS: [(usize, u16, u32); 3] = [(2, 1, 7), (2, 2, 5), (3, 2, 4)];

#[test]
fn no_order_of_calls_breaks_a_rule() {
    for (hosts, partitions, steps) in TIERS {
        let explored = explore(hosts, partitions, steps, None);
        assert!(explored.found.is_none(), "{:?}", explored.found);
        assert!(explored.states > 1_000, "{hosts} hosts: {} states", explored.states);
    }
}

#[test]
fn planted_bugs_are_found_in_the_small_too() {
    for bug in
        [Bug::NoCompare, Bug::EqualEpoch, Bug::RenewWithoutToken, Bug::CheckpointWithoutToken]
    {
        let found = TIERS.iter().any(|(hosts, partitions, steps)| {
            explore(*hosts, *partitions, *steps, Some(bug)).found.is_some()
        });
        assert!(found, "{bug:?}");
    }
}
