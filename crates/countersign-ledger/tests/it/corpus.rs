//! The fuzzers' first inputs were written by another program from `docs/ledger-format.md`: we read them the same way.

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::policy::Policy;
use countersign_ledger::proof::TlogProof;
use countersign_ledger::record::{Record, SegmentHeader};
use countersign_ledger::witness::{AddCheckpoint, Witness};
use countersign_ledger::{Cosigner, Verifier};

macro_rules! seed {
    ($path:literal) => {
        include_bytes!(concat!("../../../../fuzz/corpus/", $path)).as_slice()
    };
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

#[test]
fn a_cosigned_checkpoint_of_another_program_is_believed_by_its_policy() {
    let own = Policy::parse(seed!("policy/own")).unwrap();
    let groups = Policy::parse(seed!("policy/groups")).unwrap();
    for policy in [&own, &groups] {
        let trusted = policy.check(seed!("checkpoint/cosigned")).unwrap();
        assert_eq!(trusted.checkpoint.size, 5);
    }
    let times = |policy: &Policy| {
        let trusted = policy.check(seed!("checkpoint/cosigned")).unwrap();
        let cosignatures = trusted.cosignatures.into_iter();
        cosignatures
            .map(|(name, time)| (name.to_string(), time.unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(times(&own), [("freshness".to_owned(), 1_000)]);
    assert_eq!(
        times(&groups),
        [
            ("X0".to_owned(), 1_001),
            ("X1".to_owned(), 1_002),
            ("Y3".to_owned(), 1_003)
        ]
    );
    assert!(Policy::parse(seed!("policy/octets")).is_ok());
    assert_eq!(
        Policy::parse(seed!("policy/cut")).unwrap_err().code(),
        "policy_unterminated"
    );
}

#[test]
fn receipts_of_another_program_hold() {
    let policy = Policy::parse(seed!("policy/groups")).unwrap();
    for (text, entry) in [
        (seed!("tlog_proof/entry"), "entry 3"),
        (seed!("tlog_proof/bare"), "entry 4"),
        (seed!("tlog_proof/one"), "entry 0"),
    ] {
        let proof = TlogProof::parse(std::str::from_utf8(text).unwrap()).unwrap();
        proof.check(entry.as_bytes(), &policy).unwrap();
        assert!(proof.check(b"entry 9", &policy).is_err());
        assert_eq!(proof.encode().as_bytes(), text);
    }
}

#[test]
fn a_witness_takes_the_requests_of_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy::parse(seed!("policy/own")).unwrap();
    let cosigners = Cosigner::witness("w.example", &[1; 32]).unwrap();
    let witness = Witness::open(directory.path(), &policy, cosigners).unwrap();
    for request in [
        seed!("add_checkpoint/first"),
        seed!("add_checkpoint/next"),
        seed!("add_checkpoint/same"),
    ] {
        assert_eq!(AddCheckpoint::parse(request).unwrap().encode(), request);
        witness.add_checkpoint(request, 1_000).unwrap();
    }
}
