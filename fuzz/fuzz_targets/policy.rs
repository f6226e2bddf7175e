//! Trust policies: what is read is written and read again as the same, and judges any note without falling over.
#![no_main]

use countersign_ledger::policy::Policy;
use libfuzzer_sys::fuzz_target;

/// Signed by the log and witnesses of the policies in the corpus.
const NOTE: &[u8] = include_bytes!("../corpus/checkpoint/cosigned");

fuzz_target!(|data: &[u8]| {
    if let Ok(policy) = Policy::parse(data) {
        assert_eq!(Policy::parse(&policy.encode()), Ok(policy.clone()));
        let _ = policy.check(NOTE);
        assert!(policy.without_quorum().check(NOTE).is_ok() || policy.check(NOTE).is_err());
    }
});
