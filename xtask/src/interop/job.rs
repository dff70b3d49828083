//! One run of one client's runner: what it is told, and what its lines mean.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value, json};

use super::defects::Defects;
use super::emulator::{Emulator, Plan};
use super::matrix::{Client, Transport};
use super::options::Options;
use crate::failure::Failure;
use crate::tally::Tally;

/// Hubs for the cases of one runner: each case has one to itself.
const HUBS: u32 = 96;
const PARTITIONS: u32 = 4;
/// How long a client may be silent on the emulator that is strict about it, in milliseconds.
const SHORT_IDLE_TIME_OUT: u32 = 4_000;
/// The emulator's default key.
const KEY: (&str, &str) = ("RootManageSharedAccessKey", "SAS_KEY_VALUE");

/// What a runner is to do.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// All cases of the client, on emulators of its own.
    Cases,
    /// Write the events that others will read.
    Write(Rc<Cross>),
    /// Read what each client has written.
    Read(Rc<Cross>),
}

/// The emulator that events go through from one client to the others.
#[derive(Debug)]
pub(crate) struct Cross {
    emulator: Emulator,
    authority: PathBuf,
    events: Value,
    writers: Vec<Client>,
}

impl Cross {
    /// Starts the emulator with a hub for each writer on each transport.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        pairs: &[(Client, Transport)],
        events: Value,
    ) -> Result<Self, Failure> {
        let authority = folder.join("cross.pem");
        let hubs = pairs.iter().map(|(client, transport)| (hub(*client, *transport), PARTITIONS));
        let plan = Plan {
            transports: Transport::COMMON.to_vec(),
            hubs: hubs.collect(),
            latency: Client::Rust.latency(),
            authority: Some(authority.clone()),
            ..Plan::default()
        };
        let mut writers: Vec<Client> = pairs.iter().map(|(client, _)| *client).collect();
        writers.dedup();
        Ok(Self { emulator: Emulator::start(binary, &plan)?, authority, events, writers })
    }
}

/// The case in which a client reads what another has written.
pub(crate) fn reading(writer: Client) -> String {
    format!("reads_events_of_{writer}")
}

fn hub(client: Client, transport: Transport) -> String {
    format!("events-of-{client}-{transport}")
}

/// One run of one runner.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) client: Client,
    pub(crate) transport: Transport,
    pub(crate) task: Task,
}

/// What must live as long as the runner runs.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    emulators: Vec<Emulator>,
    pub(crate) authority: Option<PathBuf>,
}

impl Job {
    /// Stands before each line that is printed of it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.client, self.transport)
    }

    /// Starts the emulators it needs and says what the runner is told.
    pub(crate) fn assignment(
        &self,
        binary: &Path,
        folder: &Path,
        options: &Options,
        defects: &Defects,
    ) -> Result<(Value, Ground), Failure> {
        let mut told = json!({
            "client": self.client.to_string(),
            "transport": self.transport.to_string(),
            "key_name": KEY.0,
            "key": KEY.1,
            "quick": options.quick,
            "only": options.only,
            "defects": defects.of(self.client, self.transport),
        });
        let ground = match &self.task {
            Task::Cases => {
                told["mode"] = "cases".into();
                self.own_ground(binary, folder, &mut told)?
            }
            Task::Write(cross) => {
                told["mode"] = "write".into();
                told["only"] = Value::Null;
                let hub = hub(self.client, self.transport);
                told["cross"] = json!({ "hub": hub, "events": cross.events });
                self.shared_ground(cross, &mut told)?
            }
            Task::Read(cross) => {
                told["mode"] = "read".into();
                let hubs: Value = cross
                    .writers
                    .iter()
                    .map(|writer| (writer.to_string(), hub(*writer, self.transport)))
                    .collect();
                told["cross"] = json!({ "hubs": hubs, "events": cross.events });
                self.shared_ground(cross, &mut told)?
            }
        };
        told["ca"] = json!(ground.authority);
        Ok((told, ground))
    }

    /// Two emulators of its own: one as it comes, and one that soon misses a silent client.
    fn own_ground(
        &self,
        binary: &Path,
        folder: &Path,
        told: &mut Value,
    ) -> Result<Ground, Failure> {
        let is_tls = matches!(self.transport, Transport::Tls | Transport::WebSocketTls);
        let mut ground = Ground::default();
        let mut authorities = Vec::new();
        for (name, idle_time_out) in [("emulator", None), ("idle", Some(SHORT_IDLE_TIME_OUT))] {
            let file = folder.join(format!("{}-{}-{name}.pem", self.client, self.transport));
            let plan = Plan {
                transports: vec![self.transport],
                hubs: (0..HUBS).map(|number| (format!("hub{number}"), PARTITIONS)).collect(),
                latency: self.client.latency(),
                idle_time_out,
                authority: is_tls.then(|| file.clone()),
            };
            let emulator = Emulator::start(binary, &plan)?;
            told[name] = endpoint(&emulator, self.transport)?;
            ground.emulators.push(emulator);
            authorities.push(file);
        }
        if is_tls {
            let both = folder.join(format!("{}-{}.pem", self.client, self.transport));
            join_files(&authorities, &both)?;
            ground.authority = Some(both);
        }
        Ok(ground)
    }

    fn shared_ground(&self, cross: &Cross, told: &mut Value) -> Result<Ground, Failure> {
        told["emulator"] = endpoint(&cross.emulator, self.transport)?;
        Ok(Ground { emulators: Vec::new(), authority: Some(cross.authority.clone()) })
    }
}

fn endpoint(emulator: &Emulator, transport: Transport) -> Result<Value, Failure> {
    Ok(json!({
        "address": emulator.address(transport.listener())?,
        "control": emulator.address("control")?,
    }))
}

/// Each emulator has an authority of its own; a client trusts one file.
fn join_files(files: &[PathBuf], into: &Path) -> Result<(), Failure> {
    let mut all = String::new();
    for file in files {
        let text = std::fs::read_to_string(file);
        all.push_str(&text.map_err(|error| Failure::io(file.display(), &error))?);
    }
    std::fs::write(into, all).map_err(|error| Failure::io(into.display(), &error))
}

/// What one line of a runner says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Passed(&'a str),
    Failed(&'a str),
    Defect(&'a str),
    /// Its last line: what it counted.
    Counted(Tally),
    Other(&'a str),
}

impl<'a> Said<'a> {
    pub(crate) fn read(line: &'a str) -> Self {
        if let Some(text) = line.strip_prefix("ok ") {
            Self::Passed(text)
        } else if let Some(text) = line.strip_prefix("FAIL ") {
            Self::Failed(text)
        } else if let Some(text) = line.strip_prefix("defect ") {
            Self::Defect(text)
        } else if let Some(tally) = Tally::of_runner(line) {
            Self::Counted(tally)
        } else {
            Self::Other(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(Said::read("ok a (1 s)"), Said::Passed("a (1 s)"));
        assert_eq!(Said::read("FAIL a: b"), Said::Failed("a: b"));
        assert_eq!(Said::read("defect a: not met"), Said::Defect("a: not met"));
        assert_eq!(Said::read("2 passed, 1 failed"), Said::Counted(Tally { passed: 2, failed: 1 }));
        assert_eq!(Said::read("okay"), Said::Other("okay"));
    }
}
