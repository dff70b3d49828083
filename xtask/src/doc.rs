//! `cargo xtask doc`: the documentation, where a warning is an error.
//!
//! Built twice: with private items, so that links inside the code stay right, and without, which
//! is what users see and what stays in `target/doc`.

use crate::failure::Failure;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{process, terminal};

pub(crate) fn run(workspace: &Workspace, _: &[String]) -> Result<Tally, Failure> {
    for private in [true, false] {
        let mut command = workspace.cargo();
        command.args(["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
        if private {
            command.arg("--document-private-items");
        }
        command.env("RUSTDOCFLAGS", "-D warnings");
        process::run(&mut command)?;
    }
    terminal::line("doc: no warnings");
    Ok(Tally::default())
}
