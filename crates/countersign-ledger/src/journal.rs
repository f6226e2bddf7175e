//! The batches of a ledger on local disk: an append-only journal in preallocated segments.
//!
//! One batch is one write and one sync into space that was filled with real zeros and made durable before its first
//! use, so that a sync never has to write file-system metadata (a third of the cost, and no late "disk full"). The next
//! segment is prepared beside the appends.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::bytes::{narrow, wide};
use crate::disk::{Disk, DiskFile, is_full};
use crate::record::SegmentHeader;
use crate::rules::{Rule, kept};
use crate::segment::Segment;
use crate::store::{Batch, Create};
use crate::tree::Hash;

pub(crate) const DIRECTORY: &str = "journal";
pub(crate) const NEXT_SEGMENT: &str = "journal/next.tmp";
/// Zeros are written, and synced, in pieces of this size, so that no append has to wait behind all of them.
const ZEROS: usize = 1 << 20;

/// The file name of the segment whose first entry is `first_index`.
pub(crate) fn segment_path(first_index: u64) -> String {
    format!("{DIRECTORY}/{first_index:020}.seg")
}

/// Segments, written at the end by one thread and read by any number.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    origin: Hash,
    segment_bytes: u64,
    /// Oldest first.
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Number of the next batch, and index of its first entry: everything below is durable.
    next_number: AtomicU64,
    next_index: AtomicU64,
    writing: Mutex<Writing>,
    prepared: Mutex<Option<Prepared>>,
}

/// Where the next batch goes.
#[derive(Default)]
struct Writing {
    current: Option<Current>,
    /// After a failed write or sync nothing may be written any more.
    failed: bool,
}

/// The segment being written.
pub(crate) struct Current {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u64,
    pub(crate) capacity: u64,
}

/// A segment of durable zeros that has no name yet.
struct Prepared {
    file: Arc<dyn DiskFile>,
    capacity: u64,
}

