//! One batch as it lies in a journal segment, and the segment's header. Byte tables in `docs/ledger-format.md`.

use crate::bytes::{take, take_slice, take_u16, take_u32, take_u64, wide};
use crate::tree::{Hash, sha256};

/// First bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"CSLEDSG2";
/// First bytes of a batch record.
pub(crate) const RECORD_MAGIC: [u8; 8] = *b"CSLEDBT2";
/// Bytes of a segment before its first record.
pub(crate) const SEGMENT_HEADER: usize = 128;
/// Bytes of a record before its entries.
pub(crate) const RECORD_HEADER: usize = 88;
/// Bytes of a record that are not entries: header and hash.
pub(crate) const RECORD_OVERHEAD: usize = RECORD_HEADER.saturating_add(32);
/// No record is longer; a length field above it is damage.
pub(crate) const RECORD_MAX: usize = 1 << 26;

/// The header of a journal segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Index of the first entry in this segment.
    pub first_index: u64,
    /// Number of the first batch in this segment.
    pub first_number: u64,
    /// SHA-256 of the ledger's origin.
    pub origin: Hash,
    /// Hash of the batch before the first one here; the origin's hash at the start of the ledger.
    pub previous: Hash,
}

impl SegmentHeader {
    /// The 128 bytes at the start of the segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend(SEGMENT_MAGIC);
        out.extend(self.first_index.to_be_bytes());
        out.extend(self.first_number.to_be_bytes());
        out.extend(self.origin);
        out.extend(self.previous);
        let check = sha256(&out);
        out.extend(check);
        out.resize(SEGMENT_HEADER, 0);
        out
    }

    /// Reads the header of a segment. `None` when any of its 128 bytes is not as written.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = bytes;
        take::<8>(&mut input).filter(|magic| *magic == SEGMENT_MAGIC)?;
        let header = Self {
            first_index: take_u64(&mut input)?,
            first_number: take_u64(&mut input)?,
            origin: take(&mut input)?,
            previous: take(&mut input)?,
        };
        (bytes.get(..SEGMENT_HEADER)? == header.encode()).then_some(header)
    }
}

/// One batch of entries, borrowed from the bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Batches are numbered from 0 without gaps.
    pub number: u64,
    /// Index of the first entry.
    pub first_index: u64,
    /// Number of entries, at least 1.
    pub count: u32,
    /// When it was written, unix seconds by the writer's clock. Never before the batch before it.
    pub time: u64,
    /// Which process wrote it.
    pub writer: WriterId,
    /// Hash of the batch before this one; of the origin for batch 0.
    pub previous: Hash,
    /// Hash over header and entries.
    pub hash: Hash,
    /// Length of the whole record in bytes.
    pub length: usize,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, checking its hash and that the entries fill it exactly.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut input = bytes;
        let magic = take::<8>(&mut input).ok_or(RecordError::Truncated {
            needed: RECORD_OVERHEAD,
        })?;
        if magic == [0; 8] {
            return Err(RecordError::Blank);
        }
        if magic != RECORD_MAGIC {
            return Err(RecordError::MagicUnknown);
        }
        let short = RecordError::Truncated {
            needed: RECORD_OVERHEAD,
        };
        let number = take_u64(&mut input).ok_or(short)?;
        let first_index = take_u64(&mut input).ok_or(short)?;
        let count = take_u32(&mut input).ok_or(short)?;
        let body_length = usize::try_from(take_u32(&mut input).ok_or(short)?).unwrap_or(usize::MAX);
        let time = take_u64(&mut input).ok_or(short)?;
        let writer = take(&mut input).ok_or(short)?;
        let previous = take(&mut input).ok_or(short)?;
        let length = body_length.saturating_add(RECORD_OVERHEAD);
        if count == 0 || length > RECORD_MAX {
            return Err(RecordError::LengthInvalid);
        }
        let short = RecordError::Truncated { needed: length };
        let body = take_slice(&mut input, body_length).ok_or(short)?;
        let hash = take(&mut input).ok_or(short)?;
        let covered = bytes.get(..length.saturating_sub(32)).ok_or(short)?;
        if sha256(covered) != hash {
            return Err(RecordError::HashMismatch);
        }
        let record = Self {
            number,
            first_index,
            count,
            time,
            writer,
            previous,
            hash,
            length,
            body,
        };
        let mut entries = record.entries();
        if wide(entries.by_ref().count()) == u64::from(count) && entries.rest.is_empty() {
            Ok(record)
        } else {
            Err(RecordError::EntriesInvalid)
        }
    }

    /// The entries, as encoded.
    pub fn entries(&self) -> Entries<'a> {
        Entries { rest: self.body }
    }

    /// Index after the last entry.
    pub fn end_index(&self) -> u64 {
        self.first_index.saturating_add(u64::from(self.count))
    }
}

/// Random, drawn by each process that writes: tells whose batch it is.
pub type WriterId = [u8; 16];

/// What comes before the entries of a batch that is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prelude {
    pub(crate) number: u64,
    pub(crate) first_index: u64,
    pub(crate) time: u64,
    pub(crate) writer: WriterId,
    pub(crate) previous: Hash,
}

