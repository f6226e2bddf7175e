//! A real ledger in a directory of its own, with the same bytes each time.

use std::path::Path;

use countersign_ledger::draft::active_key;
use countersign_ledger::{IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, issuer_id, realm_id};

use crate::command::file;

pub(crate) const ISSUER: &str = "http://127.0.0.1:8420/enterprise/t1";
/// When the ledger begins: 2026-08-01T12:00:00Z.
pub(crate) const BEGIN: u64 = 1_785_585_600;
/// Thumbprint of the key that signs, and as base64url.
pub(crate) const KEY: [u8; 32] = [0; 32];
pub(crate) const KEY_TEXT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Writes a ledger to `directory`/ledger and its key to `directory`/ledger.vkey: one key in two entries, and `tokens` issuances one
/// minute apart, the first at [`BEGIN`]. Token `n` has the fingerprint [`fingerprint`]`(n)`.
pub(crate) fn write(directory: &Path, tokens: u16) {
    let origin = "ledger.example/1";
    let signer = NoteSigner::from_seed(origin, &[7; 32]).unwrap();
    let key = format!("{}\n", signer.verifier_key());
    file(directory, "ledger.vkey", key);
    let options = countersign_ledger::Options::new(directory.join("ledger"), origin);
    let ledger = Ledger::open(options, signer).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let key = KeyName {
            issuer: issuer_id(ISSUER),
            key: KEY,
        };
        let drafts = active_key(key, realm_id("enterprise"), BEGIN);
        ledger.append_together(drafts).await.unwrap();
        let epoch = ledger.key(&key).unwrap().epoch;
        for number in 0..tokens {
            let issued_at = BEGIN + u64::from(number) * 60;
            let issuance = IssuanceDraft {
                kind: IssuanceKind::Access,
                fingerprint: fingerprint(number),
                key,
                epoch,
                parent_key: None,
                issued_at,
                expires_at: issued_at + 3600,
                lineage: None,
            };
            ledger.append(issuance).await.unwrap();
        }
    });
    ledger.close();
}

pub(crate) fn fingerprint(number: u16) -> [u8; 32] {
    let mut fingerprint = [0xaa; 32];
    fingerprint[..2].copy_from_slice(&number.to_be_bytes());
    fingerprint
}
