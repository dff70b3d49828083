//! Receiving by handler: how it runs, and every way in which it ends.

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex};

use eventhubs_client::{
    ErrorKind, ListenerHandle, Operation, OwnerLevel, PartitionId, ReceiveOptions, ReceivedEvent,
};
use futures_util::FutureExt;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{BOTH, Fixture, only_tasks, tasks, within};

/// A listener that tells the body of each event.
async fn listen(fixture: &Fixture) -> (ListenerHandle, mpsc::UnboundedReceiver<String>) {
    let (told, heard) = mpsc::unbounded_channel();
    let handler = move |event: ReceivedEvent| {
        let told = told.clone();
        async move {
            let _ = told.send(String::from_utf8_lossy(event.body()).into_owned());
            Ok::<(), io::Error>(())
        }
    };
    let listening = fixture.hub.receive(0, ReceiveOptions::default(), handler);
    (within(listening).await.expect("attached"), heard)
}

#[tokio::test]
async fn a_handler_gets_every_event_in_order() {
    for transport in BOTH {
        let fixture = Fixture::on(transport).await;
        let (listener, mut heard) = listen(&fixture).await;
        assert_eq!(listener.partition(), PartitionId::from(0));
        let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        for text in &expected {
            fixture.send(0, &[text]).await;
        }
        for text in &expected {
            assert_eq!(within(heard.recv()).await.as_ref(), Some(text), "{transport:?}");
        }
        assert!(listener.err().is_none(), "it runs");
        assert!(listener.done().now_or_never().is_none(), "it runs");
        within(listener.close()).await;
        assert!(listener.err().is_none(), "a close is no error");
    }
}

#[tokio::test]
async fn closing_ends_the_receiver_once_for_all() {
    let fixture = Fixture::memory().await;
    let before = tasks();
    fixture.send(0, &["one"]).await;
    let connected = tasks();
    let (listener, mut heard) = listen(&fixture).await;
    assert_eq!(within(heard.recv()).await.as_deref(), Some("one"));
    let clone = listener.clone();
    within(async { tokio::join!(listener.close(), clone.close(), clone.done()) }).await;
    within(listener.close()).await;
    within(clone.done()).await;
    assert!(listener.err().is_none() && clone.err().is_none());
    assert!(within(heard.recv()).await.is_none(), "the handler is gone");
    only_tasks(connected).await;
    fixture.hub.close().await;
    only_tasks(before).await;
}

#[tokio::test]
async fn a_close_waits_for_the_event_that_is_being_handled() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["a", "b", "c"]).await;
    let gate = Arc::new(Semaphore::new(0));
    let log = Arc::new(Mutex::new(Vec::new()));
    let (gated, logged) = (Arc::clone(&gate), Arc::clone(&log));
    let (begun, mut begins) = mpsc::unbounded_channel();
    let handler = move |event: ReceivedEvent| {
        let (gate, log, begun) = (Arc::clone(&gated), Arc::clone(&logged), begun.clone());
        async move {
            let _ = begun.send(());
            gate.acquire().await?.forget();
            log.lock().expect("no panic").push(event.sequence_number().as_i64());
            Ok::<(), tokio::sync::AcquireError>(())
        }
    };
    let listening = fixture.hub.receive(0, ReceiveOptions::default(), handler);
    let listener = within(listening).await.expect("attached");
    within(begins.recv()).await.expect("the first event is being handled");
    let mut closing = Box::pin(listener.close());
    assert!(closing.as_mut().now_or_never().is_none(), "the handler is not through");
    gate.add_permits(1);
    within(closing).await;
    assert_eq!(*log.lock().expect("no panic"), [0], "one was finished, none was begun");
    assert!(listener.err().is_none());
}

