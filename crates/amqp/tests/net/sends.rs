//! What a send ends with, and when.

use std::task::Poll;
use std::time::Duration;

use eventhubs_amqp::codec::performative::{
    Attach, Close, Detach, End, Performative, Role, SenderSettleMode,
};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::CloseReason;
use eventhubs_amqp::net::{LinkClosed, SendFailure, Sender, SenderOptions};
use tokio::time::Instant;

use crate::peer::{assert_usable, connected, sender, settle_down, soon};

const TIMEOUT: Duration = Duration::from_secs(7);

fn options() -> SenderOptions {
    SenderOptions { send_timeout: TIMEOUT, ..SenderOptions::to("queue") }
}

#[tokio::test(start_paused = true)]
async fn a_pending_send_ends_with_its_connection_at_once() {
    let (connection, mut peer) = connected().await;
    let (sender, _) = sender(&connection, &mut peer, options(), 1).await;
    let start = Instant::now();
    let sent = sender.send("sent".into(), 0);
    let queued = sender.send("queued".into(), 0);
    peer.until("transfer").await;
    drop(peer);
    let (sent, queued) = soon(async { tokio::join!(sent, queued) }).await;
    let gone = LinkClosed::Connection(CloseReason::Eof);
    assert_eq!(sent, Err(SendFailure::Unknown(gone.clone())));
    assert_eq!(queued, Err(SendFailure::NotSent(gone.clone())));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let later = sender.send("later".into(), 0).await;
    assert_eq!(later, Err(SendFailure::NotSent(gone)));
    assert!(!later.unwrap_err().may_have_been_sent());
}

