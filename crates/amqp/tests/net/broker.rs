//! A broker made of our own listener: it takes whatever is sent, and sends numbers without end.

use eventhubs_amqp::codec::performative::Role;
use eventhubs_amqp::engine::Options;
use eventhubs_amqp::net::{
    AcceptOptions, Connection, ConnectionOptions, ReceiverOptions, SenderOptions,
};
use tokio::task::JoinSet;

/// A client whose broker is at the other end of a pipe that holds `capacity` bytes each way.
pub(crate) async fn connected(capacity: usize) -> Connection {
    let (ours, theirs) = tokio::io::duplex(capacity);
    let client = ConnectionOptions::with_engine(Options::dialler("client"));
    let serve = async {
        let broker = Connection::accept(theirs, AcceptOptions::new("broker")).await;
        let (connection, incoming) = broker.expect("the client opens");
        tokio::spawn(serve(connection, incoming));
    };
    let (connection, ()) = tokio::join!(Connection::dial_over(ours, client), serve);
    connection.expect("the broker opens")
}

async fn serve(connection: Connection, mut incoming: eventhubs_amqp::net::Incoming) {
    // Ends with the connection: its links do not keep it open.
    let mut links = JoinSet::new();
    loop {
        let link = tokio::select! {
            link = incoming.next() => link,
            _ = connection.closed() => break,
        };
        let Ok(link) = link else { break };
        match link.role() {
            Role::Receiver => {
                let Ok(mut receiver) = link.accept_receiver(ReceiverOptions::default()) else {
                    continue;
                };
                links.spawn(async move { while receiver.recv().await.is_ok() {} });
            }
            Role::Sender => {
                let Ok(sender) = link.accept_sender(SenderOptions::default()) else { continue };
                links.spawn(async move {
                    let mut number = 0_u32;
                    while sender.close_reason().is_none() {
                        sender.ready().await;
                        drop(tokio::spawn(sender.send(number.to_be_bytes().to_vec().into(), 0)));
                        number += 1;
                        tokio::task::yield_now().await;
                    }
                });
            }
        }
    }
}
