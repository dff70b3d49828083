//! What stands in the files.

use std::collections::BTreeMap;
use std::time::Duration;

use eventhubs_protocol::Timestamp;
use serde_json::Value;

use crate::lease::{Lease, Version};
use crate::owner::OwnerId;
use crate::presence::Presence;
use crate::record::{self, InvalidRecord, Record};

/// Beside the classic names: which state of the record this is.
const VERSION: &str = "version";
const HOSTS: &str = "hosts";
const WEIGHT: &str = "weight";
/// Not there in records of hosts without a limit, and in older ones.
const MAXIMUM: &str = "maximum";
const SEEN: &str = "seen";

pub(super) fn lease_to_json(lease: &Lease) -> Vec<u8> {
    let mut record = lease.to_record();
    record.set(VERSION, lease.version.as_str());
    record.to_json()
}

pub(super) fn lease_from_json(body: &[u8], written: Timestamp) -> Result<Lease, InvalidRecord> {
    let mut record = Record::from_json(body)?;
    let version = record.text(VERSION)?.ok_or_else(|| InvalidRecord::field(VERSION))?;
    let mut lease = Lease::from_record(record)?;
    if lease.owner.is_some() != lease.token.is_some() {
        return Err(InvalidRecord::field(record::TOKEN));
    }
    lease.version = Version::new(&version);
    lease.renewed = written;
    Ok(lease)
}

pub(super) fn presences_to_json(presences: &BTreeMap<OwnerId, Presence>) -> Vec<u8> {
    let hosts = presences.values().map(|presence| {
        let mut host = Record::default();
        host.set(record::OWNER, presence.owner.as_str());
        host.set(WEIGHT, presence.weight);
        if let Some(maximum) = presence.maximum {
            host.set(MAXIMUM, maximum);
        }
        host.set(record::DURATION, record::millis(presence.duration));
        host.set(SEEN, presence.seen.as_millis());
        host.into_value()
    });
    let mut record = Record::default();
    record.set(HOSTS, Value::Array(hosts.collect()));
    record.to_json()
}

pub(super) fn presences_from_json(
    body: &[u8],
) -> Result<BTreeMap<OwnerId, Presence>, InvalidRecord> {
    let hosts = Record::from_json(body)?.objects(HOSTS)?;
    hosts.into_iter().map(presence).collect()
}

fn presence(mut host: Record) -> Result<(OwnerId, Presence), InvalidRecord> {
    let owner = host.text(record::OWNER)?.and_then(|owner| OwnerId::new(&owner).ok());
    let owner = owner.ok_or_else(|| InvalidRecord::field(record::OWNER))?;
    let weight = host.number(WEIGHT)?.and_then(|weight| u32::try_from(weight).ok());
    let weight = weight.ok_or_else(|| InvalidRecord::field(WEIGHT))?;
    let maximum = host.number(MAXIMUM)?.map(u32::try_from).transpose();
    let maximum = maximum.map_err(|_| InvalidRecord::field(MAXIMUM))?;
    let duration = host.number(record::DURATION)?.and_then(|millis| u64::try_from(millis).ok());
    let duration = duration.ok_or_else(|| InvalidRecord::field(record::DURATION))?;
    let seen = host.number(SEEN)?.ok_or_else(|| InvalidRecord::field(SEEN))?;
    let mut presence =
        Presence::new(owner.clone(), Duration::from_millis(duration)).with_weight(weight);
    presence.maximum = maximum;
    presence.seen = Timestamp::from_millis(seen);
    Ok((owner, presence))
}
