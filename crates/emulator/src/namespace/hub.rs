//! Hubs: partitions, consumer groups and settings that may change while clients are connected.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, Symbol, condition};

use super::journal::HubRecord;
use super::log::Retention;
use super::partition::Partition;
use crate::config::Limits;
use crate::config::hub_config::HubStatus;
use crate::names;
use crate::rules::hash;

/// What a link does with a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    Send,
    Receive,
}

/// A consumer group. A later one of the same name is another group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    deleted: AtomicBool,
}

impl Group {
    fn new(name: impl Into<String>, created: i64) -> Arc<Self> {
        Arc::new(Self { name: name.into(), created, deleted: AtomicBool::new(false) })
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

/// One hub. A later one of the same name is another hub.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Never used again, unlike its name.
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    state: RwLock<State>,
    /// Where the next publication without key and partition goes.
    turn: AtomicU32,
}

#[derive(Debug)]
struct State {
    /// `$Default` first.
    groups: Vec<Arc<Group>>,
    /// Only ever grows.
    partitions: Vec<Arc<Partition>>,
    retention: Duration,
    status: HubStatus,
    deleted: bool,
    updated: i64,
}

impl Hub {
    /// A hub as a record has it, with partitions as `partition` makes them.
    pub(crate) fn new(
        record: &HubRecord,
        limits: &Limits,
        partition: impl FnMut(u32) -> Partition,
    ) -> Self {
        let state = State {
            groups: vec![Group::new(names::DEFAULT_GROUP, record.created)],
            partitions: Vec::new(),
            retention: record.retention,
            status: record.status,
            deleted: false,
            updated: record.created,
        };
        let hub = Self {
            id: record.id,
            name: record.name.clone(),
            created: record.created,
            state: RwLock::new(state),
            turn: AtomicU32::new(0),
        };
        hub.apply(record, limits, record.created, partition);
        hub
    }

    /// What is known of the hub besides its events.
    pub(crate) fn record(&self) -> HubRecord {
        let state = self.read();
        let groups = state.groups.iter().skip(1);
        HubRecord {
            id: self.id,
            name: self.name.clone(),
            created: self.created,
            updated: state.updated,
            retention: state.retention,
            status: state.status,
            partitions: u32::try_from(state.partitions.len()).unwrap_or(u32::MAX),
            groups: groups.map(|group| (group.name.clone(), group.created)).collect(),
        }
    }

    /// Makes the hub what a record says. Partitions are only ever added.
    pub(crate) fn apply(
        &self,
        record: &HubRecord,
        limits: &Limits,
        now: i64,
        mut partition: impl FnMut(u32) -> Partition,
    ) {
        let mut state = self.write();
        state.updated = record.updated;
        state.status = record.status;
        if state.retention != record.retention {
            state.retention = record.retention;
            for partition in &state.partitions {
                partition.retain(keep(record.retention, limits), now);
            }
        }
        let present = u32::try_from(state.partitions.len()).unwrap_or(u32::MAX);
        state.partitions.extend((present..record.partitions).map(|n| Arc::new(partition(n))));
        // `$Default` is in no record.
        let mut groups = vec![state.groups.remove(0)];
        for (name, created) in &record.groups {
            let same = |group: &Arc<Group>| group.name.eq_ignore_ascii_case(name);
            groups.push(match state.groups.iter().position(same) {
                Some(index) => state.groups.swap_remove(index),
                None => Group::new(name.as_str(), *created),
            });
        }
        for gone in std::mem::replace(&mut state.groups, groups) {
            gone.deleted.store(true, Ordering::Release);
        }
    }

    /// How many partitions there are; their ids are the numbers below.
    pub(crate) fn partition_count(&self) -> u32 {
        u32::try_from(self.read().partitions.len()).unwrap_or(u32::MAX)
    }

    /// The number behind a partition id. Only the plain decimal form is an id.
    pub(crate) fn partition_number(&self, id: &str) -> Option<u32> {
        let number: u32 = id.parse().ok()?;
        (number < self.partition_count() && number.to_string() == id).then_some(number)
    }

