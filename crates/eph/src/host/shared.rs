//! What all parts of a host share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_client::Hub;
use eventhubs_protocol::PartitionId;
use tokio::sync::watch;

use crate::checkpointer::Checkpointer;
use crate::clock;
use crate::handler::Registered;
use crate::leaser::Leaser;
use crate::notice::{HostEvent, Notices};
use crate::options::HostOptions;
use crate::owner::OwnerId;
use crate::statistics::Counters;
use crate::suspicion::{Misconfiguration, Suspicion};

/// What the scanner, the keepers and the pumps of a host share. Nothing in it is changed by more
/// than one of them, and nothing in it is locked across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) leaser: Arc<dyn Leaser>,
    pub(crate) checkpointer: Arc<dyn Checkpointer>,
    pub(crate) options: HostOptions,
    pub(crate) owner: OwnerId,
    pub(crate) name: String,
    /// The handlers as they are now.
    pub(crate) handlers: watch::Receiver<Arc<[Registered]>>,
    /// Whether handlers get no more events for now.
    pub(crate) paused: watch::Receiver<bool>,
    pub(crate) notices: Notices,
    pub(crate) counters: Counters,
    pub(crate) suspicion: Mutex<Suspicion>,
}

impl Shared {
    /// Partitions that are left to others because of what is suspected.
    pub(crate) fn held_off(&self, now: Duration) -> BTreeSet<PartitionId> {
        self.suspicion().held_off(now)
    }

    /// Whether all partitions are.
    pub(crate) fn stands_by(&self, now: Duration) -> bool {
        self.suspicion().stands_by(now)
    }

    fn suspicion(&self) -> MutexGuard<'_, Suspicion> {
        self.suspicion.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the suspicion something, with the time of the monotonic clock, and tells everybody
    /// what it makes of it.
    pub(crate) fn suspect<T: IntoIterator<Item = Misconfiguration>>(
        &self,
        tell: impl FnOnce(&mut Suspicion, Duration) -> T,
    ) {
        let now = clock::moment().monotonic;
        let told = tell(&mut self.suspicion(), now);
        for what in told {
            tracing::warn!(%what, "set up wrongly");
            self.notices.tell(HostEvent::Misconfigured(what));
        }
    }
}
