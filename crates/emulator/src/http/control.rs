//! The control API: an emulator in the hands of its owner, over HTTP and JSON.
//!
//! A request becomes a [`Command`], which is done here; every answer is a JSON object.

mod command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventhubs_amqp::codec::message::{Body, Message};
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use super::problem::{JSON, Problem};
use super::state;
use super::{Office, Request, Response, response};
use crate::config::ConfigError;
use crate::fault::{Fault, FaultError, FaultId};
use crate::namespace::Namespace;
use crate::namespace::hub_error::HubError;
use crate::namespace::log::Stored;
use crate::rules::calendar;
use crate::view::collector;
use command::Command;

/// Bytes of messages that are told at once.
const EVENTS_BYTES_MAX: usize = 4 << 20;

/// Answers a request.
pub(super) async fn answer(office: &Office, request: Request) -> Response {
    let done = match Command::read(&request) {
        Ok(command) => perform(&office.namespace, command).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(Done { status, body }) => response(status, JSON, body),
        Err(problem) => problem.response(),
    }
}

/// What came of a command.
struct Done {
    status: u16,
    body: String,
}

fn ok(body: impl ToString) -> Result<Done, Problem> {
    Ok(Done { status: 200, body: body.to_string() })
}

fn created(body: Json) -> Result<Done, Problem> {
    Ok(Done { status: 201, body: body.to_string() })
}

async fn perform(namespace: &Namespace, command: Command) -> Result<Done, Problem> {
    match command {
        Command::Health => ok(json!({ "status": "ok" })),
        Command::State => ok(state::snapshot(&collector::snapshot(namespace).await)),
        Command::Clock => ok(clock(namespace)),
        Command::AdvanceClock(by) => {
            namespace.advance_clock(by);
            ok(clock(namespace))
        }
        Command::Faults => ok(faults(namespace)),
        Command::Inject(fault) => created(json!({ "id": namespace.inject(*fault)? })),
        Command::LiftAll => {
            namespace.lift_all();
            ok(json!({}))
        }
        Command::Fault(id) => ok(fault(namespace, id)?),
        Command::Await { id, hits, wait } => {
            match timeout(wait, namespace.faults.hit(id, hits)).await {
                Ok(_) => ok(fault(namespace, id)?),
                Err(_) => {
                    let struck = namespace.faults.hits(id);
                    let text = format!("The fault struck {struck} times, not {hits}, in {wait:?}.");
                    Err(Problem::new(409, "not-struck", text))
                }
            }
        }
        Command::Lift(id) => match namespace.lift(id) {
            true => ok(json!({})),
            false => Err(no_fault(id)),
        },
        Command::Wire { connection } => ok(namespace.record.to_json(connection)),
        Command::Record(on) => {
            namespace.record.switch(on);
            ok(json!({ "recording": on }))
        }
        Command::ClearWire => {
            namespace.record.clear();
            ok(json!({}))
        }
        hubs => perform_on_hubs(namespace, hubs),
    }
}

fn perform_on_hubs(namespace: &Namespace, command: Command) -> Result<Done, Problem> {
    match command {
        Command::Hubs => ok(json!({ "hubs": hubs(namespace) })),
        Command::CreateHub(config) => {
            let hub = namespace.create_hub(config)?;
            created(hub_state(namespace, &hub.name)?)
        }
        Command::Hub(name) => ok(hub_state(namespace, &name)?),
        Command::UpdateHub(name, update) => {
            namespace.update_hub(&name, update)?;
            ok(hub_state(namespace, &name)?)
        }
        Command::DeleteHub(name) => {
            namespace.delete_hub(&name)?;
            ok(json!({}))
        }
        Command::CreateGroup(hub, group) => {
            namespace.create_group(&hub, &group)?;
            created(json!({ "hub": hub, "consumer-group": group }))
        }
        Command::DeleteGroup(hub, group) => {
            namespace.delete_group(&hub, &group)?;
            ok(json!({}))
        }
        Command::Trim { hub, partition, before } => {
            let partition = namespace.partition(&hub, partition)?;
            partition.trim(before).map_err(HubError::from)?;
            let first = partition.info(namespace.clock.now()).begin_sequence;
            ok(json!({ "first-sequence-number": first }))
        }
        Command::Append { hub, partition, message } => {
            let sequence = namespace.append(&hub, partition, message)?;
            created(json!({ "sequence-number": sequence }))
        }
        Command::Events { hub, partition, from, count } => {
            let partition = namespace.partition(&hub, partition)?;
            let bounds = (count, EVENTS_BYTES_MAX);
            let events = partition.events_from(from, bounds, namespace.clock.now());
            ok(json!({ "events": events.iter().map(event).collect::<Vec<_>>() }))
        }
        // All others are done above.
        _ => Err(Problem::not_found("There is no such command.")),
    }
}

