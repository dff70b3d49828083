//! The emulator as a library: listeners, in-memory streams, limits, shutdown.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::codec::{AmqpError, DeliveryState, condition};
use eventhubs_amqp::engine::{CloseReason, Options, Sasl};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, Endpoint, ReceiverOptions, SenderOptions, Stream,
};
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

const EVENTS: usize = 20_000;
const LIMIT: Duration = Duration::from_secs(30);

/// A client that proves its key in the SASL layer and needs no token.
fn options() -> ConnectionOptions {
    let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
    ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("test") })
}

async fn dial(emulator: &Emulator) -> Connection {
    Connection::dial_over(emulator.connect_memory(), options()).await.expect("the emulator answers")
}

fn event(body: &str) -> Bytes {
    let message = Message { body: Body::from(body.as_bytes()), ..Message::default() };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

fn body(payload: &[u8]) -> String {
    let message = Message::decode(&Bytes::copy_from_slice(payload)).expect("a message");
    let Body::Data(sections) = message.body else { panic!("{message:?}") };
    String::from_utf8(sections.concat()).expect("text")
}

/// Sends and receives on one connection, both ways at once.
async fn round_trip(connection: Connection) {
    let sender = connection.sender(SenderOptions::to("hub/Partitions/1")).await.expect("a sender");
    let source = "hub/ConsumerGroups/$Default/Partitions/1";
    let mut receiver =
        connection.receiver(ReceiverOptions::from(source)).await.expect("a receiver");
    let sending = tokio::spawn(async move {
        let mut pending = Vec::new();
        for number in 0..EVENTS {
            sender.ready().await;
            pending.push(sender.send(event(&number.to_string()), 0));
        }
        for sent in pending {
            assert_eq!(sent.await.expect("an outcome"), DeliveryState::Accepted);
        }
    });
    for number in 0..EVENTS {
        let delivery = timeout(LIMIT, receiver.recv()).await.expect("in time").expect("an event");
        assert_eq!(body(delivery.payload()), number.to_string());
    }
    sending.await.expect("no panic");
    assert_eq!(connection.close(None).await, CloseReason::Local);
}

#[tokio::test]
async fn events_go_round_over_tcp_and_in_memory() {
    let listen = ["127.0.0.1:0", "[::1]:0"].map(|address| address.parse().unwrap());
    let emulator = Emulator::start(Config::default().with_listen(listen)).await.unwrap();
    assert_eq!(emulator.addresses().len(), 2);
    for address in emulator.addresses() {
        let endpoint = Endpoint::plain(address.ip().to_string(), address.port());
        let connection = Connection::dial(&endpoint, options()).await.unwrap();
        connection.close(None).await;
    }
    let address = emulator.addresses()[0];
    let endpoint = Endpoint::plain(address.ip().to_string(), address.port());
    round_trip(Connection::dial(&endpoint, options()).await.unwrap()).await;
    emulator.shutdown().await;

    let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
    round_trip(dial(&emulator).await).await;
}

#[tokio::test]
async fn latency_keeps_order_and_loses_nothing() {
    let config = Config::default().in_memory().with_latency(Duration::from_millis(1));
    let emulator = Emulator::start(config).await.unwrap();
    round_trip(dial(&emulator).await).await;
    emulator.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn latency_delays_what_is_written() {
    let delay = Duration::from_millis(500);
    let emulator =
        Emulator::start(Config::default().in_memory().with_latency(delay)).await.unwrap();
    let mut stream = emulator.connect_memory();
    let start = Instant::now();
    stream.write_all(b"AMQP\x03\x01\x00\x00").await.unwrap();
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(&header, b"AMQP\x03\x01\x00\x00");
    assert_eq!(start.elapsed(), delay);
}

#[tokio::test]
async fn a_shutdown_tells_clients_and_leaves_no_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let connection = dial(&emulator).await;
    let receiver = ReceiverOptions::from("hub/ConsumerGroups/$Default/Partitions/0");
    let _receiver = connection.receiver(receiver).await.unwrap();
    emulator.shutdown().await;
    let reason = connection.closed().await;
    let CloseReason::Remote(Some(AmqpError { condition, .. })) = reason else {
        panic!("{reason:?}")
    };
    assert_eq!(condition, condition::CONNECTION_FORCED);
    drop((connection, _receiver));
    let mut late = emulator.connect_memory();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0, "nobody is let in any more");
    assert!(tokio::net::TcpStream::connect(emulator.addresses()[0]).await.is_err());
    emulator.shutdown().await;
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_cannot_hold_a_shutdown_up() {
    let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
    let mut mute = emulator.connect_memory();
    let mut stuck = emulator.connect_memory();
    stuck.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
    let mut header = [0; 8];
    stuck.read_exact(&mut header).await.unwrap();
    let start = Instant::now();
    emulator.shutdown().await;
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(mute.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn dropping_the_emulator_ends_everything() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let connection = dial(&emulator).await;
    drop(emulator);
    assert_eq!(connection.closed().await, CloseReason::Eof);
    drop(connection);
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_and_room_comes_back() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let emulator = Emulator::start(Config::default().with_limits(limits)).await.unwrap();
    let first = dial(&emulator).await;
    assert_turned_away(emulator.connect_memory()).await;
    let second = tokio::net::TcpStream::connect(emulator.addresses()[0]).await.unwrap();
    assert_turned_away(second).await;
    first.close(None).await;
    let again = async {
        loop {
            let stream = emulator.connect_memory();
            if let Ok(connection) = Connection::dial_over(stream, options()).await {
                return connection;
            }
        }
    };
    timeout(LIMIT, again).await.unwrap();
}

async fn assert_turned_away(mut stream: impl Stream) {
    let read = timeout(LIMIT, stream.read(&mut [0])).await.expect("in time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

/// Many writers and readers on several threads: no event is lost, doubled or out of order, and no
/// reader misses its wake-up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_see_one_log() {
    const CLIENTS: usize = 8;
    const EACH: usize = 500;
    let emulator = Emulator::start(Config::default().in_memory()).await.unwrap();
    let mut readers = Vec::new();
    for partition in [0, 0, 1, 1, 2, 3] {
        let connection = dial(&emulator).await;
        let source = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
        let mut receiver = connection.receiver(ReceiverOptions::from(source)).await.unwrap();
        readers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < CLIENTS * EACH / 4 {
                let delivery = receiver.recv().await.expect("an event");
                seen.push(body(delivery.payload()));
            }
            drop(connection);
            (partition, seen)
        }));
    }
    for client in 0..CLIENTS {
        let connection = dial(&emulator).await;
        tokio::spawn(async move {
            // Two clients for each partition, so that every one gets the same number of events.
            let address = format!("hub/Partitions/{}", client % 4);
            let sender = connection.sender(SenderOptions::to(address)).await.expect("a sender");
            for number in 0..EACH {
                let outcome = sender.send(event(&format!("{client}:{number}")), 0).await;
                assert_eq!(outcome.expect("an outcome"), DeliveryState::Accepted);
            }
        });
    }
    let mut logs = vec![Vec::new(); 4];
    for reader in readers {
        let (partition, seen): (usize, Vec<String>) =
            timeout(LIMIT, reader).await.unwrap().unwrap();
        let log = &mut logs[partition];
        if log.is_empty() {
            *log = seen;
        } else {
            assert_eq!(*log, seen, "both readers of partition {partition} see the same");
        }
    }
    for (partition, log) in logs.iter().enumerate() {
        for client in [partition, partition + 4] {
            let own = log.iter().filter_map(|body| body.strip_prefix(&format!("{client}:")));
            assert!(own.eq((0..EACH).map(|number| number.to_string())), "client {client}");
        }
    }
}
