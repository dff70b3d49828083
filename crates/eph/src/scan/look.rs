//! Looking at the hub and at the store: all that a plan needs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::Error;
use eventhubs_protocol::PartitionId;
use futures_util::future::{BoxFuture, Either, Shared as SharedFuture, join, join3, select};
use futures_util::{StreamExt, stream};
use tracing::Instrument;

use crate::clock;
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::host::Shared;
use crate::lease::LeaseTable;
use crate::ownership::Moment;
use crate::presence::{Presence, PresenceTable};

/// Leases that are made at the same time.
const ENSURES_MAX: usize = 32;

/// What to look for, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// What this host says of itself.
    pub(crate) presence: Presence,
    /// The partitions as last known; none before the hub told them.
    pub(crate) partitions: Vec<PartitionId>,
    /// Whether the store has to be made first, should it not be there.
    pub(crate) provision: bool,
    /// Time for the hub to answer.
    pub(crate) patience: Duration,
}

/// Ends when a look is not needed any more.
pub(crate) type Told = SharedFuture<BoxFuture<'static, ()>>;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// When it began.
    pub(crate) began: Moment,
    /// What this host said of itself.
    pub(crate) announced: Presence,
    /// The partitions: as the hub says, or as last known.
    pub(crate) partitions: Vec<PartitionId>,
    /// What the hub said instead of an answer.
    pub(crate) hub: Option<Error>,
    /// For how long the hub was waited for in vain.
    pub(crate) silence: Option<Duration>,
    /// The leases, with those that were made just now.
    pub(crate) table: Option<LeaseTable>,
    /// The hosts that are there; `None` when the store keeps none.
    pub(crate) presence: Option<PresenceTable>,
    /// Whether everything was read to its end, and this host announced.
    pub(crate) is_complete: bool,
    /// Leases that could not be read, each of them made anew if that was possible.
    pub(crate) corrupt: Vec<(PartitionId, StoreError)>,
    /// What the store said instead of answers.
    pub(crate) errors: Vec<StoreError>,
}

impl Found {
    /// Whether everybody answered, so that a host can begin. A lease that cannot be read keeps nobody
    /// from the others.
    pub(crate) fn is_reached(&self) -> bool {
        let is_known = |partition| {
            let Some(table) = &self.table else { return false };
            let is_corrupt = |(at, _): &(PartitionId, StoreError)| *at == partition;
            table.lease(partition).is_some() || table.corrupt.iter().any(is_corrupt)
        };
        let is_hub_there = self.hub.is_none() && self.silence.is_none();
        is_hub_there && self.is_complete && self.partitions.iter().copied().all(is_known)
    }

    /// For how long the store asked to be left alone.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let rests = self.errors.iter().filter_map(|error| match error.kind() {
            StoreErrorKind::Busy { after } => after,
            _ => None,
        });
        rests.max()
    }

    /// Whether the store refuses this program, which no waiting changes.
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.errors.iter().any(|error| error.kind() == StoreErrorKind::Unauthorized)
    }
}

/// Looks. Every call has a deadline of its own, and those that do not need each other run at the same
/// time. When `told` ends, nothing but the announcement is waited for: it could land after the host
/// has withdrawn.
///
/// Cancel safe, as the calls of stores are.
pub(crate) async fn look(shared: Arc<Shared>, wish: Wish, told: Told) -> Found {
    let span = tracing::debug_span!("scan", host = %shared.name);
    async move {
        let began = clock::moment();
        let hub = clock::within(wish.patience, shared.hub.runtime_information());
        let (hub, sight) = join(unless(&told, hub), see(&shared, &wish, &told)).await;
        let hub = hub.flatten();
        let silence = hub.is_none().then_some(wish.patience);
        let (partitions, hub) = match hub {
            Some(Ok(properties)) => (properties.partition_ids, None),
            Some(Err(error)) => (wish.partitions, Some(error)),
            None => (wish.partitions, None),
        };
        let Sight { table, presence, is_complete, mut errors } = sight;
        let mut corrupt = Vec::new();
        let table = match table {
            Some(table) => {
                corrupt.clone_from(&table.corrupt);
                let completed = unless(&told, complete(&shared, table, &partitions)).await;
                completed.map(|(table, failed)| {
                    errors.extend(failed);
                    table
                })
            }
            None => None,
        };
        let announced = wish.presence;
        Found {
            began,
            announced,
            partitions,
            hub,
            silence,
            table,
            presence,
            is_complete,
            corrupt,
            errors,
        }
    }
    .instrument(span)
    .await
}

