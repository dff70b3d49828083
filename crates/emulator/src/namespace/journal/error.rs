//! Why a data folder cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::ConfigError;

/// Why a data folder cannot be used.
///
/// ```
/// use eventhubs_emulator::{Config, DataError, Emulator, StartError};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let folder = tempfile::tempdir().unwrap();
/// let config = Config::default().in_memory().with_data(folder.path());
/// let first = Emulator::start(config.clone()).await.unwrap();
/// let second = Emulator::start(config).await.unwrap_err();
/// assert!(matches!(second, StartError::Data(DataError::InUse { .. })));
/// # });
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// Another emulator uses the folder.
    #[error("the data folder {folder} is in use by another emulator")]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// "read", "write", ...
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The list of hubs cannot be understood. Nothing was changed.
    #[error("{path}, line {line}: {reason}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There are hubs without the list that names them. Nothing was changed.
    #[error("the data folder {folder} holds events but its file 'manifest' is missing")]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// What the folder holds together with what is configured cannot be served.
    #[error("the data folder and the configuration together are not valid: {0}")]
    Config(#[from] ConfigError),
}

impl DataError {
    /// Names the path that an operation failed on.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
