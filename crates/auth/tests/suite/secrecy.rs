//! A canary for a key: nothing that can be shown, logged or thrown may show it.

use async_trait::async_trait;
use eventhubs_auth::{
    ConnectionString, Credential, Environment, Error, SasKey, SasSignature, SasTokenProvider,
    Secret, Token, TokenCache, TokenProvider,
};
use eventhubs_protocol::Timestamp;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "CANARYcanary0123456789==";

fn silent(shown: impl Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!text.to_ascii_lowercase().contains("canary"), "{text}");
    }
}

fn silent_error(error: &Error) {
    silent(error);
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        assert!(!error.to_string().to_ascii_lowercase().contains("canary"), "{error}");
        next = error.source();
    }
}

#[tokio::test]
async fn no_type_shows_the_key() {
    let key = SasKey::new("name", CANARY).expect("a key");
    silent(&key);
    silent(Secret::from(CANARY));
    silent(Credential::Key(key.clone()));
    let provider = SasTokenProvider::new(key.clone());
    silent(&provider);
    let cache = TokenCache::new(Arc::new(provider));
    cache.token("amqps://h/hub").await.expect("signed");
    silent(&cache);

    let text = format!("Endpoint=sb://h;SharedAccessKeyName=name;SharedAccessKey={CANARY}");
    let parsed = ConnectionString::parse(&text).expect("whole");
    silent(&parsed);
    silent(parsed.credential());
    silent(parsed.credential().token_provider());

    let environment = Environment::read(|variable| match variable {
        "EVENTHUB_CONNECTION_STRING" => Some(text.clone()),
        "EVENTHUB_KEY_NAME" => Some("name".to_owned()),
        "EVENTHUB_KEY_VALUE" | "AZURE_CLIENT_SECRET" | "AZURE_CERTIFICATE_PASSWORD" => {
            Some(CANARY.to_owned())
        }
        _ => None,
    });
    silent(environment.expect("all usable"));
}

#[test]
fn no_type_shows_a_token() {
    let key = SasKey::new("name", CANARY).expect("a key");
    let token = key.sign("amqps://h/hub", Timestamp::from_millis(1));
    let signature = token.secret().expose().split("sig=").nth(1).expect("it is in there");
    assert!(!format!("{token:?}").contains(&signature[..20]));

    let text = format!("SharedAccessSignature sr=a&sig={CANARY}&se=100&skn=c");
    let signature = SasSignature::parse(&text).expect("whole");
    silent(&signature);
    silent(Credential::Signature(signature));
    let text = format!("Endpoint=sb://h;SharedAccessSignature={text}");
    silent(ConnectionString::parse(&text).expect("whole"));
}

#[test]
fn no_error_shows_what_it_is_about() {
    let texts = [
        CANARY.to_owned(),
        format!("{CANARY};{CANARY}"),
        format!("Endpoint={CANARY}"),
        format!("Endpoint=sb://{CANARY}/x"),
        format!("Endpoint=sb://h:{CANARY}"),
        format!("Endpoint=sb://h;SharedAccessKey={CANARY}"),
        format!("Endpoint=sb://h;SharedAccessKey={CANARY};SharedAccessKey={CANARY}"),
        format!("Endpoint=sb://h;SharedAccessKeyName={CANARY}\u{7};SharedAccessKey={CANARY}"),
        format!("Endpoint=sb://h;SharedAccessSignature={CANARY}"),
        format!("Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath={CANARY}/"),
        format!(
            "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator={CANARY}"
        ),
    ];
    for text in &texts {
        silent_error(&ConnectionString::parse(text).expect_err("refused"));
    }
    silent_error(&SasSignature::parse(CANARY).expect_err("refused"));
    silent_error(&SasKey::new("", CANARY).expect_err("refused"));
    silent_error(&CANARY.parse::<eventhubs_auth::Cloud>().expect_err("refused"));
}

/// Gives the canary as a token once, then fails.
#[derive(Debug, Default)]
struct Once(Mutex<bool>);

#[async_trait]
impl TokenProvider for Once {
    async fn token(&self, _audience: &str) -> Result<Token, Error> {
        let mut given = self.0.lock().expect("no panic");
        if std::mem::replace(&mut *given, true) {
            return Err(Error::provider(std::io::Error::other("no more")));
        }
        let expires = Timestamp::from_millis(4_102_444_800_000);
        Ok(Token::new(CANARY.into(), eventhubs_auth::TokenKind::Jwt, expires))
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_line_shows_a_token() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let cache = TokenCache::new(Arc::new(Once::default()));
    let token = cache.token("amqps://h/hub").await.expect("the first");
    cache.invalidate("amqps://h/hub", &token);
    assert!(cache.token("amqps://h/hub").await.is_err());
    drop(guard);
    let logged = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert!(logged.contains("amqps://h/hub"), "something was logged: {logged}");
    assert!(!logged.to_ascii_lowercase().contains("canary"), "{logged}");
}
