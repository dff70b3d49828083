//! The folder of one hub and group: the calls of the store on files, each of them blocking.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use eventhubs_protocol::{PartitionId, Timestamp};
use uuid::Uuid;

use super::{body, disk};
use crate::error::{StoreError, StoreErrorKind, StoreOperation};
use crate::lease::{Lease, LeaseTable, Version};
use crate::owner::OwnerId;
use crate::presence::{Presence, PresenceTable};
use crate::record::{InvalidRecord, MAX_BODY};
use crate::rules::Mark;

const LOCK: &str = ".lock";
const LEASE: &str = ".lease";
const CHECKPOINT: &str = ".checkpoint";
const PRESENCE: &str = "presence";
/// Where records go that cannot be read.
const QUARANTINE: &str = "quarantine";

/// How often a folder is removed that gets another file just then.
const REMOVALS_MAX: usize = 100;

/// What a lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The lease and the checkpoint of a partition.
    Partition(PartitionId),
    /// The presences of all hosts.
    Presence,
}

impl Place {
    fn lock_name(self) -> String {
        match self {
            Self::Partition(id) => format!("{id}{LOCK}"),
            Self::Presence => format!("{PRESENCE}{LOCK}"),
        }
    }

    fn entity(self) -> String {
        match self {
            Self::Partition(id) => format!("partition {id}"),
            Self::Presence => "the presences".to_owned(),
        }
    }
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct Group {
    /// The folder that the user named.
    pub(super) root: PathBuf,
    /// The folders below it, from the outside to the inside.
    pub(super) levels: Vec<String>,
}

impl Group {
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(self.levels.iter().collect::<PathBuf>())
    }

    pub(super) fn exists(&self) -> Result<bool, StoreError> {
        disk::is_folder(&self.folder()).map_err(|error| fault(error, StoreOperation::Provision))
    }

    pub(super) fn make(&self) -> Result<bool, StoreError> {
        let make = || {
            disk::make_root(&self.root)?;
            let mut path = self.root.clone();
            let mut is_made = false;
            for level in &self.levels {
                path.push(level);
                is_made = disk::make_folder(&path)?;
            }
            Ok(is_made)
        };
        make().map_err(|error: io::Error| match error.kind() {
            // A folder above went away in between: somebody deletes.
            ErrorKind::NotFound => {
                let (kind, operation) = (StoreErrorKind::Contended, StoreOperation::Provision);
                StoreError::new(kind, operation, "the store", "it is being deleted")
                    .with_source(error)
            }
            _ => fault(error, StoreOperation::Provision),
        })
    }

