//! The independent checker on ledgers whose writer breaks the rules of keys: signed, whole, and wrong.

use countersign_ledger::audit::{Options, State, audit, audit_with};
use countersign_ledger::entry::{
    Denial, Denied, KeyAnnouncement, KeyTransition, ReasonCode, WAYPOINT_EVERY, Waypoint,
};
use countersign_ledger::{Entry, Issuance, IssuanceKind, KeyStateCode};

use crate::resume::publish;
use crate::support::signer;

fn announcement(previous: Option<u64>, key: u8) -> Entry {
    Entry::KeyAnnouncement(KeyAnnouncement {
        previous,
        at: 10,
        sign_from: 10,
        sign_until: None,
        realm: [1; 32],
        issuer: [2; 32],
        key: [key; 32],
    })
}

fn transition(previous: u64, key: u64, state: KeyStateCode) -> Entry {
    Entry::KeyTransition(KeyTransition {
        state,
        reason: ReasonCode::Routine,
        previous: Some(previous),
        key,
        at: 10,
        sign_from: 10,
        sign_until: None,
    })
}

fn token(key: u64) -> Entry {
    Entry::Issuance(Issuance {
        kind: IssuanceKind::Access,
        fingerprint: [9; 32],
        key,
        issued_at: 10,
        expires_at: 20,
        lineage: None,
    })
}

fn denial(previous: Option<u64>, denied: Denied) -> Entry {
    Entry::Denial(Denial {
        denied,
        reason: ReasonCode::Compromise,
        previous,
        at: 10,
    })
}

/// The finding, if there is one: its code and its message.
fn finding(entries: &[Entry]) -> Option<(&'static str, String)> {
    let entries: Vec<_> = entries.iter().map(|entry| entry.encode().unwrap()).collect();
    let found = audit(&publish(&entries), &signer().verifier_key()).err()?;
    assert!(found.hint().is_some());
    Some((found.code(), found.to_string()))
}

fn check(entries: &[Entry], code: &str, text: &str) {
    let (found, message) = finding(entries).unwrap();
    assert_eq!(found, code, "{message}");
    assert!(message.contains(text), "{message}");
}

/// An announced, active key at 0, and a token of it at 2.
fn good() -> Vec<Entry> {
    vec![
        announcement(None, 1),
        transition(0, 0, KeyStateCode::Active),
        token(0),
    ]
}

fn good_and(more: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    good().into_iter().chain(more).collect()
}

#[test]
fn a_token_under_a_key_that_was_never_announced_is_an_alarm_of_its_own() {
    let code = "audit_key_not_announced";
    assert_eq!(finding(&good()), None);
    check(&[token(0)], code, "entry 0 names a key by index 0");
    check(&good_and([token(1)]), code, "entry 3 names a key by index 1");
    check(&good_and([token(3)]), code, "by index 3");
    check(&good_and([token(77)]), code, "by index 77");
    check(
        &good_and([transition(1, 2, KeyStateCode::Active)]),
        code,
        "entry 3",
    );
    let span = Denied::KeySpan {
        key: 2,
        from: 0,
        until: None,
    };
    check(&good_and([denial(None, span)]), code, "entry 3");
}

#[test]
fn a_token_under_a_key_that_did_not_sign_is_an_alarm_of_its_own() {
    let code = "audit_key_not_active";
    check(&[announcement(None, 1), token(0)], code, "was staged before it");
    for state in KeyStateCode::ALL
        .iter()
        .filter(|state| **state > KeyStateCode::Active)
    {
        let late = good_and([transition(1, 0, *state), token(0)]);
        let text = format!("entry 4 is a token under a key that was {}", state.as_str());
        check(&late, code, &text);
    }
    // Another key goes on.
    let other = good_and([
        transition(1, 0, KeyStateCode::Revoked),
        announcement(Some(3), 2),
        transition(4, 4, KeyStateCode::Active),
        token(4),
    ]);
    assert_eq!(finding(&other), None);
}

#[test]
fn keys_that_regain_trust_and_broken_chains_are_found() {
    let code = "audit_key_transition_invalid";
    check(&good_and([announcement(Some(1), 1)]), code, "entry 3");
    let back = good_and([
        transition(1, 0, KeyStateCode::Revoked),
        transition(3, 0, KeyStateCode::Active),
    ]);
    check(&back, code, "entry 4");
    let code = "audit_chain_broken";
    check(&good_and([announcement(None, 2)]), code, "entry 3");
    check(&good_and([announcement(Some(0), 2)]), code, "entry 3");
    let denied = || Denied::Token([1; 32]);
    let two = [denial(None, denied()), denial(Some(3), denied())];
    assert_eq!(finding(&good_and(two)), None);
    check(&good_and([denial(Some(2), denied())]), code, "entry 3");
    let two = good_and([denial(None, denied()), denial(None, denied())]);
    check(&two, code, "entry 4");
    let early = Entry::Waypoint(Waypoint {
        last_key_entry: Some(1),
        last_denial: None,
    });
    check(&good_and([early]), code, "entry 3");
}

/// A log with its waypoint, as bytes.
fn long(waypoint: Option<Waypoint>) -> Vec<Vec<u8>> {
    let mut entries: Vec<_> = good().iter().map(|entry| entry.encode().unwrap()).collect();
    let token = token(0).encode().unwrap();
    entries.resize(usize::try_from(WAYPOINT_EVERY).unwrap(), token.clone());
    entries.extend(waypoint.map(|waypoint| Entry::Waypoint(waypoint).encode().unwrap()));
    entries.resize(entries.len() + 300, token);
    entries
}

#[test]
fn a_waypoint_stands_in_its_place_and_tells_the_truth() {
    let key = signer().verifier_key();
    let right = Waypoint {
        last_key_entry: Some(1),
        last_denial: None,
    };
    let report = audit(&publish(&long(Some(right))), &key).unwrap();
    assert_eq!((report.waypoints, report.size), (1, WAYPOINT_EVERY + 301));
    for wrong in [
        None,
        Some(Waypoint {
            last_key_entry: None,
            ..right
        }),
        Some(Waypoint {
            last_denial: Some(2),
            ..right
        }),
    ] {
        let found = audit(&publish(&long(wrong)), &key).unwrap_err();
        assert_eq!(found.code(), "audit_chain_broken", "{wrong:?}");
    }
}

#[test]
fn a_resumed_audit_remembers_the_keys() {
    let key = signer().verifier_key();
    let run = |entries: &[Entry], state: Option<&State>| {
        let entries: Vec<_> = entries.iter().map(|entry| entry.encode().unwrap()).collect();
        let options = Options {
            resume: state,
            ..Options::default()
        };
        audit_with(&publish(&entries), &key, options)
    };
    let mut entries = good();
    entries.push(denial(None, Denied::Token([1; 32])));
    entries.resize(600, token(0));
    let (_, state) = run(&entries, None).unwrap();
    assert_eq!(state.entries(), 512);
    let state = State::decode(&state.encode()).unwrap();
    entries.push(transition(1, 0, KeyStateCode::Suspect));
    entries.push(denial(Some(3), Denied::Token([2; 32])));
    let (resumed, _) = run(&entries, Some(&state)).unwrap();
    assert_eq!((resumed.resumed_at, resumed.denials), (512, 2));
    let (whole, _) = run(&entries, None).unwrap();
    assert_eq!(whole.issuances, resumed.issuances);
    entries.push(token(0));
    let late = run(&entries, Some(&state)).unwrap_err();
    assert_eq!(late.code(), "audit_key_not_active");
}
