//! Open, append, read, follow, close, open again.

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::{AppendError, EntryError, Follower, OpenError, Provenance, Verifier};

use crate::support::{
    EXPIRES_AT, READY, append, append_all, clock, draft, epoch, fingerprint, issuance, make_ready, open,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_appended_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/ledger");
    let ledger = open(&path).unwrap();
    let mut indices = append_all(&ledger, 0, 2_000).await;
    indices.sort_unstable();
    assert!(indices.iter().copied().eq(READY..2_000), "indices are dense");
    let before = ledger.read(0, 10_000).unwrap();
    assert_eq!(before.len(), 2_000);
    assert_eq!(ledger.read(1_990, 100).unwrap(), before[1_990..]);
    assert_eq!(ledger.read(700, 5).unwrap(), before[700..705]);
    assert!(ledger.read(2_000, 5).unwrap().is_empty());
    ledger.close();
    assert_eq!(append(&ledger, 1).await, Err(AppendError::Closed));

    let verifier = Verifier::parse(ledger.verifier_key()).unwrap();
    assert_eq!(
        Checkpoint::open(&ledger.checkpoint(), &verifier).unwrap().size,
        2_000
    );

    let again = open(&path).unwrap();
    assert_eq!(again.head(), 2_000);
    assert_eq!(again.read(0, 10_000).unwrap(), before);
    assert_eq!(again.checkpoint(), ledger.checkpoint());
    assert_eq!(append(&again, 9_999).await, Ok(2_000));
}

#[tokio::test]
async fn what_no_entry_can_hold_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    make_ready(&ledger).await;
    let mut timeless = draft(1, epoch(&ledger));
    timeless.expires_at = timeless.issued_at;
    let refused = ledger.append(timeless).await;
    assert_eq!(refused, Err(AppendError::Entry(EntryError::LifetimeInvalid)));
    assert_eq!(ledger.head(), READY);
    assert_eq!(append(&ledger, 1).await, Ok(READY));
    assert_eq!(ledger.read(READY, 1).unwrap(), [issuance(1)]);
}

#[tokio::test]
async fn a_second_process_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::InUse)));
    drop(ledger);
    open(directory.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_everything_and_a_miss_is_conclusive() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, 100).await;
    let follower = Follower::start(ledger.clone(), clock(5_000)).await;
    assert_eq!(follower.applied(), 100);
    for number in READY..100 {
        assert!(follower.look_up(&fingerprint(number), EXPIRES_AT).is_some());
    }
    for number in 100..400 {
        let index = append(&ledger, number).await.unwrap();
        let provenance = follower.provenance(&fingerprint(number), EXPIRES_AT).await;
        assert!(matches!(provenance, Provenance::Recorded { index: Some(found), .. } if found == index));
        assert_eq!(
            follower
                .provenance(&fingerprint(number + 10_000), EXPIRES_AT)
                .await,
            Provenance::NotRecorded
        );
    }
    ledger.close();
    assert!(matches!(
        follower.provenance(&fingerprint(7), EXPIRES_AT).await,
        Provenance::Recorded { .. }
    ));
    assert_eq!(
        follower.provenance(&fingerprint(77_777), EXPIRES_AT).await,
        Provenance::CannotTell
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_misses_shares_its_reads() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    let follower = Follower::start(ledger.clone(), clock(5_000)).await;
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let follower = follower.clone();
            tokio::spawn(async move { follower.provenance(&fingerprint(number), EXPIRES_AT).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Provenance::NotRecorded);
    }
    assert!(follower.barrier_reads() <= 1_000);
}

#[test]
fn what_is_not_a_ledger_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::File::create(&file).unwrap();
    assert_eq!(open(&file).unwrap_err().code(), "ledger_not_a_directory");
    assert_eq!(
        open(&file.join("below")).unwrap_err().code(),
        "ledger_not_a_directory"
    );
    assert_eq!(open(directory.path()).unwrap_err().code(), "ledger_not_a_ledger");
    // A creation that was cut off is begun again.
    let begun = directory.path().join("begun");
    std::fs::create_dir_all(begun.join("journal")).unwrap();
    std::fs::File::create(begun.join("key.vkey.tmp")).unwrap();
    open(&begun).unwrap();
}

#[test]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/ledger");
    open(&path).unwrap().close();
    for made in [path.parent().unwrap(), &path] {
        let mode = std::fs::metadata(made).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", made.display());
    }
}
