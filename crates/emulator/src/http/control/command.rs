//! What the control API is asked to do, read from a request. Knows nothing of the emulator.

use std::time::Duration;

use bytes::Bytes;
use hyper::header;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::Request;
use super::super::problem::Problem;
use super::super::target::Target;
use crate::config::DEFAULT_PARTITIONS;
use crate::config::hub_config::{HubConfig, HubStatus, HubUpdate};
use crate::fault::{Fault, FaultId};

/// The longest that a request may wait for a fault to strike.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long it waits when it does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// Events of a partition that are told when the request does not say.
const EVENTS_DEFAULT: usize = 100;
/// The most events that are told at once.
pub(super) const EVENTS_MAX: usize = 1000;

/// What is there, for those who ask for something else.
const ROUTES: &str = "GET /health, GET /state, GET or POST /clock, GET, POST or DELETE /faults, \
    GET or DELETE /faults/{id}, GET or POST /hubs, GET, PATCH or DELETE /hubs/{hub}, PUT or DELETE \
    /hubs/{hub}/consumer-groups/{group}, POST /hubs/{hub}/partitions/{id}/trim, GET or POST \
    /hubs/{hub}/partitions/{id}/events, GET, POST or DELETE /wire";

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Health,
    State,
    Clock,
    AdvanceClock(Duration),
    Faults,
    Inject(Box<Fault>),
    LiftAll,
    Fault(FaultId),
    /// Waits until the fault has struck that often.
    Await {
        id: FaultId,
        hits: u64,
        wait: Duration,
    },
    Lift(FaultId),
    Hubs,
    CreateHub(HubConfig),
    Hub(String),
    UpdateHub(String, HubUpdate),
    DeleteHub(String),
    CreateGroup(String, String),
    DeleteGroup(String, String),
    Trim {
        hub: String,
        partition: u32,
        before: i64,
    },
    Append {
        hub: String,
        partition: u32,
        message: Bytes,
    },
    Events {
        hub: String,
        partition: u32,
        from: i64,
        count: usize,
    },
    Wire {
        connection: Option<u64>,
    },
    Record(bool),
    ClearWire,
}

impl Command {
    /// Reads a request.
    pub(super) fn read(request: &Request) -> Result<Self, Problem> {
        // A page in a browser must not drive an emulator on its machine; no tool sends this.
        if request.headers().contains_key(header::ORIGIN) {
            let text = "Requests with an Origin, from pages in browsers, are refused.";
            return Err(Problem::new(403, "forbidden", text));
        }
        let query = request.uri().query().unwrap_or_default();
        let target = Target::parse(request.uri().path(), query)
            .ok_or_else(|| Problem::invalid("The address is not UTF-8."))?;
        let method = match request.method().as_str() {
            "HEAD" => "GET",
            other => other,
        };
        let call = Call { target: &target, body: request.body() };
        let command = match (method, target.segments().as_slice()) {
            ("GET", ["health"]) => Self::Health,
            ("GET", ["state"]) => Self::State,
            ("GET", ["clock"]) => Self::Clock,
            ("POST", ["clock"]) => call.advance_clock()?,
            ("GET", ["faults"]) => Self::Faults,
            ("POST", ["faults"]) => Self::Inject(Box::new(call.json("a fault")?)),
            ("DELETE", ["faults"]) => Self::LiftAll,
            ("GET", ["faults", id]) => call.fault(id)?,
            ("DELETE", ["faults", id]) => Self::Lift(fault_id(id)?),
            ("GET", ["hubs"]) => Self::Hubs,
            ("POST", ["hubs"]) => call.create_hub()?,
            ("GET", ["hubs", hub]) => Self::Hub((*hub).to_owned()),
            ("PATCH", ["hubs", hub]) => call.update_hub(hub)?,
            ("DELETE", ["hubs", hub]) => Self::DeleteHub((*hub).to_owned()),
            ("PUT", ["hubs", hub, "consumer-groups", group]) => {
                Self::CreateGroup((*hub).to_owned(), (*group).to_owned())
            }
            ("DELETE", ["hubs", hub, "consumer-groups", group]) => {
                Self::DeleteGroup((*hub).to_owned(), (*group).to_owned())
            }
            ("POST", ["hubs", hub, "partitions", id, "trim"]) => call.trim(hub, id)?,
            ("POST", ["hubs", hub, "partitions", id, "events"]) => call.append(hub, id)?,
            ("GET", ["hubs", hub, "partitions", id, "events"]) => call.events(hub, id)?,
            ("GET", ["wire"]) => Self::Wire { connection: call.number("connection")? },
            ("POST", ["wire"]) => call.record()?,
            ("DELETE", ["wire"]) => Self::ClearWire,
            (method, _) => {
                let path = request.uri().path();
                let text = format!("There is no {method} {path}. There are {ROUTES}.");
                return Err(Problem::not_found(text));
            }
        };
        // A misspelt option must not be taken for its default.
        match target.keys().find(|key| !command.knows(key)) {
            Some(key) => Err(Problem::invalid(format!("There is no option '{key}' here."))),
            None => Ok(command),
        }
    }

