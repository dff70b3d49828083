//! A stream outlives its link, its session and its connection: every event once, in order, or told
//! as missing. Rows of `docs/faults.md`, for receivers.

use std::time::Duration;

use eventhubs_client::{
    ErrorKind, Hub, HubOptions, PartitionId, ReceiveOptions, RetryOptions, SequenceNumber,
    StartPosition,
};
use eventhubs_emulator::{
    Config, Direction, Effect, Emulator, Fault, HubConfig, Performative, Point, Role, Scope,
};
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::support::{Fixture, encoded, expect, item, pass, quiet, settle};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn consumers() -> Scope {
    Scope::all().role(Role::Consumer)
}

pub(crate) fn inject(emulator: &Emulator, fault: Fault) -> eventhubs_emulator::FaultId {
    emulator.inject(fault).expect("it can strike")
}

fn latest() -> ReceiveOptions {
    ReceiveOptions::default().with_start(StartPosition::latest())
}

pub(crate) fn after(number: i64) -> StartPosition {
    StartPosition::sequence_number(SequenceNumber::from(number)).expect("it is valid")
}

/// A stream of partition 0 that has had 5 of 10 events, then suffers `fault`; all else comes.
pub(crate) async fn survives(what: &str, fault: Fault) -> Fixture {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..5).await;
    let id = inject(&fixture.emulator, fault);
    fixture.append(0, 10);
    expect(&mut stream, 5..20).await;
    assert_eq!(fixture.emulator.hits(id), 1, "{what}: it struck");
    fixture.append(0, 1);
    expect(&mut stream, 20..21).await;
    let statistics = fixture.statistics();
    assert_eq!((statistics.gaps, statistics.trims, statistics.stalls), (0, 0, 0), "{what}");
    fixture
}

#[tokio::test(start_paused = true)]
async fn n05_a_reset_while_events_come_costs_none_of_them() {
    survives("now", Fault::now(Effect::Reset)).await;
    survives("at an event", Fault::at(Point::Deliver, Effect::Reset).after(3)).await;
    survives("in good order", Fault::at(Point::Deliver, Effect::Eof).after(3)).await;
    let direction = Direction::Out;
    let at = Point::Frame { direction, performative: Performative::Transfer };
    survives("at a frame", Fault::at(at, Effect::Reset).after(7)).await;
}

