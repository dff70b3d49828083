//! `cargo xtask interop`: official clients, unmodified, against our emulator.
//!
//! Builds the emulator, makes a Python environment under `target` with exactly the packages of
//! `interop/requirements.txt`, and runs `interop/run.py`, which starts and ends the emulator.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{page, process, strangers, terminal};

const REQUIREMENTS: &str = "interop/requirements.txt";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let emulator =
        workspace.build(&["--package", "eventhubs-emulator", "--bin", "eventhubs-emulator"])?;
    let python = environment(workspace)?;
    let mut command = workspace.command(&python);
    command.arg("interop/run.py").args(arguments).arg("--emulator").arg(&emulator);
    let mut tally = Tally::default();
    let status = process::watch(&mut command, |line| {
        terminal::line(line);
        if let Some(found) = Tally::of_runner(line) {
            tally = found;
        }
    })?;
    if !status.success() || tally.failed > 0 {
        return Err(Failure::new(format!("interop/run.py ended with {status}; {tally}")));
    }
    if tally.passed == 0 {
        return Err(Failure::new("interop/run.py passed nothing: it ran no client"));
    }
    if !arguments.iter().any(|argument| argument == "--quick" || argument == "--only") {
        tally.add(page::run(workspace)?);
        let found = strangers::run(workspace)?;
        tally.add(found);
        terminal::line(format_args!("{tally}"));
        if found.failed > 0 {
            return Err(Failure::new(format!("our engine and its strangers: {found}")));
        }
    }
    Ok(tally)
}

/// The Python of an environment that holds the required packages. It is made again when the list
/// of packages changes.
fn environment(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.path("target/interop-venv");
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    let wanted = workspace.read(REQUIREMENTS)?;
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    make_environment(workspace, &folder)?;
    let mut install = workspace.command(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--requirement", REQUIREMENTS]);
    process::run(&mut install)?;
    std::fs::write(&stamp, wanted).map_err(|error| Failure::io(stamp.display(), &error))?;
    Ok(python)
}

fn make_environment(workspace: &Workspace, folder: &Path) -> Result<(), Failure> {
    let mut make = workspace.command("python3");
    make.args(["-m", "venv", "--clear"]).arg(folder);
    process::run(&mut make).map_err(|failure| {
        Failure::new(format!(
            "{failure}; interop needs Python 3.9 or later with venv \
             (Debian and Ubuntu: apt-get install python3 python3-venv)"
        ))
    })
}
