use std::sync::Mutex;

use eventhubs_amqp::engine::{Options, Sasl};
use eventhubs_amqp::net::{
    Connecting, Connection, ConnectionOptions, Connector, Endpoint, Error, ErrorKind, Operation,
    SenderOptions, TlsOptions,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::*;
use crate::doors::authority::pem;
use crate::doors::door::tests::{loopback, plain, round_trip, within};
use crate::doors::door::{Door, HANDSHAKE_TIMEOUT};
use crate::{Config, Emulator, ListenerKind, StartError};

/// Some time after 1970 at which certificates are made, when nobody looks at a clock.
const THEN: Duration = Duration::from_secs(20_000 * 24 * 60 * 60);

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn trusting(emulator: &Emulator) -> TlsOptions {
    let roots_der = vec![der(&emulator.ca_pem().unwrap())];
    TlsOptions { roots_der, ..TlsOptions::default() }
}

async fn start(tls: TlsConfig) -> Emulator {
    let config = Config::default().in_memory().with_tls(loopback()).with_tls_config(tls);
    Emulator::start(config).await.unwrap()
}

/// Dials `127.0.0.1`, which every certificate made here is for.
async fn dial(
    emulator: &Emulator,
    options: TlsOptions,
    sasl: ConnectionOptions,
) -> Result<Connection, Error> {
    let port = emulator.listeners()[0].address.port();
    within(Connection::dial(&Endpoint::tls("127.0.0.1", port, options), sasl)).await
}

/// What the client says of the certificate.
async fn complaint(emulator: &Emulator) -> String {
    let error = dial(emulator, trusting(emulator), plain()).await.unwrap_err();
    assert_eq!(error.operation(), Operation::Tls);
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
    error.to_string().to_ascii_lowercase()
}

#[tokio::test]
async fn a_client_that_trusts_our_authority_gets_through() {
    let names = vec!["hub.test".to_owned(), "10.1.2.3".to_owned(), "localhost".to_owned()];
    let emulator = start(TlsConfig { names, ..TlsConfig::default() }).await;
    let connection = dial(&emulator, trusting(&emulator), plain()).await.unwrap();
    round_trip(connection, 0).await;
    for name in ["localhost", "127.0.0.1", "::1", "hub.test", "10.1.2.3"] {
        let server_name = Some(name.to_owned());
        let options = TlsOptions { server_name, ..trusting(&emulator) };
        dial(&emulator, options, plain()).await.unwrap().close(None).await;
    }
    let server_name = Some("other.test".to_owned());
    let options = TlsOptions { server_name, ..trusting(&emulator) };
    dial(&emulator, options, plain()).await.unwrap_err();
    let again = start(TlsConfig::default()).await;
    assert_ne!(emulator.ca_pem(), again.ca_pem(), "no authority lives longer than its emulator");
    dial(&again, trusting(&emulator), plain()).await.unwrap_err();
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let emulator = start(TlsConfig::default()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(der(&emulator.ca_pem().unwrap()).into()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let address = emulator.listeners()[0].address;
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = within(connector.connect(name, tcp)).await.unwrap();
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version));
        assert!(
            spoken == Some(ProtocolVersion::TLSv1_2) || spoken == Some(ProtocolVersion::TLSv1_3)
        );
        within(Connection::dial_over(stream, plain())).await.unwrap().close(None).await;
    }
}

#[tokio::test]
async fn each_fault_is_seen_as_what_it_is_and_can_be_put_right() {
    let faults = [
        (TlsFault::Expired, "expired"),
        (TlsFault::OtherName, "not valid for name"),
        (TlsFault::UnknownAuthority, "unknownissuer"),
    ];
    let emulator = start(TlsConfig::default()).await;
    for (fault, words) in faults {
        let wrong = start(TlsConfig { fault: Some(fault), ..TlsConfig::default() }).await;
        let text = complaint(&wrong).await;
        assert!(text.contains(words), "{fault:?}: {text}");
        emulator.set_tls_fault(Some(fault)).unwrap();
        let text = complaint(&emulator).await;
        assert!(text.contains(words), "{fault:?}: {text}");
        emulator.set_tls_fault(None).unwrap();
        let connection = dial(&emulator, trusting(&emulator), plain()).await.unwrap();
        // A connection in use does not see what becomes of the next one.
        emulator.set_tls_fault(Some(fault)).unwrap();
        connection.sender(SenderOptions::to("hub")).await.unwrap();
        connection.close(None).await;
    }
}

/// Leads into a door in memory, so that the clock can be moved.
#[derive(Debug)]
struct Memory(Door, Mutex<Vec<tokio::task::JoinHandle<bool>>>);

