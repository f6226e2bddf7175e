use proptest::prelude::*;

use super::*;
use crate::bytes::{U24_MAX, U40_MAX};

fn one_of<T: Copy + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(values)
}

fn seconds() -> impl Strategy<Value = u64> {
    0..=U40_MAX
}

fn link() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(0..U40_MAX)
}

fn span() -> impl Strategy<Value = (u64, Option<u64>)> {
    (seconds(), any::<Option<u64>>()).prop_map(|(from, length)| {
        let until = length.map(|length| from + length % (U40_MAX - from + 1));
        (from, until.filter(|until| *until > 0))
    })
}

fn any_issuance() -> impl Strategy<Value = Entry> {
    let lineage = proptest::option::of(any::<[[u8; 32]; 2]>());
    let times = (seconds(), 1..=U24_MAX);
    (
        one_of(IssuanceKind::ALL),
        any::<[u8; 32]>(),
        seconds(),
        times,
        lineage,
    )
        .prop_map(|(kind, fingerprint, key, (issued_at, lifetime), lineage)| {
            Entry::Issuance(Issuance {
                kind,
                fingerprint,
                key,
                issued_at,
                expires_at: issued_at + lifetime,
                lineage: lineage.map(|[parent, root]| Lineage { parent, root }),
            })
        })
}

fn any_key_entry() -> impl Strategy<Value = Entry> {
    let announcement = (link(), seconds(), span(), any::<[[u8; 32]; 3]>()).prop_map(
        |(previous, at, (sign_from, sign_until), [realm, issuer, key])| {
            Entry::KeyAnnouncement(KeyAnnouncement {
                previous,
                at,
                sign_from,
                sign_until,
                realm,
                issuer,
                key,
            })
        },
    );
    let codes = (one_of(&KeyStateCode::ALL[1..]), one_of(ReasonCode::ALL));
    let transition = (codes, link(), seconds(), seconds(), span()).prop_map(
        |((state, reason), previous, key, at, (sign_from, sign_until))| {
            Entry::KeyTransition(KeyTransition {
                state,
                reason,
                previous,
                key,
                at,
                sign_from,
                sign_until,
            })
        },
    );
    let fence = (one_of(ReasonCode::ALL), link(), seconds(), any::<[u8; 32]>()).prop_map(
        |(reason, previous, at, realm)| {
            Entry::RealmFence(RealmFence {
                reason,
                previous,
                at,
                realm,
            })
        },
    );
    let waypoint = (link(), link()).prop_map(|(last_key_entry, last_denial)| {
        Entry::Waypoint(Waypoint {
            last_key_entry,
            last_denial,
        })
    });
    prop_oneof![announcement, transition, fence, waypoint]
}

fn any_denial() -> impl Strategy<Value = Entry> {
    let denied = prop_oneof![
        any::<[u8; 32]>().prop_map(Denied::Token),
        any::<[u8; 32]>().prop_map(Denied::Lineage),
        any::<[u8; 32]>().prop_map(Denied::Session),
        (seconds(), span()).prop_map(|(key, (from, until))| Denied::KeySpan { key, from, until }),
    ];
    (denied, one_of(ReasonCode::ALL), link(), seconds()).prop_map(|(denied, reason, previous, at)| {
        Entry::Denial(Denial {
            denied,
            reason,
            previous,
            at,
        })
    })
}

fn any_response() -> impl Strategy<Value = Entry> {
    let codes = (one_of(ActionCode::ALL), one_of(StageCode::ALL));
    (codes, seconds(), any::<[u8; 16]>(), any::<[u8; 32]>()).prop_map(
        |((action, stage), at, case, target)| {
            Entry::Response(ResponseAction {
                action,
                stage,
                at,
                case,
                target,
            })
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    prop_oneof![any_issuance(), any_key_entry(), any_denial(), any_response()]
}

/// Bytes that are an entry but for a change or two: random ones nearly never are.
fn nearly_an_entry() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (any_entry(), changes).prop_map(|(entry, changes)| {
        let mut bytes = entry.encode().unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn round_trip_is_exact(entry in any_entry()) {
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
    }

    #[test]
    fn every_type_has_one_length(entry in any_entry(), extra in any::<u8>()) {
        let mut bytes = entry.encode().unwrap();
        for cut in 0..bytes.len() {
            prop_assert_eq!(Entry::decode(&bytes[..cut]), Err(EntryError::Truncated));
        }
        let lengths = [0, 48, 112, 118, 29, 45, 12, 46, 28, 57];
        prop_assert_eq!(bytes.len(), lengths[usize::from(bytes[1])]);
        bytes.push(extra);
        prop_assert_eq!(Entry::decode(&bytes), Err(EntryError::TrailingBytes));
    }

    #[test]
    fn what_decodes_is_canonical(bytes in nearly_an_entry()) {
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), Ok(bytes));
        }
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), Ok(bytes));
        }
    }
}