impl Journal {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        origin: Hash,
        segment_bytes: u64,
        segments: Vec<Arc<Segment>>,
        next: (u64, u64),
        current: Option<Current>,
    ) -> Self {
        Self {
            disk,
            origin,
            segment_bytes,
            segments: RwLock::new(segments),
            next_number: AtomicU64::new(next.0),
            next_index: AtomicU64::new(next.1),
            writing: Mutex::new(Writing {
                current,
                failed: false,
            }),
            prepared: Mutex::default(),
        }
    }

    /// Makes a batch durable: one write, one sync. Readers see it when this returns.
    pub(crate) fn create(&self, batch: &Batch<'_>) -> Create {
        let mut writing = lock(&self.writing);
        let next = self.next_number.load(Ordering::Acquire);
        if batch.number < next {
            return Create::Exists;
        }
        if writing.failed || batch.number > next {
            return Create::Failed("nothing is written after a failure or a gap".into());
        }
        match self.write(&mut writing, batch) {
            Ok(()) => Create::Created,
            Err(WriteError::NoSpace) => Create::StorageFull,
            Err(WriteError::Io(error)) => {
                // A failed sync may have lost pages that still read back: never write on from here.
                writing.failed = true;
                Create::Failed(error.into())
            }
        }
    }

    fn write(&self, writing: &mut Writing, batch: &Batch<'_>) -> Result<(), WriteError> {
        let length = wide(batch.bytes.len());
        let fits = |current: &&mut Current| current.offset.saturating_add(length) <= current.capacity;
        let segment = if let Some(current) = writing.current.as_mut().filter(fits) {
            current.segment.write(batch, current.offset)?;
            current.offset = current.offset.saturating_add(length);
            current.segment.clone()
        } else {
            let current = self.start_segment(batch)?;
            writing.current.insert(current).segment.clone()
        };
        let end = batch.first_index.saturating_add(u64::from(batch.count));
        let offset = writing.current.as_ref().map_or(0, |current| current.offset);
        segment.extend(batch, offset.saturating_sub(length), length);
        self.next_index.store(end, Ordering::Release);
        self.next_number
            .store(batch.number.saturating_add(1), Ordering::Release);
        Ok(())
    }

    /// Begins a segment with its first batch: both are durable before the segment gets its name.
    fn start_segment(&self, batch: &Batch<'_>) -> Result<Current, WriteError> {
        let header = SegmentHeader {
            first_index: batch.first_index,
            first_number: batch.number,
            origin: self.origin,
            previous: batch.previous,
        };
        let start = header.encode();
        let needed = wide(start.len().saturating_add(batch.bytes.len()));
        // Held until the segment has its name: a prepared one has the same temporary name. While one is being prepared
        // this waits, which is quicker than to prepare another.
        let mut prepared = lock(&self.prepared);
        let ready = prepared.take().filter(|prepared| prepared.capacity >= needed);
        let Prepared { file, capacity } =
            ready.map_or_else(|| self.preallocate(self.segment_bytes.max(needed)), Ok)?;
        file.write_at(&[&start, batch.bytes].concat(), 0)?;
        if kept(Rule::SyncBeforeRelease) {
            file.sync()?;
        }
        self.disk.rename(NEXT_SEGMENT, &segment_path(batch.first_index))?;
        if kept(Rule::SyncDirectories) {
            self.disk.sync_directory(DIRECTORY)?;
        }
        drop(prepared);
        let segment = Arc::new(Segment::new(batch.first_index, batch.number, file));
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.push(segment.clone());
        Ok(Current {
            segment,
            offset: needed,
            capacity,
        })
    }

    /// Prepares the next segment, unless one is ready.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let mut prepared = lock(&self.prepared);
        if prepared.is_some() {
            return Ok(());
        }
        match self.preallocate(self.segment_bytes) {
            Ok(ready) => *prepared = Some(ready),
            Err(WriteError::NoSpace) => return Err(io::ErrorKind::StorageFull.into()),
            Err(WriteError::Io(error)) => return Err(error),
        }
        Ok(())
    }

    fn preallocate(&self, capacity: u64) -> Result<Prepared, WriteError> {
        match preallocate(&*self.disk, capacity) {
            Ok(file) => Ok(Prepared { file, capacity }),
            Err(error) => {
                // Gives the space back, so that what is waiting for space can be written; failing at that changes
                // nothing.
                let _ = self.disk.remove(NEXT_SEGMENT);
                Err(if is_full(&error) {
                    WriteError::NoSpace
                } else {
                    WriteError::Io(error)
                })
            }
        }
    }

    /// Numbers of the batches that are there.
    pub(crate) fn batches(&self) -> Range<u64> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let end = self.next_number.load(Ordering::Acquire);
        segments.first().map_or(end, |first| first.first_number)..end
    }

    /// A batch at or shortly before the one that holds `index`.
    pub(crate) fn find(&self, index: u64) -> io::Result<Option<u64>> {
        if index >= self.next_index.load(Ordering::Acquire) {
            return Ok(None);
        }
        let found = self.segment(|segment| segment.first_index <= index);
        found.map(|segment| segment.number_before(index)).transpose()
    }

    /// Batch `first` and those after it in its segment, about `limit` bytes.
    pub(crate) fn read(&self, first: u64, limit: usize) -> io::Result<Vec<u8>> {
        if first >= self.next_number.load(Ordering::Acquire) {
            return Ok(Vec::new());
        }
        match self.segment(|segment| segment.first_number <= first) {
            Some(segment) => segment.read(first, limit),
            None => Ok(Vec::new()),
        }
    }

    /// The last segment for which `before` holds.
    fn segment(&self, before: impl Fn(&Segment) -> bool) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| before(segment));
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// Removes the segments all of whose batches are numbered below `below`, but never the last one.
    pub(crate) fn remove(&self, below: u64) -> io::Result<()> {
        let removed: Vec<_> = {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let next_starts = segments.iter().skip(1);
            let count = next_starts.take_while(|next| next.first_number <= below).count();
            segments.drain(..count).collect()
        };
        // Oldest first, each removal durable before the next: what a crash leaves has no gap.
        for segment in removed {
            self.disk.remove(&segment_path(segment.first_index))?;
            self.disk.sync_directory(DIRECTORY)?;
        }
        Ok(())
    }
}

fn preallocate(disk: &dyn Disk, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(NEXT_SEGMENT)?;
    let zeros = vec![0; ZEROS.min(narrow(capacity))];
    let mut offset = 0;
    while offset < capacity {
        let piece = wide(zeros.len()).min(capacity.saturating_sub(offset));
        file.write_at(zeros.get(..narrow(piece)).unwrap_or_default(), offset)?;
        file.sync()?;
        offset = offset.saturating_add(piece);
    }
    Ok(file)
}

enum WriteError {
    /// Nothing was written.
    NoSpace,
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
