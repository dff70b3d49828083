//! A connection that goes: what was on its way, and how the next use gets a new one.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use eventhubs_client::{
    Error, ErrorKind, Hub, Operation, PartitionId, ReceiveOptions, StartPosition, Stream,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::peer::{Peer, Reply};
use crate::support::wire::Wire;
use crate::support::{Fixture, HUB, Transport, bare, end_of, take, texts, within};

const TEXT: &str = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=key;\
    UseDevelopmentEmulator=true;EntityPath=hub";

fn hub_on(wire: &Arc<Wire>) -> Hub {
    let options = bare().with_connector(wire.connector());
    Hub::from_connection_string_with(TEXT, None, options).expect("it is valid")
}

/// Lets every task run until nobody has anything to do without time or the test.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_send_pending_when_the_connection_dies_is_unknown() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let pending: Vec<_> = (0..10_u32).map(|n| producer.enqueue(n.to_string())).collect();
    let mut batch = producer.create_batch().await.expect("attached");
    batch.try_add("x").expect("it fits");
    let batch = producer.enqueue_batch(batch);
    while peer.events() < 11 {
        tokio::task::yield_now().await;
    }
    wire.cut();
    let mut results = within(join_all(pending)).await;
    results.push(within(batch).await);
    for result in results {
        let error = result.expect_err("nobody answered");
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Disconnected, Operation::Send));
        assert!(error.may_have_been_sent(), "the peer has it: {error}");
        assert!(error.is_retryable());
        assert!(error.to_string().contains("may have been stored"), "{error}");
    }
}

#[tokio::test]
async fn a_send_that_waited_for_credit_was_not_sent() {
    let peer = Peer::granting(1);
    let (hub, wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let (first, second) = (producer.enqueue("has the credit"), producer.enqueue("has none"));
    settle().await;
    wire.cut();
    let first = within(first).await.expect_err("nobody answered");
    assert!(first.may_have_been_sent(), "{first}");
    let second = within(second).await.expect_err("nobody answered");
    assert!(!second.may_have_been_sent() && second.is_retryable(), "{second}");
    assert_eq!(second.kind(), ErrorKind::Disconnected);
}

#[tokio::test]
async fn the_next_use_connects_again() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["before"]).await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    for round in 1..=3 {
        let mut stream = fixture.stream(0).await;
        take(&mut stream, round).await;
        fixture.wire.cut();
        let error = end_of(&mut stream).await;
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::Disconnected, Operation::Receive)
        );
        assert!(error.is_retryable());
        within(producer.send("after")).await.expect("on a new connection");
        within(fixture.hub.runtime_information()).await.expect("on the same");
        assert_eq!(fixture.wire.dials(), round + 1);
    }
    assert_eq!(texts(&fixture.stored_in(0).await), ["before", "after", "after", "after"]);
}

#[tokio::test]
async fn a_receiver_goes_on_after_the_last_event_it_had() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["0", "1", "2"]).await;
    let mut stream = fixture.stream(0).await;
    let last = take(&mut stream, 2).await.pop().expect("two");
    fixture.wire.cut();
    end_of(&mut stream).await;
    let start = StartPosition::sequence_number(last.sequence_number()).expect("it is valid");
    let mut stream = fixture.stream_with(0, ReceiveOptions::default().with_start(start)).await;
    assert_eq!(texts(&take(&mut stream, 1).await), ["2"]);
}

#[tokio::test]
async fn an_emulator_that_stops_disconnects_everybody() {
    for transport in [Transport::Tcp, Transport::Memory] {
        let fixture = Fixture::on(transport).await;
        let mut stream = fixture.stream(0).await;
        within(fixture.emulator.shutdown()).await;
        let error = end_of(&mut stream).await;
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{transport:?}: {error}");
        assert!(error.is_retryable());
        let error = within(fixture.hub.send("x")).await.expect_err("nobody is there");
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::Disconnected, Operation::Connect)
        );
        assert!(error.is_retryable() && !error.may_have_been_sent(), "{error}");
        let error = within(fixture.hub.runtime_information()).await.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        within(fixture.hub.close()).await;
    }
}

