//! JSON web tokens, by shape and time only.
//!
//! The emulator knows no keys of Entra ID, so that it cannot check a signature. What it can check
//! is what clients get wrong: a token for another service, or one that has lapsed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

use super::address::Audience;
use super::calendar;
use super::claims::{self, Claims};
use super::sas::Grant;
use crate::config::Rights;
use crate::names::request;

/// Longest token that is looked at, in bytes: with many groups they grow large.
pub(crate) const MAX_TOKEN_LEN: usize = 32 * 1024;

/// Why a token was refused. Shows no part of the token but its times.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JwtError {
    #[error("MalformedToken: The token is malformed: {0}.")]
    Malformed(&'static str),
    #[error("ExpiredToken: The token is expired. Expiration time: '{}'", instant(*.0))]
    Expired(i64),
    #[error("InvalidToken: The token is not valid before '{}'", instant(*.0))]
    Early(i64),
    #[error(
        "InvalidAudience: The token was issued for another audience than '{}' or the namespace.",
        request::ENTRA_AUDIENCE
    )]
    Audience,
}

fn instant(seconds: i64) -> String {
    calendar::utc(seconds.saturating_mul(1000))
}

/// Looks at `token` at `now`, in milliseconds since 1970. Its audience has to be Event Hubs, or
/// the host of `wanted`. A good token gives all rights on that host, or on any without one.
pub(crate) fn check(token: &str, wanted: Option<&Audience>, now: i64) -> Result<Grant, JwtError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(JwtError::Malformed("it is too long"));
    }
    let parts: Vec<_> = token.trim().splitn(4, '.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(JwtError::Malformed("it does not have three parts"));
    };
    let decode = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('='));
        bytes.map_err(|_| JwtError::Malformed("a part is not base64url"))
    };
    if !claims::is_object(&decode(header)?) {
        return Err(JwtError::Malformed("its header is not a JSON object"));
    }
    if decode(signature)?.is_empty() {
        return Err(JwtError::Malformed("it is not signed"));
    }
    let claims = Claims::parse(&decode(claims)?)
        .ok_or(JwtError::Malformed("its claims are not a JSON object, or of wrong types"))?;
    let seconds = claims.expires.ok_or(JwtError::Malformed("'exp' is missing"))?;
    let expires = seconds.saturating_mul(1000);
    if expires <= now {
        return Err(JwtError::Expired(seconds));
    }
    if let Some(early) = claims.not_before.filter(|begin| begin.saturating_mul(1000) > now) {
        return Err(JwtError::Early(early));
    }
    let for_us = |audience: &String| {
        audience.trim_end_matches('/').eq_ignore_ascii_case(request::ENTRA_AUDIENCE)
            || wanted.is_some_and(|wanted| wanted.same_host(&Audience::parse(audience)))
    };
    if !claims.audiences.iter().any(for_us) {
        return Err(JwtError::Audience);
    }
    let scope = wanted.map_or_else(|| Audience::parse(""), Audience::namespace);
    Ok(Grant { scope, rights: Rights::ALL, expires })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000_000;

    /// A token with these claims, and a signature of nobody.
    pub(crate) fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"RS256","typ":"JWT"}"#), part(claims), part("signature"))
    }

    fn of(claims: &str) -> Result<Grant, JwtError> {
        let wanted = Audience::parse("sb://NS.example:5672/hub/Partitions/0");
        check(&token(claims), Some(&wanted), NOW)
    }

    #[test]
    fn a_token_for_event_hubs_opens_the_namespace() {
        for audience in [
            "\"https://eventhubs.azure.net\"",
            "\"https://eventhubs.azure.net/\"",
            "\"https://EVENTHUBS.azure.net//\"",
            "\"https://ns.example\"",
            "\"sb://ns.example/\"",
            "[\"https://other\",\"https://eventhubs.azure.net\"]",
        ] {
            let grant = of(&format!(r#"{{"aud":{audience},"exp":1700000001,"nbf":1700000000}}"#));
            let scope = Audience::parse("sb://ns.example");
            let expected = Grant { scope, rights: Rights::ALL, expires: 1_700_000_001_000 };
            assert_eq!(grant, Ok(expected), "{audience}");
        }
    }

    #[test]
    fn times_and_audiences_are_checked() {
        let good = r#""aud":"https://eventhubs.azure.net""#;
        let lapsed = of(&format!(r#"{{{good},"exp":1700000000}}"#));
        assert_eq!(lapsed, Err(JwtError::Expired(1_700_000_000)));
        let early = of(&format!(r#"{{{good},"exp":1700000009,"nbf":1700000001}}"#));
        assert_eq!(early, Err(JwtError::Early(1_700_000_001)));
        assert!(matches!(of(&format!("{{{good}}}")), Err(JwtError::Malformed(_))), "no 'exp'");
        for audience in ["https://storage.azure.com", "https://other.example", "", "https://"] {
            let other = of(&format!(r#"{{"aud":"{audience}","exp":1700000001}}"#));
            assert_eq!(other, Err(JwtError::Audience), "{audience}");
        }
        assert_eq!(of(r#"{"exp":1700000001}"#), Err(JwtError::Audience));
        assert_eq!(
            lapsed.unwrap_err().to_string(),
            "ExpiredToken: The token is expired. Expiration time: '2023-11-14 22:13:20Z'"
        );
    }

    #[test]
    fn what_has_not_the_shape_of_a_token_is_refused() {
        let good = token(r#"{"aud":"https://eventhubs.azure.net","exp":1700000001}"#);
        assert!(check(&good, None, NOW).is_ok());
        assert!(check(&format!(" {good}\n"), None, NOW).is_ok());
        let (head, signature) = good.rsplit_once('.').unwrap();
        let (_, claims) = head.split_once('.').unwrap();
        for bad in [
            String::new(),
            "a.b".into(),
            head.into(),
            format!("{head}."),
            format!("{good}.{signature}"),
            format!("{claims}.!.{signature}"),
            format!("AAAA.{claims}.{signature}"),
            format!("{head}.{}", "A".repeat(MAX_TOKEN_LEN)),
        ] {
            assert!(matches!(check(&bad, None, NOW), Err(JwtError::Malformed(_))), "{bad:.80}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_panic(text in "[A-Za-z0-9_.=-]{0,80}", all in "\\PC{0,80}") {
            prop_assert!(check(&text, None, NOW).is_err());
            prop_assert!(check(&all, None, NOW).is_err());
            prop_assert!(check(&token(&all), None, NOW).is_err());
        }
    }
}
