//! TLS below AMQP: whom a hub trusts, and what it says of those it does not.

use std::sync::Arc;

use eventhubs_amqp::codec::DeliveryState;
use eventhubs_client::{
    ErrorKind, Hub, HubOptions, Operation, SasKey, SasTokenProvider, Stream, TlsOptions,
};

use crate::support::peer::{Peer, Reply};
use crate::support::tls::{Guarded, HOST};
use crate::support::wire::Wire;
use crate::support::{Fixture, within};

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
