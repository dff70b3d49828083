//! Everything one emulator serves, and who is connected to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::bell::{Bell, Signal};
use crate::clock::Clock;
use crate::config::{Config, Limits, SasKey};
use crate::fault::Switchboard;
use crate::hub::Hub;
use crate::hub_config::{self, HubConfig, HubUpdate};
use crate::hub_error::HubError;
use crate::incidents::Incidents;
use crate::names;
use crate::overview::ConnectionSnapshot;
#[cfg(feature = "http")]
use crate::record::Record;
use crate::tier::Tier;
use crate::watch::Timers;

/// Everything one emulator serves.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) clock: Clock,
    pub(crate) faults: Switchboard,
    pub(crate) keys: Vec<SasKey>,
    pub(crate) limits: Limits,
    pub(crate) idle_time_out: Duration,
    pub(crate) tier: Tier,
    /// Largest message that a producer link takes, in bytes.
    pub(crate) max_publication: u64,
    /// Whether JSON web tokens are taken.
    pub(crate) jwt: bool,
    pub(crate) timers: Timers,
    pub(crate) incidents: Incidents,
    #[cfg(feature = "http")]
    pub(crate) record: Record,
    /// Held by whoever takes a snapshot: one at a time.
    pub(crate) looking: Semaphore,
    /// By name in lower case.
    hubs: Mutex<BTreeMap<String, Arc<Hub>>>,
    /// Held for the whole of a change, so that changes come one after the other while everybody
    /// else reads on.
    changing: Mutex<()>,
    connections: Mutex<HashMap<u64, Arc<Bell>>>,
    next_connection: AtomicU64,
}

impl Namespace {
    /// Empty hubs as configured.
    pub(crate) fn new(config: &Config) -> Self {
        let clock = Clock::start();
        let hubs = config.effective_hubs().into_iter().map(|hub| {
            let name = hub.name.to_ascii_lowercase();
            let hub = config.tier.cut(hub);
            (name, Arc::new(Hub::new(hub, &config.limits, clock.now())))
        });
        Self {
            hubs: Mutex::new(hubs.collect()),
            changing: Mutex::default(),
            clock,
            faults: Switchboard::default(),
            keys: config.effective_keys(),
            limits: config.limits.clone(),
            idle_time_out: config.idle_time_out,
            tier: config.tier,
            max_publication: config.max_publication(),
            jwt: config.jwt,
            timers: config.timers,
            incidents: Incidents::default(),
            #[cfg(feature = "http")]
            record: Record::new(config.record),
            looking: Semaphore::new(1),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
        }
    }

    /// All hubs, by name in lower case.
    pub(crate) fn hubs(&self) -> Vec<Arc<Hub>> {
        self.lock_hubs().values().cloned().collect()
    }

    /// A hub by name, whatever its case.
    pub(crate) fn hub(&self, name: &str) -> Option<Arc<Hub>> {
        self.lock_hubs().get(&name.to_ascii_lowercase()).cloned()
    }

    /// [`hub`](Self::hub), or the error that names it.
    pub(crate) fn existing(&self, name: &str) -> Result<Arc<Hub>, HubError> {
        self.hub(name).ok_or_else(|| HubError::NotFound { hub: name.to_owned() })
    }

    /// Creates an empty hub.
    pub(crate) fn create_hub(&self, config: HubConfig) -> Result<Arc<Hub>, HubError> {
        config.validate()?;
        config.check_quota(&self.limits)?;
        self.tier.check(&config)?;
        let _changing = self.change();
        if let Some(hub) = self.hub(&config.name) {
            return Err(HubError::Exists { hub: hub.name.clone() });
        }
        let hubs = self.hubs();
        self.limits.check("hubs", hubs.len() + 1, self.limits.hubs)?;
        self.check_partitions(&hubs, config.partition_count())?;
        let key = config.name.to_ascii_lowercase();
        let config = self.tier.cut(config);
        let hub = Arc::new(Hub::new(config, &self.limits, self.clock.now()));
        self.lock_hubs().insert(key, Arc::clone(&hub));
        Ok(hub)
    }

