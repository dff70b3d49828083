//! The part of `cargo xtask interop` about our engine and other implementations of AMQP 1.0.
//!
//! Builds the binary `peer` of `interop/ours`, installs rhea as the lock file of `interop/strangers`
//! says, and runs `interop/strangers/run.py`. qpid-proton comes from the system's packages.

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{packages, process, terminal};

const FOLDER: &str = "interop/strangers";

pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let peer = workspace.build(&["--package", "eventhubs-interop", "--bin", "peer"])?;
    packages::npm(workspace, FOLDER, "rhea")?;
    let mut command = workspace.command("python3");
    command.arg(format!("{FOLDER}/run.py")).arg("--peer").arg(&peer);
    let mut tally = Tally::default();
    let status = process::watch(&mut command, |line| match Tally::of_runner(line) {
        Some(found) => tally = found,
        None => terminal::line(line),
    })?;
    match tally.passed {
        // It says itself what is missing, and counts that as a failure.
        0 => Err(Failure::new(format!("{FOLDER}/run.py ended with {status} and ran nothing"))),
        _ => Ok(tally),
    }
}
