//! The listening end of TLS, with a certificate of its own.

use std::future::Future;
use std::sync::Arc;

use eventhubs_client::{HubOptions, Stream, TlsOptions};
use eventhubs_emulator::Emulator;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::peer::Peer;
use super::wire::Wire;

/// The host that the certificate is for.
pub(crate) const HOST: &str = "ns.example";

/// What a certificate for `host` says.
pub(crate) fn certificate(host: &str) -> CertificateParams {
    CertificateParams::new([host.to_owned()]).expect("a name")
}

/// A peer behind TLS.
pub(crate) struct Guarded {
    pub(crate) wire: Arc<Wire>,
    certificate: Vec<u8>,
}

impl Guarded {
    pub(crate) fn new(peer: &Peer) -> Self {
        Self::presenting(peer, certificate(HOST))
    }

    /// The same with another certificate.
    pub(crate) fn presenting(peer: &Peer, certificate: CertificateParams) -> Self {
        let peer = peer.clone();
        Self::over(certificate, move |stream| {
            let peer = peer.clone();
            async move { peer.serve(stream).await }
        })
    }

    /// An emulator behind TLS, which it has not itself in these tests.
    pub(crate) fn emulating(emulator: &Arc<Emulator>) -> Self {
        let emulator = Arc::clone(emulator);
        Self::over(certificate(HOST), move |mut stream| {
            let mut far: Box<dyn Stream> = Box::new(emulator.connect_memory());
            async move {
                // However it ends, both ends have seen it.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
            }
        })
    }

    fn over<F>(
        certificate: CertificateParams,
        serve: impl Fn(TlsStream<DuplexStream>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let signing_key = KeyPair::generate().expect("there is randomness");
        let cert = certificate.self_signed(&signing_key).expect("it can be signed");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("they go together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let wire = Wire::new(move || {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(far).await {
                    serve(stream).await;
                }
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        });
        Self { wire, certificate: cert.der().to_vec() }
    }

    /// Options that reach it and trust it.
    pub(crate) fn options(&self) -> HubOptions {
        let roots_der = vec![self.certificate.clone()];
        let tls = TlsOptions { roots_der, ..TlsOptions::default() };
        HubOptions::default().with_connector(self.wire.connector()).with_tls(tls)
    }
}