/// Appends a record to `out` and returns its number of entries and its hash. Entries are at most 65,535 bytes long:
/// the caller has checked.
pub(crate) fn encode_record<'a>(
    prelude: &Prelude,
    entries: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> (u32, Hash) {
    let start = out.len();
    out.extend(RECORD_MAGIC);
    out.extend(prelude.number.to_be_bytes());
    out.extend(prelude.first_index.to_be_bytes());
    out.extend([0; 8]);
    out.extend(prelude.time.to_be_bytes());
    out.extend(prelude.writer);
    out.extend(prelude.previous);
    let body_start = out.len();
    let mut count = 0u32;
    for entry in entries {
        push_entry(out, entry);
        count = count.saturating_add(1);
    }
    let body_length = u32::try_from(out.len().saturating_sub(body_start)).unwrap_or(u32::MAX);
    let lengths = start.saturating_add(24);
    if let Some(field) = out.get_mut(lengths..lengths.saturating_add(8)) {
        let (first, second) = field.split_at_mut(4);
        first.copy_from_slice(&count.to_be_bytes());
        second.copy_from_slice(&body_length.to_be_bytes());
    }
    let hash = sha256(out.get(start..).unwrap_or_default());
    out.extend(hash);
    (count, hash)
}

/// Where a record lies, read off its header without checking anything but the magic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) number: u64,
    pub(crate) first_index: u64,
    pub(crate) length: usize,
}

impl Outline {
    /// The outline of the record at the start of `bytes`, which may end inside it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = bytes;
        take::<8>(&mut input).filter(|magic| *magic == RECORD_MAGIC)?;
        let number = take_u64(&mut input)?;
        let first_index = take_u64(&mut input)?;
        take_u32(&mut input)?;
        let body = usize::try_from(take_u32(&mut input)?).ok()?;
        let length = body.saturating_add(RECORD_OVERHEAD);
        (length <= RECORD_MAX).then_some(Self {
            number,
            first_index,
            length,
        })
    }
}

/// Appends an entry as batches and tlog-tiles bundles hold it: big-endian `u16` length, then the bytes.
pub(crate) fn push_entry(out: &mut Vec<u8>, entry: &[u8]) {
    out.extend(u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(entry);
}

/// Length-prefixed entries, one after the other.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The entries of a bundle, or of the body of a batch; ends at the first that is not whole.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left of the bytes.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut input = self.rest;
        let length = take_u16(&mut input)?;
        let entry = take_slice(&mut input, usize::from(length))?;
        self.rest = input;
        Some(entry)
    }
}

/// The first `count` entries of a bundle; all of it when there are fewer.
#[cfg(feature = "remote")]
pub(crate) fn prefix(bundle: &[u8], count: u16) -> &[u8] {
    let mut entries = Entries::new(bundle);
    let taken = entries.by_ref().take(usize::from(count)).count();
    let rest = if taken == usize::from(count) {
        entries.rest.len()
    } else {
        0
    };
    bundle
        .get(..bundle.len().saturating_sub(rest))
        .unwrap_or_default()
}

/// Whether a valid record of a batch numbered `number` or later starts anywhere in `bytes`.
pub(crate) fn holds_later_record(bytes: &[u8], number: u64) -> bool {
    let mut rest = bytes;
    while let Some(position) = rest
        .windows(RECORD_MAGIC.len())
        .position(|window| window == RECORD_MAGIC)
    {
        let candidate = rest.get(position..).unwrap_or_default();
        if Record::decode(candidate).is_ok_and(|record| record.number >= number) {
            return true;
        }
        rest = candidate.get(1..).unwrap_or_default();
    }
    false
}

/// Why bytes are not a batch record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Zeros: nothing was written here yet.
    #[error("no record here")]
    Blank,
    /// Neither zeros nor a record.
    #[error("not a batch record")]
    MagicUnknown,
    /// The bytes end inside the record.
    #[error("the record ends early")]
    Truncated {
        /// Bytes the record would need, as far as can be told.
        needed: usize,
    },
    /// No entries, or longer than any record.
    #[error("the record's length is impossible")]
    LengthInvalid,
    /// Header and entries do not hash to the record's hash.
    #[error("the record's hash does not match")]
    HashMismatch,
    /// The entries do not fill the body exactly.
    #[error("the record's entries do not fit its length")]
    EntriesInvalid,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        let prelude = Prelude {
            number: 3,
            first_index: 17,
            time: 1_000,
            writer: [8; 16],
            previous: [9; 32],
        };
        encode_record(&prelude, [&b"one"[..], b"", b"three"].into_iter(), &mut out);
        out
    }

    #[test]
    fn reads_what_it_writes() {
        let bytes = sample();
        let record = Record::decode(&bytes).unwrap();
        assert_eq!(
            (
                record.number,
                record.first_index,
                record.count,
                record.end_index()
            ),
            (3, 17, 3, 20)
        );
        assert_eq!(
            (record.time, record.writer, record.previous),
            (1_000, [8; 16], [9; 32])
        );
        let outline = Outline::read(&bytes[..RECORD_HEADER]).unwrap();
        assert_eq!(
            (outline.number, outline.first_index, outline.length),
            (3, 17, bytes.len())
        );
        assert_eq!(record.length, bytes.len());
        assert_eq!(record.entries().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample();
        for position in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[position / 8] ^= 1 << (position % 8);
            assert!(Record::decode(&bad).is_err(), "bit {position}");
        }
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "cut {cut}");
        }
    }

    #[test]
    fn a_segment_header_is_exact() {
        let header = SegmentHeader {
            first_index: 1,
            first_number: 2,
            origin: [3; 32],
            previous: [4; 32],
        };
        let bytes = header.encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert_eq!(SegmentHeader::decode(&bad), None, "byte {position}");
        }
    }

    #[test]
    fn a_later_record_is_found_anywhere() {
        let mut bytes = vec![1, 2, 3];
        bytes.extend(&RECORD_MAGIC);
        bytes.extend(sample());
        assert!(holds_later_record(&bytes, 3));
        assert!(!holds_later_record(&bytes, 4));
        assert!(!holds_later_record(&bytes[..bytes.len() - 1], 3));
    }
}
