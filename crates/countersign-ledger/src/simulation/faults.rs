//! Faults and damage as the public API tells of them.

use std::sync::Arc;
use std::time::Duration;

use super::disk::{Fault, SimDisk};
use super::histories::{action, options, signer};
use crate::audit::audit;
use crate::checkpoint::Checkpoint;
use crate::draft::{KeyName, TransitionDraft, active_key};
use crate::entry::{KeyStateCode, ReasonCode};
use crate::journal::segment_path;
use crate::ledger::Ledger;
use crate::note::NoteSigner;
use crate::open::{OpenError, Options};
use crate::queue::AppendError;
use crate::record::{Record, SEGMENT_HEADER};
use crate::tree::sha256;

fn open(disk: &SimDisk) -> Result<Ledger, OpenError> {
    let options = Options {
        publish_interval: Duration::from_millis(1),
        ..options()
    };
    Ledger::open_on(Arc::new(disk.clone()), &options, signer())
}

async fn append(ledger: &Ledger, count: u64) {
    for number in 0..count {
        ledger.append(action(number)).await.unwrap();
    }
}

/// A closed ledger of 700 entries in many segments, all published.
async fn sample() -> SimDisk {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    append(&ledger, 700).await;
    ledger.close();
    disk
}

fn refusal(disk: &SimDisk) -> &'static str {
    let error = open(disk).map(|_| ()).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error.code()
}

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.paths()
        .into_iter()
        .filter(|path| path.starts_with("journal/0"))
        .collect()
}

#[tokio::test]
async fn any_disk_error_stops_the_ledger_for_good() {
    for fault in [Fault::Fails, Fault::FailsAfter] {
        for after in 1..=2 {
            let disk = SimDisk::new(3);
            let ledger = open(&disk).unwrap();
            append(&ledger, 1).await;
            // Nothing but the journal may hit the fault: wait until the publisher has nothing to do.
            let published = || {
                Checkpoint::open(&ledger.checkpoint(), signer().verifier())
                    .unwrap()
                    .size
            };
            while published() < 1 {
                tokio::task::yield_now().await;
            }
            tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>())
                .await
                .unwrap_err();
            disk.plan(after, fault);
            assert_eq!(ledger.append(action(1)).await, Err(AppendError::Stopped));
            assert_eq!(ledger.append(action(2)).await, Err(AppendError::Stopped));
            assert_eq!(ledger.head(), 1);
            assert!(!ledger.is_running());
            assert_eq!(ledger.read(0, 10).unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = SimDisk::new(4);
    let ledger = open(&disk).unwrap();
    append(&ledger, 5).await;
    disk.set_full(true);
    let mut recorded = 5;
    let refused = loop {
        match ledger.append(action(recorded)).await {
            Ok(_) => recorded += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::StorageFull);
    assert_eq!(refused.code(), "ledger_storage_full");
    assert_eq!(ledger.head(), recorded);
    disk.set_full(false);
    assert_eq!(ledger.append(action(recorded)).await, Ok(recorded));
    ledger.close();
    assert_eq!(open(&disk).unwrap().head(), recorded + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appends_share_few_syncs() {
    let disk = SimDisk::new(5);
    let ledger = open(&disk).unwrap();
    let tasks: Vec<_> = (0..4_000)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.append(action(number)).await.unwrap() })
        })
        .collect();
    let mut indices = Vec::new();
    for task in tasks {
        indices.push(task.await.unwrap());
    }
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..4_000));
    // The first batch of a segment is synced before the segment has its name.
    let syncs = disk.syncs_of(".seg") + disk.syncs_of("next.tmp");
    assert!((1..=400).contains(&syncs), "{syncs}");
}

#[tokio::test]
async fn damage_after_the_signed_size_is_refused() {
    // Its tail is not signed for, and a whole batch follows the bad one.
    let disk = sample().await;
    let last = segments(&disk).pop().unwrap();
    disk.tamper(&last, |bytes| bytes[130] ^= 1);
    assert_eq!(refusal(&disk), "ledger_corrupt", "a bad record before valid ones");

    let disk = sample().await;
    disk.tamper(&segments(&disk).pop().unwrap(), |bytes| bytes[9] ^= 1);
    assert_eq!(refusal(&disk), "ledger_corrupt", "a segment header");

    let disk = sample().await;
    disk.tamper(&segments(&disk)[0], |bytes| bytes[9] ^= 1);
    assert_eq!(refusal(&disk), "ledger_corrupt", "an old segment's header");
}