impl Connector for Memory {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        Box::pin(async {
            let (near, far) = tokio::io::duplex(1 << 16);
            let door = self.0.clone();
            let entering = tokio::spawn(async move { door.enter(far).await.is_ok() });
            self.1.lock().unwrap().push(entering);
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_handshake_lasts_until_the_client_gives_up() {
    let tls = Tls::new(&TlsConfig { fault: Some(TlsFault::Stall), ..TlsConfig::default() }, THEN);
    let tls = Arc::new(tls.unwrap());
    let roots_der = vec![der(&tls.ca_pem().unwrap())];
    let door = Door { kind: ListenerKind::Tls, tls: Some(tls) };
    let memory = Arc::new(Memory(door, Mutex::default()));
    let endpoint = Endpoint::tls("localhost", 1, TlsOptions { roots_der, ..TlsOptions::default() })
        .with_connector(Arc::clone(&memory) as Arc<dyn Connector>);
    let connect_timeout = 2 * HANDSHAKE_TIMEOUT;
    let options = ConnectionOptions { connect_timeout, ..plain() };
    let start = Instant::now();
    let error = Connection::dial(&endpoint, options).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(time) if *time == connect_timeout));
    assert_eq!(start.elapsed(), connect_timeout);
    let entering = memory.1.lock().unwrap().pop().unwrap();
    assert!(!entering.await.unwrap(), "and then it is over");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_stalled_handshake() {
    let emulator = start(TlsConfig { fault: Some(TlsFault::Stall), ..TlsConfig::default() }).await;
    let address = emulator.listeners()[0].address;
    let _mute = tokio::net::TcpStream::connect(address).await.unwrap();
    within(emulator.shutdown()).await;
}

/// An authority that is not the emulator's.
struct Other(CertifiedIssuer<'static, KeyPair>);

impl Other {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", self.0.der()).into_bytes()
    }

    /// A certificate and its key, in DER.
    fn client(&self) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (vec![certificate.der().to_vec()], key.serialize_der())
    }
}

fn external() -> ConnectionOptions {
    ConnectionOptions::with_engine(Options { sasl: Sasl::External, ..Options::dialler("test") })
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_proves_its_owner() {
    let clients = Other::new();
    let client_ca_pem = Some(clients.pem());
    let emulator = start(TlsConfig { client_ca_pem, ..TlsConfig::default() }).await;
    let certificate = |authority: &Other| TlsOptions {
        client_certificate: Some(authority.client()),
        ..trusting(&emulator)
    };
    let connection = dial(&emulator, certificate(&clients), external()).await.unwrap();
    round_trip(connection, 0).await;
    // None need be shown; then EXTERNAL is refused.
    let error = dial(&emulator, trusting(&emulator), external()).await.unwrap_err();
    assert!(error.to_string().contains("Auth"), "{error}");
    let connection = dial(&emulator, trusting(&emulator), plain()).await.unwrap();
    connection.sender(SenderOptions::to("hub")).await.unwrap();
    // One that others have signed is none.
    dial(&emulator, certificate(&Other::new()), external()).await.unwrap_err();
    // An emulator that asks for none is shown none.
    let emulator = start(TlsConfig::default()).await;
    let options = TlsOptions { client_certificate: Some(clients.client()), ..trusting(&emulator) };
    dial(&emulator, options, external()).await.unwrap_err();
}

#[tokio::test]
async fn a_certificate_that_was_given_is_shown() {
    let authority = Authority::new("given", THEN).unwrap();
    let leaf = authority.own_leaf(&[], Validity::Now).unwrap();
    let chain = pem("CERTIFICATE", &leaf.chain[0]);
    let key = pem("PRIVATE KEY", leaf.key.secret_der());
    let directory = tempfile::tempdir().unwrap();
    let (chain_path, key_path) = (directory.path().join("chain"), directory.path().join("key"));
    std::fs::write(&chain_path, &chain).unwrap();
    std::fs::write(&key_path, &key).unwrap();
    for identity in
        [Identity::from_pem(chain, key), Identity::from_files(chain_path, key_path).unwrap()]
    {
        let identity = Some(identity);
        let emulator = start(TlsConfig { identity, ..TlsConfig::default() }).await;
        assert_eq!(emulator.ca_pem(), None, "it was not made here");
        let roots_der = vec![der(&authority.pem())];
        let options = TlsOptions { roots_der, ..TlsOptions::default() };
        dial(&emulator, options.clone(), plain()).await.unwrap().close(None).await;
        // It cannot be made wrong, and stays as it is; a stall needs no certificate.
        emulator.set_tls_fault(Some(TlsFault::Expired)).unwrap_err();
        dial(&emulator, options, plain()).await.unwrap().close(None).await;
        emulator.set_tls_fault(Some(TlsFault::Stall)).unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_said_at_start_and_shows_no_key() {
    let leaf = Authority::new("given", THEN).unwrap().own_leaf(&[], Validity::Now).unwrap();
    let other = Authority::new("given", THEN).unwrap().own_leaf(&[], Validity::Now).unwrap();
    let chain = pem("CERTIFICATE", &leaf.chain[0]);
    let key = pem("PRIVATE KEY", leaf.key.secret_der());
    let line = key.lines().nth(1).unwrap().to_owned();
    let mut cases = Vec::new();
    for identity in [
        Identity::from_pem(chain.clone(), pem("PRIVATE KEY", other.key.secret_der())),
        Identity::from_pem(chain.clone(), key.replace("PRIVATE", "OTHER")),
        Identity::from_pem(chain.clone(), key.replace("-----END", "-----")),
        Identity::from_pem(key.clone(), key.clone()),
        Identity::from_pem("", key.clone()),
        Identity::from_pem(chain.replace("MII", "???"), key.clone()),
    ] {
        cases.push(TlsConfig { identity: Some(identity), ..TlsConfig::default() });
    }
    cases.push(TlsConfig { names: vec!["näme".to_owned()], ..TlsConfig::default() });
    cases.push(TlsConfig { client_ca_pem: Some(key.into_bytes()), ..TlsConfig::default() });
    for tls in cases {
        let config = Config::default().with_tls(loopback()).with_tls_config(tls);
        let shown = format!("{config:?}");
        let error = Emulator::start(config).await.unwrap_err();
        assert!(matches!(error, StartError::Tls { .. }), "{error}");
        let shown = format!("{shown} {error} {error:?}");
        assert!(!shown.contains(&line) && !shown.contains("BEGIN"), "{shown}");
    }
    let plain = Emulator::start(Config::default()).await.unwrap();
    assert_eq!(plain.ca_pem(), None);
    plain.set_tls_fault(Some(TlsFault::Stall)).unwrap_err();
}
