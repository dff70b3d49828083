//! TLS below AMQP: whom a hub trusts, and what it says of those it does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_client::{
    Connecting, Connector, ErrorKind, Hub, HubOptions, Operation, SasKey, SasTokenProvider, Stream,
    TlsOptions,
};
use tokio::io::DuplexStream;
use tokio::time::Instant;

use crate::support::peer::{Peer, Reply};
use crate::support::tls::{Guarded, HOST, certificate};
use crate::support::wire::Wire;
use crate::support::{Fixture, within, within_paused};

fn hub(host: &str, options: HubOptions) -> Hub {
    let provider = SasTokenProvider::new(SasKey::new("name", "key").expect("it is valid"));
    Hub::new(host, "hub", Arc::new(provider), options).expect("it is valid")
}

#[tokio::test]
async fn a_peer_with_a_trusted_certificate_is_used() {
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let guarded = Guarded::new(&peer);
    let hub = hub(HOST, guarded.options());
    within(hub.send("x")).await.expect("accepted");
    let put = peer.puts().remove(0);
    assert_eq!(put.audience, format!("amqps://{HOST}/hub"));
    assert_eq!(put.kind, "servicebus.windows.net:sastoken");
    assert!(put.token.starts_with("SharedAccessSignature sr="));
    within(hub.close()).await;
}

/// Says nothing to the first client, and leads the others on.
#[derive(Debug)]
struct Stall {
    then: Arc<dyn Connector>,
    held: Mutex<Vec<DuplexStream>>,
}

impl Connector for Stall {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        let mut held = self.held.lock().expect("no panic");
        if !held.is_empty() {
            return self.then.connect(host, port);
        }
        let (near, far) = tokio::io::duplex(64 * 1024);
        held.push(far);
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Stream>)))
    }
}

#[tokio::test(start_paused = true)]
async fn n04_tls_that_stalls_is_tried_again_after_the_connect_timeout() {
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let guarded = Guarded::new(&peer);
    let stall = Stall { then: guarded.wire.connector(), held: Mutex::default() };
    let hub = hub(HOST, guarded.options().with_connector(Arc::new(stall)));
    let start = Instant::now();
    within_paused(hub.send("x")).await.expect("the second handshake is answered");
    let took = start.elapsed();
    let limit = HubOptions::default().connect_timeout;
    assert!(took >= limit && took < limit + Duration::from_secs(2), "{took:?}");
    assert_eq!(guarded.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn n04_a_bad_certificate_is_final_and_named_and_gets_no_token() {
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let expired = {
        let mut certificate = certificate(HOST);
        certificate.not_before = rcgen::date_time_ymd(2000, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(2001, 1, 1);
        Guarded::presenting(&peer, certificate)
    };
    let other_name = Guarded::presenting(&peer, certificate("other.example"));
    let stranger = {
        let mut certificate = certificate(HOST);
        certificate.distinguished_name.push(rcgen::DnType::CommonName, "an authority of its own");
        Guarded::presenting(&peer, certificate)
    };
    let trusted = Guarded::new(&peer);
    let unknown_authority = trusted.options().with_connector(stranger.wire.connector());
    for (options, wire, why) in [
        (expired.options(), &expired.wire, "xpired"),
        (other_name.options(), &other_name.wire, "not valid for name"),
        (unknown_authority, &stranger.wire, "UnknownIssuer"),
    ] {
        let start = Instant::now();
        let error = within_paused(hub(HOST, options).send("x")).await.expect_err(why);
        let found = (error.kind(), error.operation());
        assert_eq!(found, (ErrorKind::Unauthorized, Operation::Connect), "{error}");
        assert!(error.to_string().contains(why) && error.to_string().contains(HOST), "{error}");
        assert!(!error.is_retryable() && !error.may_have_been_sent());
        assert_eq!((wire.dials(), error.attempts()), (1, 1), "trying again is of no use");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
    assert!(peer.puts().is_empty(), "no token was shown");
}

#[tokio::test]
async fn the_name_to_check_can_be_another_than_the_host() {
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let guarded = Guarded::new(&peer);
    let error = within(hub("other.example", guarded.options()).send("x")).await;
    assert_eq!(error.expect_err("another name").kind(), ErrorKind::Unauthorized);
    let mut options = guarded.options();
    options.tls.server_name = Some(HOST.to_owned());
    within(hub("other.example", options).send("x")).await.expect("accepted");
}

#[tokio::test]
async fn a_peer_that_is_not_trusted_gets_no_token() {
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let guarded = Guarded::new(&peer);
    let other = Guarded::new(&peer);
    let strangers = [
        guarded.options().with_tls(TlsOptions::default()),
        other.options().with_connector(guarded.wire.connector()),
        {
            let mut options = guarded.options();
            options.tls.roots_der = vec![b"no certificate".to_vec()];
            options
        },
    ];
    for options in strangers {
        let error = within(hub(HOST, options).send("x")).await.expect_err("not trusted");
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::Unauthorized, Operation::Connect)
        );
        assert!(error.to_string().contains("TLS"), "{error}");
        assert!(!error.is_retryable() && !error.may_have_been_sent());
    }
    assert!(peer.puts().is_empty(), "no token was shown");
}

#[tokio::test]
async fn a_peer_without_tls_is_never_spoken_to_in_the_clear() {
    let fixture = Fixture::memory().await;
    let options = HubOptions::default().with_connector(fixture.wire.connector());
    let error = within(hub("localhost", options).send("x")).await.expect_err("no TLS there");
    assert_eq!(error.operation(), Operation::Connect);
    assert!(!error.may_have_been_sent());
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_disconnected_not_distrusted() {
    let wire = Wire::new(|| {
        let (near, far) = tokio::io::duplex(1024);
        drop(far);
        Ok(Box::new(near) as Box<dyn Stream>)
    });
    let options = HubOptions::default().with_connector(wire);
    let error = within(hub(HOST, options).send("x")).await.expect_err("nobody there");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Disconnected, Operation::Connect));
    assert!(error.is_retryable(), "{error}");
}