#[tokio::test(start_paused = true)]
async fn a_pending_send_ends_with_close_end_and_detach() {
    let error = Some(AmqpError::new(condition::INTERNAL_ERROR, "out of order"));
    let endings = [
        Performative::Close(Close { error: error.clone() }),
        Performative::End(End { error: error.clone() }),
        Performative::Detach(Detach { handle: 0, closed: true, error: error.clone() }),
    ];
    for ending in endings {
        let (connection, mut peer) = connected().await;
        let (sender, channel) = sender(&connection, &mut peer, options(), 1).await;
        let start = Instant::now();
        let sent = sender.send("sent".into(), 0);
        peer.until("transfer").await;
        let channel = if matches!(ending, Performative::Close(_)) { 0 } else { channel };
        peer.write(channel, ending.clone()).await;
        let Err(SendFailure::Unknown(closed)) = soon(sent).await else { panic!("{ending:?}") };
        assert_eq!(closed.error(), error.as_ref());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_outcome_ends_at_its_deadline() {
    let (connection, mut peer) = connected().await;
    let (sender, _) = sender(&connection, &mut peer, options(), 1).await;
    let start = Instant::now();
    let sent = sender.send("sent".into(), 0);
    let queued = sender.send("no credit".into(), 0);
    let (sent, queued) = soon(async { tokio::join!(sent, queued) }).await;
    assert_eq!(sent, Err(SendFailure::UnknownInTime(TIMEOUT)));
    assert_eq!(queued, Err(SendFailure::NotSentInTime(TIMEOUT)));
    assert_eq!(start.elapsed(), TIMEOUT);
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_for_the_session_window_was_not_sent() {
    let (connection, mut peer) = connected().await;
    let answer = async {
        let channel = peer.begin_with(1).await;
        let attach = peer.attached().await;
        peer.accept(channel, &attach).await;
        // Credit, but the window stays at one frame.
        let flow = eventhubs_amqp::codec::performative::Flow {
            next_incoming_id: Some(0),
            incoming_window: 1,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(10),
            ..Default::default()
        };
        peer.write(channel, Performative::Flow(Box::new(flow))).await;
    };
    let (sender, ()) = tokio::join!(connection.sender(options()), answer);
    let sender = sender.unwrap();
    let (first, second) = (sender.send("1".into(), 0), sender.send("2".into(), 0));
    let (first, second) = soon(async { tokio::join!(first, second) }).await;
    assert_eq!(first, Err(SendFailure::UnknownInTime(TIMEOUT)));
    assert_eq!(second, Err(SendFailure::NotSentInTime(TIMEOUT)));
}

#[tokio::test(start_paused = true)]
async fn outcomes_find_their_sends_in_any_order() {
    let (connection, mut peer) = connected().await;
    let (sender, channel) = sender(&connection, &mut peer, options(), 4).await;
    let sends: Vec<_> = (0..4).map(|n| sender.send(vec![n; 3].into(), 0)).collect();
    for number in 0..4 {
        let (_, _, payload) = peer.until("transfer").await;
        assert_eq!(payload, [number; 3], "in the order of the calls");
    }
    let rejected = DeliveryState::Rejected(Some(AmqpError::new(condition::NOT_ALLOWED, "no")));
    peer.settle_with(channel, 3, 3, rejected.clone(), true).await;
    peer.settle(channel, 0, 1).await;
    // A receiver that settles second: the state is the outcome, and the client settles.
    peer.settle_with(channel, 2, 2, DeliveryState::Released, false).await;
    let mut outcomes = Vec::new();
    for sending in sends {
        outcomes.push(sending.await.unwrap());
    }
    use DeliveryState::{Accepted, Released};
    assert_eq!(outcomes, [Accepted, Accepted, Released, rejected]);
    let (_, Performative::Disposition(disposition), _) = peer.until("disposition").await else {
        panic!("a disposition was due");
    };
    let seen = (disposition.role, disposition.first, disposition.settled);
    assert_eq!(seen, (Role::Sender, 2, true));
}

#[tokio::test(start_paused = true)]
async fn no_more_leaves_than_there_is_credit() {
    let (connection, mut peer) = connected().await;
    let (sender, channel) = sender(&connection, &mut peer, options(), 3).await;
    let sends: Vec<_> = (0..5).map(|_| sender.send("x".into(), 0)).collect();
    for _ in 0..3 {
        peer.until("transfer").await;
    }
    let more = tokio::time::timeout(Duration::from_secs(1), peer.next()).await;
    assert!(more.is_err(), "{more:?}");
    peer.grant(channel, 0, 3, 2).await;
    peer.until("transfer").await;
    peer.until("transfer").await;
    peer.settle(channel, 0, 4).await;
    for sending in sends {
        sending.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_nobody_waits_for_is_withdrawn_or_left_alone() {
    let (connection, mut peer) = connected().await;
    let (sender, channel) = sender(&connection, &mut peer, options(), 1).await;
    let written = sender.send("written".into(), 0);
    peer.until("transfer").await;
    let withdrawn = sender.send("withdrawn".into(), 0);
    let kept = sender.send("kept".into(), 0);
    settle_down().await;
    drop((written, withdrawn));
    peer.grant(channel, 0, 1, 5).await;
    let (_, _, payload) = peer.until("transfer").await;
    assert_eq!(payload, b"kept");
    peer.settle(channel, 0, 1).await;
    assert_eq!(kept.await, Ok(DeliveryState::Accepted));
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_is_refused_here() {
    let (connection, mut peer) = connected().await;
    let answer = async {
        let channel = peer.begin().await;
        let attach = peer.attached().await;
        let attach = Attach { max_message_size: Some(100), ..attach };
        peer.accept(channel, &attach).await;
        peer.grant(channel, 0, 0, 10).await;
        let (_, _, payload) = peer.until("transfer").await;
        assert_eq!(payload.len(), 100, "the large one did not leave");
        peer.settle(channel, 0, 0).await;
    };
    let client = async {
        let sender = connection.sender(options()).await.unwrap();
        assert_eq!(sender.max_message_size(), Some(100));
        let (large, fits) =
            tokio::join!(sender.send(vec![0; 101].into(), 0), sender.send(vec![0; 100].into(), 0));
        assert_eq!(large, Err(SendFailure::TooLarge { size: 101, limit: 100 }));
        assert_eq!(fits, Ok(DeliveryState::Accepted));
    };
    tokio::join!(client, answer);
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_room() {
    let (connection, mut peer) = connected().await;
    let narrow = SenderOptions { pending_max: 2, ..options() };
    let (sender, channel) = sender(&connection, &mut peer, narrow, 10).await;
    sender.ready().await;
    let first = sender.send("1".into(), 0);
    let second = sender.send("2".into(), 0);
    assert!(!is_ready(&sender).await);
    peer.until("transfer").await;
    peer.settle(channel, 0, 0).await;
    first.await.unwrap();
    assert!(is_ready(&sender).await);
    // A withdrawn send makes room as well.
    let (connection, mut peer) = connected().await;
    let narrow = SenderOptions { pending_max: 1, ..options() };
    let (sender, _) = crate::peer::sender(&connection, &mut peer, narrow, 0).await;
    let waiting = sender.send("never".into(), 0);
    let start = Instant::now();
    let clone = sender.clone();
    let ready = tokio::spawn(async move { clone.ready().await });
    settle_down().await;
    drop(waiting);
    ready.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(second);
}

/// Whoever has the turn passes it on, also when nothing is sent and when nobody waits any more.
#[tokio::test(start_paused = true)]
async fn all_who_wait_for_room_learn_of_it_in_turn() {
    let (connection, mut peer) = connected().await;
    let narrow = SenderOptions { pending_max: 1, ..options() };
    let (sender, _) = sender(&connection, &mut peer, narrow, 0).await;
    let full = sender.send("never".into(), 0);
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..5)
        .map(|number| {
            let (sender, order) = (sender.clone(), std::sync::Arc::clone(&order));
            tokio::spawn(async move {
                sender.ready().await;
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    settle_down().await;
    waiting[0].abort();
    waiting[2].abort();
    settle_down().await;
    drop(full);
    settle_down().await;
    assert_eq!(*order.lock().unwrap(), [1, 3, 4]);
    assert!(is_ready(&sender).await);
}

async fn is_ready(sender: &Sender) -> bool {
    settle_down().await;
    let mut ready = std::pin::pin!(sender.ready());
    std::future::poll_fn(|cx| Poll::Ready(ready.as_mut().poll(cx).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn a_detach_waits_for_the_sends_before_it() {
    let (connection, mut peer) = connected().await;
    let start = Instant::now();
    let patient = SenderOptions { attach_timeout: Duration::from_secs(3), ..options() };
    let (sender, channel) = sender(&connection, &mut peer, patient, 1).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let sent = sender.send("sent".into(), 0);
    let detach = sender.detach();
    let answer = async {
        peer.until("transfer").await;
        // Beyond the attach's deadline, which is not the detach's.
        tokio::time::advance(Duration::from_secs(4)).await;
        settle_down().await;
        peer.settle(channel, 0, 0).await;
        let (_, Performative::Detach(detach), _) = peer.next().await else { panic!("a detach") };
        tokio::time::advance(Duration::from_millis(1500)).await;
        settle_down().await;
        peer.detach(channel, detach.handle).await;
        start.elapsed()
    };
    let (sent, left, elapsed) = tokio::join!(sent, detach, answer);
    assert_eq!(sent, Ok(DeliveryState::Accepted));
    assert_eq!(left, LinkClosed::Local);
    assert_eq!(start.elapsed(), elapsed);
    assert_eq!(sender.detach().await, LinkClosed::Local, "again, at once");
}

#[tokio::test(start_paused = true)]
async fn a_detach_of_a_silent_peer_ends_by_its_deadline() {
    let (connection, mut peer) = connected().await;
    let (sender, _) = sender(&connection, &mut peer, options(), 1).await;
    let start = Instant::now();
    assert_eq!(soon(sender.detach()).await, LinkClosed::Local);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let unsent = sender.send("late".into(), 0).await;
    assert_eq!(unsent, Err(SendFailure::NotSent(LinkClosed::Local)));
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settled_sends_leave_before_the_detach() {
    let (connection, mut peer) = connected().await;
    let settle_mode = SenderSettleMode::Settled;
    let options = SenderOptions { settle_mode, ..options() };
    let answer = async {
        let channel = peer.begin_with(2).await;
        let attach = peer.attached().await;
        peer.accept(channel, &attach).await;
        let mut flow = eventhubs_amqp::codec::performative::Flow {
            next_incoming_id: Some(0),
            incoming_window: 2,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(100),
            ..Default::default()
        };
        peer.write(channel, Performative::Flow(Box::new(flow.clone()))).await;
        // The client has done everything by now, and its detach waits.
        settle_down().await;
        for seen in 1..=10 {
            let (_, performative, payload) = peer.next().await;
            assert_eq!((performative.name(), payload), ("transfer", b"x".to_vec()));
            flow.next_incoming_id = Some(seen);
            flow.handle = None;
            peer.write(channel, Performative::Flow(Box::new(flow.clone()))).await;
        }
        let (_, Performative::Detach(detach), _) = peer.next().await else { panic!("a detach") };
        peer.detach(channel, detach.handle).await;
    };
    let client = async {
        let sender = connection.sender(options).await.unwrap();
        for _ in 0..10 {
            assert_eq!(sender.send("x".into(), 0).await, Ok(DeliveryState::Accepted));
        }
        assert_eq!(sender.detach().await, LinkClosed::Local);
    };
    tokio::join!(client, answer);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_sender_detaches_by_itself() {
    let (connection, mut peer) = connected().await;
    let (sender, channel) = sender(&connection, &mut peer, options(), 1).await;
    let sending = sender.send("sent".into(), 0);
    drop(sender);
    peer.until("transfer").await;
    settle_down().await;
    peer.settle(channel, 0, 0).await;
    assert_eq!(sending.await, Ok(DeliveryState::Accepted));
    let (_, performative, _) = peer.next().await;
    assert_eq!(performative.name(), "detach");
    peer.detach(channel, 0).await;
    let (_, performative, _) = peer.next().await;
    assert_eq!(performative.name(), "end", "its session goes with it");
}
