//! A witness's memory: one small file a ledger, which is also the file that a monitor fetches.

use std::io;
use std::path::Path;

use crate::disk::{Disk as _, LocalDisk, replace_durably};

const LOCK: &str = "lock";

/// A directory of `<hex SHA-256 of the origin>/checkpoint`, for one process.
pub(super) struct Store {
    disk: LocalDisk,
    _lock: Box<dyn Send + Sync>,
}

impl Store {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory)?;
        let disk = LocalDisk::new(directory.to_owned());
        let lock = disk.lock(LOCK)?.ok_or(StoreError::InUse)?;
        Ok(Self { disk, _lock: lock })
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(&file(name))
    }

    /// Durable when it returns. After an error the old or the new content may be found at the next start.
    pub(super) fn write(&self, name: &str, note: &[u8]) -> io::Result<()> {
        if self.disk.create_directory(name)? {
            self.disk.sync_directory("")?;
        }
        replace_durably(&self.disk, &file(name), note)
    }
}

fn file(name: &str) -> String {
    format!("{name}/checkpoint")
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it.
    #[error("another process uses this witness's state")]
    InUse,
    /// A stored checkpoint was not cosigned by this witness.
    #[error("{file}/checkpoint was not cosigned by this witness's key")]
    Foreign {
        /// Which directory.
        file: String,
    },
    /// The disk refused.
    #[error("the witness's state cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl StoreError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse => "witness_state_in_use",
            Self::Foreign { .. } => "witness_state_foreign",
            Self::Io(_) => "witness_state_unusable",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse => "stop the other process, or give this one a directory of its own",
            Self::Foreign { .. } => {
                "a witness keeps its key and its state together: restore both, or start a new witness with a new key"
            }
            Self::Io(_) => "name a directory that this user may create and write",
        })
    }
}
