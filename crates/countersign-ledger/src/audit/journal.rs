//! The journal, read for the audit: segment by segment, batch by batch.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::{AuditError, JournalReport, SourceError};
use crate::tree::sha256;

const SEGMENT_HEADER: usize = 128;
const BATCH_HEADER: usize = 64;

/// Walks over a journal's entries.
pub(super) struct Journal {
    directory: PathBuf,
    origin: [u8; 32],
    segments: VecDeque<String>,
    /// The segment at hand.
    path: String,
    bytes: Vec<u8>,
    offset: usize,
    /// Entries of the batch at hand that were not handed out yet.
    entries: VecDeque<Vec<u8>>,
    next_number: u64,
    next_index: u64,
    previous: [u8; 32],
    pub(super) report: JournalReport,
}

impl Journal {
    pub(super) fn new(directory: PathBuf, origin: &str, running: bool) -> Result<Self, AuditError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory.join("journal")).map_err(SourceError::Io)? {
            let name = entry
                .map_err(SourceError::Io)?
                .file_name()
                .to_string_lossy()
                .into_owned();
            if std::path::Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "seg")
            {
                names.push(format!("journal/{name}"));
            }
        }
        names.sort_unstable();
        Ok(Self {
            directory,
            origin: sha256(origin.as_bytes()),
            segments: names.into(),
            path: String::new(),
            bytes: Vec::new(),
            offset: 0,
            entries: VecDeque::new(),
            next_number: 0,
            next_index: 0,
            previous: [0; 32],
            report: JournalReport {
                running,
                ..JournalReport::default()
            },
        })
    }

    /// The next entry; `None` at the end of the journal.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                self.report.entries = self.report.entries.saturating_add(1);
                return Ok(Some(entry));
            }
            if self.read_batch()? {
                continue;
            }
            let Some(path) = self.segments.pop_front() else {
                return Ok(None);
            };
            self.open_segment(path)?;
        }
    }

    fn open_segment(&mut self, path: String) -> Result<(), AuditError> {
        self.bytes = std::fs::read(self.directory.join(&path)).map_err(SourceError::Io)?;
        let fields = [
            &b"CSLEDSG1"[..],
            &self.next_index.to_be_bytes(),
            &self.next_number.to_be_bytes(),
            &self.origin,
            &self.previous,
        ]
        .concat();
        let header = [fields.as_slice(), &sha256(&fields), &[0; 8]].concat();
        let named = format!("journal/{:020}.seg", self.next_index);
        if path != named || !self.bytes.starts_with(&header) {
            return Err(AuditError::JournalDamaged { path, offset: 0 });
        }
        self.path = path;
        self.offset = SEGMENT_HEADER;
        self.report.segments = self.report.segments.saturating_add(1);
        Ok(())
    }

    /// Reads the batch at the present offset; `false` when the segment has no more.
    fn read_batch(&mut self) -> Result<bool, AuditError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            self.bytes.clear();
            return Ok(false);
        }
        let Some((entries, length, hash)) = self.parse_batch(rest) else {
            // A process may be writing right here.
            if self.report.running && self.segments.is_empty() {
                self.bytes.clear();
                return Ok(false);
            }
            return Err(AuditError::JournalDamaged {
                path: self.path.clone(),
                offset: self.offset,
            });
        };
        self.next_number = self.next_number.saturating_add(1);
        self.next_index = self
            .next_index
            .saturating_add(u64::try_from(entries.len()).unwrap_or(0));
        self.previous = hash;
        self.offset = self.offset.saturating_add(length);
        self.entries = entries;
        self.report.batches = self.report.batches.saturating_add(1);
        Ok(true)
    }

    /// The batch at the start of `rest`, if it is whole and follows the one before: entries, length, hash.
    fn parse_batch(&self, rest: &[u8]) -> Option<(VecDeque<Vec<u8>>, usize, [u8; 32])> {
        let number = |from: usize, to: usize| -> Option<u64> {
            rest.get(from..to)?.iter().try_fold(0u64, |sum, byte| {
                sum.checked_mul(256)?.checked_add(u64::from(*byte))
            })
        };
        let body_length = usize::try_from(number(28, 32)?).ok()?;
        let body_end = BATCH_HEADER.checked_add(body_length)?;
        let end = body_end.checked_add(32)?;
        let hash: [u8; 32] = rest.get(body_end..end)?.try_into().ok()?;
        let follows = rest.starts_with(b"CSLEDBT1")
            && number(8, 16)? == self.next_number
            && number(16, 24)? == self.next_index
            && rest.get(32..BATCH_HEADER)? == self.previous
            && sha256(rest.get(..body_end)?) == hash;
        if !follows {
            return None;
        }
        let mut body = rest.get(BATCH_HEADER..body_end)?;
        let mut entries = VecDeque::new();
        while !body.is_empty() {
            entries.push_back(super::take_entry(&mut body)?.to_vec());
        }
        let count = u64::try_from(entries.len()).ok()?;
        (count > 0 && count == number(24, 28)?).then_some((entries, end, hash))
    }
}
