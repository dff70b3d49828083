//! The store in files beyond the contract: what is on disk, who may touch it, and what processes
//! that are killed leave behind.
#![cfg(test)]

mod disk;
mod processes;

use std::path::{Path, PathBuf};

use eventhubs_eph::{
    Acquire, Checkpoint, Checkpointer, Claim, Fence, FileStore, Lease, LeaseToken, Leaser, OwnerId,
};
use eventhubs_protocol::{ConsumerGroup, HubName, Offset, PartitionId};

fn partition() -> PartitionId {
    PartitionId::from(0)
}

fn store(folder: &Path) -> FileStore {
    let hub = HubName::new("hub").unwrap();
    FileStore::new(folder, "ns", &hub, &ConsumerGroup::default()).unwrap()
}

/// Where the files of a store are.
fn files(folder: &Path) -> PathBuf {
    folder.join("ns").join("hub").join("%24default")
}

fn checkpoint(number: i64) -> Checkpoint {
    Checkpoint::new(Offset::new(&number.to_string()).unwrap(), number.into(), None)
}

/// Makes the store if need be and owns a partition, with its checkpoint; the number stored before.
async fn enter(store: &FileStore, partition: PartitionId) -> (Lease, Option<i64>) {
    Leaser::ensure_store(store).await.unwrap();
    let claim = Claim::new(OwnerId::unique(), LeaseToken::unique());
    let lease = loop {
        let seen = Leaser::ensure(store, partition).await.unwrap();
        if let Acquire::Won(lease) = store.acquire(&seen, &claim).await.unwrap() {
            break lease;
        }
    };
    match Checkpointer::ensure(store, &lease).await.unwrap() {
        Fence::Up(before) => (lease, before.map(|before| before.sequence_number.as_i64())),
        Fence::Lost { epoch } => panic!("lost to {epoch}"),
    }
}
