//! The journal, read for the audit: segment by segment, batch by batch. One batch is in memory at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use super::{AuditError, JournalReport, SourceError};
use crate::tree::sha256;

const SEGMENT_HEADER: usize = 128;
const BATCH_HEADER: usize = 88;
/// No batch is longer.
const BATCH_MAX: u64 = 1 << 26;

/// Walks over a journal's entries.
pub(super) struct Journal {
    directory: PathBuf,
    origin: [u8; 32],
    segments: VecDeque<String>,
    /// The segment at hand, and what of it was not read yet.
    file: Option<(BufReader<File>, u64)>,
    /// The batch at hand.
    batch: Vec<u8>,
    /// The part of it that holds entries not handed out yet.
    entries: std::ops::Range<usize>,
    /// Where the batch at hand begins.
    at: Position,
    /// Where the next one begins.
    next: Position,
    /// Time of the batch before; unknown at the start and where an earlier audit had come.
    time: u64,
    pub(super) report: JournalReport,
}

/// Where a batch begins, and how many of its entries were handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The segment's path; empty before the first.
    pub(super) segment: String,
    pub(super) offset: u64,
    pub(super) number: u64,
    pub(super) index: u64,
    pub(super) previous: [u8; 32],
    pub(super) taken: u64,
    pub(super) segments: u64,
}

impl Journal {
    /// The journal in `directory` from its start, or from where an earlier audit had come.
    pub(super) fn open(
        directory: PathBuf,
        origin: &str,
        running: bool,
        from: Option<&Position>,
    ) -> Result<Self, AuditError> {
        let origin = sha256(origin.as_bytes());
        let mut journal = Self {
            segments: segment_names(&directory)?.into(),
            directory,
            origin,
            file: None,
            batch: Vec::new(),
            entries: 0..0,
            at: Position::default(),
            // Batch 0 follows the origin.
            next: Position {
                previous: origin,
                ..Position::default()
            },
            time: 0,
            report: JournalReport {
                running,
                ..JournalReport::default()
            },
        };
        let from = from.filter(|it| !it.segment.is_empty());
        match from.filter(|from| {
            journal
                .segments
                .front()
                .is_none_or(|first| *first <= from.segment)
        }) {
            Some(from) => journal.resume(from)?,
            None => journal.skip_removed()?,
        }
        Ok(journal)
    }

    /// Older segments may have been removed: the header of the first one that is there says what came before it.
    fn skip_removed(&mut self) -> Result<(), AuditError> {
        let Some(path) = self.segments.front() else {
            return Ok(());
        };
        let (header, ..) = self.read_header(path)?;
        let previous = header.get(56..88).and_then(|hash| hash.try_into().ok());
        let (Some(index), Some(batch), Some(previous)) =
            (number(&header, 8..16), number(&header, 16..24), previous)
        else {
            return Ok(());
        };
        if index > 0 && batch > 0 {
            self.next.index = index;
            self.next.number = batch;
            self.next.previous = previous;
            self.report.removed = index;
            self.report.batches = batch;
            self.report.entries = index;
        }
        Ok(())
    }

    /// Where the next entry stands.
    pub(super) fn position(&self) -> Position {
        if self.entries.is_empty() {
            self.next.clone()
        } else {
            self.at.clone()
        }
    }

    /// Takes the next entry, which must be this one.
    pub(super) fn compare(&mut self, path: &str, index: u64, entry: &[u8]) -> Result<(), AuditError> {
        if index < self.report.removed {
            return Ok(());
        }
        match self.next()? {
            Some(recorded) if recorded == entry => Ok(()),
            Some(_) => Err(AuditError::JournalDiffers {
                path: path.to_owned(),
                index,
            }),
            None => Err(AuditError::JournalShort { entries: index }),
        }
    }

