//! What a link knows of itself, for those who watch over it.

use std::time::Duration;

use eventhubs_amqp::codec::performative::{Detach, Performative};
use eventhubs_amqp::codec::{AmqpError, Symbol};
use eventhubs_amqp::net::{ReceiverOptions, SenderOptions};
use tokio::time::Instant;

use crate::peer::{connected, receiver, sender, settle_down};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_receiver_knows_its_credit_its_count_and_its_silence() {
    let (connection, mut peer) = connected().await;
    let options = ReceiverOptions { prefetch: 4, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let attached = Instant::now().into_std();
    assert!(receiver.has_credit(), "nothing is held, so there is credit");
    assert_eq!((receiver.handed_out(), receiver.idle_since()), (0, attached));

    tokio::time::advance(MINUTE).await;
    for id in 0..4 {
        peer.deliver(channel, id, true, b"x").await;
    }
    settle_down().await;
    assert!(!receiver.has_credit(), "the reader is slow, the peer may send nothing");
    assert_eq!((receiver.handed_out(), receiver.idle_since()), (0, attached + MINUTE));

    tokio::time::advance(MINUTE).await;
    for taken in 1..=4 {
        receiver.recv().await.unwrap();
        assert_eq!(receiver.handed_out(), taken);
    }
    settle_down().await;
    assert!(receiver.has_credit(), "credit went back");
    assert_eq!(receiver.idle_since(), attached + MINUTE, "taking is no sign of life of the peer");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_link_is_known_before_what_it_left_is_taken() {
    let (connection, mut peer) = connected().await;
    let (mut receiver, channel) =
        receiver(&connection, &mut peer, ReceiverOptions::from("queue")).await;
    for id in 0..3 {
        peer.deliver(channel, id, true, b"x").await;
    }
    receiver.recv().await.unwrap();
    assert!(!receiver.is_closed());
    let stolen = AmqpError::new(Symbol::from_static("amqp:link:stolen"), "a higher epoch");
    let detach = Detach { handle: 0, closed: true, error: Some(stolen.clone()) };
    peer.write(channel, Performative::Detach(detach)).await;
    settle_down().await;
    assert!(receiver.is_closed() && !receiver.has_credit());
    assert_eq!(receiver.close_reason().unwrap().error(), Some(&stolen));
    for _ in 0..2 {
        receiver.recv().await.expect("what had arrived is there for those who want it");
    }
    receiver.recv().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_sender_knows_its_count_and_since_when_it_idles() {
    let (connection, mut peer) = connected().await;
    let (sender, channel) = sender(&connection, &mut peer, SenderOptions::to("queue"), 2).await;
    let attached = Instant::now().into_std();
    assert_eq!((sender.sent(), sender.idle_since()), (0, Some(attached)));

    tokio::time::advance(MINUTE).await;
    let sends: Vec<_> = (0..3).map(|_| sender.send("x".into(), 0)).collect();
    settle_down().await;
    assert_eq!(sender.sent(), 2, "the third waits for credit");
    assert_eq!(sender.idle_since(), None);

    tokio::time::advance(Duration::from_secs(5)).await;
    peer.settle(channel, 0, 1).await;
    peer.grant(channel, 0, 2, 1).await;
    settle_down().await;
    assert_eq!((sender.sent(), sender.idle_since()), (3, None));
    tokio::time::advance(Duration::from_secs(5)).await;
    peer.settle(channel, 2, 2).await;
    for send in sends {
        send.await.unwrap();
    }
    let last = attached + MINUTE + Duration::from_secs(10);
    assert_eq!(sender.idle_since(), Some(last));
    tokio::time::advance(MINUTE).await;
    // More credit is no use of the link.
    peer.grant(channel, 0, 3, 10).await;
    settle_down().await;
    assert_eq!((sender.sent(), sender.idle_since()), (3, Some(last)));
}
