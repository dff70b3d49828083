//! What was found broken in a data folder.

use std::fmt;
use std::path::PathBuf;

/// Something in a data folder that is not as it was written; see
/// [`Emulator::damage`](crate::Emulator::damage).
///
/// ```
/// use eventhubs_emulator::{Config, Emulator};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let folder = tempfile::tempdir().unwrap();
/// let config = Config::default().in_memory().with_data(folder.path());
/// let emulator = Emulator::start(config).await.unwrap();
/// for damage in emulator.damage() {
///     eprintln!("{damage}");
/// }
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The last write to a file did not come to its end, as when the process is killed. What it
    /// held was never acknowledged; it was cut off.
    Unfinished {
        /// The file.
        file: PathBuf,
        /// Where the write began, in bytes; the file ends there now.
        position: u64,
        /// How much was cut off.
        bytes: u64,
    },
    /// Bytes of a file were changed from outside. They were taken out, and the file as it was is
    /// kept beside it.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Where the bytes began.
        position: u64,
        /// How many they were.
        bytes: u64,
        /// The file as it was found.
        kept: PathBuf,
    },
    /// Events are missing between others.
    Missing {
        /// The partition's folder.
        partition: PathBuf,
        /// Sequence number of the first one missing.
        from: i64,
        /// Sequence number of the first one that is there again.
        to: i64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { file, position, bytes } => write!(
                f,
                "{}: the last write did not finish, {bytes} bytes from byte {position} on were \
                 cut off; they were never acknowledged",
                file.display()
            ),
            Self::Unreadable { file, position, bytes, kept } => write!(
                f,
                "{}: {bytes} bytes from byte {position} on are damaged and were taken out; the \
                 file as it was is {}",
                file.display(),
                kept.display()
            ),
            Self::Missing { partition, from, to } => {
                write!(f, "{}: the events {from} to {} are missing", partition.display(), to - 1)
            }
        }
    }
}
