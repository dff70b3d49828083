//! Shared access signatures: parsed and checked as the service does.
//!
//! `SharedAccessSignature sr={uri}&sig={base64}&se={seconds}&skn={name}`. The signed text is the
//! `sr` value exactly as it stands in the token, a line feed, and the `se` value: clients differ in
//! letter case and escaping, so the decoded form must never be signed again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use thiserror::Error;

use super::address::Audience;
use super::calendar;
use crate::config::{Rights, SasKey};

/// Longest token that is looked at, in bytes.
pub(crate) const MAX_TOKEN_LEN: usize = 8 * 1024;
const SCHEME: &str = "SharedAccessSignature";

/// A token whose signature and expiry were found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The resource the token was issued for.
    pub(crate) scope: Audience,
    /// What its key allows.
    pub(crate) rights: Rights,
    /// When it lapses, in milliseconds since 1970.
    pub(crate) expires: i64,
}

/// Why a token was refused. Shows neither the token nor the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SasError {
    #[error("MalformedToken: The token is malformed: {0}.")]
    Malformed(&'static str),
    #[error("InvalidSignature: The token has an invalid signature.")]
    Signature,
    #[error(
        "ExpiredToken: The token is expired. Expiration time: '{}'",
        calendar::utc(.0.saturating_mul(1000))
    )]
    Expired(i64),
}

/// Whether `token` looks like a shared access signature and not like a token of another kind.
pub(crate) fn is_signature(token: &str) -> bool {
    token.trim_start().starts_with(SCHEME)
}

/// Checks `token` against `keys` at `now`, in milliseconds since 1970.
pub(crate) fn check(token: &str, keys: &[SasKey], now: i64) -> Result<Grant, SasError> {
    let fields = Fields::parse(token)?;
    let key_name = decode(fields.key_name, "skn")?;
    // An unknown name and a wrong key are told alike, so that names cannot be tried out.
    let key = keys.iter().find(|key| key.name == key_name).ok_or(SasError::Signature)?;
    let signature = decode(fields.signature, "sig")?;
    let signature = STANDARD.decode(signature).map_err(|_| SasError::Signature)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.key.as_bytes())
        .map_err(|_| SasError::Malformed("the key cannot sign"))?;
    mac.update(fields.resource.as_bytes());
    mac.update(b"\n");
    mac.update(fields.expiry.as_bytes());
    mac.verify_slice(&signature).map_err(|_| SasError::Signature)?;
    let seconds: i64 = decode(fields.expiry, "se")?
        .parse()
        .map_err(|_| SasError::Malformed("'se' is not a number of seconds"))?;
    let expires = seconds.saturating_mul(1000);
    if expires <= now {
        return Err(SasError::Expired(seconds));
    }
    let scope = Audience::parse(&decode(fields.resource, "sr")?);
    Ok(Grant { scope, rights: key.rights, expires })
}

/// The four fields as they stand in the token.
struct Fields<'a> {
    resource: &'a str,
    signature: &'a str,
    expiry: &'a str,
    key_name: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(token: &'a str) -> Result<Self, SasError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(SasError::Malformed("it is too long"));
        }
        let rest = token
            .trim()
            .strip_prefix(SCHEME)
            .filter(|rest| rest.starts_with(char::is_whitespace))
            .ok_or(SasError::Malformed("it does not start with 'SharedAccessSignature '"))?;
        let field = |name: &str| {
            rest.trim_start()
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
        };
        Ok(Self {
            resource: field("sr").ok_or(SasError::Malformed("'sr' is missing"))?,
            signature: field("sig").ok_or(SasError::Malformed("'sig' is missing"))?,
            expiry: field("se").ok_or(SasError::Malformed("'se' is missing"))?,
            key_name: field("skn").ok_or(SasError::Malformed("'skn' is missing"))?,
        })
    }
}

