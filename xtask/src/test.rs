//! `cargo xtask test`: every test of the workspace.
//!
//! First everything with default features, then each crate that has features once more with all
//! of them. Further arguments go to `cargo test` as they are.

use std::process::Command;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    let mut everything = workspace.cargo();
    everything.args(["test", "--workspace", "--no-fail-fast"]);
    let mut runs = vec![everything];
    for package in workspace.packages(None)? {
        if package.has_features() {
            let mut all = workspace.cargo();
            all.args(["test", "--package", &package.name, "--all-features", "--no-fail-fast"]);
            runs.push(all);
        }
    }
    for mut command in runs {
        command.args(arguments);
        if !count(&mut command, &mut tally)? {
            broken.push(process::shown(&command));
        }
    }
    terminal::line(tally);
    if let Some(first) = broken.first() {
        return Err(Failure::new(format!("`{first}` failed")));
    }
    Ok(tally)
}

/// Runs one `cargo test` with its lines shown, adds up its results, and says whether it passed.
fn count(command: &mut Command, tally: &mut Tally) -> Result<bool, Failure> {
    terminal::line(format_args!("$ {}", process::shown(command)));
    let status = process::watch(command, |line| {
        if let Some(found) = Tally::of_harness(line) {
            tally.add(found);
        }
        terminal::line(line);
    })?;
    Ok(status.success())
}
