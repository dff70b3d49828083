//! Bugs on purpose, between the client and the oracle: what a client with the bug would have done.
//!
//! An oracle that finds nothing has shown something only if it finds these.

use crate::history::{Content, Outcome, Reading};
use crate::stamp::Damage;

/// A bug of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Every so many events one is not handed out.
    Lose,
    /// Every so many events one is handed out twice.
    Duplicate,
    /// Every so many events two are handed out in the wrong order.
    Swap,
    /// A receiver that has lost its link begins again at its original position.
    ResumeAtOrigin,
    /// A send that was not accepted is reported as accepted.
    FailedAsAcked,
    /// A send of which nobody knows is reported as failed for certain.
    UnknownAsFailed,
    /// A send that was accepted is reported as failed for certain.
    AckedAsFailed,
    /// Every so many events the content of one is changed.
    Corrupt,
    /// Every so many events one is reported as missing that was there.
    FalseGap,
    /// After so many events a consumer hands out nothing more.
    Stall,
    /// Every so many sends one returns later than it may.
    Dawdle,
    /// Something of the client goes on after its end.
    Linger,
}

impl Bug {
    /// All of them, with their names on the command line.
    pub const ALL: [(&str, Self); 12] = [
        ("lose", Self::Lose),
        ("duplicate", Self::Duplicate),
        ("swap", Self::Swap),
        ("resume-at-origin", Self::ResumeAtOrigin),
        ("failed-as-acked", Self::FailedAsAcked),
        ("unknown-as-failed", Self::UnknownAsFailed),
        ("acked-as-failed", Self::AckedAsFailed),
        ("corrupt", Self::Corrupt),
        ("false-gap", Self::FalseGap),
        ("stall", Self::Stall),
        ("dawdle", Self::Dawdle),
        ("linger", Self::Linger),
    ];
}

/// Does to what passes what a bug would do to it.
#[derive(Debug, Clone)]
pub struct Tamper {
    bug: Option<Bug>,
    every: u64,
    passed: u64,
    held: Option<Reading>,
    /// The beginning of what was read, to be handed out again.
    origin: Vec<Reading>,
}

/// Events that a receiver hands out again when it resumes at its original position.
const ORIGIN_MAX: usize = 5;

impl Tamper {
    /// With a bug that strikes every so many events, or without one.
    #[must_use]
    pub const fn new(bug: Option<Bug>, every: u64) -> Self {
        Self { bug, every, passed: 0, held: None, origin: Vec::new() }
    }

    /// What a consumer with the bug would have seen.
    pub fn reading(&mut self, reading: Reading, seen: &mut Vec<Reading>) {
        let Reading::Event { sequence, .. } = reading else {
            seen.extend(self.held.take());
            seen.push(reading);
            return;
        };
        self.passed += 1;
        let strikes = self.passed.is_multiple_of(self.every.max(1));
        match self.bug {
            Some(Bug::Lose) if strikes => {}
            Some(Bug::Duplicate) if strikes => seen.extend([reading, reading]),
            Some(Bug::Swap) if strikes && self.held.is_none() => self.held = Some(reading),
            Some(Bug::ResumeAtOrigin) if strikes => {
                seen.push(reading);
                seen.extend_from_slice(&self.origin);
            }
            Some(Bug::Corrupt) if strikes => {
                let content = Content::Damaged(Damage::Checksum);
                seen.push(Reading::Event { sequence, content });
            }
            Some(Bug::FalseGap) if strikes => {
                seen.push(Reading::Gap { from: sequence, to: sequence });
            }
            _ => {
                seen.push(reading);
                seen.extend(self.held.take());
            }
        }
        if self.origin.len() < ORIGIN_MAX {
            self.origin.push(reading);
        }
    }

    /// What a producer with the bug would have said.
    pub fn outcome(&mut self, outcome: Outcome) -> Outcome {
        match (self.bug, outcome) {
            (Some(Bug::FailedAsAcked), Outcome::Failed) => Outcome::Acked,
            (Some(Bug::UnknownAsFailed), Outcome::Unknown) => Outcome::Failed,
            (Some(Bug::AckedAsFailed), Outcome::Acked) => {
                self.passed += 1;
                match self.passed.is_multiple_of(self.every.max(1)) {
                    true => Outcome::Failed,
                    false => Outcome::Acked,
                }
            }
            (_, outcome) => outcome,
        }
    }
}
