//! A published key set: no panic, every key of the set is taken or refused, and what is taken can be written and read
//! again.
#![no_main]

use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet, assertion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // What is written says more than what was read; a set just below the limit would come out above it.
    if data.len() > 64 * 1024 {
        return;
    }
    for name in [
        "https://id.example/consumer",
        "https://id.example/enterprise/{tenantid}",
    ] {
        let issuer = IssuerName::parse(name).expect("a good name");
        for metadata in [KeyMetadata::Declared, KeyMetadata::Assumed] {
            let context = KeyContext::new(&issuer, "r", metadata);
            let Ok(set) = KeySet::parse(data, &context) else {
                continue;
            };
            let written = set.to_json().to_string();
            let context = KeyContext::new(&issuer, "r", KeyMetadata::Declared);
            let again = KeySet::parse(written.as_bytes(), &context).expect("our own writing");
            assert_eq!(again.to_json(), set.to_json());
            for key in set.keys() {
                assert!(!key.verify(b"message", b"no signature"));
            }
        }
    }
    let _ = assertion::client_keys(data, "client");
});
