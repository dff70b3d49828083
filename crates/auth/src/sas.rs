//! Shared access signatures.
//!
//! A signature is made of a key, a resource and an end:
//!
//! ```text
//! SharedAccessSignature sr={A}&sig={S}&se={E}&skn={K}
//! ```
//!
//! `A` is the form-encoded resource in lower case, `E` the end in seconds since 1970, `S` the
//! form-encoded base64 of HMAC-SHA256 over `A`, a line feed and `E`, and `K` the name of the key.
//! The key's own text is what signs; it is not base64-decoded first.

use crate::clock::Clock;
use crate::error::{Error, Field, Problem};
use crate::secret::Secret;
use crate::token::{Token, TokenKind, TokenProvider};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventhubs_protocol::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a signature lasts unless told otherwise: one hour.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// The shortest lifetime a [`SasTokenProvider`] takes: one second. Below some 20 minutes a clock
/// that is wrong by minutes makes the service refuse fresh tokens.
pub const MIN_LIFETIME: Duration = Duration::from_secs(1);
/// The longest lifetime a [`SasTokenProvider`] takes: 365 days.
pub const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longest name of a key, in bytes.
pub const MAX_KEY_NAME: usize = 256;

const PREFIX: &str = "SharedAccessSignature";
/// What form encoding leaves alone, besides letters and digits. A blank becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A shared access key and its name.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::SasKey;
/// use eventhubs_protocol::Timestamp;
///
/// let key = SasKey::new("foo", "superSecret")?;
/// let token = key.sign("http://microsoft.com", Timestamp::from_millis(1_500_000_000_000));
/// assert!(token.secret().expose().starts_with("SharedAccessSignature sr=http%3a%2f%2f"));
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SasKey {
    name: String,
    key: Secret,
}

impl SasKey {
    /// Takes a key and its name.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when either is empty, or the name is longer than [`MAX_KEY_NAME`] or holds a
    /// control character.
    pub fn new(name: &str, key: &str) -> Result<Self, Error> {
        let refuse = |field, problem| Err(Error::Key { field, problem });
        if name.is_empty() {
            return refuse(Field::SharedAccessKeyName, Problem::Empty);
        }
        if name.len() > MAX_KEY_NAME {
            return refuse(Field::SharedAccessKeyName, Problem::TooLong { limit: MAX_KEY_NAME });
        }
        if name.chars().any(char::is_control) {
            return refuse(Field::SharedAccessKeyName, Problem::Character);
        }
        if key.is_empty() {
            return refuse(Field::SharedAccessKey, Problem::Empty);
        }
        Ok(Self { name: name.to_owned(), key: Secret::from(key) })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Signs a token for an audience that lasts until `expires`, rounded down to the second.
    #[must_use]
    pub fn sign(&self, audience: &str, expires: Timestamp) -> Token {
        let seconds = expires.as_millis().div_euclid(1000);
        let mut resource = form_encode(audience);
        resource.make_ascii_lowercase();
        let end = seconds.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(resource.as_bytes());
        mac.update(b"\n");
        mac.update(end.as_bytes());
        let base64 = Zeroizing::new(STANDARD.encode(mac.finalize().into_bytes()));
        let signature = Zeroizing::new(form_encode(&base64));
        let name = form_encode(&self.name);
        let parts = [PREFIX, " sr=", &resource, "&sig=", &signature, "&se=", &end, "&skn=", &name];
        // Reserved in full first: a string that grows would leave a copy behind.
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
        text.extend(parts);
        Token::new(text.into(), TokenKind::Sas, Timestamp::from_millis(seconds * 1000))
    }
}

/// Signs a fresh token whenever one is asked for. Never waits.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::{SasKey, SasTokenProvider};
/// use std::time::Duration;
///
/// let provider = SasTokenProvider::new(SasKey::new("listen", "c2VjcmV0")?)
///     .with_lifetime(Duration::from_secs(30 * 60));
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SasTokenProvider {
    key: SasKey,
    lifetime: Duration,
    clock: Clock,
}

impl SasTokenProvider {
    /// A provider whose tokens last for [`DEFAULT_LIFETIME`].
    #[must_use]
    pub fn new(key: SasKey) -> Self {
        Self { key, lifetime: DEFAULT_LIFETIME, clock: Clock::system() }
    }

    /// Changes how long tokens last; brought into [`MIN_LIFETIME`] to [`MAX_LIFETIME`].
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.clamp(MIN_LIFETIME, MAX_LIFETIME);
        self
    }

    /// Reads another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long tokens last.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

#[async_trait]
impl TokenProvider for SasTokenProvider {
    async fn token(&self, audience: &str) -> Result<Token, Error> {
        Ok(self.key.sign(audience, self.clock.now().saturating_add(self.lifetime)))
    }
}

/// A token somebody else signed.
///
/// It cannot be renewed: once it ended, [`Error::Expired`] says when.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::SasSignature;
/// use eventhubs_protocol::Timestamp;
///
/// let text = "SharedAccessSignature sr=amqps%3a%2f%2fns%2fhub&sig=AAAA&se=1700000000&skn=listen";
/// let signature = SasSignature::parse(text)?;
/// assert_eq!(signature.expires(), Timestamp::from_millis(1_700_000_000_000));
/// # Ok::<(), eventhubs_auth::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SasSignature {
    token: Token,
    clock: Clock,
}

impl SasSignature {
    /// Longest signature, in bytes.
    pub const MAX_LEN: usize = 16 * 1024;

    /// Takes a signature as it stands, and reads its end.
    ///
    /// # Errors
    ///
    /// [`Error::Signature`] when the text is not of the form at the head of [this module](self).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Err(Error::Signature { problem });
        if text.is_empty() {
            return refuse(Problem::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return refuse(Problem::TooLong { limit: Self::MAX_LEN });
        }
        if text.chars().any(char::is_control) {
            return refuse(Problem::Character);
        }
        let Some(end) = end_of(text) else {
            return refuse(Problem::NotASignature);
        };
        let token = Token::new(text.into(), TokenKind::Sas, end).not_renewable();
        Ok(Self { token, clock: Clock::system() })
    }

    /// Reads another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// When the signature ends.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.token.expires()
    }
}

#[async_trait]
impl TokenProvider for SasSignature {
    async fn token(&self, _audience: &str) -> Result<Token, Error> {
        if self.token.expires() <= self.clock.now() {
            return Err(Error::Expired { at: self.token.expires() });
        }
        Ok(self.token.clone())
    }
}

/// The end of a signature, when all of its parts are there.
fn end_of(text: &str) -> Option<Timestamp> {
    let (prefix, fields) = text.split_once(' ')?;
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let value = |name: &str| {
        let mut pairs = fields.trim().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
    };
    (value("sr").is_some() && value("sig").is_some() && value("skn").is_some()).then_some(())?;
    let seconds = value("se")?;
    if !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = seconds.parse::<i64>().ok()?.checked_mul(1000)?;
    Some(Timestamp::from_millis(millis))
}

/// `application/x-www-form-urlencoded`, as the service's own libraries do it.
fn form_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            encoded.push('+');
        }
        encoded.extend(utf8_percent_encode(word, FORM));
    }
    encoded
}