    /// A partition by number.
    pub(crate) fn partition(&self, number: u32) -> Option<Arc<Partition>> {
        self.read().partitions.get(usize::try_from(number).ok()?).cloned()
    }

    /// All partitions in the order of their numbers.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.read().partitions.clone()
    }

    /// A consumer group, whatever the case its name is asked in.
    pub(crate) fn group(&self, name: &str) -> Option<Arc<Group>> {
        let same = |group: &&Arc<Group>| group.name.eq_ignore_ascii_case(name);
        self.read().groups.iter().find(same).cloned()
    }

    /// All consumer groups, `$Default` first.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        self.read().groups.clone()
    }

    pub(crate) fn status(&self) -> HubStatus {
        self.read().status
    }

    /// How long events are kept.
    pub(crate) fn retention(&self) -> Duration {
        self.read().retention
    }

    /// When the hub was last changed, in milliseconds since 1970.
    pub(crate) fn updated(&self) -> i64 {
        self.read().updated
    }

    /// Whether a link at `address` may live, and if not what its client is told.
    pub(crate) fn check(&self, usage: Usage, address: &str) -> Result<(), AmqpError> {
        let state = self.read();
        let allowed = match usage {
            Usage::Send => state.status.sends(),
            Usage::Receive => state.status.receives(),
        };
        match (state.deleted, allowed) {
            (true, _) => Err(not_found(address)),
            (false, true) => Ok(()),
            (false, false) => {
                let condition = Symbol::from_static(names::condition::ENTITY_DISABLED);
                let text = format!("Messaging entity '{address}' is currently disabled.");
                Err(AmqpError::new(condition, text))
            }
        }
    }

    /// Which partition takes a publication that names none.
    pub(crate) fn route(&self, key: Option<&str>) -> u32 {
        match key {
            Some(key) => hash::partition_for(key, self.partition_count()),
            None => self.turn.fetch_add(1, Ordering::Relaxed) % self.partition_count().max(1),
        }
    }

    /// Nothing is found here any more.
    pub(crate) fn delete(&self) {
        self.write().deleted = true;
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the log of a partition keeps.
pub(crate) fn keep(retention: Duration, limits: &Limits) -> Retention {
    Retention {
        bytes: limits.partition_bytes,
        events: limits.partition_events,
        millis: i64::try_from(retention.as_millis()).unwrap_or(i64::MAX),
    }
}

/// The service's words for an entity that does not exist; clients recognise them.
pub(crate) fn not_found(address: &str) -> AmqpError {
    let text = format!("The messaging entity '{address}' could not be found.");
    AmqpError::new(condition::NOT_FOUND, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::hub_config::HubConfig;
    use crate::namespace::Namespace;

    fn hub() -> Arc<Hub> {
        let config =
            Config::default().with_hub_config(HubConfig::new("Hub", 4).with_consumer_group("g1"));
        Namespace::new(&config).hub("hUB").unwrap()
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let hub = hub();
        assert_eq!(hub.name, "Hub");
        let group = |name| hub.group(name).map(|group| group.name.clone());
        assert_eq!(group("$DEFAULT").as_deref(), Some("$Default"));
        assert_eq!(group("G1").as_deref(), Some("g1"));
        assert_eq!(group("other"), None);
        assert!(Namespace::new(&Config::default()).hub("Hub2").is_none());
    }

    #[test]
    fn partition_ids_are_plain_numbers() {
        let hub = hub();
        assert_eq!(hub.partition_number("0"), Some(0));
        assert_eq!(hub.partition_number("3"), Some(3));
        for id in ["4", "-1", "00", "+1", "", " 1", "x", "99999999999"] {
            assert_eq!(hub.partition_number(id), None, "id {id:?}");
        }
    }

    #[test]
    fn keys_stay_and_the_rest_goes_round() {
        let hub = hub();
        assert_eq!(hub.route(Some("7")), 3);
        assert_eq!(hub.route(Some("7")), 3);
        let turns: Vec<_> = (0..8).map(|_| hub.route(None)).collect();
        assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3]);
    }
}
