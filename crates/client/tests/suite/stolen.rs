//! Another receiver owns the partition: the end of a stream, at once and for good. Rows of
//! `docs/faults.md`.

use std::time::Duration;

use eventhubs_client::{ErrorKind, EventStream, Operation, OwnerLevel, ReceiveOptions};
use eventhubs_emulator::{Effect, Fault, Point, Role, Scope};
use tokio::time::Instant;

use crate::support::{Fixture, HUB, expect, item, pass, quiet, settle};

const SECOND: Duration = Duration::from_secs(1);

fn level(level: i64) -> ReceiveOptions {
    ReceiveOptions::default().with_owner_level(OwnerLevel::new(level).expect("not negative"))
}

fn detach(text: &str) -> Fault {
    let effect = Effect::detach("amqp:link:stolen", text);
    Fault::now(effect).within(Scope::all().role(Role::Consumer))
}

/// The next item is the end: stolen, and nothing is tried any more.
async fn is_stolen(fixture: &Fixture, stream: &mut EventStream) {
    let error = item(stream).await.expect_err("it is stolen");
    assert_eq!(error.kind(), ErrorKind::Stolen, "{error}");
    assert!(!error.is_retryable() && error.ends_stream());
    let links = fixture.statistics().links;
    pass(600 * SECOND).await;
    assert!(stream.next().await.is_none());
    assert_eq!(fixture.statistics().links, links, "it is not attached again");
}

#[tokio::test(start_paused = true)]
async fn s05_an_owner_that_lost_its_partition_gets_nothing_more() {
    for by_receiver in [false, true] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 100);
        let mut stream = fixture.stream_with(0, level(1)).await;
        expect(&mut stream, 0..10).await;
        let mut thief = None;
        if by_receiver {
            thief = Some(fixture.stream_with(0, level(2)).await);
        } else {
            let fault =
                detach("New receiver 'b' with higher epoch of '2' is created hence current");
            fixture.emulator.inject(fault).expect("it can strike");
        }
        settle().await;
        // Ninety events are here. They are the new owner's.
        is_stolen(&fixture, &mut stream).await;
        if let Some(thief) = &mut thief {
            expect(thief, 0..100).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s05_a_batch_and_what_was_told_missing_are_the_new_owner_s_too() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 100);
    let drop = Fault::at(Point::Deliver, Effect::Drop).after(10);
    fixture.emulator.inject(drop).expect("it can strike");
    let mut stream = fixture.stream_with(0, level(1)).await;
    expect(&mut stream, 0..10).await;
    let error = item(&mut stream).await.expect_err("10 is missing");
    assert!(matches!(error.kind(), ErrorKind::Gap { .. }), "{error}");
    fixture.emulator.inject(detach("x")).expect("it can strike");
    settle().await;
    let end = stream.next_batch(50, SECOND).await.expect("the last item");
    assert_eq!(end.expect_err("it is stolen").kind(), ErrorKind::Stolen);
    assert!(stream.next_batch(50, SECOND).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s05_an_owner_goes_on_after_any_other_loss() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 100);
    let mut stream = fixture.stream_with(0, level(1)).await;
    expect(&mut stream, 0..10).await;
    fixture.wire.cut();
    settle().await;
    fixture.append(0, 10);
    expect(&mut stream, 10..110).await;
    // The guard stands on the new link as well.
    fixture.append(0, 10);
    settle().await;
    expect(&mut stream, 110..111).await;
    fixture.emulator.inject(detach("x")).expect("it can strike");
    settle().await;
    is_stolen(&fixture, &mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn s05_whoever_comes_back_to_a_higher_owner_is_told() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let mut stream = fixture.stream_with(0, level(1)).await;
    expect(&mut stream, 0..10).await;
    fixture.wire.cut();
    settle().await;
    let other = fixture.hub_from(&fixture.emulator.connection_string_for(HUB));
    let _thief = other.events(0, level(2)).await.expect("attached");
    is_stolen(&fixture, &mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn s06_a_plain_receiver_gets_what_arrived_and_then_the_error() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 100);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..10).await;
    let _owner = fixture.stream_with(0, level(0)).await;
    settle().await;
    expect(&mut stream, 10..100).await;
    is_stolen(&fixture, &mut stream).await;

    let error = fixture.hub.events(0, ReceiveOptions::default()).await.expect_err("owned");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Stolen, Operation::AttachConsumer));
    assert_eq!(error.attempts(), 1, "not tried again");
}

#[tokio::test(start_paused = true)]
async fn s09_a_quota_is_waited_for_slowly_and_not_for_ever() {
    let full = "Exceeded the maximum number of allowed receivers per partition in a consumer group \
        which is 5. List of connected receivers - nil-1, nil-2, nil-3, nil-4, nil-5.";
    let refusal = || {
        let effect = Effect::refuse("amqp:resource-limit-exceeded", full);
        Fault::at(Point::Attach, effect).within(Scope::all().role(Role::Consumer))
    };
    let fixture = Fixture::recovering().await;
    fixture.append(0, 1);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..1).await;
    fixture.emulator.inject(refusal().times(3)).expect("it can strike");
    fixture.wire.cut();
    fixture.append(0, 1);
    let start = Instant::now();
    expect(&mut stream, 1..2).await;
    let taken = start.elapsed();
    assert!(taken >= 30 * SECOND && taken <= 92 * SECOND, "{taken:?}");

    fixture.emulator.inject(refusal().always()).expect("it can strike");
    fixture.wire.cut();
    let start = Instant::now();
    let error = item(&mut stream).await.expect_err("it is full");
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert!(error.to_string().contains("nil-1, nil-2, nil-3, nil-4, nil-5"), "{error}");
    assert!(start.elapsed() <= 152 * SECOND, "{:?}", start.elapsed());
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s09_a_receiver_is_not_in_its_own_way() {
    // Silence makes each of them anew after 25 minutes, and five is all that fit.
    let fixture = Fixture::recovering().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(fixture.stream(0).await);
    }
    let links = fixture.statistics().links;
    let mut tasks = Vec::new();
    for mut stream in streams {
        tasks.push(tokio::spawn(async move {
            quiet(&mut stream, 52 * 60 * SECOND).await;
            stream
        }));
    }
    for task in tasks {
        drop(task.await.expect("no panic"));
    }
    let statistics = fixture.statistics();
    assert!(statistics.links >= links + 10, "{statistics:?}");
    assert_eq!(statistics.retries, 0, "none was refused");
}
