//! Opens a ledger's directory: creates it, or proves that it is the same ledger as before, or refuses.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::bytes::wide;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::disk::{Disk, is_full, replace_durably};
use crate::entry::EntryError;
use crate::freshness::{CheckpointSigner, SignedFreshness};
use crate::journal::{self, JournalReader, JournalWriter};
use crate::note::NoteSigner;
use crate::publish::{CHECKPOINT, Publisher, Served};
use crate::recover::{RecoverError, replay};
use crate::tile::TileName;
use crate::tiler::Tiler;
use crate::tree::sha256;

const LOCK: &str = "lock";
const ORIGIN: &str = "origin";
const KEY: &str = "key.vkey";
const FRESHNESS_KEY: &str = "freshness.vkey";

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
}

impl Options {
    /// Soon enough for auditors, rare enough that tile files do not crowd the journal's syncs.
    pub const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);
    /// About 0.7 MB of entries: one write that a disk takes in a few milliseconds.
    pub const BATCH_ENTRIES_MAX: usize = 4096;
    /// Two batches: one in the making, one waiting.
    pub const QUEUE_MAX: usize = 8192;
    /// About 140,000 issuances; 16 MiB of zeros are written in some 30 ms.
    pub const SEGMENT_BYTES: u64 = 16 << 20;

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
        }
    }
}

/// A ledger's parts, proved to belong together.
pub(crate) struct Opened {
    pub(crate) reader: Arc<JournalReader>,
    pub(crate) writer: JournalWriter,
    pub(crate) publisher: Publisher,
    pub(crate) served: Served,
    pub(crate) lock: Box<dyn Send + Sync>,
}

/// Opens or creates the ledger on `disk`.
pub(crate) fn open(disk: Arc<dyn Disk>, options: &Options, signer: NoteSigner) -> Result<Opened, OpenError> {
    check_options(options, &signer)?;
    let lock = disk.lock(LOCK)?.ok_or(OpenError::InUse)?;
    initialise(&*disk, options, &signer)?;
    let note = disk.read(CHECKPOINT)?.ok_or(OpenError::CheckpointMissing)?;
    let checkpoint = Checkpoint::open(&note, signer.verifier()).map_err(OpenError::CheckpointInvalid)?;

    let origin = sha256(options.origin.as_bytes());
    let mut derived = StoredTiles {
        disk: &*disk,
        missing: false,
        failed: None,
    };
    let mut tiler = Tiler::default();
    let mut entries = 0u64;
    let mut recovered = replay(&*disk, &origin, &mut |entry| {
        entries = entries.saturating_add(1);
        if entries <= checkpoint.size {
            // The callback never fails: what goes wrong is kept in `derived`.
            let _ = tiler.push(entry, &mut |name, bytes| {
                derived.look(name, bytes.len());
                Ok(())
            });
        }
    })?;
    if entries < checkpoint.size {
        return Err(OpenError::Truncated {
            journal: entries,
            checkpoint: checkpoint.size,
        });
    }
    if tiler.root() != checkpoint.root {
        return Err(OpenError::Rewritten {
            size: checkpoint.size,
        });
    }
    let _ = tiler.partials(&mut |name, bytes| {
        derived.look(name, bytes.len());
        Ok(())
    });
    let incomplete = derived.finish()?;
    recovered.repair(&*disk)?;
    write_freshness_key(&*disk, options)?;

    let served: Served = Arc::new(RwLock::new(note.into()));
    let reader = recovered.reader;
    let writer = JournalWriter::new(
        disk.clone(),
        reader.clone(),
        origin,
        options.segment_bytes,
        recovered.position,
        recovered.current,
    );
    let signer = CheckpointSigner::new(signer, options.freshness.clone());
    let publisher = Publisher::new(disk, reader.clone(), signer, tiler, served.clone(), incomplete);
    Ok(Opened {
        reader,
        writer,
        publisher,
        served,
        lock,
    })
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
    Ok(())
}

