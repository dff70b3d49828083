//! The other processes: this binary once more, as a host that says what it does.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eventhubs_eph::ownership::Timing;
use eventhubs_eph::{CheckpointPolicy, EventProcessorHost, Handler, HostOptions};
use eventhubs_protocol::StartPosition;

use super::shared_store;

/// Where a child works, when this is one.
pub(super) const FOLDER: &str = "EVENTHUBS_EPH_TEST_FOLDER";
/// How it gets at the hub.
pub(super) const CONNECTION: &str = "EVENTHUBS_EPH_TEST_CONNECTION";

/// One line, written at once.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// As another process: a host until the end of standard input. Otherwise it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_host() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let text = std::env::var(CONNECTION).unwrap();
    let store = shared_store(&folder);
    let (lease, renewal, grace) = (15, 5, 2);
    let [lease, renewal, grace] = [lease, renewal, grace].map(Duration::from_secs);
    let options = HostOptions::default()
        .with_timing(Timing { lease, renewal, grace })
        .with_scan(Duration::from_secs(1))
        .with_start(StartPosition::earliest())
        .with_checkpoints(CheckpointPolicy::AfterEach { every: Duration::from_millis(300) });
    let leaser = Arc::clone(&store);
    let host = EventProcessorHost::from_connection_string(&text, leaser, store, options).unwrap();
    let mut told = host.host_events();
    tokio::spawn(async move {
        while let Some(event) = told.next().await {
            say(&format!("told {event}"));
        }
    });
    let handler = Handler::each(|event, partition| async move {
        say(&format!("handled {} {}", partition.id(), event.sequence_number()));
        Ok(())
    })
    .on_open(|partition| async move {
        say(&format!("opened {}", partition.id()));
        Ok(())
    })
    .on_close(|partition, reason| async move {
        say(&format!("closed {} {reason}", partition.id()));
        Ok(())
    });
    host.register_handler(handler).unwrap();
    host.start_nonblocking().unwrap();
    let input = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    input.await.unwrap().unwrap();
    host.close().await.unwrap();
}