fn issuance() -> Issuance {
    Issuance {
        kind: IssuanceKind::Access,
        fingerprint: [1; 32],
        key: 3,
        issued_at: 4,
        expires_at: 5,
        lineage: None,
    }
}

#[test]
fn unknown_codes_are_refused() {
    let check = |entry: Entry, at: usize, value: u8, expect: EntryError| {
        let mut bytes = entry.encode().unwrap();
        bytes[at] = value;
        assert_eq!(Entry::decode(&bytes), Err(expect), "byte {at} = {value}");
    };
    let unknown = |field, code| EntryError::CodeUnknown { field, code };
    let token = || Entry::Issuance(issuance());
    check(token(), 0, 0, EntryError::VersionUnknown { version: 0 });
    check(token(), 0, 2, EntryError::VersionUnknown { version: 2 });
    check(token(), 1, 0, EntryError::TypeUnknown { code: 0 });
    check(token(), 1, 10, EntryError::TypeUnknown { code: 10 });
    check(token(), 1, 2, EntryError::Truncated);
    check(token(), 2, 0, unknown("issuance kind", 0));
    check(token(), 2, 6, unknown("issuance kind", 6));
    check(token(), 15, 0, EntryError::LifetimeInvalid);
    let transition = || {
        Entry::KeyTransition(KeyTransition {
            state: KeyStateCode::Retired,
            reason: ReasonCode::Routine,
            previous: None,
            key: 0,
            at: 9,
            sign_from: 5,
            sign_until: Some(9),
        })
    };
    check(transition(), 2, 1, EntryError::TransitionToStaged);
    check(transition(), 2, 7, unknown("key state", 7));
    check(transition(), 3, 0, unknown("reason", 0));
    check(transition(), 28, 4, EntryError::SpanInverted);
    let denial = || {
        Entry::Denial(Denial {
            denied: Denied::Token([0; 32]),
            reason: ReasonCode::Routine,
            previous: None,
            at: 1,
        })
    };
    check(denial(), 2, 0, unknown("denial target", 0));
    check(denial(), 2, 4, unknown("denial target", 4));
    check(denial(), 3, 6, unknown("reason", 6));
}

#[test]
fn what_fits_no_field_is_not_written() {
    let check = |change: fn(&mut Issuance), expect: Option<&str>| {
        let mut issuance = issuance();
        change(&mut issuance);
        let encoded = Entry::Issuance(issuance).encode();
        assert_eq!(encoded.err().map(|error| error.code()), expect);
    };
    check(|_| (), None);
    check(|it| it.key = U40_MAX, None);
    check(|it| it.key = U40_MAX + 1, Some("entry_out_of_range"));
    check(|it| it.expires_at = it.issued_at, Some("entry_lifetime_invalid"));
    check(|it| it.issued_at = 6, Some("entry_lifetime_invalid"));
    check(|it| it.expires_at = it.issued_at + U24_MAX, None);
    check(
        |it| it.expires_at = it.issued_at + U24_MAX + 1,
        Some("entry_lifetime_invalid"),
    );
    let late = |it: &mut Issuance| (it.issued_at, it.expires_at) = (U40_MAX + 1, U40_MAX + 2);
    check(late, Some("entry_out_of_range"));
    let waypoint = |last_denial| {
        Entry::Waypoint(Waypoint {
            last_key_entry: None,
            last_denial: Some(last_denial),
        })
        .encode()
    };
    assert!(waypoint(U40_MAX - 1).is_ok());
    assert!(waypoint(U40_MAX).is_err());
    assert!(waypoint(u64::MAX).is_err());
}

#[test]
fn a_key_only_moves_towards_less_trust() {
    use KeyStateCode::{Active, Expired, Retired, Revoked, Staged, Suspect};
    for (from, to, expect) in [
        (Staged, Active, true),
        (Active, Retired, true),
        (Retired, Expired, true),
        (Retired, Suspect, true),
        (Suspect, Revoked, true),
        (Expired, Revoked, true),
        (Expired, Suspect, false),
        (Revoked, Active, false),
        (Suspect, Active, false),
        (Retired, Active, false),
        (Active, Active, false),
    ] {
        assert_eq!(from.may_become(to), expect, "{from:?} to {to:?}");
    }
}
