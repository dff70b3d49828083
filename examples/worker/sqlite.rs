//! Leases and checkpoints in an SQLite database: one file for each hub and consumer group, shared
//! by the processes of one machine. What a call changes is decided by [`eventhubs_eph::rules`];
//! here are tables, a clock and transactions. Another database needs little else. The three calls
//! for presences are left out, as they may be: `Strategy::Greedy` does without them.

use std::error::Error;
use std::path::PathBuf;

use async_trait::async_trait;
use eventhubs_client::{PartitionId, Timestamp};
use eventhubs_eph::rules::{self, Change, Mark};
use eventhubs_eph::{
    Acquire, Checkpoint, Checkpointer, Claim, Commit, Fence, Hold, InvalidRecord, Lease,
    LeaseTable, Leaser, StoreError, StoreErrorKind as Kind, StoreOperation as Op, Version,
};
use rusqlite::{Connection, Error::QueryReturnedNoRows, ErrorCode::DatabaseBusy};
use rusqlite::{Row, Transaction, TransactionBehavior};

/// Bodies are JSON, ids those of partitions. The clock shows milliseconds: the machine's, but never
/// behind a lease.
const TABLES: &str =
    "CREATE TABLE leases (id INTEGER PRIMARY KEY, body BLOB, date INTEGER, version TEXT) STRICT;
     CREATE TABLE marks (id INTEGER PRIMARY KEY, body BLOB) STRICT;
     CREATE VIEW clock AS SELECT
     max(CAST(unixepoch('subsec') * 1000 AS INTEGER), ifnull(max(date), 0)) AS now FROM leases;";

type Fault = Box<dyn Error + Send + Sync>;

/// The database in this file.
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore(pub(crate) PathBuf);

impl SqliteStore {
    /// One call is one transaction. Immediate: nobody else writes from before it reads until it
    /// has written; it waits for others, and whose turn it is, is chance. When the
    /// caller goes away its thread still ends it, and nothing stays held.
    async fn call<T: Send + 'static>(
        &self,
        op: Op,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(file)?;
            connection.busy_timeout(std::time::Duration::from_secs(15))?;
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if op != Op::Provision && !tx.table_exists(None, "leases")? {
                Err(QueryReturnedNoRows)?;
            }
            let value = work(&tx)?;
            Ok(tx.commit().map(|()| value)?)
        });
        done.await.unwrap_or_else(|error| Err(error.into())).map_err(|error| fault(op, error))
    }

    /// Runs `sql` if there is a store or not, as said; whether that was so.
    async fn provision(&self, exists: bool, sql: &'static str) -> Result<bool, StoreError> {
        self.call(Op::Provision, move |tx| {
            let is_due = tx.table_exists(None, "leases")? == exists;
            Ok(is_due && tx.execute_batch(sql).map(|()| true)?)
        })
        .await
    }

    async fn hold(
        &self,
        op: Op,
        lease: &Lease,
        decide: impl FnOnce(Option<&Lease>, &Lease) -> Change<Lease> + Send + 'static,
    ) -> Result<Hold, StoreError> {
        let lease = lease.clone();
        self.call(op, move |tx| {
            let stored = read_lease(tx, lease.partition)?;
            Ok(match decide(stored.as_ref(), &lease) {
                Change::Write(lease) => Hold::Kept(write_lease(tx, &lease)?),
                Change::Keep(lease) => Hold::Kept(lease),
                Change::Lost => Hold::Lost(stored),
            })
        })
        .await
    }
}

fn fault(op: Op, error: Fault) -> StoreError {
    let kind = match error.downcast_ref() {
        Some(QueryReturnedNoRows) => Kind::NotFound,
        Some(code) if code.sqlite_error_code() == Some(DatabaseBusy) => Kind::Busy { after: None },
        None if error.is::<InvalidRecord>() => Kind::Corrupt,
        _ => Kind::Unavailable,
    };
    StoreError::new(kind, op, "the database", error.to_string()).with_source(error)
}

fn lease_of(row: &Row<'_>) -> Result<Lease, Fault> {
    let mut lease = Lease::from_json(row.get_ref("body")?.as_bytes()?)?;
    lease.renewed = Timestamp::from_millis(row.get("date")?);
    lease.version = Version::new(row.get_ref("version")?.as_str()?);
    Ok(lease)
}

fn read_lease(tx: &Transaction<'_>, partition: PartitionId) -> Result<Option<Lease>, Fault> {
    let mut rows = tx.prepare("SELECT * FROM leases WHERE id = ?1")?;
    rows.query_and_then([partition.as_u16()], lease_of)?.next().transpose()
}

/// Writes a lease, as it is from now on, with a version that nothing had before.
fn write_lease(tx: &Transaction<'_>, lease: &Lease) -> Result<Lease, Fault> {
    let sql = "REPLACE INTO leases SELECT ?1, ?2, now, hex(randomblob(16)) FROM clock RETURNING *";
    tx.query_row(sql, (lease.partition.as_u16(), lease.to_json()), |row| Ok(lease_of(row)))?
}