#[tokio::test(start_paused = true)]
async fn n06_a_peer_that_vanishes_while_idle_is_found() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 1);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..1).await;
    inject(&fixture.emulator, Fault::now(Effect::Silence(Direction::Both)));
    settle().await;
    fixture.append(0, 1);
    let start = Instant::now();
    expect(&mut stream, 1..2).await;
    let taken = start.elapsed();
    assert!(taken <= 2 * HubOptions::default().idle_timeout + 5 * SECOND, "{taken:?}");
    assert_eq!(fixture.wire.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn n07_a_peer_that_vanishes_while_credit_is_returned_is_found() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 250);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..50).await;
    inject(&fixture.emulator, Fault::now(Effect::Silence(Direction::Both)));
    settle().await;
    // What had arrived is taken, and its credit returned to nobody.
    fixture.append(0, 250);
    expect(&mut stream, 50..500).await;
    assert_eq!(fixture.wire.dials(), 2);
    assert_eq!(fixture.statistics().duplicates_dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn n08_a_black_hole_is_outlived_without_a_storm() {
    for length in [10, 60, 300] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 1);
        let mut stream = fixture.stream(0).await;
        expect(&mut stream, 0..1).await;
        let hole = [
            inject(&fixture.emulator, Fault::now(Effect::Silence(Direction::Both))),
            inject(&fixture.emulator, Fault::at(Point::Accept, Effect::Ignore).always()),
        ];
        settle().await;
        fixture.append(0, 1);
        let _ = tokio::time::timeout(length * SECOND, stream.next()).await.expect_err("a hole");
        for fault in hole {
            fixture.emulator.lift(fault);
        }
        let start = Instant::now();
        expect(&mut stream, 1..2).await;
        // One try that began in the hole may have to run out first, and then one wait.
        let options = HubOptions::default();
        let longest = options.open_timeout + options.connect_timeout + 30 * SECOND;
        assert!(start.elapsed() <= longest, "{length}: {:?}", start.elapsed());
        assert!(fixture.wire.dials() <= 10, "{length}: {} dials", fixture.wire.dials());
        fixture.append(0, 1);
        expect(&mut stream, 2..3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn n09_one_way_that_is_lost_is_found() {
    for direction in [Direction::In, Direction::Out] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 1);
        let mut stream = fixture.stream(0).await;
        expect(&mut stream, 0..1).await;
        inject(&fixture.emulator, Fault::now(Effect::Silence(direction)));
        settle().await;
        for number in 1..2000 {
            fixture.append(0, 1);
            expect(&mut stream, number..number + 1).await;
            if fixture.wire.dials() == 2 {
                break;
            }
            // What the service cannot hear it cannot know: it goes on until its own time is over.
            pass(SECOND).await;
        }
        assert_eq!(fixture.wire.dials(), 2, "{direction:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn n13_bytes_that_end_in_the_middle_of_a_frame() {
    survives("truncated", Fault::at(Point::Deliver, Effect::Truncate).after(2)).await;
}

#[tokio::test(start_paused = true)]
async fn n15_many_links_that_are_lost_at_once_share_one_connection() {
    let hub = HubConfig::new("wide", 32);
    let fixture =
        Fixture::recovering_with(Config::default().with_hub_config(hub), HubOptions::default())
            .await;
    let text = fixture.emulator.connection_string_for("wide");
    let options = HubOptions::default().with_connector(fixture.wire.connector());
    let wide = Hub::from_connection_string_with(&text, None, options).expect("it is valid");
    let mut streams = Vec::new();
    for partition in 0..32_u16 {
        for _ in 0..5 {
            streams.push(wide.events(partition, ReceiveOptions::default()).await.expect("room"));
        }
    }
    inject(&fixture.emulator, Fault::now(Effect::Reset));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for mut stream in streams {
        tasks.push(tokio::spawn(async move {
            expect(&mut stream, 0..1).await;
            start.elapsed()
        }));
    }
    for partition in 0..32 {
        fixture.emulator.append("wide", partition, encoded("x")).expect("it is there");
    }
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.expect("no panic"));
    }
    times.sort();
    assert_eq!(wide.statistics().gaps, 0);
    assert_eq!(fixture.wire.dials(), 2, "all of them on one new connection");
    assert!(times.last().expect("many") < &(2 * SECOND), "{times:?}");
    times.dedup();
    assert!(times.len() > 50, "they do not come at once: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn s01_a_forced_close_idle_or_busy() {
    let idle = "The connection was inactive for more than the allowed 300000 milliseconds and is \
        closed by container 'LinkTracker'.";
    for text in [idle, "moved"] {
        let fault = Fault::now(Effect::close("amqp:connection:forced", text));
        let fixture = survives(text, fault).await;
        assert_eq!(fixture.wire.dials(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s02_a_close_with_any_condition_or_none() {
    for condition in ["amqp:internal-error", "amqp:connection:framing-error"] {
        survives(condition, Fault::now(Effect::close(condition, "x"))).await;
    }
    let redirect = Fault::now(Effect::close("amqp:connection:redirect", "elsewhere"));
    survives("amqp:connection:redirect", redirect).await;
    survives("none", Fault::now(Effect::Close(None))).await;
}

#[tokio::test(start_paused = true)]
async fn s03_an_end_costs_one_session_and_no_other() {
    let ends = ["window-violation", "errant-link", "handle-in-use", "unattached-handle"]
        .map(|name| Effect::end(format!("amqp:session:{name}"), "x"));
    for end in ends.into_iter().chain([Effect::End(None)]) {
        let fixture = Fixture::recovering().await;
        let (mut one, mut other) = (fixture.stream(0).await, fixture.stream(1).await);
        let (dials, links) = (fixture.wire.dials(), fixture.statistics().links);
        inject(&fixture.emulator, Fault::now(end.clone()).within(Scope::all().partition("0")));
        settle().await;
        fixture.append(0, 3);
        fixture.append(1, 3);
        expect(&mut other, 0..3).await;
        assert_eq!(fixture.statistics().links, links, "{end:?}: the other one has its link");
        expect(&mut one, 0..3).await;
        assert_eq!(fixture.wire.dials(), dials, "{end:?}: on the same connection");
    }
}

#[tokio::test(start_paused = true)]
async fn s04_a_detached_link_goes_on_after_the_last_event() {
    let forced = "The link was force detached by the broker because of errors.";
    let idle = "Detach origin: AmqpMessagePublisher.IdleTimerExpired: Idle timeout: 00:30:00";
    for text in [forced, idle] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 10);
        let mut stream = fixture.stream(0).await;
        expect(&mut stream, 0..4).await;
        assert_eq!(stream.position(), after(3));
        let dials = fixture.wire.dials();
        let detach = Effect::detach("amqp:link:detach-forced", text);
        inject(&fixture.emulator, Fault::now(detach).within(consumers()));
        settle().await;
        fixture.append(0, 1);
        let start = Instant::now();
        expect(&mut stream, 4..11).await;
        assert_eq!(fixture.wire.dials(), dials, "on the same connection");
        assert_eq!(fixture.statistics().duplicates_dropped, 0, "nothing was sent again");
        assert_eq!(start.elapsed() < Duration::from_millis(100), text == idle);
        assert_eq!(stream.position(), after(10));
    }
}

#[tokio::test(start_paused = true)]
async fn s04_many_detaches_in_a_row_are_too_few_as_long_as_events_come() {
    let fixture = Fixture::recovering().await;
    let mut stream = fixture.stream(0).await;
    for number in 0..20 {
        fixture.append(0, 1);
        expect(&mut stream, number..number + 1).await;
        // A condition nobody knows is tried again twice.
        let odd = Effect::detach("com.microsoft:never-heard-of", "x");
        inject(&fixture.emulator, Fault::now(odd).within(consumers()));
        settle().await;
    }
    let odd = Effect::detach("com.microsoft:never-heard-of", "x");
    inject(&fixture.emulator, Fault::at(Point::Attach, odd).within(consumers()).always());
    let error = item(&mut stream).await.expect_err("it never gets on");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Protocol, 3), "{error}");
    assert!(error.ends_stream() && stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_latest_event_is_that_of_the_beginning_however_long_the_outage() {
    for before in [0, 5] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, before);
        let mut stream = fixture.stream_with(0, latest()).await;
        let first = i64::try_from(before).expect("few");
        let refusal = Fault::at(Point::Accept, Effect::Reset).always();
        let refusal = inject(&fixture.emulator, refusal);
        fixture.wire.cut();
        assert!(stream.next().now_or_never().is_none());
        fixture.append(0, 3);
        quiet(&mut stream, 10 * MINUTE).await;
        fixture.emulator.lift(refusal);
        expect(&mut stream, first..first + 3).await;
        assert_eq!((fixture.statistics().gaps, fixture.statistics().trims), (0, 0));
    }
    let fixture = Fixture::recovering().await;
    fixture.append(0, 5);
    let start = StartPosition::latest().inclusive();
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_start(start)).await;
    expect(&mut stream, 4..5).await;
    fixture.append(0, 1);
    expect(&mut stream, 5..6).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_notices_a_loss_late_does_not_blame_what_was_made_since() {
    let fixture = Fixture::recovering().await;
    let (mut early, mut late) = (fixture.stream(0).await, fixture.stream(1).await);
    fixture.wire.cut();
    settle().await;
    fixture.append(0, 1);
    fixture.append(1, 1);
    expect(&mut early, 0..1).await;
    pass(MINUTE).await;
    expect(&mut late, 0..1).await;
    fixture.append(0, 1);
    expect(&mut early, 1..2).await;
    assert_eq!(fixture.wire.dials(), 2, "the second connection serves both");
    assert_eq!(fixture.statistics().retries, 2, "each was lost once");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_made_anew_for_one_link_costs_the_others_nothing() {
    let fixture = Fixture::recovering().await;
    let (mut one, mut other) = (fixture.stream(0).await, fixture.stream(1).await);
    let sent = fixture.hub.producer(PartitionId::from(1));
    sent.send("0").await.expect("accepted");
    expect(&mut other, 0..1).await;
    let silent = Effect::DelayAcknowledgement(MINUTE);
    inject(&fixture.emulator, Fault::at(Point::Publish, silent));
    let pending = sent.enqueue("1");
    settle().await;
    // What this condition asks for is another connection.
    let detach = Effect::detach("amqp:decode-error", "x");
    let scope = consumers().partition("0");
    inject(&fixture.emulator, Fault::now(detach).within(scope));
    settle().await;
    fixture.append(0, 1);
    expect(&mut one, 0..1).await;
    pending.await.expect("sent again");
    expect(&mut other, 1..3).await;
    assert_eq!(fixture.wire.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn recovery_belongs_to_the_stream_and_not_to_the_future_of_one_event() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 2);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..2).await;
    fixture.wire.cut();
    fixture.append(0, 2);
    let mut polls = 0;
    let event = loop {
        if let Some(event) = stream.next().now_or_never() {
            break event;
        }
        polls += 1;
        assert!(polls < 1_000_000, "it gets on");
        tokio::task::yield_now().await;
        if polls % 100 == 0 {
            pass(Duration::from_millis(50)).await;
        }
    };
    let event = event.expect("it goes on").expect("an event");
    assert_eq!(event.sequence_number().as_i64(), 2);
    expect(&mut stream, 3..4).await;
    assert_eq!(fixture.wire.dials(), 2, "no try was begun twice");
}

#[tokio::test(start_paused = true)]
async fn without_retries_a_stream_ends_with_its_link() {
    let fixture = Fixture::memory().await;
    fixture.append(0, 2);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..2).await;
    fixture.wire.cut();
    let error = item(&mut stream).await.expect_err("the link is lost");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Disconnected, 1));
    assert!(stream.next().await.is_none());
    assert_eq!(fixture.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_used_up_end_the_stream() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 1);
    let retry = RetryOptions::default().with_retries_max(4);
    let options = ReceiveOptions::default().with_retry(retry);
    let mut stream = fixture.hub.events(0, options).await.expect("attached");
    expect(&mut stream, 0..1).await;
    inject(&fixture.emulator, Fault::at(Point::Accept, Effect::Reset).always());
    fixture.wire.cut();
    let error = item(&mut stream).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Disconnected, 5), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_closed_hub_ends_a_stream_that_recovers() {
    let fixture = Fixture::recovering().await;
    let mut stream = fixture.stream(0).await;
    inject(&fixture.emulator, Fault::at(Point::Accept, Effect::Reset).always());
    fixture.wire.cut();
    quiet(&mut stream, MINUTE).await;
    fixture.hub.close().await;
    let error = item(&mut stream).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(stream.next().await.is_none());
}

