//! The fuzzers' first inputs were written by another program from `docs/ledger-format.md`: we read them the same way.

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::proof::TlogProof;
use countersign_ledger::record::{Record, SegmentHeader};
use countersign_ledger::{Entry, IssuanceKind, KeyStateCode, Verifier};

macro_rules! seed {
    ($path:literal) => {
        include_bytes!(concat!("../../../../fuzz/corpus/", $path)).as_slice()
    };
}

#[test]
fn entries_read_as_described() {
    let Entry::Issuance(issuance) = Entry::decode(seed!("ledger_entry/lineage")).unwrap() else {
        panic!()
    };
    assert_eq!(
        (issuance.kind, issuance.fingerprint),
        (IssuanceKind::Exchanged, [0xaa; 32])
    );
    assert_eq!((issuance.issuer, issuance.key), ([0xbb; 32], [0xcc; 32]));
    assert_eq!((issuance.issued_at, issuance.expires_at), (1_000, 2_000));
    let lineage = issuance.lineage.unwrap();
    assert_eq!((lineage.parent, lineage.root), ([0xdd; 32], [0xdd; 32]));
    let Entry::Key(event) = Entry::decode(seed!("ledger_entry/key_event")).unwrap() else {
        panic!()
    };
    assert_eq!(
        (event.state, event.at, event.sign_from, event.sign_until),
        (KeyStateCode::Suspect, 1, 2, 0)
    );
}

#[test]
fn batches_read_as_described() {
    let record = Record::decode(seed!("ledger_journal/batch")).unwrap();
    assert_eq!(
        (
            record.number,
            record.first_index,
            record.count,
            record.time,
            record.writer
        ),
        (0, 0, 2, 1_000, [7; 16])
    );
    assert_eq!(record.entries().next(), Some(seed!("ledger_entry/issuance")));
    let header = SegmentHeader::decode(seed!("ledger_journal/segment")).unwrap();
    assert_eq!(
        (header.first_index, header.first_number, header.previous),
        (0, 0, record.previous)
    );
    assert_eq!(header.origin, header.previous);
}

#[test]
fn notes_read_as_described() {
    // Key and note are those of the documentation of golang.org/x/mod/sumdb/note.
    let vkey = std::str::from_utf8(seed!("checkpoint/vkey")).unwrap();
    let verifier = Verifier::parse(vkey).unwrap();
    assert!(
        verifier
            .open(seed!("checkpoint/note"))
            .unwrap()
            .starts_with("If you think cryptography")
    );
    let text = std::str::from_utf8(seed!("checkpoint/text")).unwrap();
    assert_eq!(Checkpoint::parse(text).unwrap().size, 7);
    let proof = std::str::from_utf8(seed!("checkpoint/proof")).unwrap();
    assert_eq!(TlogProof::parse(proof).unwrap().index, 3);
}
