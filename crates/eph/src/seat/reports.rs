//! What the keeper was told and did not look at yet.

use eventhubs_protocol::OwnerLevel;
use tokio::sync::oneshot;

use crate::ownership::Refusal;
use crate::partition::CloseReason;

/// One of each at most: what is told again replaces or joins what was told.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) is_stolen: bool,
    pub(crate) refused: Option<Refused>,
    /// Whether there is a receiver now.
    pub(crate) link: Option<bool>,
    /// Somebody waits for a checkpoint.
    pub(crate) is_wanted: bool,
    /// The partition is to be given back.
    pub(crate) release: Option<CloseReason>,
}

/// The hub refused a receiver of this level.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The level it knows.
    pub(crate) existing: Option<OwnerLevel>,
    /// Who waits for another level.
    pub(crate) answer: oneshot::Sender<Result<OwnerLevel, Refusal>>,
}
