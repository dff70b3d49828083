//! Cases about who owns a partition.

use std::collections::BTreeSet;
use std::sync::Arc;

use eventhubs_protocol::{OwnerLevel, PartitionId};
use tokio::task::JoinSet;

use super::stand::{DURATION, Stand, begin, claim, claim_of, kept, partition, won};
use super::{Failure, Verdict, cases, check};
use crate::lease::{Acquire, Claim, EpochMode, Hold, Lease};
use crate::leaser::Leaser;
use crate::owner::{LeaseToken, OwnerId};

cases! {
    a_claim_makes_the_owner: "a claim that wins sets owner, token, duration and level, for all to see",
    a_stale_claim_loses: "a claim loses when the lease changed hands since it was seen",
    one_of_many_claims_wins: "of many claims that saw the same exactly one wins, and the others are told who",
    a_repeated_claim_is_one: "a claim that is made again is won again, and changes nothing",
    a_claim_to_nothing_loses: "a claim to a partition without a lease is lost, not an error, and makes none",
    a_renewed_lease_is_not_taken_as_expired: "a claim to a lease seen expired loses when it was renewed since",
    a_lost_claim_changes_nothing: "a claim that is lost leaves the lease and its expiry as they are",
    levels_rise_with_every_owner: "every ownership has a higher level than all before it",
    a_level_may_be_asked_for: "a claim that asks for a level gets it, or a higher one",
    level_zero_stays: "with EpochMode::Zero the level is 0",
    renewing_is_not_owning_anew: "renew keeps owner, token and level",
    a_lease_expires_by_the_stores_clock: "a lease is free when its duration has passed, not before",
    renewing_starts_the_duration_again: "a renewed lease lasts its whole duration from then on",
    an_expired_lease_can_be_renewed: "an expired lease that nobody took is kept by renewing it",
    a_stolen_lease_is_lost: "after another claim won, renew and update are lost and change nothing",
    a_stolen_lease_is_not_released: "releasing a lost ownership is false and leaves the new owner alone",
    a_lease_once_lost_stays_lost: "an ownership that ended never comes back, not even when its owner returns",
    a_released_lease_is_free: "release frees the lease at once and keeps its level",
    a_released_lease_is_not_owned: "after release renew and update are lost and a second release is false",
    update_raises_the_level: "update renews, raises the level, and never lowers it",
    an_owner_is_known_by_its_token: "an owner's second claim ends its first ownership",
    a_dropped_claim_can_be_made_again: "a claim whose future was dropped takes effect or not, and leaves nothing held",
    partitions_are_apart: "what happens to one partition changes no other",
    ownership_is_exclusive_under_way: "while many claim, renew and release, levels are given once and generations do not mix",
}

async fn a_claim_makes_the_owner(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let seen = leaser.ensure(partition()).await?;
    let claim = claim();
    let lease = won(leaser.acquire(&seen, &claim).await?)?;
    let is_ours = lease.owner.as_ref() == Some(&claim.owner);
    check!(is_ours, "the owner is {:?}, not {}", lease.owner, claim.owner);
    let is_token = lease.token.as_ref() == Some(&claim.token);
    check!(is_token, "the token is {:?}, not {}", lease.token, claim.token);
    check!(lease.duration == DURATION, "it lasts {:?}", lease.duration);
    check!(lease.epoch.as_i64() == 1, "the first owner has level {}", lease.epoch);
    let listed = stand.seen(partition()).await?;
    check!(listed == lease, "won was {lease:?}, listed is {listed:?}");
    let table = stand.leaser().leases().await?;
    check!(table.free().count() == 0, "a lease that was just won is listed as free");
    Ok(())
}

async fn a_stale_claim_loses(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let seen = leaser.ensure(partition()).await?;
    let first = won(leaser.acquire(&seen, &claim()).await?)?;
    let late = stand.leaser().acquire(&seen, &claim()).await?;
    check!(late == Acquire::Lost(Some(first.clone())), "the second claim gave {late:?}");
    leaser.release(&first).await?;
    let later = stand.leaser().acquire(&first, &claim()).await?;
    check!(matches!(later, Acquire::Lost(Some(_))), "a claim to what was released gave {later:?}");
    check!(stand.seen(partition()).await?.owner.is_none(), "a lost claim made an owner");
    Ok(())
}

