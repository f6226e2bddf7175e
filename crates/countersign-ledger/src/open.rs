//! Opens a ledger's directory: creates it, or proves that it is the same ledger as before, or refuses.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::disk::{Disk, is_full};
use crate::entries::{EntryReader, ReadError, SignedTree, StoredTiles};
use crate::entry::EntryError;
use crate::freshness::{CheckpointSigner, SignedFreshness};
use crate::journal;
use crate::keys::{self, Signed};
use crate::local::{LocalError, LocalStore};
use crate::note::NoteSigner;
use crate::proof;
use crate::publish::{Publisher, Served};
use crate::record::WriterId;
use crate::recover::RecoverError;
use crate::registry::{RebuildError, Registry};
use crate::resume::{Resumed, resume};
use crate::sequencer::{Head, Sequencer};
use crate::store::{CHECKPOINT, File, Store, StoreError};
use crate::tiler::Tiler;
use crate::time::Time;

const LOCK: &str = "lock";
const ORIGIN: &str = "origin";
const KEY: &str = "key.vkey";
const FRESHNESS_KEY: &str = "freshness.vkey";

/// The least time for which batches are kept: far longer than a sequencer may sleep without looking again.
pub const RETENTION_MIN: Duration = Duration::from_mins(10);

/// Where a ledger lies and how it works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ledger's directory, on a local file system; created when absent.
    pub directory: PathBuf,
    /// The ledger's name: its URL without scheme and trailing slash. Also the name of its key.
    pub origin: String,
    /// At most this long after new entries their tiles and checkpoint are published.
    pub publish_interval: Duration,
    /// At most this many entries share one sync.
    pub batch_entries_max: usize,
    /// At most this many entries wait; more are refused with `ledger_busy`.
    pub queue_max: usize,
    /// Size of a journal segment in bytes, preallocated.
    pub segment_bytes: u64,
    /// The ledger's second key and how often it signs; without it no checkpoint states a time.
    pub freshness: Option<SignedFreshness>,
    /// Batches are kept for at least this long after their entries are in full bundles. At least [`RETENTION_MIN`].
    pub retention: Duration,
    /// Read all entries at start instead of the tree's right edge, and make again every derived file that is missing.
    pub recompute: bool,
    /// The largest checkpoint that somebody outside, such as a witness, has seen: a ledger that has less is refused.
    pub seen: Option<Checkpoint>,
}

impl Options {
    /// Soon enough for auditors, rare enough that tile files do not crowd the journal's syncs.
    pub const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);
    /// About 2 MB of entries: one write that a disk takes in a few milliseconds.
    pub const BATCH_ENTRIES_MAX: usize = 16_384;
    /// Two batches: one in the making, one waiting.
    pub const QUEUE_MAX: usize = 32_768;
    /// About 140,000 issuances; 16 MiB of zeros are written in some 30 ms.
    pub const SEGMENT_BYTES: u64 = 16 << 20;
    /// Long enough to look into what happened, short enough that a token is not stored twice for long.
    pub const RETENTION: Duration = Duration::from_hours(1);

    /// The defaults, for a ledger called `origin` in `directory`.
    pub fn new(directory: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            origin: origin.into(),
            publish_interval: Self::PUBLISH_INTERVAL,
            batch_entries_max: Self::BATCH_ENTRIES_MAX,
            queue_max: Self::QUEUE_MAX,
            segment_bytes: Self::SEGMENT_BYTES,
            freshness: None,
            retention: Self::RETENTION,
            recompute: false,
            seen: None,
        }
    }
}

/// A ledger's parts, proved to belong together.
pub(crate) struct Opened {
    pub(crate) entries: EntryReader,
    pub(crate) registry: Registry,
    pub(crate) sequencer: Sequencer,
    pub(crate) publisher: Publisher,
    pub(crate) served: Served,
}

