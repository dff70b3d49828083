//! What a pump makes of the link: losses, thefts, gaps, refusals, positions that are not there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use eventhubs_client::ReceiveOptions;
use eventhubs_emulator::{DEFAULT_HUB, Effect, Fault, HubConfig, Point, Role, Scope};
use eventhubs_protocol::OwnerLevel;

use crate::handler::Handler;
use crate::notice::{HostEvent, SkipReason};
use crate::partition::CloseReason;

use super::rig::*;

fn consumers() -> Scope {
    Scope::all().role(Role::Consumer)
}

fn level(level: i64) -> ReceiveOptions {
    ReceiveOptions::default().with_owner_level(OwnerLevel::new(level).expect("not negative"))
}

/// Ranges that were passed over, and why.
fn skips(told: Vec<HostEvent>) -> Vec<(Option<i64>, Option<i64>, SkipReason)> {
    let skip = |event| match event {
        HostEvent::Skipped { from, to, why, .. } => {
            Some((from.map(|from| from.as_i64()), to.map(|to| to.as_i64()), why))
        }
        _ => None,
    };
    told.into_iter().filter_map(skip).collect()
}

#[tokio::test(start_paused = true)]
async fn lost_links_cost_no_event_and_double_none() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(10);
    rig.register(writing(&numbers));
    rig.start();
    rig.finishes(9).await;
    for lost in [
        Effect::Reset,
        Effect::detach("amqp:link:detach-forced", "moved"),
        Effect::close("amqp:connection:forced", "moved"),
    ] {
        rig.emulator.inject(Fault::now(lost)).expect("it can strike");
        pass(SECOND).await;
        rig.append(10);
        pass(SECOND).await;
    }
    rig.finishes(39).await;
    assert_eq!(read(&numbers), (0..40).collect::<Vec<_>>());
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_away_for_long_is_told_and_tried_again() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(3);
    rig.register(writing(&numbers));
    rig.start();
    rig.finishes(2).await;
    let refuse = Fault::at(Point::Connect, Effect::refuse("", "Connection refused")).always();
    rig.network.inject(refuse).expect("it can strike");
    rig.emulator.inject(Fault::now(Effect::Reset)).expect("it can strike");
    pass(300 * SECOND).await;
    let failures = rig.post.attach_failures.load(Ordering::SeqCst);
    assert!((4..40).contains(&failures), "{failures} tries in five minutes");
    assert!(!rig.told().is_empty());
    rig.network.lift_all();
    rig.append(3);
    rig.finishes(5).await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4, 5]);
    assert_eq!(rig.post.attaches.load(Ordering::SeqCst), 2);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn stolen_is_final_and_what_was_here_is_handled_by_nobody() {
    let mut rig = Rig::new().await;
    let numbers = log();
    let written = Arc::clone(&numbers);
    rig.append(100);
    rig.register(Handler::each(move |event, _| {
        write(&written, event.sequence_number().as_i64());
        async {
            pass(SECOND).await;
            Ok(())
        }
    }));
    rig.start();
    pass(SECOND * 7 / 2).await;
    let thief = rig.another_hub();
    let _stream = thief.events(0, level(2)).await.expect("attached");
    pass(300 * SECOND).await;
    assert!(rig.post.is_stolen.load(Ordering::SeqCst));
    assert_eq!(read(&numbers), [0, 1, 2, 3]);
    assert_eq!(rig.post.attaches.load(Ordering::SeqCst), 1, "it does not come back");
    rig.close(CloseReason::Stolen).await;
}

