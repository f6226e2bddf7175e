//! Transitions that meet what is under way: tokens that are signed and not recorded, changes that are recorded and not
//! applied.

use countersign_ledger::{Entry, Follower, Ledger, NoteSigner, Options};
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::grant::Grant;
use crate::open::OpenOptions;

const BASE_URL: &str = "http://authority.example";
const ISSUER: &str = "http://authority.example/consumer";
const NOW: u64 = 1_800_000_000;

fn open_ledger(directory: &TempDir) -> Ledger {
    let origin = "authority.example/ledger";
    let options = Options::new(directory.path().join("ledger"), origin);
    Ledger::open(options, NoteSigner::from_seed(origin, &[7; 32]).unwrap()).unwrap()
}

async fn open(directory: &TempDir) -> Authority {
    let ledger = open_ledger(directory);
    let clock: crate::Clock = Arc::new(|| NOW);
    let options = OpenOptions {
        directory: directory.path().join("data"),
        base_url: BASE_URL.to_owned(),
        config: Config::first_run(),
        follower: Follower::start(ledger.clone(), Arc::clone(&clock)).await,
        ledger,
        clock,
    };
    Authority::open(options).await.unwrap()
}

fn grant() -> Grant {
    Grant::new(ISSUER, "alice", "consumer-app", "https://outlook.example")
}

fn key_of_state(authority: &Authority, state: KeyState) -> String {
    let keys = authority.keys();
    let mut keys = keys
        .into_iter()
        .filter(|key| key.issuer == ISSUER && key.state == state);
    keys.next().unwrap().key_id
}

#[tokio::test]
async fn a_token_in_flight_when_its_key_is_taken_away_is_not_released() {
    for to in [KeyState::Suspect, KeyState::Revoked, KeyState::Retired] {
        let directory = tempfile::tempdir().unwrap();
        let authority = open(&directory).await;
        let issuer = Arc::clone(authority.issuer(ISSUER).unwrap());
        let signed = authority.sign(&issuer, &grant()).await.unwrap();
        let old = key_of_state(&authority, KeyState::Active);
        match to {
            KeyState::Suspect => authority.suspect(ISSUER, &old).await,
            KeyState::Revoked => authority.revoke(ISSUER, &old).await,
            _ => authority.activate(ISSUER).await,
        }
        .unwrap();
        let head = authority.ledger().head();
        let refused = authority.record(signed, &grant()).await.unwrap_err();
        assert_eq!(refused.code(), "key_fenced", "{to}");
        assert_eq!(authority.ledger().head(), head, "{to}");
        // Who asks now, or had to be asked again, gets a token of the next key.
        let next = authority.issue(grant()).await.unwrap();
        assert_ne!(next.key_id, old, "{to}");
    }
}

/// Records what a revocation records, and stops there, as a crash or a full disk under the state does.
async fn record_only(authority: &Authority) -> String {
    let keyring = &authority.shared().keyring;
    let rows: Vec<KeyRow> = keyring.state.keys().await.unwrap();
    let rows: Vec<KeyRow> = rows.into_iter().filter(|row| row.issuer == ISSUER).collect();
    let issuer = authority.issuer(ISSUER).unwrap();
    let leaving = select(&rows, None, KeyState::Revoked).unwrap();
    let successor = Successor::prepare(keyring, issuer, &rows, leaving, NOW)
        .await
        .unwrap();
    let transition = plan(&rows, leaving, KeyState::Revoked, &successor, 3_600, NOW);
    keyring.record(&transition).await.unwrap();
    leaving.key_id.clone()
}

async fn check_followed(authority: &Authority, revoked: &str, next: &str) {
    assert_eq!(key_of_state(authority, KeyState::Revoked), revoked);
    assert_eq!(key_of_state(authority, KeyState::Active), next);
    let staged = key_of_state(authority, KeyState::Staged);
    assert_eq!(authority.issue(grant()).await.unwrap().key_id, next);
    // The staged one is whole: it can take its turn.
    authority.activate(ISSUER).await.unwrap();
    assert_eq!(authority.issue(grant()).await.unwrap().key_id, staged);
}

#[tokio::test]
async fn a_change_that_was_recorded_is_applied_by_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let authority = open(&directory).await;
    let next = key_of_state(&authority, KeyState::Staged);
    let revoked = record_only(&authority).await;
    // Nothing is released under a key that the ledger holds revoked.
    let refused = authority.issue(grant()).await.unwrap_err();
    assert_eq!(refused.code(), "key_not_active");
    let entries = authority.ledger().head();
    authority.revoke(ISSUER, &revoked).await.unwrap();
    assert_eq!(authority.ledger().head(), entries, "it is not recorded twice");
    check_followed(&authority, &revoked, &next).await;
}

#[tokio::test]
async fn a_change_that_was_recorded_is_applied_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let authority = open(&directory).await;
    let next = key_of_state(&authority, KeyState::Staged);
    let revoked = record_only(&authority).await;
    let ledger = authority.ledger().clone();
    drop(authority);
    ledger.close();
    let authority = open(&directory).await;
    check_followed(&authority, &revoked, &next).await;
    let entries = authority.ledger().read(0, 1_000).unwrap();
    let revocations = entries.iter().filter(|entry| {
        matches!(entry, Entry::KeyTransition(change) if change.state == countersign_ledger::KeyStateCode::Revoked)
    });
    assert_eq!(revocations.count(), 1);
}
