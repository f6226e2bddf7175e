//! Audits of a ledger's own directory.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::{AuditError, Report, Source, SourceError, WIDTH, audit_with, note, tile_path};

/// The published files in a ledger's directory, or in a copy of it.
#[derive(Clone, Debug)]
pub struct DirectorySource {
    directory: PathBuf,
}

impl DirectorySource {
    /// The ledger in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }
}

impl Source for DirectorySource {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        match fs::read(self.directory.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(SourceError::Io(error)),
        }
    }
}

/// [`audit`](super::audit) of a ledger's directory, and more: that the journal tells the same entries, in whole
/// batches that follow each other; that the checkpoint is not older than the journal; that no tile lies beyond the
/// checkpoint; and that every older partial tile is the beginning of the newer one.
///
/// While a process has the ledger open, the journal and the tiles may be ahead of the checkpoint.
pub fn audit_directory(directory: &Path, verifier_key: &str) -> Result<Report, AuditError> {
    let running = is_running(directory)?;
    let source = DirectorySource::new(directory);
    let origin = note::Key::parse(verifier_key)
        .ok_or(AuditError::KeyMalformed)?
        .name;
    // Opened at the first entry: after the checkpoint was read, so that a running ledger's journal is never behind it.
    let mut journal: Option<Journal> = None;
    let mut report = audit_with(&source, verifier_key, &mut |path, index, entry| {
        let journal = match &mut journal {
            Some(journal) => journal,
            none => none.insert(Journal::new(directory.to_owned(), &origin, running)?),
        };
        match journal.next()? {
            Some(recorded) if recorded == entry => Ok(()),
            Some(_) => Err(AuditError::JournalDiffers {
                path: path.to_owned(),
                index,
            }),
            None => Err(AuditError::JournalShort { entries: index }),
        }
    })?;
    let mut journal = match journal {
        Some(journal) => journal,
        None => Journal::new(directory.to_owned(), &origin, running)?,
    };
    while journal.next()?.is_some() {}
    if !running {
        if journal.report.entries > report.size {
            let (checkpoint, journal) = (report.size, journal.report.entries);
            return Err(AuditError::CheckpointBehind { checkpoint, journal });
        }
        check_extra_files(directory, &source, report.size)?;
    }
    report.journal = Some(journal.report);
    Ok(report)
}

/// Whether somebody holds the ledger's lock.
fn is_running(directory: &Path) -> Result<bool, AuditError> {
    let file = match File::open(directory.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(SourceError::Io(error).into()),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(SourceError::Io(error).into()),
    }
}

/// Every file below `tile/` must belong to the tree of `size` entries; older partial tiles must be its beginnings.
fn check_extra_files(directory: &Path, source: &DirectorySource, size: u64) -> Result<(), AuditError> {
    let mut expected = BTreeSet::new();
    let rows = std::iter::once(("entries".to_owned(), size)).chain((0u32..8).map(|level| {
        (
            level.to_string(),
            size.checked_shr(level.saturating_mul(8)).unwrap_or(0),
        )
    }));
    for (row, count) in rows {
        for tile in 0..count / WIDTH {
            expected.insert(tile_path(&row, tile));
        }
        if !count.is_multiple_of(WIDTH) {
            expected.insert(format!("{}.p/{}", tile_path(&row, count / WIDTH), count % WIDTH));
        }
    }
    let mut files = Vec::new();
    list_files(directory, "tile", &mut files)?;
    for path in files {
        if !expected.contains(&path) {
            check_older_partial(source, &path, &expected)?;
        }
    }
    Ok(())
}

/// A file that the tree does not need: fine if it is an older, shorter beginning of one that it needs.
fn check_older_partial(
    source: &DirectorySource,
    path: &str,
    expected: &BTreeSet<String>,
) -> Result<(), AuditError> {
    let unexpected = || AuditError::FileUnexpected {
        path: path.to_owned(),
    };
    let (full, width) = path.split_once(".p/").ok_or_else(unexpected)?;
    let width: u64 = width.parse().map_err(|_| unexpected())?;
    let partials = format!("{full}.p/");
    let current = expected
        .get(full)
        .or_else(|| expected.range(partials.clone()..).next());
    let newer = current
        .filter(|path| *path == full || path.starts_with(&partials))
        .ok_or_else(unexpected)?;
    let newer_width = newer
        .strip_prefix(&partials)
        .map_or(Some(WIDTH), |width| width.parse().ok());
    if width == 0 || newer_width.is_none_or(|newer| width >= newer) {
        return Err(unexpected());
    }
    let bytes = source.read(path)?.ok_or_else(unexpected)?;
    let newer = source.read(newer)?.ok_or_else(unexpected)?;
    let whole = if path.starts_with("tile/entries/") {
        let mut rest = bytes.as_slice();
        let mut count = 0u64;
        while super::take_entry(&mut rest).is_some() {
            count = count.saturating_add(1);
        }
        count == width && rest.is_empty()
    } else {
        u64::try_from(bytes.len()).is_ok_and(|length| length == width.saturating_mul(32))
    };
    if whole && newer.starts_with(&bytes) {
        Ok(())
    } else {
        Err(AuditError::PartialDiffers {
            path: path.to_owned(),
        })
    }
}

/// All files below `path`, without the temporary ones that a crash leaves.
fn list_files(directory: &Path, path: &str, files: &mut Vec<String>) -> Result<(), AuditError> {
    let entries = match fs::read_dir(directory.join(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(SourceError::Io)?,
    };
    for entry in entries {
        let entry = entry.map_err(SourceError::Io)?;
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(SourceError::Io)?.is_dir() {
            list_files(directory, &below, files)?;
        } else if Path::new(&below)
            .extension()
            .is_none_or(|extension| extension != "tmp")
        {
            files.push(below);
        }
    }
    Ok(())
}
