//! Which certificate listeners with TLS show, and whom they trust.

use std::fmt;
use std::io;
use std::path::Path;

use crate::config::Config;

/// A certificate chain and its private key, in PEM. Its `Debug` form shows neither.
///
/// ```
/// use eventhubs_emulator::Identity;
///
/// let identity = Identity::from_pem("-----BEGIN CERTIFICATE-----...", "-----BEGIN PRIVATE KEY-----...");
/// assert!(!format!("{identity:?}").contains("BEGIN"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) chain_pem: Vec<u8>,
    pub(crate) key_pem: Vec<u8>,
}

impl Identity {
    /// The chain, leaf first, and the key in PKCS#8, PKCS#1 or SEC1. Looked at when the emulator
    /// starts.
    pub fn from_pem(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { chain_pem: chain.into(), key_pem: key.into() }
    }

    /// The same from two files, read at once.
    ///
    /// # Errors
    /// When a file cannot be read; the error names it.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { chain_pem: read(chain.as_ref())?, key_pem: read(key.as_ref())? })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// What is wrong with TLS on purpose.
///
/// ```
/// use eventhubs_emulator::{Config, TlsFault};
///
/// let config = Config::default()
///     .with_tls("127.0.0.1:0".parse()?)
///     .with_tls_fault(TlsFault::Expired);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate's time is over.
    Expired,
    /// The certificate is for another name.
    OtherName,
    /// The certificate was signed by an authority that nobody knows.
    UnknownAuthority,
    /// Connections are accepted and the client's first message is never answered.
    Stall,
}

/// TLS of all listeners that have it.
///
/// Without [`identity`](Self::identity) a certificate authority is made at every start, and a
/// certificate for `localhost`, `127.0.0.1` and `::1` that it signs; clients trust
/// [`Emulator::ca_pem`](crate::Emulator::ca_pem).
///
/// ```
/// use eventhubs_emulator::{Config, TlsConfig};
///
/// let tls = TlsConfig { names: vec!["hub.test".to_owned()], ..TlsConfig::default() };
/// let config = Config::default().with_tls("127.0.0.1:0".parse()?).with_tls_config(tls);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate to show instead of one made at start.
    pub identity: Option<Identity>,
    /// Names and addresses that the certificate made at start carries besides its three.
    pub names: Vec<String>,
    /// Certificates of authorities, in PEM. Clients are asked for a certificate and need not show
    /// one; one that is shown must be signed by these, and then SASL EXTERNAL proves its owner.
    /// Without it clients are not asked.
    pub client_ca_pem: Option<Vec<u8>>,
    /// What is wrong from the start; can be changed with
    /// [`Emulator::set_tls_fault`](crate::Emulator::set_tls_fault).
    pub fault: Option<TlsFault>,
}

impl Config {
    /// Replaces the options of TLS.
    #[must_use]
    pub fn with_tls_config(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the certificate to show instead of one made at start.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.tls.identity = Some(identity);
        self
    }

    /// Sets what is wrong with TLS on purpose, from the start.
    #[must_use]
    pub fn with_tls_fault(mut self, fault: TlsFault) -> Self {
        self.tls.fault = Some(fault);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_read_are_named_and_keys_are_not_shown() {
        let error = Identity::from_files("no-such-chain.pem", "no-such-key.pem").unwrap_err();
        assert!(error.to_string().contains("no-such-chain.pem"), "{error}");
        let config = Config::default().with_identity(Identity::from_pem("chain", "hidden"));
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden") && !shown.contains(&format!("{:?}", b"hidden")));
    }
}
