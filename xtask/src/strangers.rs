//! The part of `cargo xtask interop` about our engine and other implementations of AMQP 1.0.
//!
//! Builds the binary `peer` of `interop/ours`, installs rhea as the lock file of `interop/strangers`
//! says, and runs `interop/strangers/run.py`. qpid-proton comes from the system's packages.

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

const FOLDER: &str = "interop/strangers";
const LOCK: &str = "interop/strangers/package-lock.json";

pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let peer = workspace.build(&["--package", "eventhubs-interop", "--bin", "peer"])?;
    install(workspace)?;
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

/// Installs the packages of the lock file, again when it changes.
fn install(workspace: &Workspace) -> Result<(), Failure> {
    let stamp = workspace.path(&format!("{FOLDER}/node_modules/.lock-as-installed"));
    let wanted = workspace.read(LOCK)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let mut install = workspace.command("npm");
    install.args(["ci", "--silent", "--no-audit", "--no-fund", "--prefix", FOLDER]);
    process::run(&mut install).map_err(|failure| {
        Failure::new(format!("{failure}; the strangers need Node.js 20.15 or later with npm"))
    })?;
    std::fs::write(&stamp, wanted).map_err(|error| Failure::io(stamp.display(), &error))
}