#[tokio::test]
async fn damage_below_the_signed_size_is_found_when_it_is_read() {
    let disk = sample().await;
    let first = segments(&disk)[0].clone();
    let ledger = open(&disk).unwrap();
    disk.tamper(&first, |bytes| bytes[240] ^= 1);
    assert_eq!(ledger.read(0, 1).unwrap_err().code(), "ledger_corrupt");
    assert_eq!(ledger.read(699, 1).unwrap().len(), 1);
    ledger.close();
    // A start reads what is said of keys, and so everything since the last waypoint.
    assert_eq!(refusal(&disk), "ledger_keys_unreadable");
    // Where the segment is gone, the bundles have its entries.
    disk.delete(&first);
    let ledger = open(&disk).unwrap();
    assert_eq!(ledger.read(0, 1_000).unwrap().len(), 700);
}

#[tokio::test]
async fn what_is_said_of_keys_is_believed_only_if_it_was_signed() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let key = KeyName {
        issuer: [1; 32],
        key: [2; 32],
    };
    ledger
        .append_together(active_key(key, [3; 32], 10))
        .await
        .unwrap();
    let revocation = TransitionDraft {
        key,
        state: KeyStateCode::Revoked,
        reason: ReasonCode::Compromise,
        at: 20,
        sign_from: 10,
        sign_until: Some(20),
    };
    ledger.append(revocation).await.unwrap();
    append(&ledger, 700).await;
    ledger.close();
    // A batch that was written anew, whole in itself. No start reads the batch after it any more.
    let first = segments(&disk)[0].clone();
    let mut before = Vec::new();
    disk.tamper(&first, |bytes| {
        before.clone_from(bytes);
        let start = SEGMENT_HEADER + Record::decode(&bytes[SEGMENT_HEADER..]).unwrap().length;
        let end = start + Record::decode(&bytes[start..]).unwrap().length - 32;
        let entry = [1, 4, KeyStateCode::Revoked.code()];
        let at = bytes[start..end].windows(3).position(|window| window == entry);
        bytes[start + at.unwrap() + 2] = KeyStateCode::Retired.code();
        let hash = sha256(&bytes[start..end]);
        bytes[end..end + 32].copy_from_slice(&hash);
    });
    assert_eq!(refusal(&disk), "ledger_keys_unreadable");
    disk.tamper(&first, |bytes| bytes.clone_from(&before));
    // The first entries are now only in their bundle, which nothing but the root vouches for.
    disk.delete(&segments(&disk)[0]);
    let keys = open(&disk).unwrap().keys();
    assert_eq!(keys.first().map(|key| key.state), Some(KeyStateCode::Revoked));
    disk.tamper("tile/entries/000", |bytes| {
        let state = 2 + 118 + 2 + 29 + 2 + 2;
        assert_eq!(bytes[state], KeyStateCode::Revoked.code());
        bytes[state] = KeyStateCode::Retired.code();
    });
    assert_eq!(refusal(&disk), "ledger_keys_unreadable");
}

#[tokio::test]
async fn a_shortened_or_exchanged_journal_is_refused() {
    let disk = sample().await;
    disk.delete(&segments(&disk).pop().unwrap());
    assert_eq!(refusal(&disk), "ledger_truncated");

    let disk = sample().await;
    for path in segments(&disk) {
        disk.delete(&path);
    }
    assert_eq!(refusal(&disk), "ledger_truncated");

    let disk = sample().await;
    let last = segments(&disk).pop().unwrap();
    disk.tamper(&last, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end] ^= 0xff;
    });
    assert_eq!(
        refusal(&disk),
        "ledger_truncated",
        "the last batch had been signed for"
    );

    // Another history of the same ledger, intact in itself.
    let disk = sample().await;
    let other = SimDisk::new(9);
    let ledger = open(&other).unwrap();
    for number in 0..700 {
        ledger.append(action(number + 1_000)).await.unwrap();
    }
    ledger.close();
    for path in segments(&other) {
        let bytes = crate::disk::Disk::read(&other, &path).unwrap().unwrap();
        disk.tamper(&path, |content| *content = bytes);
    }
    assert_eq!(refusal(&disk), "ledger_rewritten");
}

