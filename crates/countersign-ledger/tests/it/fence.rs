//! Keys in the ledger: nothing is recorded under a key that was not announced, or after its transition.

use std::sync::Arc;

use countersign_ledger::audit::audit_directory;
use countersign_ledger::draft::FenceDraft;
use countersign_ledger::entry::{ReasonCode, WAYPOINT_EVERY};
use countersign_ledger::{AppendError, Draft, Entry, KeyName, KeyStateCode, Ledger};
use tokio::sync::Barrier;

use crate::support::{
    KEY, READY, REALM, announcement, append, append_all, draft, epoch, make_ready, open, signer, transition,
};

/// Starts many issuances in the present epoch, lets `fence` race with them, and returns what became of them and the
/// index of the fence.
async fn race(ledger: &Ledger, fence: Draft) -> (Vec<Result<u64, AppendError>>, u64) {
    const CALLERS: u64 = 64;
    const EACH: u64 = 40;
    let epoch = epoch(ledger);
    let start = Arc::new(Barrier::new(usize::try_from(CALLERS).unwrap() + 1));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (ledger, start) = (ledger.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let mut answers = Vec::new();
                for number in caller * EACH..(caller + 1) * EACH {
                    answers.push(ledger.append(draft(number, epoch)).await);
                }
                answers
            })
        })
        .collect();
    start.wait().await;
    // Somewhere in the middle of it.
    let mut head = ledger.watch();
    let from = ledger.head();
    head.wait_for(|head| *head > from + CALLERS * 3).await.unwrap();
    let fence = ledger.append(fence).await.unwrap();
    let mut answers = Vec::new();
    for caller in callers {
        answers.extend(caller.await.unwrap());
    }
    (answers, fence)
}

fn check_race(answers: &[Result<u64, AppendError>], fence: u64) {
    let (mut before, mut refused) = (0, 0);
    for answer in answers {
        match answer {
            Ok(index) => {
                assert!(
                    *index < fence,
                    "entry {index} of the old epoch follows the fence at {fence}"
                );
                before += 1;
            }
            Err(error) => {
                assert_eq!(*error, AppendError::EpochFenced);
                refused += 1;
            }
        }
    }
    assert!(
        before > 0 && refused > 0,
        "no race: {before} before, {refused} refused"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_issuance_of_the_old_epoch_follows_a_revocation() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    make_ready(&ledger).await;
    let revocation = transition(KEY, KeyStateCode::Revoked).into();
    let (answers, fence) = race(&ledger, revocation).await;
    check_race(&answers, fence);
    assert_eq!(append(&ledger, 1).await, Err(AppendError::KeyNotActive));
    for (index, entry) in (0..).zip(ledger.read(0, usize::MAX).unwrap()) {
        assert!(
            index < fence || !matches!(entry, Entry::Issuance(_)),
            "entry {index}"
        );
    }
    ledger.close();
    audit_directory(directory.path(), &signer().verifier_key()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_realm_goes_on_in_the_next_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    make_ready(&ledger).await;
    let fence = FenceDraft {
        realm: REALM,
        reason: ReasonCode::Suspicion,
        at: 1_000,
    };
    let (answers, fence) = race(&ledger, fence.into()).await;
    check_race(&answers, fence);
    append(&ledger, 9_999).await.unwrap();
    // Of another realm, nothing is fenced.
    let before = epoch(&ledger);
    let elsewhere = FenceDraft {
        realm: [9; 32],
        reason: ReasonCode::Routine,
        at: 1,
    };
    ledger.append(elsewhere).await.unwrap();
    ledger.append(draft(10_000, before)).await.unwrap();
}

#[tokio::test]
async fn a_key_must_be_announced_first() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    let never = append(&ledger, 1).await.unwrap_err();
    assert_eq!(
        (never, never.code()),
        (AppendError::KeyNotAnnounced, "key_not_announced")
    );
    assert_eq!(ledger.head(), 0);
    assert_eq!(ledger.append(announcement(KEY)).await, Ok(0));
    assert_eq!(append(&ledger, 1).await, Err(AppendError::KeyNotActive));
    let standing = ledger.key(&KEY).unwrap();
    assert_eq!((standing.index, standing.state), (0, KeyStateCode::Staged));
    let same_key_elsewhere = KeyName {
        issuer: [9; 32],
        ..KEY
    };
    assert_eq!(ledger.key(&same_key_elsewhere), None);
    assert_eq!(ledger.keys(), [standing]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_fences_are_known_again_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, 10).await;
    let old = epoch(&ledger);
    ledger
        .append(transition(KEY, KeyStateCode::Suspect))
        .await
        .unwrap();
    let keys = ledger.keys();
    ledger.close();
    let again = open(directory.path()).unwrap();
    assert_eq!(again.keys(), keys);
    assert_eq!(again.key_at(0), keys.first().cloned());
    assert_eq!(again.append(draft(1, old)).await, Err(AppendError::EpochFenced));
    assert_eq!(append(&again, 1).await, Err(AppendError::KeyNotActive));
    assert_eq!(
        again.append(announcement(KEY)).await,
        Err(AppendError::KeyAlreadyAnnounced)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_ledger_has_waypoints_and_is_audited() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    make_ready(&ledger).await;
    let epoch = epoch(&ledger);
    let mut next = READY;
    while next <= WAYPOINT_EVERY {
        let tasks: Vec<_> = (0..4_096)
            .map(|number| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.append(draft(number, epoch)).await.unwrap() })
            })
            .collect();
        for task in tasks {
            next = next.max(task.await.unwrap() + 1);
        }
    }
    let waypoint = ledger.read(WAYPOINT_EVERY, 1).unwrap().pop();
    assert!(matches!(waypoint, Some(Entry::Waypoint(waypoint)) if waypoint.last_key_entry == Some(1)));
    let keys = ledger.keys();
    ledger.close();
    let report = audit_directory(directory.path(), &signer().verifier_key()).unwrap();
    assert_eq!(report.waypoints, 1);
    let again = open(directory.path()).unwrap();
    assert_eq!(again.keys(), keys);
    again.append(draft(1, epoch)).await.unwrap();
}