/// The store in a directory. Everything but its lock and its end is still to be looked at.
pub(crate) fn open_local(
    disk: Arc<dyn Disk>,
    options: &Options,
    signer: &NoteSigner,
    threads: usize,
) -> Result<LocalStore, OpenError> {
    check_options(options, signer)?;
    if disk.read(ORIGIN)?.is_none() {
        refuse_foreign(&*disk)?;
    }
    Ok(LocalStore::open(
        disk,
        &options.origin,
        options.segment_bytes,
        threads,
    )?)
}

/// Opens or creates the ledger in `store`.
pub(crate) fn open(
    store: Arc<dyn Store>,
    options: &Options,
    signer: NoteSigner,
    time: Arc<dyn Time>,
) -> Result<Opened, OpenError> {
    check_options(options, &signer)?;
    initialise(&*store, options, &signer)?;
    let note = store.read_file(CHECKPOINT)?.ok_or(OpenError::CheckpointMissing)?;
    let checkpoint = Checkpoint::open(&note, signer.verifier()).map_err(OpenError::CheckpointInvalid)?;
    let resumed = resume(&store, &checkpoint, options.recompute)?;
    refuse_rollback(&*store, options, &checkpoint, &resumed)?;
    store.settle()?;
    write_freshness_key(&*store, options)?;

    let head = Arc::new(Head::new(
        resumed.position.next_index,
        resumed.position.next_number,
    ));
    let tree = Arc::new(SignedTree::new(checkpoint.size, checkpoint.root));
    let entries = EntryReader::new(store.clone(), head.clone(), tree);
    let tiles = StoredTiles(&*store);
    let believed = Signed {
        checkpoint: &checkpoint,
        edge: &resumed.tiler,
        tiles: &tiles,
    };
    let registry = keys::read(&entries, (!resumed.incomplete).then_some(&believed))?;
    let served: Served = Arc::new(RwLock::new(note.into()));
    let sequencer = Sequencer::new(store.clone(), time, head, writer_id()?, resumed.position);
    let publisher = Publisher::new(
        store,
        entries.clone(),
        CheckpointSigner::new(signer, options.freshness.clone()),
        resumed.tiler,
        served.clone(),
        resumed.incomplete,
    );
    Ok(Opened {
        entries,
        registry,
        sequencer,
        publisher,
        served,
    })
}

/// Random: no two processes write as one.
fn writer_id() -> Result<WriterId, OpenError> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| OpenError::Io(io::Error::other("no randomness")))?;
    Ok(id)
}

/// What somebody else has seen of this ledger must still be there.
fn refuse_rollback(
    store: &dyn Store,
    options: &Options,
    checkpoint: &Checkpoint,
    resumed: &Resumed,
) -> Result<(), OpenError> {
    let Some(seen) = &options.seen else {
        return Ok(());
    };
    let head = resumed.position.next_index;
    if seen.size > head {
        return Err(OpenError::RolledBack {
            seen: seen.size,
            head,
        });
    }
    // Between the signed size and the head nothing was ever signed, unless an older checkpoint was put back.
    if seen.size > checkpoint.size {
        return Err(OpenError::RolledBack {
            seen: seen.size,
            head: checkpoint.size,
        });
    }
    let tiles = StoredTiles(store);
    let consistent = proof::consistency(&tiles, seen.size, checkpoint.size)
        .and_then(|path| {
            proof::verify_consistency(seen.size, checkpoint.size, &path, &seen.root, &checkpoint.root)
        })
        .is_ok();
    if consistent {
        Ok(())
    } else {
        Err(OpenError::Rewritten { size: seen.size })
    }
}

/// The smallest segment. A batch that is longer gets a segment of its own length.
const SEGMENT_BYTES_MIN: u64 = 1 << 12;

fn check_options(options: &Options, signer: &NoteSigner) -> Result<(), OpenError> {
    if options.origin != signer.name() {
        return Err(OpenError::SignerName);
    }
    let counts = [options.batch_entries_max, options.queue_max];
    if counts.contains(&0) || options.batch_entries_max > 1 << 20 {
        return Err(OpenError::OptionsInvalid);
    }
    if !(SEGMENT_BYTES_MIN..=1 << 32).contains(&options.segment_bytes) {
        return Err(OpenError::OptionsInvalid);
    }
    if options.retention < RETENTION_MIN {
        return Err(OpenError::OptionsInvalid);
    }
    Ok(())
}

