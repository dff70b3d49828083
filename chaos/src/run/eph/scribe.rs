//! The pen of a process: its journal goes to standard output, by the clock of its parent.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use crate::journal::{Entry, Note};
use crate::run::clock::Clock;

/// Writes a journal.
#[derive(Debug)]
pub(super) struct Scribe {
    clock: Clock,
    /// How far the parent's clock is ahead of this one, in microseconds.
    ahead: u64,
    /// When the last line was written. Held while a moment is taken and written, so that times
    /// rise from line to line.
    last: Mutex<u64>,
}

impl Scribe {
    pub(super) fn new(clock: Clock, ahead: u64) -> Self {
        Self { clock, ahead, last: Mutex::new(0) }
    }

    /// The moment, by the parent's clock.
    pub(super) fn now(&self) -> u64 {
        self.clock.micros() + self.ahead
    }

    /// Writes a line at once: whatever becomes of this process afterwards, its parent has it.
    pub(super) fn note(&self, note: Note) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = self.now().max(*last + 1);
        let line = format!("{}\n", Entry { at: *last, note });
        let mut out = io::stdout().lock();
        // A parent that is gone reads no more, and this process is about to end.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }

    pub(super) fn remark(&self, text: impl std::fmt::Display) {
        self.note(Note::Remark(text.to_string()));
    }
}