#[tokio::test(start_paused = true)]
async fn a_level_that_is_refused_is_raised_once_the_store_has_it() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(3);
    rig.register(writing(&numbers));
    let other = rig.another_hub();
    let stream = other.events(0, level(7)).await.expect("attached");
    rig.post.raises.lock().expect("no panic").push_back(8);
    rig.start();
    rig.finishes(2).await;
    assert_eq!(*rig.post.refused.lock().expect("no panic"), [Some(7)]);
    drop(stream);
    rig.close(CloseReason::Stopping).await;

    let mut rig = Rig::new().await;
    rig.register(writing(&numbers));
    let other = rig.another_hub();
    let _stream = other.events(0, level(7)).await.expect("attached");
    rig.start();
    pass(300 * SECOND).await;
    assert_eq!(*rig.post.refused.lock().expect("no panic"), [Some(7)], "it is asked once");
    rig.close(CloseReason::LevelRefused).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_are_left_out_may_come_to_another_receiver() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(10);
    rig.register(writing(&numbers));
    let lost = Fault::at(Point::Deliver, Effect::Drop).after(3).times(2).within(consumers());
    rig.emulator.inject(lost).expect("it can strike");
    rig.start();
    rig.finishes(9).await;
    assert_eq!(read(&numbers), (0..10).collect::<Vec<_>>());
    assert_eq!(skips(rig.told()), []);
    assert_eq!(rig.post.attaches.load(Ordering::SeqCst), 2);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_are_left_out_twice_are_told_and_passed_over() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(10);
    rig.register(writing(&numbers));
    // Of the first link the fourth and fifth, of the second one the same: its first two.
    for after in [3, 10] {
        let lost = Fault::at(Point::Deliver, Effect::Drop).after(after).times(2);
        rig.emulator.inject(lost.within(consumers())).expect("it can strike");
    }
    rig.start();
    rig.finishes(9).await;
    assert_eq!(read(&numbers), [0, 1, 2, 5, 6, 7, 8, 9]);
    assert_eq!(skips(rig.told()), [(Some(3), Some(4), SkipReason::Gap)]);
    assert_eq!(rig.post.attaches.load(Ordering::SeqCst), 2);
    assert_eq!(rig.post.events.load(Ordering::SeqCst), 8);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn what_retention_took_is_told() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(20);
    rig.emulator.trim(DEFAULT_HUB, 0, 15).expect("it is there");
    rig.register(writing(&numbers));
    rig.start_from(Some(checkpoint(4)));
    rig.finishes(19).await;
    assert_eq!(read(&numbers), (15..20).collect::<Vec<_>>());
    assert_eq!(skips(rig.told()), [(Some(5), Some(14), SkipReason::Trimmed)]);
    assert_eq!(rig.shared.counters.read().events_skipped, 10);
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn s35_a_poison_event_is_told_and_holds_nobody_up() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(3);
    let poison = Bytes::from_static(b"\x00\x53\x75\xa0\xff");
    rig.emulator.append(DEFAULT_HUB, 0, poison).expect("it is there");
    rig.append(3);
    rig.register(writing(&numbers));
    rig.start();
    rig.finishes(6).await;
    assert_eq!(read(&numbers), [0, 1, 2, 4, 5, 6]);
    let told = skips(rig.told());
    assert!(matches!(told[..], [(_, _, SkipReason::Undecodable)]), "{told:?}");
    rig.close(CloseReason::Stopping).await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_beyond_the_end_begins_anew_and_is_told() {
    let mut rig = Rig::new().await;
    let numbers = log();
    rig.append(5);
    rig.register(writing(&numbers));
    rig.start_from(Some(checkpoint(1000)));
    rig.finishes(4).await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4]);
    assert_eq!(rig.told_of("the hub").len(), 1);
    // The hub is made anew while the pump runs.
    rig.emulator.delete_hub(DEFAULT_HUB).expect("it is there");
    pass(60 * SECOND).await;
    rig.emulator.create_hub(HubConfig::new(DEFAULT_HUB, 1)).expect("it is not there");
    rig.post.finished.lock().expect("no panic").clear();
    rig.append(2);
    rig.finishes(1).await;
    assert_eq!(read(&numbers), [0, 1, 2, 3, 4, 0, 1]);
    rig.close(CloseReason::Stopping).await;
}
