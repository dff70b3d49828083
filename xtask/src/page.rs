//! The emulator's live view in a real browser, a part of `cargo xtask interop` and of `ci`.
//!
//! Builds and runs the binary `page` of `interop/ours`, which needs Chromium on the path and says so
//! when there is none.

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

pub(crate) fn run(workspace: &Workspace) -> Result<Tally, Failure> {
    let page = workspace.program("page")?;
    let mut command = workspace.command(&page);
    let mut tally = Tally::default();
    let status = process::watch(&mut command, |line| match Tally::of_runner(line) {
        Some(found) => tally = found,
        None => terminal::line(line),
    })?;
    match status.success() && tally.passed > 0 {
        true => Ok(tally),
        false => Err(Failure::new(format!("the live view: {tally}, {status}"))),
    }
}
