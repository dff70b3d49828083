//! What a SASL mechanism proves (AMQP 1.0, part 5.3; PLAIN as in RFC 4616).

use crate::config::{Rights, SasKey};

/// What follows from a client's first SASL message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is proved; tokens decide later.
    Anonymous,
    /// The client knows a key of the namespace, or showed a certificate.
    Proved(Rights),
    /// The client claims a key and does not know it, or a certificate and showed none.
    Refused,
}

/// Looks at the initial response of `mechanism`. `certified` says that the client showed a
/// certificate that the layer below found good; it gives all rights.
pub(crate) fn check(mechanism: &str, response: &[u8], keys: &[SasKey], certified: bool) -> Outcome {
    match (mechanism, certified) {
        ("PLAIN", _) => check_plain(response, keys),
        ("EXTERNAL", true) => Outcome::Proved(Rights::ALL),
        ("EXTERNAL", false) => Outcome::Refused,
        _ => Outcome::Anonymous,
    }
}

fn check_plain(response: &[u8], keys: &[SasKey]) -> Outcome {
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
        assert_eq!(check("EXTERNAL", b""), Outcome::Refused);
        let certified = |mechanism| super::check(mechanism, b"", &keys, true);
        assert_eq!(certified("EXTERNAL"), Outcome::Proved(Rights::ALL));
        assert_eq!(certified("ANONYMOUS"), Outcome::Anonymous, "who does not ask gets nothing");
        assert_eq!(certified("PLAIN"), Outcome::Refused);
    }
}
