//! What all parts of a host share.

use std::sync::Arc;

use eventhubs_client::Hub;
use tokio::sync::watch;

use crate::checkpointer::Checkpointer;
use crate::handler::Registered;
use crate::leaser::Leaser;
use crate::notice::Notices;
use crate::options::HostOptions;
use crate::owner::OwnerId;
use crate::statistics::Counters;

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
}