#[tokio::test]
async fn a_question_pending_when_the_connection_dies_is_disconnected() {
    let (hub, wire) = Peer::replying(Reply::Silence).hub(bare());
    within(hub.producer(PartitionId::from(0)).ready()).await.expect("attached");
    let mut asked = Box::pin(hub.runtime_information());
    for _ in 0..200 {
        assert!(asked.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    wire.cut();
    let error = within(asked).await.expect_err("nobody answered");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.operation(), Operation::RuntimeInformation);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_transport_that_fails_is_disconnected_and_tried_again() {
    let fixture = Fixture::memory().await;
    let emulator = Arc::clone(&fixture.emulator);
    let failures = std::sync::atomic::AtomicU32::new(2);
    let wire = Wire::new(move || {
        let order = std::sync::atomic::Ordering::Relaxed;
        match failures.fetch_update(order, order, |left| left.checked_sub(1)) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "no route today")),
            Err(_) => Ok(Box::new(emulator.connect_memory()) as Box<dyn Stream>),
        }
    });
    let options = bare().with_connector(wire.connector());
    let text = fixture.emulator.connection_string_for(HUB);
    let hub = Hub::from_connection_string_with(&text, None, options).expect("it is valid");
    for _ in 0..2 {
        let error = within(hub.send("x")).await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::Disconnected, Operation::Connect)
        );
        assert!(error.to_string().contains("no route today"), "{error}");
        assert!(error.is_retryable() && !error.may_have_been_sent());
    }
    within(hub.send("x")).await.expect("the third attempt connects");
    assert_eq!(wire.dials(), 3);
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_told_apart() {
    for (greeting, kind) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ErrorKind::Protocol),
        (b"AMQP\x00\x00\x09\x01", ErrorKind::Protocol),
        (b"", ErrorKind::Disconnected),
        (b"AMQP\x03\x01\x00\x00", ErrorKind::Disconnected),
        (b"AMQP\x03\x01\x00\x00\xff\xff\xff\xff\x02\x01\x00\x00", ErrorKind::Protocol),
    ] {
        let wire = Wire::new(move || {
            let (near, mut far) = tokio::io::duplex(1024);
            tokio::spawn(async move {
                let _ = far.read(&mut [0; 64]).await;
                let _ = far.write_all(greeting).await;
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        });
        let error = within(hub_on(&wire).send("x")).await.expect_err("no service");
        assert_eq!(error.operation(), Operation::Connect, "{greeting:?}");
        assert_eq!(error.kind(), kind, "{greeting:?}: {error}");
        assert!(!error.may_have_been_sent());
    }
}

/// Sends `count` events named after `task`, some of them many at once, and gives the outcomes.
async fn send_all(hub: Hub, task: u16, count: u32) -> Vec<(String, Result<(), Error>)> {
    let producer = hub.producer(PartitionId::from(0));
    let mut outcomes = Vec::new();
    for number in 0..count / 4 {
        let names: Vec<_> = (0..4).map(|part| format!("{task}/{number}/{part}")).collect();
        let sends = names.iter().map(|name| producer.enqueue(name.as_str()));
        let results = within(join_all(sends)).await;
        outcomes.extend(names.into_iter().zip(results));
    }
    outcomes
}

/// Lets the tasks that can run do so once. (`yield_now` would wait until none can.)
async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Cuts the wire after a number of turns that only the seed knows, again and again.
async fn cut_often(wire: Arc<Wire>, seed: u64) {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 100 {
            turn().await;
        }
        wire.cut();
    }
}

#[tokio::test]
async fn every_outcome_is_true_wherever_the_wire_is_cut() {
    let (mut stored_ones, mut unsent, mut unknown) = (0, 0, 0);
    for seed in 1..=30 {
        let fixture = Fixture::memory().await;
        let cutter = tokio::spawn(cut_often(Arc::clone(&fixture.wire), seed));
        let tasks: Vec<_> =
            (0..4).map(|task| tokio::spawn(send_all(fixture.hub.clone(), task, 60))).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.extend(within(task).await.expect("no panic"));
        }
        cutter.abort();
        assert!(cutter.await.is_err(), "it has no end");
        let fresh = fixture.hub_from(&fixture.emulator.connection_string_for(HUB));
        let after = Fixture { hub: fresh, ..fixture };
        let mut stored: HashMap<String, usize> = HashMap::new();
        for text in texts(&after.stored_in(0).await) {
            *stored.entry(text).or_default() += 1;
        }
        for (name, outcome) in outcomes {
            let times = stored.get(&name).copied().unwrap_or_default();
            match outcome {
                Ok(()) => {
                    assert_eq!(times, 1, "seed {seed}: {name} was accepted");
                    stored_ones += 1;
                }
                Err(error) if error.may_have_been_sent() => {
                    assert!(times <= 1, "seed {seed}: {name} was sent once");
                    unknown += 1;
                }
                Err(error) => {
                    assert_eq!(times, 0, "seed {seed}: {name}: {error}");
                    unsent += 1;
                }
            }
        }
    }
    assert!(stored_ones > 0 && unsent > 0 && unknown > 0, "{stored_ones} {unsent} {unknown}");
}
