use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_amqp::codec::message::{Body, Message};
use eventhubs_amqp::engine::{CloseReason, Options, Sasl};
use eventhubs_amqp::net::{
    Connection, ConnectionOptions, Endpoint, ReceiverOptions, SenderOptions,
};
use tokio::net::TcpStream;

use super::*;
use crate::{Config, DEFAULT_KEY, DEFAULT_KEY_NAME, Emulator, Listener};

/// Longer than anything here takes; a test that would hang fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

/// A free port of loopback.
pub(crate) fn loopback() -> SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, 0).into()
}

/// A client that proves its key in the SASL layer and needs no token.
pub(crate) fn plain() -> ConnectionOptions {
    let sasl = Sasl::Plain { user: DEFAULT_KEY_NAME.into(), password: DEFAULT_KEY.into() };
    ConnectionOptions::with_engine(Options { sasl, ..Options::dialler("test") })
}

fn event(size: usize) -> Bytes {
    let message = Message { body: Body::from(vec![7; size].as_slice()), ..Message::default() };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

/// Sends and receives some events on a partition of its own, one of them larger than any frame or
/// message on the way.
pub(crate) async fn round_trip(connection: Connection, partition: usize) {
    const SIZES: [usize; 4] = [0, 1, 5_000, 900_000];
    let source = format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
    let mut receiver = within(connection.receiver(ReceiverOptions::from(source))).await.unwrap();
    let target = format!("hub/Partitions/{partition}");
    let sender = within(connection.sender(SenderOptions::to(target))).await.unwrap();
    let sending = async {
        for size in SIZES {
            let outcome = sender.send(event(size), 0).await.unwrap();
            assert_eq!(outcome, DeliveryState::Accepted);
        }
    };
    let receiving = async {
        for size in SIZES {
            let delivery = receiver.recv().await.unwrap();
            let payload = Bytes::copy_from_slice(delivery.payload());
            let Body::Data(data) = Message::decode(&payload).unwrap().body else { panic!() };
            assert_eq!(data.concat(), vec![7; size]);
        }
    };
    within(async { tokio::join!(sending, receiving) }).await;
    assert_eq!(within(connection.close(None)).await, CloseReason::Local);
}

#[tokio::test]
async fn every_kind_listens_and_is_named() {
    let mut config = Config::default().in_memory();
    let mut kinds = vec![ListenerKind::Plain, ListenerKind::Plain];
    if cfg!(feature = "ws") {
        kinds.push(ListenerKind::WebSocket);
    }
    if cfg!(feature = "tls") {
        kinds.push(ListenerKind::Tls);
    }
    if cfg!(all(feature = "tls", feature = "ws")) {
        kinds.push(ListenerKind::WebSocketTls);
    }
    for kind in &kinds {
        config = config.with_listener(Listener::localhost(*kind, 0));
    }
    let emulator = Emulator::start(config).await.unwrap();
    let named: Vec<_> = emulator.listeners().iter().map(|listener| listener.kind).collect();
    assert_eq!(named, kinds);
    assert_eq!(emulator.addresses().len(), 2, "plaintext AMQP alone");
    for listener in emulator.listeners() {
        assert_ne!(listener.address.port(), 0);
        TcpStream::connect(listener.address).await.unwrap();
        if let Some(other) = listener.counterpart() {
            TcpStream::connect((other, listener.address.port())).await.unwrap();
        }
    }
    emulator.shutdown().await;
    for listener in emulator.listeners() {
        assert!(TcpStream::connect(listener.address).await.is_err(), "{listener:?}");
    }
}

#[tokio::test]
async fn events_go_round_on_both_families() {
    let config = Config::default().in_memory();
    let config = config.with_listener(Listener::localhost(ListenerKind::Plain, 0));
    let emulator = Emulator::start(config).await.unwrap();
    let [listener] = emulator.listeners() else { panic!() };
    let mut hosts = vec![listener.address.ip()];
    hosts.extend(listener.counterpart());
    for (partition, host) in hosts.into_iter().enumerate() {
        let endpoint = Endpoint::plain(host.to_string(), listener.address.port());
        let connection = Connection::dial(&endpoint, plain()).await.unwrap();
        round_trip(connection, partition).await;
    }
}

#[tokio::test]
async fn a_kind_whose_feature_is_off_is_refused_at_start() {
    for (kind, feature) in [(ListenerKind::Tls, "tls"), (ListenerKind::WebSocket, "ws")] {
        let config = Config::default().with_listener(Listener::new(kind, loopback()));
        let result = Emulator::start(config).await;
        match kind.missing_feature() {
            Some(missing) => {
                assert_eq!(missing, feature);
                let error = result.unwrap_err().to_string();
                assert!(error.contains(kind.name()) && error.contains(feature), "{error}");
            }
            None => drop(result.unwrap()),
        }
    }
}

#[cfg(all(feature = "tls", feature = "ws"))]
mod all_doors {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use tokio_rustls::TlsConnector;
    use tokio_tungstenite::client_async;
    use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;

    use super::*;
    use crate::doors::web_socket::ByteStream;
    use crate::{Effect, Fault};

    fn ca_der(emulator: &Emulator) -> Vec<u8> {
        let pem = emulator.ca_pem().unwrap();
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    async fn web_socket(stream: impl Stream, path: &str, protocol: &str) -> Box<dyn Stream> {
        let uri = format!("ws://localhost/{path}").parse().unwrap();
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(protocol);
        let (web_socket, answer) = client_async(request, stream).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], protocol);
        Box::new(ByteStream::new(web_socket))
    }

    async fn tls(address: SocketAddr, ca: Vec<u8>) -> impl Stream {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    async fn emulator(latency: Duration) -> Emulator {
        let config = Config::default()
            .with_hub("hub", 16)
            .with_tls(loopback())
            .with_web_socket(loopback())
            .with_web_socket_tls(loopback())
            .with_latency(latency);
        Emulator::start(config).await.unwrap()
    }

    /// A stream through every door, through those for WebSocket with both protocols.
    async fn streams(emulator: &Emulator) -> Vec<Box<dyn Stream>> {
        let [amqp, amqps, ws, wss] = emulator.listeners() else { panic!() };
        let ca = ca_der(emulator);
        let mut streams: Vec<Box<dyn Stream>> = vec![
            Box::new(TcpStream::connect(amqp.address).await.unwrap()),
            Box::new(tls(amqps.address, ca.clone()).await),
        ];
        for (path, protocol) in
            [("$servicebus/websocket", "AMQPWSB10"), ("$servicebus/websocket/", "amqp")]
        {
            let tcp = TcpStream::connect(ws.address).await.unwrap();
            streams.push(web_socket(tcp, path, protocol).await);
            let stream = tls(wss.address, ca.clone()).await;
            streams.push(web_socket(stream, path, protocol).await);
        }
        streams
    }

    #[tokio::test]
    async fn a_reset_reaches_the_client_through_every_door() {
        let emulator = emulator(Duration::ZERO).await;
        for door in 0..6 {
            let stream = streams(&emulator).await.swap_remove(door);
            let connection = within(Connection::dial_over(stream, plain())).await.unwrap();
            emulator.inject(Fault::now(Effect::Reset)).unwrap();
            let reason = within(connection.closed()).await;
            let CloseReason::Transport(text) = &reason else { panic!("{reason:?}") };
            assert!(text.contains("reset by peer"), "{text}");
        }
    }

    #[tokio::test]
    async fn events_go_round_through_every_door() {
        for latency in [Duration::ZERO, Duration::from_millis(1)] {
            let emulator = emulator(latency).await;
            for (partition, stream) in streams(&emulator).await.into_iter().enumerate() {
                let connection = within(Connection::dial_over(stream, plain())).await.unwrap();
                round_trip(connection, partition).await;
            }
        }
    }
}

/// Handshakes with a peer that says nothing, or stops in the middle.
#[cfg(any(feature = "tls", feature = "ws"))]
mod slow {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::Limits;

    fn door(kind: ListenerKind) -> Door {
        Door {
            kind,
            #[cfg(feature = "tls")]
            tls: Some(Arc::new(Tls::new(&crate::TlsConfig::default(), DAYS).unwrap())),
        }
    }

    #[cfg(feature = "tls")]
    const DAYS: Duration = Duration::from_secs(20_000 * 24 * 60 * 60);

    fn kinds() -> impl Iterator<Item = ListenerKind> {
        let all = [ListenerKind::Tls, ListenerKind::WebSocket, ListenerKind::WebSocketTls];
        all.into_iter().filter(|kind| kind.missing_feature().is_none())
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_deadline() {
        for kind in kinds() {
            for said in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost:"] {
                let (near, mut far) = tokio::io::duplex(1 << 16);
                far.write_all(said).await.unwrap();
                let start = Instant::now();
                let result = within(door(kind).enter(near)).await;
                assert!(result.is_err());
                // What is no TLS is known at once.
                let known = kind.is_tls() && said.starts_with(b"GET");
                let expected = if known { Duration::ZERO } else { HANDSHAKE_TIMEOUT };
                assert_eq!(start.elapsed(), expected, "{kind} {said:?}");
            }
        }
    }

    #[tokio::test]
    async fn silent_peers_hold_up_nobody_but_count() {
        for kind in kinds() {
            let limits = Limits { connections: 3, ..Limits::default() };
            let config = Config::default()
                .with_limits(limits)
                .with_listener(Listener::new(kind, loopback()));
            let emulator = Emulator::start(config).await.unwrap();
            let [amqp, slow] = emulator.listeners() else { panic!() };
            let mute = [
                TcpStream::connect(slow.address).await.unwrap(),
                TcpStream::connect(slow.address).await.unwrap(),
            ];
            // The third one, behind two that say nothing.
            let third = TcpStream::connect(slow.address).await.unwrap();
            let mut fourth = TcpStream::connect(slow.address).await.unwrap();
            let read = within(fourth.read(&mut [0])).await;
            assert!(matches!(read, Ok(0) | Err(_)), "{kind}: there is no room: {read:?}");
            drop(third);
            let endpoint = Endpoint::plain("127.0.0.1", amqp.address.port());
            let connection = within(async {
                loop {
                    if let Ok(connection) = Connection::dial(&endpoint, plain()).await {
                        return connection;
                    }
                }
            });
            round_trip(connection.await, 0).await;
            // A shutdown does not wait for them.
            within(emulator.shutdown()).await;
            for mut one in mute {
                assert!(matches!(within(one.read(&mut [0])).await, Ok(0) | Err(_)));
            }
        }
    }
}