/// Creates what a new ledger consists of, or checks that an old one is ours.
///
/// The `origin` file is written last of all: a store with it is complete, one without it holds nothing yet.
fn initialise(store: &dyn Store, options: &Options, signer: &NoteSigner) -> Result<(), OpenError> {
    let vkey = format!("{}\n", signer.verifier_key());
    let create = |path: &str, bytes: &[u8]| {
        store.create_files(&[File {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
        }])
    };
    let name = format!("{}\n", options.origin);
    let Some(origin) = store.read_file(ORIGIN)? else {
        let checkpoint = store.read_file(CHECKPOINT)?;
        if store.batches()?.end > 0 || checkpoint.is_some_and(|note| !is_empty_tree(&note)) {
            return Err(OpenError::NotALedger);
        }
        create_key(store, &vkey)?;
        let empty = Checkpoint {
            origin: options.origin.clone(),
            size: 0,
            root: Tiler::default().root(),
        };
        store.replace_file(CHECKPOINT, 0, &signer.sign(&empty.encode()))?;
        create(ORIGIN, name.as_bytes())?;
        return Ok(());
    };
    if origin != name.as_bytes() {
        return Err(OpenError::OriginMismatch);
    }
    create_key(store, &vkey)
}

/// The key is derived from the signer, and the checkpoint's signature still has to verify: where it is missing it is
/// written again.
fn create_key(store: &dyn Store, vkey: &str) -> Result<(), OpenError> {
    match store.read_file(KEY)? {
        Some(found) if found == vkey.as_bytes() => Ok(()),
        Some(_) => Err(OpenError::KeyMismatch),
        None => Ok(store.create_files(&[File {
            path: KEY.to_owned(),
            bytes: vkey.as_bytes().to_vec(),
        }])?),
    }
}

/// Publishes the second key beside the first. Nothing relies on the file: whoever checks freshness brings the key.
fn write_freshness_key(store: &dyn Store, options: &Options) -> Result<(), StoreError> {
    let Some(freshness) = &options.freshness else {
        return Ok(());
    };
    let vkey = format!("{}\n", freshness.cosigner.verifier());
    if store.read_file(FRESHNESS_KEY)?.as_deref() == Some(vkey.as_bytes()) {
        return Ok(());
    }
    store.replace_file(FRESHNESS_KEY, 0, vkey.as_bytes())
}

fn is_empty_tree(note: &[u8]) -> bool {
    note.split(|byte| *byte == b'\n').nth(1) == Some(b"0")
}

/// A directory without `origin` may hold only what a creation that was cut off leaves behind.
fn refuse_foreign(disk: &dyn Disk) -> Result<(), OpenError> {
    let ours = |name: &str| {
        let name = name.strip_suffix(".tmp").unwrap_or(name);
        [LOCK, ORIGIN, KEY, CHECKPOINT, journal::DIRECTORY].contains(&name)
    };
    if disk.list("")?.iter().all(|name| ours(name)) {
        Ok(())
    } else {
        Err(OpenError::NotALedger)
    }
}

