//! Reads the journal at start, and decides: continue, set a torn tail aside, or refuse.

use std::io;
use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::{Disk, replace_durably};
use crate::entry::{Entry, EntryError};
use crate::journal::{Current, DIRECTORY, JournalReader, Position, Segment, segment_path};
use crate::record::{Record, RecordError, SEGMENT_HEADER, SegmentHeader, holds_later_record};
use crate::tree::Hash;

/// The journal as it was found.
pub(crate) struct Recovered {
    pub(crate) reader: Arc<JournalReader>,
    pub(crate) position: Position,
    pub(crate) current: Option<Current>,
    torn: Option<Torn>,
    /// The last record's place and bytes.
    last: Option<(u64, Vec<u8>)>,
}

/// Bytes after the last batch that were never acknowledged.
struct Torn {
    offset: u64,
    bytes: Vec<u8>,
}

/// Reads every segment, checks every batch and hands every entry to `visit`. Changes nothing on disk.
pub(crate) fn replay(
    disk: &dyn Disk,
    origin: &Hash,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<Recovered, RecoverError> {
    let starts = segment_starts(disk)?;
    let mut state = Recovered {
        reader: Arc::new(JournalReader::default()),
        position: Position {
            next_index: 0,
            next_number: 0,
            previous: [0; 32],
        },
        current: None,
        torn: None,
        last: None,
    };
    for (position, first_index) in (1..).zip(&starts) {
        let is_last = position == starts.len();
        state.replay_segment(disk, origin, *first_index, is_last, visit)?;
    }
    state.reader.set_head(state.position.next_index);
    Ok(state)
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

impl Recovered {
    fn replay_segment(
        &mut self,
        disk: &dyn Disk,
        origin: &Hash,
        first_index: u64,
        is_last: bool,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), RecoverError> {
        let path = segment_path(first_index);
        let bytes = disk.read(&path)?.unwrap_or_default();
        let corrupt = |offset| RecoverError::Corrupt {
            file: path.clone(),
            offset,
        };
        let header = SegmentHeader::decode(&bytes).ok_or(corrupt(0))?;
        if header.origin != *origin {
            return Err(RecoverError::OtherOrigin { file: path });
        }
        let follows = (header.first_index, header.first_number, header.previous)
            == (
                self.position.next_index,
                self.position.next_number,
                self.position.previous,
            );
        if !follows || header.first_index != first_index {
            return Err(RecoverError::ChainBroken {
                file: path,
                offset: 0,
            });
        }
        let segment = Arc::new(Segment::new(first_index, disk.open(&path)?));
        let end = self.replay_records(&path, &bytes, &segment, visit)?;
        let rest = bytes.get(end..).unwrap_or_default();
        if rest.iter().any(|byte| *byte != 0) {
            if !is_last || holds_later_record(rest, self.position.next_number) {
                return Err(corrupt(wide(end)));
            }
            let used = rest
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last.saturating_add(1));
            let bytes = rest.get(..used).unwrap_or_default().to_vec();
            self.torn = Some(Torn {
                offset: wide(end),
                bytes,
            });
        }
        self.reader.add_segment(segment.clone());
        self.current = Some(Current {
            segment,
            offset: wide(end),
            capacity: wide(bytes.len()),
        });
        Ok(())
    }

    /// Takes in records until one does not decode; returns where that is.
    fn replay_records(
        &mut self,
        path: &str,
        bytes: &[u8],
        segment: &Segment,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, RecoverError> {
        let mut offset = SEGMENT_HEADER;
        self.last = None;
        loop {
            let rest = bytes.get(offset..).unwrap_or_default();
            let record = match Record::decode(rest) {
                Ok(record) => record,
                // Intact by its hash and still not entries: not a torn write but another writer.
                Err(RecordError::EntriesInvalid) => {
                    return Err(RecoverError::Corrupt {
                        file: path.to_owned(),
                        offset: wide(offset),
                    });
                }
                Err(_) => return Ok(offset),
            };
            let found = Position {
                next_index: record.first_index,
                next_number: record.number,
                previous: record.previous,
            };
            if found != self.position {
                return Err(RecoverError::ChainBroken {
                    file: path.to_owned(),
                    offset: wide(offset),
                });
            }
            for (index, entry) in (record.first_index..).zip(record.entries()) {
                Entry::decode(entry).map_err(|error| RecoverError::EntryUnreadable { index, error })?;
                visit(entry);
            }
            segment.extend(record.first_index, wide(offset), record.length);
            self.position = Position {
                next_index: record.end_index(),
                next_number: record.number.saturating_add(1),
                previous: record.hash,
            };
            self.last = Some((
                wide(offset),
                rest.get(..record.length).unwrap_or_default().to_vec(),
            ));
            offset = offset.saturating_add(record.length);
        }
    }

    /// Makes the journal fit to be written: sets a torn tail aside and makes the last batch durable once more.
    pub(crate) fn repair(&mut self, disk: &dyn Disk) -> io::Result<()> {
        // Names that the process before could not make durable are seen now, and must not be lost later.
        disk.sync_directory(DIRECTORY)?;
        disk.sync_directory("")?;
        let Some(current) = &self.current else {
            return Ok(());
        };
        let file = &current.segment.file;
        if let Some(torn) = self.torn.take() {
            let kept = set_aside(disk, self.position.next_index, &torn.bytes)?;
            tracing::warn!(
                file = kept,
                entries = self.position.next_index,
                bytes = torn.bytes.len(),
                "set aside a batch that was cut off while being written; it was never acknowledged"
            );
            file.write_at(&vec![0; torn.bytes.len()], torn.offset)?;
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
    #[error("entry {index} cannot be read: {error}")]
    EntryUnreadable { index: u64, error: EntryError },
}
