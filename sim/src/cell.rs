//! How long it takes until partitions are shared, and how many move: the cells of `reliability`
//! 4.4, with its figures beside ours.

use std::time::Duration;

use eventhubs_eph::balance::Strategy;
use eventhubs_eph::ownership::EpochMode;

use crate::plan::{Deed, Plan, Role};
use crate::random::Random;
use crate::seeds;
use crate::{Report, World};

/// How hosts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// They give everything back.
    Stop,
    /// Without a word.
    Crash,
    /// One after the other every 30 s, each giving everything back, with another one in its place
    /// five seconds later.
    Replaced,
}

/// Median and 99th percentile of seconds, and median of moves.
type Figures = (u64, u64, u32);

/// One row of the table: hosts settle, then some join or leave.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// What it is called.
    pub name: &'static str,
    /// Partitions.
    pub partitions: u16,
    /// Hosts before and after. Those that join do so within ten seconds; those that leave do so at
    /// once.
    pub hosts: (usize, usize),
    /// How hosts leave.
    pub leave: Leave,
    /// The fewest moves there can be; where that depends on who leaves, the largest of those.
    pub minimum: u32,
    /// What `reliability` 4.4 has for one in a scan, greedy, and quota.
    pub reference: Option<[Figures; 3]>,
    /// The limit of the 99th percentile for quota.
    pub limit: u64,
    /// The most moves for quota.
    pub moves_max: u32,
    /// Seconds that a partition may be without an owner, for quota.
    pub orphan_max: u64,
}

impl Cell {
    /// A cell of the reference. Quota may be one scan slower than it is there.
    const fn known(
        name: &'static str,
        partitions: u16,
        hosts: (usize, usize),
        minimum: u32,
        reference: [Figures; 3],
    ) -> Self {
        Self {
            name,
            partitions,
            hosts,
            leave: Leave::Crash,
            minimum,
            reference: Some(reference),
            limit: reference[2].1 + 10,
            moves_max: minimum + MOVES_SLACK,
            orphan_max: ORPHAN_MAX,
        }
    }

    /// 128 partitions: three scans, and after a crash the lease before that.
    const fn large(
        name: &'static str,
        hosts: (usize, usize),
        leave: Leave,
        minimum: u32,
        limit: u64,
    ) -> Self {
        Self {
            name,
            partitions: 128,
            hosts,
            leave,
            minimum,
            reference: None,
            limit,
            moves_max: minimum + MOVES_SLACK,
            orphan_max: ORPHAN_MAX,
        }
    }

    /// A rolling restart, where each partition has to move once and may twice, and none may be
    /// without an owner for more than two scans.
    const fn rolling(name: &'static str, partitions: u16, hosts: usize) -> Self {
        let minimum = partitions as u32;
        Self {
            name,
            partitions,
            hosts: (hosts, hosts),
            leave: Leave::Replaced,
            minimum,
            reference: None,
            limit: 40,
            moves_max: 2 * minimum,
            orphan_max: 20,
        }
    }

    /// What an outcome of the default strategy is not as it should be.
    #[must_use]
    pub fn misses(&self, outcome: &Outcome) -> Vec<&'static str> {
        let misses = [
            (outcome.rare > self.limit, "too slow"),
            (outcome.moves_max > self.moves_max, "too many moves"),
            (outcome.orphaned.as_secs() > self.orphan_max, "too long without an owner"),
        ];
        misses.into_iter().filter(|(is_missed, _)| *is_missed).map(|(_, text)| text).collect()
    }
}

/// Moves that the default strategy may be above the minimum.
const MOVES_SLACK: u32 = 3;

/// What ends is owned again two scans later: one that sees it, and one whose claim was lost.
const ORPHAN_MAX: u64 = 21;

