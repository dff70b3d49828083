//! Frames that break rules (S19, S28 to S34), written by the byte layer between two good ones.

use eventhubs_amqp::codec::condition;
use eventhubs_amqp::engine::{CloseReason, LinkId};
use eventhubs_emulator::{BadFrame, Effect, Emulator, Fault, Lie, Place, Scope, Stray};

use crate::client::{Client, FIRST, What, emulator, event};

/// A client that receives, with plenty of credit.
async fn reading() -> (Emulator, Client, LinkId) {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    client.engine.set_credit(link, 100);
    client.settle().await;
    (emulator, client, link)
}

/// What a bad frame does to the engine: bytes that came, and how it all went on.
async fn struck(frame: BadFrame) -> (Vec<u8>, Client, Emulator, LinkId) {
    let (emulator, mut client, link) = reading().await;
    client.raw.clear();
    let scope = Scope::all().connection(1);
    let fault = emulator.inject(Fault::now(Effect::Write(frame)).within(scope)).unwrap();
    client.settle().await;
    assert_eq!(emulator.hits(fault), 1);
    (client.raw.clone(), client, emulator, link)
}

/// A bad frame that costs the connection; the condition that the client gave.
async fn costs_the_connection(frame: BadFrame) -> String {
    let (_, mut client, _emulator, _) = struck(frame.clone()).await;
    match client.closed().await {
        CloseReason::Violation(error) => error.condition.as_str().to_owned(),
        other => panic!("{frame:?}: {other:?}"),
    }
}
