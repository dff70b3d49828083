//! What came of writing checkpoints, for those who wait for it.

use eventhubs_protocol::{PartitionId, SequenceNumber};

use crate::checkpoint::Checkpoint;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::partition::{CheckpointError, CloseReason, Committed};

/// What became of writes so far.
#[derive(Debug, Default)]
pub(crate) struct Written {
    checkpoint: Option<Checkpoint>,
    /// The last failure since the last success.
    failure: Option<StoreError>,
    /// How often the store said what another try does not change.
    refusals: u64,
    over: Option<CloseReason>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// What was done when it began.
    pub(super) target: Option<SequenceNumber>,
    /// Whether the store had that already.
    is_there: bool,
    refusals: u64,
    /// Whether it comes too late.
    was_over: bool,
}

impl Written {
    /// The store has this.
    pub(crate) fn stored(&mut self, checkpoint: Option<Checkpoint>) {
        if checkpoint.is_some() {
            self.checkpoint = checkpoint;
        }
        self.failure = None;
    }

    pub(crate) fn failed(&mut self, error: StoreError) {
        if !error.is_retryable() && error.kind() != StoreErrorKind::NotFound {
            self.refusals += 1;
        }
        self.failure = Some(error);
    }

    /// Nothing is written any more.
    pub(crate) fn end(&mut self, reason: CloseReason) {
        self.over.get_or_insert(reason);
    }

    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Somebody begins to wait until `target` is durable.
    pub(super) fn wish(&self, target: Option<SequenceNumber>) -> Wish {
        let was_over = self.over.is_some();
        Wish { target, is_there: self.has(target), refusals: self.refusals, was_over }
    }

    /// The answer, as soon as there is one.
    pub(super) fn answer(&self, wish: Wish) -> Option<Result<Committed, CheckpointError>> {
        if self.has(wish.target) && !wish.was_over {
            let checkpoint = self.checkpoint.clone();
            return Some(Ok(match checkpoint {
                Some(checkpoint) if !wish.is_there => Committed::Stored(checkpoint),
                checkpoint => Committed::Unchanged(checkpoint),
            }));
        }
        if let Some(reason) = self.over {
            return Some(Err(CheckpointError::Ended(reason)));
        }
        let failure = self.failure.as_ref().filter(|_| self.refusals > wish.refusals)?;
        Some(Err(CheckpointError::Store(failure.clone())))
    }

    /// The answer to who waited for too long.
    pub(super) fn late(&self, partition: PartitionId) -> CheckpointError {
        CheckpointError::Store(self.failure.clone().unwrap_or_else(|| {
            let entity = format!("partition {partition}");
            let detail = "it is still being written";
            StoreError::new(StoreErrorKind::Timeout, StoreOperation::Store, entity, detail)
        }))
    }

    fn has(&self, target: Option<SequenceNumber>) -> bool {
        let stored = self.checkpoint.as_ref().map(|checkpoint| checkpoint.sequence_number);
        target.is_none_or(|target| stored.is_some_and(|stored| stored >= target))
    }
}
