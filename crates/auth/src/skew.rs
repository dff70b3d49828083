//! A clock that is wrong, seen from a refusal: decided without a clock.

use eventhubs_protocol::Timestamp;
use std::fmt;
use std::time::Duration;

/// Reason to believe that this machine's clock is behind the service's.
///
/// The service refuses a token of this machine's making as expired, while by this machine's clock it
/// has not ended. One of the two clocks is wrong, and the service's most likely is not. The opposite,
/// a clock that is ahead, shows as [`Error::ExpiredOnArrival`](crate::Error::ExpiredOnArrival).
///
/// # Examples
///
/// ```
/// use eventhubs_auth::ClockSkew;
/// use eventhubs_protocol::Timestamp;
/// use std::time::Duration;
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let minted = now.saturating_add(Duration::from_secs(3600));
/// let refusal = "ExpiredToken: The token is expired. Expiration time: '2023-11-14 23:13:20Z'";
/// let skew = ClockSkew::suspect(refusal, minted, now).expect("an hour is left of it");
/// assert_eq!(skew.at_least(), Duration::from_secs(3600));
/// assert!(skew.to_string().starts_with("clock skew suspected"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    now: Timestamp,
    at_least: Duration,
}

impl ClockSkew {
    /// Judges a refusal: `text` is what the service said of a token that ends at `expires`, `now` the
    /// time of day when the answer came.
    ///
    /// `None` when the service says nothing of an expiry, or when the token has ended by this
    /// machine's clock too.
    #[must_use]
    pub fn suspect(text: &str, expires: Timestamp, now: Timestamp) -> Option<Self> {
        const WORD: &[u8] = b"expired";
        let says_expired =
            text.as_bytes().windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD));
        let at_least = expires.saturating_since(now);
        (says_expired && !at_least.is_zero()).then_some(Self { now, at_least })
    }

    /// How far the clock is behind, at the least: what is left of the token.
    #[must_use]
    pub const fn at_least(&self) -> Duration {
        self.at_least
    }
}

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, at_least } = self;
        let seconds = at_least.as_secs();
        write!(
            f,
            "clock skew suspected: this machine's clock says {now}, by which the token has another \
             {seconds} s; it seems to be at least that much behind the service's"
        )
    }
}
