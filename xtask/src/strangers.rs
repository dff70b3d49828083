//! The part of `cargo xtask interop` about our engine and other implementations of AMQP 1.0.
//!
//! Builds the binary `peer` of `interop/ours`, installs rhea as the lock file of `interop/strangers`
//! says, and runs `interop/strangers/run.py`. qpid-proton comes from the system's packages.

use crate::failure::Failure;
use crate::packages;
use crate::tally::Tally;
use crate::workspace::Workspace;

const FOLDER: &str = "interop/strangers";

pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let peer = workspace.program("peer")?;
    packages::npm(workspace, FOLDER, "rhea")?;
    let mut command = workspace.command("python3");
    command.arg(format!("{FOLDER}/run.py")).arg("--peer").arg(&peer);
    Tally::of_run(&mut command, &format!("{FOLDER}/run.py"))
}
