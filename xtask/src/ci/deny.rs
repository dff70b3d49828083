//! Licences, banned crates and sources, checked by cargo-deny.
//!
//! A cargo-deny on the path is used as it is. Otherwise this version is built into
//! `target/tools`, once; unoptimised that takes about 80 seconds of CPU. Advisories are not checked here,
//! because that needs the advisory database from the network: see CONTRIBUTING.md.

use std::path::PathBuf;
use std::process::Stdio;

use crate::failure::Failure;
use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

pub(super) fn check(workspace: &Workspace) -> Result<Tally, Failure> {
    // Offline, cargo-deny needs the crates of every platform to be there.
    process::run(workspace.cargo().args(["fetch", "--quiet", "--locked"]))?;
    let mut command = workspace.command(tool(workspace)?);
    command.args(["--offline", "check", "bans", "licenses", "sources"]);
    process::run(&mut command)?;
    Ok(Tally::default())
}

fn tool(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let installed = workspace.path("target/tools/bin/cargo-deny");
    for candidate in [PathBuf::from("cargo-deny"), installed.clone()] {
        let mut probe = workspace.command(&candidate);
        probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if probe.status().is_ok_and(|status| status.success()) {
            return Ok(candidate);
        }
    }
    let mut install = workspace.cargo();
    install.args(["install", "cargo-deny", "--quiet", "--locked", "--version", VERSION]);
    // It runs for two seconds; building it optimised takes minutes.
    install.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "none");
    install.args(["--root", "target/tools", "--target-dir", "target/tools/build"]);
    process::run(&mut install)?;
    Ok(installed)
}
