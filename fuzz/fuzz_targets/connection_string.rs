#![no_main]
//! Connection strings: whatever is wrong, the key is not shown.

use eventhubs_auth::ConnectionString;
use libfuzzer_sys::fuzz_target;

const SECRETS: [&str; 2] = ["SharedAccessKey", "SharedAccessSignature"];

/// Everything that may end up in a log.
fn shown(text: &str) -> String {
    match ConnectionString::parse(text) {
        Ok(parsed) => {
            assert!(!parsed.host().is_empty());
            assert_ne!(parsed.port(), 0);
            format!("{parsed:?} {:?}", parsed.credential())
        }
        Err(error) => format!("{error} {error:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let log = shown(text);
    for part in text.split(';') {
        let Some((name, value)) = part.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        let secret = SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        // Short values turn up by chance.
        if !secret || value.len() < 12 || text.matches(value).count() != 1 || !log.contains(value) {
            continue;
        }
        // It may be a piece of our own words; then it is still there without it.
        let without = text.replace(value, &"Z".repeat(value.len()));
        assert!(shown(&without).contains(value), "{name} is shown");
    }
});