    /// The next entry; `None` at the end of the journal.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, AuditError> {
        while self.entries.is_empty() {
            if !self.read_batch()? {
                let Some(path) = self.segments.pop_front() else {
                    return Ok(None);
                };
                self.open_segment(path)?;
            }
        }
        let rest = self.batch.get(self.entries.clone()).unwrap_or_default();
        let mut after = rest;
        let entry = super::take_entry(&mut after);
        self.entries.start = self.entries.end.saturating_sub(after.len());
        self.at.taken = self.at.taken.saturating_add(1);
        self.report.entries = self.report.entries.saturating_add(1);
        Ok(entry)
    }

    fn resume(&mut self, from: &Position) -> Result<(), AuditError> {
        while self.segments.front().is_some_and(|it| *it < from.segment) {
            self.segments.pop_front();
        }
        let named = self.segments.pop_front().filter(|it| *it == from.segment);
        let path = named.ok_or(AuditError::JournalShort { entries: from.index })?;
        let (_, mut file, length) = self.read_header(&path)?;
        let ahead = from.offset.saturating_sub(SEGMENT_HEADER as u64);
        file.seek_relative(i64::try_from(ahead).unwrap_or(i64::MAX))
            .map_err(SourceError::Io)?;
        self.file = Some((file, length.saturating_sub(from.offset)));
        self.next = Position {
            taken: 0,
            ..from.clone()
        };
        self.report.segments = from.segments;
        self.report.batches = from.number;
        self.report.entries = from.index;
        for _ in 0..from.taken {
            self.next()?;
        }
        Ok(())
    }

    /// Opens a segment and checks that it follows what came before.
    fn open_segment(&mut self, path: String) -> Result<(), AuditError> {
        let (header, file, length) = self.read_header(&path)?;
        let fields = [
            &b"CSLEDSG2"[..],
            &self.next.index.to_be_bytes(),
            &self.next.number.to_be_bytes(),
            &self.origin,
            &self.next.previous,
        ];
        let named = format!("journal/{:020}.seg", self.next.index);
        if path != named || !header.starts_with(&fields.concat()) {
            return Err(AuditError::JournalDamaged { path, offset: 0 });
        }
        self.file = Some((file, length.saturating_sub(SEGMENT_HEADER as u64)));
        self.report.segments = self.report.segments.saturating_add(1);
        self.next.segment = path;
        self.next.offset = SEGMENT_HEADER as u64;
        self.next.segments = self.report.segments;
        Ok(())
    }

    /// A segment's header, good in itself, and the file behind it with its length.
    fn read_header(&self, path: &str) -> Result<([u8; SEGMENT_HEADER], BufReader<File>, u64), AuditError> {
        let file = File::open(self.directory.join(path)).map_err(SourceError::Io)?;
        let length = file.metadata().map_err(SourceError::Io)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut header = [0; SEGMENT_HEADER];
        let whole = match file.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            read => {
                read.map_err(SourceError::Io)?;
                let (fields, check) = header.split_at(88);
                check == [sha256(fields).as_slice(), &[0; 8]].concat()
            }
        };
        if !whole {
            let path = path.to_owned();
            return Err(AuditError::JournalDamaged { path, offset: 0 });
        }
        Ok((header, file, length))
    }

    /// Reads the next batch of the segment at hand; `false` when it has no more.
    fn read_batch(&mut self) -> Result<bool, AuditError> {
        let Some((file, left)) = &mut self.file else {
            return Ok(false);
        };
        self.batch.clear();
        file.take((*left).min(BATCH_HEADER as u64))
            .read_to_end(&mut self.batch)
            .map_err(SourceError::Io)?;
        if self.batch.iter().all(|byte| *byte == 0) && only_zeros(file).map_err(SourceError::Io)? {
            self.file = None;
            return Ok(false);
        }
        let body = number(&self.batch, 28..32).unwrap_or(u64::MAX).saturating_add(32);
        if body < BATCH_MAX && body <= left.saturating_sub(BATCH_HEADER as u64) {
            file.take(body)
                .read_to_end(&mut self.batch)
                .map_err(SourceError::Io)?;
        }
        let length = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
        *left = left.saturating_sub(length);
        let Some(entries) = self.check_batch() else {
            // A process may be writing right here.
            if self.report.running && self.segments.is_empty() {
                self.file = None;
                return Ok(false);
            }
            return Err(AuditError::JournalDamaged {
                path: self.next.segment.clone(),
                offset: usize::try_from(self.next.offset).unwrap_or(usize::MAX),
            });
        };
        let end = self.batch.len().saturating_sub(32);
        self.entries = BATCH_HEADER..end;
        self.at = self.next.clone();
        self.next.number = self.next.number.saturating_add(1);
        self.next.index = self.next.index.saturating_add(entries);
        self.next.offset = self.next.offset.saturating_add(length);
        self.next.previous = self.batch.last_chunk().copied().unwrap_or_default();
        self.time = number(&self.batch, 32..40).unwrap_or(0);
        self.report.batches = self.report.batches.saturating_add(1);
        Ok(true)
    }

    /// How many entries the batch at hand has, if it is whole and follows the one before.
    fn check_batch(&self) -> Option<u64> {
        let batch = self.batch.as_slice();
        let (covered, hash) = batch.split_last_chunk::<32>()?;
        let mut body = covered.get(BATCH_HEADER..)?;
        let follows = batch.starts_with(b"CSLEDBT2")
            && number(batch, 8..16)? == self.next.number
            && number(batch, 16..24)? == self.next.index
            && number(batch, 28..32)? == u64::try_from(body.len()).ok()?
            && batch.get(56..BATCH_HEADER)? == self.next.previous
            && number(batch, 32..40)? >= self.time
            && sha256(covered) == *hash;
        if !follows {
            return None;
        }
        let mut count = 0u64;
        while !body.is_empty() {
            super::take_entry(&mut body)?;
            count = count.saturating_add(1);
        }
        (count > 0 && count == number(batch, 24..28)?).then_some(count)
    }
}

fn segment_names(directory: &std::path::Path) -> Result<Vec<String>, AuditError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.join("journal")).map_err(SourceError::Io)? {
        let name = entry.map_err(SourceError::Io)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if std::path::Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "seg")
        {
            names.push(format!("journal/{name}"));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Big-endian.
fn number(bytes: &[u8], range: std::ops::Range<usize>) -> Option<u64> {
    bytes.get(range)?.iter().try_fold(0u64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(u64::from(*byte))
    })
}

/// Whether nothing but zeros follows; reads up to the first other byte.
fn only_zeros(file: &mut impl io::BufRead) -> io::Result<bool> {
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(true);
        }
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let length = part.len();
        file.consume(length);
    }
}
