use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::tree::sha256;

fn fingerprint(number: u64) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&number.to_le_bytes());
    fingerprint
}

fn set() -> (IssuedWriter, IssuedReader) {
    issued_set(Keep::Indices).unwrap()
}

fn insert(writer: &mut IssuedWriter, number: u64, index: u64, expires_at: u64, now: u64) {
    let token = Token {
        fingerprint: &fingerprint(number),
        root: None,
        kind: IssuanceKind::Access,
        expires_at,
        index,
    };
    writer.insert(&token, now);
}

#[test]
fn the_first_entry_of_a_fingerprint_counts() {
    let (mut writer, reader) = set();
    insert(&mut writer, 1, 3, 1000, 0);
    insert(&mut writer, 1, 9, 1000, 0);
    assert_eq!(reader.look_up(&fingerprint(1), 1000).unwrap().index, Some(3));
    assert_eq!(reader.len(), 1);
}

#[test]
fn another_expiry_is_another_token() {
    let (mut writer, reader) = set();
    insert(&mut writer, 1, 3, 1000, 0);
    assert!(reader.look_up(&fingerprint(1), 100_000).is_none());
    // The same slice: that the expiry is the recorded one to the second is not checked, the fingerprint covers it.
    assert!(reader.look_up(&fingerprint(1), 999).is_some());
}

#[test]
fn indices_are_kept_only_when_asked_for() {
    let (mut writer, reader) = issued_set(Keep::Membership).unwrap();
    insert(&mut writer, 1, 3, 1000, 0);
    let found = reader.look_up(&fingerprint(1), 1000).unwrap();
    assert_eq!((found.kind, found.index), (IssuanceKind::Access, None));
    let (mut with, reader_with) = set();
    insert(&mut with, 1, 3, 1000, 0);
    assert_eq!(reader_with.bytes(), 2 * reader.bytes());
}

fn is_denied(reader: &IssuedReader, number: u64, expires_at: u64) -> bool {
    reader
        .look_up(&fingerprint(number), expires_at)
        .unwrap()
        .is_denied
}

#[test]
fn a_denial_reaches_a_token_of_any_lifetime_and_stays() {
    let (mut writer, reader) = set();
    let expiries = [1000, 10 * COARSE_SLICE, u64::MAX];
    for (number, expires_at) in (0..).zip(expiries) {
        insert(&mut writer, number, number, expires_at, 0);
        writer.deny(&fingerprint(number));
    }
    // Denied before it is recorded.
    writer.deny(&fingerprint(150));
    // Growth copies the mark.
    for number in 100..1000 {
        insert(&mut writer, number, number, 1000, 0);
    }
    for (number, expires_at) in (0..).zip(expiries) {
        assert!(is_denied(&reader, number, expires_at));
    }
    assert!(is_denied(&reader, 150, 1000));
    assert!(!is_denied(&reader, 100, 1000));
}

#[test]
fn a_line_is_denied_with_what_still_comes_of_it() {
    let (mut writer, reader) = set();
    let descend = |writer: &mut IssuedWriter, number: u64, root: u64| {
        let token = Token {
            fingerprint: &fingerprint(number),
            root: Some(&fingerprint(root)),
            kind: IssuanceKind::Exchanged,
            expires_at: 1000 + number,
            index: number,
        };
        writer.insert(&token, 0);
    };
    for root in [1, 2] {
        insert(&mut writer, root, root, 5000, 0);
    }
    descend(&mut writer, 11, 1);
    descend(&mut writer, 12, 1);
    descend(&mut writer, 21, 2);
    writer.deny_lineage(&fingerprint(1));
    descend(&mut writer, 13, 1);
    for (number, expires_at, expect) in [
        (1, 5000, true),
        (2, 5000, false),
        (11, 1011, true),
        (12, 1012, true),
        (13, 1013, true),
        (21, 1021, false),
    ] {
        assert_eq!(is_denied(&reader, number, expires_at), expect, "{number}");
    }
    writer.drop_expired(100_000);
    assert!(writer.descendants.is_empty());
}

#[test]
fn two_sets_have_two_keys() {
    let ((writer, _), (other, _)) = (set(), set());
    assert_ne!(
        writer.published.tag(&fingerprint(1)),
        other.published.tag(&fingerprint(1))
    );
}

