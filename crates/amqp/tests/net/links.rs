//! Attaching, being refused, giving up, and links that share a session or a connection.

use std::time::Duration;

use eventhubs_amqp::codec::performative::{Attach, Detach, Performative};
use eventhubs_amqp::codec::{AmqpError, condition};
use eventhubs_amqp::engine::{Options, SessionOptions};
use eventhubs_amqp::net::{
    AcceptOptions, Connection, ConnectionOptions, ErrorKind, LinkClosed, Operation,
    ReceiverOptions, SenderOptions,
};
use tokio::time::Instant;

use crate::peer::{assert_usable, connected, settle_down, soon};

#[tokio::test(start_paused = true)]
async fn a_cancelled_attach_is_detached_when_its_answer_comes() {
    for receiver in [false, true] {
        let (connection, mut peer) = connected().await;
        let attaching = connection.clone();
        let attach = tokio::spawn(async move {
            if receiver {
                drop(attaching.receiver(ReceiverOptions::from("queue")).await);
            } else {
                drop(attaching.sender(SenderOptions::to("queue")).await);
            }
        });
        let channel = peer.begin().await;
        let frame = peer.attached().await;
        attach.abort();
        assert!(attach.await.unwrap_err().is_cancelled());
        settle_down().await;
        peer.accept(channel, &frame).await;
        let (_, Performative::Detach(detach), _) = peer.until("detach").await else { panic!() };
        assert_eq!((detach.handle, detach.closed), (frame.handle, true));
        peer.detach(channel, detach.handle).await;
        assert_eq!(peer.next().await.1.name(), "end", "its session is of no use any more");
        assert_usable(&connection, &mut peer).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_attach_without_an_answer_ends_by_its_deadline() {
    let (connection, mut peer) = connected().await;
    let start = Instant::now();
    let error = soon(connection.sender(SenderOptions::to("queue"))).await.unwrap_err();
    assert_eq!((error.operation(), error.entity()), (Operation::Attach, "queue"));
    let fifteen = Duration::from_secs(15);
    assert!(matches!(error.kind(), ErrorKind::Timeout(time) if *time == fifteen), "{error}");
    assert_eq!(start.elapsed(), fifteen);
    // The answer that comes too late changes nothing.
    let channel = peer.begin().await;
    let frame = peer.attached().await;
    peer.accept(channel, &frame).await;
    peer.grant(channel, 0, 0, 10).await;
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_attach_says_why() {
    let (connection, mut peer) = connected().await;
    let why = AmqpError::new(condition::NOT_FOUND, "no such hub");
    let answer = async {
        for part in 0..2 {
            let channel = peer.begin().await;
            let attach = peer.attached().await;
            let empty = Attach { source: None, target: None, ..attach };
            peer.accept(channel, &empty).await;
            if part == 1 {
                settle_down().await;
            }
            let error = Some(why.clone());
            let detach = Detach { handle: 0, closed: true, error };
            peer.write(channel, Performative::Detach(detach)).await;
        }
    };
    let client = async {
        let sender = connection.sender(SenderOptions::to("hub")).await.unwrap_err();
        let receiver = connection.receiver(ReceiverOptions::from("hub")).await.unwrap_err();
        for error in [sender, receiver] {
            let closed = LinkClosed::Remote(Some(why.clone()));
            assert!(matches!(error.kind(), ErrorKind::Detached(c) if *c == closed), "{error}");
            assert_eq!(error.remote_error(), Some(&why));
            assert_eq!(error.entity(), "hub");
        }
    };
    tokio::join!(client, answer);
    assert_usable(&connection, &mut peer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unread_link_stops_no_other() {
    let connection = crate::broker::connected(64 << 10).await;
    let options = |bytes| ReceiverOptions {
        prefetch: 50,
        prefetch_bytes: bytes,
        ..ReceiverOptions::from("numbers")
    };
    // Nobody ever reads these two; one is full by count, the other by bytes.
    let _unread = connection.receiver(options(1 << 20)).await.unwrap();
    let _narrow = connection.receiver(options(1)).await.unwrap();
    settle_down().await;
    let mut receiver = connection.receiver(options(1 << 20)).await.unwrap();
    let sender = connection.sender(SenderOptions::to("sink")).await.unwrap();
    for number in 0..5000_u32 {
        let delivery = receiver.recv().await.unwrap();
        assert_eq!(delivery.payload(), number.to_be_bytes());
        if number % 10 == 0 {
            sender.send(vec![7; 100].into(), 0).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn links_that_share_a_session_end_with_it() {
    let (connection, mut peer) = connected().await;
    let session = connection.session(SessionOptions::default()).await.unwrap();
    let answer = async {
        let channel = peer.begin().await;
        for _ in 0..2 {
            let attach = peer.attached().await;
            peer.accept(channel, &attach).await;
        }
        channel
    };
    let links = async {
        let sender = session.sender(SenderOptions::to("a")).await.unwrap();
        let receiver = session.receiver(ReceiverOptions::from("b")).await.unwrap();
        (sender, receiver)
    };
    let ((sender, mut receiver), channel) = tokio::join!(links, answer);
    // One link of them goes alone.
    let (left, ()) = tokio::join!(sender.detach(), async {
        let (_, Performative::Detach(detach), _) = peer.until("detach").await else { panic!() };
        peer.detach(channel, detach.handle).await;
    });
    assert_eq!(left, LinkClosed::Local);
    settle_down().await;
    assert_eq!(receiver.close_reason(), None);
    drop(session);
    assert_eq!(peer.until("end").await.0, channel);
    assert_eq!(receiver.recv().await.unwrap_err(), LinkClosed::Local);
    let end = Performative::End(Default::default());
    peer.write(channel, end).await;
    assert_usable(&connection, &mut peer).await.unwrap();
}

/// A dialled connection and the accepted one that it is connected to.
async fn both() -> (Connection, Connection, eventhubs_amqp::net::Incoming) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let client = ConnectionOptions::with_engine(Options::dialler("client"));
    let (dialled, accepted) = tokio::join!(
        Connection::dial_over(ours, client),
        Connection::accept(theirs, AcceptOptions::new("broker")),
    );
    let (accepted, incoming) = accepted.unwrap();
    (dialled.unwrap(), accepted, incoming)
}

#[tokio::test(start_paused = true)]
async fn an_accepted_connection_refuses_drops_and_accepts() {
    let (connection, _broker, mut incoming) = both().await;
    let attach = |name: &'static str| connection.sender(SenderOptions::to(name));
    let why = AmqpError::new(condition::UNAUTHORIZED_ACCESS, "no right to send");
    let serve = async {
        incoming.next().await.unwrap().refuse(why.clone());
        drop(incoming.next().await.unwrap());
        // A link on which the peer sends is none to send on.
        let wrong = incoming.next().await.unwrap().accept_sender(SenderOptions::default());
        assert_eq!(wrong.unwrap_err().operation(), Operation::Accept);
        let link = incoming.next().await.unwrap();
        assert_eq!(link.attach().target.as_ref().unwrap().address.as_deref(), Some("accepted"));
        let mut receiver = link.accept_receiver(ReceiverOptions::default()).unwrap();
        let delivery = receiver.recv().await.unwrap();
        // Taking the next one is what accepts this one.
        tokio::time::timeout(Duration::from_millis(1), receiver.recv()).await.unwrap_err();
        delivery.payload().to_vec()
    };
    let client = async {
        let refused = attach("refused").await.unwrap_err();
        assert_eq!(refused.remote_error(), Some(&why));
        for name in ["dropped", "the wrong way"] {
            let refused = attach(name).await.unwrap_err();
            let condition = refused.remote_error().map(|error| error.condition.clone());
            assert_eq!(condition, Some(condition::RESOURCE_LIMIT_EXCEEDED));
        }
        let sender = attach("accepted").await.unwrap();
        sender.send("hello".into(), 0).await.unwrap();
        sender
    };
    let (payload, _sender) = tokio::join!(serve, client);
    assert_eq!(payload, b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_dialled_connection_accepts_no_links() {
    let (_client, broker, _incoming) = both().await;
    let refused = broker.sender(SenderOptions::to("client")).await.unwrap_err();
    assert_eq!(refused.remote_error().unwrap().condition, condition::NOT_ALLOWED);
}

#[tokio::test(start_paused = true)]
async fn links_that_nobody_accepts_go_with_their_connection() {
    let (connection, broker, mut incoming) = both().await;
    let attach = connection.sender(SenderOptions::to("queue"));
    let serve = async {
        let link = incoming.next().await.unwrap();
        broker.close(None).await;
        assert!(incoming.next().await.is_err());
        let mut receiver = match link.accept_receiver(ReceiverOptions::default()) {
            Ok(receiver) => receiver,
            Err(error) => return assert_eq!(error.operation(), Operation::Accept),
        };
        receiver.recv().await.unwrap_err();
    };
    let (refused, ()) = tokio::join!(attach, serve);
    assert!(matches!(refused.unwrap_err().kind(), ErrorKind::Closed(_)));
}
