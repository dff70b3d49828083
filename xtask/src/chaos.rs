//! `cargo xtask chaos`: producers and consumers, or hosts in processes, under faults, judged by the
//! accounting oracle. The work is done by the package `eventhubs-chaos`; arguments go to its program.

use std::process::Command;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

/// What `ci` runs: one after the other, so that each has the machine for itself. They come over TCP,
/// over TLS and in memory.
const SEEDS: [&str; 3] = ["1", "2", "3"];
const SECONDS: &str = "20";
/// And one of hosts in processes of their own. It takes as long again, and a lease and some scans more,
/// until it has seen that all is quiet.
const HOSTS: [&str; 6] = ["--profile", "eph", "--seconds", "30", "--seed", "4"];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    process::run(program(workspace).args(arguments))?;
    Ok(Tally::default())
}

/// The runs of `ci`, with the program as the tests were built: nothing more to compile, and
/// overflow and debug assertions are found too. The load is paced, so a slow build carries it.
pub(crate) fn seeds(workspace: &Workspace) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let chaos = workspace.program("chaos")?;
    for seed in SEEDS {
        terminal::line(format_args!("chaos: seed {seed} of {}", SEEDS.join(", ")));
        process::run(workspace.command(&chaos).args(["--seconds", SECONDS, "--seed", seed]))?;
        tally.passed += 1;
    }
    terminal::line("chaos: hosts");
    process::run(workspace.command(&chaos).args(HOSTS))?;
    tally.passed += 1;
    Ok(tally)
}

/// By hand and for the soak it is built for speed.
fn program(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--release", "--package", "eventhubs-chaos"]);
    command.args(["--bin", "chaos", "--"]);
    command
}