fn clock(namespace: &Namespace) -> Json {
    let now = namespace.clock.now();
    json!({ "now-ms": now, "now": calendar::utc(now) })
}

fn faults(namespace: &Namespace) -> Json {
    let each = |(id, fault, hits): &(FaultId, Fault, u64)| json!({ "id": id, "hits": hits, "fault": fault });
    let list = namespace.faults.read(|registry| registry.list());
    json!({ "faults": list.iter().map(each).collect::<Vec<_>>() })
}

fn fault(namespace: &Namespace, id: FaultId) -> Result<Json, Problem> {
    let list = namespace.faults.read(|registry| registry.list());
    let found = list.iter().find(|(one, ..)| *one == id);
    let (_, fault, hits) = found.ok_or_else(|| no_fault(id))?;
    Ok(json!({ "id": id, "hits": hits, "fault": fault }))
}

fn no_fault(id: FaultId) -> Problem {
    Problem::not_found(format!("There is no fault {id}."))
}

fn hubs(namespace: &Namespace) -> Vec<Json> {
    namespace.snapshot(namespace.clock.now()).iter().map(state::hub).collect()
}

fn hub_state(namespace: &Namespace, name: &str) -> Result<Json, Problem> {
    let hubs = namespace.snapshot(namespace.clock.now());
    let found = hubs.iter().find(|hub| hub.name.eq_ignore_ascii_case(name));
    found.map(state::hub).ok_or_else(|| HubError::NotFound { hub: name.to_owned() }.into())
}

/// A stored event; its body too, where it is text.
fn event(stored: &Stored) -> Json {
    let body = Message::decode(&stored.message).ok().and_then(|message| match message.body {
        Body::Data(sections) => String::from_utf8(sections.concat()).ok(),
        Body::Value(value) => value.as_str().map(str::to_owned),
        Body::Sequence(_) | Body::Empty => None,
    });
    json!({
        "sequence-number": stored.sequence,
        "offset": stored.offset.to_string(),
        "enqueued-ms": stored.enqueued,
        "message-base64": STANDARD.encode(&stored.message),
        "body-text": body,
    })
}

impl From<HubError> for Problem {
    fn from(error: HubError) -> Self {
        let (status, code) = match &error {
            HubError::NotFound { .. }
            | HubError::GroupNotFound { .. }
            | HubError::PartitionNotFound { .. } => (404, "not-found"),
            HubError::Exists { .. } | HubError::GroupExists { .. } => (409, "exists"),
            HubError::FewerPartitions { .. } | HubError::DefaultGroup { .. } => (409, "conflict"),
            HubError::Invalid(ConfigError::TooMany { .. }) => (409, "limit"),
            HubError::Storage { .. } => (507, "storage"),
            _ => (400, "invalid"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<FaultError> for Problem {
    fn from(error: FaultError) -> Self {
        let (status, code) = match &error {
            FaultError::TooMany(_) => (409, "limit"),
            _ => (400, "invalid"),
        };
        Self::new(status, code, error.to_string())
    }
}

#[cfg(test)]
mod tests;
