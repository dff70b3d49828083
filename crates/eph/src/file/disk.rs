//! Files that are read and replaced whole, and locks that end with their process.
//!
//! What this stands on:
//!
//! * A lock belongs to an open file (`flock` on POSIX systems, `LockFileEx` on Windows). The system
//!   drops it when the file is closed, which it is when the process ends, killed or not. Two handles
//!   exclude each other in one process as well.
//! * A rename within a folder replaces the name at one moment (POSIX `rename`; Windows, where the
//!   standard library opens files so that they may be replaced while somebody reads them). Who had
//!   opened the old file reads the old one to its end.
//! * What was written is durable after `fsync` of the file, and its name after `fsync` of the
//!   folder; on Windows the journal of NTFS holds the rename.
//! * A listing is sure to have names that are neither made nor removed while it is taken, so what
//!   is listed (the locks) is never renamed.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use eventhubs_protocol::Timestamp;

use crate::record::MAX_BODY;

/// How often a file is looked at that is replaced just then.
const READS_MAX: usize = 100;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Found {
    /// What is in it, at most one byte more than a body may have.
    pub(super) body: Vec<u8>,
    /// When it was written, by the clock of the file system.
    pub(super) written: Timestamp,
}

/// Reads a file; `None` when there is none. Follows no symbolic link and opens nothing but a plain
/// file.
pub(super) fn read(path: &Path) -> io::Result<Option<Found>> {
    // A replacement between the look and the opening makes them differ: look again.
    for _ in 0..READS_MAX {
        let Some(seen) = plain(path)? else { return Ok(None) };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let opened = file.metadata()?;
        if !is_same(&seen, &opened) {
            continue;
        }
        let mut body = Vec::new();
        file.take(MAX_BODY as u64 + 1).read_to_end(&mut body)?;
        return Ok(Some(Found { body, written: opened.modified()?.into() }));
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "the file was replaced at every look"))
}

/// Replaces a file, or makes it: after a crash at any moment there is the old or the new one, whole.
/// Gives the moment of the writing, by the clock of the file system.
///
/// Only who has the lock of the record may call this, so the name of the temporary file needs no
/// luck, and one that a crash left behind is nobody's.
pub(super) fn replace(folder: &Path, name: &str, body: &[u8]) -> io::Result<Timestamp> {
    let temporary = folder.join(format!("{name}.new"));
    remove(&temporary)?;
    // create_new follows no symbolic link.
    let mut file = private().write(true).create_new(true).open(&temporary)?;
    file.write_all(body)?;
    file.sync_all()?;
    let written = file.metadata()?.modified()?;
    drop(file);
    fs::rename(&temporary, folder.join(name))?;
    sync(folder)?;
    Ok(written.into())
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a folder for this user only, if there is none; whether it was made. What is there instead
/// must be a folder and no link to one.
pub(super) fn make_folder(path: &Path) -> io::Result<bool> {
    match private_folder().create(path) {
        Ok(()) => {
            sync(path.parent().unwrap_or(path))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match is_folder(path)? {
            true => Ok(false),
            false => Err(io::Error::new(ErrorKind::NotADirectory, "no folder, or a link to one")),
        },
        Err(error) => Err(error),
    }
}

/// Makes the folder that the user named, and those above it; it may be there, or be a link to one.
pub(super) fn make_root(path: &Path) -> io::Result<()> {
    private_folder().recursive(true).create(path)
}

/// Whether there is a folder, and no link to one.
pub(super) fn is_folder(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What came of trying a lock.
#[derive(Debug)]
pub(super) enum Locked {
    /// Held until the file is dropped or the process ends, however it ends.
    Held(File),
    /// Somebody else holds it.
    Busy,
    /// There is no such lock.
    Missing,
}

/// Tries to lock a file that nothing is ever written to; `make` makes it if it is missing.
///
/// The system takes a lock away when the process that holds it ends, so there are no stale locks.
pub(super) fn lock(path: &Path, make: bool) -> io::Result<Locked> {
    let file = match plain(path)? {
        Some(_) => private().write(true).open(path),
        None if !make => return Ok(Locked::Missing),
        None => private().write(true).create_new(true).open(path),
    };
    let file = match file {
        Ok(file) => file,
        // Made or removed by somebody else since we looked.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Locked::Busy),
        Err(error) if error.kind() == ErrorKind::NotFound && !make => return Ok(Locked::Missing),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Locked::Busy),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // The store may have been deleted, and made anew, before the lock was had: then this is the
    // lock of files that are gone.
    match plain(path)? {
        Some(seen) if is_same(&seen, &file.metadata()?) => Ok(Locked::Held(file)),
        Some(_) => Ok(Locked::Busy),
        None if make => Ok(Locked::Busy),
        None => Ok(Locked::Missing),
    }
}

/// The moment it is, by the clock of the file system: the date of a file written just now. Hosts
/// that write at once can make it only later, which it is by then.
pub(super) fn now(folder: &Path) -> io::Result<Timestamp> {
    let path = folder.join("clock");
    let mut file = match plain(&path)? {
        Some(_) => private().write(true).open(&path)?,
        None => match private().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                private().write(true).open(&path)?
            }
            other => other?,
        },
    };
    file.write_all(b"0")?;
    Ok(file.metadata()?.modified()?.into())
}

/// What is at a path, if it is a plain file.
fn plain(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(_) => Err(io::Error::new(ErrorKind::PermissionDenied, "no plain file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Folders of this user only.
fn private_folder() -> DirBuilder {
    #[cfg(unix)]
    {
        let mut builder = DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
    }
    #[cfg(not(unix))]
    DirBuilder::new()
}

/// Options for files of this user only.
fn private() -> OpenOptions {
    #[cfg(unix)]
    {
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
    }
    #[cfg(not(unix))]
    OpenOptions::new()
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere a folder with open files cannot be renamed, and making links takes a privilege.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Makes names that were made in a folder durable.
#[cfg(unix)]
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a rename is in the journal of the file system when it returns.
#[cfg(not(unix))]
pub(super) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
