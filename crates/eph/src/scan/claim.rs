//! One claim to one partition.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tracing::Instrument;

use super::look::answered;
use crate::balance::TakeReason;
use crate::clock;
use crate::error::{StoreError, StoreOperation};
use crate::host::Shared;
use crate::lease::{Acquire, Claim, Lease};
use crate::ownership::Moment;

/// Calls that one claim makes at most. What is still unknown then is found by the next scan: the
/// store has the partition as this host's.
const TRIES: u32 = 2;

/// What came of a claim.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The lease as it was seen.
    pub(crate) seen: Lease,
    /// Why it was claimed.
    pub(crate) reason: TakeReason,
    /// When it was asked for first: a repetition proves no more than the first call.
    pub(crate) asked: Moment,
    pub(crate) outcome: Outcome,
}

/// See [`Claimed`].
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The partition is owned under this lease.
    Won(Lease),
    /// Another host was faster, or what was seen is too old to act on.
    Lost,
    /// The store failed.
    Failed(StoreError),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Won(lease) => write!(f, "won at owner level {}", lease.epoch),
            Self::Lost => f.write_str("lost"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// Claims a partition, when it is its turn. A call whose outcome nobody knows is repeated as it was,
/// so that it is the same claim to the store.
///
/// Cancel safe, as the calls of stores are.
pub(crate) async fn claim(
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
    seen: Lease,
    claim: Claim,
    reason: TakeReason,
) -> Claimed {
    let partition = seen.partition;
    let span = tracing::debug_span!("acquire", host = %shared.name, %partition, %reason);
    async move {
        let planned = clock::moment();
        let _turn = turns.acquire().await;
        let asked = clock::moment();
        let outcome = match asked.monotonic - planned.monotonic > shared.options.scan {
            true => Outcome::Lost,
            false => call(&shared, &seen, &claim).await,
        };
        tracing::debug!(%outcome);
        Claimed { seen, reason, asked, outcome }
    }
    .instrument(span)
    .await
}

async fn call(shared: &Shared, seen: &Lease, claim: &Claim) -> Outcome {
    let mut tries = 1;
    loop {
        let acquire = shared.leaser.acquire(seen, claim);
        match answered(shared, StoreOperation::Acquire, acquire).await {
            Ok(Acquire::Won(lease)) => return Outcome::Won(lease),
            Ok(Acquire::Lost(_)) => return Outcome::Lost,
            Err(error) if error.may_have_been_written() && tries < TRIES => tries += 1,
            Err(error) => return Outcome::Failed(error),
        }
    }
}
