//! Tokens are renewed before they end, and the connection lives on. On the paused clock.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use eventhubs_amqp::codec::DeliveryState;
use eventhubs_client::{
    ErrorKind, EventStream, Hub, Operation, PartitionId, ReceiveOptions, RetryOptions, SasKey,
    SasTokenProvider, Token, TokenError, TokenKind, TokenProvider,
};
use eventhubs_emulator::{Config, Effect, Emulator, Fault, Point, Role, Scope};
use tokio::time::Instant;

use crate::support::peer::{Peer, Reply};
use crate::support::tls::{Guarded, HOST};
use crate::support::within_paused;

const MINUTE: Duration = Duration::from_secs(60);

/// Gives `token 0`, `token 1` and so on, each for a lifetime; fails where it is told to.
#[derive(Debug)]
struct Numbered {
    lifetime: SasTokenProvider,
    asked: AtomicU32,
    fails: fn(u32) -> bool,
    renewable: bool,
}

impl Numbered {
    fn new(lifetime: Duration) -> Self {
        let key = SasKey::new("name", "key").expect("it is valid");
        let lifetime = SasTokenProvider::new(key).with_lifetime(lifetime);
        Self { lifetime, asked: AtomicU32::new(0), fails: |_| false, renewable: true }
    }
}

#[async_trait]
impl TokenProvider for Numbered {
    async fn token(&self, audience: &str) -> Result<Token, TokenError> {
        assert_eq!(audience, "amqps://ns.example/hub");
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if (self.fails)(number) {
            return Err(TokenError::provider(io::Error::other("the vault is shut")));
        }
        let expires = self.lifetime.token(audience).await?.expires();
        let token = Token::new(format!("token {number}").into(), TokenKind::Jwt, expires);
        Ok(if self.renewable { token } else { token.not_renewable() })
    }
}

/// A hub on a peer behind TLS, with a stream that keeps it in use.
async fn connected(peer: &Peer, provider: Numbered) -> (Hub, Guarded, EventStream) {
    let guarded = Guarded::new(peer);
    let hub = Hub::new(HOST, "hub", Arc::new(provider), guarded.options()).expect("it is valid");
    let stream = hub.events(0, ReceiveOptions::default()).await.expect("attached");
    (hub, guarded, stream)
}