fn decode(value: &str, field: &'static str) -> Result<String, SasError> {
    let text = percent_decode_str(value).decode_utf8();
    let not_utf8 = match field {
        "sr" => "'sr' is not UTF-8",
        "sig" => "'sig' is not UTF-8",
        "se" => "'se' is not UTF-8",
        _ => "'skn' is not UTF-8",
    };
    Ok(text.map_err(|_| SasError::Malformed(not_utf8))?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GO: &str = "SharedAccessSignature sr=http%3a%2f%2fmicrosoft.com\
        &sig=AOp9mqx%2BxL4eOxmBbsrY7Fp5I8RfSAIKG8eY3OS8ft0%3D&se=1500000000&skn=foo";
    const GO_NOW: i64 = 1_499_999_999_000;

    fn keys() -> Vec<SasKey> {
        vec![
            SasKey::new("other", "superSecret").with_rights(Rights::SEND),
            SasKey::new("foo", "superSecret").with_rights(Rights::LISTEN),
            SasKey::new("RootManageSharedAccessKey", "superSecret1234="),
        ]
    }

    #[test]
    fn tokens_of_another_implementation_are_accepted() {
        let grant = check(GO, &keys(), GO_NOW).unwrap();
        assert_eq!(grant.rights, Rights::LISTEN);
        assert_eq!(grant.expires, 1_500_000_000_000);
        assert_eq!(grant.scope, Audience::parse("http://microsoft.com"));
        let long = "SharedAccessSignature sr=amqps%3a%2f%2fns.servicebus.windows.net%2fmyhub\
            %2fconsumergroups%2f%24default%2fpartitions%2f0\
            &sig=GgeZ4KHxKntJXsjQuHTgLrxOrA6XwxllDLgEd%2B7oreg%3D&se=1700000000\
            &skn=RootManageSharedAccessKey";
        let grant = check(long, &keys(), GO_NOW).unwrap();
        assert_eq!(grant.scope.path(), "myhub/consumergroups/$default/partitions/0");
    }

    #[test]
    fn a_token_lapses_at_its_second() {
        assert!(check(GO, &keys(), 1_499_999_999_999).is_ok());
        assert_eq!(check(GO, &keys(), 1_500_000_000_000), Err(SasError::Expired(1_500_000_000)));
    }

    #[test]
    fn the_raw_resource_is_what_was_signed() {
        let upper = GO.replace("%3a%2f%2f", "%3A%2F%2F");
        assert_eq!(check(&upper, &keys(), GO_NOW), Err(SasError::Signature));
    }

    #[test]
    fn bad_tokens_are_refused() {
        let wrong = |token: &str| check(token, &keys(), GO_NOW).unwrap_err();
        assert_eq!(wrong(&GO.replace("skn=foo", "skn=nobody")), SasError::Signature);
        assert_eq!(
            wrong(&GO.replace("skn=foo", "skn=RootManageSharedAccessKey")),
            SasError::Signature
        );
        assert_eq!(wrong(&GO.replace("1500000000", "1500000001")), SasError::Signature);
        assert_eq!(wrong(&GO.replace("sig=A", "sig=B")), SasError::Signature);
        assert_eq!(wrong(&GO.replace("sig=AOp", "sig=!")), SasError::Signature);
        for missing in ["sr", "sig", "se", "skn"] {
            let token = GO.replace(&format!("{missing}="), "xx=");
            assert!(matches!(wrong(&token), SasError::Malformed(_)), "without {missing}");
        }
        assert!(matches!(wrong(""), SasError::Malformed(_)));
        assert!(matches!(wrong("Bearer x"), SasError::Malformed(_)));
        assert!(matches!(wrong(&"x".repeat(MAX_TOKEN_LEN + 1)), SasError::Malformed(_)));
    }

    #[test]
    fn errors_show_no_secret() {
        for error in [
            check(GO, &keys(), i64::MAX).unwrap_err(),
            check(&GO.replace("sig=A", "sig=B"), &keys(), GO_NOW).unwrap_err(),
        ] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("Op9mqx") && !shown.contains("superSecret"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_panic(text in "\\PC{0,200}") {
            prop_assert!(check(&text, &keys(), GO_NOW).is_err());
            let token = format!("SharedAccessSignature {text}");
            prop_assert!(check(&token, &keys(), GO_NOW).is_err());
        }
    }
}