async fn one_of_many_claims_wins(stand: &Stand) -> Verdict {
    let seen = stand.made().await?.ensure(partition()).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (leaser, seen) = (stand.leaser(), seen.clone());
        tasks.spawn(async move { leaser.acquire(&seen, &claim()).await });
    }
    let (mut winners, mut told) = (Vec::new(), Vec::new());
    for result in tasks.join_all().await {
        match result? {
            Acquire::Won(lease) => winners.push(lease),
            Acquire::Lost(current) => told.push(current),
        }
    }
    check!(winners.len() == 1, "{} of 16 claims won: {winners:?}", winners.len());
    let wrong = told.iter().find(|current| current.as_ref() != winners.first());
    check!(wrong.is_none(), "{:?} won, a loser was told {wrong:?}", winners.first());
    Ok(())
}

async fn a_repeated_claim_is_one(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let seen = leaser.ensure(partition()).await?;
    let claim = claim();
    let first = won(leaser.acquire(&seen, &claim).await?)?;
    let again = won(stand.leaser().acquire(&seen, &claim).await?)?;
    check!(first == again, "the first time won {first:?}, the second {again:?}");
    kept(leaser.renew(&first).await?)?;
    Ok(())
}

async fn a_claim_to_nothing_loses(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let acquire = leaser.acquire(&Lease::free(partition()), &claim()).await?;
    check!(acquire == Acquire::Lost(None), "it gave {acquire:?}");
    check!(leaser.leases().await?.leases.is_empty(), "a lost claim made a lease");
    Ok(())
}

async fn a_renewed_lease_is_not_taken_as_expired(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    stand.pass(DURATION * 2).await;
    let table = leaser.leases().await?;
    let seen = stand.seen(partition()).await?;
    check!(seen.is_free(table.date), "it did not expire: {seen:?} at {}", table.date);
    let renewed = kept(leaser.renew(&lease).await?)?;
    let late = stand.leaser().acquire(&seen, &claim()).await?;
    check!(matches!(late, Acquire::Lost(Some(_))), "the claim gave {late:?}");
    kept(leaser.renew(&renewed).await?)?;
    Ok(())
}

async fn a_lost_claim_changes_nothing(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let seen = leaser.ensure(partition()).await?;
    let lease = won(leaser.acquire(&seen, &claim()).await?)?;
    stand.pass(DURATION / 2).await;
    let before = stand.seen(partition()).await?;
    let late = leaser.acquire(&seen, &claim()).await?;
    check!(matches!(late, Acquire::Lost(_)), "a stale claim gave {late:?}");
    let after = stand.seen(partition()).await?;
    check!(before == after, "a lost claim made {after:?} of {before:?}");
    kept(leaser.renew(&lease).await?)?;
    Ok(())
}

async fn levels_rise_with_every_owner(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let mut levels = Vec::new();
    for round in 0..9 {
        let lease = stand.own(partition()).await?;
        levels.push(lease.epoch);
        match round % 3 {
            0 => check!(leaser.release(&lease).await?, "an owner could not release"),
            1 => stand.pass(DURATION * 2).await,
            _ => {}
        }
        let is_rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
        check!(is_rising, "the levels of owners, one after the other, are {levels:?}");
    }
    Ok(())
}

async fn a_level_may_be_asked_for(stand: &Stand) -> Verdict {
    stand.made().await?;
    let ask = |level| Ok::<_, Failure>(claim().with_epoch_at_least(level_of(level)?));
    let lease = stand.own_by(partition(), &ask(40)?).await?;
    check!(lease.epoch == level_of(40)?, "level 40 was asked for, {} was given", lease.epoch);
    let lease = stand.own_by(partition(), &ask(40)?).await?;
    check!(lease.epoch == level_of(41)?, "after level 40 came {}", lease.epoch);
    let lease = stand.own_by(partition(), &ask(7)?).await?;
    check!(lease.epoch == level_of(42)?, "after level 41 came {}", lease.epoch);
    Ok(())
}

async fn level_zero_stays(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    for _ in 0..3 {
        let lease = stand.own_by(partition(), &claim().with_epochs(EpochMode::Zero)).await?;
        check!(lease.epoch == OwnerLevel::ZERO, "an owner has level {}", lease.epoch);
        let renewed = kept(leaser.renew(&lease).await?)?;
        check!(renewed.epoch == OwnerLevel::ZERO, "renewing made level {}", renewed.epoch);
    }
    Ok(())
}

async fn renewing_is_not_owning_anew(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    for _ in 0..3 {
        // The lease as it was won serves for renewing as well as the one renewed last.
        let renewed = kept(leaser.renew(&lease).await?)?;
        let is_same = renewed.is_generation_of(&lease)
            && renewed.epoch == lease.epoch
            && renewed.duration == lease.duration;
        check!(is_same, "renewing made {renewed:?} of {lease:?}");
        let listed = stand.seen(partition()).await?;
        check!(listed == renewed, "renewed is {renewed:?}, listed is {listed:?}");
    }
    Ok(())
}

