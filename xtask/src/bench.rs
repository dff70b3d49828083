//! `cargo xtask bench`: cost per event of our client, or with `emulator` of the emulator. The work
//! is done by the package `eventhubs-bench`.

use crate::failure::Failure;
use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--profile", "bench", "--package", "eventhubs-bench"]);
    let (emulator, rest): (Vec<_>, Vec<_>) = arguments.iter().partition(|one| *one == "emulator");
    let program = if emulator.is_empty() { "report" } else { "emulator" };
    command.args(["--bin", program, "--"]).args(rest);
    process::run(&mut command)?;
    Ok(Tally::default())
}