/// The connection is cut wherever that may be: every event comes once and in order.
#[test]
fn cuts_anywhere_cost_no_event_and_double_none() {
    let mut cuts = 0;
    for seed in 0..60_u64 {
        // Each has a clock of its own: tokens end by the wall clock, which stands still here.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
        cuts += runtime.block_on(cut_anywhere(seed));
    }
    assert!(cuts > 60, "{cuts} cuts");
}

async fn cut_anywhere(seed: u64) -> u64 {
    let random = |salt: u64| {
        let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt as u32 * 7);
        mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    let is_even = seed.is_multiple_of(2);
    let fixture = Fixture::recovering().await;
    fixture.append(0, 100);
    let options = ReceiveOptions::default()
        .with_prefetch(u32::try_from(1 + random(1) % 60).expect("few"))
        .with_start(if is_even { StartPosition::earliest() } else { after(9) });
    let mut next = if is_even { 0 } else { 10 };
    let mut stream = fixture.stream_with(0, options).await;
    let effect = [Effect::Reset, Effect::Eof, Effect::Truncate, Effect::Close(None)];
    let bytes = 700 + random(2) % 9_000;
    let point = [Point::BytesOut(bytes), Point::BytesIn(300 + bytes / 8)];
    let fault = Fault::at(
        point[usize::try_from(random(3) % 2).expect("few")],
        effect[usize::try_from(random(4) % 4).expect("few")].clone(),
    );
    let fault = inject(&fixture.emulator, fault.times(1 + random(5) % 4));
    while next < 150 {
        let event = item(&mut stream).await;
        let event = event.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(event.sequence_number().as_i64(), next, "seed {seed}");
        next += 1;
        if next % 10 == 0 && next <= 100 {
            fixture.append(0, if next == 100 { 10 } else { 5 });
        }
    }
    let statistics = fixture.statistics();
    let told = (statistics.gaps, statistics.trims, statistics.duplicates_dropped);
    assert_eq!(told, (0, 0, 0), "seed {seed}");
    fixture.emulator.hits(fault)
}
