//! What cases have in common: a store, and the usual steps on it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use eventhubs_protocol::{Offset, PartitionId, SequenceNumber, Timestamp};

use super::{Failure, Subject, check};
use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::checkpointer::Checkpointer;
use crate::error::{StoreError, StoreErrorKind};
use crate::lease::{Acquire, Claim, Hold, Lease};
use crate::leaser::Leaser;
use crate::owner::{LeaseToken, OwnerId};

/// The partition most cases are about.
pub(super) fn partition() -> PartitionId {
    PartitionId::from(3)
}

/// How long leases of the suite last.
pub(super) const DURATION: Duration = Duration::from_secs(30);

/// A claim of a new owner.
pub(super) fn claim() -> Claim {
    claim_of(&OwnerId::unique())
}

/// A new claim of an owner.
pub(super) fn claim_of(owner: &OwnerId) -> Claim {
    Claim::new(owner.clone(), LeaseToken::unique()).with_duration(DURATION)
}

/// A checkpoint after the event with this number.
pub(super) fn checkpoint(number: i64) -> Result<Checkpoint, Failure> {
    let offset = Offset::new(&format!("{}:{number}", number * 512))
        .map_err(|error| Failure(format!("the suite is wrong: {error}")))?;
    let enqueued = Timestamp::from_millis(1_700_000_000_123 + number);
    Ok(Checkpoint::new(offset, SequenceNumber::from(number), Some(enqueued)))
}

/// What a claim won.
pub(super) fn won(acquire: Acquire) -> Result<Lease, Failure> {
    match acquire {
        Acquire::Won(lease) => Ok(lease),
        Acquire::Lost(current) => Err(Failure(format!("a claim was lost, to {current:?}"))),
    }
}

/// The lease that was kept.
pub(super) fn kept(hold: Hold) -> Result<Lease, Failure> {
    match hold {
        Hold::Kept(lease) => Ok(lease),
        Hold::Lost(current) => Err(Failure(format!("an ownership was lost, to {current:?}"))),
    }
}

/// Checks that a call failed because something does not exist.
pub(super) fn not_found<T>(what: &str, result: Result<T, StoreError>) -> Result<(), Failure> {
    match result {
        Ok(_) => Err(Failure(format!("{what} succeeded where there is nothing"))),
        Err(error) => {
            let kind = error.kind();
            check!(kind == StoreErrorKind::NotFound, "{what} is {kind:?}, not NotFound: {error}");
            Ok(())
        }
    }
}

/// Begins a call and drops it.
pub(super) async fn begin<F: Future + Unpin>(mut call: F) {
    std::future::poll_fn(|context| {
        let _ = Pin::new(&mut call).poll(context);
        Poll::Ready(())
    })
    .await;
}

/// A store under judgement.
pub(super) struct Stand {
    subject: Arc<dyn Subject>,
}

impl Stand {
    pub(super) fn new(subject: Arc<dyn Subject>) -> Self {
        Self { subject }
    }

    pub(super) fn leaser(&self) -> Arc<dyn Leaser> {
        self.subject.leaser()
    }

    pub(super) fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        self.subject.checkpointer()
    }

    pub(super) async fn pass(&self, span: Duration) {
        self.subject.pass(span).await;
    }

    /// A leaser whose store exists.
    pub(super) async fn made(&self) -> Result<Arc<dyn Leaser>, Failure> {
        let leaser = self.leaser();
        leaser.ensure_store().await?;
        Ok(leaser)
    }

    /// A checkpointer whose store exists, and the leaser beside it.
    pub(super) async fn both(&self) -> Result<(Arc<dyn Leaser>, Arc<dyn Checkpointer>), Failure> {
        let (leaser, checkpointer) = (self.made().await?, self.checkpointer());
        checkpointer.ensure_store().await?;
        Ok((leaser, checkpointer))
    }

    /// A lease of the partition as a listing shows it.
    pub(super) async fn seen(&self, partition: PartitionId) -> Result<Lease, Failure> {
        let table = self.leaser().leases().await?;
        let lease = table.lease(partition).cloned();
        lease.ok_or_else(|| Failure(format!("partition {partition} is not listed")))
    }

    /// Owns a partition for a new owner, whoever has it.
    pub(super) async fn own(&self, partition: PartitionId) -> Result<Lease, Failure> {
        self.own_by(partition, &claim()).await
    }

    /// Owns a partition by a claim, whoever has it.
    pub(super) async fn own_by(
        &self,
        partition: PartitionId,
        claim: &Claim,
    ) -> Result<Lease, Failure> {
        let leaser = self.leaser();
        let seen = leaser.ensure(partition).await?;
        won(leaser.acquire(&seen, claim).await?)
    }

    /// Owns a partition and its checkpoint; what was stored before.
    pub(super) async fn enter(
        &self,
        partition: PartitionId,
    ) -> Result<(Lease, Option<Checkpoint>), Failure> {
        let lease = self.own(partition).await?;
        let before = self.fence(&lease).await?;
        Ok((lease, before))
    }

    /// Takes a checkpoint over.
    pub(super) async fn fence(&self, lease: &Lease) -> Result<Option<Checkpoint>, Failure> {
        match self.checkpointer().ensure(lease).await? {
            Fence::Up(before) => Ok(before),
            Fence::Lost { epoch } => {
                Err(Failure(format!("an owner could not take over, level {epoch} has it")))
            }
        }
    }

    /// Stores a checkpoint that must land.
    pub(super) async fn commit(&self, lease: &Lease, number: i64) -> Result<(), Failure> {
        let commit = self.checkpointer().store(lease, &checkpoint(number)?).await?;
        check!(commit == Commit::Stored, "storing {number} gave {commit:?}");
        Ok(())
    }

    /// Checks what is stored.
    pub(super) async fn expect(
        &self,
        partition: PartitionId,
        number: Option<i64>,
    ) -> Result<(), Failure> {
        let stored = self.checkpointer().load(partition).await?;
        let expected = number.map(checkpoint).transpose()?;
        check!(stored == expected, "the store has {stored:?}, {expected:?} is due");
        Ok(())
    }
}
