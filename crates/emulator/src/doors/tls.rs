//! TLS of accepted connections, by rustls. The provider is always named, so that other crates in
//! the same program cannot make the choice ambiguous.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventhubs_amqp::net::Stream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::{Authority, Leaf, Validity};
use super::tls_config::{Identity, TlsConfig, TlsFault};

/// Common name of the authority that clients are given.
const AUTHORITY: &str = "eventhubs-emulator authority";
/// Common name of the authority that nobody is given. It differs, so that clients look for it
/// and do not find it; under the same name they would complain of a bad signature.
const UNKNOWN_AUTHORITY: &str = "eventhubs-emulator unknown authority";
/// What a certificate for another name is for.
const OTHER_NAME: &str = "another-name.invalid";

/// Why certificates cannot be served. Names what was given, never its content.
pub(crate) type Reason = String;

/// What the TLS listeners of one emulator have in common.
#[derive(Debug)]
pub(crate) struct Tls {
    certificates: Certificates,
    current: Mutex<Mode>,
}

/// What becomes of a client's first message.
#[derive(Debug, Clone)]
enum Mode {
    Serve(Arc<ServerConfig>),
    Stall,
}

impl Tls {
    /// Reads or makes certificates. `now` counts from 1970.
    pub(crate) fn new(config: &TlsConfig, now: Duration) -> Result<Self, Reason> {
        let certificates = Certificates::new(config, now)?;
        // Without the fault first, so that a given certificate is looked at in any case.
        let mut mode = certificates.mode(None)?;
        if config.fault.is_some() {
            mode = certificates.mode(config.fault)?;
        }
        Ok(Self { certificates, current: Mutex::new(mode) })
    }

    /// Changes what connections accepted from now on see.
    pub(crate) fn set_fault(&self, fault: Option<TlsFault>) -> Result<(), Reason> {
        let mode = self.certificates.mode(fault)?;
        *self.current() = mode;
        Ok(())
    }

    /// The certificate of the authority made at start.
    pub(crate) fn ca_pem(&self) -> Option<String> {
        self.certificates.authority.as_ref().map(Authority::pem)
    }

    /// Does the server's part of the handshake, by `deadline`. One that is to stall lasts until
    /// the client gives up.
    ///
    /// Cancel safety: dropping the future drops the stream.
    pub(crate) async fn accept<S: Stream>(
        &self,
        mut stream: S,
        deadline: Instant,
    ) -> io::Result<Secured<S>> {
        let mode = self.current().clone();
        match mode {
            Mode::Serve(config) => {
                let handshake = TlsAcceptor::from(config).accept(stream);
                let stream = timeout_at(deadline, handshake).await??;
                // One that was not signed as it has to be has failed the handshake.
                let certified = stream.get_ref().1.peer_certificates().is_some();
                Ok(Secured { stream, certified })
            }
            Mode::Stall => {
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Mode> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where certificates come from.
struct Certificates {
    config: TlsConfig,
    /// None when the certificate was given.
    authority: Option<Authority>,
    /// Since 1970, when the emulator started.
    started: Duration,
}

impl Certificates {
    fn new(config: &TlsConfig, started: Duration) -> Result<Self, Reason> {
        let authority = match &config.identity {
            Some(_) => None,
            None => Some(made(Authority::new(AUTHORITY, started))?),
        };
        Ok(Self { config: config.clone(), authority, started })
    }

    fn mode(&self, fault: Option<TlsFault>) -> Result<Mode, Reason> {
        match fault {
            Some(TlsFault::Stall) => Ok(Mode::Stall),
            fault => Ok(Mode::Serve(Arc::new(self.server(self.leaf(fault)?)?))),
        }
    }

    fn leaf(&self, fault: Option<TlsFault>) -> Result<Leaf, Reason> {
        let Some(authority) = &self.authority else {
            return match (&self.config.identity, fault) {
                (Some(identity), None) => read(identity),
                _ => {
                    Err("a certificate that was given cannot be made wrong: give a wrong one"
                        .into())
                }
            };
        };
        let names = &self.config.names;
        made(match fault {
            Some(TlsFault::Expired) => authority.own_leaf(names, Validity::Over),
            Some(TlsFault::OtherName) => authority.leaf(&[OTHER_NAME.to_owned()], Validity::Now),
            Some(TlsFault::UnknownAuthority) => Authority::new(UNKNOWN_AUTHORITY, self.started)
                .and_then(|unknown| unknown.own_leaf(names, Validity::Now)),
            Some(TlsFault::Stall) | None => authority.own_leaf(names, Validity::Now),
        })
    }

    fn server(&self, leaf: Leaf) -> Result<ServerConfig, Reason> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.config.client_ca_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(roots(pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| format!("the clients' authority: {error}"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        builder
            .with_single_cert(leaf.chain, leaf.key)
            .map_err(|error| format!("the certificate and key cannot be used: {error}"))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A stream inside TLS.
#[derive(Debug)]
pub(crate) struct Secured<S> {
    pub(crate) stream: TlsStream<S>,
    /// Whether the client has shown a certificate of the clients' authority.
    pub(crate) certified: bool,
}

fn made<T>(result: Result<T, rcgen::Error>) -> Result<T, Reason> {
    result.map_err(|error| format!("no certificate could be made: {error}"))
}

fn read(identity: &Identity) -> Result<Leaf, Reason> {
    let chain = certificates("the certificate", &identity.chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem)
        .map_err(|_| "the private key is not PEM of PKCS#8, PKCS#1 or SEC1".to_owned())?;
    Ok(Leaf { chain, key })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Reason> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the clients' authority", pem)? {
        roots.add(certificate).map_err(|error| format!("the clients' authority: {error}"))?;
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{what}: there is no certificate in the PEM")),
        // The reader's error may quote a line; none of what was given is repeated.
        Err(_) => Err(format!("{what} is not PEM")),
    }
}

#[cfg(test)]
mod tests;
