//! The stores of this crate pass the conformance suite, and stores with planted bugs do not.
#![cfg(test)]

mod broken;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broken::{Broken, Bug};
use eventhubs_eph::conformance::{self, Report, Subject};
use eventhubs_eph::{Checkpointer, FileStore, Leaser, MemoryStore};
use eventhubs_protocol::{ConsumerGroup, HubName};
use serde_json::Value;
use tempfile::TempDir;

struct Memory(MemoryStore);

#[async_trait::async_trait]
impl Subject for Memory {
    fn leaser(&self) -> Arc<dyn Leaser> {
        Arc::new(self.0.clone())
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.0.clone())
    }

    async fn pass(&self, span: Duration) {
        self.0.advance(span);
    }
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Nothing but the folder is shared, as between processes.
    fn store(&self) -> FileStore {
        let hub = HubName::new("Telemetry").unwrap();
        FileStore::new(self.0.path(), "ns", &hub, &ConsumerGroup::default()).unwrap()
    }
}

#[async_trait::async_trait]
impl Subject for Files {
    fn leaser(&self) -> Arc<dyn Leaser> {
        Arc::new(self.store())
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.store())
    }

    /// Makes everything older: the clock of a file system cannot be moved.
    async fn pass(&self, span: Duration) {
        for path in files(self.0.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("lease") => {
                    let file = File::options().write(true).open(&path).unwrap();
                    let written = file.metadata().unwrap().modified().unwrap();
                    file.set_modified(written - span).unwrap();
                }
                None if path.ends_with("presence") => age_presences(&path, span),
                _ => {}
            }
        }
    }
}

fn age_presences(path: &Path, span: Duration) {
    let mut body: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    for host in body["hosts"].as_array_mut().unwrap() {
        let seen = host["seen"].as_i64().unwrap();
        host["seen"] = (seen - i64::try_from(span.as_millis()).unwrap()).into();
    }
    fs::write(path, body.to_string()).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_conforms() {
    conformance::leaser(async || Memory(MemoryStore::new())).await.assert();
    conformance::checkpointer(async || Memory(MemoryStore::new())).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_files_conforms_as_a_leaser() {
    conformance::leaser(async || Files::new()).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_files_conforms_as_a_checkpointer() {
    conformance::checkpointer(async || Files::new()).await.assert();
}

/// Leases in one store, checkpoints in another that knows nothing of them.
struct Apart(MemoryStore, MemoryStore);

#[async_trait::async_trait]
impl Subject for Apart {
    fn leaser(&self) -> Arc<dyn Leaser> {
        Arc::new(self.0.clone())
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.1.clone())
    }

    async fn pass(&self, span: Duration) {
        self.0.advance(span);
    }
}

#[tokio::test]
async fn a_checkpointer_needs_no_leases_of_its_own() {
    let make = async || Apart(MemoryStore::new(), MemoryStore::new());
    conformance::checkpointer(make).await.assert();
}

#[tokio::test]
async fn every_planted_bug_is_found() {
    for &(bug, case) in Bug::ALL {
        let make = async || Broken::new(bug);
        let mut report: Report = conformance::leaser(make).await;
        if report.is_conforming() {
            report = conformance::checkpointer(make).await;
        }
        let found: Vec<_> = report.failures().map(|outcome| outcome.case).collect();
        assert!(found.contains(&case), "{bug:?} should be found by {case}; found by {found:?}");
    }
}

#[tokio::test]
async fn a_report_says_what_was_seen() {
    let report = conformance::leaser(async || Broken::new(Bug::AcquireWithoutSwap)).await;
    let text = report.to_string();
    assert!(text.contains("a_stale_claim_loses: the second claim gave Won"), "{text}");
    assert!(text.contains("rule: a claim loses when the lease changed hands"), "{text}");
}
