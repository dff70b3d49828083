//! Two ends that both write as much as they can through a pipe that holds next to nothing.

use bytes::Bytes;
use eventhubs_amqp::engine::Options;
use eventhubs_amqp::net::{
    AcceptOptions, Connection, ConnectionOptions, Receiver, ReceiverOptions, Sender, SenderOptions,
};

/// What each end sends, in bytes.
const VOLUME: usize = 4 << 20;

async fn send_all(sender: Sender, size: usize) {
    let mut sends = Vec::new();
    for number in 0..VOLUME / size {
        sender.ready().await;
        sends.push(sender.send(Bytes::from(vec![number as u8; size]), 0));
    }
    for sending in sends {
        sending.await.expect("an outcome");
    }
}

async fn receive_all(mut receiver: Receiver, size: usize) {
    for number in 0..VOLUME / size {
        let delivery = receiver.recv().await.expect("a delivery");
        assert_eq!(delivery.payload().len(), size);
        assert!(delivery.payload().iter().all(|byte| *byte == number as u8));
    }
    // The last ones are accepted when more is asked for.
    let more = tokio::time::timeout(std::time::Duration::from_secs(1), receiver.recv()).await;
    assert!(more.is_err() || more.is_ok_and(|more| more.is_err()));
}

/// A sender and a receiver at each end.
async fn links(capacity: usize) -> [(Sender, Receiver); 2] {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let client = ConnectionOptions::with_engine(Options::dialler("client"));
    let dialled = async {
        let connection = Connection::dial_over(ours, client).await.expect("open");
        let sender = connection.sender(SenderOptions::to("there")).await.expect("attached");
        let receiver = connection.receiver(ReceiverOptions::from("there")).await;
        (sender, receiver.expect("attached"))
    };
    let accepted = async {
        let accepted = Connection::accept(theirs, AcceptOptions::new("broker")).await;
        let (_connection, mut incoming) = accepted.expect("open");
        let link = incoming.next().await.expect("a link");
        let receiver = link.accept_receiver(ReceiverOptions::default()).expect("accepted");
        let link = incoming.next().await.expect("a link");
        let sender = link.accept_sender(SenderOptions::default()).expect("accepted");
        (sender, receiver)
    };
    let (dialled, accepted) = tokio::join!(dialled, accepted);
    [dialled, accepted]
}

#[tokio::test(start_paused = true)]
async fn two_full_peers_never_wait_for_each_other() {
    for (capacity, size) in [(256, 200_000), (4096, 30_000), (64 << 10, 1 << 20)] {
        let [(out, back_in), (back_out, into)] = links(capacity).await;
        let both = async {
            tokio::join!(
                send_all(out, size),
                send_all(back_out, size),
                receive_all(into, size),
                receive_all(back_in, size),
            )
        };
        // The clock moves only when everybody waits, so this passes the moment they deadlock.
        let ended = tokio::time::timeout(std::time::Duration::from_secs(25), both).await;
        assert!(ended.is_ok(), "a deadlock with {size} bytes through {capacity}");
    }
}
