//! Certificates made on the spot.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Names that every certificate made here carries.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Bytes of a line in PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks of clients may be this much behind.
const BACKDATED: Duration = DAY;
/// How long an authority lives.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long a certificate lives: some platforms refuse more than 825 days.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(800 * 24 * 60 * 60);

/// When a certificate is valid, as seen from when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Now,
    /// Its time was over long before.
    Over,
}

/// A chain and its key, in DER. No `Debug`: the key is never shown.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A certificate authority with a key of its own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Since 1970, when it was made.
    made: Duration,
}

impl Authority {
    /// An authority called `name`; `now` counts from 1970.
    pub(crate) fn new(name: &str, now: Duration) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = called(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Python's strict mode wants to see these.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        between(&mut params, now.saturating_sub(BACKDATED), now + AUTHORITY_LIFE);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?, made: now })
    }

    /// A server's certificate for `names` alone.
    pub(crate) fn leaf(&self, names: &[String], validity: Validity) -> Result<Leaf, Error> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = called("eventhubs-emulator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let from = self.made.saturating_sub(BACKDATED);
        match validity {
            Validity::Now => between(&mut params, from, self.made + CERTIFICATE_LIFE),
            Validity::Over => between(&mut params, from.saturating_sub(30 * DAY), from - DAY),
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Leaf { chain: vec![certificate.der().clone()], key: key.into() })
    }

    /// A server's certificate for this machine and `more`.
    pub(crate) fn own_leaf(&self, more: &[String], validity: Validity) -> Result<Leaf, Error> {
        let own = OWN_NAMES.map(str::to_owned);
        let more = more.iter().filter(|name| !own.contains(name)).cloned();
        self.leaf(&own.iter().cloned().chain(more).collect::<Vec<_>>(), validity)
    }

    /// The authority's certificate as clients want it in a file.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", self.issuer.der())
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn between(params: &mut CertificateParams, from: Duration, until: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + from;
    params.not_after = epoch + until;
}

/// The textual encoding of RFC 7468. The certificate library's own would bring a second base64.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn what_is_written_as_pem_is_read_again() {
        for length in [0, 1, 47, 48, 49, 500] {
            let der: Vec<u8> = (0..length).map(|byte| (byte % 251) as u8).collect();
            let text = pem("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= PEM_LINE));
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der);
        }
    }
}
