//! Every workload runs to its end against the raw peer, in small.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use eventhubs_bench::Workload;

/// The raw peer; ends when its standard input does, at the latest with this process.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_raw-peer"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("ready ").ok_or("not ready")?.to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn measure(layer: &[&str]) -> Result<(), Box<dyn Error>> {
    let peer = Peer::start()?;
    for workload in Workload::ALL {
        let output = Command::new(env!("CARGO_BIN_EXE_measure"))
            .args([workload.name(), "3000", "--allocations", "--peer", &peer.address])
            .args(layer)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{workload}: {complaint}");
        let events = said.strip_prefix("events=").and_then(|rest| rest.split(' ').next());
        let events: u64 = events.ok_or_else(|| format!("{workload}: {said}"))?.parse()?;
        assert!((3_000..20_000).contains(&events), "{workload}: {said}");
    }
    Ok(())
}

#[test]
fn every_workload_runs_through_the_client() -> Result<(), Box<dyn Error>> {
    measure(&[])
}

#[test]
fn every_workload_runs_on_the_engine() -> Result<(), Box<dyn Error>> {
    measure(&["--engine"])
}
