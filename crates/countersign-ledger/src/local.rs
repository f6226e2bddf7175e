//! The store on local disk: batches in a journal, files as files.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::disk::{Disk, absent_as_none, parent, replace_durably, write_aside};
use crate::journal::{self, Journal};
use crate::recover::{RecoverError, Unsettled, find};
use crate::rules::{Rule, kept};
use crate::store::{Batch, Create, File, Store, StoreError};
use crate::tree::sha256;

const LOCK: &str = "lock";
/// Directories remembered to exist; beyond this they are looked at again.
const KNOWN_MAX: usize = 1 << 12;

/// One ledger in one directory, under an exclusive lock for as long as this lives.
pub(crate) struct LocalStore {
    disk: Arc<dyn Disk>,
    journal: Journal,
    unsettled: Mutex<Unsettled>,
    /// Directories known to exist durably.
    known: Mutex<BTreeSet<String>>,
    /// So many files are written at once.
    threads: usize,
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl LocalStore {
    /// Locks the directory and finds the end of its journal. Changes nothing but the lock.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        origin: &str,
        segment_bytes: u64,
        threads: usize,
    ) -> Result<Self, LocalError> {
        let lock = disk.lock(LOCK)?.ok_or(LocalError::InUse)?;
        let origin = sha256(origin.as_bytes());
        let found = find(&*disk, &origin)?;
        let journal = Journal::new(
            disk.clone(),
            origin,
            segment_bytes,
            found.segments,
            found.next,
            found.current,
        );
        Ok(Self {
            disk,
            journal,
            unsettled: Mutex::new(found.unsettled),
            known: Mutex::default(),
            threads: threads.max(1),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Lets another process in. What was opened for reading stays readable.
    pub(crate) fn unlock(&self) {
        drop(held(&self.lock).take());
    }

    /// Stores files by several threads: their syncs share what the file system does for each.
    fn write_files(&self, files: &[File]) -> io::Result<Vec<()>> {
        let share = files.len().div_ceil(self.threads).max(1);
        if share == files.len() || self.threads == 1 {
            return files.iter().map(|file| self.write_file(file)).collect();
        }
        thread::scope(|scope| {
            let workers: Vec<_> = files
                .chunks(share)
                .map(|files| scope.spawn(|| files.iter().try_for_each(|file| self.write_file(file))))
                .collect();
            let joined = workers.into_iter().map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread that stores files panicked")))
            });
            joined.collect()
        })
    }

    /// Stores one file; its name is not durable yet. One that is there is compared, never overwritten.
    fn write_file(&self, file: &File) -> io::Result<()> {
        match self.disk.read(&file.path)? {
            Some(existing) if existing == file.bytes => return Ok(()),
            Some(_) => {
                let path = file.path.clone();
                return Err(io::Error::other(StoreError::Differs { path }));
            }
            None => {}
        }
        let temporary = write_aside(&*self.disk, &file.path, &file.bytes)?;
        self.disk.rename(&temporary, &file.path)
    }

    fn ensure_directory(&self, path: &str) -> io::Result<()> {
        if path.is_empty() || held(&self.known).contains(path) {
            return Ok(());
        }
        self.ensure_directory(parent(path))?;
        self.disk.create_directory(path)?;
        // Also when it was there: a crash may have come between making it and syncing its parent.
        self.sync_directory(parent(path))?;
        let mut known = held(&self.known);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(path.to_owned());
        Ok(())
    }

    fn sync_directory(&self, path: &str) -> io::Result<()> {
        if kept(Rule::SyncDirectories) {
            self.disk.sync_directory(path)?;
        }
        Ok(())
    }
}

impl Store for LocalStore {
    /// The directory's lock sees to it.
    fn is_exclusive(&self) -> bool {
        true
    }

    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        self.journal.create(batch)
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        Ok(self.journal.batches())
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        Ok(self.journal.find(index)?)
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        Ok(self.journal.read(first, limit)?)
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        Ok(self.journal.remove(below)?)
    }

    fn settle(&self) -> Result<(), StoreError> {
        if kept(Rule::SettleAtStart) {
            held(&self.unsettled).settle(&*self.disk)?;
        } else {
            self.disk.create_directory(journal::DIRECTORY)?;
        }
        Ok(())
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        let directories: BTreeSet<&str> = files.iter().map(|file| parent(&file.path)).collect();
        for directory in &directories {
            self.ensure_directory(directory)?;
        }
        self.write_files(files).map_err(store_error)?;
        for directory in &directories {
            self.sync_directory(directory)?;
        }
        Ok(())
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk.read(path)?)
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        held(&self.known).remove(directory);
        absent_as_none(self.disk.remove_directory(directory))?;
        Ok(())
    }

    fn replace_file(&self, path: &str, _version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        // One process, one thread: nothing is delayed, and nothing can come back.
        Ok(replace_durably(&*self.disk, path, bytes)?)
    }

    fn maintain(&self) -> Result<(), StoreError> {
        Ok(self.journal.prepare()?)
    }
}

fn store_error(error: io::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => error,
        Err(error) => error.into(),
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a directory could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error("another process holds the lock")]
    InUse,
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

impl From<io::Error> for LocalError {
    fn from(error: io::Error) -> Self {
        Self::Recover(error.into())
    }
}
