//! Batch records and segment headers from hostile bytes: no panic, and what is accepted is consistent.
#![no_main]

use countersign_ledger::record::{Record, SegmentHeader};
use countersign_ledger::tile::TileName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(header) = SegmentHeader::decode(data) {
        assert!(data.starts_with(&header.encode()));
    }
    if let Ok(record) = Record::decode(data) {
        assert!(record.length <= data.len());
        assert_eq!(record.entries().count(), usize::try_from(record.count).unwrap());
    }
    if let Ok(path) = std::str::from_utf8(data)
        && let Some(name) = TileName::parse(path)
    {
        assert_eq!(name.to_string(), path);
    }
});
