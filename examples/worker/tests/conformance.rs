//! The store of `own_leaser` keeps the contracts, also where nothing but the file is shared.
#![cfg(test)]

#[path = "../sqlite.rs"]
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::PartitionId;
use eventhubs_eph::conformance::{self, Subject};
use eventhubs_eph::{
    Acquire, Checkpointer, Claim, Fence, LeaseToken, Leaser, OwnerId, StoreErrorKind,
};
use rusqlite::Connection;
use sqlite::SqliteStore;
use tempfile::TempDir;

struct Database(TempDir);

impl Database {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Each has connections of its own, as another process would.
    fn store(&self) -> SqliteStore {
        SqliteStore(self.0.path().join("leases.sqlite"))
    }

    fn execute(&self, sql: &str) {
        let connection = Connection::open(self.store().0).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

#[async_trait::async_trait]
impl Subject for Database {
    fn leaser(&self) -> Arc<dyn Leaser> {
        Arc::new(self.store())
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.store())
    }

    /// Makes everything older: the clock of the machine cannot be moved.
    async fn pass(&self, span: Duration) {
        self.execute(&format!("UPDATE leases SET date = date - {}", span.as_millis()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_as_a_leaser() {
    let report = conformance::leaser(async || Database::new()).await;
    report.assert();
    assert!(report.outcomes.len() > 30, "{} cases were run", report.outcomes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_as_a_checkpointer() {
    let report = conformance::checkpointer(async || Database::new()).await;
    report.assert();
    assert!(report.outcomes.len() > 10, "{} cases were run", report.outcomes.len());
}

#[tokio::test]
async fn what_cannot_be_read_hides_nothing_and_is_kept() {
    let database = Database::new();
    let store = database.store();
    let (broken, whole) = (PartitionId::from(3), PartitionId::from(4));
    Leaser::ensure_store(&store).await.unwrap();
    for partition in [broken, whole] {
        let seen = Leaser::ensure(&store, partition).await.unwrap();
        let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
        let Acquire::Won(lease) = store.acquire(&seen, &claim).await.unwrap() else { panic!() };
        assert_eq!(Checkpointer::ensure(&store, &lease).await.unwrap(), Fence::Up(None));
    }
    database.execute("UPDATE leases SET body = CAST('torn' AS BLOB) WHERE id = 3");
    database.execute("UPDATE marks SET body = CAST('torn' AS BLOB) WHERE id = 3");

    let table = store.leases().await.unwrap();
    assert_eq!((table.leases.len(), table.corrupt.len()), (1, 1), "{table:?}");
    assert_eq!(table.corrupt[0].0, broken);
    assert_eq!(table.corrupt[0].1.kind(), StoreErrorKind::Corrupt);
    let error = store.load(broken).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");

    let anew = Leaser::ensure(&store, broken).await.unwrap();
    assert!(anew.token.is_none(), "{anew:?}");
    assert!(Checkpointer::delete(&store, broken).await.unwrap());
    assert_eq!(store.load(broken).await.unwrap(), None);
    let table = store.leases().await.unwrap();
    assert_eq!((table.leases.len(), table.corrupt.len()), (2, 0), "{table:?}");
    let connection = Connection::open(database.store().0).unwrap();
    for table in ["leases", "marks"] {
        let sql = format!("SELECT CAST(body AS TEXT) FROM {table} WHERE id < 0");
        let kept: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "torn");
    }
}

/// The clock of the machine went back: then it stands still, and no lease lasts longer or shorter
/// for some than for others.
#[tokio::test]
async fn the_clock_is_never_behind_a_lease() {
    let database = Database::new();
    let store = database.store();
    Leaser::ensure_store(&store).await.unwrap();
    Leaser::ensure(&store, PartitionId::from(1)).await.unwrap();
    database.execute("UPDATE leases SET date = date + 3600000");
    let table = store.leases().await.unwrap();
    assert_eq!(table.date, table.leases[0].renewed);
    let other = Leaser::ensure(&store, PartitionId::from(2)).await.unwrap();
    assert_eq!(other.renewed, table.date);
}

/// A database that somebody else keeps locked is busy, which is a fault that passes.
#[tokio::test]
async fn a_locked_database_is_busy() {
    let database = Database::new();
    let store = database.store();
    Leaser::ensure_store(&store).await.unwrap();
    let mut other = Connection::open(database.store().0).unwrap();
    let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let error = store.leases().await.unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Busy { .. }), "{error}");
    assert!(error.is_retryable());
    lock.commit().unwrap();
    assert_eq!(store.leases().await.unwrap().leases, []);
}
