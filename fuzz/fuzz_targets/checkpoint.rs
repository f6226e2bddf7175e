//! Signed notes, checkpoints, verifier keys and receipts from hostile bytes.
#![no_main]

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::note::Verifier;
use countersign_ledger::proof::TlogProof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let verifier =
        Verifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let _ = verifier.open(data);
    let _ = Checkpoint::open(data, &verifier);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert!(text.starts_with(checkpoint.encode().trim_end_matches('\n')));
    }
    if let Ok(verifier) = Verifier::parse(text) {
        assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier));
    }
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(TlogProof::parse(&proof.encode()).ok(), Some(proof.clone()));
        let _ = proof.verify(b"entry", &verifier);
    }
});
