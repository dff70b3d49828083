//! What is on disk.

use std::fs::{self, File};

use eventhubs_eph::{
    Checkpointer, Commit, Hold, Lease, Leaser, StoreError, StoreErrorKind, StoreOperation,
};
use eventhubs_protocol::PartitionId;
use serde_json::Value;
use tempfile::TempDir;

use super::{checkpoint, enter, files, partition, store};

/// Bodies that no store of ours wrote.
fn wrong_bodies() -> Vec<Vec<u8>> {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let bodies: [&[u8]; 7] = [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"{\"partitionID\":\"0\",\"epo",
        b"{\"partitionID\":\"0\",\"epoch\":1,\"owner\":\"a\"}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    bodies.map(<[u8]>::to_vec).into()
}

fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_is_reported_alone_and_made_anew_on_request() {
    for body in wrong_bodies() {
        let folder = TempDir::new().unwrap();
        let store = store(folder.path());
        let (lease, _) = enter(&store, partition()).await;
        let (other, _) = enter(&store, PartitionId::from(1)).await;
        let path = files(folder.path()).join("0.lease");
        fs::write(&path, &body).unwrap();

        let table = store.leases().await.unwrap();
        assert_eq!(table.leases.as_slice(), std::slice::from_ref(&other));
        let [(id, error)] = &table.corrupt[..] else { panic!("{:?}", table.corrupt) };
        assert_eq!((*id, error.kind()), (partition(), StoreErrorKind::Corrupt));
        assert_eq!(error.operation(), StoreOperation::List);
        assert_eq!(kind(store.renew(&lease).await), StoreErrorKind::Corrupt);
        assert!(matches!(store.renew(&other).await.unwrap(), Hold::Kept(_)));
        assert_eq!(fs::read(&path).unwrap(), body, "it is kept as it is");

        let free = Leaser::ensure(&store, partition()).await.unwrap();
        assert!(free.token.is_none());
        assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Lost(_)));
        assert_eq!(quarantined(folder.path()), [body]);
    }
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_is_never_taken_for_none() {
    for body in wrong_bodies() {
        let folder = TempDir::new().unwrap();
        let store = store(folder.path());
        let (lease, _) = enter(&store, partition()).await;
        let path = files(folder.path()).join("0.checkpoint");
        fs::write(&path, &body).unwrap();

        let corrupt = StoreErrorKind::Corrupt;
        assert_eq!(kind(store.load(partition()).await), corrupt);
        assert_eq!(kind(Checkpointer::ensure(&store, &lease).await), corrupt);
        assert_eq!(kind(store.store(&lease, &checkpoint(1)).await), corrupt);
        assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)), "leases go on");
        assert_eq!(fs::read(&path).unwrap(), body, "it is kept as it is");

        assert!(Checkpointer::delete(&store, partition()).await.unwrap());
        assert_eq!(store.load(partition()).await.unwrap(), None);
        assert_eq!(quarantined(folder.path()), [body]);
    }
}

fn quarantined(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let found = fs::read_dir(files(folder).join("quarantine")).unwrap();
    found.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn what_others_wrote_beside_stays() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let (lease, _) = enter(&store, partition()).await;
    store.store(&lease, &checkpoint(1)).await.unwrap();
    let add = |name: &str| {
        let path = files(folder.path()).join(name);
        let mut body: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        body["theirs"] = serde_json::json!({"a": [1, null]});
        fs::write(&path, body.to_string()).unwrap();
    };
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(files(folder.path()).join(name)).unwrap()).unwrap()
    };
    add("0.lease");
    add("0.checkpoint");
    assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));
    assert_eq!(store.store(&lease, &checkpoint(2)).await.unwrap(), Commit::Stored);
    let (lease, _) = enter(&store, partition()).await;
    store.release(&lease).await.unwrap();
    for name in ["0.lease", "0.checkpoint"] {
        assert_eq!(read(name)["theirs"], serde_json::json!({"a": [1, null]}), "{name}");
    }
    assert_eq!(read("0.lease")["partitionID"], "0");
    assert_eq!(read("0.lease")["epoch"], 2);
    assert_eq!(read("0.lease")["owner"], "");
    assert_eq!(read("0.checkpoint")["sequenceNumber"], 2);
}

#[tokio::test]
async fn a_record_that_would_not_be_read_back_is_not_written() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let (lease, _) = enter(&store, partition()).await;
    let path = files(folder.path()).join("0.lease");
    let mut body: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // Nearly as long as a body may be: a level of nineteen digits is too much.
    let theirs = r#","theirs":"""#.len();
    let room = eventhubs_eph::MAX_BODY - body.to_string().len() - theirs - 5;
    body["theirs"] = "x".repeat(room).into();
    fs::write(&path, body.to_string()).unwrap();
    assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));
    let before = fs::read(&path).unwrap();
    let mut raised = lease.clone();
    raised.epoch = eventhubs_protocol::OwnerLevel::new(i64::MAX).unwrap();
    assert_eq!(kind(store.update(&raised).await), StoreErrorKind::InvalidInput);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(store.leases().await.unwrap().corrupt.len(), 0);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_in_nobodys_way() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let (lease, _) = enter(&store, partition()).await;
    for name in ["0.lease.new", "0.checkpoint.new"] {
        fs::write(files(folder.path()).join(name), "{\"half").unwrap();
    }
    assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));
    assert_eq!(store.store(&lease, &checkpoint(1)).await.unwrap(), Commit::Stored);
    let left = fs::read_dir(files(folder.path())).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
}

