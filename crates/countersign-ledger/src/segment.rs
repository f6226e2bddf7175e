//! One segment of the journal, as its writer and its readers see it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::{narrow, wide};
use crate::disk::DiskFile;
use crate::record::{Outline, RECORD_HEADER, SEGMENT_HEADER};
use crate::rules::{Rule, kept};
use crate::store::Batch;

/// A remembered position at least this often: the index stays small (24 bytes per 64 KiB of journal).
const MARK_EVERY: u64 = 1 << 16;
/// Reads fetch at least this much at once.
const READ_AHEAD: usize = 1 << 16;

/// A file of batches.
pub(crate) struct Segment {
    pub(crate) first_index: u64,
    pub(crate) first_number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// End of the last durable record, once the marks are known.
    end: AtomicU64,
    /// `None` for a segment of an earlier life that nobody has read yet.
    marks: RwLock<Option<Vec<Mark>>>,
}

/// Where a record starts.
#[derive(Clone, Copy)]
struct Mark {
    first_index: u64,
    number: u64,
    offset: u64,
}

impl Segment {
    /// A segment without batches.
    pub(crate) fn new(first_index: u64, first_number: u64, file: Arc<dyn DiskFile>) -> Self {
        Self {
            first_index,
            first_number,
            file,
            end: AtomicU64::new(wide(SEGMENT_HEADER)),
            marks: RwLock::new(Some(Vec::new())),
        }
    }

    /// A full segment, looked into when it is first read.
    pub(crate) fn unread(first_index: u64, first_number: u64, file: Arc<dyn DiskFile>) -> Self {
        Self {
            marks: RwLock::new(None),
            ..Self::new(first_index, first_number, file)
        }
    }

    /// Makes a batch durable at `offset`.
    pub(crate) fn write(&self, batch: &Batch<'_>, offset: u64) -> io::Result<()> {
        self.file.write_at(batch.bytes, offset)?;
        if kept(Rule::SyncBeforeRelease) {
            match self.file.sync() {
                Err(error) if kept(Rule::StopAfterFailedSync) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a durable batch visible to readers.
    pub(crate) fn extend(&self, batch: &Batch<'_>, offset: u64, length: u64) {
        let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        let mark = Mark {
            first_index: batch.first_index,
            number: batch.number,
            offset,
        };
        push_mark(marks.get_or_insert_default(), mark);
        drop(marks);
        self.end.store(offset.saturating_add(length), Ordering::Release);
    }

    /// A batch at or before the one that holds `index`.
    pub(crate) fn number_before(&self, index: u64) -> io::Result<u64> {
        let mark = self.mark(|mark| mark.first_index <= index)?;
        Ok(mark.map_or(self.first_number, |mark| mark.number))
    }

    /// Batch `first` and those after it, about `limit` bytes; empty when it is not here.
    pub(crate) fn read(&self, first: u64, limit: usize) -> io::Result<Vec<u8>> {
        let Some(mark) = self.mark(|mark| mark.number <= first)? else {
            return Ok(Vec::new());
        };
        let end = self.end.load(Ordering::Acquire);
        let mut window = Window::new(&self.file, mark.offset, end, limit);
        // Walks to the first record that is wanted.
        let mut skipped = 0usize;
        while let Some(outline) = window.outline(skipped)? {
            if outline.number >= first {
                break;
            }
            skipped = skipped.saturating_add(outline.length);
        }
        // Then takes in whole records.
        let mut until = skipped;
        while let Some(outline) = window.outline(until)? {
            let after = until.saturating_add(outline.length);
            if until > skipped && after.saturating_sub(skipped) > limit {
                break;
            }
            window.fill(after)?;
            until = after;
        }
        let mut bytes = window.bytes;
        bytes.truncate(until);
        bytes.drain(..skipped.min(bytes.len()));
        Ok(bytes)
    }

    /// The last mark for which `before` holds.
    fn mark(&self, before: impl Fn(&Mark) -> bool) -> io::Result<Option<Mark>> {
        let find = |marks: &[Mark]| {
            let after = marks.partition_point(&before);
            marks.get(after.saturating_sub(1)).copied()
        };
        if let Some(marks) = &*self.marks.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(find(marks));
        }
        let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        if marks.is_none() {
            *marks = Some(self.survey()?);
        }
        Ok(marks.as_deref().and_then(find))
    }

    /// Walks over all records of a full segment.
    fn survey(&self) -> io::Result<Vec<Mark>> {
        let mut marks = Vec::new();
        let start = wide(SEGMENT_HEADER);
        let mut window = Window::new(&self.file, start, u64::MAX, usize::MAX);
        let mut offset = 0usize;
        while let Some(outline) = window.outline(offset)? {
            let mark = Mark {
                first_index: outline.first_index,
                number: outline.number,
                offset: start.saturating_add(wide(offset)),
            };
            push_mark(&mut marks, mark);
            offset = offset.saturating_add(outline.length);
        }
        self.end
            .store(start.saturating_add(wide(offset)), Ordering::Release);
        Ok(marks)
    }
}

fn push_mark(marks: &mut Vec<Mark>, mark: Mark) {
    let due = marks
        .last()
        .is_none_or(|last| mark.offset.saturating_sub(last.offset) >= MARK_EVERY);
    if due {
        marks.push(mark);
    }
}

/// The bytes of a file from some offset on, fetched as they are needed.
struct Window<'a> {
    file: &'a Arc<dyn DiskFile>,
    start: u64,
    end: u64,
    step: usize,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a Arc<dyn DiskFile>, start: u64, end: u64, limit: usize) -> Self {
        Self {
            file,
            start,
            end,
            step: limit.clamp(READ_AHEAD, 1 << 20),
            bytes: Vec::new(),
        }
    }

    /// The outline of the record at `offset` of the window; `None` at the end.
    fn outline(&mut self, offset: usize) -> io::Result<Option<Outline>> {
        self.fill(offset.saturating_add(RECORD_HEADER))?;
        Ok(self.bytes.get(offset..).and_then(Outline::read))
    }

    /// Fetches the window up to `length` bytes, or to the end of the records or of the file.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        let most = narrow(self.end.saturating_sub(self.start));
        if self.bytes.len() >= length.min(most) {
            return Ok(());
        }
        let have = self.bytes.len();
        let wanted = length.max(have.saturating_add(self.step)).min(most);
        let mut piece = vec![0; wanted.saturating_sub(have)];
        let read = self
            .file
            .read_up_to(&mut piece, self.start.saturating_add(wide(have)))?;
        piece.truncate(read);
        if self.bytes.is_empty() {
            self.bytes = piece;
        } else {
            self.bytes.extend_from_slice(&piece);
        }
        Ok(())
    }
}
