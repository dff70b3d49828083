//! The files of one partition.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::namespace::journal::contents::{Contents, Kept};
use crate::namespace::journal::record::Entry;
use crate::namespace::journal::{Damage, DataError, Durability};
use crate::namespace::log::{Head, PartitionLog, Staged};
use crate::namespace::sequencer::{Numbering, Producer, Sequencers};

/// A file of this size is followed by a new one, so that old ones can be dropped.
const FILE_BYTES: u64 = 16 << 20;

/// What a partition is before something is written: a new file begins with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) head: Head,
    pub(crate) sequencers: &'a Sequencers,
}

/// Where the events of one partition are written.
#[derive(Debug)]
pub(crate) struct PartitionJournal {
    folder: PathBuf,
    durability: Durability,
    /// First sequence number and path of each file, oldest first; the last one is written to.
    files: VecDeque<(i64, PathBuf)>,
    active: Option<Active>,
    /// Written since the last synchronisation.
    dirty: bool,
}

/// The file that is written to.
#[derive(Debug)]
struct Active {
    file: Arc<File>,
    /// Bytes of whole records. There may be more in the file after a write that failed.
    len: u64,
    /// Whether there is more in the file than whole records.
    torn: bool,
}

impl PartitionJournal {
    /// The journal of a partition that has none yet. No file is made before there is something to
    /// write.
    pub(crate) fn new(folder: PathBuf, durability: Durability) -> Self {
        Self { folder, durability, files: VecDeque::new(), active: None, dirty: false }
    }

    /// Writes a publication. When this fails nothing was stored.
    pub(crate) fn append(
        &mut self,
        before: Before<'_>,
        staged: &Staged,
        numbering: Option<Numbering>,
    ) -> io::Result<()> {
        self.write(before, &Entry::Publication(staged.clone(), numbering))
    }

    /// Writes that an idempotent producer was let in.
    pub(crate) fn attach(&mut self, before: Before<'_>, producer: Producer) -> io::Result<()> {
        self.write(before, &Entry::Producer(producer))
    }

    /// Writes that events were let go by hand.
    pub(crate) fn trim(&mut self, before: Before<'_>, events: i64) -> io::Result<()> {
        // Without a file there is no event either.
        match self.files.is_empty() {
            true => Ok(()),
            false => self.write(before, &Entry::Trim(events)),
        }
    }

    /// Drops the files all of whose events are before `begin`; the newest one stays, it says where
    /// the next event goes.
    pub(crate) fn drop_before(&mut self, begin: i64) {
        while self.files.get(1).is_some_and(|(first, _)| *first <= begin) {
            let Some((_, path)) = self.files.pop_front() else { return };
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old file cannot be removed");
            }
        }
    }

    /// The file to synchronise, if something was written to it.
    pub(crate) fn take_dirty(&mut self) -> Option<Arc<File>> {
        let active = self.active.as_ref()?;
        std::mem::take(&mut self.dirty).then(|| Arc::clone(&active.file))
    }

    #[cfg(test)]
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    fn write(&mut self, before: Before<'_>, entry: &Entry) -> io::Result<()> {
        let durability = self.durability;
        let active = self.active(before)?;
        let end = active.write(entry)?;
        if durability == Durability::Each {
            active.settle(active.file.sync_data())?;
        }
        active.len = end;
        self.dirty = durability != Durability::Each;
        Ok(())
    }

    /// The file to write to: the newest one, unless it is full or there is none.
    fn active(&mut self, before: Before<'_>) -> io::Result<&mut Active> {
        if let Some((_, path)) = self.files.back().filter(|_| self.active.is_none()) {
            self.active = Some(Active::open(path)?);
        }
        if self.active.as_ref().is_none_or(|active| active.len >= FILE_BYTES) {
            let path = self.folder.join(name(before.head));
            fs::create_dir_all(&self.folder)?;
            let mut next = Active::create(&path, before.head)?;
            for producer in before.sequencers.producers() {
                next.len = next.write(&Entry::Producer(producer.clone()))?;
            }
            if self.durability != Durability::None {
                if let Some(full) = &self.active {
                    full.file.sync_data()?;
                }
                // The folders of the partition, the hub and all hubs may be as new as the file.
                self.folder.ancestors().take(3).try_for_each(sync_folder)?;
            }
            self.files.push_back((before.head.next, path));
            self.active = Some(next);
        }
        self.active.as_mut().ok_or_else(|| io::Error::other("no file to write to"))
    }

    /// Reads what a partition's files hold, repairs what is broken, and reports it.
    pub(crate) fn recover(
        folder: PathBuf,
        durability: Durability,
        (log, sequencers): (&mut PartitionLog, &mut Sequencers),
        damage: &mut Vec<Damage>,
    ) -> Result<Self, DataError> {
        let found = files(&folder)?;
        let mut journal = Self::new(folder, durability);
        let count = found.len();
        for (index, (start, path)) in found.into_iter().enumerate() {
            let bytes = fs::read(&path).map_err(DataError::io("read", &path))?;
            let contents = Contents::read(&bytes);
            let repair = Repair { path: &path, file: &bytes, is_last: index + 1 == count };
            repair.perform(&contents, start, damage)?;
            if index == 0 {
                log.resume(contents.head.unwrap_or(start));
            }
            journal.replay(contents, start, (log, sequencers), damage);
            journal.files.push_back((start.next, path));
            log.fit();
        }
        Ok(journal)
    }

    /// Puts what a file holds behind what is in `log`.
    fn replay(
        &self,
        contents: Contents,
        start: Head,
        (log, sequencers): (&mut PartitionLog, &mut Sequencers),
        damage: &mut Vec<Damage>,
    ) {
        let head = contents.head.unwrap_or(start);
        let mut reach = |log: &PartitionLog, next: i64| {
            let from = log.end();
            if from < next {
                let partition = self.folder.clone();
                damage.push(Damage::Missing { partition, from, to: next });
            }
        };
        for kept in contents.entries {
            match kept {
                Kept::Publication(staged, numbering) if staged.segment.first >= log.end() => {
                    reach(log, staged.segment.first);
                    log.restore(staged);
                    numbering.into_iter().for_each(|numbering| sequencers.note(numbering));
                }
                // The files before hold these events already.
                Kept::Publication(..) => {}
                Kept::Trim(before) => log.trim(before),
                Kept::Producer(producer) => sequencers.restore(producer),
            }
        }
        if log.end() < head.next {
            reach(log, head.next);
            log.resume(head);
        }
    }
}

