//! The life of keys: transitions, what gates and relying parties see of them, what is left on disk.

use std::collections::BTreeMap;

use countersign_authority::dangerous::unseal_signing_key;
use countersign_authority::{Config, Grant, KeySummary};
use countersign_ledger::{Entry, KeyStateCode, issuer_id};
use countersign_token::KeyState;

use crate::world::{BASE_URL, CONTOSO, MAIL, World};

fn issuer() -> String {
    format!("{BASE_URL}{CONTOSO}")
}

fn key(world: &World, state: KeyState) -> KeySummary {
    let mut keys = world.authority.keys();
    keys.retain(|key| key.issuer == issuer() && key.state == state);
    assert_eq!(keys.len(), 1, "{state}");
    keys.remove(0)
}

async fn token(world: &World) -> String {
    let grant = Grant::new(issuer(), "alice", "mail-app", MAIL);
    world.authority.issue(grant).await.unwrap().token.to_string()
}

/// The `kid`s and states in the published set of the issuer.
async fn published(world: &World) -> BTreeMap<String, String> {
    let set = world.get(&format!("{CONTOSO}/jwks"), &[]).await.json();
    let text = |key: &serde_json::Value, name: &str| key[name].as_str().unwrap().to_owned();
    set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (text(key, "kid"), text(key, "cs_state")))
        .collect()
}

fn sealed_files(world: &World) -> usize {
    std::fs::read_dir(world.data().join("keys")).unwrap().count()
}

