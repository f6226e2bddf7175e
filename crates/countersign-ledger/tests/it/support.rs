//! What several tests need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_ledger::draft::{AnnouncementDraft, TransitionDraft, active_key};
use countersign_ledger::entry::{ActionCode, ReasonCode, ResponseAction, StageCode};
use countersign_ledger::{
    AppendError, Clock, Entry, Epoch, Issuance, IssuanceDraft, IssuanceKind, KeyName, KeyStateCode, Ledger,
    NoteSigner, OpenError, Options,
};

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

/// The key that signs everything here, and its realm.
pub(crate) const KEY: KeyName = KeyName {
    issuer: [1; 32],
    key: [2; 32],
};
pub(crate) const REALM: [u8; 32] = [3; 32];
/// Entries of [`make_ready`], before the first issuance.
pub(crate) const READY: u64 = 2;

/// Announces [`KEY`] and makes it active, unless it is.
pub(crate) async fn make_ready(ledger: &Ledger) {
    if ledger.key(&KEY).is_none() {
        ledger.append_together(active_key(KEY, REALM, 900)).await.unwrap();
    }
}

pub(crate) fn announcement(key: KeyName) -> AnnouncementDraft {
    AnnouncementDraft {
        key,
        realm: REALM,
        at: 900,
        sign_from: 1_000,
        sign_until: None,
    }
}

pub(crate) fn transition(key: KeyName, state: KeyStateCode) -> TransitionDraft {
    TransitionDraft {
        key,
        state,
        reason: ReasonCode::Routine,
        at: 1_000,
        sign_from: 1_000,
        sign_until: None,
    }
}

/// The issuance numbered `number`, as the ledger holds it after [`make_ready`].
pub(crate) fn issuance(number: u64) -> Entry {
    Entry::Issuance(Issuance {
        kind: IssuanceKind::Access,
        fingerprint: fingerprint(number),
        key: 0,
        issued_at: 1_000,
        expires_at: EXPIRES_AT,
        lineage: None,
    })
}

/// The same, still to be recorded.
pub(crate) fn draft(number: u64, epoch: Epoch) -> IssuanceDraft {
    IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint: fingerprint(number),
        key: KEY,
        epoch,
        parent_key: None,
        issued_at: 1_000,
        expires_at: 1_000_000,
        lineage: None,
    }
}

/// An entry that refers to no other, so that it may stand anywhere: where the place matters and the content does not.
pub(crate) fn action(number: u64) -> ResponseAction {
    ResponseAction {
        action: ActionCode::DenyTokens,
        stage: StageCode::Executed,
        at: 1_000,
        case: [1; 16],
        target: fingerprint(number),
    }
}

/// The epoch to sign under now.
pub(crate) fn epoch(ledger: &Ledger) -> Epoch {
    ledger
        .key(&KEY)
        .map(|standing| standing.epoch)
        .unwrap_or_default()
}

pub(crate) async fn append(ledger: &Ledger, number: u64) -> Result<u64, AppendError> {
    ledger.append(draft(number, epoch(ledger))).await
}

pub(crate) fn clock(now: u64) -> Clock {
    Arc::new(move || now)
}

/// Appends the issuances numbered `from..to`, all at once. On a new ledger [`make_ready`] takes the place of the first
/// [`READY`] of them.
pub(crate) async fn append_all(ledger: &Ledger, from: u64, to: u64) -> Vec<u64> {
    let from = if ledger.key(&KEY).is_none() {
        from + READY
    } else {
        from
    };
    make_ready(ledger).await;
    let tasks: Vec<_> = (from..to)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { append(&ledger, number).await.unwrap() })
        })
        .collect();
    let mut indices = Vec::new();
    for task in tasks {
        indices.push(task.await.unwrap());
    }
    indices
}
