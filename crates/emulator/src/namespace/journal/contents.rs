//! What a partition's file holds, whatever has happened to it.

use std::ops::Range;

use crate::namespace::journal::record::{Entry, Found, find};
use crate::namespace::log::{Head, Staged};
use crate::namespace::sequencer::{Numbering, Producer};

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Where the file begins, if it still says so.
    pub(crate) head: Option<Head>,
    pub(crate) entries: Vec<Kept>,
    /// Bytes that are no records.
    pub(crate) damaged: Vec<Range<usize>>,
    /// Where the last write began when it did not come to its end.
    pub(crate) unfinished: Option<usize>,
}

/// A record that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Publication(Staged, Option<Numbering>),
    Trim(i64),
    Producer(Producer),
}

impl From<Kept> for Entry {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Publication(staged, numbering) => Self::Publication(staged, numbering),
            Kept::Trim(before) => Self::Trim(before),
            Kept::Producer(producer) => Self::Producer(producer),
        }
    }
}

impl Contents {
    /// Reads a file. Behind damaged bytes it goes on with the next record that holds.
    pub(crate) fn read(file: &[u8]) -> Self {
        // A file without a byte was killed while it was made.
        let unfinished = file.is_empty().then_some(0);
        let mut contents = Self { unfinished, ..Self::default() };
        let mut next = None;
        let mut position = 0;
        while position < file.len() {
            match find(file, position) {
                Found::Record(entry, end) => {
                    if !contents.take(entry, &mut next) {
                        contents.damaged.push(position..end);
                    }
                    position = end;
                }
                Found::Beginning => {
                    contents.unfinished = Some(position);
                    return contents;
                }
                Found::Nothing => {
                    let end = following(file, position + 1);
                    contents.damaged.push(position..end);
                    position = end;
                }
            }
        }
        contents
    }

    /// Whether a record fits behind those before it: sequence numbers never step back.
    fn take(&mut self, entry: Entry, next: &mut Option<i64>) -> bool {
        match entry {
            Entry::Head(head) if next.is_none() => {
                *next = Some(head.next);
                self.head = Some(head);
            }
            Entry::Head(_) => return false,
            Entry::Publication(staged, numbering) => {
                if next.is_some_and(|next| staged.segment.first < next) {
                    return false;
                }
                *next = Some(staged.segment.end());
                self.entries.push(Kept::Publication(staged, numbering));
            }
            Entry::Trim(before) => self.entries.push(Kept::Trim(before)),
            Entry::Producer(producer) => self.entries.push(Kept::Producer(producer)),
        }
        true
    }
}

/// Where the next record begins; the end of the file when there is none.
fn following(file: &[u8], from: usize) -> usize {
    let holds = |position: &usize| match find(file, *position) {
        Found::Record(..) => true,
        // Fewer bytes than a head are nothing to go on with.
        Found::Beginning => file.len() - position >= super::record::HEAD_LEN,
        Found::Nothing => false,
    };
    (from..file.len()).find(holds).unwrap_or(file.len())
}

#[cfg(test)]
mod tests;
