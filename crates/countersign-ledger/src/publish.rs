//! Derives tiles, bundles and the signed checkpoint from the journal. Everything here can be lost and made again.
//!
//! Order of each publication: full and partial tiles, their directories, then the checkpoint, and only when that is
//! durable is it served. So a checkpoint never names a tree whose tiles could be missing after a power cut.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use crate::disk::{Disk, absent_as_none, is_full, parent, replace, replace_durably};
use crate::freshness::CheckpointSigner;
use crate::journal::{JournalReader, ReadError};
use crate::tile::TileName;
use crate::tiler::Tiler;

pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Entries worked through between two rounds of directory syncs: bounds what a crash makes us do again.
const CHUNK: u64 = 1 << 14;

/// The latest signed checkpoint, shared with whoever serves it.
pub(crate) type Served = Arc<RwLock<Arc<[u8]>>>;

/// The one publisher of a ledger.
pub(crate) struct Publisher {
    files: TileFiles,
    journal: Arc<JournalReader>,
    signer: CheckpointSigner,
    tiler: Tiler,
    published: u64,
    served: Served,
    /// Directories of partial tiles whose full tile exists, to be removed one publication later.
    superseded: Vec<String>,
    /// Tiles below the published size were found missing at start.
    incomplete: bool,
}

impl Publisher {
    /// A publisher that goes on from `tiler`, whose size is that of the stored checkpoint.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        journal: Arc<JournalReader>,
        signer: CheckpointSigner,
        tiler: Tiler,
        served: Served,
        incomplete: bool,
    ) -> Self {
        let published = tiler.size();
        let files = TileFiles {
            disk,
            known: BTreeSet::new(),
            unsynced: BTreeSet::new(),
        };
        Self {
            files,
            journal,
            signer,
            tiler,
            published,
            served,
            superseded: Vec::new(),
            incomplete,
        }
    }

    /// Size of the tree whose checkpoint is served.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// What signs the checkpoint.
    pub(crate) fn signer(&self) -> &CheckpointSigner {
        &self.signer
    }

    /// Brings tiles and checkpoint up to what is durable now. After a full disk it can simply be called again.
    pub(crate) fn publish(&mut self) -> Result<(), PublishError> {
        self.complete()?;
        let stamp = self.signer.stamp();
        let head = self.journal.head();
        let is_due = self.signer.due(stamp.now).is_some_and(|due| due <= stamp.now);
        if head == self.published && !is_due {
            return Ok(());
        }
        let mut completed = Vec::new();
        while self.tiler.size() < head {
            let to = head.min(self.tiler.size().saturating_add(CHUNK));
            self.advance(to, &mut completed)?;
        }
        if head != self.published {
            let Self { tiler, files, .. } = self;
            tiler.partials(&mut |name, bytes| files.store(name, bytes))?;
            files.sync_directories()?;
        }
        let note = self.signer.sign(head, self.tiler.root(), &stamp);
        replace_durably(&*self.files.disk, CHECKPOINT, &note)?;
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = note.into();
        if head != self.published {
            self.published = head;
            self.remove_superseded(completed);
        }
        Ok(())
    }

    /// Stores the full tiles of the next entries; the tiler moves on only once they are durable.
    fn advance(&mut self, to: u64, completed: &mut Vec<String>) -> Result<(), PublishError> {
        let mut tiler = self.tiler.clone();
        let Self { files, .. } = self;
        self.journal.visit(tiler.size(), to, &mut |_, entry| {
            tiler.push(entry, &mut |name, bytes| {
                completed.push(name.partial_directory());
                files.store(name, bytes)
            })
        })?;
        self.files.sync_directories()?;
        self.tiler = tiler;
        Ok(())
    }

    /// Makes again whatever is missing below the published size.
    fn complete(&mut self) -> Result<(), PublishError> {
        if !self.incomplete {
            return Ok(());
        }
        let mut tiler = Tiler::default();
        let Self { files, .. } = self;
        let mut store_missing = |name: TileName, bytes: &[u8]| {
            if files.is_whole(&name, bytes.len())? {
                Ok(())
            } else {
                files.store(name, bytes)
            }
        };
        self.journal.visit(0, self.published, &mut |_, entry| {
            tiler.push(entry, &mut store_missing)
        })?;
        tiler.partials(&mut store_missing)?;
        self.files.sync_directories()?;
        self.incomplete = false;
        Ok(())
    }

    /// Removes partial tiles one publication after they were superseded, so that a reader who holds the checkpoint
    /// before still finds them.
    fn remove_superseded(&mut self, completed: Vec<String>) {
        for directory in std::mem::replace(&mut self.superseded, completed) {
            if let Err(error) = absent_as_none(self.files.disk.remove_directory(&directory)) {
                tracing::debug!(directory, %error, "partial tiles not removed");
            }
            self.files.known.remove(&directory);
        }
    }
}

/// Immutable tile files.
struct TileFiles {
    disk: Arc<dyn Disk>,
    /// Directories known to exist durably.
    known: BTreeSet<String>,
    /// Directories with names that are not durable yet.
    unsynced: BTreeSet<String>,
}

impl TileFiles {
    /// Stores a tile. One that is there is compared, never overwritten: other content would be another history.
    fn store(&mut self, name: TileName, bytes: &[u8]) -> io::Result<()> {
        let path = name.to_string();
        let existing = self.disk.read(&path)?;
        if existing.as_deref().is_some_and(|existing| existing != bytes) {
            return Err(io::Error::other(TileDiffers { path }));
        }
        self.ensure_directory(parent(&path))?;
        if existing.is_none() {
            replace(&*self.disk, &path, bytes)?;
        }
        self.unsynced.insert(parent(&path).to_owned());
        Ok(())
    }

    /// Whether the tile or, for a partial one, its full successor is there with the right length.
    fn is_whole(&self, name: &TileName, length: usize) -> io::Result<bool> {
        Ok(self.disk.length(&name.to_string())? == Some(crate::bytes::wide(length)))
    }

    fn ensure_directory(&mut self, path: &str) -> io::Result<()> {
        if path.is_empty() || self.known.contains(path) {
            return Ok(());
        }
        self.ensure_directory(parent(path))?;
        self.disk.create_directory(path)?;
        // Also when it was there: a crash may have come between making it and syncing its parent.
        self.disk.sync_directory(parent(path))?;
        self.known.insert(path.to_owned());
        Ok(())
    }

    fn sync_directories(&mut self) -> io::Result<()> {
        while let Some(directory) = self.unsynced.first().cloned() {
            self.disk.sync_directory(&directory)?;
            self.unsynced.remove(&directory);
        }
        Ok(())
    }
}

/// A tile on disk is not what the journal says; carried through `io::Error` by the callbacks.
#[derive(Debug, thiserror::Error)]
#[error("{path} differs from what the journal says")]
struct TileDiffers {
    path: String,
}

/// Why a publication failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// Room is needed; the next attempt may succeed.
    #[error("no space for tiles or checkpoint")]
    StorageFull,
    #[error("{path} differs from what the journal says")]
    TileDiffers { path: String },
    #[error("writing tiles or checkpoint failed")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Read(ReadError),
}

impl From<io::Error> for PublishError {
    fn from(error: io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<TileDiffers>())
        {
            Some(TileDiffers { path }) => Self::TileDiffers { path: path.clone() },
            None if is_full(&error) => Self::StorageFull,
            None => Self::Io(error),
        }
    }
}

impl From<ReadError> for PublishError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error.into(),
            error @ ReadError::Damaged { .. } => Self::Read(error),
        }
    }
}