#[tokio::test]
async fn a_torn_tail_is_set_aside() {
    let disk = sample().await;
    let last = segments(&disk).pop().unwrap();
    let mut start = 0;
    disk.tamper(&last, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        start = end;
        bytes[end + 40..end + 60].fill(0xee);
    });
    let ledger = open(&disk).unwrap();
    assert_eq!(ledger.head(), 700);
    ledger.append(action(700)).await.unwrap();
    ledger.close();
    let torn: Vec<_> = disk
        .paths()
        .into_iter()
        .filter(|path| path.contains("/torn-"))
        .collect();
    assert_eq!(torn, [format!("journal/torn-{:020}-0", 700)]);
    let kept = crate::disk::Disk::read(&disk, &torn[0]).unwrap().unwrap();
    assert_eq!(kept[40..], [0xee; 20]);
    assert_eq!(open(&disk).unwrap().head(), 701);
    audit(&disk, &signer().verifier_key()).unwrap();
}

#[tokio::test]
async fn a_bad_checkpoint_is_refused() {
    let disk = sample().await;
    disk.tamper("checkpoint", |bytes| bytes[ORIGIN_LENGTH + 1] ^= 1);
    assert_eq!(refusal(&disk), "ledger_checkpoint_invalid");
    disk.delete("checkpoint");
    assert_eq!(refusal(&disk), "ledger_checkpoint_missing");
    // Without its origin file it is not taken for an empty directory either.
    disk.delete("origin");
    assert_eq!(refusal(&disk), "ledger_not_a_ledger");
}

const ORIGIN_LENGTH: usize = "sim.example/ledger".len();

#[tokio::test]
async fn another_name_key_or_option_is_refused() {
    let disk = sample().await;
    let open_as = |options: Options, signer: NoteSigner| {
        Ledger::open_on(Arc::new(disk.clone()), &options, signer)
            .map(|_| ())
            .unwrap_err()
            .code()
    };
    let seed = [6; 32];
    let other_name = NoteSigner::from_seed("other.example", &seed).unwrap();
    let other_key = NoteSigner::from_seed("sim.example/ledger", &seed).unwrap();
    let renamed = Options::new("", "other.example");
    assert_eq!(open_as(renamed.clone(), signer()), "ledger_signer_name");
    assert_eq!(open_as(renamed, other_name), "ledger_origin_mismatch");
    assert_eq!(open_as(options(), other_key), "ledger_key_mismatch");
    assert_eq!(
        open_as(
            Options {
                queue_max: 0,
                ..options()
            },
            signer()
        ),
        "ledger_options_invalid"
    );
    let _held = open(&disk).unwrap();
    assert_eq!(open_as(options(), signer()), "ledger_in_use");
}

#[tokio::test]
async fn missing_derived_files_are_made_again() {
    let disk = sample().await;
    let all = Options {
        recompute: true,
        ..options()
    };
    for path in disk.paths().into_iter().filter(|path| path.starts_with("tile/")) {
        disk.delete(&path);
        // The right edge is missed by itself; what lies further back when it is asked for.
        let edge = path.contains(".p/");
        let options = if edge { options() } else { all.clone() };
        Ledger::open_on(Arc::new(disk.clone()), &options, signer())
            .unwrap()
            .close();
        audit(&disk, &signer().verifier_key()).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_early() {
    let disk = SimDisk::new(8);
    let options = Options {
        queue_max: 1,
        batch_entries_max: 1,
        ..options()
    };
    let ledger = Ledger::open_on(Arc::new(disk), &options, signer()).unwrap();
    let appends: Vec<_> = (0..64)
        .map(|number| Box::pin(ledger.append(action(number))))
        .collect();
    let mut busy = 0;
    let mut recorded = 0;
    let mut tasks = tokio::task::JoinSet::new();
    drop(appends);
    for number in 0..64 {
        let ledger = ledger.clone();
        tasks.spawn(async move { ledger.append(action(number)).await });
    }
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(_) => recorded += 1,
            Err(AppendError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(recorded, ledger.head());
    assert_eq!(recorded + busy, 64);
}

#[test]
fn a_segment_is_named_after_its_first_entry() {
    assert_eq!(segment_path(42), "journal/00000000000000000042.seg");
}
