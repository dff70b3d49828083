//! Every wait has an end. On the paused clock, in memory: time moves only when nobody can do
//! anything without it, so that what is measured is the deadline and nothing else.

use std::time::Duration;

use eventhubs_client::{
    Error, ErrorKind, Hub, HubOptions, Operation, PartitionId, ReceiveOptions, RetryOptions,
    SasKey, Stream, Timestamp,
};
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::authorization::with_credential;
use crate::support::peer::{Peer, Reply};
use crate::support::wire::{Nowhere, Wire};
use crate::support::{Fixture, bare, only_tasks, tasks};

const TEXT: &str = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=key;\
    UseDevelopmentEmulator=true;EntityPath=hub";

/// What timers may be late by: they tick in milliseconds.
const TICK: Duration = Duration::from_millis(10);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn hub(options: HubOptions) -> Hub {
    Hub::from_connection_string_with(TEXT, None, options).expect("it is valid")
}

/// Awaits `future`, which has to take `expected` time.
async fn takes<F: Future>(expected: Duration, future: F) -> F::Output {
    let start = Instant::now();
    let output = future.await;
    let taken = start.elapsed();
    assert!(taken >= expected && taken < expected + TICK, "{taken:?}, not {expected:?}");
    output
}

/// Lets time pass.
async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

