//! Hubs and partitions: the state that connections share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eventhubs_amqp::codec::AmqpError;
use thiserror::Error;

use crate::bell::{Bell, Seat, Signal};
use crate::clock::Clock;
use crate::config::{Config, HubConfig, Limits, SasKey};
use crate::event::{Incoming, Tail};
use crate::fault::Switchboard;
use crate::hash;
use crate::log::{LogInfo, PartitionLog, PositionError, Retention, Stored};
use crate::names;
use crate::receivers::{Receiver, Receivers};
use crate::selector::Start;

/// Everything one emulator serves.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) clock: Clock,
    pub(crate) faults: Switchboard,
    pub(crate) keys: Vec<SasKey>,
    pub(crate) limits: Limits,
    pub(crate) lenient: bool,
    /// By name in lower case.
    hubs: BTreeMap<String, Arc<Hub>>,
    connections: Mutex<HashMap<u64, Arc<Bell>>>,
    next_connection: AtomicU64,
}

impl Namespace {
    /// Empty hubs as configured.
    pub(crate) fn new(config: &Config) -> Self {
        let clock = Clock::start();
        let retention = Retention {
            bytes: config.limits.partition_bytes,
            events: config.limits.partition_events,
        };
        let hubs = config.effective_hubs().into_iter().map(|hub| {
            let name = hub.name.to_ascii_lowercase();
            (name, Arc::new(Hub::new(hub, retention, clock.now())))
        });
        Self {
            hubs: hubs.collect(),
            clock,
            faults: Switchboard::default(),
            keys: config.effective_keys(),
            limits: config.limits.clone(),
            lenient: config.lenient,
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
        }
    }

    /// A hub by name, whatever its case.
    pub(crate) fn hub(&self, name: &str) -> Option<Arc<Hub>> {
        self.hubs.get(&name.to_ascii_lowercase()).cloned()
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

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Bell>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One hub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) name: String,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    /// Besides `$Default`.
    groups: Vec<String>,
    partitions: Vec<Partition>,
    /// Where the next publication without key and partition goes.
    turn: AtomicU32,
}

impl Hub {
    fn new(config: HubConfig, retention: Retention, created: i64) -> Self {
        let partitions = (0..config.partitions).map(|_| Partition::new(retention)).collect();
        Self {
            name: config.name,
            created,
            groups: config.consumer_groups,
            partitions,
            turn: AtomicU32::new(0),
        }
    }

    /// How many partitions there are; their ids are the numbers below.
    pub(crate) fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// The number behind a partition id. Only the plain decimal form is an id.
    pub(crate) fn partition_number(&self, id: &str) -> Option<u32> {
        let number: u32 = id.parse().ok()?;
        (number < self.partition_count() && number.to_string() == id).then_some(number)
    }

    /// A partition by number.
    pub(crate) fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    /// A consumer group's name as configured, whatever the case it is asked in.
    pub(crate) fn group(&self, name: &str) -> Option<&str> {
        let configured = self.groups.iter().map(String::as_str);
        std::iter::once(names::DEFAULT_GROUP)
            .chain(configured)
            .find(|group| group.eq_ignore_ascii_case(name))
    }

    /// Which partition takes a publication that names none.
    pub(crate) fn route(&self, key: Option<&str>) -> u32 {
        match key {
            Some(key) => hash::partition_for(key, self.partition_count()),
            None => self.turn.fetch_add(1, Ordering::Relaxed) % self.partition_count().max(1),
        }
    }
}

/// Why a receiver is not let in.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum AdmissionError {
    #[error(transparent)]
    Position(#[from] PositionError),
    #[error("{0}")]
    Receivers(AmqpError),
}

/// What one read of a partition gave.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Sequence number to go on with.
    pub(crate) next: i64,
    /// Whether the end was reached and the seat's bell will ring when there is more.
    pub(crate) waiting: bool,
    /// The end of the partition, if it was asked for.
    pub(crate) tail: Option<Tail>,
}

/// One partition: its log, and who reads it.
#[derive(Debug)]
pub(crate) struct Partition {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: PartitionLog,
    /// By consumer group.
    receivers: HashMap<String, Receivers<Seat>>,
    /// Who has read to the end and wants to know when there is more; each at most once.
    waiting: Vec<Seat>,
}

impl Partition {
    fn new(retention: Retention) -> Self {
        let log = PartitionLog::new(retention);
        let state = State { log, receivers: HashMap::new(), waiting: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    /// Stores events at `now` and wakes whoever waits for them.
    pub(crate) fn append(&self, events: &[Incoming], now: i64) {
        let waiting = {
            let mut state = self.lock();
            state.log.append(events, now);
            std::mem::take(&mut state.waiting)
        };
        for seat in waiting {
            seat.bell.ring(Signal::Appended(seat.link));
        }
    }

    /// Lets a receiver in at `start`, and tells those it displaces. The result is the sequence
    /// number of its first event.
    pub(crate) fn admit(
        &self,
        group: &str,
        receiver: Receiver<Seat>,
        start: &Start,
        limit: usize,
    ) -> Result<i64, AdmissionError> {
        let (position, displaced) = {
            let mut state = self.lock();
            let position = state.log.resolve(start)?;
            let receivers = state.receivers.entry(group.to_owned()).or_default();
            let displaced = receivers.admit(receiver, limit).map_err(AdmissionError::Receivers)?;
            for (seat, _) in &displaced {
                state.waiting.retain(|waiting| waiting != seat);
            }
            (position, displaced)
        };
        for (seat, error) in displaced {
            seat.bell.ring(Signal::Displaced(seat.link, error));
        }
        Ok(position)
    }

    /// Forgets a receiver.
    pub(crate) fn leave(&self, group: &str, seat: &Seat) {
        let mut state = self.lock();
        state.waiting.retain(|waiting| waiting != seat);
        if let Some(receivers) = state.receivers.get_mut(group) {
            receivers.leave(seat);
        }
    }

    /// Copies at most `count` events from sequence number `from` on into `out`, and no more after
    /// `bytes` are reached. When there is none the seat is put on the waiting list, unless it is
    /// there already. `tail_at` asks for the end of the partition at that time.
    pub(crate) fn read(
        &self,
        from: i64,
        (count, bytes): (usize, usize),
        seat: &Seat,
        tail_at: Option<i64>,
        out: &mut Vec<Stored>,
    ) -> Progress {
        let mut state = self.lock();
        let next = state.log.read(from, count, bytes, out);
        let waiting = out.is_empty() && next == state.log.end();
        if waiting && !state.waiting.contains(seat) {
            state.waiting.push(seat.clone());
        }
        let tail = tail_at.and_then(|now| state.log.tail(now));
        Progress { next, waiting, tail }
    }

    /// What the partition's runtime information tells.
    pub(crate) fn info(&self) -> LogInfo {
        self.lock().log.info()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        let config =
            Config::default().with_hub_config(HubConfig::new("Hub", 4).with_consumer_group("g1"));
        Namespace::new(&config).hub("hUB").unwrap()
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let hub = hub();
        assert_eq!(hub.name, "Hub");
        assert_eq!(hub.group("$DEFAULT"), Some("$Default"));
        assert_eq!(hub.group("G1"), Some("g1"));
        assert_eq!(hub.group("other"), None);
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
