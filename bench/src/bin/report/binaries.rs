//! The programs under measurement.

use std::path::PathBuf;

use eventhubs_bench::built;

use crate::Failure;

/// Where cargo left the two programs.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) raw_peer: PathBuf,
    pub(crate) measure: PathBuf,
}

impl Binaries {
    /// Builds both with the bench profile.
    pub(crate) fn build() -> Result<Self, Failure> {
        let messages = built::build(&[
            "--profile",
            "bench",
            "--package",
            "eventhubs-bench",
            "--bin",
            "raw-peer",
            "--bin",
            "measure",
        ])?;
        Ok(Self {
            raw_peer: built::executable(&messages, "raw-peer")?,
            measure: built::executable(&messages, "measure")?,
        })
    }
}
