//! The runners, made ready to start: packages installed, binaries built.

use std::path::PathBuf;
use std::process::Command;

use super::matrix::{Client, Transport};
use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{packages, process};

/// What the first start of each runner needs; the later ones find it there.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    python: Option<PathBuf>,
    rust: Option<PathBuf>,
}

impl Programs {
    /// Makes ready what these pairs need.
    pub(crate) fn prepare(
        workspace: &Workspace,
        pairs: &[(Client, Transport)],
    ) -> Result<Self, Failure> {
        let has = |client: Client| pairs.iter().any(|(have, _)| *have == client);
        let mut programs = Self::default();
        if has(Client::Python) || has(Client::PythonAio) {
            let is_web = |(_, transport): &(Client, Transport)| {
                matches!(transport, Transport::WebSocket | Transport::WebSocketTls)
            };
            let (environment, list) = match pairs.iter().any(is_web) {
                true => ("interop-venv-websocket", "interop/python/requirements-websocket.txt"),
                false => ("interop-venv", "interop/python/requirements.txt"),
            };
            let python = packages::python(workspace, environment, list, "the Python client")?;
            programs.python = Some(python);
        }
        if has(Client::JavaScript) {
            packages::npm(workspace, "interop/javascript", "the JavaScript client")?;
        }
        if has(Client::Rust) {
            programs.rust = Some(build_rust(workspace)?);
        }
        Ok(programs)
    }

    /// The command of a client's runner, without its arguments.
    pub(crate) fn runner(&self, workspace: &Workspace, client: Client) -> Result<Command, Failure> {
        let missing = || Failure::new(format!("the runner of {client} was not made ready"));
        Ok(match client {
            Client::Python | Client::PythonAio => {
                let mut command = workspace.command(self.python.as_ref().ok_or_else(missing)?);
                command.arg("interop/python/run.py");
                command
            }
            // The runner ends at the end of its input. A script that keeps Node.js busy would not
            // notice that, so on Linux the system sees to it too.
            Client::JavaScript if cfg!(target_os = "linux") => {
                let mut command = workspace.command("setpriv");
                command.args(["--pdeathsig", "KILL", "node", "interop/javascript/run.js"]);
                command
            }
            Client::JavaScript => {
                let mut command = workspace.command("node");
                command.arg("interop/javascript/run.js");
                command
            }
            Client::Rust => workspace.command(self.rust.as_ref().ok_or_else(missing)?),
        })
    }
}

/// Builds the runner of the official Rust client, in a workspace and target folder of its own.
fn build_rust(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path", "interop/rust/Cargo.toml"]);
    build.args(["--target-dir", "target/interop-rust"]);
    process::run(&mut build)?;
    Ok(workspace.path("target/interop-rust/debug/eventhubs-interop-rust"))
}
