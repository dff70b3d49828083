//! Credentials of the Azure SDK as token providers.

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;
use azure_core::time::OffsetDateTime;
use eventhubs_auth::entra::MAX_TEXT;
use eventhubs_auth::{
    Clock, CredentialError, EntraTokenProvider, Error, TokenCache, TokenKind, TokenProvider,
};
use eventhubs_protocol::Timestamp;
use proptest::prelude::*;
use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex};

const CANARY: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.c2lnbmF0dXJl-_x";
const AUDIENCE: &str = "amqps://ns.example/hub";

type Answer = Box<dyn Fn() -> azure_core::Result<AccessToken> + Send + Sync>;

/// A credential that answers as it is told, and remembers what it was asked.
struct Stub {
    answer: Answer,
    scopes: Mutex<Vec<String>>,
    secret: &'static str,
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StubCredential").field("secret", &self.secret).finish()
    }
}

#[async_trait]
impl TokenCredential for Stub {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.scopes.lock().expect("no panic").extend(scopes.iter().map(|one| (*one).to_owned()));
        (self.answer)()
    }
}

fn stub(answer: impl Fn() -> azure_core::Result<AccessToken> + Send + Sync + 'static) -> Arc<Stub> {
    Arc::new(Stub { answer: Box::new(answer), scopes: Mutex::default(), secret: CANARY })
}

fn granted(text: &'static str, nanos: i128) -> azure_core::Result<AccessToken> {
    let expires = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("in range");
    Ok(AccessToken::new(text, expires))
}

/// An answer of Entra ID as `azure_identity` hands it on: the status is in the cause.
fn answered(status: StatusCode) -> azure_core::Error {
    let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response: None };
    let cause = azure_core::Error::with_message(kind, "AADSTS7000215: Invalid client secret.");
    let text = "StubCredential authentication failed. AADSTS7000215: Invalid client secret.";
    azure_core::Error::with_error(ErrorKind::Credential, cause, text)
}

async fn failure(
    answer: impl Fn() -> azure_core::Error + Send + Sync + 'static,
) -> (Error, CredentialError) {
    let provider = EntraTokenProvider::new(stub(move || Err(answer())));
    let error = provider.token(AUDIENCE).await.expect_err("it fails");
    let Error::Provider(wrapped) = &error else { panic!("{error:?}") };
    let inner = wrapped.inner().downcast_ref::<CredentialError>().expect("it is one").clone();
    (error, inner)
}

#[tokio::test]
async fn a_token_keeps_its_text_and_its_end() {
    let credential = stub(|| granted("a.b.c", 1_700_000_000_123_999_999));
    let provider = EntraTokenProvider::new(Arc::<Stub>::clone(&credential));
    let token = provider.token(AUDIENCE).await.expect("given");
    assert_eq!(token.secret().expose(), "a.b.c");
    assert_eq!(token.kind(), TokenKind::Jwt);
    assert_eq!(token.expires(), Timestamp::from_millis(1_700_000_000_123));
    assert!(token.is_renewable());
    assert_eq!(
        *credential.scopes.lock().expect("no panic"),
        ["https://eventhubs.azure.net/.default"]
    );
}

#[tokio::test]
async fn another_scope_is_asked_for() {
    let credential = stub(|| granted("a.b.c", 0));
    let provider = EntraTokenProvider::new(Arc::<Stub>::clone(&credential))
        .with_scope("https://ns.example/.default");
    assert_eq!(provider.scope(), "https://ns.example/.default");
    provider.token("amqps://ns.example/other").await.expect("given");
    assert_eq!(*credential.scopes.lock().expect("no panic"), ["https://ns.example/.default"]);
}

