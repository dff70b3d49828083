//! `cargo xtask fuzz --seconds N`: every fuzz target for N seconds.
//!
//! The targets are ordinary binaries of the workspace in `fuzz/`, built by nightly with the
//! coverage instrumentation libFuzzer reads. `cargo-fuzz` is not needed. New inputs are kept in
//! `fuzz/corpus/<target>`, findings in `fuzz/artifacts/<target>`; both stay out of git. Inputs
//! worth keeping are committed under `fuzz/seeds/<target>`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

const MANIFEST: &str = "fuzz/Cargo.toml";
const TOOLCHAIN: &str = "nightly";
/// A target may not hold more than this: a decoder that does is a finding.
const MEMORY_LIMIT_MB: u32 = 512;
/// Longest input tried, in bytes. Short ones find more per second; what only long ones do (deep
/// nesting, large counts) has tests of its own.
const LONGEST_INPUT: u32 = 16 * 1024;
/// One input may not take longer than this: slower is a finding.
const SECONDS_PER_INPUT: u32 = 10;

/// What libFuzzer reads: counters of edges, their table, and the operands of comparisons. Branches
/// are not folded, so that each is an edge. No address sanitizer: our code has no `unsafe`.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
     -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
     -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    let seconds = parse_seconds(arguments)?;
    let host = nightly_host(workspace)?;
    let targets: Vec<String> =
        workspace.packages(Some(MANIFEST))?.into_iter().flat_map(|p| p.binaries).collect();
    build(workspace, &host)?;
    let mut tally = Tally::default();
    for target in &targets {
        if fuzz_one(workspace, &host, target, seconds)? {
            tally.passed += 1;
            terminal::line(format_args!("fuzz {target}: no finding in {seconds} s"));
        } else {
            tally.failed += 1;
            terminal::line(format_args!(
                "fuzz {target}: FINDING, the input is in fuzz/artifacts/{target}"
            ));
        }
    }
    terminal::line(format_args!("{} targets, {} findings", targets.len(), tally.failed));
    match (targets.is_empty(), tally.failed) {
        (true, _) => Err(Failure::new("fuzz/Cargo.toml has no targets")),
        (false, 0) => Ok(tally),
        (false, findings) => Err(Failure::new(format!("{findings} targets have findings"))),
    }
}

fn parse_seconds(arguments: &[String]) -> Result<u32, Failure> {
    match arguments {
        [flag, number] if flag == "--seconds" => number
            .parse()
            .ok()
            .filter(|&seconds| seconds > 0)
            .ok_or_else(|| Failure::new(format!("--seconds: '{number}' is no positive number"))),
        _ => Err(Failure::new("usage: cargo xtask fuzz --seconds N")),
    }
}

/// The host triple of the nightly compiler. With a target named, cargo keeps the instrumentation
/// away from build scripts and procedural macros.
fn nightly_host(workspace: &Workspace) -> Result<String, Failure> {
    let mut command = workspace.command("rustup");
    command.args(["run", TOOLCHAIN, "rustc", "-vV"]);
    let version = process::capture(&mut command).map_err(|_| {
        Failure::new("fuzzing needs a nightly compiler: rustup toolchain install nightly")
    })?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("rustc -vV names no host"))
}

fn build(workspace: &Workspace, host: &str) -> Result<(), Failure> {
    let mut command = workspace.command("rustup");
    command.args(["run", TOOLCHAIN, "cargo", "build", "--release", "--manifest-path", MANIFEST]);
    command.args(["--target", host, "--target-dir", "target/fuzz"]).env("RUSTFLAGS", FLAGS);
    process::run(&mut command)
}

/// Runs one target and says whether it ended without a finding.
fn fuzz_one(
    workspace: &Workspace,
    host: &str,
    target: &str,
    seconds: u32,
) -> Result<bool, Failure> {
    let corpus = folder(workspace, &format!("fuzz/corpus/{target}"))?;
    let artifacts = folder(workspace, &format!("fuzz/artifacts/{target}"))?;
    let seeds = workspace.path(&format!("fuzz/seeds/{target}"));
    let binary = workspace.path(&format!("target/fuzz/{host}/release/{target}"));
    let mut command = Command::new(binary);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-rss_limit_mb={MEMORY_LIMIT_MB}"));
    command.arg(format!("-max_len={LONGEST_INPUT}"));
    command.arg(format!("-timeout={SECONDS_PER_INPUT}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-print_final_stats=1", "-verbosity=0"]).arg(corpus);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let status = command.status().map_err(|error| Failure::io(process::shown(&command), &error))?;
    Ok(status.success())
}

fn folder(workspace: &Workspace, relative: &str) -> Result<PathBuf, Failure> {
    let path = workspace.path(relative);
    fs::create_dir_all(&path).map_err(|error| Failure::io(relative, &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(arguments: &[&str]) -> Option<u32> {
        let owned: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        parse_seconds(&owned).ok()
    }

    #[test]
    fn seconds_are_a_positive_number() {
        assert_eq!(seconds(&["--seconds", "60"]), Some(60));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["60"], &["--seconds", "x"], &[]] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
    }
}
