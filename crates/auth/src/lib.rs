//! Who may use an event hub.
//!
//! * [`ConnectionString`]: where a namespace is and what opens it.
//! * [`SasKey`], [`SasTokenProvider`], [`SasSignature`]: shared access signatures.
//! * [`TokenProvider`]: anything that makes tokens. [`TokenCache`] stands before it.
//! * `EntraTokenProvider`, with the feature `entra`: tokens of Entra ID from any `TokenCredential` of the
//!   Azure SDK. Without the feature no crate of that SDK is built.
//! * [`ClockSkew`]: whether a refusal means that this machine's clock is wrong.
//! * [`Cloud`], [`Environment`]: host names, and configuration by environment variables.
//!
//! No type of this crate shows a secret in `Debug`, `Display` or a log line; errors name the field,
//! never its value.
//!
//! # Example
//!
//! ```
//! use eventhubs_auth::{ConnectionString, TokenCache};
//! use eventhubs_protocol::address;
//!
//! # async fn token() -> Result<(), eventhubs_auth::Error> {
//! let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=listen;\
//!     SharedAccessKey=c2VjcmV0;EntityPath=telemetry";
//! let parsed = ConnectionString::parse(text)?;
//! let tokens = TokenCache::new(parsed.credential().token_provider());
//! if let Some(hub) = parsed.hub() {
//!     let token = tokens.token(&address::audience(parsed.host(), hub)).await?;
//!     assert!(token.is_renewable());
//! }
//! # Ok(())
//! # }
//! ```

pub mod cache;
pub mod clock;
pub mod cloud;
pub mod connection_string;
#[cfg(feature = "entra")]
pub mod entra;
pub mod environment;
pub mod error;
pub mod renewal;
pub mod sas;
pub mod secret;
pub mod skew;
pub mod token;

pub use cache::TokenCache;
pub use clock::Clock;
pub use cloud::Cloud;
pub use connection_string::{ConnectionString, Credential};
#[cfg(feature = "entra")]
pub use entra::{CredentialError, EntraTokenProvider};
pub use environment::Environment;
pub use error::{Error, Field, Problem, ProviderError};
pub use sas::{SasKey, SasSignature, SasTokenProvider};
pub use secret::Secret;
pub use skew::ClockSkew;
pub use token::{Token, TokenKind, TokenProvider};
