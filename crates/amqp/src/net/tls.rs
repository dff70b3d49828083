//! TLS by rustls. The provider is always named, so that other crates in the same program cannot
//! make the choice ambiguous.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::drive::Stream;
use super::endpoint::TlsOptions;
use super::error::ErrorKind;

/// The provider this crate was built with; aws-lc-rs when there are both.
fn provider() -> Result<CryptoProvider, String> {
    #[cfg(feature = "tls-aws-lc-rs")]
    return Ok(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc-rs")))]
    return Ok(rustls::crypto::ring::default_provider());
    #[cfg(not(any(feature = "tls-aws-lc-rs", feature = "tls-ring")))]
    return Err("built without a provider; enable `tls-aws-lc-rs` or `tls-ring`".to_owned());
}

fn config(options: &TlsOptions) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()?))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if options.roots_der.is_empty() {
        use rustls_platform_verifier::BuilderVerifierExt;
        builder.with_platform_verifier().map_err(|error| error.to_string())?
    } else {
        let mut roots = RootCertStore::empty();
        for root in &options.roots_der {
            roots
                .add(CertificateDer::from(root.clone()))
                .map_err(|error| format!("a root certificate cannot be used: {error}"))?;
        }
        builder.with_root_certificates(roots)
    };
    match &options.client_certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let chain = chain.iter().cloned().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::try_from(key.clone())
                .map_err(|error| format!("the private key cannot be used: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))
        }
    }
}

pub(crate) async fn connect<S: Stream>(
    stream: S,
    host: &str,
    options: &TlsOptions,
) -> Result<TlsStream<S>, ErrorKind> {
    let name = options.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        let text = "the host is not a name or address that a certificate can carry";
        ErrorKind::Tls(text.to_owned())
    })?;
    let connector = TlsConnector::from(Arc::new(config(options).map_err(ErrorKind::Tls)?));
    connector.connect(name, stream).await.map_err(|error| {
        // A peer that hangs up meanwhile has said nothing about trust.
        let refused = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let kind = if refused { ErrorKind::Tls } else { ErrorKind::Transport };
        kind(error.to_string())
    })
}
