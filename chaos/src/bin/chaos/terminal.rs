//! Where a run is told: one line that changes on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};

use eventhubs_chaos::run::Log;

/// Of so many words about how it is going, one is printed where lines stay.
const PLAIN_EVERY: u32 = 20;

/// Standard output.
#[derive(Debug)]
pub(crate) struct Terminal {
    is_terminal: bool,
    told: AtomicU32,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), told: AtomicU32::new(0) }
    }

    /// Takes the changing line away.
    pub(crate) fn clear(&self) {
        if self.is_terminal {
            write("\r\x1b[K");
        }
    }
}

impl Log for Terminal {
    fn line(&self, text: &str) {
        self.clear();
        write(&format!("{text}\n"));
    }

    fn status(&self, text: &str) {
        match self.is_terminal {
            true => write(&format!("\r\x1b[K{text}")),
            false => {
                if self.told.fetch_add(1, Ordering::Relaxed).is_multiple_of(PLAIN_EVERY) {
                    write(&format!("{text}\n"));
                }
            }
        }
    }
}

/// Writes at once. A closed pipe is no reason to end a run.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
