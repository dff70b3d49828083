//! Many connections, opened and closed again and again: an emulator that is left running keeps
//! nothing of those that are gone.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventhubs_amqp::engine::{Options, Sasl};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, Endpoint, Receiver, ReceiverOptions, Sender, SenderOptions,
    TlsOptions,
};
use eventhubs_emulator::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator};
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;

mod live_bytes;

#[global_allocator]
static ALLOCATOR: live_bytes::Counting = live_bytes::Counting;

const ROUNDS: usize = 10;
/// Bytes by which what is in use between rounds may differ.
const LEFT_MAX: usize = 32 << 10;
/// Of each kind on one connection: ten links, each on a session of its own.
const LINKS: usize = 5;
/// Longer than a round takes; a test that would hang fails.
const LIMIT: Duration = Duration::from_secs(120);

/// The allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A connection and its links.
struct Client {
    connection: Connection,
    links: (Vec<Sender>, Vec<Receiver>),
}

/// How clients reach the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Memory,
    Tcp,
    Tls,
}

impl Transport {
    fn config(self) -> Config {
        let config = Config::default().with_hub("hub", 1_000);
        let loopback = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        match self {
            Self::Memory => config.in_memory(),
            Self::Tcp => config,
            Self::Tls => config.in_memory().with_tls(loopback),
        }
    }

    /// Where clients dial; nowhere when they come in memory.
    fn endpoint(self, emulator: &Emulator) -> Option<Endpoint> {
        let address = emulator.listeners().first()?.address;
        let (host, port) = (address.ip().to_string(), address.port());
        match self {
            Self::Memory => None,
            Self::Tcp => Some(Endpoint::plain(host, port)),
            Self::Tls => {
                let pem = emulator.ca_pem().expect("it was made at start");
                let text: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
                let roots_der = vec![STANDARD.decode(text).expect("base64")];
                Some(Endpoint::tls(host, port, TlsOptions { roots_der, ..TlsOptions::default() }))
            }
        }
    }
}

fn options() -> ConnectionOptions {
    let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
    ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("scale") })
}

/// Attaches ten links to a connection, on a partition of its own: no more than five receivers
/// may share one.
async fn open(connection: Connection, partition: usize) -> Client {
    let mut links = (Vec::new(), Vec::new());
    for _ in 0..LINKS {
        let target = format!("hub/Partitions/{partition}");
        links.0.push(connection.sender(SenderOptions::to(target)).await.expect("a sender"));
        let source = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
        links.1.push(connection.receiver(ReceiverOptions::from(source)).await.expect("a receiver"));
    }
    Client { connection, links }
}

/// Connections that go before they have said what they want.
const VANISHING: usize = 50;

/// Opens and closes all connections: a third is closed, a third is dropped, and a third detaches
/// its links first.
async fn round(emulator: &Emulator, transport: Transport, connections: usize) {
    let before = Handle::current().metrics().num_alive_tasks();
    let mut opening = JoinSet::new();
    let endpoint = transport.endpoint(emulator);
    for partition in 0..connections {
        let endpoint = endpoint.clone();
        let memory = endpoint.is_none().then(|| emulator.connect_memory());
        let dial = async move {
            match endpoint {
                Some(endpoint) => Connection::dial(&endpoint, options()).await,
                None => Connection::dial_over(memory.expect("a stream"), options()).await,
            }
        };
        opening.spawn(async move { open(dial.await.expect("room"), partition).await });
    }
    let clients = opening.join_all().await;
    assert_eq!(clients.len(), connections);
    let mut closing = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        closing.spawn(async move {
            let Client { connection, links: (senders, receivers) } = client;
            if index % 3 == 0 {
                for sender in senders {
                    sender.detach().await;
                }
                for receiver in receivers {
                    receiver.detach().await;
                }
            }
            if index % 3 < 2 {
                connection.close(None).await;
            }
        });
    }
    for _ in 0..VANISHING {
        let mut stream = emulator.connect_memory();
        stream.write_all(b"AMQP\x03\x01\x00\x00").await.expect("somebody reads");
    }
    closing.join_all().await;
    while Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

/// The highest number of bytes in use in each round, and those in use after it.
async fn rounds(transport: Transport, connections: usize) -> Vec<(usize, usize)> {
    let emulator = Emulator::start(transport.config()).await.expect("it starts");
    let tasks = Handle::current().metrics().num_alive_tasks();
    let mut figures = Vec::with_capacity(ROUNDS);
    let mut files = None;
    for number in 0..ROUNDS {
        live_bytes::start();
        let round = round(&emulator, transport, connections);
        tokio::time::timeout(LIMIT, round).await.expect("a round hangs");
        figures.push((live_bytes::peak(), live_bytes::live()));
        assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks, "round {number}");
        let open = open_files();
        assert_eq!(*files.get_or_insert(open), open, "round {number}");
    }
    emulator.shutdown().await;
    figures
}

/// File descriptors of this process, where the system tells.
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count())
}

/// Nothing of one round is left in a later one.
fn assert_flat(transport: Transport, connections: usize) {
    let _alone = ALONE.lock();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let figures = runtime.block_on(rounds(transport, connections));
    drop(runtime);
    let (peak, left) = figures[1];
    let (last_peak, last_left) = figures[ROUNDS - 1];
    assert!(last_peak <= peak + peak / 100, "{transport:?}: {figures:?}");
    // What one round leaves may be kept for the next one, but does not grow: a leak of a few bytes
    // for each connection is far below a hundredth of the peak.
    assert!(last_left <= left + LEFT_MAX, "{transport:?}: {figures:?}");
}

#[test]
fn a_thousand_connections_in_memory_leave_nothing() {
    assert_flat(Transport::Memory, 1_000);
}

#[test]
fn five_hundred_connections_over_tcp_leave_nothing() {
    assert_flat(Transport::Tcp, 500);
}

#[test]
fn a_hundred_connections_inside_tls_leave_nothing() {
    assert_flat(Transport::Tls, 100);
}
