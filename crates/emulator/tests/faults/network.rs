//! The network between client and service (N1 to N16).

use std::time::Duration;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::performative::Performative as Frame;
use eventhubs_amqp::engine::CloseReason;
use eventhubs_amqp::net::{Connection, ConnectionOptions, Endpoint, Stream};
use eventhubs_emulator::{
    Config, Direction, Effect, Emulator, Fault, FaultId, Network, Performative, Point, Scope,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::client::{Client, FIRST, SECOND, What, emulator, event};

/// One name that leads to one emulator.
async fn network() -> (Network, Emulator) {
    let (network, emulator) = (Network::new(), emulator().await);
    network.point("one.example", &emulator);
    (network, emulator)
}

fn endpoint(network: &Network, host: &str) -> Endpoint {
    Endpoint::plain(host, 5671).with_connector(network.connector())
}

async fn dial(network: &Network, host: &str) -> Result<Connection, String> {
    let dialled =
        Connection::dial(&endpoint(network, host), ConnectionOptions::new("client")).await;
    dialled.map_err(|error| error.to_string())
}

async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

#[tokio::test(start_paused = true)]
async fn n01_a_connect_is_refused() {
    let (network, emulator) = network().await;
    let scope = Scope::all().host("One.Example");
    let fault = Fault::at(Point::Connect, Effect::refuse("", "Connection refused (os error 111)"));
    let fault = network.inject(fault.within(scope).times(2)).unwrap();
    for _ in 0..2 {
        let error = dial(&network, "one.example").await.unwrap_err();
        assert!(error.contains("one.example:5671") && error.contains("os error 111"), "{error}");
    }
    assert!(network.hit(fault, 2).await);
    dial(&network, "one.example").await.unwrap();
    // And when nobody listens there any more.
    emulator.shutdown().await;
    let error = dial(&network, "one.example").await.unwrap_err();
    assert!(error.contains("Connection refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn n01_a_connect_hangs_or_takes_its_time() {
    let (network, _emulator) = network().await;
    network.inject(Fault::at(Point::Connect, Effect::Ignore)).unwrap();
    let connector = network.connector();
    let connecting = connector.connect("one.example", 5671);
    assert!(timeout(3600 * SECOND, connecting).await.is_err(), "it hangs");
    network.inject(Fault::at(Point::Connect, Effect::Delay(7 * SECOND))).unwrap();
    let start = Instant::now();
    dial(&network, "one.example").await.unwrap();
    assert_eq!(start.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn n02_a_name_is_unknown_or_cannot_be_resolved() {
    let (network, emulator) = network().await;
    let error = dial(&network, "two.example").await.unwrap_err();
    assert!(error.contains("Name or service not known"), "{error}");
    let text = "failed to lookup address information: Temporary failure in name resolution";
    network.inject(Fault::at(Point::Resolve, Effect::refuse("", text))).unwrap();
    let error = dial(&network, "one.example").await.unwrap_err();
    assert!(error.contains("Temporary failure in name resolution"), "{error}");
    dial(&network, "one.example").await.unwrap();
    network.forget("one.example");
    let error = dial(&network, "one.example").await.unwrap_err();
    assert!(error.contains("Name or service not known"), "{error}");
    network.point("one.example", &emulator);
    dial(&network, "one.example").await.unwrap();
    let refused = network.inject(Fault::now(Effect::Reset)).unwrap_err();
    assert!(refused.to_string().contains("an emulator"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn n03_a_connection_is_accepted_and_nothing_is_said() {
    let emulator = emulator().await;
    let fault = emulator.inject(Fault::at(Point::Accept, Effect::Ignore)).unwrap();
    let mut client = Client::silent(emulator.connect_memory(), "client");
    client.run(29 * SECOND).await;
    assert!(client.raw.is_empty() && client.seen.is_empty());
    assert_eq!(emulator.hits(fault), 1);
    client.run(2 * SECOND).await;
    assert_eq!(client.closed().await, CloseReason::OpenTimeout);
    emulator.inject(Fault::at(Point::Accept, Effect::Delay(5 * SECOND))).unwrap();
    let mut client = Client::silent(emulator.connect_memory(), "client");
    assert_eq!(client.until(|what| matches!(what, What::Open)).await, 5 * SECOND);
    let start = Instant::now();
    drop(client);
    emulator.shutdown().await;
    assert!(start.elapsed() < SECOND, "a connection that is held ends with the emulator");
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn n04_tls_stalls_or_its_certificate_is_bad() {
    use base64::Engine as _;
    use eventhubs_amqp::net::TlsOptions;
    use eventhubs_emulator::{Listener, ListenerKind, TlsConfig, TlsFault};

    let kind = ListenerKind::Tls;
    let names = vec!["one.example".to_owned()];
    let config = Config::default()
        .in_memory()
        .with_listener(Listener::new(kind, "127.0.0.1:0".parse().unwrap()))
        .with_tls_config(TlsConfig { names, ..TlsConfig::default() });
    let emulator = Emulator::start(config).await.unwrap();
    let network = Network::new();
    network.point_through("one.example", &emulator, kind);
    let pem = emulator.ca_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let root = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
    let tls = TlsOptions { roots_der: vec![root], ..TlsOptions::default() };
    let endpoint = Endpoint::tls("one.example", 5671, tls).with_connector(network.connector());
    let dial = || async {
        let dialled = Connection::dial(&endpoint, ConnectionOptions::new("client")).await;
        dialled.map(drop).map_err(|error| error.to_string())
    };
    dial().await.unwrap();
    for (fault, expected) in [
        (TlsFault::Expired, "xpired"),
        (TlsFault::OtherName, "not valid for name"),
        (TlsFault::UnknownAuthority, "UnknownIssuer"),
    ] {
        emulator.set_tls_fault(Some(fault)).unwrap();
        let error = dial().await.unwrap_err();
        assert!(error.contains(expected), "{fault:?}: {error}");
    }
    emulator.set_tls_fault(None).unwrap();
    emulator.inject(Fault::at(Point::Accept, Effect::Ignore)).unwrap();
    let start = Instant::now();
    let error = dial().await.unwrap_err();
    assert!(error.contains("no answer within") && start.elapsed() >= 10 * SECOND, "{error}");
    dial().await.unwrap();
}

/// Sends two messages, the second of which is struck; how the stream ends.
async fn struck(emulator: &Emulator, fault: Fault) -> (Client, FaultId) {
    let fault = emulator.inject(fault).unwrap();
    let mut client = Client::open(emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    client.publish(sender, "a").await;
    client.send(sender, "b").await;
    client.until(|what| matches!(what, What::Failed(_) | What::Eof)).await;
    (client, fault)
}

#[tokio::test(start_paused = true)]
async fn n05_a_reset_strikes_before_a_message_is_stored_and_after() {
    for (point, stored) in [(Point::Publish, vec!["a"]), (Point::Stored, vec!["a", "b"])] {
        let emulator = emulator().await;
        let (client, fault) = struck(&emulator, Fault::at(point, Effect::Reset).after(1)).await;
        let kind = std::io::ErrorKind::ConnectionReset;
        assert!(matches!(client.seen.last().unwrap().what, What::Closed(_)));
        assert!(client.seen.iter().any(|seen| matches!(seen.what, What::Failed(k) if k == kind)));
        assert_eq!(client.outcomes().len(), 1, "the second was never acknowledged");
        assert_eq!(
            (emulator.hits(fault), Client::stored(&emulator).await),
            (1, stored.iter().map(|s| (*s).to_owned()).collect())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn n05_a_reset_strikes_in_the_middle_of_a_message_and_at_the_close() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let transfer = |direction| Point::Frame { direction, performative: Performative::Transfer };
    emulator.inject(Fault::at(transfer(Direction::In), Effect::Reset).after(1)).unwrap();
    client.send_raw(sender, event(&"x".repeat(200_000))).await;
    client.until(|what| matches!(what, What::Failed(_))).await;
    assert_eq!(Client::stored(&emulator).await, [""; 0]);

    let close = Point::Frame { direction: Direction::In, performative: Performative::Close };
    emulator.inject(Fault::at(close, Effect::Reset)).unwrap();
    let mut client = Client::open(&emulator).await;
    client.engine.close(None);
    client.until(|what| matches!(what, What::Failed(_))).await;
}

/// Silences the emulator in one direction or both, and lets the client be idle.
async fn silent(direction: Direction) -> Client {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    emulator.inject(Fault::now(Effect::Silence(direction))).unwrap();
    client.settle().await;
    client.raw.clear();
    client.run(500 * SECOND).await;
    client
}

#[tokio::test(start_paused = true)]
async fn n06_the_peer_vanishes_while_idle() {
    for direction in [Direction::Both, Direction::Out] {
        let client = silent(direction).await;
        assert!(client.raw.is_empty(), "not even a heartbeat");
        let over = client.engine.close_reason().cloned();
        assert_eq!(over, Some(CloseReason::IdleTimeout), "the client finds out by itself");
    }
}

#[tokio::test(start_paused = true)]
async fn n07_the_peer_vanishes_while_the_client_writes() {
    let emulator = emulator().await;
    let mut stream = emulator.connect_memory();
    stream.write_all(b"AMQP\x00\x01\x00\x00").await.unwrap();
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    emulator.inject(Fault::now(Effect::Silence(Direction::Both))).unwrap();
    pass(SECOND).await;
    // Nobody reads, so that the client is stuck when the buffers are full.
    let much = vec![0; 1 << 20];
    assert!(timeout(60 * SECOND, stream.write_all(&much)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn n08_a_black_hole_heals_and_what_was_held_back_flows() {
    for hole in [10, 60, 300] {
        let emulator = emulator().await;
        let mut client = Client::open(&emulator).await;
        let sender = client.sender("hub/Partitions/0").await;
        let start = client.age();
        let fault = emulator.inject(Fault::now(Effect::Silence(Direction::Both))).unwrap();
        assert!(emulator.hit(fault, 1).await);
        let id = client.send(sender, "a").await;
        client.run(hole * SECOND).await;
        if client.engine.is_closed() {
            // A client that gives up sooner.
            assert_eq!(hole, 300);
            continue;
        }
        assert_eq!(client.outcomes(), [0; 0]);
        emulator.lift(fault);
        let (at, outcome) = client.outcome(sender, id).await;
        assert_eq!((at, outcome), (start + hole * SECOND, DeliveryState::Accepted));
    }
}

#[tokio::test(start_paused = true)]
async fn n09_one_way_is_lost() {
    // To the service: the message never arrives.
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let inwards = Fault::now(Effect::Silence(Direction::In)).within(Scope::all().connection(1));
    emulator.inject(inwards).unwrap();
    client.settle().await;
    client.send(sender, "lost").await;
    client.run(60 * SECOND).await;
    assert_eq!(client.outcomes(), [0; 0]);
    assert!(Client::stored(&emulator).await.is_empty());
    // To the client: it arrives, and nobody tells.
    let mut client = Client::open(&emulator).await;
    let sender = client.sender("hub/Partitions/0").await;
    let outwards = Fault::now(Effect::Silence(Direction::Out)).within(Scope::all().connection(3));
    let fault = emulator.inject(outwards).unwrap();
    client.settle().await;
    client.send(sender, "stored").await;
    client.run(60 * SECOND).await;
    assert_eq!((client.outcomes(), emulator.hits(fault)), (vec![], 1));
    assert_eq!(Client::stored(&emulator).await, ["stored"]);
}

#[tokio::test(start_paused = true)]
async fn n10_bytes_drip_one_a_second() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    let start = client.age();
    emulator.inject(Fault::now(Effect::Bandwidth(1))).unwrap();
    client.settle().await;
    let before = client.raw.len();
    let _ = client.attach(crate::client::to("hub"));
    client.run(3 * 60 * SECOND).await;
    let dripped = client.raw.len() - before;
    assert!(dripped <= 181, "{dripped} bytes in 180 s");
    assert!(client.age() >= start + 180 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn n11_bandwidth_is_64_kb_a_second_and_latency_500_ms_with_jitter() {
    let emulator = emulator().await;
    for _ in 0..64 {
        emulator.append("hub", 0, event(&"x".repeat(10_000))).unwrap();
    }
    let mut client = Client::open(&emulator).await;
    let link = client.receiver(FIRST).await;
    let bandwidth = emulator.inject(Fault::now(Effect::Bandwidth(64_000))).unwrap();
    client.settle().await;
    client.engine.set_credit(link, 64);
    client.run(5 * SECOND).await;
    let after_5_s = client.payloads(link).len();
    assert!((28..=36).contains(&after_5_s), "{after_5_s} x 10 kB in 5 s");
    client.run(10 * SECOND).await;
    assert_eq!(client.payloads(link).len(), 64);
    emulator.lift(bandwidth);

    let latency =
        Effect::Latency { delay: Duration::from_millis(500), jitter: Duration::from_millis(100) };
    let latency = emulator.inject(Fault::now(latency)).unwrap();
    client.settle().await;
    let node = client.node("$management").await;
    for _ in 0..10 {
        let start = client.age();
        let id = client.ask_hub(&node).await;
        let took = client.answer(&node, id).await.0 - start;
        assert!((500..=601).contains(&took.as_millis()), "{took:?}");
    }
    // A connection that comes later is shaped too, until the fault is lifted.
    let mut late = Client::silent(emulator.connect_memory(), "late");
    assert!(late.until(|what| matches!(what, What::Open)).await >= Duration::from_millis(500));
    emulator.lift(latency);
    late.settle().await;
    let start = late.age();
    late.begin().await;
    assert_eq!(late.age(), start);
    assert_eq!(emulator.hits(latency), 0, "lifted");
}

#[tokio::test(start_paused = true)]
async fn n12_reads_and_writes_are_short() {
    // A runtime polls the test itself more rarely than tasks, which would join the short pieces.
    tokio::spawn(async {
        for bytes in [1, 2, 3, 5, 7] {
            let emulator = emulator().await;
            emulator.inject(Fault::now(Effect::Chunks(bytes))).unwrap();
            let mut client = Client::open(&emulator).await;
            let sender = client.sender("hub/Partitions/0").await;
            client.publish(sender, "a").await;
            client.publish(sender, &"b".repeat(10_000)).await;
            let short = client.reads.iter().filter(|read| **read <= 4 * bytes).count();
            assert!(short > client.reads.len() / 2, "{bytes}: {:?}", client.reads);
            let stored = Client::stored(&emulator).await;
            assert_eq!((stored[0].len(), stored[1].len()), (1, 10_000));
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn n13_the_bytes_end_in_the_middle_of_a_frame() {
    let emulator = emulator().await;
    let (client, _) = struck(&emulator, Fault::at(Point::Stored, Effect::Truncate).after(1)).await;
    assert!(client.seen.iter().any(|seen| matches!(seen.what, What::Eof)));
    let whole: usize = client
        .frames()
        .iter()
        .filter(|(_, frame, _)| matches!(frame, Frame::Disposition(_)))
        .count();
    assert_eq!(whole, 1, "of the second there is half");
    // The rest is the beginning of a frame that says it is longer.
    let mut rest = client.raw.as_slice();
    while rest.len() >= 8 {
        let size = match rest.starts_with(b"AMQP") {
            true => 8,
            false => u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize,
        };
        if size > rest.len() {
            break;
        }
        rest = &rest[size..];
    }
    assert!(!rest.is_empty(), "the stream ended at a frame's end");
    // In good order, on the other hand:
    let (client, _) = struck(&emulator, Fault::at(Point::Stored, Effect::Eof).after(1)).await;
    assert!(client.seen.iter().any(|seen| matches!(seen.what, What::Eof)));
}

#[tokio::test(start_paused = true)]
async fn n14_a_balancer_resets_what_is_idle_for_4_minutes() {
    let emulator = emulator().await;
    let mut client = Client::open(&emulator).await;
    client.sender("hub").await;
    client.run(240 * SECOND).await;
    let fault = emulator.inject(Fault::now(Effect::Reset)).unwrap();
    client.until(|what| matches!(what, What::Failed(_))).await;
    assert_eq!(emulator.hits(fault), 1);
    // One that lets signs of life pass, and swallows everything else, cannot be told from one
    // that is idle.
    let mut client = Client::open(&emulator).await;
    client.sender("hub").await;
    let empty = Point::Frame { direction: Direction::Out, performative: Performative::Empty };
    let fault = emulator.inject(Fault::at(empty, Effect::Swallow).always()).unwrap();
    client.raw.clear();
    client.run(100 * SECOND).await;
    assert!(client.raw.is_empty(), "heartbeats do not come");
    assert!(emulator.hits(fault) > 0);
}

#[tokio::test(start_paused = true)]
async fn n15_a_thousand_links_lose_their_connections_at_once() {
    let emulator = emulator().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::open(&emulator).await;
        for number in 0..50 {
            client.attach(crate::client::to(&format!("hub/Partitions/{}", number % 4)));
        }
        client.settle().await;
        clients.push(client);
    }
    let fault = emulator.inject(Fault::now(Effect::Reset)).unwrap();
    for client in &mut clients {
        client.until(|what| matches!(what, What::Failed(_))).await;
    }
    assert_eq!(emulator.hits(fault), 20, "every connection");
    Client::open(&emulator).await;
}

#[tokio::test(start_paused = true)]
async fn n16_a_name_leads_elsewhere() {
    let (network, one) = network().await;
    let two = Emulator::start(Config::default().in_memory().with_hub("two", 1)).await.unwrap();
    let old = dial(&network, "one.example").await.unwrap();
    network.point("one.example", &two);
    let endpoint = endpoint(&network, "one.example");
    let stream: Box<dyn Stream> =
        network.connector().connect(endpoint.host(), endpoint.port()).await.unwrap();
    let mut client = Client::silent(stream, "client");
    client.until(|what| matches!(what, What::Open)).await;
    client.begin().await;
    let link = client.attach(crate::client::to("two"));
    assert!(client.attached(link).await.1.target.is_some(), "only the other one has this hub");
    assert!(timeout(SECOND, old.closed()).await.is_err(), "what is up stays where it is");
    assert_eq!((one.hubs().len(), two.hubs()[0].name.as_str()), (1, "two"));
}
