//! Derives tiles, bundles and the signed checkpoint from the batches. Everything here can be lost and made again, as
//! long as the batches, or the bundles of those that were removed, are there.
//!
//! Order of each publication: full and partial tiles, durable, then the checkpoint, and only when that is durable is it
//! served. So a checkpoint never names a tree whose tiles could be missing after a power cut.

use std::sync::{Arc, PoisonError, RwLock};

use crate::entries::{EntryReader, ReadError};
use crate::freshness::CheckpointSigner;
use crate::rules::{Rule, kept};
use crate::store::{CHECKPOINT, File, Store, StoreError};
use crate::tile::TileName;
use crate::tiler::Tiler;

/// Entries worked through between two rounds of syncs: bounds memory, and what a crash makes us do again.
const CHUNK: u64 = 1 << 14;

/// The latest signed checkpoint, shared with whoever serves it.
pub(crate) type Served = Arc<RwLock<Arc<[u8]>>>;

/// The one publisher of a ledger.
pub(crate) struct Publisher {
    store: Arc<dyn Store>,
    entries: EntryReader,
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
        store: Arc<dyn Store>,
        entries: EntryReader,
        signer: CheckpointSigner,
        tiler: Tiler,
        served: Served,
        incomplete: bool,
    ) -> Self {
        let published = tiler.size();
        Self {
            store,
            entries,
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

    /// Brings tiles and checkpoint up to what is durable now. After an error that says so it can be called again.
    pub(crate) fn publish(&mut self) -> Result<(), PublishError> {
        self.complete()?;
        let stamp = self.signer.stamp();
        let head = self.entries.head();
        let is_due = self.signer.due(stamp.now).is_some_and(|due| due <= stamp.now);
        if head == self.published && !is_due {
            return Ok(());
        }
        let mut completed = Vec::new();
        while self.tiler.size() < head {
            self.advance(head, &mut completed)?;
        }
        let root = self.tiler.root();
        let note = self.signer.sign(head, root, &stamp);
        self.store.replace_file(CHECKPOINT, head, &note)?;
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = note.into();
        if let Some(signed) = self.entries.signed() {
            signed.set(head, root);
        }
        if head != self.published {
            self.published = head;
            self.remove_superseded(completed);
        }
        Ok(())
    }

    /// Stores the tiles of the next entries, with the partial ones when that is all; moves on only once they are durable.
    fn advance(&mut self, head: u64, completed: &mut Vec<String>) -> Result<(), PublishError> {
        let mut tiler = self.tiler.clone();
        let to = head.min(tiler.size().saturating_add(CHUNK));
        let mut files = Vec::new();
        self.entries.visit(tiler.size(), to, &mut |_, entry| {
            tiler.push(entry, &mut |name, bytes| {
                completed.push(name.partial_directory());
                files.push(file(name, bytes));
                Ok(())
            })
        })?;
        if to == head {
            tiler.partials(&mut |name, bytes| {
                files.push(file(name, bytes));
                Ok(())
            })?;
        }
        if kept(Rule::TilesBeforeCheckpoint) {
            self.store.create_files(&files)?;
        }
        self.tiler = tiler;
        Ok(())
    }

    /// Makes again whatever is missing below the published size.
    fn complete(&mut self) -> Result<(), PublishError> {
        if !self.incomplete {
            return Ok(());
        }
        let mut tiler = Tiler::default();
        // The start has recomputed the root from just these entries; the tiles that would prove it are what is missing.
        let entries = self.entries.to_unchecked();
        while tiler.size() < self.published {
            let to = self.published.min(tiler.size().saturating_add(CHUNK));
            let mut missing = Vec::new();
            let store = &self.store;
            let mut keep_missing = |name: TileName, bytes: &[u8]| {
                if store.read_file(&name.to_string())?.is_none() {
                    missing.push(file(name, bytes));
                }
                Ok(())
            };
            entries.visit(tiler.size(), to, &mut |_, entry| {
                tiler.push(entry, &mut keep_missing)
            })?;
            if to == self.published {
                tiler.partials(&mut keep_missing)?;
            }
            self.store.create_files(&missing)?;
        }
        self.incomplete = false;
        Ok(())
    }

    /// Removes partial tiles one publication after they were superseded, so that a reader who holds the checkpoint
    /// before still finds them.
    fn remove_superseded(&mut self, completed: Vec<String>) {
        for directory in std::mem::replace(&mut self.superseded, completed) {
            if let Err(error) = self.store.remove_files(&directory) {
                tracing::debug!(directory, %error, "partial tiles not removed");
            }
        }
    }
}

fn file(name: TileName, bytes: &[u8]) -> File {
    File {
        path: name.to_string(),
        bytes: bytes.to_vec(),
    }
}

/// Why a publication failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(ReadError),
}

impl PublishError {
    /// Whether the next attempt may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_temporary())
    }
}

impl From<std::io::Error> for PublishError {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<StoreError>() {
            Ok(error) => Self::Store(error),
            Err(error) => Self::Store(error.into()),
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
