//! Licences, banned crates and sources, checked by cargo-deny.
//!
//! A cargo-deny on the path is used as it is. Otherwise this version is built into
//! `target/tools`, once; unoptimised that takes about 80 seconds of CPU, which a step before it that
//! mostly waits has to spare. Advisories are not checked here, because that needs the advisory
//! database from the network: see CONTRIBUTING.md.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

const VERSION: &str = "0.20.2";
const INSTALLED: &str = "target/tools/bin/cargo-deny";

/// What the build says, shown when it fails.
const LOG: &str = "target/tools/install.log";

/// cargo-deny while it is built beside other steps. Given up when dropped.
#[derive(Debug)]
pub(super) struct Building(Child);

impl Building {
    /// Waits for the end.
    pub(super) fn finish(mut self, workspace: &Workspace) -> Result<(), Failure> {
        let status = self.0.wait().map_err(|error| Failure::io("cargo install", &error))?;
        match status.success() {
            true => Ok(()),
            false => {
                terminal::line(workspace.read(LOG)?);
                Err(Failure::new(format!("cargo-deny was not built: {status}")))
            }
        }
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Begins to build cargo-deny if there is none, behind everything else that runs.
pub(super) fn begin(workspace: &Workspace) -> Result<Option<Building>, Failure> {
    if tool(workspace).is_some() {
        return Ok(None);
    }
    fs::create_dir_all(workspace.path("target/tools")).map_err(|error| Failure::io(LOG, &error))?;
    let log = File::create(workspace.path(LOG)).map_err(|error| Failure::io(LOG, &error))?;
    let mut command = process::behind(&install(workspace));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // Where there is no `nice`, it is built when it is needed.
    Ok(command.spawn().ok().map(Building))
}

pub(super) fn check(workspace: &Workspace) -> Result<Tally, Failure> {
    // Offline, cargo-deny needs the crates of every platform to be there.
    process::run(workspace.cargo().args(["fetch", "--quiet", "--locked"]))?;
    let tool = match tool(workspace) {
        Some(tool) => tool,
        None => {
            process::run(&mut install(workspace))?;
            workspace.path(INSTALLED)
        }
    };
    let mut command = workspace.command(tool);
    command.args(["--offline", "check", "bans", "licenses", "sources"]);
    process::run(&mut command)?;
    Ok(Tally::default())
}

/// The cargo-deny that is there.
fn tool(workspace: &Workspace) -> Option<PathBuf> {
    [PathBuf::from("cargo-deny"), workspace.path(INSTALLED)].into_iter().find(|candidate| {
        let mut probe = workspace.command(candidate);
        probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })
}

fn install(workspace: &Workspace) -> Command {
    let mut install = workspace.cargo();
    install.args(["install", "cargo-deny", "--quiet", "--locked", "--version", VERSION]);
    // It runs for two seconds; building it optimised takes minutes.
    install.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "none");
    install.args(["--root", "target/tools", "--target-dir", "target/tools/build"]);
    install
}
