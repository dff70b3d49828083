//! Where to dial and how the bytes are protected on the way.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::drive::Stream;
use super::error::{Error, ErrorKind, Operation};

/// A host and port, with or without TLS.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    tls: Option<TlsOptions>,
    connector: Option<Arc<dyn Connector>>,
}

/// What [`Connector::connect`] gives.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes the stream below TLS and AMQP, in place of TCP: a pipe in memory, a tunnel, a socket with
/// options of its own.
pub trait Connector: fmt::Debug + Send + Sync {
    /// A new stream to `host` and `port`. Dropped when it takes longer than the connect time-out.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}

/// TCP, with the runtime's name resolution.
#[derive(Debug)]
struct Tcp;

impl Connector for Tcp {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let tcp = TcpStream::connect((host, port)).await?;
            // Flows and dispositions are small and must not wait for the peer's delayed
            // acknowledgement.
            tcp.set_nodelay(true)?;
            Ok(Box::new(tcp) as Box<dyn Stream>)
        })
    }
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
        Self { host: host.into(), port, tls: None, connector: None }
    }

    /// An endpoint with TLS from the first byte, as on port 5671.
    pub fn tls(host: impl Into<String>, port: u16, options: TlsOptions) -> Self {
        Self { host: host.into(), port, tls: Some(options), connector: None }
    }

    /// The same, over another transport than TCP.
    #[must_use]
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
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

    /// Connects the transport. Both steps together take at most `timeout`.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<Box<dyn Stream>, Error> {
        match tokio::time::timeout(timeout, self.connect_steps()).await {
            Ok(result) => result,
            Err(_) => Err(self.error(Operation::Connect, ErrorKind::Timeout(timeout))),
        }
    }

    async fn connect_steps(&self) -> Result<Box<dyn Stream>, Error> {
        let connector: &dyn Connector = match &self.connector {
            Some(connector) => connector.as_ref(),
            None => &Tcp,
        };
        let stream = connector.connect(&self.host, self.port).await.map_err(|error| {
            self.error(Operation::Connect, ErrorKind::Transport(error.to_string()))
        })?;
        match &self.tls {
            None => Ok(stream),
            Some(options) => self.connect_tls(stream, options).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn connect_tls(
        &self,
        stream: Box<dyn Stream>,
        options: &TlsOptions,
    ) -> Result<Box<dyn Stream>, Error> {
        match super::tls::connect(stream, &self.host, options).await {
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
