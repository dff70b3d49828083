//! The end of a hub that its program wants: closed, or dropped.

use std::io;
use std::sync::Arc;

use eventhubs_client::{
    Connecting, Connector, Destination, Error, ErrorKind, Hub, HubOptions, PartitionId,
    ReceiveOptions,
};
use eventhubs_emulator::{Config, Emulator};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::support::{BOTH, Fixture, HUB, end_of, only_tasks, take, tasks, within};

/// The error of everything that can be asked of a hub.
async fn errors(hub: &Hub) -> Vec<Error> {
    let handler = |_| std::future::ready(Ok::<(), io::Error>(()));
    let producer = hub.producer(PartitionId::from(0));
    vec![
        within(hub.send("x")).await.expect_err("closed"),
        within(hub.enqueue("x")).await.expect_err("closed"),
        within(hub.create_batch(Destination::Any)).await.expect_err("closed"),
        within(producer.send("x")).await.expect_err("closed"),
        within(producer.ready()).await.expect_err("closed"),
        within(hub.events(0, ReceiveOptions::default())).await.expect_err("closed"),
        within(hub.receive(0, ReceiveOptions::default(), handler)).await.expect_err("closed"),
        within(hub.runtime_information()).await.expect_err("closed"),
        within(hub.partition_runtime_information(0)).await.expect_err("closed"),
    ]
}

#[tokio::test]
async fn after_a_close_everything_is_closed() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let before = tasks();
        let hub = fixture.hub.clone();
        let producer = hub.producer(PartitionId::from(0));
        within(producer.send("x")).await.expect("accepted");
        let batch = {
            let mut batch = producer.create_batch().await.expect("attached");
            batch.try_add("x").expect("it fits");
            batch
        };
        let mut stream = fixture.stream(0).await;
        within(hub.close()).await;

        let error = end_of(&mut stream).await;
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        for error in errors(&fixture.hub).await {
            assert_eq!(error.kind(), ErrorKind::Closed, "{transport:?}: {error}");
            assert!(!error.is_retryable() && !error.may_have_been_sent());
        }
        let error = within(producer.send_batch(batch)).await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        for _ in 0..3 {
            within(hub.close()).await;
            within(fixture.hub.close()).await;
        }
        drop(stream);
        only_tasks(before).await;
    }
}

#[tokio::test]
async fn a_hub_that_was_never_used_closes_without_connecting() {
    let fixture = Fixture::memory().await;
    let before = tasks();
    within(fixture.hub.close()).await;
    assert!(errors(&fixture.hub).await.iter().all(|error| error.kind() == ErrorKind::Closed));
    assert_eq!((fixture.wire.dials(), tasks()), (0, before));
}

#[tokio::test]
async fn sends_that_are_queued_get_their_outcome_first() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let pending: Vec<_> = (0..500_u32).map(|n| producer.enqueue(n.to_string())).collect();
    within(fixture.hub.close()).await;
    let results = within(join_all(pending)).await;
    assert!(results.iter().all(Result::is_ok), "{:?}", results.iter().find(|one| one.is_err()));
    let fresh = fixture.hub_from(&fixture.emulator.connection_string_for(HUB));
    let information = within(fresh.partition_runtime_information(0)).await.expect("answered");
    assert_eq!(information.last_enqueued_sequence_number.as_i64(), 499);
}

#[tokio::test]
async fn closes_at_the_same_time_wait_for_the_same_end() {
    let fixture = Fixture::memory().await;
    let producer = fixture.hub.producer(PartitionId::from(0));
    producer.ready().await.expect("attached");
    let pending: Vec<_> = (0..500_u32).map(|n| producer.enqueue(n.to_string())).collect();
    let (first, second) = (fixture.hub.clone(), fixture.hub.clone());
    within(async { tokio::join!(first.close(), second.close(), fixture.hub.close()) }).await;
    assert!(within(join_all(pending)).await.iter().all(Result::is_ok), "none was cut off");
}

#[tokio::test]
async fn a_cancelled_close_has_begun() {
    let fixture = Fixture::memory().await;
    let before = tasks();
    let mut stream = fixture.stream(0).await;
    let _ = fixture.hub.close().now_or_never();
    let error = within(fixture.hub.send("x")).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    within(fixture.hub.close()).await;
    assert_eq!(end_of(&mut stream).await.kind(), ErrorKind::Closed);
    drop(stream);
    only_tasks(before).await;
}

/// Connects when it is let.
#[derive(Debug)]
struct Late {
    emulator: Arc<Emulator>,
    let_in: Arc<Semaphore>,
}

impl Connector for Late {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async {
            self.let_in.acquire().await.expect("it is never closed").forget();
            Ok(Box::new(self.emulator.connect_memory()) as Box<dyn eventhubs_client::Stream>)
        })
    }
}

#[tokio::test]
async fn a_connection_that_comes_after_the_close_is_closed() {
    let emulator = Emulator::start(Config::default().in_memory()).await.expect("it starts");
    let emulator = Arc::new(emulator);
    let before = tasks();
    let let_in = Arc::new(Semaphore::new(0));
    let late = Late { emulator: Arc::clone(&emulator), let_in: Arc::clone(&let_in) };
    let options = HubOptions::default().with_connector(Arc::new(late));
    let text = emulator.connection_string_for(HUB);
    let hub = Hub::from_connection_string_with(&text, None, options).expect("it is valid");
    let mut sending = Box::pin(hub.send("x"));
    assert!(sending.as_mut().now_or_never().is_none(), "it connects");
    within(hub.close()).await;
    let_in.add_permits(1);
    let error = within(sending).await.expect_err("closed meanwhile");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    only_tasks(before).await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let Fixture { emulator, wire, hub, .. } = fixture;
        let before = tasks();
        within(hub.send("x")).await.expect("accepted");
        within(hub.runtime_information()).await.expect("answered");
        let stream = within(hub.events(0, ReceiveOptions::default())).await.expect("attached");
        let producer = hub.producer(PartitionId::from(0));
        drop(hub);
        within(producer.send("a producer is a handle too")).await.expect("accepted");
        drop(producer);
        let mut stream = stream;
        assert_eq!(take(&mut stream, 1).await.len(), 1, "and so is a stream");
        drop(stream);
        only_tasks(before).await;
        drop((emulator, wire));
    }
}

#[tokio::test]
async fn dropping_a_future_that_connects_leaves_nothing_behind() {
    let fixture = Fixture::memory().await;
    let before = tasks();
    // Each of these is dropped a little further on its way to the first send.
    for polls in 0..40 {
        let hub = fixture.hub_from(&fixture.emulator.connection_string_for(HUB));
        let mut sending = Box::pin(hub.send("x"));
        for _ in 0..polls {
            if sending.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(sending);
        drop(hub);
        only_tasks(before).await;
    }
    within(fixture.hub.send("x")).await.expect("accepted");
}

#[tokio::test]
async fn whoever_is_dropped_while_connecting_passes_it_on() {
    let fixture = Fixture::memory().await;
    for _ in 0..20 {
        let first = fixture.hub.send("dropped").now_or_never();
        assert!(first.is_none_or(|result| result.is_ok()));
        tokio::task::yield_now().await;
    }
    let waiting = (0..20_u32).map(|number| fixture.hub.send(number.to_string()));
    assert!(within(join_all(waiting)).await.iter().all(Result::is_ok));
    within(fixture.hub.close()).await;
}
