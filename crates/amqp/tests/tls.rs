//! TLS from the first byte: whom we trust, which name the certificate has to carry, who we are.
#![cfg(test)]
#![cfg(feature = "tls-aws-lc-rs")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_amqp::codec::Symbol;
use eventhubs_amqp::engine::{CloseReason, Options, Sasl};
use eventhubs_amqp::net::{
    AcceptOptions, Connecting, Connection, ConnectionOptions, Connector, Endpoint, Error,
    ErrorKind, Operation, ReceiverOptions, SenderOptions, TlsOptions,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate authority, made for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in DER.
struct Identity {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    fn identity(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { chain: vec![certificate.der().to_vec()], key: key.serialize_der() }
    }

    fn server(&self, names: &[&str]) -> Identity {
        self.identity(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, name: &str) -> Identity {
        self.identity(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn roots(&self) -> TlsOptions {
        TlsOptions { roots_der: vec![self.der()], ..TlsOptions::default() }
    }
}

/// A TLS listener; with `clients` it wants a certificate of theirs.
fn acceptor(identity: Identity, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().into()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = identity.chain.into_iter().map(Into::into).collect();
    let key = PrivateKeyDer::try_from(identity.key).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// Accepts one connection and receives one delivery on it; nothing when the dialler went before.
async fn serve(listener: TcpListener, tls: TlsAcceptor) -> Option<Vec<u8>> {
    let (tcp, _) = listener.accept().await.ok()?;
    let stream = tls.accept(tcp).await.ok()?;
    let certified = stream.get_ref().1.peer_certificates().is_some();
    let mut options = AcceptOptions::new("broker").with_authentication(move |mechanism, _| {
        mechanism == if certified { "EXTERNAL" } else { "ANONYMOUS" }
    });
    let mechanisms = ["ANONYMOUS", "EXTERNAL"].map(Symbol::from_static).to_vec();
    options.engine.sasl = Sasl::Offer { mechanisms, allow_bare: false };
    let (connection, mut incoming) = Connection::accept(stream, options).await.ok()?;
    let link = incoming.next().await.ok()?;
    let mut receiver = link.accept_receiver(ReceiverOptions::default()).ok()?;
    let delivery = receiver.recv().await.ok()?;
    let payload = delivery.payload().to_vec();
    // Asking for more is what accepts this one.
    receiver.recv().await.unwrap_err();
    connection.closed().await;
    Some(payload)
}

/// Dials a server with `identity` under the name `host` and sends one large message.
async fn talk(
    host: &str,
    tls: TlsOptions,
    server: TlsAcceptor,
    sasl: Sasl,
) -> (Result<(), Error>, Option<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dial = async {
        let engine = Options { sasl, ..Options::dialler("client") };
        let options = ConnectionOptions::with_engine(engine);
        let connection = Connection::dial(&Endpoint::tls(host, port, tls), options).await?;
        let sender = connection.sender(SenderOptions::to("queue")).await?;
        sender.send(vec![7; 300_000].into(), 0).await.expect("an outcome");
        assert_eq!(connection.close(None).await, CloseReason::Local);
        Ok(())
    };
    let both = async { tokio::join!(dial, serve(listener, server)) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("the test hangs")
}

fn assert_refused(result: Result<(), Error>) {
    let error = result.expect_err("the certificate is of no use");
    assert_eq!(error.operation(), Operation::Tls);
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_server_under_our_own_root() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let server = acceptor(authority.server(&["localhost", "127.0.0.1"]), None);
        let (sent, received) = talk(host, authority.roots(), server, Sasl::Anonymous).await;
        sent.unwrap();
        assert!(received.unwrap() == [7; 300_000]);
    }
}

#[tokio::test]
async fn a_server_under_a_root_that_is_not_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = acceptor(authority.server(&["localhost"]), None);
    let (sent, received) = talk("localhost", other.roots(), server, Sasl::Anonymous).await;
    assert_refused(sent);
    assert_eq!(received, None);
    // Without roots of our own the platform's count, and this authority is not among them.
    let server = acceptor(authority.server(&["localhost"]), None);
    let (sent, _) = talk("localhost", TlsOptions::default(), server, Sasl::Anonymous).await;
    assert_refused(sent);
}

#[tokio::test]
async fn a_server_under_another_name() {
    let authority = Authority::new();
    let server = || acceptor(authority.server(&["hub.example"]), None);
    let (sent, _) = talk("localhost", authority.roots(), server(), Sasl::Anonymous).await;
    assert_refused(sent);
    // Unless that is the name we are after, as behind a private endpoint.
    let server_name = Some("hub.example".to_owned());
    let options = TlsOptions { server_name, ..authority.roots() };
    let (sent, _) = talk("localhost", options, server(), Sasl::Anonymous).await;
    sent.unwrap();
}

#[tokio::test]
async fn a_client_certificate() {
    let authority = Authority::new();
    let server = || acceptor(authority.server(&["localhost"]), Some(&authority));
    let identity = authority.client("producer");
    let options = TlsOptions {
        client_certificate: Some((identity.chain, identity.key)),
        ..authority.roots()
    };
    let (sent, received) = talk("localhost", options, server(), Sasl::External).await;
    sent.unwrap();
    assert!(received.is_some());
    // Without one the server hangs up; when we learn of it depends on the version of TLS.
    let (sent, received) = talk("localhost", authority.roots(), server(), Sasl::External).await;
    let error = sent.unwrap_err();
    assert!(matches!(error.operation(), Operation::Tls | Operation::Open), "{error}");
    assert_eq!(received, None);
}

#[tokio::test]
async fn options_that_cannot_be_used_name_no_secret() {
    let authority = Authority::new();
    let secret = b"a private key that is none".to_vec();
    for options in [
        TlsOptions { roots_der: vec![vec![1, 2, 3]], ..TlsOptions::default() },
        TlsOptions {
            client_certificate: Some((vec![authority.der()], secret.clone())),
            ..authority.roots()
        },
        TlsOptions { server_name: Some("not a name".to_owned()), ..authority.roots() },
    ] {
        let shown = format!("{options:?}");
        let server = acceptor(authority.server(&["localhost"]), None);
        let (sent, _) = talk("localhost", options, server, Sasl::Anonymous).await;
        let error = sent.unwrap_err();
        assert_eq!(error.operation(), Operation::Tls, "{error}");
        let text = format!("{shown} {error} {error:?}");
        assert!(!text.contains("private key that is") && !text.contains(&format!("{secret:?}")));
    }
}

/// A pipe whose other end nobody reads.
#[derive(Debug)]
struct Silent(std::sync::Mutex<Option<DuplexStream>>);

impl Connector for Silent {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            *self.0.lock().map_err(|_| io::Error::other("poisoned"))? = Some(theirs);
            Ok(Box::new(ours) as _)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_its_deadline() {
    let silent = Arc::new(Silent(std::sync::Mutex::default()));
    let endpoint = Endpoint::tls("localhost", 5671, Authority::new().roots());
    let options = ConnectionOptions::new("client");
    let timeout = options.connect_timeout;
    let start = tokio::time::Instant::now();
    let error = Connection::dial(&endpoint.with_connector(silent), options).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(time) if *time == timeout), "{error}");
    assert_eq!(start.elapsed(), timeout);
}
