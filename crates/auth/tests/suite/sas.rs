//! Signatures, byte for byte as other clients make them.

use eventhubs_auth::sas::{DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME};
use eventhubs_auth::{
    Clock, Error, Field, Problem, SasKey, SasSignature, SasTokenProvider, TokenKind, TokenProvider,
};
use eventhubs_protocol::Timestamp;
use proptest::prelude::*;
use std::time::Duration;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn signed(name: &str, key: &str, audience: &str, seconds: i64) -> String {
    let key = SasKey::new(name, key).expect("a key");
    key.sign(audience, at(seconds)).secret().expose().to_owned()
}

#[test]
fn published_vectors() {
    assert_eq!(
        signed("foo", "superSecret", "http://microsoft.com", 1_500_000_000),
        "SharedAccessSignature sr=http%3a%2f%2fmicrosoft.com\
         &sig=AOp9mqx%2BxL4eOxmBbsrY7Fp5I8RfSAIKG8eY3OS8ft0%3D&se=1500000000&skn=foo"
    );
    assert_eq!(
        signed(
            "RootManageSharedAccessKey",
            "superSecret1234=",
            "amqps://ns.servicebus.windows.net/MyHub/ConsumerGroups/$Default/Partitions/0",
            1_700_000_000,
        ),
        "SharedAccessSignature sr=amqps%3a%2f%2fns.servicebus.windows.net%2fmyhub%2f\
         consumergroups%2f%24default%2fpartitions%2f0\
         &sig=GgeZ4KHxKntJXsjQuHTgLrxOrA6XwxllDLgEd%2B7oreg%3D\
         &se=1700000000&skn=RootManageSharedAccessKey"
    );
}

#[test]
fn form_encoding() {
    let token = signed("a key&name", "k", "amqps://h/a b~c-d_e.f!é", 0);
    assert!(token.contains("sr=amqps%3a%2f%2fh%2fa+b~c-d_e.f%21%c3%a9&"), "{token}");
    assert!(token.ends_with("&se=0&skn=a+key%26name"), "{token}");
}

#[test]
fn an_end_is_rounded_down_to_the_second() {
    let key = SasKey::new("n", "k").expect("a key");
    let token = key.sign("a", Timestamp::from_millis(1_999));
    assert!(token.secret().expose().contains("&se=1&"));
    assert_eq!(token.expires(), at(1));
    assert_eq!(token.kind(), TokenKind::Sas);
    assert!(token.is_renewable());
}

#[test]
fn keys_that_cannot_be() {
    for (name, key, field, problem) in [
        ("", "k", Field::SharedAccessKeyName, Problem::Empty),
        ("n", "", Field::SharedAccessKey, Problem::Empty),
        ("n\n", "k", Field::SharedAccessKeyName, Problem::Character),
        (&"n".repeat(257), "k", Field::SharedAccessKeyName, Problem::TooLong { limit: 256 }),
    ] {
        let Err(Error::Key { field: found, problem: why }) = SasKey::new(name, key) else {
            panic!("refused: {field}");
        };
        assert_eq!((found, why), (field, problem));
    }
}

#[tokio::test]
async fn a_provider_signs_for_its_lifetime() {
    let key = SasKey::new("n", "k").expect("a key");
    let provider = SasTokenProvider::new(key).with_clock(Clock::from_fn(|| at(1_000)));
    assert_eq!(provider.lifetime(), DEFAULT_LIFETIME);
    let token = provider.token("amqps://h/hub").await.expect("signed");
    assert_eq!(token.expires(), at(1_000 + 3_600));
    let brief = provider.clone().with_lifetime(Duration::from_secs(60));
    assert_eq!(brief.token("a").await.expect("signed").expires(), at(1_060));
    assert_eq!(provider.clone().with_lifetime(Duration::ZERO).lifetime(), MIN_LIFETIME);
    assert_eq!(provider.with_lifetime(Duration::MAX).lifetime(), MAX_LIFETIME);
}

#[test]
fn signatures_made_elsewhere() {
    for good in [
        "SharedAccessSignature sr=a&sig=b&se=1700000000&skn=c",
        "sharedaccesssignature se=1700000000&skn=c&sig=b&sr=a",
        "SharedAccessSignature  sr=a&sig=b%3D&se=1700000000&skn=c&other=d",
    ] {
        let signature = SasSignature::parse(good).expect(good);
        assert_eq!(signature.expires(), at(1_700_000_000));
    }
    for (bad, problem) in [
        ("", Problem::Empty),
        ("SharedAccessSignature", Problem::NotASignature),
        ("Bearer sr=a&sig=b&se=1&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sig=b&se=1&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&se=1&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b&se=1", Problem::NotASignature),
        ("SharedAccessSignature sr=&sig=b&se=1&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b&se=-1&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b&se=1.5&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b&se=9223372036854775807&skn=c", Problem::NotASignature),
        ("SharedAccessSignature sr=a&sig=b\n&se=1&skn=c", Problem::Character),
        (&"x".repeat(20_000), Problem::TooLong { limit: 16_384 }),
    ] {
        let Err(Error::Signature { problem: found }) = SasSignature::parse(bad) else {
            panic!("refused: {bad:.60}");
        };
        assert_eq!(found, problem, "{bad:.60}");
    }
}

#[tokio::test]
async fn a_signature_made_elsewhere_ends_for_good() {
    let text = "SharedAccessSignature sr=a&sig=b&se=100&skn=c";
    let signature = SasSignature::parse(text).expect("whole");
    let before = signature.clone().with_clock(Clock::from_fn(|| at(99)));
    let token = before.token("any").await.expect("one second is left");
    assert_eq!(token.secret().expose(), text);
    assert!(!token.is_renewable());
    let after = signature.with_clock(Clock::from_fn(|| at(100)));
    let error = after.token("any").await.expect_err("it ended");
    assert!(matches!(error, Error::Expired { at: end } if end == at(100)));
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("1970-01-01T00:01:40.000Z"), "{error}");
}

proptest! {
    /// What is signed here can be read here, whatever the names.
    #[test]
    fn signed_tokens_are_signatures(
        name in "[^\\p{Cc}]{1,20}",
        key in ".{1,40}",
        audience in ".{1,60}",
        seconds in 0_i64..4_000_000_000,
    ) {
        let text = signed(&name, &key, &audience, seconds);
        prop_assert!(text.is_ascii());
        prop_assert_eq!(text.matches('&').count(), 3);
        let signature = SasSignature::parse(&text).expect("of the right form");
        prop_assert_eq!(signature.expires(), at(seconds));
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "(SharedAccessSignature )?.{0,120}") {
        let _ = SasSignature::parse(&text);
    }
}
