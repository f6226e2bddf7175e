//! Audits of a ledger's own directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::{AuditError, Options, Plan, Report, Source, SourceError, State, WIDTH, bundle, tile_path};

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
        match read_up_to(&self.directory.join(path), longest(path).saturating_add(1)) {
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

/// No file of a log is longer; one that is shows by one byte too many.
fn longest(path: &str) -> u64 {
    if path.starts_with("tile/entries/") {
        256 * (65_535 + 2)
    } else if path.starts_with("tile/") {
        256 * 32
    } else {
        1 << 17
    }
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// [`audit`](super::audit) of a ledger's directory, and more: that the journal tells the same entries, in whole
/// batches that follow each other; that the checkpoint is not older than the journal; that no tile lies beyond the
/// checkpoint; and that every older partial tile is the beginning of the newer one.
///
/// While a process has the ledger open, the journal and the tiles may be ahead of the checkpoint.
pub fn audit_directory(directory: &Path, verifier_key: &str) -> Result<Report, AuditError> {
    audit_directory_with(directory, verifier_key, Options::default()).map(|(report, _)| report)
}

/// [`audit_directory`] with threads, progress, and from where an earlier one ended. Of the journal, one batch is in
/// memory at a time.
pub fn audit_directory_with(
    directory: &Path,
    verifier_key: &str,
    options: Options<'_>,
) -> Result<(Report, State), AuditError> {
    let running = is_running(directory)?;
    let source = DirectorySource::new(directory);
    let plan = Plan::make(&source, verifier_key, &options)?;
    // Opened after the checkpoint was read, so that a running ledger's journal is never behind it.
    let from = options.resume.and_then(|state| state.seen.journal.as_ref());
    let journal = Journal::open(directory.to_owned(), &plan.claim.origin, running, from)?;
    let threads = options.threads;
    let (report, state) = plan.run(&source, options, Some(journal), &mut |span, work| {
        bundle::in_parallel(&source, span, threads, work)
    })?;
    let recorded = report.journal.as_ref().map_or(0, |journal| journal.entries);
    if !running {
        if recorded > report.size {
            let (checkpoint, journal) = (report.size, recorded);
            return Err(AuditError::CheckpointBehind { checkpoint, journal });
        }
        check_extra_files(directory, &source, "tile", report.size)?;
    }
    Ok((report, state))
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

/// Every file below `path` must belong to the tree of `size` entries, or be an older partial tile, its beginning. Without
/// the temporary files that a crash leaves.
fn check_extra_files(
    directory: &Path,
    source: &DirectorySource,
    path: &str,
    size: u64,
) -> Result<(), AuditError> {
    let entries = match fs::read_dir(directory.join(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(SourceError::Io)?,
    };
    for entry in entries {
        let entry = entry.map_err(SourceError::Io)?;
        let below = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(SourceError::Io)?.is_dir() {
            check_extra_files(directory, source, &below, size)?;
        } else if Path::new(&below)
            .extension()
            .is_none_or(|extension| extension != "tmp")
        {
            check_file(source, &below, size)?;
        }
    }
    Ok(())
}

/// A file must be one that the tree of `size` entries has; or an older, shorter beginning of one.
fn check_file(source: &DirectorySource, path: &str, size: u64) -> Result<(), AuditError> {
    let unexpected = || AuditError::FileUnexpected {
        path: path.to_owned(),
    };
    let (row, tile, width) = parse(path).ok_or_else(unexpected)?;
    let level: u32 = if row == "entries" {
        0
    } else {
        row.parse().map_err(|_| unexpected())?
    };
    let count = size.checked_shr(level.saturating_mul(8)).unwrap_or(0);
    let newest = count.saturating_sub(tile.saturating_mul(WIDTH)).min(WIDTH);
    if width == newest {
        return Ok(());
    }
    if width == 0 || width > newest {
        return Err(unexpected());
    }
    let bytes = source.read(path)?.ok_or_else(unexpected)?;
    let (_, newer, _) = super::fetch(source, row, tile, newest)?.map_err(|_| unexpected())?;
    let whole = if row == "entries" {
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

/// Row, number and width of a tile's path in its one spelling.
fn parse(path: &str) -> Option<(&str, u64, u64)> {
    let (full, width) = match path.split_once(".p/") {
        Some((full, width)) => (full, width.parse().ok()?),
        None => (path, WIDTH),
    };
    let (row, groups) = full.strip_prefix("tile/")?.split_once('/')?;
    let tile = groups.split('/').try_fold(0u64, |sum, group| {
        let digits = group.strip_prefix('x').unwrap_or(group);
        sum.checked_mul(1000)?.checked_add(digits.parse().ok()?)
    })?;
    let partial = width < WIDTH && path == format!("{}.p/{width}", tile_path(row, tile));
    (partial || path == tile_path(row, tile)).then_some((row, tile, width))
}