/// The states that the ledger announced for the issuer, in order.
fn announced(world: &World) -> Vec<KeyStateCode> {
    let entries = world.ledger.read(0, 1_000).unwrap().into_iter();
    let own = entries.filter_map(|entry| match entry {
        Entry::KeyAnnouncement(key) if key.issuer == issuer_id(&issuer()) => Some(KeyStateCode::Staged),
        Entry::KeyTransition(change) => {
            let key = world.ledger.key_at(change.key).unwrap();
            (key.name.issuer == issuer_id(&issuer())).then_some(change.state)
        }
        _ => None,
    });
    own.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_retires_the_old_key_and_stages_a_new_one() {
    let world = World::first_run().await;
    let mut trust = world.authority.trust();
    let first = trust.borrow_and_update().number;
    let (old, next) = (key(&world, KeyState::Active), key(&world, KeyState::Staged));
    let before = token(&world).await;
    world.pass(10);
    let number = world.authority.activate(&issuer()).await.unwrap();
    assert!(number > first && trust.has_changed().unwrap());
    assert_eq!(trust.borrow_and_update().number, number);

    let retired = key(&world, KeyState::Retired);
    assert_eq!(
        (retired.key_id, retired.sign_until),
        (old.key_id.clone(), Some(world.now()))
    );
    let active = key(&world, KeyState::Active);
    assert_eq!((&active.key_id, active.sign_from), (&next.key_id, world.now()));
    let after = token(&world).await;
    assert_eq!(
        world.verify(&before, "enterprise", MAIL).key_state(),
        KeyState::Retired
    );
    assert_eq!(world.verify(&after, "enterprise", MAIL).key_id(), next.key_id);
    assert_eq!(published(&world).await.len(), 3);
    // One active and one staged key for each of three issuers, and the retired key's private part is gone.
    assert_eq!(sealed_files(&world), 6);
    let stolen = unseal_signing_key(&world.data(), &issuer(), &old.key_id).await;
    assert_eq!(stolen.unwrap_err().code(), "file_missing");
    let announced: Vec<&str> = announced(&world).into_iter().map(KeyStateCode::as_str).collect();
    assert_eq!(
        announced,
        ["staged", "active", "staged", "retired", "active", "staged"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_or_revoked_key_is_replaced_at_once() {
    for (state, refused) in [
        (KeyState::Suspect, None),
        (KeyState::Revoked, Some("key_revoked")),
    ] {
        let world = World::first_run().await;
        let (old, next) = (key(&world, KeyState::Active), key(&world, KeyState::Staged));
        let before = token(&world).await;
        match state {
            KeyState::Suspect => world.authority.suspect(&issuer(), &old.key_id).await.unwrap(),
            _ => world.authority.revoke(&issuer(), &old.key_id).await.unwrap(),
        };
        assert_eq!(key(&world, state).key_id, old.key_id);
        assert_eq!(key(&world, KeyState::Active).key_id, next.key_id);
        assert_eq!(world.refusal(&before, "enterprise", MAIL), refused);
        let after = token(&world).await;
        assert_eq!(world.refusal(&after, "enterprise", MAIL), None);
        // Relying parties that know nothing of states no longer find the key.
        assert!(!published(&world).await.contains_key(&old.key_id));
        assert_eq!(sealed_files(&world), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_key_can_be_distrusted_too() {
    let world = World::first_run().await;
    let (active, staged) = (key(&world, KeyState::Active), key(&world, KeyState::Staged));
    world.authority.revoke(&issuer(), &staged.key_id).await.unwrap();
    assert_eq!(key(&world, KeyState::Active).key_id, active.key_id);
    assert_ne!(key(&world, KeyState::Staged).key_id, staged.key_id);
    assert_eq!(sealed_files(&world), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_only_move_towards_less_trust() {
    let world = World::first_run().await;
    let old = key(&world, KeyState::Active).key_id;
    world.authority.activate(&issuer()).await.unwrap();
    world.authority.suspect(&issuer(), &old).await.unwrap();
    let again = world.authority.suspect(&issuer(), &old).await.unwrap_err();
    assert_eq!(again.code(), "transition_not_allowed");
    world.authority.revoke(&issuer(), &old).await.unwrap();
    let back = world.authority.suspect(&issuer(), &old).await.unwrap_err();
    assert_eq!(back.code(), "transition_not_allowed");
    assert_eq!(
        world
            .authority
            .revoke(&issuer(), "unknown")
            .await
            .unwrap_err()
            .code(),
        "key_unknown"
    );
    let foreign = format!("{BASE_URL}/consumer");
    assert_eq!(
        world.authority.revoke(&foreign, &old).await.unwrap_err().code(),
        "key_unknown"
    );
    assert_eq!(
        world
            .authority
            .activate("https://x.example")
            .await
            .unwrap_err()
            .code(),
        "issuer_unknown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_survive_a_restart_and_bundle_numbers_grow() {
    let world = World::first_run().await;
    let old = key(&world, KeyState::Active).key_id;
    world.authority.revoke(&issuer(), &old).await.unwrap();
    let (keys, number) = (world.authority.keys(), world.authority.trust().borrow().number);
    let world = world.restart(Config::first_run()).await.unwrap();
    assert_eq!(world.authority.keys(), keys);
    assert!(world.authority.trust().borrow().number > number);
    world.verify(&token(&world).await, "enterprise", MAIL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_that_cannot_be_recorded_does_not_happen() {
    let world = World::first_run().await;
    let (keys, number) = (world.authority.keys(), world.authority.trust().borrow().number);
    world.ledger.close();
    let error = world.authority.activate(&issuer()).await.unwrap_err();
    assert_eq!(error.code(), "record_failed");
    assert_eq!(world.authority.keys(), keys);
    assert_eq!(world.authority.trust().borrow().number, number);
    // What was prepared is cleared away by the next start.
    assert_eq!(sealed_files(&world), 7);
    let world = world.restart(Config::first_run()).await.unwrap();
    assert_eq!(sealed_files(&world), 6);
    assert_eq!(world.authority.keys(), keys);
    world.verify(&token(&world).await, "enterprise", MAIL);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuing_goes_on_while_keys_change() {
    let world = World::first_run().await;
    let issuing: Vec<_> = (0..8)
        .map(|_| {
            let authority = world.authority.clone();
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                for _ in 0..20 {
                    let grant = Grant::new(issuer(), "alice", "mail-app", MAIL);
                    tokens.push(authority.issue(grant).await.unwrap());
                }
                tokens
            })
        })
        .collect();
    for _ in 0..5 {
        world.authority.activate(&issuer()).await.unwrap();
    }
    for task in issuing {
        for issued in task.await.unwrap() {
            // Each was signed by a key that was active at that moment, and recorded before it got here.
            world.verify(&issued.token, "enterprise", MAIL);
            assert!(issued.ledger_index < world.ledger.head());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_in_flight_follows_a_revocation() {
    let world = World::first_run().await;
    let old = key(&world, KeyState::Active).key_id;
    let issuing: Vec<_> = (0..16)
        .map(|_| {
            let authority = world.authority.clone();
            tokio::spawn(async move {
                let mut issued = Vec::new();
                for _ in 0..20 {
                    let grant = Grant::new(issuer(), "alice", "mail-app", MAIL);
                    issued.push(authority.issue(grant).await.unwrap());
                }
                issued
            })
        })
        .collect();
    let mut head = world.ledger.watch();
    let from = world.ledger.head();
    head.wait_for(|head| *head > from + 40).await.unwrap();
    world.authority.suspect(&issuer(), &old).await.unwrap();
    let mut by_old = 0;
    let mut released = Vec::new();
    for task in issuing {
        released.extend(task.await.unwrap());
    }
    let entries = world.ledger.read(0, 10_000).unwrap();
    let is_suspicion = |entry: &Entry| matches!(entry, Entry::KeyTransition(change) if change.state == KeyStateCode::Suspect);
    let suspected = (0..).zip(&entries).find(|(_, entry)| is_suspicion(entry));
    let suspected: u64 = suspected.map(|(index, _)| index).unwrap();
    for issued in &released {
        if issued.key_id == old {
            by_old += 1;
            assert!(issued.ledger_index < suspected, "{issued:?}");
        }
    }
    assert!(
        by_old > 0 && by_old < released.len(),
        "{by_old} of {}",
        released.len()
    );
    // Nor does the ledger hold any that was not released.
    let recorded = entries.iter().filter(|entry| matches!(entry, Entry::Issuance(_)));
    assert_eq!(recorded.count(), released.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_expires_when_its_last_token_has() {
    let world = World::first_run().await;
    world.authority.activate(&issuer()).await.unwrap();
    let old = key(&world, KeyState::Retired).key_id;
    world.pass(3_600 + 31);
    world.authority.activate(&issuer()).await.unwrap();
    assert_eq!(key(&world, KeyState::Expired).key_id, old);
    assert!(!published(&world).await.contains_key(&old));
    assert!(announced(&world).contains(&KeyStateCode::Expired));
}
