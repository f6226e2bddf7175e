//! The journal: numbered, immutable batches in preallocated segments. It is the ledger; everything else is derived.
//!
//! One batch is one write and one sync into space that was filled with real zeros and made durable before its first
//! use, so that a sync never has to write file-system metadata (a third of the cost, and no late "disk full").

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::{narrow, wide};
use crate::disk::{Disk, DiskFile, is_full};
use crate::record::{Record, RecordError, SEGMENT_HEADER, SegmentHeader, encode_record};
use crate::tree::Hash;

pub(crate) const DIRECTORY: &str = "journal";
const NEXT_SEGMENT: &str = "journal/next.tmp";
/// A remembered position at least this often: the index stays small (16 bytes per 64 KiB of journal).
const MARK_EVERY: u64 = 1 << 16;
/// Zeros are written in pieces of this size.
const ZEROS: usize = 1 << 20;
/// Reads fetch this much at once.
const READ_AHEAD: usize = 1 << 18;

/// The file name of the segment whose first entry is `first_index`.
pub(crate) fn segment_path(first_index: u64) -> String {
    format!("{DIRECTORY}/{first_index:020}.seg")
}

/// One segment, as readers see it.
pub(crate) struct Segment {
    pub(crate) first_index: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// End of the last durable record.
    pub(crate) end: AtomicU64,
    marks: RwLock<Vec<Mark>>,
}

/// Where a record starts.
#[derive(Clone, Copy)]
struct Mark {
    first_index: u64,
    offset: u64,
}

impl Segment {
    pub(crate) fn new(first_index: u64, file: Arc<dyn DiskFile>) -> Self {
        Self {
            first_index,
            file,
            end: AtomicU64::new(wide(SEGMENT_HEADER)),
            marks: RwLock::default(),
        }
    }

    /// Makes a durable record visible to readers.
    pub(crate) fn extend(&self, first_index: u64, offset: u64, length: usize) {
        let mut marks = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        let due = marks
            .last()
            .is_none_or(|mark| offset.saturating_sub(mark.offset) >= MARK_EVERY);
        if due {
            marks.push(Mark { first_index, offset });
        }
        drop(marks);
        self.end
            .store(offset.saturating_add(wide(length)), Ordering::Release);
    }

    /// A record start at or before the entry `index`.
    fn offset_before(&self, index: u64) -> u64 {
        let marks = self.marks.read().unwrap_or_else(PoisonError::into_inner);
        let after = marks.partition_point(|mark| mark.first_index <= index);
        marks
            .get(after.saturating_sub(1))
            .map_or(wide(SEGMENT_HEADER), |mark| mark.offset)
    }
}

/// The durable part of the journal, for any number of readers beside the one writer.
#[derive(Default)]
pub(crate) struct JournalReader {
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    head: AtomicU64,
}

impl JournalReader {
    /// Number of durable entries.
    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(segment);
    }

    /// Hands the entries `from..to` (cut to what is durable) to `visit`, in order.
    pub(crate) fn visit(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), ReadError> {
        let to = to.min(self.head());
        let mut next = from;
        while next < to {
            let segment = {
                let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
                let after = segments.partition_point(|segment| segment.first_index <= next);
                segments.get(after.saturating_sub(1)).cloned()
            };
            let segment = segment.ok_or(ReadError::Damaged { index: next })?;
            let reached = visit_segment(&segment, next, to, visit)?;
            if reached <= next {
                return Err(ReadError::Damaged { index: next });
            }
            next = reached;
        }
        Ok(())
    }
}

/// Visits the entries `from..to` as far as they lie in `segment`; returns the index after the last one visited.
fn visit_segment(
    segment: &Segment,
    from: u64,
    to: u64,
    visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<u64, ReadError> {
    let end = segment.end.load(Ordering::Acquire);
    let mut offset = segment.offset_before(from);
    let mut next = from;
    let mut wanted = READ_AHEAD;
    let mut buffer = Vec::new();
    while next < to && offset < end {
        buffer.resize(wanted.min(narrow(end.saturating_sub(offset))), 0);
        segment.file.read_at(&mut buffer, offset)?;
        let mut rest = buffer.as_slice();
        wanted = READ_AHEAD;
        while next < to && !rest.is_empty() {
            let record = match Record::decode(rest) {
                Ok(record) => record,
                Err(RecordError::Truncated { needed }) if needed > rest.len() => {
                    wanted = needed.max(READ_AHEAD);
                    break;
                }
                Err(_) => return Err(ReadError::Damaged { index: next }),
            };
            for (index, entry) in (record.first_index..).zip(record.entries()) {
                if index == next && index < to {
                    visit(index, entry)?;
                    next = index.saturating_add(1);
                }
            }
            rest = rest.get(record.length..).unwrap_or_default();
        }
        let consumed = buffer.len().saturating_sub(rest.len());
        let hopeless = wanted <= buffer.len() || wide(wanted) > end.saturating_sub(offset);
        if consumed == 0 && hopeless {
            return Err(ReadError::Damaged { index: next });
        }
        offset = offset.saturating_add(wide(consumed));
    }
    Ok(next)
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk refused.
    #[error("reading the journal failed")]
    Io(#[from] io::Error),
    /// A batch that was durable no longer reads as it was written.
    #[error("the journal no longer reads as it was written at entry {index}")]
    Damaged {
        /// The first entry that could not be read.
        index: u64,
    },
}

impl ReadError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "ledger_read_failed",
            Self::Damaged { .. } => "ledger_corrupt",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(_) => None,
            Self::Damaged { .. } => Some("stop, keep the directory as evidence, and check the disk"),
        }
    }
}