#[tokio::test]
async fn an_error_of_the_handler_ends_the_receiver_and_is_returned() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["a", "b", "c", "d"]).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let logged = Arc::clone(&log);
    let handler = move |event: ReceivedEvent| {
        let number = event.sequence_number().as_i64();
        logged.lock().expect("no panic").push(number);
        let failed = (number == 2).then(|| io::Error::other("the disk is full"));
        std::future::ready(failed.map_or(Ok(()), Err))
    };
    let listening = fixture.hub.receive(0, ReceiveOptions::default(), handler);
    let listener = within(listening).await.expect("attached");
    within(listener.done()).await;
    let error = listener.err().expect("the handler failed");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Handler, Operation::Handle));
    let text = error.to_string();
    assert!(text.contains("sequence number 2") && text.contains("the disk is full"), "{text}");
    assert!(error.entity().ends_with("Partitions/0"), "{}", error.entity());
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.expect("the cause").to_string(), "the disk is full");
    assert_eq!(*log.lock().expect("no panic"), [0, 1, 2], "nothing was handled after it");
    within(listener.close()).await;
    assert!(listener.err().is_some(), "closing later does not hide it");
    assert_eq!(fixture.stored_in(0).await.len(), 4, "the hub is usable");
}

#[tokio::test]
async fn a_panic_of_the_handler_ends_the_receiver_and_is_told() {
    let fixture = Fixture::memory().await;
    fixture.send(0, &["a", "b"]).await;
    let connected = tasks();
    for panics_at_once in [true, false] {
        let handler = move |_: ReceivedEvent| {
            assert!(!panics_at_once, "a panic outside of the future, on purpose");
            async move {
                assert!(panics_at_once, "a panic inside of the future, on purpose");
                Ok::<(), io::Error>(())
            }
        };
        let listening = fixture.hub.receive(0, ReceiveOptions::default(), handler);
        let listener = within(listening).await.expect("attached");
        within(listener.done()).await;
        let error = listener.err().expect("a panic is no success");
        assert_eq!(error.kind(), ErrorKind::Handler);
        assert!(error.to_string().contains("panicked") && error.source().is_none(), "{error}");
        within(listener.close()).await;
    }
    only_tasks(connected).await;
    assert_eq!(fixture.stored_in(0).await.len(), 2, "the hub is usable");
}

#[tokio::test]
async fn a_listener_without_a_handle_runs_on() {
    let fixture = Fixture::memory().await;
    let (listener, mut heard) = listen(&fixture).await;
    drop(listener);
    for text in ["a", "b", "c"] {
        fixture.send(0, &[text]).await;
        assert_eq!(within(heard.recv()).await.as_deref(), Some(text));
    }
    within(fixture.hub.close()).await;
    assert!(within(heard.recv()).await.is_none(), "it ends with the hub");
}

#[tokio::test]
async fn a_listener_keeps_the_hub_alive() {
    let fixture = Fixture::memory().await;
    let (_listener, mut heard) = listen(&fixture).await;
    let other = fixture.hub_from(&fixture.emulator.connection_string_for("hub"));
    let Fixture { hub, emulator: _emulator, .. } = fixture;
    drop(hub);
    within(other.producer(PartitionId::from(0)).send("x")).await.expect("accepted");
    assert_eq!(within(heard.recv()).await.as_deref(), Some("x"));
}

#[tokio::test]
async fn the_end_of_the_hub_and_a_thief_are_told() {
    let fixture = Fixture::memory().await;
    let (stolen, _heard) = listen(&fixture).await;
    let options = ReceiveOptions::default().with_owner_level(OwnerLevel::ZERO);
    let _thief = fixture.stream_with(0, options).await;
    within(stolen.done()).await;
    let error = stolen.err().expect("it was stolen");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Stolen, Operation::Receive));

    let fixture = Fixture::memory().await;
    let (listener, _heard) = listen(&fixture).await;
    within(fixture.hub.close()).await;
    within(listener.done()).await;
    assert_eq!(listener.err().map(|error| error.kind()), Some(ErrorKind::Closed));
}

#[tokio::test]
async fn a_receiver_that_cannot_attach_is_an_error_at_once() {
    let fixture = Fixture::memory().await;
    let before = {
        fixture.send(0, &["x"]).await;
        tasks()
    };
    let handler = |_| std::future::ready(Ok::<(), io::Error>(()));
    let listening = fixture.hub.receive(9, ReceiveOptions::default(), handler);
    let error = within(listening).await.expect_err("0 to 3");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    only_tasks(before).await;
}