impl Active {
    fn create(path: &Path, head: Head) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        // Left behind by an attempt that failed.
        file.set_len(0)?;
        let mut active = Self { file: Arc::new(file), len: 0, torn: false };
        active.len = active.write(&Entry::Head(head))?;
        Ok(active)
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), len, torn: false })
    }

    /// Writes a record behind the whole ones. The result is where it ends; it belongs to the file
    /// once `len` says so.
    fn write(&mut self, entry: &Entry) -> io::Result<u64> {
        if self.torn {
            // Only once nothing stands in the way any more is there something to go on from.
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        let record = entry.encode(self.len);
        let (head, data) =
            record.ok_or_else(|| io::Error::other("the publication is longer than 4 GiB"))?;
        self.settle(write_both(&self.file, &head, &data))?;
        Ok(self.len + (head.len() + data.len()) as u64)
    }

    /// After a failure nothing may stay behind of what was refused.
    fn settle(&mut self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.torn = self.file.set_len(self.len).is_err();
        }
        result
    }
}

/// Writes two pieces, in one call unless the system takes them in parts.
fn write_both(mut file: &File, head: &[u8], data: &Bytes) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(head), IoSlice::new(data)])?;
    match head.get(written..) {
        Some(rest) => {
            file.write_all(rest)?;
            file.write_all(data)
        }
        None => file.write_all(data.get(written - head.len()..).unwrap_or_default()),
    }
}

/// What has to be done about a file before it is written to again.
struct Repair<'a> {
    path: &'a Path,
    file: &'a [u8],
    is_last: bool,
}

impl Repair<'_> {
    fn perform(
        &self,
        contents: &Contents,
        start: Head,
        damage: &mut Vec<Damage>,
    ) -> Result<(), DataError> {
        let size = self.file.len();
        let mut damaged = contents.damaged.clone();
        match contents.unfinished {
            // The usual end of a killed process.
            Some(position) if self.is_last && damaged.is_empty() && position > 0 => {
                self.cut(position)?;
                damage.push(Damage::Unfinished {
                    file: self.path.to_owned(),
                    position: position as u64,
                    bytes: (size - position) as u64,
                });
                return Ok(());
            }
            // Killed while the file was made: it never held an event.
            Some(0) if self.is_last => return self.rewrite(contents, start),
            Some(position) => damaged.push(position..size),
            None if damaged.is_empty() && contents.head.is_some() => return Ok(()),
            None => {}
        }
        let kept = self.keep()?;
        self.rewrite(contents, start)?;
        for range in damaged {
            damage.push(Damage::Unreadable {
                file: self.path.to_owned(),
                position: range.start as u64,
                bytes: range.len() as u64,
                kept: kept.clone(),
            });
        }
        Ok(())
    }

    fn cut(&self, position: usize) -> Result<(), DataError> {
        let file = OpenOptions::new().write(true).open(self.path);
        let cut = file.and_then(|file| {
            file.set_len(position as u64)?;
            file.sync_all()
        });
        cut.map_err(DataError::io("cut", self.path))
    }

    /// Copies the file as it is to a name of its own.
    fn keep(&self) -> Result<PathBuf, DataError> {
        let mut number = 1;
        loop {
            let kept = self.path.with_extension(format!("damaged-{number}"));
            match OpenOptions::new().write(true).create_new(true).open(&kept) {
                Ok(mut copy) => {
                    let copied = copy.write_all(self.file).and_then(|()| copy.sync_all());
                    return copied.map(|()| kept.clone()).map_err(DataError::io("write", &kept));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(DataError::io("create", &kept)(error)),
            }
        }
    }

    /// Replaces the file by one with the records that hold.
    fn rewrite(&self, contents: &Contents, start: Head) -> Result<(), DataError> {
        let written = self.path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut next = Active::create(&written, contents.head.unwrap_or(start))?;
            for entry in &contents.entries {
                next.len = next.write(&entry.clone().into())?;
            }
            next.file.sync_all()?;
            fs::rename(&written, self.path)
        };
        write().map_err(DataError::io("repair", self.path))
    }
}

/// The name of a file that begins at a place.
fn name(head: Head) -> String {
    format!("{:020}-{:020}.log", head.next, head.next_offset)
}

/// Where a file begins, by its name.
fn start(name: &str) -> Option<Head> {
    let (next, offset) = name.strip_suffix(".log")?.split_once('-')?;
    let (next, next_offset) = (next.parse().ok()?, offset.parse().ok()?);
    Some(Head { next, next_offset, last: None }).filter(|head| self::name(*head) == name)
}

/// The files of a folder, oldest first.
fn files(folder: &Path) -> Result<Vec<(Head, PathBuf)>, DataError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DataError::io("read", folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(DataError::io("read", folder))?.path();
        let head = path.file_name().and_then(|name| name.to_str()).and_then(start);
        files.extend(head.map(|head| (head, path)));
    }
    files.sort_unstable_by_key(|(head, _)| head.next);
    Ok(files)
}

/// Makes the names in a folder survive a loss of power.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
