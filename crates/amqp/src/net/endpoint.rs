//! Where to dial and how the bytes are protected on the way.

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

impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        Self {
            host: host.into(),
            port,
            tls: None,
        }
    }

    /// An endpoint with TLS from the first byte, as on port 5671.
    pub fn tls(host: impl Into<String>, port: u16, options: TlsOptions) -> Self {
        Self {
            host: host.into(),
            port,
            tls: Some(options),
        }
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
        let failed = |error: std::io::Error| {
            self.error(Operation::Connect, ErrorKind::Transport(error.to_string()))
        };
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(failed)?;
        // Flows and dispositions are small and must not wait for the peer's delayed acknowledgement.
        tcp.set_nodelay(true).map_err(failed)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some(options) => self.connect_tls(tcp, options).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn connect_tls(
        &self,
        tcp: TcpStream,
        options: &TlsOptions,
    ) -> Result<Box<dyn Stream>, Error> {
        let failed = |text: String| self.error(Operation::Tls, ErrorKind::Tls(text));
        let stream = super::tls::connect(tcp, &self.host, options)
            .await
            .map_err(failed)?;
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "tls"))]
    async fn connect_tls(&self, _: TcpStream, _: &TlsOptions) -> Result<Box<dyn Stream>, Error> {
        let text = "built without TLS; enable feature `tls-aws-lc-rs` or `tls-ring`";
        Err(self.error(Operation::Tls, ErrorKind::Tls(text.to_owned())))
    }

    fn error(&self, operation: Operation, kind: ErrorKind) -> Error {
        Error::new(operation, format!("{}:{}", self.host, self.port), kind)
    }
}
