//! Tokens, and who makes them.

use crate::error::Error;
use crate::secret::Secret;
use async_trait::async_trait;
use eventhubs_protocol::Timestamp;
use eventhubs_protocol::cbs;
use std::fmt;

/// Proof of access to one audience until a moment.
#[derive(Debug, Clone)]
pub struct Token {
    secret: Secret,
    kind: TokenKind,
    expires: Timestamp,
    renewable: bool,
}

/// How the service has to read a token.
pub use cbs::TokenKind;

impl Token {
    /// A token whose provider can make another one.
    #[must_use]
    pub const fn new(secret: Secret, kind: TokenKind, expires: Timestamp) -> Self {
        Self { secret, kind, expires, renewable: true }
    }

    /// The same token, from a provider that has no other.
    #[must_use]
    pub const fn not_renewable(mut self) -> Self {
        self.renewable = false;
        self
    }

    /// The token's text.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// How the service has to read it.
    #[must_use]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// When it ends.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether its provider can make another one.
    #[must_use]
    pub const fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// Whether this is that very token, or a clone of it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.secret.is(&other.secret)
    }
}

/// Makes tokens.
///
/// [`TokenCache`](crate::TokenCache) stands before every provider: it asks for one token per
/// audience at a time, early enough, and gives up after its time-out by dropping the future. So a
/// provider needs no cache, no lock and no retry of its own, and must bear being dropped.
///
/// # Examples
///
/// ```
/// use async_trait::async_trait;
/// use eventhubs_auth::{Error, Token, TokenKind, TokenProvider};
/// use eventhubs_protocol::Timestamp;
///
/// #[derive(Debug)]
/// struct FromVault;
///
/// #[async_trait]
/// impl TokenProvider for FromVault {
///     async fn token(&self, _audience: &str) -> Result<Token, Error> {
///         let expires = Timestamp::from_millis(4_102_444_800_000);
///         Ok(Token::new("from the vault".into(), TokenKind::Jwt, expires))
///     }
/// }
/// ```
#[async_trait]
pub trait TokenProvider: fmt::Debug + Send + Sync {
    /// A token for an audience, for example `amqps://ns.servicebus.windows.net/hub`.
    ///
    /// # Errors
    ///
    /// [`Error::provider`] wraps what went wrong; the message must hold no secret.
    async fn token(&self, audience: &str) -> Result<Token, Error>;
}
