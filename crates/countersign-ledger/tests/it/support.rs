//! What several tests need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_ledger::{Clock, Entry, Issuance, IssuanceKind, Ledger, NoteSigner, OpenError, Options};

pub(crate) const ORIGIN: &str = "ledger.example/1";
/// When all tokens expire.
pub(crate) const EXPIRES_AT: u64 = 1_000_000;

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[42; 32]).unwrap()
}

pub(crate) fn options(directory: &Path) -> Options {
    Options {
        publish_interval: Duration::from_millis(20),
        segment_bytes: 1 << 17,
        ..Options::new(directory, ORIGIN)
    }
}

pub(crate) fn open(directory: &Path) -> Result<Ledger, OpenError> {
    Ledger::open(options(directory), signer())
}

pub(crate) fn fingerprint(number: u64) -> [u8; 32] {
    let mut fingerprint = [0x5a; 32];
    fingerprint[..8].copy_from_slice(&number.to_be_bytes());
    fingerprint
}

pub(crate) fn issuance(number: u64) -> Entry {
    Entry::Issuance(Issuance {
        kind: IssuanceKind::Access,
        fingerprint: fingerprint(number),
        issuer: [1; 32],
        key: [2; 32],
        issued_at: 1_000,
        expires_at: EXPIRES_AT,
        lineage: None,
    })
}

pub(crate) fn clock(now: u64) -> Clock {
    Arc::new(move || now)
}

/// Appends the issuances numbered `from..to`, all at once.
pub(crate) async fn append_all(ledger: &Ledger, from: u64, to: u64) -> Vec<u64> {
    let tasks: Vec<_> = (from..to)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.append(issuance(number)).await.unwrap() })
        })
        .collect();
    let mut indices = Vec::new();
    for task in tasks {
        indices.push(task.await.unwrap());
    }
    indices
}
