//! A link that brings nothing although there is something is found and made anew; one that is
//! merely quiet, or whose reader is, is left alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventhubs_client::{ErrorKind, HubOptions, ReceiveOptions, ReceivedEvent, StartPosition};
use eventhubs_emulator::{Config, Effect, Fault, Point, Role, Scope};
use tokio::time::Instant;

use crate::support::{Fixture, expect, item, pass, quiet, settle};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A stream that had events `0..5`, and whose link then stalls with `5..15` in the partition.
async fn stalled(fixture: &Fixture, options: ReceiveOptions) -> eventhubs_client::EventStream {
    fixture.append(0, 5);
    let mut stream = fixture.stream_with(0, options).await;
    expect(&mut stream, 0..5).await;
    let stall = Fault::at(Point::Deliver, Effect::Unfinished);
    fixture.emulator.inject(stall).expect("it can strike");
    fixture.append(0, 10);
    settle().await;
    stream
}

#[tokio::test(start_paused = true)]
async fn s26_a_delivery_that_is_never_finished_is_found_by_the_watchdog() {
    let fixture = Fixture::recovering().await;
    let mut stream = stalled(&fixture, ReceiveOptions::default()).await;
    let (dials, start) = (fixture.wire.dials(), Instant::now());
    expect(&mut stream, 5..15).await;
    let taken = start.elapsed();
    assert!(taken >= 80 * SECOND && taken <= 150 * SECOND, "{taken:?}");
    let statistics = fixture.statistics();
    assert_eq!((statistics.stalls, statistics.gaps), (1, 0));
    assert_eq!(fixture.wire.dials(), dials, "only the link was to blame");
}

