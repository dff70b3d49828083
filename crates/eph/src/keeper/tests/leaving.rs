//! The way out: in order, each step with a bound.

use std::time::Duration;

use super::scripted::Fault;
use super::stand::{Dropped, Stand, ended, finish, partition, pump, seconds};
use crate::clock;
use crate::error::StoreErrorKind;
use crate::handler::{Handler, HandlerId};
use crate::leaser::Leaser;
use crate::notice::HostEvent;
use crate::ownership::End;
use crate::partition::CloseReason;

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn the_intake_ends_before_anything_is_told_and_the_lease_comes_last() {
    let mut stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                let reason = seat.closing().await;
                assert_eq!(reason, CloseReason::Released);
                assert!(!seat.may_handle());
                clock::pause(seconds(4)).await;
                finish(&seat, 3);
            }),
        )
        .await;
    clock::pause(MOMENT).await;
    keeper.release(CloseReason::Released);
    keeper.release(CloseReason::Stopping);
    clock::pause(seconds(3)).await;
    assert!(matches!(stand.told_events()[..], [HostEvent::Lost { .. }]));
    assert!(stand.lease().await.owner.is_some(), "handlers are at work");
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Released, CloseReason::Released));
    assert_eq!(stand.store.order(), ["ensure", "store", "release"]);
    assert_eq!(stand.lease().await.owner, None);
    assert_eq!(ended(&keeper).await, over, "any number of times");
}

#[tokio::test(start_paused = true)]
async fn p09_a_handler_that_never_ends_is_given_up_after_its_grace_and_reported() {
    let mut stand = Stand::new().await;
    let (dropped, handler) = (Dropped::default(), HandlerId::unique());
    let token = dropped.token();
    let keeper = stand
        .own_with(
            partition(),
            pump(move |seat| async move {
                let _token = token;
                seat.attached();
                seat.handler_started(handler);
                finish(&seat, 3);
                std::future::pending().await
            }),
        )
        .await;
    clock::pause(seconds(5)).await;
    assert_eq!(keeper.health().handler_running_for, Some(seconds(5)));
    finish(&keeper.seat, 4);
    let began = clock::now();
    keeper.release(CloseReason::Stopping);
    clock::pause(seconds(9)).await;
    assert!(!dropped.is_dropped() && stand.lease().await.owner.is_some(), "within the grace");
    assert_eq!(ended(&keeper).await.end, End::Released);
    assert_eq!(clock::now() - began, seconds(10));
    assert!(dropped.is_dropped());
    let told = stand.told_events();
    let given_up = |event: &&HostEvent| matches!(event, HostEvent::HandlerAbandoned { handler: id, .. } if *id == handler);
    assert_eq!(told.iter().filter(given_up).count(), 1, "{told:?}");
    assert_eq!(stand.statistics().handlers_abandoned, 1);
    assert_eq!(stand.stored().await, Some(4), "what was finished is not lost");
}

