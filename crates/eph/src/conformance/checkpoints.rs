//! Cases about checkpoints.

use std::sync::Arc;

use eventhubs_protocol::{OwnerLevel, PartitionId};
use tokio::task::JoinSet;

use super::stand::{Stand, begin, checkpoint, claim, not_found, partition};
use super::{Failure, Verdict, cases, check};
use crate::checkpoint::{Checkpoint, Commit, Fence};
use crate::checkpointer::Checkpointer;
use crate::error::StoreErrorKind;
use crate::lease::{EpochMode, Lease};

cases! {
    a_store_is_made_once: "ensure_store makes the store if it is not there",
    a_deleted_store_is_gone: "delete_store deletes all checkpoints, and says whether there was a store",
    no_store_is_an_error: "without a store every call about checkpoints is NotFound",
    no_checkpoint_is_none: "load is None, and no error, where nothing was stored",
    a_first_owner_finds_nothing: "ensure of a partition without a checkpoint is Up(None), and stores none",
    a_checkpoint_is_loaded_as_stored: "load gives offset, number and time exactly as they were stored",
    a_checkpoint_never_goes_back: "a lower number is Behind, told what is stored, and changes nothing",
    storing_again_is_stored: "the checkpoint that is stored already is Stored, and changes nothing",
    a_former_owner_stores_nothing: "once a new owner ensured, a store of the former one is Lost and changes nothing",
    a_new_owner_finds_the_last_checkpoint: "ensure gives a new owner the last checkpoint that was stored",
    a_former_owner_takes_nothing_back: "once a new owner ensured, ensure of the former one is Lost",
    a_returning_owner_needs_a_new_ownership: "an old ownership stores nothing, even when its owner owns again",
    ensuring_again_changes_nothing: "ensure may be called again by the same ownership",
    an_owner_of_level_zero_is_fenced: "ownerships of level 0 are fenced by their tokens",
    what_was_not_ensured_is_not_stored: "store without ensure is not Stored",
    a_deleted_checkpoint_is_gone: "delete removes a checkpoint for good, after which its owner has to ensure again",
    a_release_keeps_the_checkpoint: "releasing a lease leaves the checkpoint for the next owner",
    checkpoints_are_apart: "what happens to one partition's checkpoint changes no other",
    the_highest_of_many_stays: "of many stores at once the highest number stays",
    nothing_acknowledged_is_lost_at_a_takeover: "a new owner finds at least every checkpoint that was acknowledged, and no later one lands",
    a_dropped_store_can_be_followed: "a store whose future was dropped lands or not, never after a later one",
    closing_is_idempotent: "close may be called again, and other handles go on",
}

async fn a_store_is_made_once(stand: &Stand) -> Verdict {
    let (one, other) = (stand.checkpointer(), stand.checkpointer());
    check!(!one.store_exists().await?, "there is a store before it was made");
    check!(one.ensure_store().await?, "the first ensure_store says that it made nothing");
    check!(other.store_exists().await?, "a store that was made does not exist for another handle");
    check!(!other.ensure_store().await?, "the second ensure_store says that it made the store");
    Ok(())
}

async fn a_deleted_store_is_gone(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 5).await?;
    check!(checkpointer.delete_store().await?, "delete_store says that there was no store");
    check!(!checkpointer.store_exists().await?, "a deleted store exists");
    check!(!checkpointer.delete_store().await?, "the second says that there was a store");
    check!(checkpointer.ensure_store().await?, "a deleted store cannot be made again");
    stand.expect(partition(), None).await
}

async fn no_store_is_an_error(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    checkpointer.delete_store().await?;
    not_found("load", checkpointer.load(partition()).await)?;
    not_found("ensure", checkpointer.ensure(&lease).await)?;
    not_found("store", checkpointer.store(&lease, &checkpoint(1)?).await)?;
    not_found("delete", checkpointer.delete(partition()).await)?;
    check!(!checkpointer.store_exists().await?, "a failed call made the store");
    Ok(())
}

async fn no_checkpoint_is_none(stand: &Stand) -> Verdict {
    stand.both().await?;
    stand.expect(partition(), None).await?;
    stand.own(partition()).await?;
    stand.expect(partition(), None).await
}

async fn a_first_owner_finds_nothing(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (_, before) = stand.enter(partition()).await?;
    check!(before.is_none(), "the first owner found {before:?}");
    stand.expect(partition(), None).await
}

async fn a_checkpoint_is_loaded_as_stored(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    for number in [0, 1, 41, i64::from(u32::MAX) + 7] {
        stand.commit(&lease, number).await?;
        stand.expect(partition(), Some(number)).await?;
    }
    let text = r#"a"b\c/ä 7:%41"#;
    let offset = eventhubs_protocol::Offset::new(text)
        .map_err(|error| Failure(format!("the suite is wrong: {error}")))?;
    let odd = Checkpoint::new(offset, (i64::MAX - 1).into(), None);
    let commit = stand.checkpointer().store(&lease, &odd).await?;
    let loaded = stand.checkpointer().load(partition()).await?;
    check!(commit == Commit::Stored && loaded == Some(odd.clone()), "{odd:?} became {loaded:?}");
    Ok(())
}

