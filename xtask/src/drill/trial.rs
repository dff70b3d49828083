//! Building a package's tests in the worktree and running one of them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::drill::recipe::Recipe;
use crate::drill::worktree::Worktree;
use crate::failure::Failure;
use crate::process::{self, Ending};
use crate::workspace::Workspace;

/// A test that runs longer than this hangs: the bug is noticed.
const LIMIT: Duration = Duration::from_secs(120);

/// What the named test did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// Still running at the limit.
    Hung,
    /// The tests did not compile.
    DoesNotBuild,
    /// No test matched the name.
    NothingRan,
}

/// A test binary and the folder cargo would run it in.
#[derive(Debug, PartialEq, Eq)]
struct Binary {
    executable: PathBuf,
    folder: PathBuf,
}

/// Builds and runs the test of `recipe` on the worktree as it is now.
pub(crate) fn attempt(
    workspace: &Workspace,
    worktree: &Worktree,
    recipe: &Recipe,
) -> Result<Verdict, Failure> {
    let Some(binaries) = build(workspace, worktree, recipe)? else {
        return Ok(Verdict::DoesNotBuild);
    };
    let mut ran = 0;
    for binary in binaries {
        let mut command = Command::new(&binary.executable);
        command.arg(&recipe.test).current_dir(&binary.folder);
        command.env("CARGO_MANIFEST_DIR", &binary.folder);
        let (ending, output) = process::limited(&mut command, LIMIT)?;
        ran += tests_started(&output);
        match ending {
            Ending::TimedOut => return Ok(Verdict::Hung),
            Ending::Exited(status) if !status.success() => return Ok(Verdict::Failed),
            Ending::Exited(_) => {}
        }
    }
    Ok(if ran == 0 { Verdict::NothingRan } else { Verdict::Passed })
}

/// Builds the tests; `None` when they do not compile.
fn build(
    workspace: &Workspace,
    worktree: &Worktree,
    recipe: &Recipe,
) -> Result<Option<Vec<Binary>>, Failure> {
    let mut command = workspace.cargo();
    command.current_dir(worktree.root());
    command.env("CARGO_TARGET_DIR", workspace.path("target/drill-target"));
    // A planted bug may leave something unused; that is not what should stop it. Without debug
    // information the many builds are faster.
    command.env("RUSTFLAGS", "--cap-lints=allow").env("CARGO_PROFILE_DEV_DEBUG", "none");
    command.args(["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
    command.args(["--package", &recipe.package]);
    match recipe.target.as_deref() {
        None => {}
        Some("lib") => {
            command.arg("--lib");
        }
        Some(name) => {
            command.args(["--test", name]);
        }
    }
    if let Some(features) = &recipe.features {
        command.args(["--features", features]);
    }
    let mut binaries = Vec::new();
    let status = process::watch(&mut command, |line| binaries.extend(test_binary(line)))?;
    Ok(status.success().then_some(binaries))
}

/// Reads one line of cargo's messages.
fn test_binary(line: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_test = message["profile"]["test"] == true;
    let executable = message["executable"].as_str().filter(|_| is_test)?;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Binary { executable: executable.into(), folder: manifest.parent()?.to_path_buf() })
}

/// How many tests the harness says it started.
fn tests_started(output: &str) -> u64 {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("running ")?.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_binaries_are_run() {
        let line = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/a/b/Cargo.toml",
                    "profile":{{"test":{test}}},"executable":"/t/x-1"}}"#
            )
        };
        let expected = Binary { executable: "/t/x-1".into(), folder: "/a/b".into() };
        assert_eq!(test_binary(&line(true)), Some(expected));
        assert_eq!(test_binary(&line(false)), None);
        assert_eq!(test_binary(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(test_binary("no message"), None);
    }

    #[test]
    fn started_tests_are_counted() {
        assert_eq!(tests_started("\nrunning 2 tests\ntest a ... ok\n\nrunning 1 test\n"), 3);
        assert_eq!(tests_started("running 0 tests\n"), 0);
    }
}