/// The cells.
pub const CELLS: [Cell; 15] = [
    Cell::known("cold 32/4", 32, (0, 4), 32, [(79, 86, 32), (9, 17, 66), (19, 26, 32)]),
    Cell::known("cold 32/32", 32, (0, 32), 32, [(10, 20, 32), (13, 20, 119), (20, 30, 32)]),
    Cell::known("cold 100/10", 100, (0, 10), 100, [(100, 109, 100), (9, 19, 291), (20, 30, 100)]),
    Cell::known("+1 host 32/4", 32, (3, 4), 8, [(75, 89, 8), (5, 15, 8), (15, 20, 8)]),
    Cell::known("+1 host 100/10", 100, (9, 10), 10, [(96, 108, 10), (6, 18, 10), (16, 23, 10)]),
    Cell::known("one owner 32/8", 32, (1, 8), 28, [(39, 46, 28), (9, 19, 53), (19, 29, 28)]),
    Cell::known("one owner 100/10", 100, (1, 10), 90, [(100, 111, 90), (9, 20, 191), (20, 30, 90)]),
    Cell::known("crash 32/4", 32, (4, 3), 8, [(84, 89, 8), (74, 80, 8), (75, 80, 8)]),
    Cell::known("crash 100/10", 100, (10, 9), 10, [(70, 77, 10), (70, 77, 10), (74, 80, 10)]),
    Cell::large("128: cold 7", (0, 7), Leave::Stop, 128, 30),
    Cell::large("128: 7 to 10", (7, 10), Leave::Stop, 37, 30),
    Cell::large("128: 10 to 6 stop", (10, 6), Leave::Stop, 52, 30),
    Cell::large("128: 10 to 6 crash", (10, 6), Leave::Crash, 52, 90),
    Cell::rolling("rolling 32/4", 32, 4),
    Cell::rolling("rolling 100/10", 100, 10),
];

/// From one host that is replaced to the next.
const RESTART: Duration = Duration::from_secs(30);

/// The strategies in the order of [`Cell::reference`].
pub const STRATEGIES: [(&str, Strategy); 3] =
    [("balanced", Strategy::Balanced), ("greedy", Strategy::Greedy), ("quota", Strategy::Quota)];

/// What came of a cell over its seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Median seconds until it stayed shared.
    pub median: u64,
    /// 99th percentile of those.
    pub rare: u64,
    /// Median of moves.
    pub moves: u32,
    /// The most moves.
    pub moves_max: u32,
    /// The longest time that a partition had no owner after it had one.
    pub orphaned: Duration,
    /// Seeds that did not settle, and rules that were broken.
    pub violations: usize,
}

/// Runs a cell with so many seeds.
#[must_use]
pub fn run(cell: &Cell, strategy: Strategy, seeds: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut seconds, mut moves) = (Vec::new(), Vec::new());
    for (at, report) in seeds::each(0..seeds, |seed| settle(cell, strategy, seed)) {
        outcome.violations += report.violations.len();
        outcome.orphaned = outcome.orphaned.max(report.orphaned);
        seconds.extend(report.balanced_since.map(|since| since.saturating_sub(at).as_secs()));
        moves.push(report.moves);
    }
    seconds.sort_unstable();
    moves.sort_unstable();
    outcome.median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    outcome.rare = seconds.get(seconds.len() * 99 / 100).copied().unwrap_or_default();
    outcome.moves = moves.get(moves.len() / 2).copied().unwrap_or_default();
    outcome.moves_max = moves.last().copied().unwrap_or_default();
    outcome
}

/// One run, and when it was disturbed.
fn settle(cell: &Cell, strategy: Strategy, seed: u64) -> (Duration, Report) {
    let mut random = Random::new(seed);
    let rounds = u64::from(cell.partitions) * 11;
    let (before, after) = cell.hosts;
    let at = match before {
        0 => Duration::ZERO,
        _ => Duration::from_secs(60 + rounds) + random.millis(0, 10_000),
    };
    let start = |random: &mut Random, at: Duration| {
        (at + random.millis(0, 10_000), Deed::Start(Role::default()))
    };
    let mut deeds: Vec<_> = (0..before).map(|_| start(&mut random, Duration::ZERO)).collect();
    deeds.extend((before..after).map(|_| start(&mut random, at)));
    let last = match cell.leave {
        Leave::Replaced => {
            for host in 0..before {
                let at = at + RESTART * u32::try_from(host).unwrap_or(0);
                deeds.push((at, Deed::Stop(host)));
                deeds.push((at + RESTART / 6, Deed::Start(Role::default())));
            }
            deeds.last().map_or(at, |(at, _)| *at)
        }
        Leave::Stop => {
            deeds.extend((after..before).map(|host| (at, Deed::Stop(host))));
            at
        }
        Leave::Crash => {
            deeds.extend((after..before).map(|host| (at, Deed::Crash(host))));
            at
        }
    };
    // One in a scan is slow.
    let slow = if strategy == Strategy::Balanced { rounds / 4 } else { 0 };
    let plan = Plan {
        seed,
        partitions: cell.partitions,
        stores: 1,
        strategy,
        epochs: EpochMode::Rising,
        deeds,
        rough_until: Duration::ZERO,
        quiet_from: None,
        ends: last + Duration::from_secs(260 + slow),
        events_until: Duration::ZERO,
    };
    let mut world = World::new(plan, None);
    world.run_until(at.saturating_sub(Duration::from_millis(1)));
    world.forget();
    (last, world.run())
}