/// Lets time pass in which nothing may happen to the stream.
async fn quiet(stream: &mut EventStream, time: Duration) {
    let item = tokio::time::timeout(time, stream.next()).await;
    assert!(item.is_err(), "the stream has ended: {item:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_put_before_the_old_one_ends() {
    let peer = Peer::replying(Reply::Silence);
    let lifetime = 10 * MINUTE;
    let (hub, guarded, mut stream) = connected(&peer, Numbered::new(lifetime)).await;
    quiet(&mut stream, 120 * MINUTE).await;
    let puts = peer.puts();
    assert!(puts.len() >= 12, "{} in two hours", puts.len());
    assert!(puts.len() <= 60, "{} in two hours", puts.len());
    for (number, put) in puts.iter().enumerate() {
        assert_eq!(put.token, format!("token {number}"), "each is a new one");
        assert_eq!(put.audience, "amqps://ns.example/hub");
        assert_eq!(put.kind, "jwt");
    }
    for pair in puts.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between < lifetime - 5 * MINUTE, "{between:?} is late");
        assert!(between > MINUTE, "{between:?} is a storm");
    }
    assert_eq!(guarded.wire.dials(), 1, "on the same connection");
    hub.close().await;
    let before = peer.puts().len();
    tokio::time::timeout(60 * MINUTE, std::future::pending::<()>()).await.expect_err("no end");
    assert_eq!(peer.puts().len(), before, "none after the close");
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_tried_again() {
    let peer = Peer::answering_tokens(&[202, 401, 503, 202]);
    let (hub, guarded, mut stream) = connected(&peer, Numbered::new(60 * MINUTE)).await;
    quiet(&mut stream, 50 * MINUTE).await;
    let puts = peer.puts();
    assert_eq!(puts.len(), 4, "the first, two that were refused, one that was not");
    for pair in puts[1..].windows(2) {
        assert!(pair[1].at - pair[0].at <= MINUTE, "soon");
    }
    assert_ne!(puts[1].token, puts[2].token, "a refused token is not shown twice");
    hub.send("still connected").await.expect("accepted");
    assert_eq!(guarded.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_in_trouble_does_not_end_the_connection() {
    let peer = Peer::answering_tokens(&[202]);
    let provider = Numbered { fails: |n| (1..4).contains(&n), ..Numbered::new(60 * MINUTE) };
    let (hub, guarded, mut stream) = connected(&peer, provider).await;
    quiet(&mut stream, 50 * MINUTE).await;
    let puts = peer.puts();
    let last = puts.last().expect("at least the first");
    assert_eq!(last.token, "token 4", "it came back");
    assert!(last.at - puts[0].at < 35 * MINUTE, "in time");
    hub.send("still connected").await.expect("accepted");
    assert_eq!(guarded.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_another_is_put_once() {
    let peer = Peer::replying(Reply::Silence);
    let provider = Numbered { renewable: false, ..Numbered::new(30 * MINUTE) };
    let (_hub, _guarded, mut stream) = connected(&peer, provider).await;
    quiet(&mut stream, 29 * MINUTE).await;
    assert_eq!(peer.puts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_a_token_is_unauthorized() {
    let peer = Peer::answering_tokens(&[202]);
    let guarded = Guarded::new(&peer);
    let provider = Arc::new(Numbered { fails: |n| n < 1, ..Numbered::new(60 * MINUTE) });
    let hub = Hub::new(HOST, "hub", provider, guarded.options().with_retry(RetryOptions::none()))
        .expect("it is valid");
    let error = hub.send("x").await.expect_err("no token");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unauthorized, Operation::Authorize));
    assert!(error.is_retryable() && !error.may_have_been_sent());
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    assert!(causes.iter().any(|cause| cause.contains("the vault is shut")), "{causes:?}");
    assert!(peer.puts().is_empty());

    // The failure is kept for a moment, so that a provider in trouble is not stormed.
    let start = Instant::now();
    while hub.send("x").await.is_err() {
        assert!(start.elapsed() < MINUTE, "it comes back");
        let _ = tokio::time::timeout(MINUTE / 60, std::future::pending::<()>()).await;
    }
    assert_eq!(peer.puts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_fails_is_asked_again_and_named_when_it_goes_on_failing() {
    // A failure is kept for 2 s and longer: a few tries may all find the same one.
    let hub_of = |provider: Numbered, guarded: &Guarded, retries: u32| {
        let retry = RetryOptions::default().with_retries_max(retries);
        let options = guarded.options().with_retry(retry);
        Hub::new(HOST, "hub", Arc::new(provider), options).expect("it is valid")
    };
    let provider = || Numbered::new(60 * MINUTE);
    let peer = Peer::replying(Reply::Outcome(DeliveryState::Accepted));
    let guarded = Guarded::new(&peer);
    let hub = hub_of(Numbered { fails: |number| number < 2, ..provider() }, &guarded, 20);
    within_paused(hub.send("x")).await.expect("the vault has opened");
    assert_eq!(peer.puts()[0].token, "token 2");
    hub.close().await;

    let guarded = Guarded::new(&peer);
    let hub = hub_of(Numbered { fails: |_| true, ..provider() }, &guarded, 3);
    let error = within_paused(hub.send("x")).await.expect_err("it stays shut");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unauthorized, Operation::Authorize));
    assert_eq!(error.attempts(), 4);
    assert!(!error.may_have_been_sent());
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        chain.push(error.to_string());
        source = error.source();
    }
    assert!(chain.iter().any(|text| text.contains("the vault is shut")), "{chain:?}");
}

/// Signs, and counts how often.
#[derive(Debug)]
struct Counted {
    signs: SasTokenProvider,
    asked: AtomicU32,
}

#[async_trait]
impl TokenProvider for Counted {
    async fn token(&self, audience: &str) -> Result<Token, TokenError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.signs.token(audience).await
    }
}

#[tokio::test(start_paused = true)]
async fn s08_the_token_that_was_refused_is_not_put_again() {
    let emulator = Emulator::start(Config::default().in_memory()).await.expect("in memory");
    let emulator = Arc::new(emulator);
    let guarded = Guarded::emulating(&emulator);
    let key = SasKey::new("RootManageSharedAccessKey", "SAS_KEY_VALUE").expect("it is valid");
    let signs = SasTokenProvider::new(key);
    let provider = Arc::new(Counted { signs, asked: AtomicU32::new(0) });
    let tokens = Arc::<Counted>::clone(&provider);
    let hub = Hub::new(HOST, "hub", tokens, guarded.options()).expect("it is valid");
    within_paused(hub.send("x")).await.expect("stored");
    let scope = Scope::all().role(Role::Producer);
    let refusal = Effect::refuse("amqp:unauthorized-access", "ExpiredToken");
    let refusal = Fault::at(Point::Attach, refusal).within(scope);
    emulator.inject(refusal).expect("it can strike");
    within_paused(hub.producer(PartitionId::from(1)).send("x")).await.expect("with another token");
    assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
}
