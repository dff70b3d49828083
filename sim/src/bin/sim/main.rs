//! `sim [--seeds N] [--seed S] [--bug NAME|list] [--svg FILE]`: runs random disorder from seeds and asserts every
//! rule, then prints how fast each strategy shares partitions. Status 1 when a rule was broken or
//! the default strategy is slower or moves more than it may; the seed is printed and replays, and is
//! drawn into FILE. The bug `list` lists the bugs that can be planted.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use eventhubs_sim::bug::Bug;
use eventhubs_sim::cell::{self, CELLS, STRATEGIES};
use eventhubs_sim::{World, exhaust, plan, seeds};

const USAGE: &str = "sim [--seeds N] [--seed S] [--bug NAME|list] [--svg FILE]";

/// Seeds that run before their results are told.
const WAVE: usize = 64;

/// What the command line says.
#[derive(Debug, Default)]
struct Arguments {
    seeds: u64,
    seed: Option<u64>,
    bug: Option<Bug>,
    /// Where the run of the one seed is drawn.
    svg: Option<PathBuf>,
    /// Whether the bugs are listed and nothing is run.
    lists: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            line(&format!("{problem}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    if arguments.lists {
        Bug::ALL.iter().for_each(|(name, _)| line(name));
        return ExitCode::SUCCESS;
    }
    if let (Some(seed), Some(file)) = (arguments.seed, &arguments.svg)
        && let Err(error) = draw(seed, arguments.bug, file)
    {
        line(&format!("{}: {error}", file.display()));
        return ExitCode::from(2);
    }
    let broken = disorder(&arguments);
    // One seed is looked at alone, and a planted bug has no figures.
    let missed = match (arguments.seed, arguments.bug) {
        (None, None) => every_order() + table(arguments.seeds),
        _ => 0,
    };
    match broken + missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Draws the run of a seed.
fn draw(seed: u64, bug: Option<Bug>, file: &Path) -> io::Result<()> {
    let report = World::new(plan::drawn(seed), bug).with_picture().run();
    std::fs::write(file, report.picture.unwrap_or_default())
}

/// Runs of random disorder. How many broke a rule.
fn disorder(arguments: &Arguments) -> usize {
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => 0..arguments.seeds,
    };
    let (mut broken, mut moves, mut repeated) = (0, 0_u64, 0);
    let mut orphaned = std::time::Duration::ZERO;
    let count = seeds.end - seeds.start;
    let run = |seed| (seed, World::new(plan::drawn(seed), arguments.bug).run());
    let waves = seeds.clone().step_by(WAVE).map(|start| start..seeds.end.min(start + WAVE as u64));
    for (seed, report) in waves.flat_map(|wave| seeds::each(wave, run)) {
        moves += u64::from(report.moves);
        repeated += report.repeated;
        orphaned = orphaned.max(report.orphaned);
        if report.violations.is_empty() {
            continue;
        }
        broken += 1;
        line(&format!("seed {seed}:"));
        report.violations.iter().for_each(|violation| line(&format!("  {violation}")));
        if arguments.bug.is_some() {
            break;
        }
    }
    line(&format!(
        "disorder: {count} seeds, {broken} with violations, {moves} moves, {repeated} events handled again, longest without an owner {} s",
        orphaned.as_secs()
    ));
    broken
}

/// Every order of calls in the small. How many of the tiers broke a rule.
fn every_order() -> usize {
    let mut broken = 0;
    for (hosts, partitions, steps) in exhaust::TIERS {
        let explored = exhaust::explore(hosts, partitions, steps, None);
        line(&format!(
            "every order: {hosts} hosts, {partitions} partitions, {steps} steps: {} states",
            explored.states
        ));
        if let Some((violation, path)) = explored.found {
            broken += 1;
            line(&format!("  {violation} by {}", path.join(", ")));
        }
    }
    broken
}

/// The table of the strategies. How many cells are not as they should be.
fn table(seeds: u64) -> usize {
    let seeds = (seeds / 100).clamp(5, 200);
    line(&format!(
        "\n{seeds} seeds per cell; seconds median/p99, moves median (max) of minimum; reference in brackets"
    ));
    let mut missed = 0;
    for cell in &CELLS {
        let mut row = format!("{:<18}", cell.name);
        for (at, (name, strategy)) in STRATEGIES.iter().enumerate() {
            let outcome = cell::run(cell, *strategy, seeds);
            row += &format!(
                "  {name} {}/{} s, {} ({}) of {}, orphan {} s",
                outcome.median,
                outcome.rare,
                outcome.moves,
                outcome.moves_max,
                cell.minimum,
                outcome.orphaned.as_secs()
            );
            if let Some((median, rare, moves)) = cell.reference.map(|all| all[at]) {
                row += &format!(" [{median}/{rare}, {moves}]");
            }
            let misses = cell.misses(&outcome);
            if outcome.violations > 0 || (*name == "quota" && !misses.is_empty()) {
                missed += 1;
                let misses = misses.join(", ");
                row += &format!(" MISSED: {misses}, {} violations", outcome.violations);
            }
        }
        line(&row);
    }
    missed
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = arguments;
    let mut parsed = Arguments { seeds: 2_000, ..Arguments::default() };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name}: '{value}' is no number"));
        match name.as_str() {
            "--seeds" => parsed.seeds = number()?,
            "--seed" => parsed.seed = Some(number()?),
            "--svg" => parsed.svg = Some(value.into()),
            "--bug" if value == "list" => parsed.lists = true,
            "--bug" => {
                let found = Bug::ALL.iter().find(|(name, _)| *name == value);
                let (_, bug) = found.ok_or_else(|| format!("no bug is called '{value}'"))?;
                parsed.bug = Some(*bug);
            }
            _ => return Err(format!("there is no argument {name}")),
        }
    }
    match (&parsed.svg, parsed.seed) {
        (Some(_), None) => Err("--svg draws one seed: say which by --seed".to_owned()),
        _ => Ok(parsed),
    }
}

/// Writes a line. A closed pipe is no reason to end a run.
fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Arguments, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read() {
        let arguments = words("--seeds 30 --bug skip-fence").expect("they are sound");
        assert_eq!((arguments.seeds, arguments.bug), (30, Some(Bug::SkipFence)));
        assert_eq!(words("--seed 7").expect("it is sound").seed, Some(7));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, named) in [
            ("--seeds x", "--seeds"),
            ("--seed", "--seed"),
            ("--bug no", "no"),
            ("--svg a", "--seed"),
        ] {
            assert!(words(text).map(|_| ()).expect_err("it is nonsense").contains(named));
        }
    }
}
