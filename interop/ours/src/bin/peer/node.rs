//! The nodes of a listener. The first segment of an address says what the node does, the second is
//! there for the driver to tell links apart, the third is how many messages are due.

use std::sync::Arc;

use eventhubs_amqp::codec::performative::{Attach, Role, SenderSettleMode};
use eventhubs_amqp::codec::{AmqpError, Symbol, condition};
use eventhubs_amqp::engine::CloseReason;
use eventhubs_amqp::net::{Connection, Incoming, IncomingLink, ReceiverOptions};
use tokio::net::{TcpListener, TcpStream};

use crate::settings::Settings;
use crate::{Failure, flow, say};

/// Messages of a node that goes away by itself.
pub(crate) const FEW: u32 = 10;
/// Messages of the node that is asked for more than it has.
const DRAINED: u32 = 5;
/// Text of the refusal of a node that does not exist.
pub(crate) const MISSING_TEXT: &str = "no node has this name";
/// Condition with which the listener closes the connection.
pub(crate) const CLOSED: &str = "test:closed";
/// Text of that close.
pub(crate) const CLOSED_TEXT: &str = "ten were enough";

/// Serves whoever dials, for ever.
pub(crate) async fn listen(settings: Settings) -> Result<(), Failure> {
    let listener = TcpListener::bind((settings.host.as_str(), settings.port)).await?;
    say(&format!("ready {}", listener.local_addr()?));
    let settings = Arc::new(settings);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, Arc::clone(&settings)));
    }
}

async fn serve(stream: TcpStream, settings: Arc<Settings>) {
    let _ = stream.set_nodelay(true);
    let (connection, mut incoming) = match Connection::accept(stream, settings.listener()).await {
        Ok(accepted) => accepted,
        Err(error) => return say(&format!("fact refused {}", one_line(&error.to_string()))),
    };
    serve_links(&connection, &mut incoming, &settings).await;
    match connection.closed().await {
        CloseReason::Remote(Some(error)) => say(&format!("fact closed {error}")),
        CloseReason::Remote(None) | CloseReason::Local => {}
        other => say(&format!("FAIL connection: {}", one_line(&other.to_string()))),
    }
}

async fn serve_links(connection: &Connection, incoming: &mut Incoming, settings: &Arc<Settings>) {
    while let Ok(link) = incoming.next().await {
        let (connection, settings) = (connection.clone(), Arc::clone(settings));
        tokio::spawn(async move {
            let address = address(link.attach());
            if let Err(error) = play(link, &address, &connection, &settings).await {
                say(&format!("FAIL {address}: {}", one_line(&error.to_string())));
            }
        });
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The address that the peer attached to.
fn address(attach: &Attach) -> String {
    let address = match attach.role {
        Role::Sender => attach.target.as_ref().and_then(|target| target.address.clone()),
        Role::Receiver => attach.source.as_ref().and_then(|source| source.address.clone()),
    };
    address.unwrap_or_default()
}

async fn play(
    link: IncomingLink,
    address: &str,
    connection: &Connection,
    settings: &Settings,
) -> Result<(), Failure> {
    let mut segments = address.split('/');
    let node = segments.next().unwrap_or_default();
    let count = segments.nth(1).map_or(Ok(settings.count), str::parse)?;
    match (link.role(), node) {
        (Role::Receiver, "sink" | "outcomes" | "leaving" | "closing") => {
            receive(link, address, node, count, connection, settings).await
        }
        (Role::Sender, "source" | "outcomes" | "leaving" | "drained") => {
            send(link, address, node, count, settings).await
        }
        _ => {
            link.refuse(AmqpError::new(condition::NOT_FOUND, MISSING_TEXT));
            Ok(())
        }
    }
}

async fn receive(
    link: IncomingLink,
    address: &str,
    node: &str,
    count: u32,
    connection: &Connection,
    settings: &Settings,
) -> Result<(), Failure> {
    let settled = link.attach().snd_settle_mode == SenderSettleMode::Settled;
    let auto_accept = node != "outcomes";
    let mut receiver =
        link.accept_receiver(ReceiverOptions { auto_accept, ..settings.receiver() })?;
    let received = match node {
        "outcomes" => flow::receive_with_outcomes(&mut receiver, count).await?,
        "sink" => flow::receive(&mut receiver, count, settled).await?,
        _ => flow::receive(&mut receiver, FEW, settled).await?,
    };
    say(&format!("fact received {address} {}", received.shown()));
    match node {
        "leaving" => {
            receiver.detach().await;
        }
        "closing" => {
            // What was handed out is accepted at the latest when its receiver goes.
            drop(receiver);
            let error = AmqpError::new(Symbol::from_static(CLOSED), CLOSED_TEXT);
            connection.close(Some(error)).await;
        }
        _ => {
            flow::detached(&mut receiver).await?;
        }
    }
    Ok(())
}

async fn send(
    link: IncomingLink,
    address: &str,
    node: &str,
    count: u32,
    settings: &Settings,
) -> Result<(), Failure> {
    let settle_mode = link.attach().snd_settle_mode;
    let options = eventhubs_amqp::net::SenderOptions { settle_mode, ..settings.sender() };
    let sender = link.accept_sender(options)?;
    let sent = match node {
        "outcomes" => flow::send_for_outcomes(&sender, count).await?,
        "source" => flow::send(&sender, count).await?,
        "drained" => flow::send(&sender, DRAINED).await?,
        _ => flow::send(&sender, FEW).await?,
    };
    say(&format!("fact sent {address} {}", sent.shown()));
    match node {
        "leaving" => sender.detach().await,
        _ => sender.closed().await,
    };
    Ok(())
}
