//! An address and, on the next line, a DPoP proof: no panic, an address has one spelling, and a proof counts once.
#![no_main]

use countersign_token::Reason;
use countersign_token::dpop::{MemoryReplayStore, Proof, ProofCheck, Request, RequestUrl};
use libfuzzer_sys::fuzz_target;

/// When the examples of RFC 9449 were made.
const NOW: u64 = 1_562_262_617;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (address, proof) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(url) = RequestUrl::parse(address) {
        assert_eq!(RequestUrl::parse(url.as_str()), Ok(url.clone()));
        let (scheme, rest) = url.as_str().split_once("://").expect("an absolute address");
        let (host, path) = rest.split_at(rest.find('/').expect("a path"));
        assert_eq!(RequestUrl::from_parts(scheme, host, path), Ok(url));
    }
    let _ = RequestUrl::from_parts("https", address, proof);

    let Ok(proof) = Proof::parse(proof) else { return };
    let url = RequestUrl::parse(address)
        .unwrap_or_else(|_| RequestUrl::parse("https://mail.example/").expect("a good address"));
    let used = MemoryReplayStore::new(1);
    for method in ["GET", "POST"] {
        let check = ProofCheck::new(Request::new(method, &url, &used), NOW);
        if proof.verify(&check).is_ok() {
            let again = proof.verify(&check).expect_err("used twice");
            assert_eq!(again.reason, Reason::ProofReplayed);
        }
    }
});
