use super::*;
use crate::note::NoteSigner;
use crate::record::push_entry;
use crate::tree::root_of;

const ORIGIN: &str = "a.example/l";

fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn replica() -> Replica {
    Replica::new(signer().verifier().clone())
}

fn entry(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn bundle(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.for_each(|number| push_entry(&mut out, &entry(number)));
    out
}

fn root(numbers: std::ops::Range<u64>) -> Hash {
    let leaves: Vec<Hash> = numbers.map(|number| leaf_hash(&entry(number))).collect();
    root_of(&leaves)
}

/// The honest head of the tree of entries `0..size`.
fn head(size: u64, nonce: Option<Nonce>) -> Vec<u8> {
    signed(size, root(0..size), nonce)
}

fn signed(size: u64, root: Hash, nonce: Option<Nonce>) -> Vec<u8> {
    let origin = ORIGIN.to_owned();
    Head {
        origin,
        size,
        root,
        nonce,
    }
    .sign(&signer())
}

fn check(replica: &mut Replica, note: &[u8], asked: Option<Nonce>, expect: Result<usize, SourceError>) {
    let proved = replica.head(note, asked).map(|proved| proved.entries().count());
    assert_eq!(proved, expect);
}

#[test]
fn entries_count_once_a_head_names_their_tree() {
    let mut replica = replica();
    replica.hear(0, &bundle(0..5)).unwrap();
    assert_eq!((replica.heard(), replica.proved()), (5, 0));
    check(&mut replica, &head(5, None), None, Ok(5));
    assert_eq!(replica.proved(), 5);
    // Said again, and overlapping with what is new.
    replica.hear(3, &bundle(3..5)).unwrap();
    replica.hear(3, &bundle(3..9)).unwrap();
    let proved = replica.head(&head(9, None), None).unwrap();
    assert_eq!((proved.first(), proved.entries().count()), (5, 4));
    assert_eq!(proved.entries().next().unwrap(), entry(5));
    check(&mut replica, &head(9, Some([1; 16])), Some([1; 16]), Ok(0));
}

#[test]
fn a_gap_is_refused() {
    let mut replica = replica();
    assert_eq!(replica.hear(1, &bundle(1..5)), Err(SourceError::Unverified));
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let mut replica = replica();
    replica.hear(0, &bundle(0..5)).unwrap();
    let old = head(5, Some([1; 16]));
    check(&mut replica, &old, Some([2; 16]), Err(SourceError::Unverified));
    check(&mut replica, &old, None, Err(SourceError::Unverified));
    check(
        &mut replica,
        &head(5, None),
        Some([2; 16]),
        Err(SourceError::Unverified),
    );
}

#[test]
fn a_wrong_entry_proves_nothing_and_can_be_taken_back() {
    let mut replica = replica();
    let mut wrong = bundle(0..5);
    wrong[12] ^= 1;
    replica.hear(0, &wrong).unwrap();
    check(&mut replica, &head(5, None), None, Err(SourceError::Unverified));
    replica.forget();
    replica.hear(0, &bundle(0..5)).unwrap();
    check(&mut replica, &head(5, None), None, Ok(5));
}

#[test]
fn missing_and_surplus_entries_are_noticed() {
    for heard in [4, 6] {
        let mut replica = replica();
        replica.hear(0, &bundle(0..heard)).unwrap();
        check(
            &mut replica,
            &head(5, Some([1; 16])),
            Some([1; 16]),
            Err(SourceError::Unverified),
        );
        assert_eq!(replica.proved(), 0);
    }
}

#[test]
fn a_rollback_and_a_fork_are_told_apart_from_old_news() {
    let mut replica = replica();
    replica.hear(0, &bundle(0..9)).unwrap();
    check(&mut replica, &head(9, None), None, Ok(9));
    check(&mut replica, &head(5, None), None, Ok(0));
    let nonce = Some([7; 16]);
    check(&mut replica, &head(5, nonce), nonce, Err(SourceError::RolledBack));
    let other = signed(9, [0; 32], nonce);
    check(&mut replica, &other, nonce, Err(SourceError::Forked));
    let pushed = signed(9, [0; 32], None);
    check(&mut replica, &pushed, None, Err(SourceError::Forked));
    let forked = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 9,
        root: [0; 32],
    };
    let result = replica.checkpoint(&forked, &[]);
    assert_eq!(result.map(drop), Err(SourceError::Forked));
}

#[test]
fn only_the_ledgers_key_counts() {
    let mut replica = replica();
    replica.hear(0, &bundle(0..5)).unwrap();
    let other = NoteSigner::from_seed(ORIGIN, &[2; 32]).unwrap();
    let head = Head {
        origin: ORIGIN.to_owned(),
        size: 5,
        root: root(0..5),
        nonce: None,
    };
    check(
        &mut replica,
        &head.sign(&other),
        None,
        Err(SourceError::Unverified),
    );
}

#[test]
fn a_checkpoint_proves_its_prefix() {
    let checkpoint = |size: u64| Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root: root(0..size),
    };
    let mut replica = replica();
    replica.hear(0, &bundle(0..4)).unwrap();
    // The tree of 8 is the one of 4 and its sibling.
    let sibling = root(4..8);
    assert!(replica.checkpoint(&checkpoint(8), &[[0; 32]]).is_err());
    let proved = replica.checkpoint(&checkpoint(8), &[sibling]).unwrap();
    assert_eq!(proved.entries().count(), 4);
    replica.hear(4, &bundle(4..8)).unwrap();
    let proved = replica.checkpoint(&checkpoint(8), &[]).unwrap();
    assert_eq!((proved.first(), proved.entries().count()), (4, 4));
}

#[test]
fn followers_and_public_see_one_history() {
    let checkpoint = |size: u64, root: Hash| Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root,
    };
    let mut replica = replica();
    replica.hear(0, &bundle(0..9)).unwrap();
    check(&mut replica, &head(9, None), None, Ok(9));
    for size in [3, 7, 7, 3, 9, 12] {
        assert_eq!(
            replica.public_checkpoint(&checkpoint(size, root(0..size))),
            Ok(())
        );
    }
    replica.hear(9, &bundle(9..12)).unwrap();
    check(&mut replica, &head(12, None), None, Ok(3));
    let other = checkpoint(11, root(1..12));
    assert_eq!(replica.public_checkpoint(&other), Err(SourceError::Forked));
}
