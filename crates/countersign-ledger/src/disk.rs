//! The few disk operations the ledger is built from. Paths are relative to the ledger's directory, with `/`.
//!
//! The contract each implementation keeps, and all that recovery relies on:
//! a byte written is durable once `sync` of its file returned; a name created, renamed or removed is durable once
//! `sync_directory` of its directory returned; `rename` replaces atomically; before that anything may be lost, in any
//! order, and a write may be torn at 512-byte boundaries, but bytes that were durable stay as they were.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::rules::{Rule, kept};

/// A directory that holds one ledger.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Creates one directory (its parent exists); `Ok(false)` when it was there.
    fn create_directory(&self, path: &str) -> io::Result<bool>;
    /// Makes the names in a directory durable. The ledger's own directory is `""`.
    fn sync_directory(&self, path: &str) -> io::Result<()>;
    /// The names in a directory, in no order; empty when it does not exist.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Creates an empty file for reading and writing, replacing what is there.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// The whole of a file; `None` when it does not exist.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// A file's length; `None` when it does not exist.
    fn length(&self, path: &str) -> io::Result<Option<u64>>;
    /// Renames a file, replacing the target atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes a directory and the files in it.
    fn remove_directory(&self, path: &str) -> io::Result<()>;
    /// Takes the exclusive lock for as long as the result lives; `None` when somebody else holds it.
    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync + 'static {
    /// Fills as much of `buffer` as the file has from `offset` on; returns how much.
    fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content durable (`fdatasync`: the size too when it changed).
    fn sync(&self) -> io::Result<()>;
}

/// A real directory of a local file system.
pub(crate) struct LocalDisk {
    root: PathBuf,
}

impl LocalDisk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

impl Disk for LocalDisk {
    fn create_directory(&self, path: &str) -> io::Result<bool> {
        match fs::create_dir(self.path(path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(path))?;
        Ok(Arc::new(LocalFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(path))?;
        Ok(Arc::new(LocalFile(file)))
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        absent_as_none(fs::read(self.path(path)))
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(absent_as_none(fs::metadata(self.path(path)))?.map(|metadata| metadata.len()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn remove_directory(&self, path: &str) -> io::Result<()> {
        fs::remove_dir_all(self.path(path))
    }

    fn lock(&self, path: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

struct LocalFile(File);

impl DiskFile for LocalFile {
    fn read_up_to(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let from = offset.saturating_add(crate::bytes::wide(filled));
            match self.0.read_at(rest, from) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// "Not found" as an answer instead of an error. A file where a directory should be counts as not found too.
pub(crate) fn absent_as_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether an error says that the disk (or a quota) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Writes a file's content durably under a temporary name, and returns that name.
pub(crate) fn write_aside(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<String> {
    let temporary = format!("{path}.tmp");
    let written = disk.create(&temporary).and_then(|file| {
        file.write_at(bytes, 0)?;
        if kept(Rule::SyncBeforeRelease) {
            file.sync()?;
        }
        Ok(())
    });
    if let Err(error) = written {
        // Gives the space back on a full disk; whether that works changes nothing.
        let _ = disk.remove(&temporary);
        return Err(error);
    }
    Ok(temporary)
}

/// Replaces a file so that a crash leaves the old or the new content, durable including its name: temporary file, sync,
/// rename, sync of the directory.
pub(crate) fn replace_durably(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_aside(disk, path, bytes)?;
    disk.rename(&temporary, path)?;
    if kept(Rule::SyncDirectories) {
        disk.sync_directory(parent(path))?;
    }
    Ok(())
}

/// The directory a path lies in.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}
