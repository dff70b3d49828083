//! What a SASL mechanism proves (AMQP 1.0, part 5.3; PLAIN as in RFC 4616).

use crate::config::{Rights, SasKey};

/// What follows from a client's first SASL message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is proved; tokens decide later.
    Anonymous,
    /// The client knows a key of the namespace, or has a certificate.
    Proved(Rights),
    /// The client claims a key and does not know it.
    Refused,
}

/// Looks at the initial response of `mechanism`. `certified` says that TLS has proved who the
/// client is; EXTERNAL without that proves nothing, as ANONYMOUS.
pub(crate) fn check(mechanism: &str, response: &[u8], keys: &[SasKey], certified: bool) -> Outcome {
    if mechanism == "EXTERNAL" && certified {
        return Outcome::Proved(Rights::ALL);
    }
    if mechanism != "PLAIN" {
        return Outcome::Anonymous;
    }
    let mut fields = response.split(|byte| *byte == 0).skip(1);
    let (Some(name), Some(password), None) = (fields.next(), fields.next(), fields.next()) else {
        return Outcome::Refused;
    };
    let key = keys.iter().find(|key| key.name.as_bytes() == name);
    match key.filter(|key| same(key.key.as_bytes(), password)) {
        Some(key) => Outcome::Proved(key.rights),
        None => Outcome::Refused,
    }
}

/// Compares without stopping at the first difference.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_keys_only_plain_proves_anything() {
        let keys = [SasKey::new("name", "key").with_rights(Rights::SEND)];
        let check = |mechanism, response: &[u8]| super::check(mechanism, response, &keys, false);
        assert_eq!(check("ANONYMOUS", b"\0name"), Outcome::Anonymous);
        assert_eq!(check("MSSBCBS", b""), Outcome::Anonymous);
        assert_eq!(check("PLAIN", b"\0name\0key"), Outcome::Proved(Rights::SEND));
        assert_eq!(check("PLAIN", b"me\0name\0key"), Outcome::Proved(Rights::SEND));
        for response in [&b""[..], b"\0name", b"\0name\0kex", b"\0name\0ke", b"\0nam\0key", b"\0\0"]
        {
            assert_eq!(check("PLAIN", response), Outcome::Refused, "{response:?}");
        }
        assert_eq!(check("PLAIN", b"\0name\0key\0more"), Outcome::Refused);
    }

    #[test]
    fn a_certificate_counts_only_for_who_refers_to_it() {
        assert_eq!(check("EXTERNAL", b"", &[], true), Outcome::Proved(Rights::ALL));
        assert_eq!(check("EXTERNAL", b"", &[], false), Outcome::Anonymous);
        assert_eq!(check("ANONYMOUS", b"", &[], true), Outcome::Anonymous);
        assert_eq!(check("PLAIN", b"\0name\0key", &[], true), Outcome::Refused);
    }
}