fn timed_out(result: Result<(), Error>, operation: Operation) -> Error {
    let error = result.expect_err("nobody answers");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, operation), "{error}");
    assert!(error.is_retryable());
    error
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_is_unknown_in_time() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, _wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let error = timed_out(takes(seconds(30), producer.send("x")).await, Operation::Send);
    assert!(error.may_have_been_sent(), "the peer has it: {error}");
    assert_eq!(peer.events(), 1);

    let mut batch = producer.create_batch().await.expect("attached");
    batch.try_add("x").expect("it fits");
    let error = timed_out(takes(seconds(30), producer.send_batch(batch)).await, Operation::Send);
    assert!(error.may_have_been_sent());
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_send_is_an_option_and_starts_when_it_is_queued() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, _wire) = peer.hub(bare().with_send_timeout(seconds(7)));
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let early = producer.enqueue("early");
    while peer.events() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(seconds(3)).await;
    let late = producer.enqueue("late");
    let (early, late) = tokio::join!(takes(seconds(4), early), takes(seconds(7), late));
    for result in [early, late] {
        assert!(timed_out(result, Operation::Send).may_have_been_sent());
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_without_credit_was_not_sent() {
    let peer = Peer::granting(1);
    let (hub, _wire) = peer.hub(bare());
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let (first, second) = (producer.enqueue("has the credit"), producer.enqueue("has none"));
    let (first, second) = tokio::join!(takes(seconds(30), first), takes(seconds(30), second));
    assert!(timed_out(first, Operation::Send).may_have_been_sent());
    assert!(!timed_out(second, Operation::Send).may_have_been_sent());
}

#[tokio::test(start_paused = true)]
async fn room_for_a_send_comes_by_the_deadline_of_those_before() {
    let (hub, _wire) = Peer::granting(1).hub({
        let mut options = bare();
        options.pending_sends_max = 2;
        options
    });
    let producer = hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let (first, second) = (producer.enqueue("1"), producer.enqueue("2"));
    takes(seconds(30), producer.ready()).await.expect("there is room again");
    assert!(first.await.is_err() && second.await.is_err());
    // Sixteen times beyond the bound the queue takes no more, and says so at once.
    producer.ready().await.expect("attached again");
    let mut pending: Vec<_> = (0..40).map(|_| producer.enqueue("x")).collect();
    let last = pending.pop().expect("forty");
    let error = timed_out(takes(Duration::ZERO, last).await, Operation::Send);
    assert!(!error.may_have_been_sent());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_given_up_by_all_at_once() {
    let before = tasks();
    let hub = hub(bare().with_connector(std::sync::Arc::new(Nowhere)));
    let sends = (0..50_u32).map(|number| hub.send(number.to_string()));
    let results = takes(seconds(20), join_all(sends)).await;
    for result in results {
        assert!(!timed_out(result, Operation::Connect).may_have_been_sent());
    }
    timed_out(takes(seconds(20), hub.runtime_information()).await.map(drop), Operation::Connect);
    // The one that keeps the connection of the hub, when there is one.
    only_tasks(before + 1).await;
    drop(hub);
    only_tasks(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_opens_is_given_up() {
    let before = tasks();
    let streams = std::sync::Mutex::new(Vec::new());
    let wire = Wire::new(move || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        streams.lock().expect("no panic").push(far);
        Ok(Box::new(near) as Box<dyn Stream>)
    });
    let hub = hub(bare().with_connector(wire));
    timed_out(takes(seconds(30), hub.send("x")).await, Operation::Connect);
    drop(hub);
    only_tasks(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_nobody_answers_is_given_up() {
    let before = tasks();
    let (hub, _wire) = Peer::answering_tokens(&[]).hub(bare());
    timed_out(takes(seconds(20), hub.send("x")).await, Operation::Authorize);
    drop(hub);
    only_tasks(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_nobody_answers_is_given_up() {
    let before = tasks();
    let (hub, wire) = Peer::attaching_nothing().hub(bare());
    timed_out(takes(seconds(15), hub.send("x")).await, Operation::AttachProducer);
    let events = hub.events(0, ReceiveOptions::default());
    timed_out(takes(seconds(15), events).await.map(drop), Operation::AttachConsumer);
    let asked = hub.runtime_information();
    timed_out(takes(seconds(20), asked).await.map(drop), Operation::RuntimeInformation);
    assert_eq!(wire.dials(), 1, "the connection is usable");
    drop(hub);
    only_tasks(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_is_given_up() {
    let peer = Peer::replying(Reply::Silence);
    let (hub, _wire) = peer.hub(bare());
    let asked = join_all((0..150).map(|_| hub.runtime_information()));
    let meanwhile = async {
        pass(seconds(10)).await;
        assert_eq!(peer.events(), 100, "no more than there is credit for answers");
    };
    let (results, ()) = tokio::join!(takes(seconds(20), asked), meanwhile);
    for result in results {
        timed_out(result.map(drop), Operation::RuntimeInformation);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_lost_after_twice_the_idle_time() {
    let fixture = Fixture::memory().await;
    // The service's clock runs with the runtime's, the one that keys sign by does not.
    let key = SasKey::new(DEFAULT_KEY_NAME, DEFAULT_KEY).expect("it is valid");
    let token = key.sign("amqps://localhost/hub", Timestamp::from_millis(4_102_444_800_000));
    let credential = format!("SharedAccessSignature={}", token.secret().expose());
    let hub = fixture.hub_from(&with_credential(&fixture, &credential));
    let options = ReceiveOptions::default().with_retry(RetryOptions::none());
    let mut stream = hub.events(0, options).await.expect("attached");
    let quiet = tokio::time::timeout(seconds(24 * 3600), stream.next()).await;
    assert!(quiet.is_err(), "a day without events is no reason to end: {quiet:?}");
    assert_eq!(fixture.wire.dials(), 1);
    fixture.wire.silence();
    let start = Instant::now();
    let error = stream.next().await.expect("an item").expect_err("the peer is silent");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(start.elapsed() <= seconds(120) + TICK, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_close_against_a_silent_peer_ends_by_its_deadline_and_leaves_no_task() {
    let options = [bare(), {
        let mut options = bare();
        options.close_timeout = seconds(1);
        options
    }];
    for options in options {
        let limit = options.close_timeout * 2 + TICK;
        let fixture = Fixture::with_options(options).await;
        let before = tasks();
        let mut stream = fixture.stream(0).await;
        fixture.hub.runtime_information().await.expect("answered");
        fixture.send(0, &["x"]).await;
        let handler = |_| std::future::ready(Ok::<(), std::io::Error>(()));
        let listening = fixture.hub.receive(1, ReceiveOptions::default(), handler);
        let listener = listening.await.expect("attached");
        fixture.wire.silence();
        let producer = fixture.hub.producer(PartitionId::from(0));
        let pending = producer.enqueue("nobody will answer");
        let start = Instant::now();
        fixture.hub.close().await;
        assert!(start.elapsed() <= limit, "{:?}", start.elapsed());

        let error = pending.await.expect_err("nobody answered");
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.may_have_been_sent(), "{error}");
        assert!(stream.next().await.expect("an event").is_ok(), "it was here before");
        let error = stream.next().await.expect("an item").expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        listener.done().await;
        assert_eq!(listener.err().map(|error| error.kind()), Some(ErrorKind::Closed));
        assert!(start.elapsed() <= limit, "{:?}", start.elapsed());
        drop((stream, listener, producer));
        only_tasks(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_hub_with_a_silent_peer_leaves_no_task() {
    let Fixture { emulator, wire, hub, .. } = Fixture::memory().await;
    let before = tasks();
    hub.send("x").await.expect("accepted");
    hub.runtime_information().await.expect("answered");
    wire.silence();
    drop(hub);
    pass(seconds(5) + TICK).await;
    only_tasks(before).await;
    drop(emulator);
}

#[tokio::test(start_paused = true)]
async fn closing_a_stream_of_a_silent_peer_ends_by_a_deadline() {
    let fixture = Fixture::memory().await;
    let stream = fixture.stream(0).await;
    let handler = |_| std::future::ready(Ok::<(), std::io::Error>(()));
    let listening = fixture.hub.receive(1, ReceiveOptions::default(), handler);
    let listener = listening.await.expect("attached");
    fixture.wire.silence();
    let start = Instant::now();
    tokio::join!(stream.close(), listener.close());
    assert!(start.elapsed() <= seconds(5) + TICK, "{:?}", start.elapsed());
    assert!(listener.err().is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_here_takes_time_when_everybody_answers() {
    let config = Config::default();
    takes(Duration::ZERO, async {
        let fixture = Fixture::with_config(config).await;
        fixture.send(0, &["x"]).await;
        fixture.hub.runtime_information().await.expect("answered");
        let stream = fixture.stream(0).await;
        stream.close().await;
        fixture.hub.close().await;
    })
    .await;
}
