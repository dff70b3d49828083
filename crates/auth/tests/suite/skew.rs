//! Whether a refusal means that this machine's clock is wrong.

use eventhubs_auth::{Clock, ClockSkew, SasKey, SasTokenProvider, TokenCache};
use eventhubs_protocol::Timestamp;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_token_just_made_that_is_called_expired_is_a_wrong_clock() {
    for text in [
        "ExpiredToken: The token is expired. Expiration time: '2023-11-14 22:33:20Z'",
        "ExpiredToken: .",
        "The specified SAS token is expired",
    ] {
        let skew = ClockSkew::suspect(text, NOW.saturating_add(20 * MINUTE), NOW);
        let skew = skew.expect("20 minutes are left");
        assert_eq!(skew.at_least(), 20 * MINUTE);
        let shown = skew.to_string();
        assert!(shown.contains("clock skew suspected"), "{shown}");
        assert!(shown.contains("2023-11-14T22:13:20.000Z") && shown.contains("1200 s"), "{shown}");
    }
}

#[test]
fn a_token_that_has_ended_here_too_is_just_expired() {
    let text = "ExpiredToken: The token is expired.";
    assert_eq!(ClockSkew::suspect(text, NOW, NOW), None);
    assert_eq!(ClockSkew::suspect(text, Timestamp::from_millis(0), NOW), None);
}

#[test]
fn another_refusal_says_nothing_of_the_clock() {
    let later = NOW.saturating_add(MINUTE);
    for text in ["", "InvalidSignature: The token has an invalid signature.", "é", "expire"] {
        assert_eq!(ClockSkew::suspect(text, later, NOW), None, "{text}");
    }
}

proptest! {
    #[test]
    fn suspected_only_while_time_is_left(expires: i64, now: i64, text in "\\PC{0,20}") {
        let (expires, now) = (Timestamp::from_millis(expires), Timestamp::from_millis(now));
        let skew = ClockSkew::suspect(&format!("{text}EXPIRED{text}"), expires, now);
        prop_assert_eq!(skew.is_some(), expires > now);
        if let Some(skew) = skew {
            prop_assert_eq!(skew.at_least(), expires.saturating_since(now));
            prop_assert!(!skew.to_string().is_empty());
        }
    }
}

#[tokio::test]
async fn the_cache_judges_by_its_own_clock() {
    let clock = Clock::from_fn(|| NOW);
    let key = SasKey::new("name", "key").expect("valid");
    let provider = SasTokenProvider::new(key).with_clock(clock.clone());
    let cache = TokenCache::new(Arc::new(provider)).with_clock(clock);
    let token = cache.token("amqps://h/hub").await.expect("signed");
    let skew = cache.clock_skew(&token, "ExpiredToken: The token is expired.");
    assert_eq!(skew.map(|skew| skew.at_least()), Some(60 * MINUTE));
    assert_eq!(cache.clock_skew(&token, "InvalidAudience"), None);
}
