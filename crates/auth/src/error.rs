//! What can go wrong before, and while, a token is made.

use eventhubs_protocol::{InvalidValue, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Error of this crate. Names fields, variables and resources; never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A connection string cannot be used.
    #[error("connection string: {field} {problem}")]
    ConnectionString {
        /// The part that is wrong.
        field: Field,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An environment variable is missing or cannot be used.
    #[error("environment variable {variable} {problem}")]
    Environment {
        /// Name of the variable.
        variable: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The value of an environment variable cannot be used.
    #[error("environment variable {variable}: {source}")]
    Variable {
        /// Name of the variable.
        variable: &'static str,
        /// What is wrong with its value.
        source: Box<Self>,
    },
    /// A shared access signature cannot be used.
    #[error("shared access signature {problem}")]
    Signature {
        /// What is wrong with it.
        problem: Problem,
    },
    /// A shared access key cannot be used.
    #[error("shared access key: {field} {problem}")]
    Key {
        /// The part that is wrong.
        field: Field,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A cloud's name is not known.
    #[error("unknown cloud; known are {}", crate::cloud::KNOWN_NAMES)]
    UnknownCloud,
    /// The token ended and the provider has no other: supply a new signature, or a key.
    #[error("the token ended at {at} and cannot be renewed; supply a new one")]
    Expired {
        /// When it ended.
        at: Timestamp,
    },
    /// The provider gave a token that had ended already; the clock may be wrong.
    #[error("the token provider gave a token that ended at {at}; check this machine's clock")]
    ExpiredOnArrival {
        /// When it ended.
        at: Timestamp,
    },
    /// The provider did not answer in time.
    #[error("the token provider gave no token within {within:?}")]
    TimedOut {
        /// How long was waited.
        within: Duration,
    },
    /// The provider failed.
    #[error("the token provider failed")]
    Provider(#[source] ProviderError),
}

impl Error {
    /// Wraps the failure of a [`TokenProvider`](crate::TokenProvider) written elsewhere.
    ///
    /// The failure is shown where this error's chain is shown, so it must hold no secret.
    #[must_use]
    pub fn provider(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Provider(ProviderError(Arc::new(source)))
    }

    /// Whether the same call may succeed later without any change by the caller.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Provider(_))
    }
}

/// Failure of a token provider, shared by everybody who waited for the token.
#[derive(Clone)]
pub struct ProviderError(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for ProviderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Part of a connection string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Field {
    /// The connection string as a whole.
    #[error("as a whole")]
    Whole,
    /// `Endpoint`
    #[error("Endpoint")]
    Endpoint,
    /// `EntityPath`
    #[error("EntityPath")]
    EntityPath,
    /// `SharedAccessKeyName`
    #[error("SharedAccessKeyName")]
    SharedAccessKeyName,
    /// `SharedAccessKey`
    #[error("SharedAccessKey")]
    SharedAccessKey,
    /// `SharedAccessSignature`
    #[error("SharedAccessSignature")]
    SharedAccessSignature,
    /// `UseDevelopmentEmulator`
    #[error("UseDevelopmentEmulator")]
    UseDevelopmentEmulator,
    /// `TransportType`
    #[error("TransportType")]
    TransportType,
}

/// What is wrong with a value. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is there without a value.
    #[error("is empty")]
    Empty,
    /// It is there twice.
    #[error("is given twice")]
    Duplicate,
    /// It is longer than allowed.
    #[error("is longer than {limit} bytes")]
    TooLong {
        /// The longest that is allowed, in bytes.
        limit: usize,
    },
    /// A part is not `key=value`.
    #[error("has a part that is not key=value (part {part}, counted from 1)")]
    NotAPair {
        /// Which part, counted from 1.
        part: usize,
    },
    /// It holds a character that is not allowed.
    #[error("holds a character that is not allowed")]
    Character,
    /// It has another scheme than the ones allowed.
    #[error("must start with sb:// or amqps:// (amqp:// only with UseDevelopmentEmulator=true)")]
    Scheme,
    /// It has more than a host and a port.
    #[error("must be scheme, host and optional port, nothing else")]
    NotAnAuthority,
    /// Its port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// It is neither `true` nor `false`.
    #[error("must be true or false")]
    NotABoolean,
    /// It stands together with something that excludes it.
    #[error("must not be given together with {other}")]
    Excludes {
        /// What excludes it.
        other: Field,
    },
    /// Plaintext was asked for to a host of a public cloud.
    #[error("names a host of the cloud, which the emulator's plaintext must never reach")]
    PlaintextToCloud,
    /// It has no `SharedAccessSignature` prefix or lacks `sr`, `sig`, `se` or `skn`.
    #[error("is not of the form 'SharedAccessSignature sr=..&sig=..&se=..&skn=..'")]
    NotASignature,
    /// It breaks a rule of the protocol.
    #[error("cannot be used: {0}")]
    Invalid(InvalidValue),
}
