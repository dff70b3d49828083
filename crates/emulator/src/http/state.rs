//! A snapshot as JSON.

use serde_json::{Value as Json, json};

use crate::config::hub_config::HubStatus;
use crate::fault::Role;
use crate::view::overview::{
    AudienceSnapshot, ConnectionSnapshot, Incident, LinkSnapshot, Snapshot,
};
use crate::view::snapshot::{HubSnapshot, PartitionSnapshot, ReceiverSnapshot};

/// Everything.
pub(super) fn snapshot(snapshot: &Snapshot) -> Json {
    json!({
        "taken-ms": snapshot.taken,
        "hubs": snapshot.hubs.iter().map(hub).collect::<Vec<_>>(),
        "connections": snapshot.connections.iter().map(connection).collect::<Vec<_>>(),
        "silent-connections": snapshot.silent,
        "recent-errors": snapshot.incidents.iter().map(incident).collect::<Vec<_>>(),
    })
}

/// One hub.
pub(super) fn hub(hub: &HubSnapshot) -> Json {
    let groups: Vec<_> = hub.groups.iter().map(|group| group.name.as_str()).collect();
    json!({
        "name": hub.name,
        "created-ms": hub.created,
        "updated-ms": hub.updated,
        "status": status(hub.status),
        "retention-ms": u64::try_from(hub.retention.as_millis()).unwrap_or(u64::MAX),
        "consumer-groups": groups,
        "partitions": hub.partitions.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn status(status: HubStatus) -> &'static str {
    match status {
        HubStatus::Active => "active",
        HubStatus::Disabled => "disabled",
        HubStatus::SendDisabled => "send-disabled",
        HubStatus::ReceiveDisabled => "receive-disabled",
    }
}

fn partition(partition: &PartitionSnapshot) -> Json {
    json!({
        "id": partition.number.to_string(),
        "first-sequence-number": partition.begin_sequence,
        "last-sequence-number": partition.last_sequence,
        "last-offset": partition.last_offset,
        "last-enqueued-ms": partition.last_enqueued,
        "events": partition.events,
        "bytes": partition.bytes,
        "events-per-second": partition.events_per_second,
        "receivers": partition.receivers.iter().map(receiver).collect::<Vec<_>>(),
    })
}

fn receiver(receiver: &ReceiverSnapshot) -> Json {
    json!({
        "consumer-group": receiver.group,
        "name": receiver.name,
        "epoch": receiver.epoch,
    })
}

fn connection(connection: &ConnectionSnapshot) -> Json {
    json!({
        "number": connection.number,
        "transport": connection.transport,
        "peer": connection.peer.map(|peer| peer.to_string()),
        "container-id": connection.container_id,
        "user-agent": connection.user_agent,
        "sasl-mechanism": connection.mechanism,
        "age-ms": u64::try_from(connection.age.as_millis()).unwrap_or(u64::MAX),
        "audiences": connection.audiences.iter().map(audience).collect::<Vec<_>>(),
        "links": connection.links.iter().map(link).collect::<Vec<_>>(),
    })
}

fn audience(audience: &AudienceSnapshot) -> Json {
    json!({ "audience": audience.audience, "expires-ms": audience.expires })
}

fn link(link: &LinkSnapshot) -> Json {
    json!({
        "name": link.name,
        "role": role(link.role),
        "incoming": link.incoming,
        "address": link.address,
        "hub": link.hub,
        "partition": link.partition,
        "consumer-group": link.consumer_group,
        "epoch": link.epoch,
        "credit": link.credit,
        "position": link.position,
        "lag": link.lag,
        "messages": link.messages,
    })
}

/// What a link is for, as JSON and people have it.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Producer => "producer",
        Role::Consumer => "consumer",
        Role::Cbs => "cbs",
        Role::Management => "management",
    }
}

fn incident(incident: &Incident) -> Json {
    json!({
        "at-ms": incident.at,
        "connection": incident.connection,
        "what": incident.what,
    })
}
