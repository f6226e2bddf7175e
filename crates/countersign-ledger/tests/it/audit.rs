//! The independent checker: passes on what the writer makes, and names every kind of damage.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_ledger::audit::{
    DirectorySource, Options, Report, State, audit, audit_directory, audit_directory_with,
};
use countersign_ledger::{IssuanceKind, KeyStateCode, NoteSigner};

use crate::support::{READY, append, append_all, open, signer};

/// Enough for a full level-1 tile would be 65,536; this has full and partial ones on level 0 and a partial on level 1.
const SIZE: u64 = 700;

async fn sample() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    append_all(&ledger, 0, SIZE).await;
    ledger.close();
    directory
}

fn check(directory: &Path) -> Result<Report, String> {
    audit_directory(directory, &signer().verifier_key()).map_err(|finding| {
        assert!(finding.hint().is_some());
        format!("{} | {finding}", finding.code())
    })
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    #[allow(clippy::disallowed_methods, reason = "damage need not be durable")]
    fs::write(path, bytes).unwrap();
}

fn last_segment(directory: &Path) -> PathBuf {
    let names = fs::read_dir(directory.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    names
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .max()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_ledger_passes() {
    let directory = sample().await;
    let report = check(directory.path()).unwrap();
    assert_eq!(report.size, SIZE);
    assert_eq!(report.issuances.get(&IssuanceKind::Access), Some(&(SIZE - READY)));
    assert_eq!(report.key_events.get(&KeyStateCode::Staged), Some(&1));
    assert_eq!(report.key_events.get(&KeyStateCode::Active), Some(&1));
    assert_eq!((report.bundles_checked, report.tiles_checked), (3, 4));
    assert_eq!(report.journal.unwrap().entries, SIZE);
    // By its published files alone, as somebody far away sees it.
    let far = audit(&DirectorySource::new(directory.path()), &signer().verifier_key()).unwrap();
    assert_eq!(far.root, report.root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_and_a_running_ledger_pass() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path()).unwrap();
    assert_eq!(check(directory.path()).unwrap().size, 0);
    let appending = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            append_all(&ledger, 0, 3_000).await;
        }
    });
    while !appending.is_finished() {
        let running = check(directory.path()).unwrap();
        assert!(running.journal.unwrap().entries >= running.size);
        tokio::task::yield_now().await;
    }
    ledger.close();
    assert_eq!(check(directory.path()).unwrap().size, 3_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_audited_from_where_an_earlier_audit_ended() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut state: Option<State> = None;
    for size in [300, 700, 1_000, 1_000, 4_000] {
        let ledger = open(root).unwrap();
        let from = ledger.head();
        append_all(&ledger, from, size).await;
        ledger.close();
        let options = Options {
            threads: 2,
            resume: state.as_ref(),
            ..Options::default()
        };
        let (report, next) = audit_directory_with(root, &signer().verifier_key(), options).unwrap();
        let resumed_at = state.as_ref().map_or(0, State::entries);
        assert_eq!((report.size, report.resumed_at), (size, resumed_at));
        assert_eq!(
            Report {
                resumed_at: 0,
                ..report
            },
            check(root).unwrap()
        );
        state = State::decode(&next.encode());
    }
    // The journal before that point is not read again, what follows is.
    change(&last_segment(root), |bytes| bytes[200] ^= 1);
    let options = Options {
        resume: None,
        ..Options::default()
    };
    assert!(audit_directory_with(root, &signer().verifier_key(), options).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flipped_byte_is_found_in_every_file() {
    let directory = sample().await;
    let root = directory.path();
    let mut files = vec![
        root.join("checkpoint"),
        last_segment(root),
        root.join("journal/00000000000000000000.seg"),
    ];
    for name in [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/188",
    ] {
        files.push(root.join(name));
    }
    for file in files {
        let length = fs::metadata(&file).unwrap().len();
        for position in [0, length / 3, length / 2, length - 1] {
            let at = usize::try_from(position).unwrap();
            change(&file, |bytes| bytes[at] ^= 0x10);
            assert!(check(root).is_err(), "{} byte {at}", file.display());
            change(&file, |bytes| bytes[at] ^= 0x10);
        }
    }
    check(root).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_has_its_finding() {
    let directory = sample().await;
    let root = directory.path();
    let expect = |file: &str, damage: &dyn Fn(&Path), finding: &str| {
        let path = root.join(file);
        let before = fs::read(&path).unwrap();
        damage(&path);
        let found = check(root).unwrap_err();
        assert!(
            found.starts_with(finding),
            "{file}: expected {finding}, found {found}"
        );
        change_to(&path, before);
        check(root).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let cut = |path: &Path| change(path, |bytes| bytes.truncate(bytes.len() - 1));
    let extend = |path: &Path| change(path, |bytes| bytes.extend([0, 1, 9]));
    let flip = |path: &Path| change(path, |bytes| bytes[40] ^= 1);

    expect("tile/0/001", &remove, "audit_tile_missing | tile/0/001");
    expect("tile/1/000.p/2", &remove, "audit_tile_missing | tile/1/000.p/2");
    expect("tile/0/001", &flip, "audit_tile_mismatch | tile/0/001: hash 257 ");
    expect(
        "tile/1/000.p/2",
        &flip,
        "audit_tile_mismatch | tile/1/000.p/2: hash 1 ",
    );
    expect("tile/0/002.p/188", &cut, "audit_tile_length | tile/0/002.p/188");
    let huge = |path: &Path| change(path, |bytes| bytes.resize(1 << 26, 7));
    expect(
        "tile/0/001",
        &huge,
        "audit_tile_length | tile/0/001: 8193 bytes instead of 8192",
    );
    expect(
        "tile/entries/001",
        &remove,
        "audit_bundle_missing | tile/entries/001",
    );
    expect(
        "tile/entries/001",
        &cut,
        "audit_bundle_truncated | tile/entries/001: ends before entry 511",
    );
    expect(
        "tile/entries/002.p/188",
        &extend,
        "audit_bundle_trailing | tile/entries/002.p/188",
    );
    expect(
        "tile/entries/000",
        &flip,
        "audit_journal_differs | tile/entries/000: entry 0 ",
    );
    expect(
        "tile/entries/000",
        &|path| change(path, |bytes| bytes[2] = 9),
        "audit_entry_malformed | tile/entries/000: entry 0",
    );
    expect("checkpoint", &remove, "audit_checkpoint_missing");
    expect("checkpoint", &cut, "audit_checkpoint_malformed");
    expect(
        "checkpoint",
        &|path| change(path, |bytes| bytes[18] ^= 1),
        "audit_signature_invalid",
    );
    let other = NoteSigner::from_seed("ledger.example/1", &[9; 32]).unwrap();
    expect(
        "checkpoint",
        &|path| change_to(path, other.sign("x\n")),
        "audit_checkpoint_not_signed",
    );
    expect(
        "checkpoint",
        &|path| change_to(path, signer().sign(&note("other.example", SIZE))),
        "audit_origin_mismatch",
    );
    expect(
        "checkpoint",
        &|path| change_to(path, signer().sign(&note("ledger.example/1", SIZE))),
        "audit_root_mismatch",
    );

    let journal = last_segment(root);
    let journal = journal.strip_prefix(root).unwrap().to_str().unwrap();
    expect(
        journal,
        &|path| change(path, |bytes| bytes[150] ^= 1),
        "audit_journal_damaged | journal/",
    );
    expect(journal, &remove, "audit_journal_short");
    assert!(audit_directory(root, "nonsense").is_err());
}

fn note(origin: &str, size: u64) -> String {
    format!("{origin}\n{size}\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
}

fn change_to(path: &Path, content: Vec<u8>) {
    #[allow(clippy::disallowed_methods, reason = "damage need not be durable")]
    fs::write(path, content).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_back_checkpoint_and_files_beyond_it_are_found() {
    let directory = sample().await;
    let root = directory.path();
    let old = fs::read(root.join("checkpoint")).unwrap();
    let ledger = open(root).unwrap();
    append(&ledger, 9_999).await.unwrap();
    ledger.close();
    let new = fs::read(root.join("checkpoint")).unwrap();
    change_to(&root.join("checkpoint"), old);
    assert!(check(root).unwrap_err().starts_with("audit_checkpoint_behind"));
    change_to(&root.join("checkpoint"), new);
    check(root).unwrap();

    change_to(&root.join("tile/0/003"), vec![0; 8192]);
    assert!(
        check(root)
            .unwrap_err()
            .starts_with("audit_file_unexpected | tile/0/003")
    );
    fs::remove_file(root.join("tile/0/003")).unwrap();
    change(&root.join("tile/0/002.p/188"), |bytes| bytes[7] ^= 1);
    assert!(
        check(root)
            .unwrap_err()
            .starts_with("audit_partial_differs | tile/0/002.p/188")
    );
}