async fn a_lease_expires_by_the_stores_clock(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    stand.own(partition()).await?;
    stand.pass(DURATION / 2).await;
    let table = leaser.leases().await?;
    check!(table.free().count() == 0, "it is free after half its duration: {table:?}");
    stand.pass(DURATION / 2).await;
    let table = leaser.leases().await?;
    check!(table.free().count() == 1, "it is not free after its duration: {table:?}");
    Ok(())
}

async fn renewing_starts_the_duration_again(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    for _ in 0..3 {
        stand.pass(DURATION / 3 * 2).await;
        kept(leaser.renew(&lease).await?)?;
        let table = leaser.leases().await?;
        check!(table.free().count() == 0, "a renewed lease is free: {table:?}");
    }
    Ok(())
}

async fn an_expired_lease_can_be_renewed(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    stand.pass(DURATION * 3).await;
    let renewed = kept(leaser.renew(&lease).await?)?;
    check!(renewed.is_generation_of(&lease), "renewing made {renewed:?} of {lease:?}");
    let table = leaser.leases().await?;
    check!(table.free().count() == 0, "a renewed lease is free: {table:?}");
    Ok(())
}

async fn a_stolen_lease_is_lost(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let first = stand.own(partition()).await?;
    let second = stand.own(partition()).await?;
    let renew = leaser.renew(&first).await?;
    check!(renew == Hold::Lost(Some(second.clone())), "renewing a stolen lease gave {renew:?}");
    let update = leaser.update(&first).await?;
    check!(update == Hold::Lost(Some(second.clone())), "updating a stolen lease gave {update:?}");
    let listed = stand.seen(partition()).await?;
    check!(listed == second, "the former owner made {listed:?} of {second:?}");
    Ok(())
}

async fn a_stolen_lease_is_not_released(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let first = stand.own(partition()).await?;
    let second = stand.own(partition()).await?;
    check!(!leaser.release(&first).await?, "a stolen lease was released by its former owner");
    let listed = stand.seen(partition()).await?;
    check!(listed == second, "the former owner made {listed:?} of {second:?}");
    Ok(())
}

async fn a_lease_once_lost_stays_lost(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let owner = OwnerId::unique();
    let first = stand.own_by(partition(), &claim_of(&owner)).await?;
    let second = stand.own(partition()).await?;
    leaser.release(&second).await?;
    let renew = leaser.renew(&first).await?;
    check!(matches!(renew, Hold::Lost(_)), "after the thief released, renewing gave {renew:?}");
    stand.own_by(partition(), &claim_of(&owner)).await?;
    let renew = leaser.renew(&first).await?;
    check!(matches!(renew, Hold::Lost(_)), "after a new claim, renewing the old gave {renew:?}");
    Ok(())
}

async fn a_released_lease_is_free(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    check!(leaser.release(&lease).await?, "an owner could not release");
    let table = stand.leaser().leases().await?;
    check!(table.free().count() == 1, "a released lease is not free: {table:?}");
    let listed = stand.seen(partition()).await?;
    let is_free = listed.owner.is_none() && listed.token.is_none();
    check!(is_free, "a released lease is owned: {listed:?}");
    check!(listed.epoch == lease.epoch, "releasing made level {} of {}", listed.epoch, lease.epoch);
    Ok(())
}

async fn a_released_lease_is_not_owned(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let lease = stand.own(partition()).await?;
    leaser.release(&lease).await?;
    check!(!leaser.release(&lease).await?, "a lease was released twice");
    for (call, hold) in
        [("renew", leaser.renew(&lease).await?), ("update", leaser.update(&lease).await?)]
    {
        check!(matches!(hold, Hold::Lost(Some(_))), "{call} after release gave {hold:?}");
    }
    // A lease that is free has no ownership that could be kept.
    let free = stand.seen(partition()).await?;
    let renew = leaser.renew(&free).await?;
    check!(matches!(renew, Hold::Lost(_)), "renewing a free lease gave {renew:?}");
    check!(stand.seen(partition()).await?.owner.is_none(), "a released lease is owned again");
    Ok(())
}

