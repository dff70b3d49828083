//! HTTP as a peer sees it, over a stream in memory; and what tests of the handlers have in common.

use std::time::Duration;

use eventhubs_amqp::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::config::Config;

/// An office for a configuration, and what stops it.
pub(crate) fn office(config: &Config) -> (Office, watch::Sender<bool>) {
    let namespace = Arc::new(Namespace::new(config));
    let stop = watch::Sender::new(false);
    let greeting = Arc::new(Greeting::new(&config.listeners, &namespace.keys));
    (Office { namespace, stopping: stop.subscribe(), greeting }, stop)
}

/// A whole request.
pub(crate) fn request(method: &str, target: &str, body: impl Into<Bytes>) -> Request {
    hyper::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "ns.example:8080")
        .body(body.into())
        .unwrap()
}

/// The body of a response as text.
pub(crate) fn text(response: &Response) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

fn connect(kind: ListenerKind, office: &Office) -> (DuplexStream, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    (near, tokio::spawn(serve(far, kind, office.clone())))
}

/// Sends bytes and reads until the end.
async fn talk(kind: ListenerKind, office: &Office, bytes: &[u8]) -> String {
    let (mut stream, serving) = connect(kind, office);
    // A server that refuses early may not read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    serving.await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_port_serves_its_own() {
    let (office, _stop) = office(&Config::default());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let health = talk(ListenerKind::Control, &office, get("/health").as_bytes()).await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    assert!(health.contains("content-type: application/json; charset=utf-8\r\n"), "{health}");
    assert!(health.ends_with("{\"status\":\"ok\"}"), "{health}");
    let page = talk(ListenerKind::Http, &office, get("/").as_bytes()).await;
    assert!(page.contains("content-type: text/html") && page.contains("</html>"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    let hub = talk(ListenerKind::Http, &office, get("/hub").as_bytes()).await;
    assert!(hub.starts_with("HTTP/1.1 401 ") && hub.contains("<Code>401</Code>"), "{hub}");
    let stranger = talk(ListenerKind::Control, &office, get("/hub").as_bytes()).await;
    assert!(stranger.starts_with("HTTP/1.1 404 ") && stranger.contains("GET /state"), "{stranger}");
}

#[tokio::test(start_paused = true)]
async fn bodies_and_heads_are_bounded() {
    let (office, _stop) = office(&Config::default());
    let put =
        |length: usize| format!("PUT /hub HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
    let announced = talk(ListenerKind::Http, &office, put(1 << 20).as_bytes()).await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    let mut chunked =
        b"PUT /hub HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..80 {
        chunked.extend_from_slice(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes());
    }
    let counted = talk(ListenerKind::Http, &office, &chunked).await;
    assert!(counted.starts_with("HTTP/1.1 413 "), "{counted}");
    let head = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    let long = talk(ListenerKind::Http, &office, head.as_bytes()).await;
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    let many = talk(ListenerKind::Http, &office, many.as_bytes()).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    let rubbish = talk(ListenerKind::Http, &office, b"\x16\x03\x01\x00rubbish\r\n\r\n").await;
    assert!(rubbish.is_empty() || rubbish.starts_with("HTTP/1.1 400 "), "{rubbish}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_slow_is_let_go() {
    let (office, _stop) = office(&Config::default());
    let begun = Instant::now();
    let head = talk(ListenerKind::Http, &office, b"GET / HTTP/1.1\r\nhost:").await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
    let begun = Instant::now();
    let body = b"POST /faults HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n{";
    let body = talk(ListenerKind::Control, &office, body).await;
    assert!(body.starts_with("HTTP/1.1 408 ") && body.contains("\"timeout\""), "{body}");
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    let begun = Instant::now();
    let (mut idle, serving) = connect(ListenerKind::Control, &office);
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(60), "a kept connection has an end too");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_answer_is_let_go() {
    let (office, _stop) = office(&Config::default());
    // Less than an answer is on its way at a time.
    let (mut near, far) = tokio::io::duplex(16);
    let serving = tokio::spawn(serve(far, ListenerKind::Control, office));
    near.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    let hour = Duration::from_secs(3600);
    tokio::time::timeout(hour, serving).await.expect("it waits for ever").unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_answered_when_the_emulator_stops() {
    let (office, stop) = office(&Config::default());
    let fault = r#"{"at":"attach","effect":"ignore"}"#;
    let inject = request("POST", "/faults", fault);
    assert_eq!(answer(&office, Site::Control, inject).await.status(), 201);
    let (mut waiting, serving) = connect(ListenerKind::Control, &office);
    let wait = "GET /faults/1?hits=1&wait-ms=100000 HTTP/1.1\r\nhost: h\r\n\r\n";
    waiting.write_all(wait.as_bytes()).await.unwrap();
    let (_idle, idling) = connect(ListenerKind::Control, &office);
    let stopped = async {
        tokio::task::yield_now().await;
        stop.send_replace(true);
        idling.await.unwrap();
        serving.await.unwrap();
    };
    let begun = Instant::now();
    let mut answer = String::new();
    let (read, ()) = tokio::join!(waiting.read_to_string(&mut answer), stopped);
    read.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// The three ports of a running emulator, each over its own socket.
#[cfg(feature = "tls")]
#[tokio::test]
async fn every_port_is_reached_over_its_socket() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

    let local = |kind| Listener::new(kind, (std::net::Ipv4Addr::LOCALHOST, 0).into());
    let config = Config::default()
        .with_listener(local(ListenerKind::Control))
        .with_listener(local(ListenerKind::Http))
        .with_listener(local(ListenerKind::HttpTls));
    let emulator = crate::Emulator::start(config).await.unwrap();
    let [_, control, http, https] = emulator.listeners() else { panic!() };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let mut answers = Vec::new();
    for (listener, path) in [(control, "/health"), (http, "/"), (https, "/")] {
        let tcp = tokio::net::TcpStream::connect(listener.address).await.unwrap();
        let mut stream: Box<dyn Stream> = match listener.kind {
            ListenerKind::HttpTls => {
                let mut roots = rustls::RootCertStore::empty();
                let pem = emulator.ca_pem().unwrap();
                roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config = rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
                Box::new(connector.connect(name, tcp).await.unwrap())
            }
            _ => Box::new(tcp),
        };
        stream.write_all(get(path).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answers.push(answer);
    }
    assert!(answers[0].contains("{\"status\":\"ok\"}"));
    assert!(answers[1].contains("Nobody is connected") && answers[2].contains("</html>"));
    let amqp = emulator.addresses()[0];
    assert!(answers[1].contains(&format!("Endpoint=sb://{amqp};")), "{}", answers[1]);
    assert!(!answers.concat().contains(crate::DEFAULT_KEY), "the key is not shown");
    assert!(emulator.snapshot().await.connections.is_empty(), "none of them speaks AMQP");
    emulator.shutdown().await;
}
