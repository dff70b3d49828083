//! `cargo xtask ci`: everything a change must pass, in the order in which it fails fastest.
//!
//! Prints the seconds of each step and a table at the end. A slow machine is a warning and not a
//! failure. The first step that fails ends the run and is named. `--drills` adds the drills,
//! which build the tests once per planted bug and take long.

mod deny;

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::failure::Failure;
use crate::process::{self, Ending};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{bench, chaos, doc, drill, interop, layers, page, sim, terminal, test, tidy};

/// Above this the run is too long to wait for.
const WARN_AFTER: Duration = Duration::from_secs(25 * 60);
/// An example talks to an embedded emulator and ends by itself. The longest one waits for the
/// leases of a process that it kills.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(60);
/// Examples that need no input and end by themselves, with these arguments.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("hello_world", &[]),
    ("send_batch", &[]),
    ("runtime_information", &[]),
    ("own_leaser", &[]),
    ("health", &["--demo"]),
    ("process_many", &[]),
];

/// A step: its name and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<Tally, Failure>);

/// Waits for most of its time, so that the tool of [`DENY`] can be built beside it.
const CHAOS: &str = "chaos";
const DENY: &str = "deny";

const STEPS: &[Step] = &[
    ("fmt", format),
    ("tidy", |workspace| tidy::run(workspace, &[])),
    ("layers", |workspace| layers::run(workspace, &[])),
    ("clippy, all features", |workspace| clippy(workspace, "--all-features")),
    ("clippy, no features", |workspace| clippy(workspace, "--no-default-features")),
    ("each crate alone", each_crate_alone),
    ("fuzz targets compile", fuzz_targets),
    ("test", |workspace| test::run(workspace, &[])),
    ("examples", examples),
    ("doc", |workspace| doc::run(workspace, &[])),
    ("interop", |workspace| interop::run(workspace, &["--quick".to_owned()])),
    ("live view", page::run),
    ("sim", sim::seeds),
    (CHAOS, chaos::seeds),
    ("bench", |workspace| bench::run(workspace, &["--check".to_owned()])),
    (DENY, deny::check),
];

/// What one step took and counted.
#[derive(Debug)]
struct Done {
    name: &'static str,
    seconds: u64,
    tally: Tally,
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let with_drills = match arguments {
        [] => false,
        [flag] if flag == "--drills" => true,
        _ => return Err(Failure::new("usage: cargo xtask ci [--drills]")),
    };
    let drills: Step = ("drill", |workspace| drill::run(workspace, &[]));
    let steps = STEPS.iter().chain(with_drills.then_some(&drills));
    let whole = Stopwatch::start();
    let mut done = Vec::new();
    let mut building = None;
    for &(name, step) in steps {
        terminal::line(format_args!("\n== {name}"));
        let watch = Stopwatch::start();
        let ready = match name {
            CHAOS => deny::begin(workspace).map(|begun| building = begun),
            DENY => building.take().map_or(Ok(()), |building| building.finish(workspace)),
            _ => Ok(()),
        };
        let outcome = ready.and_then(|()| step(workspace));
        let seconds = watch.seconds();
        match outcome {
            Ok(tally) => done.push(Done { name, seconds, tally }),
            Err(failure) => {
                print_table(&done);
                let text = format!("step '{name}' failed after {seconds} s: {failure}");
                return Err(Failure::new(text));
            }
        }
        terminal::line(format_args!("== {name}: {seconds} s"));
    }
    print_table(&done);
    Ok(summary(&done, whole.elapsed()))
}

/// Prints the last lines and returns what all steps counted.
fn summary(done: &[Done], elapsed: Duration) -> Tally {
    let mut tally = Tally::default();
    done.iter().for_each(|step| tally.add(step.tally));
    if elapsed > WARN_AFTER {
        terminal::line(format_args!(
            "warning: {} minutes; it should stay below {}",
            elapsed.as_secs() / 60,
            WARN_AFTER.as_secs() / 60
        ));
    }
    terminal::line(format_args!("ci: green in {} s", elapsed.as_secs()));
    terminal::line(tally);
    tally
}

fn print_table(done: &[Done]) {
    terminal::line("\nstep                    seconds  counted");
    for Done { name, seconds, tally } in done {
        let counted = if tally.is_empty() { String::new() } else { tally.to_string() };
        terminal::line(format_args!("{name:<23} {seconds:>7}  {counted}"));
    }
}

fn format(workspace: &Workspace) -> Result<Tally, Failure> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Tally::default())
}

fn clippy(workspace: &Workspace, features: &str) -> Result<Tally, Failure> {
    let mut command = workspace.cargo();
    command.args(["clippy", "--quiet", "--workspace", "--all-targets", features]);
    command.args(["--", "--deny", "warnings"]);
    process::run(&mut command)?;
    Ok(Tally::default())
}

/// A feature that only builds because another crate of the workspace turns it on is found here.
fn each_crate_alone(workspace: &Workspace) -> Result<Tally, Failure> {
    for package in workspace.packages(None)? {
        if !package.folder.parent().is_some_and(|parent| parent.ends_with("crates")) {
            continue;
        }
        for features in ["--no-default-features", "--all-features"] {
            let mut command = workspace.cargo();
            command.args(["check", "--quiet", "--package", &package.name, features]);
            process::run(&mut command)?;
        }
    }
    Ok(Tally::default())
}

/// Compiles the fuzz targets with the ordinary toolchain. They stand outside of the workspace, so
/// nothing else here would notice that a change has left them behind.
fn fuzz_targets(workspace: &Workspace) -> Result<Tally, Failure> {
    let mut command = workspace.cargo();
    command.args(["check", "--quiet", "--locked", "--bins", "--manifest-path", "fuzz/Cargo.toml"]);
    command.args(["--target-dir", "target/fuzz-check"]);
    process::run(&mut command)?;
    Ok(Tally::default())
}

/// Runs the examples as a newcomer would, without a connection string: each must end with success.
fn examples(workspace: &Workspace) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    for (name, arguments) in EXAMPLES {
        let mut command = workspace.command(workspace.program(name)?);
        command.args(*arguments);
        command.env_remove("EVENTHUB_CONNECTION_STRING").env_remove("EVENTHUB_NAME");
        let (ending, output) = process::limited(&mut command, EXAMPLE_LIMIT)?;
        match ending {
            Ending::Exited(status) if status.success() => tally.passed += 1,
            Ending::Exited(status) => {
                terminal::line(output);
                return Err(Failure::new(format!("example {name} ended with {status}")));
            }
            Ending::TimedOut => {
                terminal::line(output);
                let limit = EXAMPLE_LIMIT.as_secs();
                return Err(Failure::new(format!("example {name} did not end within {limit} s")));
            }
        }
        terminal::line(format_args!("example {name}: ended with success"));
    }
    Ok(tally)
}
