//! Receipts from hostile bytes: read and written alike, and no checkpoint is believed that the policy would not.
#![no_main]

use std::sync::LazyLock;

use countersign_ledger::policy::Policy;
use countersign_ledger::proof::TlogProof;
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(include_bytes!("../corpus/policy/groups")).unwrap());

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(proof) = TlogProof::parse(text) else {
        return;
    };
    assert_eq!(TlogProof::parse(&proof.encode()).ok().as_ref(), Some(&proof));
    let entry = proof.extra.clone().unwrap_or_default();
    if proof.check(&entry, &POLICY).is_ok() {
        assert!(POLICY.check(proof.checkpoint.as_bytes()).is_ok());
    }
});
