//! Credit, settlement and the end of a receiver.

use std::task::Poll;
use std::time::Duration;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::performative::{
    Disposition, Performative, ReceiverSettleMode, Role, SenderSettleMode,
};
use eventhubs_amqp::engine::{Options, SessionOptions};
use eventhubs_amqp::net::{ConnectionOptions, LinkClosed, Receiver, ReceiverOptions};
use tokio::time::Instant;

use crate::peer::{
    Peer, assert_usable, connected, connected_with, receiver, settle_down, soon, transfer,
};

/// What the peer knows of one receiver.
struct Granted {
    channel: u16,
    sent: u32,
    /// Delivery count up to which there is credit.
    until: u32,
    dispositions: Vec<Disposition>,
}

impl Granted {
    fn new(channel: u16) -> Self {
        Self { channel, sent: 0, until: 0, dispositions: Vec::new() }
    }

    /// Takes the frames that are there.
    async fn listen(&mut self, peer: &mut Peer) {
        let soon = Duration::from_millis(1);
        while let Ok((_, performative, _)) = tokio::time::timeout(soon, peer.next()).await {
            match performative {
                Performative::Flow(flow) => {
                    let count = flow.delivery_count.expect("the attach was answered");
                    self.until = count + flow.link_credit.expect("a link flow");
                }
                Performative::Disposition(disposition) => self.dispositions.push(disposition),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends as much as there is credit for, up to `max`; answers how many.
    async fn send(&mut self, peer: &mut Peer, max: u32, settled: bool, payload: &[u8]) -> u32 {
        let count = max.min(self.until - self.sent);
        for _ in 0..count {
            peer.deliver(self.channel, self.sent, settled, payload).await;
            self.sent += 1;
        }
        settle_down().await;
        count
    }
}

/// Polls once for a delivery and takes whatever is there.
async fn try_recv(receiver: &mut Receiver) -> Option<u32> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match receiver.poll_recv(cx) {
            Poll::Ready(delivery) => Some(delivery.expect("the link lives").id()),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_peer_never_has_more_credit_than_the_prefetch() {
    let (connection, mut peer) = connected().await;
    let options = ReceiverOptions { prefetch: 40, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let mut granted = Granted::new(channel);
    let mut consumed = 0;
    for round in 0..100 {
        granted.listen(&mut peer).await;
        // Sent, not consumed, and still allowed: all of it is the prefetch.
        assert!(granted.until - consumed <= 40, "{} are allowed", granted.until - consumed);
        granted.send(&mut peer, 1 + round % 60, true, b"x").await;
        for _ in 0..round % 13 {
            if let Some(id) = try_recv(&mut receiver).await {
                assert_eq!(id, consumed);
                consumed += 1;
            }
        }
    }
    assert!(consumed > 300, "credit comes back: {consumed} were consumed");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_grants_nothing() {
    let (connection, mut peer) = connected().await;
    let options = ReceiverOptions { prefetch: 8, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let mut granted = Granted::new(channel);
    granted.listen(&mut peer).await;
    assert_eq!(granted.send(&mut peer, 100, true, b"x").await, 8);
    granted.listen(&mut peer).await;
    assert_eq!(granted.until, 8);
    for _ in 0..2 {
        try_recv(&mut receiver).await.unwrap();
    }
    granted.listen(&mut peer).await;
    assert_eq!(granted.until, 10, "a quarter of the prefetch at a time");
}

#[tokio::test(start_paused = true)]
async fn credit_follows_bytes_and_never_dries_up() {
    let (connection, mut peer) = connected().await;
    let options =
        ReceiverOptions { prefetch: 300, prefetch_bytes: 20_000, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let mut granted = Granted::new(channel);
    let mut received = 0;
    // Large and small ones by turns: the large make credit small, the small never add up.
    for round in 0..60 {
        granted.listen(&mut peer).await;
        let payload = if round % 3 == 0 { vec![0; 9000] } else { vec![0; 10] };
        let max = if round == 0 { 300 } else { 5 };
        assert!(granted.send(&mut peer, max, true, &payload).await > 0, "no credit in {round}");
        while try_recv(&mut receiver).await.is_some() {
            received += 1;
        }
        settle_down().await;
    }
    assert_eq!(received, granted.sent);
    granted.listen(&mut peer).await;
    let payload = vec![0; 9000];
    granted.send(&mut peer, 2, true, &payload).await;
    granted.listen(&mut peer).await;
    let left = granted.until - granted.sent;
    assert!(left <= 2, "{left} more of 9000 bytes are allowed beside two");
}

#[tokio::test(start_paused = true)]
async fn large_deliveries_return_their_credit() {
    let mut client = ConnectionOptions::with_engine(Options::dialler("client"));
    client.engine.limits.session_bytes_soft = 60_000;
    let (connection, mut peer) = connected_with(client, 1 << 20).await;
    let session = SessionOptions { incoming_window: 10, ..SessionOptions::default() };
    let options =
        ReceiverOptions { prefetch_bytes: 100_000, session, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    Granted::new(channel).listen(&mut peer).await;
    // The window is used up by bytes long before a step of the prefetch is consumed.
    for round in 0..5 {
        for id in 0..10 {
            peer.deliver(channel, round * 10 + id, true, &[0; 10_000]).await;
        }
        for _ in 0..10 {
            receiver.recv().await.unwrap();
        }
        let flow = tokio::time::timeout(Duration::from_secs(1), async {
            loop {
                if let (_, Performative::Flow(flow), _) = peer.next().await
                    && flow.next_incoming_id == Some((round + 1) * 10)
                    && flow.incoming_window == 10
                {
                    return;
                }
            }
        });
        assert!(flow.await.is_ok(), "the window stays shut in round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn aborted_deliveries_give_their_credit_back() {
    let (connection, mut peer) = connected().await;
    let options = ReceiverOptions { prefetch: 2, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let mut granted = Granted::new(channel);
    for _ in 0..10 {
        granted.listen(&mut peer).await;
        assert!(granted.until > granted.sent, "no credit is left");
        let aborted = eventhubs_amqp::codec::performative::Transfer {
            aborted: true,
            ..transfer(granted.sent)
        };
        peer.write(channel, Performative::Transfer(Box::new(aborted))).await;
        granted.sent += 1;
    }
    granted.listen(&mut peer).await;
    peer.deliver(channel, granted.sent, true, b"at last").await;
    assert_eq!(soon(receiver.recv()).await.unwrap().payload(), b"at last");
}

#[tokio::test(start_paused = true)]
async fn unsettled_deliveries_are_accepted_in_ranges() {
    let (connection, mut peer) = connected().await;
    let settle_mode = SenderSettleMode::Unsettled;
    let options = ReceiverOptions { prefetch: 40, settle_mode, ..ReceiverOptions::from("queue") };
    let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
    let mut granted = Granted::new(channel);
    granted.listen(&mut peer).await;
    granted.send(&mut peer, 15, false, b"x").await;
    // One that is settled already lies between.
    granted.send(&mut peer, 1, true, b"x").await;
    granted.send(&mut peer, 4, false, b"x").await;
    while try_recv(&mut receiver).await.is_some() {}
    granted.listen(&mut peer).await;
    let mut seen = Vec::new();
    for disposition in &granted.dispositions {
        assert_eq!(disposition.role, Role::Receiver);
        assert_eq!(disposition.state, Some(DeliveryState::Accepted));
        assert!(disposition.settled);
        seen.extend(disposition.first..=disposition.last.unwrap_or(disposition.first));
    }
    assert_eq!(seen, (0..15).chain(16..20).collect::<Vec<_>>());
    assert!(granted.dispositions.len() <= 4, "{} dispositions", granted.dispositions.len());
}

#[tokio::test(start_paused = true)]
async fn deliveries_settled_by_hand() {
    for second in [false, true] {
        let (connection, mut peer) = connected().await;
        let receiver_settle_mode =
            if second { ReceiverSettleMode::Second } else { ReceiverSettleMode::First };
        let options = ReceiverOptions {
            auto_accept: false,
            receiver_settle_mode,
            ..ReceiverOptions::from("queue")
        };
        let (mut receiver, channel) = receiver(&connection, &mut peer, options).await;
        let mut granted = Granted::new(channel);
        granted.listen(&mut peer).await;
        granted.send(&mut peer, 3, false, b"x").await;
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            deliveries.push(receiver.recv().await.unwrap());
        }
        receiver.settle(&deliveries[1], DeliveryState::Released);
        granted.listen(&mut peer).await;
        let [disposition] = &granted.dispositions[..] else { panic!("{:?}", granted.dispositions) };
        assert_eq!((disposition.first, disposition.settled), (1, !second));
        assert_eq!(disposition.state, Some(DeliveryState::Released));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_receiver_takes_nobody_along() {
    let (connection, mut peer) = connected().await;
    let options = |name: &str| ReceiverOptions { name: name.to_owned(), ..Default::default() };
    let session = async {
        let session = connection.session(Default::default()).await.unwrap();
        let one = session.receiver(options("one")).await.unwrap();
        let two = session.receiver(options("two")).await.unwrap();
        (session, one, two)
    };
    let answer = async {
        let channel = peer.begin().await;
        for _ in 0..2 {
            let attach = peer.attached().await;
            peer.accept(channel, &attach).await;
        }
        channel
    };
    let ((_session, one, mut two), channel) = tokio::join!(session, answer);
    for id in 0..10 {
        peer.deliver(channel, id, true, b"one").await;
    }
    settle_down().await;
    drop(one);
    // In flight when the receiver went: whole deliveries and the first frame of one more.
    for id in 10..20 {
        peer.deliver(channel, id, true, b"late").await;
    }
    let half = eventhubs_amqp::codec::performative::Transfer { more: true, ..transfer(20) };
    peer.write_payload(channel, Performative::Transfer(Box::new(half)), b"half").await;
    let (_, Performative::Detach(detach), _) = peer.until("detach").await else { panic!() };
    assert_eq!((detach.handle, detach.error), (0, None));
    let other = eventhubs_amqp::codec::performative::Transfer { handle: 1, ..transfer(21) };
    peer.write_payload(channel, Performative::Transfer(Box::new(other)), b"two").await;
    assert_eq!(two.recv().await.unwrap().payload(), b"two");
    peer.detach(channel, 0).await;
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_recv_loses_nothing() {
    let (connection, mut peer) = connected().await;
    let (mut receiver, channel) =
        receiver(&connection, &mut peer, ReceiverOptions::from("queue")).await;
    for id in 0..5 {
        let waited = tokio::time::timeout(Duration::from_millis(5), receiver.recv()).await;
        assert!(waited.is_err());
        peer.deliver(channel, id, true, b"x").await;
        assert_eq!(receiver.recv().await.unwrap().id(), id);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_outlives_the_link() {
    let (connection, mut peer) = connected().await;
    let (mut receiver, channel) =
        receiver(&connection, &mut peer, ReceiverOptions::from("queue")).await;
    peer.deliver(channel, 0, true, b"before").await;
    peer.detach(channel, 0).await;
    drop(peer);
    connection.closed().await;
    assert_eq!(receiver.recv().await.unwrap().payload(), b"before");
    assert_eq!(receiver.recv().await.unwrap_err(), LinkClosed::Remote(None));
    assert_eq!(receiver.recv().await.unwrap_err(), LinkClosed::Remote(None));
}

#[tokio::test(start_paused = true)]
async fn a_detach_ends_by_its_deadline_too() {
    let (connection, mut peer) = connected().await;
    let (mut receiver, channel) =
        receiver(&connection, &mut peer, ReceiverOptions::from("queue")).await;
    for id in 0..10 {
        peer.deliver(channel, id, true, b"x").await;
    }
    receiver.recv().await.unwrap();
    let start = Instant::now();
    assert_eq!(soon(receiver.detach()).await, LinkClosed::Local);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_usable(&connection, &mut peer).await.unwrap();
}