    /// Whether a key of the query means something.
    fn knows(&self, key: &str) -> bool {
        match self {
            Self::Await { .. } => ["hits", "wait-ms"].contains(&key),
            Self::Events { .. } => ["from", "count"].contains(&key),
            Self::Wire { .. } => key == "connection",
            _ => false,
        }
    }
}

/// `{"advance-ms": 60000}`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

/// `{"before-sequence-number": 10}`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Trim {
    before_sequence_number: i64,
}

/// `{"record": true}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    record: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NewHub {
    name: String,
    partitions: Option<u32>,
    #[serde(default)]
    consumer_groups: Vec<String>,
    retention_ms: Option<u64>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HubChange {
    partitions: Option<u32>,
    retention_ms: Option<u64>,
    status: Option<Status>,
}

/// A hub's status as JSON spells it.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Active,
    Disabled,
    SendDisabled,
    ReceiveDisabled,
}

impl From<Status> for HubStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Disabled => Self::Disabled,
            Status::SendDisabled => Self::SendDisabled,
            Status::ReceiveDisabled => Self::ReceiveDisabled,
        }
    }
}

/// A request that is being read.
struct Call<'a> {
    target: &'a Target,
    body: &'a Bytes,
}

impl Call<'_> {
    /// The body as JSON.
    fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, Problem> {
        let text = |error| Problem::invalid(format!("The body is not {what}: {error}."));
        serde_json::from_slice(self.body).map_err(text)
    }

    /// A number in the query.
    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Problem> {
        let text = || Problem::invalid(format!("The option '{key}' is not a number."));
        self.target.query(key).map(|value| value.parse().map_err(|_| text())).transpose()
    }

    fn advance_clock(&self) -> Result<Command, Problem> {
        let advance: Advance = self.json("{\"advance-ms\": N}")?;
        Ok(Command::AdvanceClock(Duration::from_millis(advance.advance_ms)))
    }

    fn fault(&self, id: &str) -> Result<Command, Problem> {
        let id = fault_id(id)?;
        let wait = self.number("wait-ms")?.map_or(WAIT_DEFAULT, Duration::from_millis);
        match self.number("hits")? {
            Some(hits) => Ok(Command::Await { id, hits, wait: wait.min(WAIT_MAX) }),
            None => Ok(Command::Fault(id)),
        }
    }

    fn create_hub(&self) -> Result<Command, Problem> {
        let hub: NewHub = self.json("a hub")?;
        let mut config = HubConfig::new(hub.name, hub.partitions.unwrap_or(DEFAULT_PARTITIONS));
        config.consumer_groups = hub.consumer_groups;
        config.retention = hub.retention_ms.map_or(config.retention, Duration::from_millis);
        config.status = hub.status.map_or(config.status, HubStatus::from);
        Ok(Command::CreateHub(config))
    }

    fn update_hub(&self, hub: &str) -> Result<Command, Problem> {
        let change: HubChange = self.json("a change of a hub")?;
        let update = HubUpdate {
            partitions: change.partitions,
            retention: change.retention_ms.map(Duration::from_millis),
            status: change.status.map(HubStatus::from),
        };
        Ok(Command::UpdateHub(hub.to_owned(), update))
    }

    fn trim(&self, hub: &str, id: &str) -> Result<Command, Problem> {
        let trim: Trim = self.json("{\"before-sequence-number\": N}")?;
        let (hub, partition) = (hub.to_owned(), partition_number(id)?);
        Ok(Command::Trim { hub, partition, before: trim.before_sequence_number })
    }

    fn append(&self, hub: &str, id: &str) -> Result<Command, Problem> {
        let (hub, partition) = (hub.to_owned(), partition_number(id)?);
        Ok(Command::Append { hub, partition, message: self.body.clone() })
    }

    fn events(&self, hub: &str, id: &str) -> Result<Command, Problem> {
        let (hub, partition) = (hub.to_owned(), partition_number(id)?);
        let count = self.number("count")?.unwrap_or(EVENTS_DEFAULT).min(EVENTS_MAX);
        Ok(Command::Events { hub, partition, from: self.number("from")?.unwrap_or(0), count })
    }

    fn record(&self) -> Result<Command, Problem> {
        let record: Record = self.json("{\"record\": true} or {\"record\": false}")?;
        Ok(Command::Record(record.record))
    }
}

fn fault_id(text: &str) -> Result<FaultId, Problem> {
    let missing = || Problem::not_found(format!("There is no fault '{text}'."));
    text.parse().map(FaultId).map_err(|_| missing())
}

fn partition_number(text: &str) -> Result<u32, Problem> {
    let missing = || Problem::not_found(format!("There is no partition '{text}'."));
    text.parse().map_err(|_| missing())
}

#[cfg(test)]
mod tests;