/// The clock is paused: the patience of the store passes at once.
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_given_back_is_an_error_for_its_partition_only() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let (lease, _) = enter(&store, partition()).await;
    let (other, _) = enter(&store, PartitionId::from(1)).await;
    let lock = File::open(files(folder.path()).join("0.lock")).unwrap();
    lock.lock().unwrap();
    let error = store.renew(&lease).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contended);
    assert!(error.is_retryable() && !error.may_have_been_written());
    assert!(matches!(store.renew(&other).await.unwrap(), Hold::Kept(_)));
    assert_eq!(store.leases().await.unwrap().leases.len(), 2, "listing needs no lock");
    drop(lock);
    assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));
}

#[tokio::test]
async fn a_store_that_is_deleted_under_way_is_not_found_and_never_half_there() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path());
    let (lease, _) = enter(&store, partition()).await;
    let renewing = {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                match store.renew(&lease).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::NotFound, "{error}"),
                }
            }
        })
    };
    for _ in 0..20 {
        assert!(Leaser::delete_store(&store).await.unwrap());
        assert!(Leaser::ensure_store(&store).await.unwrap());
        let table = store.leases().await.unwrap();
        assert_eq!((table.leases.len(), table.corrupt.len()), (0, 0), "{table:?}");
        Leaser::ensure(&store, partition()).await.unwrap();
    }
    renewing.await.unwrap();
    let left = fs::read_dir(files(folder.path()).parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "deleted stores leave nothing");
}

#[tokio::test]
async fn stores_of_other_hubs_and_groups_are_apart() {
    use eventhubs_eph::FileStore;
    use eventhubs_protocol::{ConsumerGroup, HubName};
    let folder = TempDir::new().unwrap();
    let of = |namespace: &str, hub: &str, group: &str| {
        let (hub, group) = (HubName::new(hub).unwrap(), ConsumerGroup::new(group).unwrap());
        FileStore::new(folder.path(), namespace, &hub, &group).unwrap()
    };
    let first = of("ns", "a", "default");
    enter(&first, partition()).await;
    let others = [of("ns2", "a", "default"), of("ns", "b", "default"), of("ns", "a", "$Default")];
    for other in others {
        assert!(!Leaser::store_exists(&other).await.unwrap(), "{other:?}");
        Leaser::ensure_store(&other).await.unwrap();
        assert_eq!(other.leases().await.unwrap().leases, Vec::<Lease>::new());
    }
    assert!(Leaser::store_exists(&of("NS", "A", "DEFAULT")).await.unwrap(), "cases are one");
    for namespace in ["", ".", "..", "a\0"] {
        let hub = HubName::new("a").unwrap();
        let refused = FileStore::new(folder.path(), namespace, &hub, &ConsumerGroup::default());
        assert_eq!(kind(refused), StoreErrorKind::InvalidInput, "{namespace:?}");
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn nobody_else_can_read_it() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("root");
        let store = store(&root);
        let (lease, _) = enter(&store, partition()).await;
        store.store(&lease, &checkpoint(1)).await.unwrap();
        store.leases().await.unwrap();
        let group = files(&root);
        for level in group.ancestors().take_while(|level| level.starts_with(&root)) {
            assert_eq!(mode(level), 0o700, "{level:?}");
        }
        let files: Vec<_> = fs::read_dir(group).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 4, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }

    #[tokio::test]
    async fn symbolic_links_are_not_followed() {
        let folder = TempDir::new().unwrap();
        let store = store(folder.path());
        let (lease, _) = enter(&store, partition()).await;
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let group = files(folder.path());

        // Where a file is about to be written the link goes, not what it points to.
        symlink(&victim, group.join("0.lease.new")).unwrap();
        assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));

        let refused = StoreErrorKind::Unauthorized;
        for name in ["0.lease", "0.lock", "clock"] {
            let path = group.join(name);
            let aside = group.join("aside");
            if path.exists() {
                fs::rename(&path, &aside).unwrap();
            }
            symlink(&victim, &path).unwrap();
            match name {
                "clock" => assert_eq!(kind(store.leases().await), refused),
                _ => assert_eq!(kind(store.renew(&lease).await), refused, "{name}"),
            }
            fs::remove_file(&path).unwrap();
            if aside.exists() {
                fs::rename(&aside, &path).unwrap();
            }
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(matches!(store.renew(&lease).await.unwrap(), Hold::Kept(_)));

        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&group, &elsewhere).unwrap();
        symlink(&elsewhere, &group).unwrap();
        assert!(!Leaser::store_exists(&store).await.unwrap());
        assert_eq!(kind(Leaser::ensure_store(&store).await), refused);
        assert_eq!(kind(store.leases().await), StoreErrorKind::NotFound);
        assert!(!Leaser::delete_store(&store).await.unwrap());
        assert!(elsewhere.join("0.lease").exists());
    }
}