#[tokio::test]
async fn p09_a_handler_that_blocks_its_thread_cannot_keep_the_lease() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let kept = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let timing =
                crate::ownership::Timing { grace: Duration::from_millis(50), ..Default::default() };
            let mut stand =
                Stand::with(crate::options::HostOptions::default().with_timing(timing)).await;
            let id = stand.register(Handler::each(|_, _| async { Ok(()) }));
            let (started, is_started) = tokio::sync::oneshot::channel();
            let keeper = stand
                .own_with(
                    partition(),
                    pump(move |seat| async move {
                        seat.attached();
                        started.send(()).unwrap();
                        // It waits for what the test says after the lease was given back.
                        let _ = stopped.recv();
                    }),
                )
                .await;
            is_started.await.unwrap();
            keeper.release(CloseReason::Stopping);
            ended(&keeper).await;
            let owner = stand.lease().await.owner;
            drop(stop);
            let abandoned = |event: &HostEvent| {
                matches!(event, HostEvent::HandlerAbandoned { handler, .. } if *handler == id)
            };
            assert!(stand.told_events().iter().any(abandoned));
            owner
        })
    });
    assert_eq!(kept.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn p10_whatever_it_is_busy_with_it_ends_in_time() {
    let busy: [(&str, Fault); 5] = [
        ("ensure", Fault::Silent),
        ("renew", Fault::Silent),
        ("store", Fault::Silent),
        ("release", Fault::Silent),
        ("release", Fault::Before(StoreErrorKind::Unavailable)),
    ];
    for (call, fault) in busy {
        for second in [0, 5, 12] {
            let stand = Stand::new().await;
            stand.store.always(call, fault);
            let keeper = stand.own().await;
            clock::pause(seconds(second)).await;
            finish(&keeper.seat, 1);
            keeper.release(CloseReason::Stopping);
            let began = clock::now();
            ended(&keeper).await;
            let took = clock::now() - began;
            // A flush and a release, each with the deadline of a call.
            assert!(took <= seconds(31), "{call} {fault:?} at {second} s: {took:?}");
            assert!(!keeper.seat.may_handle());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p11_a_keeper_that_is_dropped_ends_its_tasks_and_calls_no_store() {
    let stand = Stand::new().await;
    let dropped = Dropped::default();
    let token = dropped.token();
    let keeper = stand
        .own_with(
            partition(),
            pump(move |seat| async move {
                let _token = token;
                seat.attached();
                std::future::pending().await
            }),
        )
        .await;
    clock::pause(MOMENT).await;
    finish(&keeper.seat, 1);
    let seat = std::sync::Arc::clone(&keeper.seat);
    let order = stand.store.order();
    drop(keeper);
    clock::pause(seconds(120)).await;
    assert!(dropped.is_dropped() && !seat.may_handle());
    assert!(seat.close_reason().is_some() && seat.checkpoint().await.is_err());
    assert_eq!(stand.store.order(), order);
    assert!(stand.lease().await.owner.is_some(), "the lease ages out");
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0);
}

#[tokio::test(start_paused = true)]
async fn no_task_is_left_when_it_is_over() {
    let stand = Stand::new().await;
    for _ in 0..20 {
        let keeper = stand.own().await;
        clock::pause(MOMENT).await;
        finish(&keeper.seat, 1);
        keeper.release(CloseReason::Stopping);
        ended(&keeper).await;
        assert!(keeper.is_over());
    }
    clock::pause(MOMENT).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    assert_eq!(stand.statistics().lost(CloseReason::Stopping), 20);
}

#[tokio::test(start_paused = true)]
async fn a_pump_that_panics_or_ends_is_noticed_and_the_partition_given_back() {
    for panics in [true, false] {
        let mut stand = Stand::new().await;
        let keeper = stand
            .own_with(
                partition(),
                pump(move |seat| async move {
                    seat.attached();
                    assert!(!panics, "as told");
                }),
            )
            .await;
        let over = ended(&keeper).await;
        assert_eq!((over.end, over.reason), (End::Unlinked, CloseReason::NotReceiving));
        assert_eq!(over.hold_off, Some(seconds(120)), "another host may try");
        assert_eq!(stand.lease().await.owner, None);
        assert_eq!(stand.told_events().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_decides_is_the_reason() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                finish(&seat, 1);
                seat.give_up(CloseReason::Failed);
            }),
        )
        .await;
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Released, CloseReason::Failed));
    assert_eq!(stand.stored().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_on_the_way_out_is_not_written_for() {
    let stand = Stand::new().await;
    let keeper = stand
        .own_with(
            partition(),
            pump(|seat| async move {
                seat.attached();
                seat.closing().await;
                finish(&seat, 1);
                clock::pause(seconds(8)).await;
            }),
        )
        .await;
    clock::pause(seconds(5)).await;
    stand.store.always("store", Fault::Slow(seconds(6)));
    keeper.release(CloseReason::Stopping);
    clock::pause(seconds(3)).await;
    let lease = stand.lease().await;
    assert!(stand.store.inner.release(&lease).await.unwrap(), "an operator breaks it");
    let over = ended(&keeper).await;
    assert_eq!((over.end, over.reason), (End::Lost, CloseReason::LeaseLost));
    clock::pause(seconds(30)).await;
    assert_eq!(stand.store.landed(), Vec::<i64>::new());
}
