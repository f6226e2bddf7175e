//! The vectors of `docs/ledger-format.md`, made by another program: document, fuzzers' first inputs and code agree.

use std::collections::BTreeMap;

use countersign_ledger::entry::{
    ActionCode, Denial, Denied, KeyAnnouncement, KeyTransition, RealmFence, ReasonCode, ResponseAction,
    StageCode, Waypoint, opaque_key, session_id,
};
use countersign_ledger::{Entry, Issuance, IssuanceKind, KeyStateCode, Lineage, issuer_id, realm_id};

const DOCUMENT: &str = include_str!("../../../../docs/ledger-format.md");
const TIME: u64 = 1_800_000_000;
const ISS: &str = "https://login.example";

/// The rows `` | name | `hex` | `` of the document.
fn documented() -> BTreeMap<&'static str, Vec<u8>> {
    DOCUMENT
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
            let bytes = hex::decode(rest.strip_suffix("` |")?).ok()?;
            Some((name, bytes))
        })
        .collect()
}

fn issuance(kind: IssuanceKind, fingerprint: u8, issued_at: u64, lineage: Option<Lineage>) -> Entry {
    Entry::Issuance(Issuance {
        kind,
        fingerprint: [fingerprint; 32],
        key: 7,
        issued_at,
        expires_at: TIME + 600,
        lineage,
    })
}

fn denial(denied: Denied, reason: ReasonCode, previous: Option<u64>) -> Entry {
    Entry::Denial(Denial {
        denied,
        reason,
        previous,
        at: TIME,
    })
}

/// What the document says in words.
fn described() -> Vec<(&'static str, Entry)> {
    let lineage = Lineage {
        parent: [0xaa; 32],
        root: [0xaa; 32],
    };
    let session = session_id(&issuer_id(ISS), "session-1");
    let span = Denied::KeySpan {
        key: 7,
        from: TIME - 3_600,
        until: None,
    };
    vec![
        ("issuance", issuance(IssuanceKind::Access, 0xaa, TIME, None)),
        (
            "descendant",
            issuance(IssuanceKind::Exchanged, 0xbb, TIME + 60, Some(lineage)),
        ),
        (
            "key_announcement",
            Entry::KeyAnnouncement(KeyAnnouncement {
                previous: Some(5),
                at: TIME,
                sign_from: TIME + 300,
                sign_until: None,
                realm: realm_id("enterprise"),
                issuer: issuer_id(ISS),
                key: [0xcc; 32],
            }),
        ),
        (
            "key_transition",
            Entry::KeyTransition(KeyTransition {
                state: KeyStateCode::Suspect,
                reason: ReasonCode::Suspicion,
                previous: Some(7),
                key: 7,
                at: TIME + 900,
                sign_from: TIME + 300,
                sign_until: Some(TIME + 900),
            }),
        ),
        (
            "realm_fence",
            Entry::RealmFence(RealmFence {
                reason: ReasonCode::Compromise,
                previous: None,
                at: TIME,
                realm: realm_id("enterprise"),
            }),
        ),
        (
            "waypoint",
            Entry::Waypoint(Waypoint {
                last_key_entry: Some(7),
                last_denial: None,
            }),
        ),
        (
            "denial_token",
            denial(Denied::Token([0xaa; 32]), ReasonCode::Compromise, None),
        ),
        (
            "denial_lineage",
            denial(Denied::Lineage([0xaa; 32]), ReasonCode::Misissued, Some(9)),
        ),
        (
            "denial_session",
            denial(Denied::Session(session), ReasonCode::Requested, Some(10)),
        ),
        ("denial_key_span", denial(span, ReasonCode::Compromise, Some(11))),
        (
            "response",
            Entry::Response(ResponseAction {
                action: ActionCode::SuspectKey,
                stage: StageCode::Acknowledged,
                at: TIME,
                case: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
                target: [0xcc; 32],
            }),
        ),
    ]
}

#[test]
fn every_type_of_entry_is_encoded_as_documented() {
    let documented = documented();
    for (name, entry) in described() {
        let bytes = documented
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!(hex::encode(entry.encode().unwrap()), hex::encode(bytes), "{name}");
        assert_eq!(Entry::decode(bytes), Ok(entry), "{name}");
    }
}

#[test]
fn the_fuzzers_begin_with_the_documented_entries() {
    let documented = documented();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/ledger_entry");
    for (name, _) in described() {
        let bytes = std::fs::read(format!("{corpus}/{name}")).unwrap();
        assert_eq!(documented.get(name), Some(&bytes), "{name}");
    }
}

#[test]
fn names_are_hashed_as_documented() {
    let documented = documented();
    let issuer = issuer_id(ISS);
    for (name, hash) in [
        ("issuer", issuer),
        ("realm", realm_id("enterprise")),
        ("session", session_id(&issuer, "session-1")),
        ("opaque key", opaque_key(&issuer)),
    ] {
        assert_eq!(documented.get(name).map(Vec::as_slice), Some(&hash[..]), "{name}");
    }
}

/// What one token costs for ever: its entry in a bundle, its leaf hash, and its share of the tiles above.
#[test]
fn a_token_takes_at_most_a_hundred_bytes() {
    let entry = issuance(IssuanceKind::Access, 1, TIME, None).encode().unwrap();
    let upper_tiles = 32.0 / 256.0 + 32.0 / 65_536.0 + 0.001;
    let stored = f64::from(u32::try_from(2 + entry.len() + 32).unwrap()) + upper_tiles;
    assert!(stored <= 82.2, "{stored} bytes");
}