#[tokio::test]
async fn an_empty_token_is_none() {
    let provider = EntraTokenProvider::new(stub(|| granted("", i128::from(i64::MAX))));
    let error = provider.token(AUDIENCE).await.expect_err("it is empty");
    assert!(error.to_string().contains("StubCredential: it gave an empty token"), "{error}");
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused_by_the_cache() {
    let provider = EntraTokenProvider::new(stub(|| granted("a.b.c", 1_699_999_999_000_000_000)));
    let clock = Clock::from_fn(|| Timestamp::from_millis(1_700_000_000_000));
    let cache = TokenCache::new(Arc::new(provider)).with_clock(clock);
    let error = cache.token(AUDIENCE).await.expect_err("it has ended");
    assert!(matches!(error, Error::ExpiredOnArrival { .. }), "{error}");
}

#[tokio::test]
async fn a_failure_names_the_credential_and_says_why() {
    let (error, inner) = failure(|| answered(StatusCode::Unauthorized)).await;
    assert_eq!(
        error.to_string(),
        "the token provider failed: StubCredential authentication failed. \
         AADSTS7000215: Invalid client secret."
    );
    assert_eq!((inner.credential(), inner.status()), ("StubCredential", Some(401)));
    let (error, inner) =
        failure(|| azure_core::Error::with_message(ErrorKind::Io, "no route\r\n\tto host")).await;
    assert_eq!(
        error.to_string(),
        "the token provider failed: StubCredential: no route to host",
        "on one line"
    );
    assert_eq!(inner.status(), None);
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_everything_else_is() {
    for (status, retryable) in [
        (StatusCode::BadRequest, false),
        (StatusCode::Unauthorized, false),
        (StatusCode::Forbidden, false),
        (StatusCode::NotFound, true),
        (StatusCode::RequestTimeout, true),
        (StatusCode::Gone, true),
        (StatusCode::TooManyRequests, true),
        (StatusCode::InternalServerError, true),
        (StatusCode::ServiceUnavailable, true),
    ] {
        let (error, _) = failure(move || answered(status)).await;
        assert_eq!(error.is_retryable(), retryable, "{status}");
    }
    for kind in [ErrorKind::Credential, ErrorKind::Connection, ErrorKind::Io, ErrorKind::Other] {
        let (error, _) =
            failure(move || azure_core::Error::with_message(kind.clone(), "az not found")).await;
        assert!(error.is_retryable(), "{error}");
    }
}

/// Everything that can be seen of a failure.
fn seen(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(" {cause} {cause:?} {cause:#?}"));
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let provider = EntraTokenProvider::new(stub(|| granted(CANARY, i128::from(i64::MAX))));
    let token = provider.token(AUDIENCE).await.expect("given");
    let cause = || azure_core::Error::with_message(ErrorKind::Other, format!("raw {CANARY}"));
    let message = format!("assertion={CANARY}&scope=x was refused ({CANARY})");
    let (error, _) = failure(move || cause().with_context(format!("{message}\n{CANARY}"))).await;
    let shown = format!("{provider:?} {provider:#?} {token:?} {}", seen(&error));
    for part in CANARY.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("assertion=***&scope=x was refused (***) ***"), "{shown}");
    assert!(shown.contains("credential: StubCredential"), "{shown}");
}

#[tokio::test]
async fn a_text_without_end_is_cut() {
    let (error, _) = failure(|| {
        let text = "é ".repeat(1 << 20);
        azure_core::Error::with_message(ErrorKind::Other, text)
    })
    .await;
    let shown = error.to_string();
    assert!(shown.chars().count() < MAX_TEXT + 100, "{}", shown.chars().count());
    assert!(shown.ends_with("..."), "{shown}");
}

/// A credential whose `Debug` is this text.
struct Shown(String);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[async_trait]
impl TokenCredential for Shown {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Err(azure_core::Error::with_message(ErrorKind::Other, "no"))
    }
}

#[tokio::test]
async fn a_credential_without_a_name_is_a_credential() {
    for (debug, name) in [
        ("", "a credential"),
        ("secret", "a credential"),
        ("***", "a credential"),
        ("ManagedIdentityCredential", "ManagedIdentityCredential"),
        ("Chained(Secret { s: 1 })", "Chained"),
    ] {
        let provider = EntraTokenProvider::new(Arc::new(Shown(debug.to_owned())));
        let error = provider.token(AUDIENCE).await.expect_err("it fails");
        assert!(error.to_string().ends_with(&format!("{name}: no")), "{error}");
    }
    let long = EntraTokenProvider::new(Arc::new(Shown("A".repeat(1 << 20))));
    assert!(format!("{long:?}").len() < 200);
}

proptest! {
    #[test]
    fn any_failure_is_told_on_one_line_without_tokens(text in "(\\PC|[\\n\\r\\t]|eyJ[a-z.]{0,9}){0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (error, _) = runtime.block_on(failure(move || {
            azure_core::Error::with_message(ErrorKind::Other, text.clone())
        }));
        let shown = error.to_string();
        prop_assert!(!shown.contains("eyJ") && !shown.contains(['\n', '\r', '\t']), "{}", shown);
    }
}
