//! What becomes of a frame that was held when its trip rang.

use std::time::Duration;

/// Most copies of one frame, however often it is duplicated.
const COPIES_MAX: u32 = 16;

/// What is to become of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes no further.
    Swallow,
    /// It goes on twice.
    Duplicate,
    /// It goes out this much later, and so does everything behind it. A frame on its way in
    /// goes on at once.
    Delay(Duration),
}

/// All verdicts on one frame together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    /// How often it goes on.
    pub(super) copies: u32,
    /// How much later it goes out.
    pub(super) delay: Duration,
}

impl Default for Fate {
    fn default() -> Self {
        Self { copies: 1, delay: Duration::ZERO }
    }
}

impl Fate {
    /// The fate after one more verdict. What is swallowed stays swallowed.
    pub(super) fn and(self, verdict: Verdict) -> Self {
        let Self { copies, delay } = self;
        match verdict {
            Verdict::Swallow => Self { copies: 0, delay },
            Verdict::Duplicate => Self { copies: (copies * 2).min(COPIES_MAX), delay },
            Verdict::Delay(more) => Self { copies, delay: delay.saturating_add(more) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_add_up_within_bounds() {
        let second = Verdict::Delay(Duration::from_secs(1));
        let fate = Fate::default().and(second).and(Verdict::Duplicate).and(second);
        assert_eq!(fate, Fate { copies: 2, delay: Duration::from_secs(2) });
        assert_eq!(fate.and(Verdict::Swallow).and(Verdict::Duplicate).copies, 0);
        let often = (0..40).fold(Fate::default(), |fate, _| fate.and(Verdict::Duplicate));
        assert_eq!(often.copies, COPIES_MAX);
        assert_eq!(fate.and(Verdict::Delay(Duration::MAX)).delay, Duration::MAX);
    }
}
