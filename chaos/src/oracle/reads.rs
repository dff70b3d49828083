//! What consumers saw against what is stored.

use super::Account;
use crate::cursor::Cursor;
use crate::history::{Content, History, Log, Reader, Reading};
use crate::violation::Violation;

pub(super) fn check(history: &History, account: &mut Account) {
    let nothing = Log::default();
    for reader in &history.readers {
        let log = history.logs.get(reader.partition as usize).unwrap_or(&nothing);
        let mut desk = Desk::new(reader, log);
        for reading in &reader.readings {
            desk.book(*reading, account);
        }
        desk.finish(account);
    }
    let reported = account.gaps + account.undecodable;
    if reported > history.withheld {
        account.findings.add(Violation::Untrue { reported, withheld: history.withheld });
    }
}

/// Books what one consumer saw.
struct Desk<'a> {
    reader: &'a Reader,
    log: &'a Log,
    cursor: Cursor,
    /// Of each stored event: handed out, or missing with a word.
    seen: Vec<bool>,
}

impl<'a> Desk<'a> {
    fn new(reader: &'a Reader, log: &'a Log) -> Self {
        let cursor = Cursor::new(reader.consumer, reader.partition);
        Self { reader, log, cursor, seen: vec![false; log.events.len()] }
    }

    fn book(&mut self, reading: Reading, account: &mut Account) {
        match reading {
            Reading::Opened { after } => self.cursor.open(after),
            Reading::Event { sequence, content } => {
                account.read += 1;
                self.content(sequence, content, account);
                self.advance(sequence, account);
                account.read_again += u64::from(self.mark(sequence, sequence));
            }
            Reading::Undecodable { sequence: None } => {
                account.undecodable += 1;
                self.cursor.pass_over();
            }
            Reading::Undecodable { sequence: Some(sequence) } => {
                account.undecodable += 1;
                self.advance(sequence, account);
                self.mark(sequence, sequence);
            }
            Reading::Gap { from, to } => {
                account.gaps += count(from, to);
                self.report(from, to, account);
            }
            Reading::Trimmed { from, to } => {
                account.trimmed += count(from, to);
                if self.log.begin <= to {
                    let Reader { consumer, partition, .. } = *self.reader;
                    let after = self.cursor.at();
                    let found = Violation::FalseReport { consumer, partition, from, to, after };
                    account.findings.add(found);
                }
                self.report(from, to, account);
            }
        }
    }

    /// Compares what was handed out with what is stored. What is trimmed cannot be compared.
    fn content(&self, sequence: i64, content: Content, account: &mut Account) {
        let stored = self.log.content(sequence);
        if sequence < self.log.begin || stored == Some(content) {
            return;
        }
        let event = |content| match content {
            Content::Event(event) => Some(event),
            _ => None,
        };
        account.findings.add(Violation::Misread {
            consumer: self.reader.consumer,
            partition: self.reader.partition,
            sequence,
            stored: stored.and_then(event),
            read: event(content),
        });
    }

    fn advance(&mut self, sequence: i64, account: &mut Account) {
        match self.cursor.advance(sequence, self.log.begin) {
            Ok(None) => {}
            Ok(Some((from, to))) => drop(self.mark(from, to)),
            Err(violation) => account.findings.add(violation),
        }
    }

    fn report(&mut self, from: i64, to: i64, account: &mut Account) {
        let ((from, to), wrong) = self.cursor.report(from, to);
        self.mark(from, to);
        wrong.into_iter().for_each(|violation| account.findings.add(violation));
    }

    /// Marks events as dealt with; whether all of them were before.
    fn mark(&mut self, from: i64, to: i64) -> bool {
        let index = |sequence: i64| usize::try_from(sequence - self.log.begin).unwrap_or(0);
        let end = index(to.saturating_add(1)).min(self.seen.len());
        let marks = self.seen.get_mut(index(from)..end).unwrap_or_default();
        let before = !marks.is_empty() && marks.iter().all(|seen| *seen);
        marks.fill(true);
        before
    }

    /// Everything that is stored was handed out at some time.
    fn finish(self, account: &mut Account) {
        let Reader { consumer, partition, .. } = *self.reader;
        let mut missing: Option<(i64, i64)> = None;
        let sequences = (self.log.begin..).zip(self.seen.iter().copied().chain([true]));
        for (sequence, seen) in sequences {
            match (seen, &mut missing) {
                (false, Some((_, to))) => *to = sequence,
                (false, None) => missing = Some((sequence, sequence)),
                (true, _) => {
                    if let Some((from, to)) = missing.take() {
                        let found = Violation::Undelivered { consumer, partition, from, to };
                        account.findings.add(found);
                    }
                }
            }
        }
    }
}

/// How many there are from one sequence number to another.
pub(crate) fn count(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(0)
}
