//! Hubs: partitions, consumer groups and settings that may change while clients are connected.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use eventhubs_amqp::codec::{AmqpError, Symbol, condition};

use crate::config::Limits;
use crate::hash;
use crate::hub_config::{HubConfig, HubStatus, HubUpdate};
use crate::log::Retention;
use crate::names;
use crate::partition::Partition;

pub(crate) use crate::namespace::Namespace;

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
    pub(crate) fn new(config: HubConfig, limits: &Limits, created: i64) -> Self {
        let keep = keep(config.retention, limits);
        let partitions = (0..config.partitions).map(|_| Arc::new(Partition::new(keep))).collect();
        let groups = std::iter::once(names::DEFAULT_GROUP.to_owned())
            .chain(config.consumer_groups)
            .map(|name| Group::new(name, created))
            .collect();
        let state = State {
            groups,
            partitions,
            retention: config.retention,
            status: config.status,
            deleted: false,
            updated: created,
        };
        Self { name: config.name, created, state: RwLock::new(state), turn: AtomicU32::new(0) }
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

    /// Applies a change that has been checked.
    pub(crate) fn update(&self, update: HubUpdate, limits: &Limits, now: i64) {
        let mut state = self.write();
        state.updated = now;
        state.status = update.status.unwrap_or(state.status);
        if let Some(retention) = update.retention {
            state.retention = retention;
            for partition in &state.partitions {
                partition.retain(keep(retention, limits), now);
            }
        }
        let keep = keep(state.retention, limits);
        let count = update.partitions.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        while state.partitions.len() < count {
            state.partitions.push(Arc::new(Partition::new(keep)));
        }
    }

    /// Nothing is found here any more.
    pub(crate) fn delete(&self) {
        self.write().deleted = true;
    }

    /// Adds a group whose name has been checked.
    pub(crate) fn create_group(&self, name: &str, now: i64) {
        let mut state = self.write();
        state.updated = now;
        state.groups.push(Group::new(name, now));
    }

    /// Whether there was such a group.
    pub(crate) fn delete_group(&self, name: &str, now: i64) -> bool {
        let mut state = self.write();
        let same = |group: &Arc<Group>| group.name.eq_ignore_ascii_case(name);
        let Some(index) = state.groups.iter().position(same) else { return false };
        state.groups.remove(index).deleted.store(true, Ordering::Release);
        state.updated = now;
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the log of a partition keeps.
fn keep(retention: Duration, limits: &Limits) -> Retention {
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
