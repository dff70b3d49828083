//! Tokens of Entra ID, from a credential to the emulator, which takes JSON web tokens by shape,
//! times and audience. On the paused clock, behind TLS, in memory.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind as AzureErrorKind;
use azure_core::http::StatusCode;
use azure_core::time::OffsetDateTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventhubs_auth::Clock;
use eventhubs_client::{
    Error, ErrorKind, Hub, HubOptions, Operation, PartitionId, ReceiveOptions, RetryOptions,
    Timestamp,
};
use eventhubs_emulator::{Config, Emulator, HubConfig};
use tokio::time::Instant;

use crate::support::tls::{Guarded, HOST};
use crate::support::{HUB, take, texts};

const MINUTE: Duration = Duration::from_secs(60);

/// What a credential does when it is asked for the n-th time, counted from 0.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Gives a token with these claims besides its end.
    Claims(&'static str),
    /// Gives this text.
    Text(&'static str),
    /// Fails, and may work later.
    Fail,
    /// Fails because Entra ID answered with 401.
    Refuse,
    /// Never answers.
    Hang,
    Panic,
}

const GOOD: Act = Act::Claims(r#""aud":"https://eventhubs.azure.net""#);

/// A credential whose tokens last for `life` of the runtime's time, as the emulator sees it.
#[derive(Debug)]
struct StubCredential {
    start: (Timestamp, Instant),
    life: Duration,
    act: fn(u32) -> Act,
    asked: AtomicU32,
}

impl StubCredential {
    fn new(life: Duration, act: fn(u32) -> Act) -> Arc<Self> {
        let start = (Clock::system().now(), Instant::now());
        Arc::new(Self { start, life, act, asked: AtomicU32::new(0) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A JSON web token with a signature of nobody.
fn jwt(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(claims), part("signature"))
}

#[async_trait]
impl TokenCredential for StubCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://eventhubs.azure.net/.default"]);
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let (wall, begin) = self.start;
        let expires = wall.saturating_add(begin.elapsed() + self.life).as_millis() / 1000;
        let text = match (self.act)(number) {
            Act::Claims(claims) => jwt(&format!(r#"{{{claims},"exp":{expires},"n":{number}}}"#)),
            Act::Text(text) => text.to_owned(),
            Act::Fail => {
                let text = "StubCredential authentication failed. The vault is shut.";
                return Err(azure_core::Error::with_message(AzureErrorKind::Credential, text));
            }
            Act::Refuse => {
                let status = StatusCode::Unauthorized;
                let kind =
                    AzureErrorKind::HttpResponse { status, error_code: None, raw_response: None };
                return Err(azure_core::Error::with_message(kind, "AADSTS7000222: It has ended."));
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("a bug of the credential"),
        };
        let expires = OffsetDateTime::from_unix_timestamp(expires).expect("in range");
        Ok(AccessToken::new(text, expires))
    }
}

/// An emulator that takes JSON web tokens, behind TLS, and a hub on it.
async fn opened(credential: &Arc<StubCredential>, jwt: bool) -> (Hub, Guarded, Arc<Emulator>) {
    let config = Config::default().with_jwt(jwt).with_hub_config(HubConfig::new(HUB, 1));
    let emulator = Arc::new(Emulator::start(config.in_memory()).await.expect("in memory"));
    let guarded = Guarded::emulating(&emulator);
    let credential = Arc::<StubCredential>::clone(credential);
    // Without retries each call shows what the credential did.
    let options = guarded.options().with_retry(RetryOptions::none());
    let hub = Hub::from_credential(HOST, HUB, credential, options).expect("it is valid");
    (hub, guarded, emulator)
}

/// Everything that is shown of an error.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(" {source} {source:?}"));
        next = source.source();
    }
    text
}

/// Sends until it is accepted, at most for ten minutes; the errors until then.
async fn send_until_accepted(hub: &Hub) -> Vec<Error> {
    let start = Instant::now();
    let mut errors = Vec::new();
    while let Err(error) = hub.send("x").await {
        assert!(start.elapsed() < 10 * MINUTE, "it does not come back: {error}");
        errors.push(error);
        let _ = tokio::time::timeout(MINUTE / 60, std::future::pending::<()>()).await;
    }
    errors
}

fn unauthorized(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(error.operation(), Operation::Authorize, "{error}");
    assert!(!error.may_have_been_sent(), "{error}");
    let shown = shown(error);
    assert!(!shown.contains("eyJ") && !shown.contains("SECRET"), "a token is seen: {shown}");
}

#[tokio::test(start_paused = true)]
async fn one_token_serves_sending_receiving_and_asking() {
    let credential = StubCredential::new(60 * MINUTE, |_| GOOD);
    let (hub, guarded, _emulator) = opened(&credential, true).await;
    let mut stream = hub.events(0, ReceiveOptions::default()).await.expect("attached");
    hub.producer(PartitionId::from(0)).send("one").await.expect("accepted");
    hub.send("two").await.expect("accepted");
    assert_eq!(texts(&take(&mut stream, 2).await), ["one", "two"]);
    let information = hub.partition_runtime_information(0).await.expect("answered");
    assert_eq!(information.last_enqueued_sequence_number.as_i64(), 1);
    assert_eq!(hub.runtime_information().await.expect("answered").partition_ids.len(), 1);
    assert_eq!((credential.asked(), guarded.wire.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends() {
    let credential = StubCredential::new(60 * MINUTE, |_| GOOD);
    let (hub, guarded, _emulator) = opened(&credential, true).await;
    let mut stream = hub.events(0, ReceiveOptions::default()).await.expect("attached");
    hub.send("before").await.expect("accepted");
    assert_eq!(texts(&take(&mut stream, 1).await), ["before"]);
    // The hub measures tokens by the wall clock, which stands still here while the service's goes
    // on: beyond this the third renewal would be late.
    let quiet = tokio::time::timeout(100 * MINUTE, stream.next()).await;
    assert!(quiet.is_err(), "the stream has ended: {quiet:?}");
    assert_eq!(credential.asked(), 3, "at the beginning and twice since");
    hub.send("after").await.expect("accepted");
    assert_eq!(texts(&take(&mut stream, 1).await), ["after"]);
    assert_eq!(guarded.wire.dials(), 1, "on the same connection");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_fails_twice_and_then_works() {
    let credential = StubCredential::new(60 * MINUTE, |number| match number {
        0 | 1 => Act::Fail,
        _ => GOOD,
    });
    let (hub, _guarded, _emulator) = opened(&credential, true).await;
    let start = Instant::now();
    for error in send_until_accepted(&hub).await {
        unauthorized(&error);
        assert!(error.is_retryable(), "{error}");
        assert!(error.to_string().contains("StubCredential"), "{error}");
        assert!(error.to_string().contains("The vault is shut"), "{error}");
    }
    assert_eq!(credential.asked(), 3, "asked no more often than it had to be");
    assert!(start.elapsed() >= Duration::from_secs(3), "with pauses: {:?}", start.elapsed());
    assert!(start.elapsed() < MINUTE, "and not for long: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_credential_in_trouble_does_not_end_a_connection_that_has_a_token() {
    let credential = StubCredential::new(60 * MINUTE, |number| match number {
        1 => Act::Fail,
        2 => Act::Refuse,
        3 => Act::Panic,
        4 => Act::Hang,
        _ => GOOD,
    });
    let (hub, guarded, _emulator) = opened(&credential, true).await;
    let mut stream = hub.events(0, ReceiveOptions::default()).await.expect("attached");
    let quiet = tokio::time::timeout(70 * MINUTE, stream.next()).await;
    assert!(quiet.is_err(), "the stream has ended: {quiet:?}");
    assert_eq!(credential.asked(), 6, "one that worked, four that did not, one that did");
    hub.send("after").await.expect("accepted");
    assert_eq!(texts(&take(&mut stream, 1).await), ["after"]);
    assert_eq!(guarded.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_refused_says_so_at_once() {
    let credential = StubCredential::new(60 * MINUTE, |_| Act::Refuse);
    let (hub, _guarded, _emulator) = opened(&credential, true).await;
    let error = hub.send("x").await.expect_err("no token");
    unauthorized(&error);
    assert!(!error.is_retryable(), "{error}");
    let text = error.to_string();
    assert!(text.contains("StubCredential: AADSTS7000222: It has ended."), "{text}");
    assert_eq!(credential.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_panics_or_hangs_ends_no_more_than_a_try() {
    for bad in
        [|n| if n == 0 { Act::Panic } else { GOOD }, |n| if n == 0 { Act::Hang } else { GOOD }]
    {
        let credential = StubCredential::new(60 * MINUTE, bad);
        let (hub, _guarded, _emulator) = opened(&credential, true).await;
        for error in send_until_accepted(&hub).await {
            unauthorized(&error);
        }
        assert_eq!(credential.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_wrong_shape_is_refused_and_not_shown() {
    for (act, word) in [
        ((|_| Act::Text("SECRET")) as fn(u32) -> Act, "MalformedToken"),
        (|_| Act::Text("SECRET.SECRET.SECRET"), "MalformedToken"),
        (|_| Act::Claims(r#""aud":"https://storage.azure.com""#), "InvalidAudience"),
        (
            |_| Act::Claims(r#""aud":"https://eventhubs.azure.net","nbf":9999999999"#),
            "InvalidToken",
        ),
    ] {
        let credential = StubCredential::new(60 * MINUTE, act);
        let (hub, _guarded, _emulator) = opened(&credential, true).await;
        let error = hub.send("x").await.expect_err("refused");
        unauthorized(&error);
        assert!(error.to_string().contains(word), "{error}");
        assert!(credential.asked() <= 2, "once, and perhaps once more for a fresh one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_such_tokens_says_so() {
    let credential = StubCredential::new(60 * MINUTE, |_| GOOD);
    let (hub, _guarded, _emulator) = opened(&credential, false).await;
    let error = hub.send("x").await.expect_err("refused");
    unauthorized(&error);
    assert!(error.to_string().contains("'jwt'"), "{error}");
}

#[test]
fn a_hub_from_a_credential_needs_no_runtime_and_checks_its_names() {
    let credential = || {
        let start = (Timestamp::UNIX_EPOCH, Instant::now());
        let asked = AtomicU32::new(0);
        Arc::new(StubCredential { start, life: MINUTE, act: |_| GOOD, asked })
    };
    let hub = Hub::from_credential("my-namespace", "hub", credential(), HubOptions::default());
    assert_eq!(hub.expect("valid").host(), "my-namespace.servicebus.windows.net");
    for (namespace, hub) in [("my namespace", "hub"), ("ns", "a b"), ("", "hub")] {
        let error = Hub::from_credential(namespace, hub, credential(), HubOptions::default());
        assert_eq!(error.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
}
