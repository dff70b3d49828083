//! Everything one emulator serves, and who is connected to it.

pub(crate) mod bell;
pub(crate) mod hub;
pub(crate) mod hub_error;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod meter;
pub(crate) mod partition;
mod rate;
pub(crate) mod receivers;
mod segment;
pub(crate) mod sequencer;
pub(crate) mod throttle;

pub use hub_error::HubError;
pub use journal::{Damage, DataError, Durability};
pub use meter::Throughput;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::config::hub_config::{self, HubConfig, HubUpdate};
use crate::config::{Config, ConfigError, Limits, SasKey};
use crate::fault::Switchboard;
use crate::names;
use crate::rules::tier::Tier;
use crate::upkeep::clock::Clock;
use crate::upkeep::watch::Timers;
use crate::view::incidents::Incidents;
use crate::view::overview::ConnectionSnapshot;
#[cfg(feature = "http")]
use crate::view::record::Record;

use bell::{Bell, Signal};
use hub::{Hub, keep};
use journal::{DataFolder, HubRecord, Manifest};
use log::PartitionLog;
use partition::Partition;
use sequencer::Sequencers;
use throttle::Throttle;

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
    pub(crate) throttle: Arc<Throttle>,
    /// Whether messages are not held against quotas.
    pub(crate) lenient: bool,
    /// Whether the namespace is a geo-replicated one.
    pub(crate) geo: bool,
    /// By name in lower case.
    hubs: Mutex<BTreeMap<String, Arc<Hub>>>,
    /// Held for the whole of a change, so that changes come one after the other while everybody
    /// else reads on.
    changing: Mutex<Changes>,
    /// What was found broken in the data folder.
    pub(crate) damage: Vec<Damage>,
    connections: Mutex<HashMap<u64, Arc<Bell>>>,
    next_connection: AtomicU64,
}

/// What changes need.
#[derive(Debug, Default)]
struct Changes {
    /// Where hubs and events are kept, if they shall survive the process.
    folder: Option<DataFolder>,
    /// Id of the next hub.
    next_id: u64,
}

impl Changes {
    fn save(&self, hubs: Vec<HubRecord>) -> Result<(), HubError> {
        if let Some(folder) = &self.folder {
            folder.save(&Manifest { next_id: self.next_id, hubs })?;
        }
        Ok(())
    }

    /// A partition without events.
    fn partition(&self, hub: &HubRecord, number: u32, limits: &Limits) -> Partition {
        let journal = self.folder.as_ref().map(|folder| folder.journal(hub, number));
        Partition::new(keep(hub.retention, limits), journal)
    }
}

impl Namespace {
    /// Empty hubs as configured, kept in memory alone.
    pub(crate) fn new(config: &Config) -> Self {
        let namespace = Self::without_hubs(config, Changes::default(), Vec::new());
        let now = namespace.clock.now();
        for hub in config.effective_hubs() {
            let mut changing = namespace.change();
            let record = HubRecord::new(changing.next_id, config.tier.cut(hub), now);
            changing.next_id += 1;
            namespace.add(&record, |number| changing.partition(&record, number, &config.limits));
        }
        namespace
    }

    /// Hubs as configured, with those and the events that the data folder holds, if there is one.
    pub(crate) fn open(config: &Config) -> Result<Self, DataError> {
        let Some(path) = &config.data else { return Ok(Self::new(config)) };
        let now = Clock::start().now();
        let (folder, mut manifest) = DataFolder::open(path, config.durability)?;
        manifest.extend(config, now)?;
        folder.save(&manifest).map_err(DataError::io("write to", path))?;
        folder.remove_orphans(&manifest);
        let mut damage = Vec::new();
        let mut hubs = Vec::new();
        for record in &manifest.hubs {
            let mut partitions = VecDeque::new();
            for number in 0..record.partitions {
                let mut log = PartitionLog::new(keep(record.retention, &config.limits));
                let mut sequencers = Sequencers::default();
                let known = (&mut log, &mut sequencers);
                let journal = folder.recover(record, number, known, &mut damage)?;
                let partition = Partition::restored(log, sequencers, Some(journal));
                partition.expire(now);
                partitions.push_back(partition);
            }
            hubs.push(partitions);
        }
        let changes = Changes { folder: Some(folder), next_id: manifest.next_id };
        let namespace = Self::without_hubs(config, changes, damage);
        for (record, mut recovered) in manifest.hubs.iter().zip(hubs) {
            let changing = namespace.change();
            namespace.add(record, |number| {
                let recovered = recovered.pop_front();
                recovered.unwrap_or_else(|| changing.partition(record, number, &config.limits))
            });
        }
        Ok(namespace)
    }

    fn without_hubs(config: &Config, changes: Changes, damage: Vec<Damage>) -> Self {
        Self {
            hubs: Mutex::default(),
            changing: Mutex::new(changes),
            damage,
            clock: Clock::start(),
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
            throttle: Arc::new(Throttle::new(config.throughput)),
            lenient: config.lenient,
            geo: config.geo_replication,
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
        }
    }