async fn update_raises_the_level(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let mut lease = stand.own(partition()).await?;
    stand.pass(DURATION / 2).await;
    lease.epoch = level_of(12)?;
    let raised = kept(leaser.update(&lease).await?)?;
    check!(raised.epoch == lease.epoch, "level 12 was asked for, {} was given", raised.epoch);
    stand.pass(DURATION / 2).await;
    let table = leaser.leases().await?;
    check!(table.free().count() == 0, "an updated lease was not renewed: {table:?}");
    lease.epoch = level_of(3)?;
    let again = kept(leaser.update(&lease).await?)?;
    check!(again.epoch == level_of(12)?, "updating lowered the level to {}", again.epoch);
    let renewed = kept(leaser.renew(&lease).await?)?;
    check!(renewed.epoch == level_of(12)?, "renewing lowered the level to {}", renewed.epoch);
    Ok(())
}

async fn an_owner_is_known_by_its_token(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let owner = OwnerId::unique();
    let first = stand.own_by(partition(), &claim_of(&owner)).await?;
    let second = stand.own_by(partition(), &claim_of(&owner)).await?;
    let renew = leaser.renew(&first).await?;
    check!(matches!(renew, Hold::Lost(Some(_))), "renewing the first ownership gave {renew:?}");
    check!(!leaser.release(&first).await?, "the first ownership was released");
    kept(leaser.renew(&second).await?)?;
    Ok(())
}

async fn a_dropped_claim_can_be_made_again(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    for level in 1..=8 {
        let seen = leaser.ensure(partition()).await?;
        let claim = claim();
        begin(leaser.acquire(&seen, &claim)).await;
        let lease = won(leaser.acquire(&seen, &claim).await?)?;
        check!(lease.epoch.as_i64() == level, "owner {level} has level {}", lease.epoch);
        begin(leaser.renew(&lease)).await;
        kept(leaser.renew(&lease).await?)?;
        begin(leaser.release(&lease)).await;
        leaser.release(&lease).await?;
        let listed = stand.seen(partition()).await?;
        check!(listed.owner.is_none(), "after release it is owned: {listed:?}");
    }
    Ok(())
}

async fn partitions_are_apart(stand: &Stand) -> Verdict {
    let leaser = stand.made().await?;
    let (here, there) = (PartitionId::from(1), PartitionId::from(11));
    let (one, other) = (stand.own(here).await?, stand.own(there).await?);
    let free = PartitionId::from(111);
    leaser.ensure(free).await?;
    leaser.renew(&one).await?;
    leaser.release(&one).await?;
    stand.own(here).await?;
    leaser.delete(here).await?;
    let listed = stand.seen(there).await?;
    check!(listed == other, "calls about partition 1 made {listed:?} of {other:?}");
    check!(stand.seen(free).await?.token.is_none(), "calls about partition 1 took another");
    kept(leaser.renew(&other).await?)?;
    Ok(())
}

async fn ownership_is_exclusive_under_way(stand: &Stand) -> Verdict {
    stand.made().await?.ensure(partition()).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let leaser = stand.leaser();
        tasks.spawn(async move { take_turns(leaser, 12).await });
    }
    let (mut levels, mut owners) = (BTreeSet::new(), 0);
    for result in tasks.join_all().await {
        for level in result? {
            owners += 1;
            check!(levels.insert(level), "two ownerships have level {level}");
        }
    }
    check!(owners > 0, "nobody ever won a claim");
    let last = stand.seen(partition()).await?.epoch;
    let highest = levels.last().copied();
    check!(highest == Some(last), "the highest level won is {highest:?}, the stored one {last}");
    check!(last.as_i64() == owners, "{owners} ownerships ended at level {last}");
    Ok(())
}

/// Claims, renews and releases like a host; the levels it won.
async fn take_turns(leaser: Arc<dyn Leaser>, rounds: usize) -> Result<Vec<OwnerLevel>, Failure> {
    let owner = OwnerId::unique();
    let mut levels = Vec::new();
    for round in 0..rounds {
        let Some(seen) = leaser.leases().await?.lease(partition()).cloned() else {
            return Err(Failure("a lease is not listed while others own it by turns".to_owned()));
        };
        let claim = Claim::new(owner.clone(), LeaseToken::unique());
        let Acquire::Won(lease) = leaser.acquire(&seen, &claim).await? else { continue };
        levels.push(lease.epoch);
        if let Hold::Kept(kept) = leaser.renew(&lease).await? {
            let is_ours = kept.is_generation_of(&lease) && kept.epoch == lease.epoch;
            check!(is_ours, "renewing {lease:?} gave the ownership of another: {kept:?}");
        }
        if round % 2 == 0 {
            leaser.release(&lease).await?;
        }
    }
    Ok(levels)
}

fn level_of(level: i64) -> Result<OwnerLevel, Failure> {
    OwnerLevel::new(level).map_err(|error| Failure(format!("the suite is wrong: {error}")))
}
