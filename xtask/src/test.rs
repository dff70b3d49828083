//! `cargo xtask test`: every test of the workspace.
//!
//! First everything with default features, then the crates whose further features change what they
//! do once more with all of them, in one build. Further arguments go to `cargo test` as they are.

use std::process::Command;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::{Package, Workspace};
use crate::{process, terminal};

/// Features beyond the defaults that give the crate's own tests nothing else to see, and why. A
/// crate with any other is tested with all of its features as well.
const NOTHING_ELSE_TO_SEE: &[(&str, &str)] = &[
    // Names the second provider; with both, the default one is used. `each crate alone` builds it.
    ("eventhubs-amqp", "tls-ring"),
    // A log line per frame, which a test of the client reads.
    ("eventhubs-amqp", "wire-trace"),
    // Makes functions public for the fuzz targets, which are compiled and run by themselves.
    ("eventhubs-emulator", "fuzzing"),
];

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    let mut everything = workspace.cargo();
    everything.args(["test", "--workspace", "--no-fail-fast"]);
    let mut runs = vec![everything];
    let packages = workspace.packages(None)?;
    let again: Vec<_> = packages.iter().filter(|package| changes_with_features(package)).collect();
    if !again.is_empty() {
        let mut all = workspace.cargo();
        all.args(["test", "--all-features", "--no-fail-fast"]);
        again.iter().for_each(|package| {
            all.args(["--package", &package.name]);
        });
        runs.push(all);
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

/// Whether all features are more than the default ones, for the crate's own tests.
fn changes_with_features(package: &Package) -> bool {
    let defaults = package.default_features();
    package.features.keys().map(String::as_str).any(|feature| {
        !defaults.contains(feature)
            && !NOTHING_ELSE_TO_SEE.contains(&(package.name.as_str(), feature))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_tested_again_where_further_features_change_them() {
        let workspace = Workspace::find().expect("the tests run in the workspace");
        let packages = workspace.packages(None).expect("cargo metadata works");
        let is_again = |name: &str| {
            let package = packages.iter().find(|package| package.name == name);
            changes_with_features(package.expect("a member"))
        };
        for name in ["eventhubs-auth", "eventhubs-client", "eventhubs-eph"] {
            assert!(is_again(name), "{name}");
        }
        for name in ["eventhubs-amqp", "eventhubs-protocol", "eventhubs-emulator", "xtask"] {
            assert!(!is_again(name), "{name}");
        }
        for (name, feature) in NOTHING_ELSE_TO_SEE {
            let is_there = |package: &&Package| {
                package.name == *name && package.features.contains_key(*feature)
            };
            assert!(packages.iter().any(|package| is_there(&package)), "{name} has {feature}");
        }
    }
}
