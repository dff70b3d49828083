//! Why a verb failed, in one sentence a person can act on.

use std::fmt;

/// A verb's failure. The verb has already printed the details; this is the last line.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A failure of the machine (a file, a process), with what was being attempted.
    pub(crate) fn io(attempt: impl fmt::Display, error: &std::io::Error) -> Self {
        Self(format!("{attempt}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
