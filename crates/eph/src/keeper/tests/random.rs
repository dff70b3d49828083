//! Faults at random: whatever fails when, the rules hold.

use std::time::Duration;

use super::scripted::Fault;
use super::stand::{Stand, ended, finish, partition, seconds};
use crate::clock;
use crate::error::StoreErrorKind;
use crate::lease::Claim;
use crate::leaser::Leaser;
use crate::owner::{LeaseToken, OwnerId};
use crate::partition::CloseReason;

/// How many seeds are tried; more on request.
const SEEDS: &str = "EVENTHUBS_EPH_TEST_SEEDS";

/// A sequence of numbers from a seed (Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn fault(&mut self) -> Fault {
        match self.below(7) {
            0 => Fault::Before(StoreErrorKind::Unavailable),
            1 => Fault::After(StoreErrorKind::Unavailable),
            2 => Fault::Before(StoreErrorKind::Busy { after: Some(seconds(self.below(60))) }),
            3 => Fault::Slow(seconds(self.below(40))),
            4 => Fault::Mute,
            5 => Fault::Panic,
            _ => Fault::Silent,
        }
    }
}

/// A minute after the other with its own faults, a rival that takes the lease as soon as it has
/// expired, and clocks that stand still now and then.
async fn run(seed: u64) {
    let mut numbers = Numbers(seed);
    let stand = Stand::new().await;
    let keeper = stand.own().await;
    let rival = Claim::new(OwnerId::unique(), LeaseToken::unique());
    let (mut finished, mut stored, mut is_taken) = (-1, None, false);
    for step in 0..1_500_u64 {
        if step % 300 == 0 {
            stand.store.heal();
            for call in ["renew", "store", "ensure", "ensure_store"] {
                if numbers.below(3) == 0 {
                    stand.store.always(call, numbers.fault());
                }
            }
        }
        if step == 1_200 {
            keeper.release(CloseReason::Stopping);
        }
        match numbers.below(2_000) {
            0 => tokio::time::advance(seconds(70)).await,
            1 => clock::jump(seconds(30)),
            _ => clock::pause(Duration::from_millis(200)).await,
        }
        if keeper.seat.may_handle() && numbers.below(3) == 0 {
            finished += 1;
            finish(&keeper.seat, finished);
        }
        let table = stand.store.inner.leases().await.unwrap();
        let lease = table.lease(partition()).unwrap();
        if !is_taken && lease.is_free(table.date) {
            stand.store.inner.acquire(lease, &rival).await.unwrap();
            is_taken = true;
        }
        assert!(!(is_taken && keeper.seat.may_handle()), "seed {seed}: two owners at {step}");
        let now = stand.stored().await;
        assert!(now >= stored && now <= Some(finished), "seed {seed}: {now:?} after {stored:?}");
        stored = now;
    }
    stand.store.heal();
    let over = ended(&keeper).await;
    assert!(!keeper.seat.may_handle(), "seed {seed}: {over:?}");
    assert!(clock::within(seconds(1), keeper.seat.closing()).await.is_some(), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn no_faults_of_a_store_break_a_rule() {
    let seeds = std::env::var(SEEDS).ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        run(seed).await;
    }
}
