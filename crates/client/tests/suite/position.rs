//! Start positions: each kind, with and without the event it names.

use eventhubs_client::{
    ErrorKind, EventStream, Offset, Operation, ReceiveOptions, ReceivedEvent, SequenceNumber,
    StartPosition, Timestamp,
};
use eventhubs_emulator::{Config, Limits};

use crate::support::{BOTH, Fixture, take, texts, within};

async fn from(fixture: &Fixture, start: StartPosition) -> EventStream {
    fixture.stream_with(0, ReceiveOptions::default().with_start(start)).await
}

/// The numbers of what a receiver from `start` gets up to and with `last`.
async fn received(fixture: &Fixture, start: StartPosition, last: i64) -> Vec<i64> {
    let mut stream = from(fixture, start).await;
    let mut numbers: Vec<i64> = Vec::new();
    while numbers.last().is_none_or(|number| *number < last) {
        numbers.push(take(&mut stream, 1).await[0].sequence_number().as_i64());
    }
    stream.close().await;
    numbers
}

fn sequence(number: i64) -> StartPosition {
    StartPosition::sequence_number(SequenceNumber::from(number)).expect("it is valid")
}

async fn five_events(fixture: &Fixture) -> Vec<ReceivedEvent> {
    fixture.send(0, &["0", "1", "2", "3", "4"]).await;
    fixture.stored_in(0).await
}

#[tokio::test]
async fn earliest_is_everything_there_is() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        five_events(&fixture).await;
        for start in [StartPosition::earliest(), StartPosition::earliest().inclusive()] {
            assert_eq!(received(&fixture, start, 4).await, [0, 1, 2, 3, 4], "{transport:?}");
        }
    }
}

#[tokio::test]
async fn earliest_is_the_default_and_the_oldest_event_kept() {
    let limits = Limits { partition_events: 2, ..Limits::default() };
    let fixture = Fixture::with_config(Config::default().with_limits(limits)).await;
    five_events(&fixture).await;
    assert_eq!(StartPosition::default(), StartPosition::earliest());
    assert_eq!(received(&fixture, StartPosition::default(), 4).await, [3, 4]);
}

#[tokio::test]
async fn latest_is_what_comes_after() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        five_events(&fixture).await;
        let mut stream = from(&fixture, StartPosition::latest()).await;
        fixture.send(0, &["new"]).await;
        assert_eq!(texts(&take(&mut stream, 1).await), ["new"], "{transport:?}");
    }
}

#[tokio::test]
async fn latest_of_an_empty_partition_is_its_first_event() {
    let fixture = Fixture::memory().await;
    let mut stream = from(&fixture, StartPosition::latest()).await;
    fixture.send(0, &["first"]).await;
    assert_eq!(take(&mut stream, 1).await[0].sequence_number().as_i64(), 0);
}

#[tokio::test]
async fn sequence_numbers_leave_the_named_event_out_or_not() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        five_events(&fixture).await;
        for (start, expected) in [
            (sequence(-1), &[0, 1, 2, 3, 4][..]),
            (sequence(0), &[1, 2, 3, 4]),
            (sequence(0).inclusive(), &[0, 1, 2, 3, 4]),
            (sequence(2), &[3, 4]),
            (sequence(2).inclusive(), &[2, 3, 4]),
            (sequence(4).inclusive(), &[4]),
        ] {
            let name = format!("{start:?} by {transport:?}");
            assert_eq!(received(&fixture, start, 4).await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn after_the_last_event_is_what_comes_next() {
    let fixture = Fixture::memory().await;
    let last = five_events(&fixture).await.pop().expect("five");
    let after_number = sequence(last.sequence_number().as_i64());
    let after_offset = StartPosition::offset(last.to_offset());
    let mut streams = [from(&fixture, after_number).await, from(&fixture, after_offset).await];
    fixture.send(0, &["next"]).await;
    for stream in &mut streams {
        assert_eq!(take(stream, 1).await[0].sequence_number().as_i64(), 5);
    }
}

#[tokio::test]
async fn offsets_leave_the_named_event_out_or_not() {
    let fixture = Fixture::memory().await;
    let events = five_events(&fixture).await;
    for (index, event) in events.iter().enumerate() {
        let start = StartPosition::offset(event.to_offset());
        let all: Vec<i64> = (0..5).collect();
        assert_eq!(received(&fixture, start.clone().inclusive(), 4).await, &all[index..]);
        if index < 4 {
            assert_eq!(received(&fixture, start, 4).await, &all[index + 1..]);
        }
    }
}

#[tokio::test]
async fn times_leave_the_named_moment_out_or_not() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["first"]).await;
    let first = fixture.stored_in(0).await.remove(0).enqueued_time();
    // Several events share a millisecond. More are sent until one has another, then two more.
    let mut stream = from(&fixture, StartPosition::latest()).await;
    loop {
        fixture.send(0, &["more"]).await;
        if take(&mut stream, 1).await[0].enqueued_time() > first {
            break;
        }
    }
    fixture.send(0, &["more", "more"]).await;
    let events = fixture.stored_in(0).await;
    let last = events.last().expect("several").sequence_number().as_i64();
    let those = |keep: &dyn Fn(Timestamp) -> bool| -> Vec<i64> {
        let kept = events.iter().filter(|event| keep(event.enqueued_time()));
        kept.map(|event| event.sequence_number().as_i64()).collect()
    };
    let start = |time| StartPosition::enqueued_time(time).expect("it is valid");
    let after = those(&|time| time > first);
    assert!(!after.is_empty() && after.len() < events.len());
    assert_eq!(received(&fixture, start(first), last).await, after);
    let since = those(&|time| time >= first);
    assert_eq!(received(&fixture, start(first).inclusive(), last).await, since);
    let all = received(&fixture, start(Timestamp::UNIX_EPOCH), last).await;
    assert_eq!(all.len(), events.len(), "a time before all of them");
}

#[tokio::test]
async fn a_position_that_does_not_exist_is_told() {
    let fixture = Fixture::memory().await;
    five_events(&fixture).await;
    let offset = |text| StartPosition::offset(Offset::new(text).expect("it is valid"));
    for start in [
        sequence(5),
        sequence(i64::MAX).inclusive(),
        offset("999999"),
        offset("no-such-offset"),
        offset("' OR '1' = '1"),
    ] {
        let options = ReceiveOptions::default().with_start(start.clone());
        let error = within(fixture.hub.events(0, options)).await.expect_err("no such position");
        assert_eq!(error.kind(), ErrorKind::InvalidPosition, "{start:?}: {error}");
        assert_eq!(error.operation(), Operation::AttachConsumer);
        assert!(!error.is_retryable());
    }
}
