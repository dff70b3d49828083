//! What the parent sees of the hub and the store while the hosts work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventhubs_client::PartitionId;
use eventhubs_eph::{Checkpointer as _, FileStore, Leaser as _};

use super::herd::Herd;
use crate::chronicle::{Attached, Holding, Look, Span};
use crate::run::clock::{Clock, rest};
use crate::run::site::Site;

/// How often the owners at the hub are looked at, and the checkpoints in the store.
const OWNERS_EVERY: Duration = Duration::from_millis(20);
const CHECKPOINTS_EVERY: Duration = Duration::from_secs(1);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) attached: Vec<Attached>,
    pub(super) crowds: Vec<(u64, u16)>,
    pub(super) looks: Vec<Look>,
}

/// Looks, until it is dropped.
#[derive(Debug, Clone)]
pub(super) struct Watcher {
    pub(super) site: Arc<Site>,
    pub(super) store: FileStore,
    pub(super) herd: Arc<Herd>,
    pub(super) clock: Clock,
    pub(super) partitions: u16,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Watcher {
    /// The owners that the hub has, and processes that end by themselves.
    pub(super) async fn owners(self) {
        let mut last: Vec<Option<i64>> = vec![None; usize::from(self.partitions)];
        loop {
            let at = self.clock.micros();
            for (partition, levels) in self.site.owner_levels() {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if levels.len() > 1 {
                    seen.crowds.push((at, partition));
                }
                let level = levels.into_iter().max();
                let before = &mut last[usize::from(partition)];
                if let Some(level) = level.filter(|level| *before != Some(*level)) {
                    *before = Some(level);
                    seen.attached.push(Attached { at, partition, level });
                }
            }
            self.herd.look();
            rest(OWNERS_EVERY).await;
        }
    }

    /// The checkpoints that the store has.
    pub(super) async fn checkpoints(self) {
        loop {
            for partition in 0..self.partitions {
                let from = self.clock.micros();
                let Ok(stored) = self.store.load(PartitionId::from(partition)).await else {
                    continue;
                };
                let span = Span { from, to: self.clock.micros() };
                let sequence = stored.map(|checkpoint| checkpoint.sequence_number.as_i64());
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.looks.push(Look { span, partition, sequence });
            }
            rest(CHECKPOINTS_EVERY).await;
        }
    }

    /// Who owns what by the store at this moment; `None` when it does not tell.
    pub(super) async fn holding(&self) -> Option<Holding> {
        let table = self.store.leases().await.ok()?;
        let owner = |partition: u16| {
            let lease = table.lease(PartitionId::from(partition))?;
            let owner = lease.owner.as_ref().filter(|_| !lease.is_free(table.date))?;
            Some((owner.as_str().to_owned(), lease.epoch.as_i64()))
        };
        let owners = (0..self.partitions).map(owner).collect();
        Some(Holding { at: self.clock.micros(), owners })
    }
}
