//! Tokens of Entra ID, from any credential of the Azure SDK. Behind the feature `entra`.

use crate::error::Error;
use crate::secret::Secret;
use crate::token::{Token, TokenKind, TokenProvider};
use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential};
use eventhubs_protocol::{Timestamp, names};
use std::fmt::{self, Write};
use std::sync::Arc;

/// Characters of a failure's text that are kept.
pub const MAX_TEXT: usize = 1024;
/// Characters of a credential's name that are kept.
const MAX_NAME: usize = 64;
/// Causes of a failure that are looked at.
const MAX_CAUSES: usize = 16;
/// How every JSON web token begins: `{"` in base64.
const JWT_BEGIN: &str = "eyJ";
/// Answers of an identity service that no repetition changes: a request it cannot read, a secret,
/// certificate or tenant it does not know, an identity that may not.
const REFUSALS: [u16; 3] = [400, 401, 403];

/// Asks a `TokenCredential` of the Azure SDK for tokens; they are sent as JSON web tokens.
///
/// `azure_identity` has credentials for client secrets, certificates and assertions, managed and
/// workload identities and developer tools. A credential of one's own serves as well.
///
/// # Scope
///
/// The scope asked for is the same for all audiences and, by the service's documentation, in all
/// clouds: `https://eventhubs.azure.net/.default`. What differs between clouds is where the
/// credential gets its tokens, which is the credential's option. For a service that wants another
/// scope there is [`with_scope`](Self::with_scope).
///
/// # Failures
///
/// A failure names the credential and says why, as [`CredentialError`]. One that an identity service
/// answered with status 400, 401 or 403 is not retryable: a secret is wrong or has ended, an
/// application or tenant is not known. Every other failure is: a command that is not there or not
/// logged in cannot be told from one that was slow, and a few tries too many cost less than an outage
/// that nobody retried. [`TokenCache`](crate::TokenCache) spaces the tries, whatever the failure.
///
/// # Renewal
///
/// Credentials of `azure_identity` keep a token until 5 minutes before its end and give it again
/// until then. A renewal that comes earlier puts that token again, which changes nothing, and the
/// next one comes in time. For the same reason a token that the service refused may come back.
///
/// # Examples
///
/// ```
/// use eventhubs_auth::{EntraTokenProvider, TokenCache};
/// use azure_core::credentials::TokenCredential;
/// use std::sync::Arc;
///
/// fn tokens(credential: Arc<dyn TokenCredential>) -> TokenCache {
///     TokenCache::new(Arc::new(EntraTokenProvider::new(credential)))
/// }
/// ```
#[derive(Clone)]
pub struct EntraTokenProvider {
    credential: Arc<dyn TokenCredential>,
    name: Arc<str>,
    scope: Arc<str>,
}

impl EntraTokenProvider {
    /// Asks this credential. Its type's name, with which its `Debug` begins, is how failures and
    /// `Debug` call it; nothing else of its `Debug` is kept.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        let name = name_of(&*credential).into();
        Self { credential, name, scope: names::ENTRA_SCOPE.into() }
    }

    /// Asks for another scope than `https://eventhubs.azure.net/.default`.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.scope = scope.into();
        self
    }

    /// The scope that is asked for.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    fn token_of(&self, given: &AccessToken) -> Result<Token, Error> {
        let text = given.token.secret();
        if text.is_empty() {
            let text = "it gave an empty token".to_owned();
            let credential = Arc::clone(&self.name);
            return Err(Error::provider(CredentialError { credential, status: None, text }));
        }
        let millis = given.expires_on.unix_timestamp_nanos().div_euclid(1_000_000);
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        Ok(Token::new(Secret::from(text), TokenKind::Jwt, Timestamp::from_millis(millis)))
    }

    fn failure(&self, error: &azure_core::Error) -> Error {
        let status = status_of(error);
        let credential = Arc::clone(&self.name);
        let failure = CredentialError { credential, status, text: shown(&error.to_string()) };
        match status.is_some_and(|status| REFUSALS.contains(&status)) {
            true => Error::provider_refused(failure),
            false => Error::provider(failure),
        }
    }
}

impl fmt::Debug for EntraTokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraTokenProvider")
            .field("credential", &format_args!("{}", self.name))
            .field("scope", &self.scope)
            .finish()
    }
}

#[async_trait]
impl TokenProvider for EntraTokenProvider {
    async fn token(&self, _audience: &str) -> Result<Token, Error> {
        match self.credential.get_token(&[&*self.scope], None).await {
            Ok(given) => self.token_of(&given),
            Err(error) => Err(self.failure(&error)),
        }
    }
}

/// A credential gave no token.
///
/// Holds what the credential said, on one line and at most [`MAX_TEXT`] characters of it, without
/// anything that looks like a token. The credential's own error is not kept: it may hold the raw
/// answer of an identity service.
#[derive(Debug, Clone)]
pub struct CredentialError {
    credential: Arc<str>,
    status: Option<u16>,
    text: String,
}

impl CredentialError {
    /// Name of the credential's type, or `a credential` when it does not tell.
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// HTTP status of the identity service's answer, if that was what failed.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most credentials begin with their name.
        if !self.text.starts_with(&*self.credential) {
            write!(f, "{}: ", self.credential)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for CredentialError {}

/// The status of the first answer among an error and its causes.
fn status_of(error: &azure_core::Error) -> Option<u16> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    for _ in 0..MAX_CAUSES {
        let cause = next?;
        let status = cause.downcast_ref::<azure_core::Error>().and_then(|one| one.http_status());
        if let Some(status) = status {
            return Some(status.into());
        }
        next = cause.source();
    }
    None
}

/// A text on one line, of bounded length, without tokens.
fn shown(text: &str) -> String {
    let mut kept = String::new();
    for word in text.split_whitespace() {
        let space = if kept.is_empty() { "" } else { " " };
        kept.push_str(space);
        push_without_tokens(&mut kept, word);
    }
    match kept.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", &kept[..end]),
        None => kept,
    }
}

fn push_without_tokens(kept: &mut String, word: &str) {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "-_.=+/~%".contains(c);
    let mut rest = word;
    while let Some(begin) = rest.find(JWT_BEGIN) {
        let (before, token) = rest.split_at(begin);
        let end = token.find(|c| !is_inner(c)).unwrap_or(token.len());
        kept.push_str(before);
        kept.push_str("***");
        rest = &token[end..];
    }
    kept.push_str(rest);
}

/// The name that a credential's `Debug` begins with, as that of every derived one does.
fn name_of(credential: &dyn TokenCredential) -> String {
    let mut head = Head::default();
    // What cannot be shown in full still has a head.
    let _ = write!(head, "{credential:?}");
    match head.name.starts_with(|c: char| c.is_ascii_uppercase()) {
        true => head.name,
        false => "a credential".to_owned(),
    }
}

/// Keeps the identifier that a text begins with and lets the rest go by.
#[derive(Default)]
struct Head {
    name: String,
    is_over: bool,
}

impl fmt::Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.is_over |= !(c.is_ascii_alphanumeric() || c == '_') || self.name.len() == MAX_NAME;
            if self.is_over {
                break;
            }
            self.name.push(c);
        }
        Ok(())
    }
}