    fn add(&self, record: &HubRecord, partition: impl FnMut(u32) -> Partition) -> Arc<Hub> {
        let hub = Arc::new(Hub::new(record, &self.limits, partition));
        self.lock_hubs().insert(record.name.to_ascii_lowercase(), Arc::clone(&hub));
        hub
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
        let config = self.tier.cut(config);
        let mut changing = self.change();
        if let Some(hub) = self.hub(&config.name) {
            return Err(HubError::Exists { hub: hub.name.clone() });
        }
        let mut records = self.records();
        self.limits.check("hubs", records.len() + 1, self.limits.hubs)?;
        let record = HubRecord::new(changing.next_id, config, self.clock.now());
        records.push(record.clone());
        self.check_partitions(&records)?;
        changing.next_id += 1;
        changing.save(records)?;
        Ok(self.add(&record, |number| changing.partition(&record, number, &self.limits)))
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
        self.edit(name, |record| {
            record.retention = update.retention.unwrap_or(record.retention);
            record.status = update.status.unwrap_or(record.status);
            let (present, hub) = (record.partitions, record.name.clone());
            record.partitions = update.partitions.unwrap_or(present);
            if record.partitions < present {
                return Err(HubError::FewerPartitions { hub, present, wanted: record.partitions });
            }
            self.tier.check_scaling(&hub, present, record.partitions)?;
            Ok(())
        })
    }

    /// Deletes a hub with its events; its links are detached.
    pub(crate) fn delete_hub(&self, name: &str) -> Result<(), HubError> {
        let changing = self.change();
        let hub = self.existing(name)?;
        let mut records = self.records();
        records.retain(|record| record.id != hub.id);
        changing.save(records)?;
        self.lock_hubs().remove(&name.to_ascii_lowercase());
        hub.delete();
        self.ring_all(&Signal::Changed);
        if let Some(folder) = &changing.folder {
            folder.remove(hub.id, &hub.name);
        }
        Ok(())
    }

    /// Creates a consumer group.
    pub(crate) fn create_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        let (now, limit) = (self.clock.now(), self.limits.consumer_groups);
        let created = self.edit(hub, |record| {
            let hub = record.name.clone();
            if group.eq_ignore_ascii_case(names::DEFAULT_GROUP) {
                return Err(HubError::DefaultGroup { hub });
            }
            hub_config::validate_group(group)?;
            if let Some(index) = record.group(group) {
                let group = record.groups[index].0.clone();
                return Err(HubError::GroupExists { hub, group });
            }
            record.groups.push((group.to_owned(), now));
            self.limits.check("consumer groups of one hub", record.groups.len(), limit)?;
            self.tier.check_groups(&hub, record.groups.len() + 1)?;
            Ok(())
        });
        created.map(|_| ())
    }

    /// Deletes a consumer group; its links are detached.
    pub(crate) fn delete_group(&self, hub: &str, group: &str) -> Result<(), HubError> {
        let deleted = self.edit(hub, |record| {
            let hub = record.name.clone();
            if group.eq_ignore_ascii_case(names::DEFAULT_GROUP) {
                return Err(HubError::DefaultGroup { hub });
            }
            let missing = || HubError::GroupNotFound { hub, group: group.to_owned() };
            record.groups.remove(record.group(group).ok_or_else(missing)?);
            Ok(())
        });
        deleted.map(|_| ())
    }

    /// Changes what is known of a hub: in the data folder first, then for everybody.
    fn edit(
        &self,
        name: &str,
        change: impl FnOnce(&mut HubRecord) -> Result<(), HubError>,
    ) -> Result<Arc<Hub>, HubError> {
        let changing = self.change();
        let hub = self.existing(name)?;
        let mut record = hub.record();
        change(&mut record)?;
        let now = self.clock.now();
        record.updated = now;
        let mut records = self.records();
        records.retain(|other| other.id != record.id);
        records.push(record.clone());
        self.check_partitions(&records)?;
        changing.save(records)?;
        hub.apply(&record, &self.limits, now, |number| {
            changing.partition(&record, number, &self.limits)
        });
        self.ring_all(&Signal::Changed);
        Ok(hub)
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

    /// Waits until the disk has what was written. Nobody is kept from writing more meanwhile.
    pub(crate) fn sync(&self) {
        for hub in self.hubs() {
            for (number, partition) in (0..).zip(hub.partitions()) {
                if let Err(error) = partition.sync() {
                    tracing::error!(hub = hub.name, number, %error, "events may not be on disk");
                }
            }
        }
    }

    fn records(&self) -> Vec<HubRecord> {
        self.hubs().iter().map(|hub| hub.record()).collect()
    }

    fn check_partitions(&self, hubs: &[HubRecord]) -> Result<(), ConfigError> {
        let count = hubs.iter().map(|hub| usize::try_from(hub.partitions).unwrap_or(usize::MAX));
        self.limits.check("partitions of all hubs", count.sum(), self.limits.partitions)
    }

    fn change(&self) -> MutexGuard<'_, Changes> {
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