#[test]
fn a_clock_that_went_back_is_noticed() {
    let (mut writer, reader) = set();
    insert(&mut writer, 1, 0, 1000, 0);
    assert!(!reader.may_have_dropped(1000));
    writer.drop_expired(10_000);
    assert_eq!(reader.len(), 0);
    assert!(reader.may_have_dropped(1000));
    assert!(!reader.may_have_dropped(10_000 - SLACK));
}

#[test]
fn entries_cannot_make_buckets_without_end() {
    let (mut writer, reader) = set();
    for day in 0..100_000 {
        insert(&mut writer, day, day, day.saturating_mul(COARSE_SLICE), 0);
    }
    assert_eq!(reader.len(), 100_000);
    assert!(writer.directory.0.len() <= 404, "{}", writer.directory.0.len());
}

/// Tokens of every lifetime, over hours in which buckets are made, filled and dropped.
#[derive(Clone, Debug)]
struct Step {
    lifetime: u64,
    pause: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lifetime = prop_oneof![0u64..5000, 0u64..500_000, 0u64..80_000_000, Just(u64::MAX >> 1)];
    let step = (lifetime, 0u64..5000).prop_map(|(lifetime, pause)| Step { lifetime, pause });
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn nothing_unexpired_is_ever_missing(steps in steps()) {
        let (mut writer, reader) = set();
        let mut model: HashMap<u64, u64> = HashMap::new();
        let mut now = 0;
        for (number, step) in (0u64..).zip(&steps) {
            let expires_at = now + step.lifetime;
            insert(&mut writer, number, number, expires_at, now);
            model.insert(number, expires_at);
            now += step.pause;
            writer.drop_expired(now);
            for (earlier, expires_at) in &model {
                let found = reader.look_up(&fingerprint(*earlier), *expires_at);
                if *expires_at >= now {
                    prop_assert_eq!(found.and_then(|issued| issued.index), Some(*earlier));
                    prop_assert!(!reader.may_have_dropped(*expires_at));
                } else if found.is_none() {
                    prop_assert!(reader.may_have_dropped(*expires_at));
                }
                prop_assert!(reader.look_up(&fingerprint(earlier + 1000), *expires_at).is_none());
            }
        }
    }
}

/// The forger has the signing key, so it can try one token identifier after the other before it signs.
fn forged(number: u64) -> [u8; 32] {
    sha256(&[b"forged".as_slice(), &number.to_be_bytes()].concat())
}

#[test]
fn a_filter_falls_to_grinding_and_the_set_does_not() {
    let (mut writer, reader) = issued_set(Keep::Membership).unwrap();
    let mut filter = vec![false; 1 << 16];
    let cell = |fingerprint: &[u8; 32]| usize::from(u16::from_be_bytes([fingerprint[0], fingerprint[1]]));
    for number in 0..100u64 {
        let fingerprint = sha256(&number.to_be_bytes());
        filter[cell(&fingerprint)] = true;
        let token = Token {
            fingerprint: &fingerprint,
            root: None,
            kind: IssuanceKind::Access,
            expires_at: 1000,
            index: number,
        };
        writer.insert(&token, 0);
    }
    // A filter of 16 bits a token that the forger can compute, because it is public or its seed can be guessed. At the
    // forger's desk, without showing one token: with a hundred live tokens some 650 hashes for each hit.
    let grind = (0..1_000_000).filter(|number| filter[cell(&forged(*number))]);
    let passes: Vec<u64> = grind.take(100).collect();
    assert_eq!(passes.len(), 100, "the filter would let these forgeries in");
    assert!(
        passes[99] < 200_000,
        "{} hashes for a hundred forgeries",
        passes[99]
    );
    for number in passes {
        assert!(reader.look_up(&forged(number), 1000).is_none());
    }
    // Without the key there is nothing to grind against: a copy made with another key says nothing about this one.
    let (guess, _) = set();
    let tag_bits = |writer: &IssuedWriter, number| writer.published.tag(&forged(number)) >> 48;
    let target = tag_bits(&writer, 0);
    let hits = (0..65_536 * 4).filter(|number| tag_bits(&guess, *number) == target);
    let carried = hits.filter(|number| tag_bits(&writer, *number) == target).count();
    assert!(
        carried <= 3,
        "{carried} collisions under one key are collisions under another"
    );
}