    /// Takes the folder out of the way first, so that nobody sees half of it.
    pub(super) fn destroy(&self) -> Result<bool, StoreError> {
        let destroy = || {
            let folder = self.folder();
            if !disk::is_folder(&folder)? {
                return Ok(false);
            }
            // No encoded name begins with a dot.
            let above = folder.parent().unwrap_or(&self.root);
            let aside = above.join(format!(".deleted-{}", Uuid::new_v4()));
            match fs::rename(&folder, &aside) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
            disk::sync(above)?;
            // Somebody who was about to make a file may still do so: at most one each.
            let mut removed = fs::remove_dir_all(&aside);
            for _ in 0..REMOVALS_MAX {
                match removed {
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                        removed = fs::remove_dir_all(&aside);
                    }
                    other => return other.map(|()| true),
                }
            }
            removed.map(|()| true)
        };
        destroy().map_err(|error| fault(error, StoreOperation::Provision))
    }

    /// Tries the lock of a place; `None` when somebody else has it.
    pub(super) fn try_lock(
        &self,
        place: Place,
        operation: StoreOperation,
        make: bool,
    ) -> Result<Option<Held>, StoreError> {
        let folder = self.folder();
        let failed = |error| fault(error, operation);
        if !disk::is_folder(&folder).map_err(failed)? {
            return Err(missing(operation));
        }
        let guard = match disk::lock(&folder.join(place.lock_name()), make).map_err(failed)? {
            disk::Locked::Held(lock) => Guard::Lock(lock),
            disk::Locked::Busy => return Ok(None),
            disk::Locked::Missing => Guard::Nothing,
        };
        Ok(Some(Held { folder, place, operation, guard }))
    }

    /// All leases. Needs no lock: files are replaced whole.
    pub(super) fn leases(&self) -> Result<LeaseTable, StoreError> {
        let folder = self.folder();
        let failed = |error| fault(error, StoreOperation::List);
        if !disk::is_folder(&folder).map_err(failed)? {
            return Err(missing(StoreOperation::List));
        }
        let (mut leases, mut corrupt) = (Vec::new(), Vec::new());
        for id in partitions(&folder).map_err(failed)? {
            let held = Held {
                folder: folder.clone(),
                place: Place::Partition(id),
                operation: StoreOperation::List,
                guard: Guard::Reading,
            };
            match held.lease() {
                Ok(lease) => leases.extend(lease),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => corrupt.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        corrupt.sort_by_key(|(id, _)| *id);
        let date = disk::now(&folder).map_err(failed)?;
        let mut table = LeaseTable::new(date, leases);
        table.corrupt = corrupt;
        Ok(table)
    }
}

/// The partitions that have a lock: all that ever had a lease.
///
/// The locks are listed and not the leases, because a listing is sure to have only what is neither
/// made nor removed nor renamed meanwhile, and leases are replaced all the time.
fn partitions(folder: &Path) -> io::Result<Vec<PartitionId>> {
    let mut partitions = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(LOCK));
        partitions.extend(id.and_then(|id| PartitionId::new(id).ok()));
    }
    partitions.sort_unstable();
    partitions.dedup();
    Ok(partitions)
}

/// Why a place may be looked at.
#[derive(Debug)]
enum Guard {
    /// Its lock is held.
    Lock(#[expect(dead_code, reason = "it is held, not used")] File),
    /// There was no lock, so there was nothing in the place, whatever comes there meanwhile.
    Nothing,
    /// Nothing will be written.
    Reading,
}

/// A place that may be looked at, and changed if its lock is held.
#[derive(Debug)]
pub(super) struct Held {
    folder: PathBuf,
    place: Place,
    operation: StoreOperation,
    guard: Guard,
}

impl Held {
    fn name(&self, kind: &str) -> String {
        match self.place {
            Place::Partition(id) => format!("{id}{kind}"),
            Place::Presence => PRESENCE.to_owned(),
        }
    }

    fn failed(&self, error: io::Error) -> StoreError {
        fault(error, self.operation)
    }

    fn corrupt(&self, what: &str, error: InvalidRecord) -> StoreError {
        let entity = format!("{what} of {}", self.place.entity());
        let detail = format!("{error}; the file is kept as it is");
        StoreError::new(StoreErrorKind::Corrupt, self.operation, entity, detail).with_source(error)
    }

    fn read(&self, kind: &str) -> Result<Option<disk::Found>, StoreError> {
        match self.guard {
            Guard::Nothing => Ok(None),
            Guard::Lock(_) | Guard::Reading => {
                let path = self.folder.join(self.name(kind));
                disk::read(&path).map_err(|error| self.failed(error))
            }
        }
    }

    fn replace(&self, kind: &str, body: &[u8]) -> Result<Timestamp, StoreError> {
        if body.len() > MAX_BODY {
            let (kind, entity) = (StoreErrorKind::InvalidInput, self.place.entity());
            let detail = format!("{} bytes would be more than is read back", body.len());
            return Err(StoreError::new(kind, self.operation, entity, detail));
        }
        let name = self.name(kind);
        disk::replace(&self.folder, &name, body).map_err(|error| self.failed(error))
    }

    pub(super) fn lease(&self) -> Result<Option<Lease>, StoreError> {
        let Some(found) = self.read(LEASE)? else { return Ok(None) };
        let lease = body::lease_from_json(&found.body, found.written);
        lease.map(Some).map_err(|error| self.corrupt("the lease", error))
    }