async fn a_checkpoint_never_goes_back(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 10).await?;
    let commit = checkpointer.store(&lease, &checkpoint(9)?).await?;
    check!(commit == Commit::Behind(checkpoint(10)?), "storing 9 after 10 gave {commit:?}");
    stand.expect(partition(), Some(10)).await?;
    // Nor under the next owner.
    let (lease, _) = stand.enter(partition()).await?;
    let commit = checkpointer.store(&lease, &checkpoint(3)?).await?;
    check!(commit == Commit::Behind(checkpoint(10)?), "storing 3 after 10 gave {commit:?}");
    stand.expect(partition(), Some(10)).await
}

async fn storing_again_is_stored(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 10).await?;
    stand.commit(&lease, 10).await?;
    stand.expect(partition(), Some(10)).await
}

/// Checks that an ownership stores nothing any more.
async fn is_fenced(stand: &Stand, lease: &Lease, number: i64, stored: i64) -> Verdict {
    let commit = stand.checkpointer().store(lease, &checkpoint(number)?).await?;
    check!(commit == Commit::Lost, "the former owner stored {number} after {stored}: {commit:?}");
    stand.expect(partition(), Some(stored)).await
}

async fn a_former_owner_stores_nothing(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (first, _) = stand.enter(partition()).await?;
    stand.commit(&first, 5).await?;
    let (second, _) = stand.enter(partition()).await?;
    is_fenced(stand, &first, 7, 5).await?;
    stand.commit(&second, 8).await?;
    is_fenced(stand, &first, 9, 8).await?;
    // Not even what would change nothing.
    is_fenced(stand, &first, 8, 8).await
}

async fn a_new_owner_finds_the_last_checkpoint(stand: &Stand) -> Verdict {
    stand.both().await?;
    for number in 0..4 {
        let (lease, before) = stand.enter(partition()).await?;
        let expected = (number > 0).then(|| checkpoint(number - 1)).transpose()?;
        check!(before == expected, "a new owner found {before:?}, {expected:?} was stored");
        stand.commit(&lease, number).await?;
    }
    Ok(())
}

async fn a_former_owner_takes_nothing_back(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (first, _) = stand.enter(partition()).await?;
    let (second, _) = stand.enter(partition()).await?;
    let fence = checkpointer.ensure(&first).await?;
    check!(fence == Fence::Lost { epoch: second.epoch }, "the former owner got {fence:?}");
    stand.commit(&second, 5).await?;
    is_fenced(stand, &first, 6, 5).await
}

async fn a_returning_owner_needs_a_new_ownership(stand: &Stand) -> Verdict {
    stand.both().await?;
    let owner = claim().owner;
    let again = || super::stand::claim_of(&owner);
    let first = stand.own_by(partition(), &again()).await?;
    stand.fence(&first).await?;
    stand.commit(&first, 1).await?;
    let second = stand.own_by(partition(), &again()).await?;
    stand.fence(&second).await?;
    is_fenced(stand, &first, 2, 1).await?;
    stand.commit(&second, 2).await
}

async fn ensuring_again_changes_nothing(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 5).await?;
    let before = stand.fence(&lease).await?;
    check!(before == Some(checkpoint(5)?), "ensuring again found {before:?}");
    stand.commit(&lease, 6).await?;
    stand.expect(partition(), Some(6)).await
}

async fn an_owner_of_level_zero_is_fenced(stand: &Stand) -> Verdict {
    stand.both().await?;
    let zero = || claim().with_epochs(EpochMode::Zero);
    let first = stand.own_by(partition(), &zero()).await?;
    stand.fence(&first).await?;
    stand.commit(&first, 5).await?;
    let second = stand.own_by(partition(), &zero()).await?;
    check!(second.epoch == OwnerLevel::ZERO, "the level is {}", second.epoch);
    let before = stand.fence(&second).await?;
    check!(before == Some(checkpoint(5)?), "a new owner found {before:?}");
    is_fenced(stand, &first, 7, 5).await?;
    stand.commit(&second, 6).await
}

async fn what_was_not_ensured_is_not_stored(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let lease = stand.own(partition()).await?;
    match checkpointer.store(&lease, &checkpoint(5)?).await {
        Ok(Commit::Lost) => {}
        Err(error) if error.kind() == StoreErrorKind::NotFound => {}
        other => check!(false, "it gave {other:?}"),
    }
    stand.expect(partition(), None).await
}

