//! From a host's name to a stream: every step has its share of the connect time-out.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventhubs_amqp::net::{
    AcceptOptions, Connecting, Connection, ConnectionOptions, Connector, Endpoint, Error,
    ErrorKind, Operation, Resolver, Resolving,
};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// What a resolver says: addresses, or an error by kind and text.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, &'static str)>;

/// Names by hand: what one leads to may change, and it counts how often it was asked.
#[derive(Debug, Default)]
struct Names {
    answer: Mutex<Option<Answer>>,
    asked: AtomicUsize,
}

impl Names {
    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = Some(answer);
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, host: &'a str, _port: u16) -> Resolving<'a> {
        assert_eq!(host, "one.example");
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move {
            match answer {
                Some(Ok(addresses)) => Ok(addresses),
                Some(Err((kind, text))) => Err(io::Error::new(kind, text)),
                None => pending().await,
            }
        })
    }
}

fn endpoint(names: &Arc<Names>) -> Endpoint {
    let resolver: Arc<dyn Resolver> = Arc::<Names>::clone(names);
    Endpoint::plain("one.example", 5672).with_resolver(resolver)
}

async fn dial(endpoint: &Endpoint) -> Result<Connection, Error> {
    Connection::dial(endpoint, ConnectionOptions::new("client")).await
}

/// A broker on a port of its own, which says this name in its opens.
async fn broker(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok((connection, incoming)) =
                Connection::accept(stream, AcceptOptions::new(name)).await
            {
                tokio::spawn(async move {
                    connection.closed().await;
                    drop(incoming);
                });
            }
        }
    });
    address
}

/// An address on which nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn n16_a_name_is_asked_for_anew_at_every_connect() {
    let names = Arc::new(Names::default());
    let endpoint = endpoint(&names);
    for (asked, name) in ["one", "two", "three"].into_iter().enumerate() {
        names.answers(Ok(vec![broker(name).await]));
        let connection = dial(&endpoint).await.unwrap();
        assert_eq!(connection.remote_open().container_id, name);
        assert_eq!(names.asked.load(Ordering::Relaxed), asked + 1);
    }
}

#[tokio::test]
async fn n02_an_unknown_name_is_told_from_a_resolver_without_an_answer() {
    let names = Arc::new(Names::default());
    let unknown = (io::ErrorKind::NotFound, "Name or service not known");
    for answer in [Err(unknown), Ok(Vec::new())] {
        names.answers(answer);
        let error = dial(&endpoint(&names)).await.unwrap_err();
        assert_eq!(error.operation(), Operation::Connect);
        assert!(matches!(error.kind(), ErrorKind::NameNotFound(_)), "{error}");
        assert!(error.to_string().contains("one.example"), "{error}");
    }
    names.answers(Err((io::ErrorKind::Other, "Temporary failure in name resolution")));
    let error = dial(&endpoint(&names)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Resolve(text) if text.contains("Temporary")));
    // It works again: nothing of the failure was kept.
    names.answers(Ok(vec![broker("one").await]));
    dial(&endpoint(&names)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn n02_a_resolver_that_never_answers_ends_by_the_connect_timeout() {
    let start = Instant::now();
    let error = dial(&endpoint(&Arc::default())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Resolve(text) if text.contains("20s")), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test]
async fn n01_every_address_is_tried_and_those_that_refuse_are_named() {
    let names = Arc::new(Names::default());
    let (one, two) = (nobody().await, nobody().await);
    names.answers(Ok(vec![one, two]));
    let error = dial(&endpoint(&names)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error}");
    for address in [one, two] {
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    names.answers(Ok(vec![one, broker("behind").await]));
    let connection = dial(&endpoint(&names)).await.unwrap();
    assert_eq!(connection.remote_open().container_id, "behind");
}

#[tokio::test]
async fn a_host_that_is_an_address_is_not_asked_for() {
    let address = broker("one").await;
    let names: Arc<dyn Resolver> = Arc::new(Names::default());
    let endpoint = Endpoint::plain("127.0.0.1", address.port()).with_resolver(names);
    dial(&endpoint).await.unwrap();
}

/// Takes its time, then gives a pipe to nobody, or an error.
#[derive(Debug)]
struct Late(Duration, Option<io::ErrorKind>);

impl Connector for Late {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        Box::pin(async {
            let _ = tokio::time::timeout(self.0, pending::<()>()).await;
            match self.1 {
                Some(kind) => Err(kind.into()),
                None => {
                    let (ours, theirs) = tokio::io::duplex(1 << 16);
                    std::mem::forget(theirs);
                    Ok(Box::new(ours) as _)
                }
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn n01_a_connector_has_the_connect_timeout_and_may_say_that_there_is_no_such_name() {
    let through = |late| Endpoint::plain("one.example", 5672).with_connector(Arc::new(late));
    let start = Instant::now();
    let error = dial(&through(Late(Duration::from_secs(3600), None))).await.unwrap_err();
    assert_eq!(error.operation(), Operation::Connect);
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    let unknown = through(Late(Duration::ZERO, Some(io::ErrorKind::NotFound)));
    let error = dial(&unknown).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NameNotFound(_)), "{error}");
    let refused = through(Late(Duration::ZERO, Some(io::ErrorKind::ConnectionRefused)));
    let error = dial(&refused).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error}");
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn n04_a_handshake_gets_what_the_connect_has_left_of_the_timeout() {
    let authority = rcgen::generate_simple_self_signed(["one.example".to_owned()]).unwrap();
    let options = eventhubs_amqp::net::TlsOptions {
        roots_der: vec![authority.cert.der().to_vec()],
        ..Default::default()
    };
    let late = Arc::new(Late(Duration::from_secs(15), None));
    let start = Instant::now();
    let error = dial(&Endpoint::tls("one.example", 5671, options).with_connector(late)).await;
    let error = error.unwrap_err();
    assert_eq!(error.operation(), Operation::Tls);
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}