    pub(super) fn write_lease(&self, mut lease: Lease) -> Result<Lease, StoreError> {
        lease.version = Version::new(&Uuid::new_v4().to_string());
        lease.renewed = self.replace(LEASE, &body::lease_to_json(&lease))?;
        Ok(lease)
    }

    pub(super) fn mark(&self) -> Result<Option<Mark>, StoreError> {
        let Some(found) = self.read(CHECKPOINT)? else { return Ok(None) };
        let mark = Mark::from_json(&found.body);
        mark.map(Some).map_err(|error| self.corrupt("the checkpoint", error))
    }

    pub(super) fn write_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        self.replace(CHECKPOINT, &mark.to_json()).map(drop)
    }

    pub(super) fn delete_lease(&self) -> Result<bool, StoreError> {
        self.delete(LEASE, self.lease().is_err())
    }

    pub(super) fn delete_mark(&self) -> Result<bool, StoreError> {
        self.delete(CHECKPOINT, self.mark().is_err())
    }

    /// Deletes a file, or puts it aside when nobody can read it.
    fn delete(&self, kind: &str, is_kept: bool) -> Result<bool, StoreError> {
        let name = self.name(kind);
        let path = self.folder.join(&name);
        let delete = || {
            let is_gone = match is_kept {
                true => {
                    let aside = self.folder.join(QUARANTINE);
                    disk::make_folder(&aside)?;
                    fs::rename(&path, aside.join(format!("{name}-{}", Uuid::new_v4())))?;
                    true
                }
                false => disk::remove(&path)?,
            };
            disk::sync(&self.folder)?;
            Ok(is_gone)
        };
        delete().map_err(|error| self.failed(error))
    }

    pub(super) fn presences(&self) -> Result<PresenceTable, StoreError> {
        let presences = self.hosts()?;
        let date = disk::now(&self.folder).map_err(|error| self.failed(error))?;
        Ok(PresenceTable::new(date, presences.into_values().collect()))
    }

    fn hosts(&self) -> Result<BTreeMap<OwnerId, Presence>, StoreError> {
        let Some(found) = self.read("")? else { return Ok(BTreeMap::new()) };
        body::presences_from_json(&found.body).map_err(|error| self.corrupt("a host", error))
    }

    pub(super) fn announce(&self, presence: &Presence) -> Result<(), StoreError> {
        // Hosts say again what they are every few seconds: nothing is lost with a broken file.
        let mut hosts = match self.hosts() {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                self.delete("", true)?;
                BTreeMap::new()
            }
            other => other?,
        };
        let now = disk::now(&self.folder).map_err(|error| self.failed(error))?;
        hosts.retain(|_, host| host.is_present(now));
        let seen = Presence { seen: now, ..presence.clone() };
        hosts.insert(presence.owner.clone(), seen);
        self.replace("", &body::presences_to_json(&hosts)).map(drop)
    }

    pub(super) fn withdraw(&self, owner: &OwnerId) -> Result<(), StoreError> {
        let mut hosts = self.hosts()?;
        match hosts.remove(owner) {
            Some(_) => self.replace("", &body::presences_to_json(&hosts)).map(drop),
            None => Ok(()),
        }
    }
}

fn missing(operation: StoreOperation) -> StoreError {
    StoreError::new(StoreErrorKind::NotFound, operation, "the store", "its folder is not there")
}

/// What a failure of the file system means.
fn fault(error: io::Error, operation: StoreOperation) -> StoreError {
    let (kind, detail) = match error.kind() {
        // The folder went away under the call: the store was deleted.
        ErrorKind::NotFound => return missing(operation).with_source(error),
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::ReadOnlyFilesystem => {
            (StoreErrorKind::Unauthorized, "the file system refuses")
        }
        _ => (StoreErrorKind::Unavailable, "the file system failed"),
    };
    StoreError::new(kind, operation, "the store", detail).with_source(error)
}
