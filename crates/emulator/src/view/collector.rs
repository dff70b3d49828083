//! Puts together what the emulator holds: the hubs as they are, and what each connection says of
//! itself.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::overview::Snapshot;
use crate::namespace::Namespace;

/// Time that all connections together get to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks everybody, and waits a moment for the answers. Snapshots are taken one at a time.
///
/// Cancel safe.
pub(crate) async fn snapshot(namespace: &Namespace) -> Snapshot {
    let _turn = namespace.looking.acquire().await;
    let answers = namespace.ask_all();
    let deadline = Instant::now() + PATIENCE;
    let mut connections = Vec::with_capacity(answers.len());
    let mut silent = 0;
    for answer in answers {
        match timeout_at(deadline, answer).await {
            Ok(Ok(connection)) => connections.push(connection),
            // It has ended meanwhile.
            Ok(Err(_)) => {}
            Err(_) => silent += 1,
        }
    }
    connections.sort_unstable_by_key(|connection| connection.number);
    let taken = namespace.clock.now();
    let incidents = namespace.incidents.list();
    Snapshot { taken, hubs: namespace.snapshot(taken), connections, silent, incidents }
}
