//! What a stream makes of deliveries that are not as they should be: twice, not at all, broken, too
//! many, gone. Rows of `docs/faults.md`, for receivers.

use std::time::Duration;

use bytes::Bytes;
use eventhubs_client::{ErrorKind, ReceiveOptions, SequenceNumber};
use eventhubs_emulator::{BadFrame, Direction, Effect, Fault, HubConfig, Performative, Point};
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::resume::{after, consumers, inject, survives};
use crate::support::{Fixture, HUB, encoded, expect, item, quiet, settle};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn s20_a_delivery_that_comes_twice_is_handed_out_once() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    inject(&fixture.emulator, Fault::at(Point::Deliver, Effect::Duplicate).after(2).times(3));
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..10).await;
    quiet(&mut stream, SECOND).await;
    let statistics = fixture.statistics();
    assert_eq!((statistics.duplicates_dropped, statistics.gaps), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn s21_a_gap_is_told_once_and_what_follows_comes() {
    for management in [true, false] {
        let fixture = Fixture::recovering().await;
        fixture.append(0, 10);
        if !management {
            inject(&fixture.emulator, Fault::at(Point::Management, Effect::Ignore).always());
        }
        inject(&fixture.emulator, Fault::at(Point::Deliver, Effect::Drop).after(3).times(2));
        let mut stream = fixture.stream(0).await;
        expect(&mut stream, 0..3).await;
        let error = item(&mut stream).await.expect_err("3 and 4 are missing");
        let (from, to) = (SequenceNumber::from(3), SequenceNumber::from(4));
        assert_eq!(error.kind(), ErrorKind::Gap { from, to }, "answered: {management}");
        assert!(!error.ends_stream() && !error.is_retryable(), "{error}");
        assert_eq!(stream.position(), after(2), "whoever wants them back begins there");
        expect(&mut stream, 5..10).await;
        assert_eq!((fixture.statistics().gaps, fixture.statistics().trims), (1, 0));
        let again = ReceiveOptions::default().with_start(after(2));
        expect(&mut fixture.stream_with(0, again).await, 3..10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s23_one_credit_at_a_time_is_enough() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 20);
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_prefetch(1)).await;
    expect(&mut stream, 0..10).await;
    inject(&fixture.emulator, Fault::now(Effect::Reset));
    expect(&mut stream, 10..20).await;
}

#[tokio::test(start_paused = true)]
async fn s24_more_deliveries_than_credit_cost_the_link_and_no_event() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 30);
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_prefetch(4)).await;
    expect(&mut stream, 0..1).await;
    let overrun = inject(&fixture.emulator, Fault::now(Effect::Overrun(2)).within(consumers()));
    settle().await;
    expect(&mut stream, 1..30).await;
    assert_eq!(fixture.emulator.hits(overrun), 1);
    assert!(fixture.statistics().links >= 2);

    let flood = BadFrame::Transfers { count: 2_000, bytes: 60_000, link: None };
    inject(&fixture.emulator, Fault::now(Effect::Write(flood)));
    settle().await;
    fixture.append(0, 5);
    let (mut numbers, mut undecodable) = (Vec::new(), 0);
    while numbers.len() < 5 {
        match item(&mut stream).await {
            Ok(event) => numbers.push(event.sequence_number().as_i64()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Undecodable, "{error}");
                undecodable += 1;
            }
        }
    }
    assert_eq!(numbers, [30, 31, 32, 33, 34]);
    assert!(undecodable <= 4, "{undecodable} with credit for 4");
}

