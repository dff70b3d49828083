//! The simulation finds what is planted, and nothing where nothing is.

mod exhaustive;

use eventhubs_sim::bug::Bug;
use eventhubs_sim::cell::{self, CELLS, STRATEGIES};
use eventhubs_sim::{World, plan, seeds};

/// Seeds within which a planted bug has to be found.
const FOUND_WITHIN: u64 = 2_000;

#[test]
fn no_rule_is_broken_in_disorder() {
    let run = |seed| (seed, World::new(plan::drawn(seed), None).run());
    for (seed, report) in seeds::each(0..60, run) {
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
    }
}

#[test]
fn every_planted_bug_is_found() {
    seeds::each(0..Bug::ALL.len() as u64, |place| {
        let (name, bug) = Bug::ALL[place as usize];
        let is_found = |seed| !World::new(plan::drawn(seed), Some(bug)).run().violations.is_empty();
        assert!((0..FOUND_WITHIN).any(is_found), "{name} is not found");
    });
}

#[test]
fn a_seed_is_a_run() {
    let run = |seed| {
        let report = World::new(plan::drawn(seed), Some(Bug::SkipFence)).run();
        (report.violations, report.moves, report.orphaned, report.balanced_since)
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn quota_is_fast_and_moves_little() {
    let (_, quota) = STRATEGIES[2];
    for cell in &CELLS {
        let outcome = cell::run(cell, quota, 3);
        assert_eq!(outcome.violations, 0, "{}", cell.name);
        let misses = cell.misses(&outcome);
        assert!(misses.is_empty(), "{}: {misses:?} {outcome:?}", cell.name);
    }
}
