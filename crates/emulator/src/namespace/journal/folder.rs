//! A data folder: its lock, its list of hubs, and where each partition's files are.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::namespace::journal::partition::sync_folder;
use crate::namespace::journal::{
    Damage, DataError, Durability, HubRecord, Manifest, PartitionJournal,
};
use crate::namespace::log::PartitionLog;
use crate::namespace::sequencer::Sequencers;

const MANIFEST: &str = "manifest";
const HUBS: &str = "hubs";
const LOCK: &str = "lock";

/// A data folder that this process has to itself.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    durability: Durability,
    /// Locked for as long as it is open.
    _lock: File,
}

impl DataFolder {
    /// Takes a folder, creating it if need be, and reads its list of hubs.
    pub(crate) fn open(path: &Path, durability: Durability) -> Result<(Self, Manifest), DataError> {
        fs::create_dir_all(path).map_err(DataError::io("create", path))?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
        let file = file.map_err(DataError::io("open", &lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataError::InUse { folder: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(DataError::io("lock", &lock)(error)),
        }
        let folder = Self { path: path.to_owned(), durability, _lock: file };
        let manifest = folder.manifest()?;
        Ok((folder, manifest))
    }

    fn manifest(&self) -> Result<Manifest, DataError> {
        let path = self.path.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match fs::read_dir(self.path.join(HUBS))
                    .is_ok_and(|mut d| d.next().is_some())
                {
                    true => Err(DataError::NoManifest { folder: self.path.clone() }),
                    false => Ok(Manifest::default()),
                };
            }
            Err(error) => return Err(DataError::io("read", &path)(error)),
        };
        Manifest::parse(&text).map_err(|error| DataError::Manifest {
            path,
            line: error.line,
            reason: error.reason,
        })
    }

    /// Writes the list of hubs: either the old one or the new one is there, whatever happens.
    pub(crate) fn save(&self, manifest: &Manifest) -> io::Result<()> {
        let path = self.path.join(MANIFEST);
        let written = path.with_extension("new");
        let mut file = File::create(&written)?;
        file.write_all(manifest.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&written, &path)?;
        sync_folder(&self.path)
    }

    /// Where a partition's files are.
    fn partition(&self, hub: &HubRecord, number: u32) -> PathBuf {
        self.hub(hub.id, &hub.name).join(number.to_string())
    }

    /// The journal of a partition that has no files yet.
    pub(crate) fn journal(&self, hub: &HubRecord, number: u32) -> PartitionJournal {
        PartitionJournal::new(self.partition(hub, number), self.durability)
    }

    /// Reads what is known of a partition.
    pub(crate) fn recover(
        &self,
        hub: &HubRecord,
        number: u32,
        known: (&mut PartitionLog, &mut Sequencers),
        damage: &mut Vec<Damage>,
    ) -> Result<PartitionJournal, DataError> {
        PartitionJournal::recover(self.partition(hub, number), self.durability, known, damage)
    }

    /// Removes the events of a hub that is no longer in the list.
    pub(crate) fn remove(&self, id: u64, name: &str) {
        remove(&self.hub(id, name));
    }

    /// Removes the events of hubs whose deletion was cut short.
    pub(crate) fn remove_orphans(&self, manifest: &Manifest) {
        let known: HashSet<_> =
            manifest.hubs.iter().map(|hub| self.hub(hub.id, &hub.name)).collect();
        for entry in fs::read_dir(self.path.join(HUBS)).into_iter().flatten().flatten() {
            if !known.contains(&entry.path()) {
                remove(&entry.path());
            }
        }
    }

    fn hub(&self, id: u64, name: &str) -> PathBuf {
        self.path.join(HUBS).join(format!("{id}-{}", name.to_ascii_lowercase()))
    }
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "deleted events cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}
