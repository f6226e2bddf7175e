//! What a ledger is kept in, behind one small trait: numbered batches that are the ledger, and files derived from them.
//!
//! One operation carries all safety: *create batch number k if absent, durably*. Batches are immutable and densely
//! numbered, so the tree at each size is a pure function of them, and two sequencers can never sign different roots
//! for one size. Nothing here needs compare-and-swap.
//!
//! The trait blocks: the ledger calls it from threads of its own. A store across a network brings its runtime's handle.

#[cfg(any(feature = "postgres", feature = "s3"))]
mod bridge;
#[cfg(test)]
mod conformance;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "s3")]
pub mod s3;

use std::ops::Range;

use crate::tree::Hash;

/// Where the signed checkpoint lies among the files.
pub const CHECKPOINT: &str = "checkpoint";

/// What went wrong below, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A place for one ledger.
///
/// The contract, and all that the ledger relies on:
///
/// - **Durable** means: there after every crash, power cut and failover the store claims to survive.
/// - Batches are **linearizable**: once [`create_batch`](Self::create_batch) has answered [`Create::Created`], every call
///   of any process that begins later sees the batch. Never answered from a cache.
/// - A batch or file is never seen in part, never changed, and never created twice with different bytes.
/// - Only the calls named `remove…` take anything away.
/// - At most one thread creates batches at a time in one process; everything else may be called by any thread at any time.
///
/// A store does not interpret what it keeps, and it does not retry: the ledger knows what may be retried.
pub trait Store: Send + Sync + 'static {
    /// Whether nobody else can create batches here while this is open, so that what this process confirmed is all there
    /// is.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Creates batch `batch.number` if there is none of that number, durably, in one piece.
    ///
    /// The answer says what is known, never what is likely; each [`Create`] has its promise. A store that can refuses a
    /// number below its newest batch as [`Create::Exists`] even when that batch has been removed.
    fn create_batch(&self, batch: &Batch<'_>) -> Create;

    /// The numbers of the batches that are there: from the oldest one kept to one past the newest. `0..0` when there
    /// was never one.
    fn batches(&self) -> Result<Range<u64>, StoreError>;

    /// The number of the batch that holds the entry `index`, or of one shortly before it. `None` when that batch was
    /// removed or does not exist yet.
    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError>;

    /// The bytes of batch `first` and of some that follow it, one after the other: more than one only as far as they fit
    /// into `limit` bytes together. Empty when batch `first` is not there.
    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError>;

    /// Removes batches below number `below`; it may keep some of them. Never the newest batch, whatever `below` says.
    fn remove_batches(&self, below: u64) -> Result<(), StoreError>;

    /// Called once, when the ledger has found the store to be its own and complete, before the first batch is created:
    /// makes durable what was read, for a process before may have failed between writing and syncing. Until then the
    /// ledger changes nothing in an existing store.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Creates immutable files. When it returns all of them are durable, names included: a store groups its syncs here.
    ///
    /// A file that is there is compared and left alone; other bytes are [`StoreError::Differs`]. After an error any of
    /// them may be there; calling again with the same files is right.
    fn create_files(&self, files: &[File]) -> Result<(), StoreError>;

    /// A whole file; `None` when there is none of that name.
    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes the files directly below `directory`, which has no `/` at its end, and the directory. None need be there.
    fn remove_files(&self, directory: &str) -> Result<(), StoreError>;

    /// Puts `bytes` in the place of one of the few files that change, such as [`CHECKPOINT`]: whole, and durable when it
    /// returns. After an error the old or the new content is there. `version` never shrinks; for the checkpoint it is
    /// the size of its tree. A store that can refuses to go back to a smaller one, so that a delayed write never replaces
    /// what is newer.
    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// What is better done beside the path of an append, such as preparing space. Called now and then, by one thread;
    /// [`StoreError::StorageFull`] and [`StoreError::Unavailable`] only postpone it.
    fn maintain(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// One batch on its way into a store: its bytes, and what a store may want to index it by.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its number: one more than that of the batch before, from 0.
    pub number: u64,
    /// Index of its first entry.
    pub first_index: u64,
    /// Number of its entries, at least 1.
    pub count: u32,
    /// Hash of the batch before it.
    pub previous: Hash,
    /// All of it, as [`record`](crate::record) describes it: what `read_batches` gives back.
    pub bytes: &'a [u8],
}

/// What became of [`Store::create_batch`].
#[derive(Debug)]
#[must_use]
pub enum Create {
    /// It is there, durably, and this call put it there.
    Created,
    /// A batch of this number was there before. Whose it is has to be read.
    Exists,
    /// No space. It is certainly not there and will not appear.
    StorageFull,
    /// It may be there, or not, or appear later: a timeout, a lost connection. The ledger reads it back and retries
    /// nothing but the same bytes.
    Unknown(Cause),
    /// It may be there or not, and what is read back from now on proves nothing: a failed sync. The ledger stops.
    Failed(Cause),
}

/// An immutable file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the ledger, with `/`, such as `tile/0/x001/067`.
    pub path: String,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

/// Why a store did not do what it was asked, creating batches aside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space; the same call may succeed later.
    #[error("no space is left for the ledger")]
    StorageFull,
    /// It did not answer, or not in time; the same call may succeed later.
    #[error("the ledger's store is not available: {0}")]
    Unavailable(#[source] Cause),
    /// An immutable file is there with other bytes: another history.
    #[error("{path} differs from what the batches say")]
    Differs {
        /// Which file.
        path: String,
    },
    /// It failed for good: after this nothing is to be written.
    #[error("the ledger's store failed: {0}")]
    Failed(#[source] Cause),
}

impl StoreError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StorageFull => "ledger_storage_full",
            Self::Unavailable(_) => "ledger_unavailable",
            Self::Differs { .. } => "ledger_file_differs",
            Self::Failed(_) => "ledger_io",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::StorageFull => Some("free some space; the ledger goes on by itself"),
            Self::Unavailable(_) => Some("check that the store can be reached; the ledger goes on by itself"),
            Self::Differs { .. } => Some("keep the store as evidence and audit the ledger"),
            Self::Failed(_) => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::StorageFull | Self::Unavailable(_))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        if crate::disk::is_full(&error) {
            Self::StorageFull
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::StorageFull => std::io::ErrorKind::StorageFull.into(),
            StoreError::Failed(cause) => match cause.downcast::<Self>() {
                Ok(error) => *error,
                Err(cause) => Self::other(cause),
            },
            error => Self::other(error),
        }
    }
}
