//! What the emulator's owner can see.

use super::Emulator;
use crate::collector;
use crate::overview::Snapshot;

impl Emulator {
    /// What the emulator holds: hubs, connections with their links, and the latest errors.
    /// Connections are asked for it, all at once; those that do not answer within a second are
    /// counted and left out.
    ///
    /// Cancel safe.
    pub async fn snapshot(&self) -> Snapshot {
        collector::snapshot(&self.shared.namespace).await
    }
}