#[tokio::test(start_paused = true)]
async fn events_that_do_not_come_are_asked_for_whatever_the_start() {
    // A stall before the first event, whatever the start.
    let time = StartPosition::enqueued_time(eventhubs_client::Timestamp::UNIX_EPOCH);
    for start in [StartPosition::earliest(), StartPosition::latest(), time.expect("it is valid")] {
        let fixture = Fixture::recovering().await;
        let options = ReceiveOptions::default().with_start(start.clone());
        let options = options.with_watchdog(Some(10 * SECOND));
        let mut stream = fixture.stream_with(0, options).await;
        let delay = Effect::Delay(24 * 60 * MINUTE);
        fixture.emulator.inject(Fault::at(Point::Deliver, delay)).expect("it can strike");
        fixture.append(0, 3);
        let before = Instant::now();
        expect(&mut stream, 0..3).await;
        assert!(before.elapsed() <= 30 * SECOND, "{start:?}: {:?}", before.elapsed());
        assert_eq!(fixture.statistics().stalls, 1, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_watchdog_a_stalled_link_stays() {
    let fixture = Fixture::recovering().await;
    let options = ReceiveOptions::default().with_watchdog(None);
    let mut stream = stalled(&fixture, options).await;
    quiet(&mut stream, 20 * MINUTE).await;
    assert_eq!(fixture.statistics().stalls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_partition_is_no_stall() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 5);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..5).await;
    let links = fixture.statistics().links;
    quiet(&mut stream, 20 * MINUTE).await;
    let statistics = fixture.statistics();
    // The links that questions are asked on.
    assert_eq!((statistics.stalls, statistics.retries), (0, 0));
    assert!(statistics.links <= links + 2, "{statistics:?}");
    // What retention took need not come.
    fixture.append(0, 1);
    expect(&mut stream, 5..6).await;
    fixture.emulator.trim("hub", 0, 6).expect("it is there");
    quiet(&mut stream, 20 * MINUTE).await;
    assert_eq!(fixture.statistics().stalls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_stall() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 100);
    for prefetch in [1, 300] {
        let options = ReceiveOptions::default().with_prefetch(prefetch);
        let mut stream = fixture.stream_with(0, options).await;
        for number in 0..10 {
            expect(&mut stream, number..number + 1).await;
            pass(2 * MINUTE).await;
        }
        // One that waits for each event, as they come late.
        expect(&mut stream, 10..100).await;
        drop(stream);
    }
    let mut stream = fixture.stream_with(0, ReceiveOptions::default()).await;
    expect(&mut stream, 0..100).await;
    for number in 100..103 {
        quiet(&mut stream, 70 * SECOND).await;
        fixture.append(0, 1);
        pass(2 * MINUTE).await;
        expect(&mut stream, number..number + 1).await;
    }
    assert_eq!(fixture.statistics().stalls, 0);
}

#[tokio::test(start_paused = true)]
async fn questions_that_nobody_answers_prove_nothing() {
    for silence in [Effect::Ignore, Effect::answer(500, "amqp:internal-error", "x")] {
        let fixture = Fixture::recovering().await;
        let fault = Fault::at(Point::Management, silence).always();
        let fault = fixture.emulator.inject(fault).expect("it can strike");
        let mut stream = stalled(&fixture, ReceiveOptions::default()).await;
        quiet(&mut stream, 20 * MINUTE).await;
        assert_eq!(fixture.statistics().stalls, 0);
        assert!(fixture.emulator.hits(fault) > 2, "it was asked");
        fixture.emulator.lift(fault);
        item(&mut stream).await.expect("the next event");
        assert_eq!(fixture.statistics().stalls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s42_a_quiet_link_is_made_anew_before_the_service_ends_it() {
    for watchdog in [Some(MINUTE), None] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 5);
        let options = ReceiveOptions::default().with_watchdog(watchdog);
        let mut stream = fixture.stream_with(0, options).await;
        expect(&mut stream, 0..5).await;
        let before = fixture.statistics();
        quiet(&mut stream, 52 * MINUTE).await;
        let after = fixture.statistics();
        assert!(after.links - before.links >= 2, "a new one every 25 minutes: {after:?}");
        assert_eq!((after.stalls, after.retries), (0, 0), "none was lost");
        fixture.append(0, 1);
        expect(&mut stream, 5..6).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s42_a_quiet_link_that_the_service_ends_is_back_at_once() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 5);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..5).await;
    fixture.emulator.advance_clock(31 * MINUTE);
    settle().await;
    fixture.append(0, 1);
    let start = Instant::now();
    expect(&mut stream, 5..6).await;
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s46_a_link_is_made_anew_before_its_counters_wrap() {
    let mut options = HubOptions::default();
    options.link_deliveries_max = 10;
    let fixture = Fixture::recovering_with(Config::default(), options).await;
    fixture.append(0, 200);
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_prefetch(4)).await;
    expect(&mut stream, 0..200).await;
    let statistics = fixture.statistics();
    assert!(statistics.links >= 13, "{statistics:?}");
    assert_eq!((statistics.gaps, statistics.duplicates_dropped, statistics.retries), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_of_no_time_is_refused() {
    let fixture = Fixture::recovering().await;
    for silence in [Duration::ZERO, Duration::from_millis(999)] {
        let options = ReceiveOptions::default().with_watchdog(Some(silence));
        let error = fixture.hub.events(0, options).await.expect_err("too short");
        assert_eq!(
            (error.kind(), error.entity()),
            (ErrorKind::InvalidInput, "the option watchdog")
        );
    }
    let options = ReceiveOptions::default().with_watchdog(Some(SECOND));
    fixture.hub.events(0, options).await.expect("just long enough");
    assert_eq!(fixture.wire.dials(), 1, "nothing was sent for the others");
}

#[tokio::test(start_paused = true)]
async fn a_listener_outlives_outages_and_goes_on_after_gaps() {
    let fixture = Fixture::recovering().await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let logged = Arc::clone(&log);
    let handler = move |event: ReceivedEvent| {
        logged.lock().expect("no panic").push(event.sequence_number().as_i64());
        std::future::ready(Ok::<(), std::io::Error>(()))
    };
    let listening = fixture.hub.receive(0, ReceiveOptions::default(), handler);
    let listener = listening.await.expect("attached");
    let scope = Scope::all().role(Role::Consumer);
    let drop = Fault::at(Point::Deliver, Effect::Drop).within(scope).after(3);
    fixture.emulator.inject(drop).expect("it can strike");
    fixture.append(0, 3);
    settle().await;
    fixture.wire.cut();
    fixture.append(0, 7);
    pass(MINUTE).await;
    assert_eq!(*log.lock().expect("no panic"), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert!(listener.err().is_none(), "it runs");
    assert_eq!(fixture.statistics().gaps, 1);
    listener.close().await;
    assert!(listener.err().is_none());
}