/// Creates what a new ledger consists of, or checks that an old one is ours.
///
/// The `origin` file is written last of all: a directory with it is complete, one without it holds nothing yet.
fn initialise(disk: &dyn Disk, options: &Options, signer: &NoteSigner) -> Result<(), OpenError> {
    let vkey = format!("{}\n", signer.verifier_key());
    let Some(origin) = disk.read(ORIGIN)? else {
        refuse_foreign(disk)?;
        disk.create_directory(journal::DIRECTORY)?;
        disk.sync_directory(journal::DIRECTORY)?;
        replace_durably(disk, KEY, vkey.as_bytes())?;
        let empty = Checkpoint {
            origin: options.origin.clone(),
            size: 0,
            root: Tiler::default().root(),
        };
        replace_durably(disk, CHECKPOINT, &signer.sign(&empty.encode()))?;
        replace_durably(disk, ORIGIN, format!("{}\n", options.origin).as_bytes())?;
        return Ok(());
    };
    if origin != format!("{}\n", options.origin).into_bytes() {
        return Err(OpenError::OriginMismatch);
    }
    match disk.read(KEY)? {
        Some(found) if found == vkey.as_bytes() => Ok(()),
        Some(_) => Err(OpenError::KeyMismatch),
        // Derived from the signer, and the checkpoint's signature still has to verify.
        None => Ok(replace_durably(disk, KEY, vkey.as_bytes())?),
    }
}

/// Publishes the second key beside the first. Nothing relies on the file: whoever checks freshness brings the key.
fn write_freshness_key(disk: &dyn Disk, options: &Options) -> io::Result<()> {
    let Some(freshness) = &options.freshness else {
        return Ok(());
    };
    let vkey = format!("{}\n", freshness.cosigner.verifier());
    if disk.read(FRESHNESS_KEY)?.as_deref() == Some(vkey.as_bytes()) {
        return Ok(());
    }
    replace_durably(disk, FRESHNESS_KEY, vkey.as_bytes())
}

/// A directory without `origin` may hold only what a creation that was cut off leaves behind.
fn refuse_foreign(disk: &dyn Disk) -> Result<(), OpenError> {
    let ours = |name: &str| {
        let name = name.strip_suffix(".tmp").unwrap_or(name);
        [LOCK, ORIGIN, KEY, CHECKPOINT, journal::DIRECTORY].contains(&name)
    };
    let foreign = disk.list("")?.iter().any(|name| !ours(name));
    let signed = disk
        .read(CHECKPOINT)?
        .is_some_and(|note| note.split(|byte| *byte == b'\n').nth(1) != Some(b"0"));
    if foreign || signed || !disk.list(journal::DIRECTORY)?.is_empty() {
        return Err(OpenError::NotALedger);
    }
    Ok(())
}

/// Looks whether derived files are there, with the right length; content is the auditor's business.
struct StoredTiles<'a> {
    disk: &'a dyn Disk,
    missing: bool,
    failed: Option<io::Error>,
}

impl StoredTiles<'_> {
    fn look(&mut self, name: TileName, length: usize) {
        if self.missing || self.failed.is_some() {
            return;
        }
        match self.disk.length(&name.to_string()) {
            Ok(found) => self.missing = found != Some(wide(length)),
            Err(error) => self.failed = Some(error),
        }
        if self.missing {
            tracing::info!(file = %name, "a derived file is missing; it will be made again");
        }
    }

    fn finish(self) -> io::Result<bool> {
        self.failed.map_or(Ok(self.missing), Err)
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
            Self::ChainBroken { .. } => "ledger_chain_broken",
            Self::EntryUnreadable { .. } => "ledger_entry_unreadable",
            Self::Truncated { .. } => "ledger_truncated",
            Self::Rewritten { .. } => "ledger_rewritten",
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
                "batches: 1 to 1048576 entries; queue: at least 1; segments: 4 KiB to 4 GiB"
            }
            Self::SignerName => "create the signing key with the ledger's origin as its name",
            Self::OriginMismatch | Self::KeyMismatch => {
                "point to the directory of this ledger, or start a new ledger in an empty one"
            }
            Self::CheckpointMissing | Self::CheckpointInvalid(_) => {
                "restore the checkpoint file from a backup or from anybody who fetched it; keep the directory as evidence"
            }
            Self::Corrupt { .. } | Self::ChainBroken { .. } => {
                "keep the directory as evidence, check the disk, and restore the journal from a complete copy"
            }
            Self::EntryUnreadable { .. } => "a newer release may have written it: open it with that release",
            Self::Truncated { .. } | Self::Rewritten { .. } => {
                "never continue from an older copy: restore the complete journal, or start a ledger with a new origin"
            }
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

impl From<RecoverError> for OpenError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Io(error) => error.into(),
            RecoverError::Corrupt { file, offset } => Self::Corrupt { file, offset },
            RecoverError::ChainBroken { file, offset } => Self::ChainBroken { file, offset },
            RecoverError::OtherOrigin { .. } => Self::OriginMismatch,
            RecoverError::EntryUnreadable { index, error } => Self::EntryUnreadable { index, error },
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
