//! What becomes of outgoing frames of a kind.

use std::time::Duration;

use super::frames::FrameKind;

/// A rule for outgoing frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The frames that it is about; `None`: all.
    pub(crate) kind: Option<FrameKind>,
    /// How many of them it lets pass first.
    pub(crate) after: u64,
    /// How many of them it changes then; `None`: all.
    pub(crate) times: Option<u64>,
    pub(crate) action: Action,
}

/// What a [`Rule`] does to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It does not go out.
    Swallow,
    /// It goes out twice.
    Duplicate,
    /// It goes out this much later, and so does everything behind it.
    Delay(Duration),
}

/// Rules kept at a time; more are left out.
const RULES_MAX: usize = 256;

/// The rules in force, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    rule: Rule,
    /// Frames that it was about so far.
    seen: u64,
}

/// What is to become of one frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How often it goes out.
    pub(super) copies: u32,
    /// How much later.
    pub(super) delay: Duration,
}

impl Rules {
    pub(super) fn add(&mut self, key: u64, rule: Rule) {
        if self.entries.len() < RULES_MAX {
            self.entries.push(Entry { key, rule, seen: 0 });
        }
    }

    pub(super) fn remove(&mut self, key: u64) {
        self.entries.retain(|entry| entry.key != key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Judges a frame. Every rule about such frames counts it; of those that are due, all strike,
    /// in order, until one swallows it. The keys of those that struck go to `struck`.
    pub(super) fn judge(&mut self, kind: FrameKind, mut struck: impl FnMut(u64)) -> Verdict {
        let mut verdict = Verdict { copies: 1, delay: Duration::ZERO };
        for entry in &mut self.entries {
            let rule = entry.rule;
            if !rule.kind.is_none_or(|wanted| wanted == kind) {
                continue;
            }
            let nth = entry.seen;
            entry.seen = entry.seen.saturating_add(1);
            let until = rule.times.map(|times| rule.after.saturating_add(times));
            let is_due = nth >= rule.after && until.is_none_or(|until| nth < until);
            if !is_due || verdict.copies == 0 {
                continue;
            }
            struck(entry.key);
            match rule.action {
                Action::Swallow => verdict.copies = 0,
                Action::Duplicate => {
                    verdict.copies = verdict.copies.saturating_mul(2).min(COPIES_MAX)
                }
                Action::Delay(delay) => verdict.delay = verdict.delay.saturating_add(delay),
            }
        }
        verdict
    }
}

/// Copies of one frame, however many rules duplicate it.
const COPIES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: Option<FrameKind>, after: u64, times: Option<u64>, action: Action) -> Rule {
        Rule { kind, after, times, action }
    }

    #[test]
    fn a_rule_strikes_its_frames_after_so_many_and_so_often() {
        let mut rules = Rules::default();
        rules.add(7, rule(Some(FrameKind::Detach), 1, Some(2), Action::Swallow));
        let mut struck = Vec::new();
        let mut copies = |kind| rules.judge(kind, |key| struck.push(key)).copies;
        let all = [FrameKind::Detach; 4].map(&mut copies);
        assert_eq!(all, [1, 0, 0, 1], "one passes, two do not, and it is spent");
        assert_eq!(copies(FrameKind::End), 1);
        assert_eq!(struck, [7, 7]);
    }

    #[test]
    fn rules_add_up_and_every_rule_counts_every_frame() {
        let mut rules = Rules::default();
        let second = Duration::from_secs(1);
        rules.add(1, rule(None, 0, None, Action::Delay(second)));
        rules.add(2, rule(None, 0, None, Action::Duplicate));
        rules.add(3, rule(Some(FrameKind::Flow), 1, None, Action::Swallow));
        rules.add(4, rule(Some(FrameKind::Flow), 0, Some(1), Action::Duplicate));
        let mut judge = |kind| rules.judge(kind, |_| {});
        assert_eq!(judge(FrameKind::Flow), Verdict { copies: 4, delay: second });
        assert_eq!(judge(FrameKind::Flow), Verdict { copies: 0, delay: second });
        rules.remove(3);
        assert_eq!(rules.judge(FrameKind::Flow, |_| {}), Verdict { copies: 2, delay: second });
        rules.remove(1);
        rules.remove(2);
        rules.remove(4);
        assert!(rules.is_empty());
    }

    #[test]
    fn copies_are_bounded() {
        let mut rules = Rules::default();
        for key in 0..40 {
            rules.add(key, rule(None, 0, None, Action::Duplicate));
        }
        assert_eq!(rules.judge(FrameKind::Open, |_| {}).copies, COPIES_MAX);
    }
}
