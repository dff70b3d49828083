//! Where the verbs print: standard output, flushed line by line.

use std::fmt::Display;
use std::io::Write;

/// Prints one line. A closed pipe is not a failure of the verb, so errors are dropped.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
