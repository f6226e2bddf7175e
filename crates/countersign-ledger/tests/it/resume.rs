//! Audits that go on where an earlier one ended, over logs in memory: not fooled by a shorter or another history.

use std::collections::BTreeMap;

use countersign_ledger::audit::{AuditError, Options, Report, Source, SourceError, State, audit, audit_with};
use countersign_ledger::tree::{leaf_hash, root_of};

use crate::support::{ORIGIN, signer};

/// A level-2 tile, a full and a partial level-1 tile, a partial bundle.
const SIZE: u64 = 66_000;

/// Published files by path.
pub(crate) struct Published(BTreeMap<String, Vec<u8>>);

impl Source for Published {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.get(path).cloned())
    }
}

/// A log whose entries are their numbers; from `fork` on, other ones.
fn log(size: u64, fork: u64) -> Published {
    let entry = |number: u64| {
        let number = if number < fork { number } else { !number };
        number.to_be_bytes()
    };
    let entries: Vec<Vec<u8>> = (0..size).map(|number| entry(number).to_vec()).collect();
    publish(&entries)
}

/// The signed log of these entries, whatever they are.
pub(crate) fn publish(entries: &[Vec<u8>]) -> Published {
    let size = entries.len();
    let mut files = BTreeMap::new();
    for (number, chunk) in (0u64..).zip(entries.chunks(256)) {
        let bundle = chunk.iter().flat_map(|entry| {
            let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
            [&length, entry.as_slice()].concat()
        });
        files.insert(path("entries", number, chunk.len()), bundle.collect());
    }
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let root = root_of(&leaves);
    let (mut row, mut level) = (leaves, 0);
    while !row.is_empty() {
        for (number, chunk) in (0u64..).zip(row.chunks(256)) {
            files.insert(path(&level.to_string(), number, chunk.len()), chunk.concat());
        }
        row = row.chunks_exact(256).map(root_of).collect();
        level += 1;
    }
    let text = format!("{ORIGIN}\n{size}\n{}\n", base64(&root));
    files.insert("checkpoint".to_owned(), signer().sign(&text));
    Published(files)
}

fn path(row: &str, number: u64, width: usize) -> String {
    let partial = if width < 256 {
        format!(".p/{width}")
    } else {
        String::new()
    };
    format!("tile/{row}/{number:03}{partial}")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn options(resume: Option<&State>) -> Options<'_> {
    Options {
        threads: 3,
        opaque: true,
        resume,
        progress: None,
    }
}

fn run(log: &Published, resume: Option<&State>) -> Result<(Report, State), AuditError> {
    audit_with(log, &signer().verifier_key(), options(resume))
}

#[test]
fn the_root_is_right_at_every_kind_of_size() {
    for size in [
        0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, SIZE,
    ] {
        let (report, state) = run(&log(size, u64::MAX), None).unwrap();
        assert_eq!((report.size, report.bundles_checked), (size, size.div_ceil(256)));
        assert_eq!(state.entries(), size - size % 256);
        assert_eq!(State::decode(&state.encode()), Some(state));
    }
}

#[test]
fn an_interrupted_audit_goes_on_and_reports_the_same() {
    let log = log(SIZE, u64::MAX);
    let mut states = Vec::new();
    let whole = audit_with(
        &log,
        &signer().verifier_key(),
        Options {
            progress: Some(&mut |progress| states.push((progress.done, progress.state().encode()))),
            ..options(None)
        },
    );
    let (whole, last) = whole.unwrap();
    assert!(states.len() >= 4, "{} states", states.len());
    for (done, state) in states {
        let state = State::decode(&state).unwrap();
        assert_eq!(state.entries(), done);
        let (resumed, end) = run(&log, Some(&state)).unwrap();
        assert_eq!(resumed.resumed_at, done);
        assert_eq!(
            Report {
                resumed_at: 0,
                ..resumed
            },
            whole
        );
        assert_eq!(end, last);
    }
}

