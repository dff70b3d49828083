//! `sim [--seeds N] [--seed S] [--bug NAME]`: runs random disorder from seeds and asserts every
//! rule, then prints how fast each strategy shares partitions. Status 1 when a rule was broken or
//! the default strategy is slower or moves more than it may; the seed is printed and replays.

use std::io::{self, Write as _};
use std::process::ExitCode;

use eventhubs_sim::bug::Bug;
use eventhubs_sim::cell::{self, CELLS, STRATEGIES};
use eventhubs_sim::{World, plan, seeds};

const USAGE: &str = "sim [--seeds N] [--seed S] [--bug NAME]";

/// Moves that the default strategy may be above the minimum.
const MOVES_SLACK: u32 = 3;

/// Seeds that run before their results are told.
const WAVE: usize = 64;

/// What the command line says.
#[derive(Debug)]
struct Arguments {
    seeds: u64,
    seed: Option<u64>,
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            line(&format!("{problem}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let broken = disorder(&arguments);
    // One seed is looked at alone, and a planted bug has no figures.
    let missed = match (arguments.seed, arguments.bug) {
        (None, None) => table(arguments.seeds),
        _ => 0,
    };
    match broken + missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs of random disorder. How many broke a rule.
fn disorder(arguments: &Arguments) -> usize {
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => 0..arguments.seeds,
    };
    let (mut broken, mut moves, mut orphaned) = (0, 0_u64, std::time::Duration::ZERO);
    let count = seeds.end - seeds.start;
    let run = |seed| (seed, World::new(plan::drawn(seed), arguments.bug).run());
    let waves = seeds.clone().step_by(WAVE).map(|start| start..seeds.end.min(start + WAVE as u64));
    for (seed, report) in waves.flat_map(|wave| seeds::each(wave, run)) {
        moves += u64::from(report.moves);
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
        "disorder: {count} seeds, {broken} with violations, {moves} moves, longest without an owner {} s",
        orphaned.as_secs()
    ));
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
            let is_slow = outcome.rare > cell.limit;
            let moves_much = outcome.moves_max > cell.minimum + MOVES_SLACK;
            if outcome.violations > 0 || (*name == "quota" && (is_slow || moves_much)) {
                missed += 1;
                row += &format!(" MISSED, {} violations", outcome.violations);
            }
        }
        line(&row);
    }
    missed
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = arguments;
    let mut parsed = Arguments { seeds: 2_000, seed: None, bug: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name}: '{value}' is no number"));
        match name.as_str() {
            "--seeds" => parsed.seeds = number()?,
            "--seed" => parsed.seed = Some(number()?),
            "--bug" => {
                let found = Bug::ALL.iter().find(|(name, _)| *name == value);
                let (_, bug) = found.ok_or_else(|| format!("no bug is called '{value}'"))?;
                parsed.bug = Some(*bug);
            }
            _ => return Err(format!("there is no argument {name}")),
        }
    }
    Ok(parsed)
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
        for (text, named) in [("--seeds x", "--seeds"), ("--seed", "--seed"), ("--bug no", "no")] {
            assert!(words(text).map(|_| ()).expect_err("it is nonsense").contains(named));
        }
    }
}