async fn a_deleted_checkpoint_is_gone(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 9).await?;
    check!(checkpointer.delete(partition()).await?, "delete says that there was no checkpoint");
    check!(!checkpointer.delete(partition()).await?, "the second says that there was one");
    stand.expect(partition(), None).await?;
    not_found("store", checkpointer.store(&lease, &checkpoint(10)?).await)?;
    let before = stand.fence(&lease).await?;
    check!(before.is_none(), "a deleted checkpoint came back: {before:?}");
    // This is how one goes back.
    stand.commit(&lease, 2).await?;
    stand.expect(partition(), Some(2)).await
}

async fn a_release_keeps_the_checkpoint(stand: &Stand) -> Verdict {
    let (leaser, _) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 9).await?;
    leaser.release(&lease).await?;
    stand.expect(partition(), Some(9)).await?;
    let (_, before) = stand.enter(partition()).await?;
    check!(before == Some(checkpoint(9)?), "the next owner found {before:?}");
    Ok(())
}

async fn checkpoints_are_apart(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (here, there) = (PartitionId::from(1), PartitionId::from(11));
    let ((one, _), (other, before)) = (stand.enter(here).await?, stand.enter(there).await?);
    check!(before.is_none(), "partition 11 began with {before:?}");
    stand.commit(&one, 5).await?;
    stand.expect(there, None).await?;
    stand.commit(&other, 3).await?;
    stand.expect(here, Some(5)).await?;
    checkpointer.delete(here).await?;
    stand.expect(there, Some(3)).await?;
    stand.commit(&other, 4).await
}

async fn the_highest_of_many_stays(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    let mut tasks = JoinSet::new();
    for task in 0..8_i64 {
        let (checkpointer, lease) = (stand.checkpointer(), lease.clone());
        tasks.spawn(async move {
            for step in 0..6 {
                let number = (task * 5 + step * 7) % 48;
                let commit = checkpointer.store(&lease, &checkpoint(number)?).await?;
                check!(commit != Commit::Lost, "an owner stored {number}: {commit:?}");
                let stored = checkpointer.load(partition()).await?;
                let stored = stored.map(|stored| stored.sequence_number.as_i64());
                check!(stored >= Some(number), "{number} was taken, and {stored:?} is stored");
            }
            Ok::<_, Failure>(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    let highest = (0..8).flat_map(|task| (0..6).map(move |step| (task * 5 + step * 7) % 48)).max();
    stand.expect(partition(), highest).await
}

async fn nothing_acknowledged_is_lost_at_a_takeover(stand: &Stand) -> Verdict {
    stand.both().await?;
    let (mut lease, _) = stand.enter(partition()).await?;
    for round in 0..6_i64 {
        let task = tokio::spawn(store_until_lost(stand.checkpointer(), lease, round * 1_000));
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let next = stand.own(partition()).await?;
        let before = stand.fence(&next).await?;
        // From here on nothing may land, whatever was under way.
        let found = before.map_or(-1, |before| before.sequence_number.as_i64());
        stand.commit(&next, (round + 1) * 1_000 - 1).await?;
        let acknowledged = match task.await {
            Ok(result) => result?,
            Err(error) => return Err(Failure(format!("the suite is wrong: {error}"))),
        };
        let is_whole = acknowledged.is_none_or(|acknowledged| found >= acknowledged);
        check!(is_whole, "{acknowledged:?} was acknowledged, the next owner found {found}");
        stand.expect(partition(), Some((round + 1) * 1_000 - 1)).await?;
        lease = next;
    }
    Ok(())
}

/// Stores one number after the other as long as that works; the last that was acknowledged.
async fn store_until_lost(
    checkpointer: Arc<dyn Checkpointer>,
    lease: Lease,
    first: i64,
) -> Result<Option<i64>, Failure> {
    let mut acknowledged = None;
    for number in first..first + 900 {
        match checkpointer.store(&lease, &checkpoint(number)?).await? {
            Commit::Stored => acknowledged = Some(number),
            Commit::Lost => return Ok(acknowledged),
            Commit::Behind(stored) => {
                return Err(Failure(format!("an owner was behind {stored:?} at {number}")));
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(acknowledged)
}

async fn a_dropped_store_can_be_followed(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let lease = stand.own(partition()).await?;
    begin(checkpointer.ensure(&lease)).await;
    stand.fence(&lease).await?;
    for number in 0..8 {
        begin(checkpointer.store(&lease, &checkpoint(number * 2)?)).await;
        stand.commit(&lease, number * 2 + 1).await?;
        stand.expect(partition(), Some(number * 2 + 1)).await?;
    }
    Ok(())
}

async fn closing_is_idempotent(stand: &Stand) -> Verdict {
    let (_, checkpointer) = stand.both().await?;
    let (lease, _) = stand.enter(partition()).await?;
    stand.commit(&lease, 5).await?;
    let other = stand.checkpointer();
    checkpointer.close().await?;
    checkpointer.close().await?;
    let commit = other.store(&lease, &checkpoint(6)?).await?;
    check!(commit == Commit::Stored, "another handle stored nothing: {commit:?}");
    stand.expect(partition(), Some(6)).await
}
