//! Cases about the store, its leases as records, and presence.

use std::time::Duration;

use eventhubs_protocol::{OwnerLevel, PartitionId};
use tokio::task::JoinSet;

use super::stand::{DURATION, Stand, claim, kept, not_found, partition};
use super::{Verdict, cases, check};
use crate::lease::{Acquire, Hold, Lease};
use crate::owner::OwnerId;
use crate::presence::Presence;

cases! {
    a_store_is_made_once: "ensure_store makes the store, and says whether this call did",
    a_deleted_store_is_gone: "delete_store deletes all leases, and says whether there was a store",
    no_store_is_an_error: "without a store every call about leases is NotFound, never an empty answer",
    an_ensured_lease_is_free: "ensure makes a lease that is free and has owner level 0",
    ensuring_changes_nothing: "ensure leaves a lease that exists as it is",
    many_ensure_at_once: "of many that ensure at once one makes the lease",
    a_list_is_complete: "leases has every lease exactly once, in order",
    lists_are_complete_under_way: "leases is complete while leases are written",
    a_list_has_a_date: "the date of a list is the store's clock: it moves, and is not before what is listed",
    a_deleted_lease_is_gone: "delete removes a lease for good, and says whether there was one",
    versions_never_come_again: "no version is given twice, not even after a lease was deleted",
    closing_is_idempotent: "close may be called again, and other handles go on",
    presences_are_kept_or_not: "a store keeps presences wholly or not at all",
    presences_are_kept_as_they_are: "weights and maxima are kept, zero too",
}

async fn a_store_is_made_once(stand: &Stand) -> Verdict {
    let (one, other) = (stand.leaser(), stand.leaser());
    check!(!one.store_exists().await?, "there is a store before it was made");
    check!(one.ensure_store().await?, "the first ensure_store says that it made nothing");
    check!(other.store_exists().await?, "a store that was made does not exist for another handle");
    check!(!other.ensure_store().await?, "the second ensure_store says that it made the store");
    check!(one.leases().await?.leases.is_empty(), "a new store has leases");
    Ok(())
}

async fn a_deleted_store_is_gone(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    stand.own(partition()).await?;
    check!(leaser.delete_store().await?, "delete_store says that there was no store");
    check!(!leaser.store_exists().await?, "a deleted store exists");
    check!(!leaser.delete_store().await?, "the second delete_store says that there was a store");
    check!(leaser.ensure_store().await?, "a deleted store cannot be made again");
    let left = leaser.leases().await?.leases;
    check!(left.is_empty(), "leases came back with the store: {left:?}");
    Ok(())
}

async fn no_store_is_an_error(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    leaser.delete_store().await?;
    not_found("leases", leaser.leases().await)?;
    not_found("ensure", leaser.ensure(partition()).await)?;
    not_found("acquire", leaser.acquire(&lease, &claim()).await)?;
    not_found("renew", leaser.renew(&lease).await)?;
    not_found("update", leaser.update(&lease).await)?;
    not_found("release", leaser.release(&lease).await)?;
    not_found("delete", leaser.delete(partition()).await)?;
    check!(!leaser.store_exists().await?, "a failed call made the store");
    Ok(())
}

async fn an_ensured_lease_is_free(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = leaser.ensure(partition()).await?;
    check!(lease.partition == partition(), "it is of partition {}", lease.partition);
    check!(lease.owner.is_none() && lease.token.is_none(), "a new lease is owned: {lease:?}");
    check!(lease.epoch == OwnerLevel::ZERO, "a new lease has level {}", lease.epoch);
    let table = leaser.leases().await?;
    check!(table.free().count() == 1, "a new lease is not free: {table:?}");
    Ok(())
}

async fn ensuring_changes_nothing(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let free = leaser.ensure(partition()).await?;
    let again = stand.leaser().ensure(partition()).await?;
    check!(free == again, "ensuring a free lease changed it from {free:?} to {again:?}");
    let owned = stand.own(partition()).await?;
    let again = leaser.ensure(partition()).await?;
    check!(owned == again, "ensuring an owned lease changed it from {owned:?} to {again:?}");
    check!(stand.seen(partition()).await? == owned, "the list has another lease than ensure");
    Ok(())
}

async fn many_ensure_at_once(stand: &Stand) -> Verdict {
    stand.made().await?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let leaser = stand.leaser();
        tasks.spawn(async move { leaser.ensure(partition()).await });
    }
    let mut leases = Vec::new();
    for result in tasks.join_all().await {
        leases.push(result?);
    }
    let differs = leases.iter().find(|lease| **lease != leases[0]);
    check!(differs.is_none(), "two leases of one partition: {:?}, {differs:?}", leases[0]);
    check!(stand.leaser().leases().await?.leases.len() == 1, "more than one lease is listed");
    Ok(())
}

async fn a_list_is_complete(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    // More than a page of a store that pages, in an order that is not that of the ids.
    let ids = || (0..130_u16).map(|id| PartitionId::from((id * 37) % 130));
    for id in ids() {
        leaser.ensure(id).await?;
    }
    let table = stand.leaser().leases().await?;
    check!(table.corrupt.is_empty(), "records are corrupt: {:?}", table.corrupt);
    let listed: Vec<PartitionId> = table.leases.iter().map(|lease| lease.partition).collect();
    let expected: Vec<PartitionId> = (0..130).map(PartitionId::from).collect();
    let missing: Vec<_> = expected.iter().filter(|id| !listed.contains(id)).collect();
    check!(missing.is_empty(), "{} of 130 leases are not listed: {missing:?}", missing.len());
    check!(listed == expected, "leases are listed twice, or not in order: {listed:?}");
    Ok(())
}

