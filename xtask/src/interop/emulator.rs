//! The emulator as a child process that ends with this one.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::matrix::Transport;
use crate::failure::Failure;

/// How an emulator is to be started.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) transports: Vec<Transport>,
    /// Hubs with their partitions.
    pub(crate) hubs: Vec<(String, u32)>,
    /// Delay of everything it writes, in milliseconds.
    pub(crate) latency: u32,
    /// How long a client may be silent, in milliseconds, if not as long as usual.
    pub(crate) idle_time_out: Option<u32>,
    /// Where it writes the authority that clients are to trust, if it has listeners with TLS.
    pub(crate) authority: Option<PathBuf>,
}

/// A running emulator. It ends when this is dropped, and with this process however that ends.
#[derive(Debug)]
pub(crate) struct Emulator {
    child: Child,
    /// Ports by the names of listeners.
    ports: HashMap<String, u16>,
}

impl Emulator {
    pub(crate) fn start(binary: &Path, plan: &Plan) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        for transport in &plan.transports {
            command.args([format!("--{}", transport.listener()), "localhost:0".to_owned()]);
        }
        for (name, partitions) in &plan.hubs {
            command.args(["--hub".to_owned(), format!("{name}:{partitions}")]);
        }
        command.args(["--control", "localhost:0", "--latency", &plan.latency.to_string()]);
        if let Some(milliseconds) = plan.idle_time_out {
            command.args(["--idle-time-out", &milliseconds.to_string()]);
        }
        if let Some(file) = &plan.authority {
            command.arg("--ca-out").arg(file);
        }
        let failed = |error| Failure::io(binary.display(), &error);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let (mut ready, mut connection_string) = (String::new(), String::new());
        if let Some(stdout) = child.stdout.as_mut() {
            // The stream stays open: what is printed later must find its other end.
            let mut lines = BufReader::new(stdout);
            lines.read_line(&mut ready).map_err(failed)?;
            lines.read_line(&mut connection_string).map_err(failed)?;
        }
        let ports = ports(&ready).ok_or_else(|| {
            Failure::new(format!("the emulator said {ready:?} and not which listeners it has"))
        })?;
        Ok(Self { child, ports })
    }

    /// Host and port of a listener. The name is one the emulator's certificate carries.
    pub(crate) fn address(&self, listener: impl fmt::Display) -> Result<String, Failure> {
        let name = listener.to_string();
        match self.ports.get(&name) {
            Some(port) => Ok(format!("localhost:{port}")),
            None => Err(Failure::new(format!("the emulator has no listener '{name}'"))),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It ends at the end of its input; the wait is for a process that does so at once.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The ports in `ready amqp=127.0.0.1:5672 amqp=[::1]:5672 ...`; both families have the same.
fn ports(line: &str) -> Option<HashMap<String, u16>> {
    let listeners = line.trim().strip_prefix("ready ")?;
    let mut ports = HashMap::new();
    for listener in listeners.split(' ') {
        let (name, address) = listener.split_once('=')?;
        ports.insert(name.to_owned(), address.rsplit_once(':')?.1.parse().ok()?);
    }
    Some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_read() {
        let line = "ready amqp=127.0.0.1:5 amqp=[::1]:5 wss=127.0.0.1:7 control=127.0.0.1:9\n";
        let found = ports(line).expect("a ready line");
        assert_eq!(found.len(), 3);
        assert_eq!((found["amqp"], found["wss"], found["control"]), (5, 7, 9));
        for line in ["", "ready", "error", "ready amqp", "ready amqp=x"] {
            assert_eq!(ports(line), None, "{line}");
        }
    }
}
