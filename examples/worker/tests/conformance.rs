//! The store of `own_leaser` keeps the contracts, also where nothing but the file is shared.
#![cfg(test)]

#[path = "../sqlite.rs"]
mod sqlite;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use eventhubs_client::PartitionId;
use eventhubs_eph::conformance::{self, Subject};
use eventhubs_eph::{
    Acquire, Checkpointer, Claim, Fence, Hold, LeaseToken, Leaser, OwnerId, StoreErrorKind,
};
use rusqlite::Connection;
use sqlite::SqliteStore;
use tempfile::TempDir;

/// Where another process finds the database, when this is one.
const DATABASE: &str = "EVENTHUBS_WORKER_TEST_DATABASE";
/// How often it owns the partition.
const TURNS: usize = 15;

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

/// As another process: owns a partition by turns with others, and says each level that it got.
/// Otherwise it does nothing.
#[tokio::test]
async fn child_takes_turns() {
    let Some(file) = std::env::var_os(DATABASE) else { return };
    let store = SqliteStore(file.into());
    let owner = OwnerId::unique();
    let mut turns = 0;
    while turns < TURNS {
        let seen = store.leases().await.unwrap().lease(PartitionId::from(0)).cloned().unwrap();
        let claim = Claim::new(owner.clone(), LeaseToken::unique());
        let Acquire::Won(lease) = store.acquire(&seen, &claim).await.unwrap() else { continue };
        println!("level {}", lease.epoch);
        if let Hold::Kept(kept) = store.renew(&lease).await.unwrap() {
            assert!(kept.is_generation_of(&lease), "{kept:?} is of another");
            store.release(&kept).await.unwrap();
        }
        turns += 1;
    }
}

/// Locks between connections of one process are another thing than those between processes.
#[tokio::test]
async fn processes_share_a_database_also_when_one_is_killed() {
    let database = Database::new();
    let store = database.store();
    Leaser::ensure_store(&store).await.unwrap();
    Leaser::ensure(&store, PartitionId::from(0)).await.unwrap();
    let mut children: Vec<Child> = (0..3).map(|_| child(&store)).collect();
    let mut killed = BufReader::new(children[0].stdout.take().unwrap()).lines();
    let mut levels: Vec<i64> = level(&killed.next().unwrap().unwrap()).into_iter().collect();
    while levels.len() < 3 {
        levels.extend(level(&killed.next().unwrap().unwrap()));
    }
    children[0].kill().unwrap();
    levels.extend(killed.map_while(Result::ok).filter_map(|line| level(&line)));
    for mut child in children.drain(1..) {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        levels.extend(lines.map_while(Result::ok).filter_map(|line| level(&line)));
        assert!(child.wait().unwrap().success());
    }
    children[0].wait().unwrap();
    let last = store.leases().await.unwrap().leases[0].epoch.as_i64();
    let distinct: BTreeSet<i64> = levels.iter().copied().collect();
    assert_eq!(distinct.len(), levels.len(), "a level was given twice: {levels:?}");
    // The one that was killed may have won and not said so.
    let said = i64::try_from(levels.len()).unwrap();
    assert!(last == said || last == said + 1, "{said} ownerships ended at level {last}");
}

fn child(store: &SqliteStore) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_takes_turns", "--nocapture"])
        .env(DATABASE, &store.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The level in a line that tells of one. The harness may write before it.
fn level(line: &str) -> Option<i64> {
    line.split_once("level ")?.1.trim().parse().ok()
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