    /// Changes a hub. Partitions that exist and whoever reads them are not touched; links that a
    /// new status forbids are detached.
    pub(crate) fn update_hub(
        &self,
        name: &str,
        mut update: HubUpdate,
    ) -> Result<Arc<Hub>, HubError> {
        update.validate(name)?;
        update.retention = update.retention.map(|wanted| wanted.min(self.tier.retention()));
        let _changing = self.change();
        let hub = self.existing(name)?;
        if let Some(wanted) = update.partitions {
            let present = hub.partition_count();
            let more = wanted.checked_sub(present).ok_or_else(|| HubError::FewerPartitions {
                hub: hub.name.clone(),
                present,
                wanted,
            })?;
            self.tier.check_scaling(&hub.name, present, wanted)?;
            let more = usize::try_from(more).unwrap_or(usize::MAX);
            self.check_partitions(&self.hubs(), more)?;
        }
        hub.update(update, &self.limits, self.clock.now());
        self.ring_all(&Signal::Changed);
        Ok(hub)
    }

    /// Deletes a hub with its events; its links are detached.
    pub(crate) fn delete_hub(&self, name: &str) -> Result<(), HubError> {
        let _changing = self.change();
        let hub = self.existing(name)?;
        self.lock_hubs().remove(&name.to_ascii_lowercase());
        hub.delete();
        self.ring_all(&Signal::Changed);
        Ok(())
    }

    /// Creates a consumer group.
    pub(crate) fn create_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        let _changing = self.change();
        let hub = self.existing(hub)?;
        if group.eq_ignore_ascii_case(names::DEFAULT_GROUP) {
            return Err(HubError::DefaultGroup { hub: hub.name.clone() });
        }
        hub_config::validate_group(group)?;
        if let Some(group) = hub.group(group) {
            return Err(HubError::GroupExists { hub: hub.name.clone(), group: group.name.clone() });
        }
        // `$Default` is one of them and does not count.
        let count = hub.groups().len();
        self.limits.check("consumer groups of one hub", count, self.limits.consumer_groups)?;
        self.tier.check_groups(&hub.name, count + 1)?;
        hub.create_group(group, self.clock.now());
        Ok(())
    }

    /// Deletes a consumer group; its links are detached.
    pub(crate) fn delete_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        let _changing = self.change();
        let hub = self.existing(hub)?;
        if group.eq_ignore_ascii_case(names::DEFAULT_GROUP) {
            return Err(HubError::DefaultGroup { hub: hub.name.clone() });
        }
        if !hub.delete_group(group, self.clock.now()) {
            let group = group.to_owned();
            return Err(HubError::GroupNotFound { hub: hub.name.clone(), group });
        }
        self.ring_all(&Signal::Changed);
        Ok(())
    }

    /// Lets go every event whose retention has ended. Partitions that are in use do it themselves.
    pub(crate) fn expire(&self) {
        let now = self.clock.now();
        for partition in self.hubs().iter().flat_map(|hub| hub.partitions()) {
            partition.expire(now);
        }
    }

    /// Enters a connection; the number names it in logs and to peers.
    pub(crate) fn enter(&self, bell: &Arc<Bell>) -> u64 {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        self.connections().insert(number, Arc::clone(bell));
        number
    }

    /// Forgets a connection.
    pub(crate) fn leave(&self, number: u64) {
        self.connections().remove(&number);
    }

    /// Asks every connection what it is doing.
    pub(crate) fn ask_all(&self) -> Vec<oneshot::Receiver<ConnectionSnapshot>> {
        self.connections().values().map(|bell| bell.ask()).collect()
    }

    /// Notes what happened on a connection, for people who look.
    pub(crate) fn note(&self, connection: u64, what: impl Into<String>) {
        self.incidents.note(self.clock.now(), connection, what);
    }

    /// Asks every connection to close.
    pub(crate) fn shut_down(&self) {
        self.ring_all(&Signal::Shutdown);
    }

    /// Leaves a signal for every connection.
    pub(crate) fn ring_all(&self, signal: &Signal) {
        for bell in self.connections().values() {
            bell.ring(signal.clone());
        }
    }

    fn check_partitions(&self, hubs: &[Arc<Hub>], more: usize) -> Result<(), HubError> {
        let present: usize = hubs
            .iter()
            .map(|hub| usize::try_from(hub.partition_count()).unwrap_or(usize::MAX))
            .sum();
        let limit = self.limits.partitions;
        self.limits.check("partitions of all hubs", present.saturating_add(more), limit)?;
        Ok(())
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_hubs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Hub>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Bell>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