/// Why a ledger does not open. An existing ledger was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has this ledger open")]
    InUse,
    /// The path names something else.
    #[error("the ledger's path is not a directory")]
    NotADirectory,
    /// No permission to write.
    #[error("the ledger's directory cannot be written")]
    ReadOnly,
    /// Holds files, but no ledger.
    #[error("the directory holds something that is not a complete ledger")]
    NotALedger,
    /// An option is outside its range.
    #[error("an option is outside its range")]
    OptionsInvalid,
    /// The signing key's name is not the origin.
    #[error("the signing key's name is not the ledger's origin")]
    SignerName,
    /// The directory belongs to a ledger of another name.
    #[error("the directory holds a ledger with another origin")]
    OriginMismatch,
    /// The directory belongs to a ledger with another key.
    #[error("the directory holds a ledger with another signing key")]
    KeyMismatch,
    /// The signed checkpoint is gone.
    #[error("the ledger's signed checkpoint is missing")]
    CheckpointMissing,
    /// The stored checkpoint does not verify.
    #[error("the ledger's signed checkpoint is not valid: {0}")]
    CheckpointInvalid(#[source] CheckpointError),
    /// A journal file is damaged in its middle.
    #[error("{file} is damaged at byte {offset}")]
    Corrupt {
        /// Which file, relative to the ledger.
        file: String,
        /// Where in the file.
        offset: u64,
    },
    /// A batch does not follow the one before it.
    #[error("the batch at byte {offset} of {file} does not follow the one before it")]
    ChainBroken {
        /// Which file, relative to the ledger.
        file: String,
        /// Where in the file.
        offset: u64,
    },
    /// An intact batch holds an entry this release cannot read.
    #[error("entry {index} cannot be read: {error}")]
    EntryUnreadable {
        /// The entry's index.
        index: u64,
        /// What is wrong with it.
        error: EntryError,
    },
    /// A batch in the store does not follow the one before it, or cannot be read.
    #[error("batch {batch} does not follow the one before it, or cannot be read")]
    BatchBroken {
        /// The batch's number.
        batch: u64,
    },
    /// Neither a batch nor a published bundle holds an entry that was signed for.
    #[error("entry {index} is in no batch and in no bundle")]
    EntriesMissing {
        /// The first entry that is missing.
        index: u64,
    },
    /// Somebody has seen more of this ledger than is there.
    #[error("the ledger was seen with {seen} entries, and has {head}: an older copy was restored")]
    RolledBack {
        /// The size that was seen.
        seen: u64,
        /// Entries that are there.
        head: u64,
    },
    /// The signed checkpoint is so old that the batches after it have been removed.
    #[error("the signed checkpoint, of {size} entries, is not the newest: the ledger has {head}")]
    CheckpointOld {
        /// The size that it signs.
        size: u64,
        /// Entries in the ledger.
        head: u64,
    },
    /// The store failed or did not answer.
    #[error(transparent)]
    Store(StoreError),
    /// The journal holds fewer entries than were signed for.
    #[error("the journal holds {journal} entries, but {checkpoint} were signed for")]
    Truncated {
        /// Entries in the journal.
        journal: u64,
        /// Size of the signed checkpoint.
        checkpoint: u64,
    },
    /// The journal's entries are not those that were signed for.
    #[error("the journal's first {size} entries are not those that were signed for")]
    Rewritten {
        /// Size of the signed checkpoint.
        size: u64,
    },
    /// What the entries say of keys cannot be read, is not what was signed, or does not hang together.
    #[error("what is said of keys cannot be believed from entry {index} on")]
    KeysUnreadable {
        /// Where it ends.
        index: u64,
    },
    /// No space left.
    #[error("no space is left for the ledger")]
    StorageFull,
    /// The disk failed in another way.
    #[error("a disk operation failed")]
    Io(#[source] io::Error),
}

impl OpenError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse => "ledger_in_use",
            Self::NotADirectory => "ledger_not_a_directory",
            Self::ReadOnly => "ledger_read_only",
            Self::NotALedger => "ledger_not_a_ledger",
            Self::OptionsInvalid => "ledger_options_invalid",
            Self::SignerName => "ledger_signer_name",
            Self::OriginMismatch => "ledger_origin_mismatch",
            Self::KeyMismatch => "ledger_key_mismatch",
            Self::CheckpointMissing => "ledger_checkpoint_missing",
            Self::CheckpointInvalid(_) => "ledger_checkpoint_invalid",
            Self::Corrupt { .. } => "ledger_corrupt",
            Self::ChainBroken { .. } | Self::BatchBroken { .. } => "ledger_chain_broken",
            Self::EntriesMissing { .. } => "ledger_entries_missing",
            Self::RolledBack { .. } => "ledger_rolled_back",
            Self::CheckpointOld { .. } => "ledger_checkpoint_old",
            Self::Store(error) => error.code(),
            Self::EntryUnreadable { .. } => "ledger_entry_unreadable",
            Self::Truncated { .. } => "ledger_truncated",
            Self::Rewritten { .. } => "ledger_rewritten",
            Self::KeysUnreadable { .. } => "ledger_keys_unreadable",
            Self::StorageFull => "ledger_storage_full",
            Self::Io(_) => "ledger_io",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse => "stop the other process, or give this one a directory of its own",
            Self::NotADirectory => "choose a directory, or a path that does not exist yet",
            Self::ReadOnly => "make the directory writable for this user, or choose another one",
            Self::NotALedger => {
                "choose an empty directory; if this was a ledger, restore its origin file from a backup"
            }
            Self::OptionsInvalid => {
                "batches: 1 to 1048576 entries; queue: at least 1; segments: 4 KiB to 4 GiB; retention: at least 10 minutes"
            }
            Self::SignerName => "create the signing key with the ledger's origin as its name",
            Self::OriginMismatch | Self::KeyMismatch => {
                "point to the directory of this ledger, or start a new ledger in an empty one"
            }
            Self::CheckpointMissing | Self::CheckpointInvalid(_) => {
                "restore the checkpoint file from a backup or from anybody who fetched it; keep the directory as evidence"
            }
            Self::Corrupt { .. } | Self::ChainBroken { .. } | Self::BatchBroken { .. } => {
                "keep the directory as evidence, check the disk, and restore the journal from a complete copy"
            }
            Self::KeysUnreadable { .. } => {
                "keep the directory as evidence, audit it, and restore the damaged file from a complete copy"
            }
            Self::EntryUnreadable { .. } => "a newer release may have written it: open it with that release",
            Self::EntriesMissing { .. } => "restore the file from a backup or from anybody who fetched it",
            Self::Truncated { .. } | Self::Rewritten { .. } | Self::RolledBack { .. } => {
                "an older copy is never continued: restore all of the ledger, or open the next log number (a new origin)"
            }
            Self::CheckpointOld { .. } => "put the newest checkpoint back: anybody who fetched it has it",
            Self::Store(error) => return error.hint(),
            Self::StorageFull => "free some space and start again; nothing was lost",
            Self::Io(_) => return None,
        })
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            _ if is_full(&error) => Self::StorageFull,
            _ => Self::Io(error),
        }
    }
}

