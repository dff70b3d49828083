//! `cargo xtask bench`: cost per event. The work is done by the package `eventhubs-bench`.

use crate::failure::Failure;
use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--profile", "bench", "--package", "eventhubs-bench"]);
    command.args(["--bin", "report", "--"]).args(arguments);
    process::run(&mut command)?;
    Ok(Tally::default())
}
