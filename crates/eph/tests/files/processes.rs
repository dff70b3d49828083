//! Several processes on one folder. The test binary runs itself again as the other processes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use eventhubs_eph::{Acquire, Checkpointer, Claim, Commit, Hold, LeaseToken, Leaser, OwnerId};
use tempfile::TempDir;

use super::{checkpoint, enter, partition, store};

/// Where another process works, when this is one; what it does is the name of the test.
const FOLDER: &str = "EVENTHUBS_EPH_TEST_FOLDER";
/// How many processes are killed; a few more on request.
const ROUNDS: &str = "EVENTHUBS_EPH_TEST_ROUNDS";

fn folder_of_child() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Another process that runs one test of this binary; what it says.
fn spawn(test: &str, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    (child, said)
}

/// The number in a line that tells of one.
fn told(line: &str, what: &str) -> Option<i64> {
    // The harness may write before it on the same line.
    line.split_once(what)?.1.trim().parse().ok()
}

/// As another process: stores one checkpoint after the other and says each that was acknowledged.
/// Otherwise it does nothing.
#[tokio::test]
async fn child_stores() {
    let Some(folder) = folder_of_child() else { return };
    let store = store(&folder);
    let (lease, before) = enter(&store, partition()).await;
    let mut number = before.unwrap_or(-1);
    loop {
        number += 1;
        assert_eq!(store.store(&lease, &checkpoint(number)).await.unwrap(), Commit::Stored);
        println!("stored {number}");
        assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    Leaser::ensure_store(&store).await.unwrap();
    Leaser::ensure(&store, partition()).await.unwrap();
    let (mut acknowledged, mut level) = (-1, 0);
    for round in 0..rounds {
        let (mut child, mut said) = spawn("processes::child_stores", folder.path());
        // Killed while it writes what comes next: after none, one, two... acknowledgements.
        let mut line = String::new();
        let mut left = (round * 7) % 5;
        while left > 0 && said.read_line(&mut line).unwrap() > 0 {
            if let Some(number) = told(&line, "stored ") {
                acknowledged = number;
                left -= 1;
            }
            line.clear();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = said.lines().map_while(Result::ok);
        acknowledged =
            rest.filter_map(|line| told(&line, "stored ")).last().unwrap_or(acknowledged);

        let stored = store.load(partition()).await.unwrap();
        let stored = stored.map_or(-1, |stored| stored.sequence_number.as_i64());
        let is_whole = stored == acknowledged || stored == acknowledged + 1;
        assert!(is_whole, "round {round}: {acknowledged} was acknowledged, {stored} is stored");
        let table = store.leases().await.unwrap();
        assert_eq!((table.leases.len(), table.corrupt.len()), (1, 0), "round {round}: {table:?}");
        let epoch = table.leases[0].epoch.as_i64();
        assert!(epoch >= level, "round {round}: level {epoch} after {level}");
        // One that was stored and not acknowledged is there for good.
        (acknowledged, level) = (stored, epoch);
    }
    assert!(acknowledged > 0 && level > 0, "no process came as far as to store anything");
}

/// As another process: claims, and says the level of each ownership. Otherwise it does nothing.
#[tokio::test]
async fn child_claims() {
    let Some(folder) = folder_of_child() else { return };
    let store = store(&folder);
    let owner = OwnerId::unique();
    for turn in 0..40 {
        let seen = store.leases().await.unwrap().lease(partition()).unwrap().clone();
        let claim = Claim::new(owner.clone(), LeaseToken::unique());
        let Acquire::Won(lease) = store.acquire(&seen, &claim).await.unwrap() else { continue };
        println!("won {}", lease.epoch);
        if turn % 2 == 0 {
            store.release(&lease).await.unwrap();
        }
    }
}

#[tokio::test]
async fn processes_never_own_at_one_level() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    Leaser::ensure_store(&store).await.unwrap();
    Leaser::ensure(&store, partition()).await.unwrap();
    let children: Vec<_> =
        (0..4).map(|_| spawn("processes::child_claims", folder.path())).collect();
    let (mut levels, mut ownerships) = (BTreeSet::new(), 0);
    for (mut child, said) in children {
        for level in said.lines().filter_map(|line| told(&line.unwrap(), "won ")) {
            ownerships += 1;
            assert!(levels.insert(level), "level {level} was won twice");
        }
        assert!(child.wait().unwrap().success());
    }
    let last = store.leases().await.unwrap().leases[0].epoch.as_i64();
    assert!(ownerships > 0);
    assert_eq!(last, ownerships, "every ownership raised the level by one");
}
