//! Where to dial and how the bytes are protected on the way.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drive::Stream;
use super::error::{Error, ErrorKind, Operation};
use super::resolver::{Resolver, System};
use super::tcp::{self, TcpOptions};
use super::{addresses, clock};
use crate::engine::later;

/// A host and port, with or without TLS.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    tls: Option<TlsOptions>,
    connector: Option<Arc<dyn Connector>>,
    resolver: Option<Arc<dyn Resolver>>,
    tcp: TcpOptions,
}

/// What [`Connector::connect`] gives.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes the stream below TLS and AMQP, in place of TCP: a pipe in memory, a tunnel, a socket with
/// options of its own.
pub trait Connector: fmt::Debug + Send + Sync {
    /// A new stream to `host` and `port`. Dropped when it takes longer than the connect time-out.
    ///
    /// # Errors
    ///
    /// One of kind [`io::ErrorKind::NotFound`] says that the name does not exist.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}

/// Whom to trust and who to be. Certificates are always checked; there is no option to skip it.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Name the certificate has to carry, when it is not the host that is dialled.
    pub server_name: Option<String>,
    /// Root certificates in DER to trust instead of the platform's. Empty: the platform's.
    pub roots_der: Vec<Vec<u8>>,
    /// Certificate chain in DER, leaf first, and its private key in PKCS#8, PKCS#1 or SEC1 DER.
    pub client_certificate: Option<(Vec<Vec<u8>>, Vec<u8>)>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("own_roots", &self.roots_der.len())
            .field("client_certificate", &self.client_certificate.is_some())
            .finish()
    }
}

impl Endpoint {
    /// An endpoint without TLS.
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self::new(host.into(), port, None)
    }

    /// An endpoint with TLS from the first byte, as on port 5671.
    pub fn tls(host: impl Into<String>, port: u16, options: TlsOptions) -> Self {
        Self::new(host.into(), port, Some(options))
    }

    fn new(host: String, port: u16, tls: Option<TlsOptions>) -> Self {
        Self { host, port, tls, connector: None, resolver: None, tcp: TcpOptions::default() }
    }

    /// The same, over another transport than TCP.
    #[must_use]
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// The same, with another resolver than the runtime's. A [`Connector`] of one's own resolves by
    /// itself.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// The same, with other options of the socket.
    #[must_use]
    pub fn with_tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connects the transport. All steps together take at most `timeout`.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<Box<dyn Stream>, Error> {
        let by = later(clock::now(), timeout);
        let stream = match &self.connector {
            Some(connector) => self.connect_through(connector.as_ref(), by, timeout).await,
            None => self.connect_tcp(by, timeout).await,
        };
        let stream = stream.map_err(|kind| self.error(Operation::Connect, kind))?;
        let Some(options) = &self.tls else {
            return Ok(stream);
        };
        match within(by, self.connect_tls(stream, options)).await {
            Some(result) => result,
            None => Err(self.error(Operation::Tls, ErrorKind::Timeout(timeout))),
        }
    }

    async fn connect_through(
        &self,
        connector: &dyn Connector,
        by: Instant,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, ErrorKind> {
        match within(by, connector.connect(&self.host, self.port)).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(ErrorKind::NameNotFound(error.to_string()))
            }
            Some(Err(error)) => Err(ErrorKind::Transport(error.to_string())),
            None => Err(ErrorKind::Timeout(timeout)),
        }
    }

    async fn connect_tcp(
        &self,
        by: Instant,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, ErrorKind> {
        let addresses = match addresses::literal(&self.host) {
            Some(address) => vec![SocketAddr::new(address, self.port)],
            None => self.resolve(by, timeout).await?,
        };
        let tcp = tcp::connect(addresses, by, self.tcp).await?;
        Ok(Box::new(tcp))
    }

    /// Asks anew at every connect: where a name leads may change.
    async fn resolve(&self, by: Instant, timeout: Duration) -> Result<Vec<SocketAddr>, ErrorKind> {
        let resolver: &dyn Resolver = match &self.resolver {
            Some(resolver) => resolver.as_ref(),
            None => &System,
        };
        match within(by, resolver.resolve(&self.host, self.port)).await {
            Some(Ok(addresses)) if addresses.is_empty() => {
                Err(ErrorKind::NameNotFound("it has no address".to_owned()))
            }
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(ErrorKind::NameNotFound(error.to_string()))
            }
            Some(Err(error)) => Err(ErrorKind::Resolve(error.to_string())),
            None => Err(ErrorKind::Resolve(format!("no answer within {timeout:?}"))),
        }
    }

    #[cfg(feature = "tls")]
    async fn connect_tls(
        &self,
        stream: Box<dyn Stream>,
        options: &TlsOptions,
    ) -> Result<Box<dyn Stream>, Error> {
        match super::tls::connect(stream, addresses::bare(&self.host), options).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(kind) => Err(self.error(Operation::Tls, kind)),
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn connect_tls(
        &self,
        _: Box<dyn Stream>,
        _: &TlsOptions,
    ) -> Result<Box<dyn Stream>, Error> {
        let text = "built without TLS; enable feature `tls-aws-lc-rs` or `tls-ring`";
        Err(self.error(Operation::Tls, ErrorKind::Tls(text.to_owned())))
    }

    fn error(&self, operation: Operation, kind: ErrorKind) -> Error {
        Error::new(operation, format!("{}:{}", self.host, self.port), kind)
    }
}

/// The output of `future`, unless it takes longer than until `by`.
async fn within<F: Future>(by: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(by.into(), future).await.ok()
}