/// What the store shows.
struct Sight {
    table: Option<LeaseTable>,
    presence: Option<PresenceTable>,
    is_complete: bool,
    errors: Vec<StoreError>,
}

/// Looks at the store. One that is not there is made, once.
async fn see(shared: &Shared, wish: &Wish, told: &Told) -> Sight {
    let nothing = |errors| Sight { table: None, presence: None, is_complete: false, errors };
    if wish.provision {
        return match unless(told, provision(shared)).await {
            Some(Ok(())) => see_once(shared, wish, told).await,
            Some(Err(errors)) => nothing(errors),
            None => nothing(Vec::new()),
        };
    }
    let sight = see_once(shared, wish, told).await;
    let is_gone = |error: &StoreError| error.kind() == StoreErrorKind::NotFound;
    match sight.errors.iter().any(is_gone) {
        false => sight,
        true => match unless(told, provision(shared)).await {
            Some(Ok(())) => see_once(shared, wish, told).await,
            Some(Err(errors)) => nothing(errors),
            None => sight,
        },
    }
}

async fn see_once(shared: &Shared, wish: &Wish, told: &Told) -> Sight {
    let leaser = &shared.leaser;
    let (announced, leases, presences) = join3(
        answered(shared, StoreOperation::Presence, leaser.announce(&wish.presence)),
        unless(told, answered(shared, StoreOperation::List, leaser.leases())),
        unless(told, answered(shared, StoreOperation::Presence, leaser.presences())),
    )
    .await;
    let mut errors = Vec::new();
    let is_announced = announced.map_err(|error| errors.push(error)).is_ok();
    let presence = presences.and_then(|seen| seen.map_err(|error| errors.push(error)).ok());
    let table = leases.and_then(|seen| seen.map_err(|error| errors.push(error)).ok());
    let is_complete = is_announced && presence.is_some() && table.is_some();
    Sight { table, presence: presence.flatten(), is_complete, errors }
}

/// Makes both stores, if they are not there.
async fn provision(shared: &Shared) -> Result<(), Vec<StoreError>> {
    let (leases, checkpoints) = join(
        answered(shared, StoreOperation::Provision, shared.leaser.ensure_store()),
        answered(shared, StoreOperation::Provision, shared.checkpointer.ensure_store()),
    )
    .await;
    let errors: Vec<_> = leases.err().into_iter().chain(checkpoints.err()).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(errors),
    }
}

/// The table with a lease for each partition: what is missing or cannot be read is made. What that
/// fails for stays as it was.
async fn complete(
    shared: &Shared,
    table: LeaseTable,
    partitions: &[PartitionId],
) -> (LeaseTable, Vec<StoreError>) {
    let LeaseTable { date, mut leases, mut corrupt, .. } = table;
    let is_missing =
        |partition: &PartitionId| !leases.iter().any(|lease| lease.partition == *partition);
    let missing: Vec<_> = partitions.iter().copied().filter(is_missing).collect();
    let ensures = missing
        .into_iter()
        .map(|partition| answered(shared, StoreOperation::Ensure, shared.leaser.ensure(partition)));
    let made: Vec<_> = stream::iter(ensures).buffer_unordered(ENSURES_MAX).collect().await;
    let mut errors = Vec::new();
    for made in made {
        match made {
            Ok(lease) => {
                corrupt.retain(|(partition, _)| *partition != lease.partition);
                leases.push(lease);
            }
            Err(error) => errors.push(error),
        }
    }
    let mut table = LeaseTable::new(date, leases);
    table.corrupt = corrupt;
    (table, errors)
}

/// What `work` gives, unless it is not needed any more.
async fn unless<T>(told: &Told, work: impl Future<Output = T>) -> Option<T> {
    match select(told.clone(), pin!(work)).await {
        Either::Left(_) => None,
        Either::Right((output, _)) => Some(output),
    }
}

/// What a call to the store gives, by the deadline of calls.
pub(super) async fn answered<T>(
    shared: &Shared,
    operation: StoreOperation,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let limit = shared.options.timing.call();
    clock::within(limit, call).await.unwrap_or_else(|| {
        let detail = format!("nothing came within {limit:?}");
        Err(StoreError::new(StoreErrorKind::Timeout, operation, "the store", detail))
    })
}