async fn lists_are_complete_under_way(stand: &Stand) -> Verdict {
    stand.made().await?;
    let mut owned = Vec::new();
    for id in 0..8 {
        owned.push(stand.own(PartitionId::from(id)).await?);
    }
    let mut writers = JoinSet::new();
    for lease in owned {
        let leaser = stand.leaser();
        writers.spawn(async move {
            for _ in 0..12 {
                match leaser.renew(&lease).await? {
                    Hold::Kept(_) => tokio::task::yield_now().await,
                    Hold::Lost(_) => break,
                }
            }
            Ok::<_, crate::StoreError>(())
        });
    }
    for _ in 0..24 {
        let table = stand.leaser().leases().await?;
        let (listed, corrupt) = (table.leases.len(), table.corrupt.len());
        check!(listed == 8 && corrupt == 0, "{listed} of 8 leases, and {corrupt} corrupt");
        check!(table.free().count() == 0, "an owned lease is listed as free: {table:?}");
        tokio::task::yield_now().await;
    }
    for result in writers.join_all().await {
        result?;
    }
    Ok(())
}

async fn a_list_has_a_date(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    let before = leaser.leases().await?;
    check!(before.date >= lease.renewed, "{} is before {}", before.date, lease.renewed);
    stand.pass(Duration::from_secs(5)).await;
    let after = leaser.leases().await?;
    let listed = stand.seen(partition()).await?;
    let age = after.date.saturating_since(listed.renewed);
    check!(age >= Duration::from_secs(5), "5 seconds after it was renewed a lease is {age:?} old");
    Ok(())
}

async fn a_deleted_lease_is_gone(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    check!(leaser.delete(partition()).await?, "delete says that there was no lease");
    check!(!leaser.delete(partition()).await?, "the second delete says that there was a lease");
    check!(leaser.leases().await?.leases.is_empty(), "a deleted lease is listed");
    for (call, hold) in
        [("renew", leaser.renew(&lease).await?), ("update", leaser.update(&lease).await?)]
    {
        check!(hold == Hold::Lost(None), "{call} of a deleted lease gave {hold:?}");
    }
    let acquire = leaser.acquire(&lease, &claim()).await?;
    check!(acquire == Acquire::Lost(None), "acquiring a deleted lease gave {acquire:?}");
    check!(!leaser.release(&lease).await?, "a deleted lease was released");
    check!(leaser.leases().await?.leases.is_empty(), "a deleted lease came back");
    let free = leaser.ensure(partition()).await?;
    check!(free.token.is_none(), "a lease made anew is owned: {free:?}");
    Ok(())
}

async fn versions_never_come_again(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let mut leases: Vec<Lease> = vec![leaser.ensure(partition()).await?];
    for _ in 0..3 {
        let owned = stand.own(partition()).await?;
        leases.push(kept(leaser.renew(&owned).await?)?);
        leases.push(owned);
        leaser.delete(partition()).await?;
        leases.push(leaser.ensure(partition()).await?);
    }
    for (at, lease) in leases.iter().enumerate() {
        let twin = leases[..at].iter().find(|other| other.version == lease.version);
        check!(twin.is_none(), "{lease:?} has the version of {twin:?}");
    }
    Ok(())
}

async fn closing_is_idempotent(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    let other = stand.leaser();
    leaser.close().await?;
    leaser.close().await?;
    check!(stand.seen(partition()).await? == lease, "closing changed a lease");
    kept(other.renew(&lease).await?)?;
    Ok(())
}

async fn presences_are_kept_or_not(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let host = || Presence::new(OwnerId::unique(), DURATION);
    let (one, other) = (host(), host());
    let is_kept = leaser.announce(&one).await?;
    check!(leaser.announce(&other).await? == is_kept, "one presence is kept, another is not");
    let Some(table) = stand.leaser().presences().await? else {
        check!(!is_kept, "announce says that presences are kept, presences says not");
        return Ok(());
    };
    check!(is_kept, "announce says that presences are not kept, presences says they are");
    check!(table.present().count() == 2, "two hosts are there, the store has {table:?}");

    stand.pass(DURATION / 2).await;
    leaser.announce(&one).await?;
    stand.pass(DURATION / 2).await;
    let left = leaser.presences().await?;
    let left: Vec<OwnerId> =
        left.iter().flat_map(|table| table.present()).map(|host| host.owner.clone()).collect();
    check!(left == [one.owner.clone()], "only who announced itself again is there, not {left:?}");

    leaser.withdraw(&one.owner).await?;
    leaser.withdraw(&one.owner).await?;
    let left = leaser.presences().await?.map_or(0, |table| table.present().count());
    check!(left == 0, "a host is there after it withdrew");
    Ok(())
}

async fn presences_are_kept_as_they_are(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let host = || Presence::new(OwnerId::unique(), DURATION);
    let hosts = [
        host(),
        host().with_weight(5),
        // Who stands by, and who wants nothing at all, are there like others.
        host().with_weight(0),
        host().with_weight(u32::MAX).with_maximum(u32::MAX),
        host().with_maximum(0),
    ];
    for host in &hosts {
        if !leaser.announce(host).await? {
            return Ok(());
        }
    }
    // Who says something else of itself is known by that.
    let changed = Presence::new(hosts[1].owner.clone(), DURATION).with_weight(3).with_maximum(7);
    leaser.announce(&changed).await?;
    let table = stand.leaser().presences().await?;
    for host in [&hosts[0], &changed, &hosts[2], &hosts[3], &hosts[4]] {
        let mut present = table.iter().flat_map(|table| table.present());
        let found = present.find(|found| found.owner == host.owner);
        let found = found.map(|found| (found.weight, found.maximum));
        let said = Some((host.weight, host.maximum));
        check!(found == said, "{} said weight and maximum {said:?}, not {found:?}", host.owner);
    }
    Ok(())
}