#[tokio::test(start_paused = true)]
async fn s25_a_shut_window_holds_no_receiver_up() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..5).await;
    inject(&fixture.emulator, Fault::now(Effect::ShutWindow(10 * SECOND)));
    fixture.append(0, 10);
    expect(&mut stream, 5..20).await;
    assert_eq!(fixture.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn s26_an_aborted_delivery_comes_whole() {
    survives("aborted", Fault::at(Point::Deliver, Effect::Abort).after(2)).await;
}

#[tokio::test(start_paused = true)]
async fn s27_a_delivery_of_any_size_is_one_item() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let large = encoded(&"x".repeat(3 << 20));
    inject(&fixture.emulator, Fault::at(Point::Deliver, Effect::Replace(large)).after(4));
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..4).await;
    let error = item(&mut stream).await.expect_err("it has no number");
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    expect(&mut stream, 5..10).await;
    assert_eq!(fixture.statistics().gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn s28_frames_smaller_than_their_header() {
    for size in 0..8 {
        survives("size", Fault::now(Effect::Write(BadFrame::Size(size)))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s29_frames_larger_than_agreed() {
    survives("limit", Fault::now(Effect::Write(BadFrame::SizeOverLimit))).await;
    survives("2 GiB", Fault::now(Effect::Write(BadFrame::Size(1 << 31)))).await;
}

#[tokio::test(start_paused = true)]
async fn s30_extended_headers_disturb_nobody_and_bad_ones_cost_the_connection() {
    let fixture = survives("legal", Fault::now(Effect::ExtendedHeaders)).await;
    assert_eq!(fixture.wire.dials(), 1);
    for offset in [0, 1, 255] {
        let fault = Fault::now(Effect::Write(BadFrame::DataOffset(offset)));
        let fixture = survives("out of bounds", fault).await;
        assert_eq!(fixture.wire.dials(), 2, "{offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn s35_a_poison_event_is_one_item_and_no_gap() {
    let poison = Bytes::from_static(b"\x00\x53\x75\xb0\xff\xff\xff\xff");
    let fixture = Fixture::recovering().await;
    fixture.append(0, 3);
    fixture.emulator.append(HUB, 0, poison).expect("it is there");
    fixture.append(0, 3);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..3).await;
    let error = item(&mut stream).await.expect_err("a poison event");
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert!(!error.ends_stream());
    expect(&mut stream, 4..7).await;
    inject(&fixture.emulator, Fault::now(Effect::Reset));
    fixture.append(0, 1);
    expect(&mut stream, 7..8).await;
    let statistics = fixture.statistics();
    assert_eq!((statistics.gaps, statistics.duplicates_dropped), (0, 0));

    // Its number cannot be read: nobody can begin behind it, so that it comes again.
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..3).await;
    assert!(item(&mut stream).await.is_err());
    assert_eq!(stream.position(), after(2));
}

#[tokio::test(start_paused = true)]
async fn s39_a_detach_in_the_middle_of_an_event_costs_nothing() {
    let fixture = Fixture::recovering().await;
    let large = "x".repeat(300_000);
    for _ in 0..4 {
        fixture.emulator.append(HUB, 0, encoded(&large)).expect("it is there");
    }
    let at = Point::Frame { direction: Direction::Out, performative: Performative::Transfer };
    let detach = Effect::detach("amqp:link:detach-forced", "moved");
    let fault = inject(&fixture.emulator, Fault::at(at, detach).after(7).within(consumers()));
    let mut stream = fixture.stream(0).await;
    for number in 0..4 {
        let event = item(&mut stream).await.expect("an event");
        assert_eq!(event.sequence_number().as_i64(), number);
        assert!(event.body() == large.as_bytes(), "it is whole");
    }
    assert_eq!((fixture.emulator.hits(fault), fixture.statistics().gaps), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn s43_a_position_beyond_the_end_of_a_new_hub_ends_the_stream() {
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..10).await;
    fixture.wire.cut();
    fixture.emulator.delete_hub(HUB).expect("it is there");
    fixture.emulator.create_hub(HubConfig::new(HUB, 4)).expect("it is not there");
    let error = item(&mut stream).await.expect_err("9 is beyond the end");
    assert_eq!(error.kind(), ErrorKind::InvalidPosition, "{error}");
    assert!(stream.next().await.is_none());
    assert!(fixture.statistics().links < 10, "it does not loop");
}

#[tokio::test(start_paused = true)]
async fn s44_what_retention_took_is_told() {
    let trimmed = |from: i64, to: i64| ErrorKind::Trimmed { from: from.into(), to: to.into() };
    // While there was no link.
    let fixture = Fixture::recovering().await;
    fixture.append(0, 10);
    let mut stream = fixture.stream(0).await;
    expect(&mut stream, 0..3).await;
    fixture.wire.cut();
    fixture.emulator.trim(HUB, 0, 7).expect("it is there");
    settle().await;
    let mut errors = Vec::new();
    let mut last = 2;
    while last < 9 {
        match item(&mut stream).await {
            Ok(event) => last = event.sequence_number().as_i64(),
            Err(error) => errors.push((last, error.kind())),
        }
    }
    // What had arrived before is handed out.
    assert!(errors.is_empty() || errors == [(2, trimmed(3, 6))], "{errors:?}");

    // Before the stream began.
    let start = ReceiveOptions::default().with_start(after(2));
    let mut stream = fixture.stream_with(0, start).await;
    let error = item(&mut stream).await.expect_err("3 to 6 are gone");
    assert_eq!(error.kind(), trimmed(3, 6));
    assert!(!error.ends_stream());
    expect(&mut stream, 7..10).await;

    // Between two links, with nothing in hand.
    fixture.wire.cut();
    fixture.append(0, 0);
    for number in 10..20 {
        fixture.emulator.append(HUB, 0, encoded(&number.to_string())).expect("it is there");
    }
    fixture.emulator.trim(HUB, 0, 15).expect("it is there");
    assert_eq!(item(&mut stream).await.expect_err("gone").kind(), trimmed(10, 14));
    expect(&mut stream, 15..20).await;
    assert_eq!(fixture.statistics().gaps, 0);

    // From the earliest on nothing is missed.
    expect(&mut fixture.stream(0).await, 15..20).await;
}

#[tokio::test(start_paused = true)]
async fn s45_partitions_that_are_added_can_be_read_at_once() {
    let fixture = Fixture::recovering().await;
    let mut old = fixture.stream(0).await;
    fixture.emulator.set_partitions(HUB, 6).expect("more of them");
    fixture.append(0, 1);
    fixture.append(5, 1);
    expect(&mut old, 0..1).await;
    expect(&mut fixture.stream(5).await, 0..1).await;
    assert_eq!(fixture.hub.runtime_information().await.expect("answered").partition_ids.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn s46_ids_and_counts_that_wrap_are_not_noticed() {
    let fixture = Fixture::recovering().await;
    let first = u32::MAX - 2;
    inject(&fixture.emulator, Fault::at(Point::Begin, Effect::StartIds(first)).always());
    let attach = Fault::at(Point::Attach, Effect::StartIds(first)).within(consumers());
    inject(&fixture.emulator, attach.always());
    fixture.append(0, 10);
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_prefetch(3)).await;
    expect(&mut stream, 0..10).await;
    inject(&fixture.emulator, Fault::now(Effect::Reset));
    fixture.append(0, 10);
    expect(&mut stream, 10..20).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_what_is_there() {
    let fixture = Fixture::recovering().await;
    let mut stream = fixture.stream(0).await;
    let start = Instant::now();
    let none = stream.next_batch(10, 7 * SECOND).await.expect("it goes on").expect("no error");
    assert!(none.is_empty() && start.elapsed() >= 7 * SECOND);
    fixture.append(0, 25);
    settle().await;
    let mut sizes = Vec::new();
    let mut next = 0;
    while next < 25 {
        let batch = stream.next_batch(10, 7 * SECOND).await.expect("it goes on").expect("events");
        for event in &batch {
            assert_eq!(event.sequence_number().as_i64(), next);
            next += 1;
        }
        assert_eq!(stream.position(), after(next - 1));
        sizes.push(batch.len());
    }
    assert!(sizes.iter().all(|size| (1..=10).contains(size)) && sizes.contains(&10), "{sizes:?}");

    // What is not an event is told between two batches, and no event is lost on the way.
    inject(&fixture.emulator, Fault::at(Point::Deliver, Effect::Drop).after(2));
    fixture.append(0, 6);
    settle().await;
    let mut told = Vec::new();
    while next < 31 {
        match stream.next_batch(10, 7 * SECOND).now_or_never() {
            Some(Some(Ok(batch))) => {
                for event in batch {
                    next = event.sequence_number().as_i64() + 1;
                    told.push(next - 1);
                }
            }
            Some(Some(Err(error))) => {
                let (from, to) = (27.into(), 27.into());
                assert_eq!(error.kind(), ErrorKind::Gap { from, to });
                told.push(-1);
            }
            Some(None) => panic!("it goes on"),
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(told, [25, 26, -1, 28, 29, 30]);
    fixture.hub.close().await;
    let error = stream.next_batch(1, SECOND).await.expect("the last item").expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(stream.next_batch(1, SECOND).await.is_none());
}
