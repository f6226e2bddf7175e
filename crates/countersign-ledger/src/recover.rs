//! Finds the end of the journal at start, and decides: continue, set a torn tail aside, or refuse.
//!
//! Only the last segment is read through. A full one is complete and durable since the next one began.

use std::io;
use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, replace_durably};
use crate::journal::{Current, DIRECTORY, NEXT_SEGMENT, segment_path};
use crate::record::{Record, RecordError, SEGMENT_HEADER, SegmentHeader, holds_later_record};
use crate::segment::Segment;
use crate::store::Batch;
use crate::tree::Hash;

/// The journal as it was found. Nothing on disk has been changed.
pub(crate) struct Found {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) current: Option<Current>,
    /// Number of the next batch and index of its first entry.
    pub(crate) next: (u64, u64),
    pub(crate) unsettled: Unsettled,
}

/// What has to be done before the journal may be written.
#[derive(Default)]
pub(crate) struct Unsettled {
    file: Option<Arc<dyn DiskFile>>,
    next_index: u64,
    /// Bytes after the last batch that were never acknowledged, and where they lie.
    torn: Option<(u64, Vec<u8>)>,
    /// The last record's place and bytes.
    last: Option<(u64, Vec<u8>)>,
}

/// Reads the headers of all segments and all of the last one.
pub(crate) fn find(disk: &dyn Disk, origin: &Hash) -> Result<Found, RecoverError> {
    let mut found = Found {
        segments: Vec::new(),
        current: None,
        next: (0, 0),
        unsettled: Unsettled::default(),
    };
    let starts = segment_starts(disk)?;
    let Some((last, full)) = starts.split_last() else {
        return Ok(found);
    };
    for first_index in full {
        let segment = open_segment(disk, origin, *first_index, found.next)?;
        // The next segment begins later than this one: one batch later, one entry later, at least.
        found.next = (
            segment.first_number.saturating_add(1),
            segment.first_index.saturating_add(1),
        );
        found.segments.push(Arc::new(segment));
    }
    found.read_last(disk, origin, *last)?;
    Ok(found)
}

fn segment_starts(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let names = disk.list(DIRECTORY)?;
    let mut starts: Vec<u64> = names
        .iter()
        .filter_map(|name| {
            name.strip_suffix(".seg")
                .filter(|digits| digits.len() == 20)?
                .parse()
                .ok()
        })
        .collect();
    starts.sort_unstable();
    Ok(starts)
}

fn open_segment(
    disk: &dyn Disk,
    origin: &Hash,
    first_index: u64,
    not_before: (u64, u64),
) -> Result<Segment, RecoverError> {
    let file = disk.open(&segment_path(first_index))?;
    let mut start = [0; SEGMENT_HEADER];
    file.read_up_to(&mut start, 0)?;
    let header = check_header(&start, origin, first_index)?;
    if header.first_number < not_before.0 || header.first_index < not_before.1 {
        return Err(RecoverError::ChainBroken {
            file: segment_path(first_index),
            offset: 0,
        });
    }
    Ok(Segment::unread(first_index, header.first_number, file))
}

fn check_header(bytes: &[u8], origin: &Hash, first_index: u64) -> Result<SegmentHeader, RecoverError> {
    let file = segment_path(first_index);
    let Some(header) = SegmentHeader::decode(bytes) else {
        return Err(RecoverError::Corrupt { file, offset: 0 });
    };
    if header.origin != *origin {
        return Err(RecoverError::OtherOrigin { file });
    }
    if header.first_index != first_index {
        return Err(RecoverError::ChainBroken { file, offset: 0 });
    }
    Ok(header)
}

impl Found {
    /// Reads the last segment through, to where the next batch goes.
    fn read_last(&mut self, disk: &dyn Disk, origin: &Hash, first_index: u64) -> Result<(), RecoverError> {
        let path = segment_path(first_index);
        let bytes = disk.read(&path)?.unwrap_or_default();
        let header = check_header(&bytes, origin, first_index)?;
        if header.first_number < self.next.0 || header.first_index < self.next.1 {
            return Err(RecoverError::ChainBroken {
                file: path,
                offset: 0,
            });
        }
        let file = disk.open(&path)?;
        let segment = Arc::new(Segment::new(first_index, header.first_number, file.clone()));
        let mut walk = Walk {
            path: &path,
            bytes: &bytes,
            offset: SEGMENT_HEADER,
            next: (header.first_number, header.first_index),
            previous: header.previous,
            last: None,
        };
        walk.records(&segment)?;
        self.unsettled = Unsettled {
            torn: walk.torn()?,
            file: Some(file),
            next_index: walk.next.1,
            last: walk.last.map(|(offset, record)| (wide(offset), record.to_vec())),
        };
        self.next = walk.next;
        self.current = Some(Current {
            segment: segment.clone(),
            offset: wide(walk.offset),
            capacity: wide(bytes.len()),
        });
        self.segments.push(segment);
        Ok(())
    }
}

