//! The end of a connection: by its deadline whatever the peer does, and without a trace.

use std::time::Duration;

use eventhubs_amqp::codec::performative::{Close, Open, Performative, SenderSettleMode};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::{CloseReason, Options, SessionOptions};
use eventhubs_amqp::net::{
    AcceptOptions, Connection, ConnectionOptions, DriveOptions, ErrorKind, LinkClosed, Operation,
    ReceiverOptions, SendFailure, SenderOptions,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::peer::{Peer, connected, connected_with, receiver, sender, settle_down, soon};

fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn options() -> ConnectionOptions {
    ConnectionOptions::with_engine(Options::dialler("client"))
}

#[tokio::test(start_paused = true)]
async fn a_close_of_a_silent_peer_ends_by_its_deadline_and_leaves_no_task() {
    let before = alive();
    let (connection, mut peer) = connected().await;
    let (sender, _) = sender(&connection, &mut peer, SenderOptions::to("queue"), 1).await;
    let (mut receiver, _) = receiver(&connection, &mut peer, ReceiverOptions::from("queue")).await;
    let pending = sender.send("pending".into(), 0);
    let start = Instant::now();
    let (reason, received, pending) =
        soon(async { tokio::join!(connection.close(None), receiver.recv(), pending) }).await;
    assert_eq!(reason, CloseReason::CloseTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    let gone = LinkClosed::Connection(CloseReason::CloseTimeout);
    assert_eq!(received.unwrap_err(), gone);
    assert_eq!(pending, Err(SendFailure::Unknown(gone)));
    settle_down().await;
    assert_eq!(alive(), before, "a task is left");
    assert_eq!(connection.close(None).await, CloseReason::CloseTimeout, "again, at once");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn an_open_of_a_silent_peer_ends_by_its_deadline_and_leaves_no_task() {
    let before = alive();
    let (ours, _theirs) = tokio::io::duplex(1 << 16);
    let start = Instant::now();
    let error = Connection::dial_over(ours, options()).await.unwrap_err();
    assert_eq!(error.operation(), Operation::Open);
    assert!(matches!(error.kind(), ErrorKind::Closed(CloseReason::OpenTimeout)), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(30));

    let (ours, _theirs) = tokio::io::duplex(1 << 16);
    let error = Connection::accept(ours, AcceptOptions::new("broker")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed(CloseReason::OpenTimeout)), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    settle_down().await;
    assert_eq!(alive(), before, "a task is left");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_open_leaves_no_task() {
    let before = alive();
    let start = Instant::now();
    for polls in 0..4 {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let mut dial = Box::pin(Connection::dial_over(ours, options()));
        for _ in 0..polls {
            let pending = futures_poll(&mut dial).await;
            assert!(pending, "nobody has answered");
            settle_down().await;
        }
        drop(dial);
    }
    // A close is owed to a peer that may still answer, by its deadline.
    tokio::time::advance(Duration::from_secs(5)).await;
    settle_down().await;
    assert_eq!(alive(), before, "a task is left");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

/// Polls once; answers whether the future is pending.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn forgotten_handles_close_the_connection() {
    let before = alive();
    let (connection, mut peer) = connected().await;
    let (sender, _) = sender(&connection, &mut peer, SenderOptions::to("queue"), 1).await;
    drop(connection);
    settle_down().await;
    assert_eq!(alive(), before + 1, "a link keeps its connection");
    drop(sender);
    assert_eq!(peer.next().await.1.name(), "detach");
    let (_, performative, _) = peer.until("close").await;
    assert_eq!(performative, Performative::Close(Close::default()));
    peer.write(0, Performative::Close(Close::default())).await;
    settle_down().await;
    assert_eq!(alive(), before, "a task is left");
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_close_reach_both_ends() {
    let error = || AmqpError::new(condition::CONNECTION_FORCED, "maintenance");
    let (connection, mut peer) = connected().await;
    let close = connection.close(Some(error()));
    let answer = async {
        let (_, Performative::Close(close), _) = peer.next().await else { panic!("a close") };
        assert_eq!(close.error, Some(error()));
        peer.write(0, Performative::Close(Close::default())).await;
    };
    let (reason, ()) = tokio::join!(close, answer);
    assert_eq!(reason, CloseReason::Local);

    let (connection, mut peer) = connected().await;
    peer.write(0, Performative::Close(Close { error: Some(error()) })).await;
    assert_eq!(connection.closed().await, CloseReason::Remote(Some(error())));
    assert_eq!(peer.next().await.1, Performative::Close(Close::default()));
    let refused = connection.sender(SenderOptions::to("queue")).await.unwrap_err();
    assert_eq!(refused.remote_error(), Some(&error()));
    let refused = connection.session(SessionOptions::default()).await.unwrap_err();
    assert_eq!(refused.remote_error(), Some(&error()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_given_up() {
    let before = alive();
    let write_timeout = Duration::from_secs(9);
    let drive = DriveOptions { write_timeout, ..DriveOptions::default() };
    let (connection, mut peer) =
        connected_with(ConnectionOptions { drive, ..options() }, 1000).await;
    let (sender, _) = sender(&connection, &mut peer, SenderOptions::to("queue"), 100).await;
    settle_down().await;
    let start = Instant::now();
    let stuck = sender.send(vec![0; 100_000].into(), 0);
    let reason = soon(connection.closed()).await;
    assert_eq!(reason, CloseReason::WriteTimeout);
    assert_eq!(start.elapsed(), write_timeout);
    let gone = LinkClosed::Connection(CloseReason::WriteTimeout);
    assert_eq!(stuck.await, Err(SendFailure::Unknown(gone)));
    settle_down().await;
    assert_eq!(alive(), before);
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_cannot_be_written_ends_by_its_deadline() {
    let before = alive();
    let (connection, mut peer) = connected_with(options(), 1000).await;
    let (sender, _) = sender(&connection, &mut peer, SenderOptions::to("queue"), 100).await;
    let stuck = sender.send(vec![0; 100_000].into(), 0);
    settle_down().await;
    let start = Instant::now();
    assert_eq!(soon(connection.close(None)).await, CloseReason::CloseTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert!(stuck.await.unwrap_err().may_have_been_sent());
    settle_down().await;
    assert_eq!(alive(), before);
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_cut_off() {
    let (connection, peer) = connected().await;
    let start = Instant::now();
    assert_eq!(soon(connection.closed()).await, CloseReason::IdleTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(120), "twice what was advertised");
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_an_idle_connection() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let open = Open { idle_time_out: Some(10_000), ..Open::default() };
    let engine = Options { idle_time_out: None, ..Options::dialler("client") };
    let client = Connection::dial_over(ours, ConnectionOptions::with_engine(engine));
    let (connection, mut peer) = tokio::join!(client, Peer::open(theirs, open));
    let connection = connection.unwrap();
    let start = Instant::now();
    let mut beat = [0; 8];
    for _ in 0..3 {
        tokio::io::AsyncReadExt::read_exact(&mut peer.stream, &mut beat).await.unwrap();
        assert_eq!(beat, [0, 0, 0, 8, 2, 0, 0, 0]);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(15));
    assert_eq!(connection.close_reason(), None);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_ends_the_connection() {
    let (connection, peer) = connected().await;
    drop(peer);
    let start = Instant::now();
    assert_eq!(connection.closed().await, CloseReason::Eof);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_out_is_accepted_before_a_close() {
    let (connection, mut peer) = connected().await;
    let options = ReceiverOptions {
        settle_mode: SenderSettleMode::Unsettled,
        ..ReceiverOptions::from("queue")
    };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    // Two ranges, since an id is left out, and one that nobody takes.
    for id in [0, 1, 5, 6] {
        peer.deliver(channel, id, false, b"x").await;
    }
    settle_down().await;
    for _ in 0..3 {
        receiver.recv().await.unwrap();
    }
    connection.start_close(None);
    for range in [(0, Some(1)), (5, None)] {
        let (_, Performative::Disposition(told), _) = peer.until("disposition").await else {
            panic!("a disposition");
        };
        assert_eq!((told.first, told.last), range);
        assert_eq!((told.state, told.settled), (Some(DeliveryState::Accepted), true));
    }
    assert_eq!(peer.next().await.1, Performative::Close(Close::default()), "once, and the last");
}

#[tokio::test(start_paused = true)]
async fn a_close_finds_room_however_much_waits() {
    let (connection, peer) = connected().await;
    let begin = || {
        let mut begin = Box::pin(connection.session(SessionOptions::default()));
        async move { futures_poll(&mut begin).await }
    };
    let mut waiting = 0;
    while begin().await {
        waiting += 1;
        assert!(waiting < 100_000, "requests wait without a bound");
    }
    let start = Instant::now();
    assert_eq!(soon(connection.close(None)).await, CloseReason::CloseTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    drop(peer);
}
