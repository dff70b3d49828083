//! The raw peer as a child process, which ends with this one.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::Failure;

/// A running raw peer.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    /// Starts the peer and reads where it listens.
    pub(crate) fn start(program: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let peer = Self {
            child,
            address: line.trim().strip_prefix("ready ").unwrap_or_default().to_owned(),
        };
        if peer.address.is_empty() {
            return Err(format!("raw-peer said {line:?} and not `ready HOST:PORT`").into());
        }
        Ok(peer)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input would end it too; not waiting for that keeps this short.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
