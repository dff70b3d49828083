//! `cargo xtask sim`: hosts share partitions on a simulated store in virtual time. The work is done
//! by the package `eventhubs-sim`; arguments go to its program.

use std::process::Command;

use crate::failure::Failure;
use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// What `ci` runs.
const SEEDS: &str = "2000";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    process::run(program(workspace).args(arguments))?;
    Ok(Tally::default())
}

/// The seeds of `ci`.
pub(crate) fn seeds(workspace: &Workspace) -> Result<Tally, Failure> {
    run(workspace, &["--seeds".to_owned(), SEEDS.to_owned()])
}

fn program(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--release", "--package", "eventhubs-sim"]);
    command.args(["--bin", "sim", "--"]);
    command
}
