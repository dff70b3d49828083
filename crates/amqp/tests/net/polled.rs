//! Every future, polled a few times and dropped: what comes next works all the same.

use std::pin::Pin;
use std::task::Poll;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::engine::SessionOptions;
use eventhubs_amqp::net::{
    Connection, IncomingLink, Receiver, ReceiverOptions, Sender, SenderOptions,
};

use crate::broker::connected;

/// How often a future is polled at most before it is dropped.
const POLLS: usize = 12;

/// Polls up to `times` times, lets the others go on a little after each, and drops the future.
/// Answers whether it had ended by itself.
async fn poll_and_drop<F: Future>(times: usize, pause: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut future).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        });
        if let Some(output) = polled.await {
            return Some(output);
        }
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
    }
    None
}

/// The connection can still do everything.
async fn assert_works(connection: &Connection) {
    let sender = connection.sender(SenderOptions::to("sink")).await.expect("a sender");
    assert_eq!(sender.send("x".into(), 0).await, Ok(DeliveryState::Accepted));
    assert_sends(&sender).await;
    let mut receiver = connection.receiver(ReceiverOptions::from("numbers")).await.expect("one");
    let first = receiver.recv().await.expect("a number");
    assert_eq!(first.payload(), 0_u32.to_be_bytes());
    assert_receives(&mut receiver, 1).await;
    sender.detach().await;
    receiver.detach().await;
}

async fn assert_sends(sender: &Sender) {
    for _ in 0..3 {
        assert_eq!(sender.send("x".into(), 0).await, Ok(DeliveryState::Accepted));
    }
}

async fn assert_receives(receiver: &mut Receiver, next: u32) {
    for number in next..next + 3 {
        let delivery = receiver.recv().await.expect("a number");
        assert_eq!(delivery.payload(), number.to_be_bytes(), "a number is lost");
    }
}

/// Every way of giving up after so many polls.
fn ways() -> impl Iterator<Item = (usize, usize)> {
    (0..POLLS).flat_map(|times| [0, 1, 3].map(|pause| (times, pause)))
}

#[tokio::test(start_paused = true)]
async fn attaches() {
    let connection = connected(1 << 16).await;
    let mut ended = 0;
    for (times, pause) in ways() {
        let attach = connection.sender(SenderOptions::to("sink"));
        ended += usize::from(poll_and_drop(times, pause, attach).await.is_some());
        let attach = connection.receiver(ReceiverOptions::from("numbers"));
        ended += usize::from(poll_and_drop(times, pause, attach).await.is_some());
        let session = connection.session(SessionOptions::default());
        ended += usize::from(poll_and_drop(times, pause, session).await.is_some());
        assert_works(&connection).await;
    }
    assert!(ended > 5 && ended < 100, "some are dropped early, some late: {ended}");
}

#[tokio::test(start_paused = true)]
async fn sends() {
    let connection = connected(1 << 16).await;
    let sender = connection.sender(SenderOptions::to("sink")).await.expect("a sender");
    for (times, pause) in ways() {
        poll_and_drop(times, pause, sender.send(vec![1; 100].into(), 0)).await;
        poll_and_drop(times, pause, sender.send(vec![1; 200_000].into(), 0)).await;
        poll_and_drop(times, pause, sender.ready()).await;
        poll_and_drop(times, pause, sender.closed()).await;
        assert_sends(&sender).await;
    }
}

#[tokio::test(start_paused = true)]
async fn receives() {
    let connection = connected(1 << 16).await;
    let options = ReceiverOptions { prefetch: 4, ..ReceiverOptions::from("numbers") };
    let mut receiver = connection.receiver(options).await.expect("a receiver");
    let mut next = 0;
    for (times, pause) in ways() {
        if poll_and_drop(times, pause, receiver.recv()).await.is_some() {
            next += 1;
        }
        assert_receives(&mut receiver, next).await;
        next += 3;
    }
}

#[tokio::test(start_paused = true)]
async fn detaches() {
    let connection = connected(1 << 16).await;
    for (times, pause) in ways() {
        let sender = connection.sender(SenderOptions::to("sink")).await.expect("a sender");
        let sending = sender.send("x".into(), 0);
        poll_and_drop(times, pause, sender.detach()).await;
        drop(sending);
        sender.detach().await;
        let receiver = connection.receiver(ReceiverOptions::from("numbers")).await.expect("one");
        poll_and_drop(times, pause, receiver.detach()).await;
        assert_works(&connection).await;
    }
}

#[tokio::test(start_paused = true)]
async fn closes() {
    for (times, pause) in ways() {
        let connection = connected(1 << 16).await;
        poll_and_drop(times, pause, connection.closed()).await;
        assert_works(&connection).await;
        poll_and_drop(times, pause, connection.close(None)).await;
        let reason = connection.close(None).await;
        assert_eq!(connection.closed().await, reason);
    }
}

#[tokio::test(start_paused = true)]
async fn opens() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for (times, pause) in ways() {
        let connection = poll_and_drop(times, pause, connected(1 << 16)).await;
        if let Some(connection) = connection {
            assert_works(&connection).await;
            connection.close(None).await;
        }
        // Whatever was given up winds itself up.
        tokio::time::advance(std::time::Duration::from_secs(31)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(alive, before, "a task is left after {times} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn accepted_links() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let client = eventhubs_amqp::net::ConnectionOptions::with_engine(
        eventhubs_amqp::engine::Options::dialler("client"),
    );
    let (connection, accepted) = tokio::join!(
        Connection::dial_over(ours, client),
        Connection::accept(theirs, eventhubs_amqp::net::AcceptOptions::new("broker")),
    );
    let (connection, (_broker, mut incoming)) =
        (connection.expect("open"), accepted.expect("open"));
    for (times, pause) in ways() {
        let attach = connection.sender(SenderOptions::to("sink"));
        let serve = async {
            let link: IncomingLink = match poll_and_drop(times, pause, incoming.next()).await {
                Some(link) => link.expect("a link"),
                None => incoming.next().await.expect("a link"),
            };
            link.accept_receiver(ReceiverOptions::default()).expect("accepted")
        };
        let (sender, mut receiver) = tokio::join!(attach, serve);
        let sender = sender.expect("attached");
        let (outcome, delivery) = tokio::join!(sender.send("x".into(), 0), async {
            let delivery = receiver.recv().await.expect("a delivery");
            let again = poll_and_drop(1, 0, receiver.recv()).await;
            assert!(again.is_none());
            delivery
        });
        assert_eq!(outcome, Ok(DeliveryState::Accepted));
        assert_eq!(delivery.payload(), b"x");
    }
}
