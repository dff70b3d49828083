//! What the task of a host owns and has found out, for those who look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eventhubs_client::Error;
use eventhubs_protocol::PartitionId;
use tokio::time::Instant;

use crate::error::StoreError;
use crate::health::{PartitionHealth, PartitionStage};
use crate::keeper::Keeper;
use crate::scan::Found;

/// See the [module](self). Only the task changes it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The ownerships that have not ended.
    pub(super) keepers: BTreeMap<PartitionId, Arc<Keeper>>,
    /// The partitions of the hub as last known.
    pub(super) partitions: Vec<PartitionId>,
    /// When all leases were looked at last.
    pub(super) scanned: Option<Instant>,
    /// What the hub said last, if that was no answer.
    pub(super) hub: Option<Error>,
    pub(super) is_hub_silent: bool,
    /// What the store said last, if that was no answer.
    pub(super) store: Option<StoreError>,
    pub(super) corrupt: Vec<(PartitionId, StoreError)>,
    /// Partitions that are not taken again.
    pub(super) stopped: BTreeSet<PartitionId>,
}

impl Facts {
    /// Takes note of a look that ended `now`.
    pub(super) fn found(&mut self, found: &Found, now: Instant) {
        self.partitions.clone_from(&found.partitions);
        self.hub.clone_from(&found.hub);
        self.is_hub_silent = found.silence.is_some();
        self.store = found.errors.last().cloned();
        self.corrupt.clone_from(&found.corrupt);
        if found.is_complete {
            self.scanned = Some(now);
        }
    }

    /// How each partition is.
    pub(super) fn partition_health(&self) -> Vec<PartitionHealth> {
        self.keepers.values().map(|keeper| keeper.health()).collect()
    }

    /// The partitions that are processed: not those on their way out.
    pub(super) fn processed(&self) -> Vec<PartitionId> {
        let health = self.partition_health().into_iter();
        let open = health.filter(|health| health.stage != PartitionStage::Closing);
        open.map(|health| health.partition).collect()
    }
}
