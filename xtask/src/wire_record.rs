//! The part of `cargo xtask interop` about what our client sends beside what the official ones send.
//!
//! Makes the clients ready as the rest of a full run does, and lets `interop/wire/run.py` have each
//! perform every operation against an emulator that records what arrives.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{packages, process};

const RUNNER: &str = "interop/wire/run.py";
const JAVASCRIPT: &str = "interop/javascript";
/// The environment of a full run, so that there is not a second one.
const PYTHON: (&str, &str) =
    ("interop-venv-websocket", "interop/python/requirements-websocket.txt");

pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let emulator = workspace.program("eventhubs-emulator")?;
    let ours = workspace.program("operations")?;
    let python = packages::python(workspace, PYTHON.0, PYTHON.1, "the Python client")?;
    packages::npm(workspace, JAVASCRIPT, "the JavaScript client")?;
    let rust = build_rust(workspace)?;
    let mut command = workspace.command("python3");
    command.arg(RUNNER).arg("--emulator").arg(&emulator).arg("--ours").arg(&ours);
    command.arg("--python").arg(&python).arg("--rust").arg(&rust);
    command.args(["--javascript", &format!("{JAVASCRIPT}/operations.mjs")]);
    Tally::of_run(&mut command, RUNNER)
}

/// The program beside the runner of the official Rust client.
fn build_rust(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path", "interop/rust/Cargo.toml"]);
    build.args(["--bin", "operations", "--target-dir", "target/interop-rust"]);
    process::run(&mut build)?;
    Ok(workspace.path("target/interop-rust/debug/operations"))
}