#[test]
fn what_was_read_is_not_read_again_and_what_follows_is() {
    let mut grown = log(SIZE, u64::MAX);
    let (_, state) = run(&log(40_000, u64::MAX), None).unwrap();
    grown.0.retain(|path, _| path != "tile/entries/000");
    assert_eq!(
        run(&grown, Some(&state)).unwrap().0.resumed_at,
        40_000 - 40_000 % 256
    );
    assert_eq!(run(&grown, None).unwrap_err().code(), "audit_bundle_missing");
    let (later, last) = ("tile/entries/200", grown.0.len());
    grown.0.retain(|path, _| path != later);
    assert_eq!(grown.0.len(), last - 1);
    assert_eq!(
        run(&grown, Some(&state)).unwrap_err().code(),
        "audit_bundle_missing"
    );
}

#[test]
fn a_shorter_or_another_history_is_found() {
    let (_, state) = run(&log(40_000, u64::MAX), None).unwrap();
    let refused = |log: &Published| run(log, Some(&state)).unwrap_err().code();
    assert_eq!(refused(&log(39_999, u64::MAX)), "audit_rolled_back");
    assert_eq!(refused(&log(40_000, 39_999)), "audit_forked");
    // Other entries before the signed size; the last of them is in a bundle that is read again.
    for fork in [0, 39_935, 39_936, 39_999] {
        assert_eq!(refused(&log(SIZE, fork)), "audit_forked", "{fork}");
    }
    run(&log(SIZE, 40_000), Some(&state)).unwrap();
    // Without memory each of them is a log like any other.
    run(&log(SIZE, 0), None).unwrap();
}

#[test]
fn a_checkpoint_is_remembered_until_the_audit_comes_to_it() {
    // Two audits are cut off early: each has seen another signed history.
    let cut_off = |log: &Published, resume: Option<&State>| {
        let mut first = None;
        let options = Options {
            progress: Some(&mut |progress| {
                first.get_or_insert_with(|| progress.state());
            }),
            ..options(resume)
        };
        let _ = audit_with(log, &signer().verifier_key(), options);
        first.unwrap()
    };
    let seen = cut_off(&log(SIZE, u64::MAX), None);
    let seen = cut_off(&log(SIZE + 1, 60_000), Some(&seen));
    assert_eq!(seen.entries(), 32_768);
    let found = run(&log(SIZE + 1, 60_000), Some(&seen)).unwrap_err();
    assert_eq!(found.code(), "audit_forked");
}

#[test]
fn a_state_with_a_wrong_hash_does_not_lead_to_the_root() {
    let honest = log(SIZE, u64::MAX);
    let (_, other) = run(&log(40_000, 7), None).unwrap();
    let (_, state) = run(&log(40_000, u64::MAX), None).unwrap();
    // The rows of another log under the checkpoint of this one, and a checksum that fits.
    let line = |state: &State, word: &str| {
        let text = state.encode();
        text.lines()
            .find(|line| line.starts_with(word))
            .unwrap()
            .to_owned()
    };
    let text = state.encode();
    let text = text.replace(&line(&state, "row"), &line(&other, "row"));
    let (body, _) = text.split_once("sha256 ").unwrap();
    let check = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(body))
    };
    let forged = State::decode(&format!("{body}sha256 {check}\n")).unwrap();
    assert_eq!(run(&honest, Some(&forged)).unwrap_err().code(), "audit_forked");
}

#[test]
fn a_state_of_another_key_or_manner_is_refused() {
    let log = log(300, u64::MAX);
    let (_, state) = run(&log, None).unwrap();
    let decoded = Options {
        opaque: false,
        ..options(Some(&state))
    };
    let refused = audit_with(&log, &signer().verifier_key(), decoded).unwrap_err();
    assert_eq!(refused.code(), "audit_state_of_another");
    assert_eq!(
        audit(&log, &signer().verifier_key()).unwrap_err().code(),
        "audit_entry_malformed"
    );
}

#[test]
fn one_thread_and_many_find_the_same() {
    let mut log = log(SIZE, u64::MAX);
    log.0.get_mut("tile/0/100").unwrap()[40] ^= 1;
    log.0.get_mut("tile/entries/200").unwrap().truncate(99);
    for threads in [0, 1, 2, 16, 1000] {
        let found = audit_with(
            &log,
            &signer().verifier_key(),
            Options {
                threads,
                ..options(None)
            },
        );
        let AuditError::TileMismatch { path, index } = found.unwrap_err() else {
            panic!("{threads} threads find something else")
        };
        assert_eq!((path.as_str(), index), ("tile/0/100", 25_601));
    }
}
