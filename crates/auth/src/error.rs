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
    #[error("the token provider failed: {0}")]
    Provider(#[source] ProviderError),
    /// The provider panicked; the panic's message went where panics go.
    #[error("the token provider panicked")]
    Panicked,
    /// The token ended while there was no new one.
    #[error("the token ended at {at}, and there is no new one: {source}")]
    Lapsed {
        /// When it ended.
        at: Timestamp,
        /// Why there is no new one.
        source: Box<Self>,
    },
}

impl Error {
    /// Wraps the failure of a [`TokenProvider`](crate::TokenProvider) written elsewhere.
    ///
    /// The failure is shown where this error's chain is shown, so it must hold no secret.
    /// It counts as one that passes: [`is_retryable`](Self::is_retryable) is true.
    #[must_use]
    pub fn provider(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Provider(ProviderError { source: Arc::new(source), is_refusal: false })
    }

    /// Wraps a failure as [`provider`](Self::provider) does, for one that stays until somebody changes
    /// something: a wrong secret, an identity that is not known. It is not retryable, so that callers
    /// hear of it at once.
    #[must_use]
    pub fn provider_refused(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Provider(ProviderError { source: Arc::new(source), is_refusal: true })
    }

    /// Whether the same call may succeed later without any change by the caller.
    ///
    /// True for a provider that was too slow or that failed, unless it says that it
    /// [refuses](Self::provider_refused). False for one that panicked, because that is a bug, for a
    /// token that had ended when it came, because that is a clock, and for everything that is wrong
    /// with the configuration. [`TokenCache`](crate::TokenCache) asks the provider again all the same
    /// when it is asked later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Provider(error) => !error.is_refusal,
            Self::Lapsed { source, .. } => source.is_retryable(),
            _ => false,
        }
    }
}

/// Failure of a token provider, shared by everybody who waited for the token.
#[derive(Clone)]
pub struct ProviderError {
    source: Arc<dyn std::error::Error + Send + Sync>,
    is_refusal: bool,
}

impl ProviderError {
    /// What the provider said, to be looked at as the type it is.
    #[must_use]
    pub fn inner(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.source
    }

    /// Whether it stays until somebody changes something; see [`Error::provider_refused`].
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.is_refusal
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl std::error::Error for ProviderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
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