/// A walk over the records of one segment.
struct Walk<'a> {
    path: &'a str,
    bytes: &'a [u8],
    offset: usize,
    next: (u64, u64),
    previous: Hash,
    last: Option<(usize, &'a [u8])>,
}

impl<'a> Walk<'a> {
    /// Takes in records until one does not decode.
    fn records(&mut self, segment: &Segment) -> Result<(), RecoverError> {
        loop {
            let rest = self.bytes.get(self.offset..).unwrap_or_default();
            let record = match Record::decode(rest) {
                Ok(record) => record,
                // Intact by its hash and still not entries: not a torn write but another writer.
                Err(RecordError::EntriesInvalid) => return Err(self.corrupt()),
                Err(_) => return Ok(()),
            };
            if (record.number, record.first_index) != self.next || record.previous != self.previous {
                return Err(RecoverError::ChainBroken {
                    file: self.path.to_owned(),
                    offset: wide(self.offset),
                });
            }
            let bytes = rest.get(..record.length).unwrap_or_default();
            let batch = Batch {
                number: record.number,
                first_index: record.first_index,
                count: record.count,
                previous: record.previous,
                bytes,
            };
            segment.extend(&batch, wide(self.offset), wide(record.length));
            self.last = Some((self.offset, bytes));
            self.offset = self.offset.saturating_add(record.length);
            self.next = (record.number.saturating_add(1), record.end_index());
            self.previous = record.hash;
        }
    }

    /// What lies after the last record, if it is not all zeros; refused if it can be more than a write cut off.
    fn torn(&self) -> Result<Option<(u64, Vec<u8>)>, RecoverError> {
        let rest: &'a [u8] = self.bytes.get(self.offset..).unwrap_or_default();
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else {
            return Ok(None);
        };
        if holds_later_record(rest, self.next.0) {
            return Err(self.corrupt());
        }
        let torn = rest.get(..=last).unwrap_or_default().to_vec();
        Ok(Some((wide(self.offset), torn)))
    }

    fn corrupt(&self) -> RecoverError {
        RecoverError::Corrupt {
            file: self.path.to_owned(),
            offset: wide(self.offset),
        }
    }
}

impl Unsettled {
    /// Makes the journal fit to be written: sets a torn tail aside and makes the last batch durable once more.
    pub(crate) fn settle(&mut self, disk: &dyn Disk) -> io::Result<()> {
        disk.create_directory(DIRECTORY)?;
        if disk.length(NEXT_SEGMENT)?.is_some() {
            disk.remove(NEXT_SEGMENT)?;
        }
        // Names that the process before could not make durable are seen now, and must not be lost later.
        disk.sync_directory(DIRECTORY)?;
        disk.sync_directory("")?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        if let Some((offset, torn)) = self.torn.take() {
            let kept = set_aside(disk, self.next_index, &torn)?;
            tracing::warn!(
                file = kept,
                entries = self.next_index,
                bytes = torn.len(),
                "set aside a batch that was cut off while being written; it was never acknowledged"
            );
            file.write_at(&vec![0; torn.len()], offset)?;
        }
        // After a sync that failed, the page cache may show a batch that the disk never got. Written again, it is
        // durable or it fails here, before anything is built on it.
        if let Some((offset, bytes)) = self.last.take() {
            file.write_at(&bytes, offset)?;
        }
        file.sync()
    }
}

/// Keeps torn bytes under the first free `torn-…` name.
fn set_aside(disk: &dyn Disk, index: u64, bytes: &[u8]) -> io::Result<String> {
    let names = disk.list(DIRECTORY)?;
    let name = (0..=u32::MAX)
        .map(|number| format!("torn-{index:020}-{number}"))
        .find(|name| !names.contains(name))
        .unwrap_or_default();
    let path = format!("{DIRECTORY}/{name}");
    replace_durably(disk, &path, bytes)?;
    Ok(path)
}

/// Why the journal cannot be continued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{file} is damaged at byte {offset}")]
    Corrupt { file: String, offset: u64 },
    #[error("the batch at byte {offset} of {file} does not follow the one before it")]
    ChainBroken { file: String, offset: u64 },
    #[error("{file} belongs to another ledger")]
    OtherOrigin { file: String },
}