impl From<RebuildError> for OpenError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Broken { index } | RebuildError::Read(ReadError::Damaged { index }) => {
                Self::KeysUnreadable { index }
            }
            RebuildError::Read(ReadError::Io(error)) => error.into(),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::StorageFull => Self::StorageFull,
            StoreError::Failed(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(cause) => Self::Store(StoreError::Failed(cause)),
            },
            error => Self::Store(error),
        }
    }
}

impl From<LocalError> for OpenError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::InUse => Self::InUse,
            LocalError::Recover(RecoverError::Io(error)) => error.into(),
            LocalError::Recover(RecoverError::Corrupt { file, offset }) => Self::Corrupt { file, offset },
            LocalError::Recover(RecoverError::ChainBroken { file, offset }) => {
                Self::ChainBroken { file, offset }
            }
            LocalError::Recover(RecoverError::OtherOrigin { .. }) => Self::OriginMismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_errors_have_codes_of_their_own() {
        for (kind, code) in [
            (io::ErrorKind::PermissionDenied, "ledger_read_only"),
            (io::ErrorKind::ReadOnlyFilesystem, "ledger_read_only"),
            (io::ErrorKind::NotADirectory, "ledger_not_a_directory"),
            (io::ErrorKind::StorageFull, "ledger_storage_full"),
            (io::ErrorKind::QuotaExceeded, "ledger_storage_full"),
            (io::ErrorKind::UnexpectedEof, "ledger_io"),
        ] {
            assert_eq!(OpenError::from(io::Error::from(kind)).code(), code);
        }
    }
}