/// Where the next batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) next_index: u64,
    pub(crate) next_number: u64,
    pub(crate) previous: Hash,
}

/// The one writer of the journal.
pub(crate) struct JournalWriter {
    disk: Arc<dyn Disk>,
    reader: Arc<JournalReader>,
    origin: Hash,
    segment_bytes: u64,
    position: Position,
    current: Option<Current>,
    buffer: Vec<u8>,
    failed: bool,
}

/// The segment being written.
pub(crate) struct Current {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u64,
    pub(crate) capacity: u64,
}

impl JournalWriter {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        reader: Arc<JournalReader>,
        origin: Hash,
        segment_bytes: u64,
        position: Position,
        current: Option<Current>,
    ) -> Self {
        Self {
            disk,
            reader,
            origin,
            segment_bytes,
            position,
            current,
            buffer: Vec::new(),
            failed: false,
        }
    }

    /// Makes a batch durable: one write, one sync. Returns the index of its first entry. Readers see the batch when
    /// this returns. Any error but a full disk (before anything was written) is final.
    pub(crate) fn append<'a>(&mut self, entries: impl Iterator<Item = &'a [u8]>) -> Result<u64, WriteError> {
        if self.failed {
            return Err(WriteError::Stopped);
        }
        let Position {
            next_index,
            next_number,
            previous,
        } = self.position;
        self.buffer.clear();
        let mut count = 0u64;
        let counted = entries.inspect(|_| count = count.saturating_add(1));
        let hash = encode_record(next_number, next_index, &previous, counted, &mut self.buffer);
        let written = self.write();
        // A failed sync may have lost pages that still read back: never write on from here.
        self.failed = matches!(written, Err(WriteError::Io(_)));
        written?;
        self.position = Position {
            next_index: next_index.saturating_add(count),
            next_number: next_number.saturating_add(1),
            previous: hash,
        };
        self.reader.set_head(self.position.next_index);
        Ok(next_index)
    }

    /// Writes and syncs the encoded batch, in a new segment when the present one has no room.
    fn write(&mut self) -> Result<(), WriteError> {
        let length = wide(self.buffer.len());
        let fits = |current: &Current| current.offset.saturating_add(length) <= current.capacity;
        if !self.current.as_ref().is_some_and(fits) {
            self.current = Some(self.start_segment(length)?);
        }
        let Some(current) = &mut self.current else {
            return Err(WriteError::Stopped);
        };
        current.segment.file.write_at(&self.buffer, current.offset)?;
        current.segment.file.sync()?;
        current
            .segment
            .extend(self.position.next_index, current.offset, self.buffer.len());
        current.offset = current.offset.saturating_add(length);
        Ok(())
    }

    /// Creates the next segment under a temporary name, fills it with zeros, syncs it, and only then gives it its name.
    fn start_segment(&self, record: u64) -> Result<Current, WriteError> {
        let header = SegmentHeader {
            first_index: self.position.next_index,
            first_number: self.position.next_number,
            origin: self.origin,
            previous: self.position.previous,
        };
        let capacity = self
            .segment_bytes
            .max(record.saturating_add(wide(SEGMENT_HEADER)));
        let file = preallocate(&*self.disk, &header, capacity).map_err(|error| {
            // Gives the space back, so that what is waiting for space can be written; failing at that changes nothing.
            let _ = self.disk.remove(NEXT_SEGMENT);
            if is_full(&error) {
                WriteError::StorageFull
            } else {
                WriteError::Io(error)
            }
        })?;
        self.disk
            .rename(NEXT_SEGMENT, &segment_path(header.first_index))?;
        self.disk.sync_directory(DIRECTORY)?;
        let segment = Arc::new(Segment::new(header.first_index, file));
        self.reader.add_segment(segment.clone());
        Ok(Current {
            segment,
            offset: wide(SEGMENT_HEADER),
            capacity,
        })
    }
}

fn preallocate(disk: &dyn Disk, header: &SegmentHeader, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(NEXT_SEGMENT)?;
    let header = header.encode();
    file.write_at(&header, 0)?;
    let zeros = vec![0; ZEROS.min(narrow(capacity))];
    let mut offset = wide(header.len());
    while offset < capacity {
        let piece = wide(zeros.len()).min(capacity.saturating_sub(offset));
        file.write_at(zeros.get(..narrow(piece)).unwrap_or_default(), offset)?;
        offset = offset.saturating_add(piece);
    }
    file.sync()?;
    Ok(file)
}

/// Why a batch was not made durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// No room for a new segment; nothing was written and a later batch may succeed.
    #[error("no space for the next journal segment")]
    StorageFull,
    /// The disk failed. Final.
    #[error("writing the journal failed")]
    Io(#[from] io::Error),
    /// The writer had failed before.
    #[error("the journal's writer has stopped")]
    Stopped,
}
