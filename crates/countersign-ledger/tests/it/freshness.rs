//! The ledger's own cosignature: on every checkpoint, and renewed while nothing happens.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_ledger::audit::audit_directory;
use countersign_ledger::note::Note;
use countersign_ledger::{Cosigner, Ledger, Options, SignedFreshness, Verifier};

use crate::support::{ORIGIN, append_all, options, signer};

fn open(directory: &Path, clock: &Arc<AtomicU64>) -> Ledger {
    let clock = clock.clone();
    let freshness = SignedFreshness {
        cosigner: Arc::new(Cosigner::freshness(ORIGIN, &[42; 32]).unwrap()),
        clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        interval: Duration::from_millis(50),
    };
    let options = Options {
        freshness: Some(freshness),
        ..options(directory)
    };
    Ledger::open(options, signer()).unwrap()
}

/// The time that the note's freshness line states.
fn time(note: &[u8], key: &str) -> Option<u64> {
    let note = Note::parse(note).unwrap();
    assert!(note.verify(signer().verifier()).unwrap().is_some());
    let signed = note.verify(&Verifier::parse(key).unwrap()).unwrap();
    signed.and_then(|signed| signed.time)
}

async fn wait_for(ledger: &Ledger, expect: u64) {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while time(&ledger.checkpoint(), ledger.freshness_key().unwrap()) != Some(expect) {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "never signed {expect}"
        );
        tick.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_ledger_goes_on_signing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicU64::new(1_000));
    let ledger = open(directory.path(), &clock);
    wait_for(&ledger, 1_000).await;
    append_all(&ledger, 0, 300).await;
    clock.store(2_000, Ordering::SeqCst);
    wait_for(&ledger, 2_000).await;
    let size = |ledger: &Ledger| {
        String::from_utf8_lossy(&ledger.checkpoint())
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let before = size(&ledger);
    clock.store(3_000, Ordering::SeqCst);
    wait_for(&ledger, 3_000).await;
    assert_eq!(before, "300");
    assert_eq!(size(&ledger), "300");
    ledger.close();

    // What lies on disk is what was served, with the key beside it, and the older auditor takes it.
    let stored = std::fs::read(directory.path().join("checkpoint")).unwrap();
    let key = std::fs::read_to_string(directory.path().join("freshness.vkey")).unwrap();
    assert_eq!(time(&stored, key.trim()), Some(3_000));
    audit_directory(directory.path(), &signer().verifier_key()).unwrap();

    // After a restart nothing is appended, and still the old statement is renewed.
    clock.store(4_000, Ordering::SeqCst);
    let ledger = open(directory.path(), &clock);
    wait_for(&ledger, 4_000).await;
    ledger.close();
}