fn read_mark(tx: &Transaction<'_>, partition: PartitionId) -> Result<Option<Mark>, Fault> {
    let mut rows = tx.prepare("SELECT body FROM marks WHERE id = ?1")?;
    let mark_of = |row: &Row<'_>| Ok(Mark::from_json(row.get_ref("body")?.as_bytes()?)?);
    rows.query_and_then([partition.as_u16()], mark_of)?.next().transpose()
}

fn write_mark(tx: &Transaction<'_>, lease: &Lease, change: &Change<Mark>) -> Result<(), Fault> {
    let Change::Write(mark) = change else { return Ok(()) };
    let sql = "REPLACE INTO marks VALUES (?1, ?2)";
    Ok(tx.execute(sql, (lease.partition.as_u16(), mark.to_json())).map(drop)?)
}

/// Puts a record aside, under a negative id: nobody may be able to read it, but a person finds it.
fn remove(tx: &Transaction<'_>, table: &str, partition: PartitionId) -> Result<bool, Fault> {
    let sql = format!("UPDATE OR REPLACE {table} SET id = -1 - id WHERE id = ?1");
    Ok(tx.execute(&sql, [partition.as_u16()])? > 0)
}

#[async_trait]
impl Leaser for SqliteStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        self.provision(true, "").await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        self.provision(false, TABLES).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        self.provision(true, "DROP VIEW clock; DROP TABLE leases; DROP TABLE marks;").await
    }

    async fn leases(&self) -> Result<LeaseTable, StoreError> {
        self.call(Op::List, |tx| {
            let date = tx.query_row("SELECT now FROM clock", [], |row| row.get(0))?;
            let mut table = LeaseTable::new(Timestamp::from_millis(date), Vec::new());
            let mut rows = tx.prepare("SELECT * FROM leases WHERE id >= 0 ORDER BY id")?;
            for row in rows.query_map([], |row| Ok((row.get::<_, u16>(0)?, lease_of(row))))? {
                match row? {
                    (_, Ok(lease)) => table.leases.push(lease),
                    (id, Err(error)) => table.corrupt.push((id.into(), fault(Op::List, error))),
                }
            }
            Ok(table)
        })
        .await
    }

    async fn ensure(&self, partition: PartitionId) -> Result<Lease, StoreError> {
        self.call(Op::Ensure, move |tx| match read_lease(tx, partition) {
            Ok(Some(lease)) => Ok(lease),
            Err(error) if !error.is::<InvalidRecord>() => Err(error),
            _ => remove(tx, "leases", partition)
                .and_then(|_| write_lease(tx, &Lease::free(partition))),
        })
        .await
    }

    async fn acquire(&self, seen: &Lease, claim: &Claim) -> Result<Acquire, StoreError> {
        let claim = claim.clone();
        let decide = move |stored: Option<&_>, seen: &_| rules::acquire(stored, seen, &claim);
        self.hold(Op::Acquire, seen, decide).await.map(Acquire::from)
    }

    async fn renew(&self, lease: &Lease) -> Result<Hold, StoreError> {
        self.hold(Op::Renew, lease, rules::renew).await
    }

    async fn update(&self, lease: &Lease) -> Result<Hold, StoreError> {
        self.hold(Op::Update, lease, rules::update).await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        Ok(matches!(self.hold(Op::Release, lease, rules::release).await?, Hold::Kept(_)))
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        self.call(Op::Delete, move |tx| remove(tx, "leases", partition)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Checkpointer for SqliteStore {
    async fn store_exists(&self) -> Result<bool, StoreError> {
        Leaser::store_exists(self).await
    }

    async fn ensure_store(&self) -> Result<bool, StoreError> {
        Leaser::ensure_store(self).await
    }

    async fn delete_store(&self) -> Result<bool, StoreError> {
        Leaser::delete_store(self).await
    }

    async fn load(&self, partition: PartitionId) -> Result<Option<Checkpoint>, StoreError> {
        let mark = self.call(Op::Load, move |tx| read_mark(tx, partition)).await?;
        Ok(mark.and_then(|mark| mark.checkpoint))
    }

    async fn ensure(&self, lease: &Lease) -> Result<Fence, StoreError> {
        let lease = lease.clone();
        self.call(Op::Fence, move |tx| {
            let (held, mark) = (read_lease(tx, lease.partition)?, read_mark(tx, lease.partition)?);
            let change = rules::fence(held.as_ref(), mark.as_ref(), &lease);
            write_mark(tx, &lease, &change)?;
            Ok(change.into_fence(held.as_ref(), mark.as_ref()))
        })
        .await
    }

    async fn store(&self, lease: &Lease, checkpoint: &Checkpoint) -> Result<Commit, StoreError> {
        let (lease, checkpoint) = (lease.clone(), checkpoint.clone());
        self.call(Op::Store, move |tx| {
            let (held, mark) = (read_lease(tx, lease.partition)?, read_mark(tx, lease.partition)?);
            let mark = mark.ok_or(QueryReturnedNoRows)?;
            let change = rules::commit(held.as_ref(), &mark, &lease, &checkpoint);
            write_mark(tx, &lease, &change)?;
            Ok(change.into_commit(&checkpoint))
        })
        .await
    }

    async fn delete(&self, partition: PartitionId) -> Result<bool, StoreError> {
        self.call(Op::Delete, move |tx| remove(tx, "marks", partition)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
