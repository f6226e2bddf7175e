//! A ledger that shows two histories, takes one back, or serves what it did not sign: a witness, a reader that only
//! remembers the last checkpoint, as a gate does, and a monitor each notice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use countersign_ledger::Cosigner;
use countersign_ledger::Entry;
use countersign_ledger::audit::{DirectorySource, Source, SourceError};
use countersign_ledger::monitor::{Monitor, SourceTiles, StateFile};
use countersign_ledger::policy::Policy;
use countersign_ledger::proof::consistency;
use countersign_ledger::view::View;
use countersign_ledger::witness::{AddCheckpoint, Witness};

use crate::support::{action, open, signer};

fn policy() -> Policy {
    Policy::of_log(signer().verifier().clone())
}

/// A ledger's directory with these entries, closed. The same key signs all of them.
async fn history(directory: &Path, numbers: impl Iterator<Item = u64>) -> DirectorySource {
    let ledger = open(directory).unwrap();
    for number in numbers {
        ledger.append(action(number)).await.unwrap();
    }
    ledger.close();
    DirectorySource::new(directory)
}

fn checkpoint(source: &dyn Source) -> Vec<u8> {
    source.read("checkpoint").unwrap().unwrap()
}

fn size(source: &dyn Source) -> u64 {
    policy().check(&checkpoint(source)).unwrap().checkpoint.size
}

/// What a witness, a gate and a monitor say of `second` after they have seen `first`.
fn noticed(directory: &Path, first: &dyn Source, second: &dyn Source) -> [String; 3] {
    let cosigners = vec![Cosigner::ed25519("w.example", &[3; 32]).unwrap()];
    let witness = Witness::open(directory, &policy(), cosigners).unwrap();
    let bring = |old: u64, source: &dyn Source| {
        let proof = consistency(&SourceTiles::new(source), old, size(source)).unwrap_or_default();
        let request = AddCheckpoint {
            old,
            proof,
            checkpoint: checkpoint(source),
        };
        witness.add_checkpoint(&request.encode(), 1_000)
    };
    bring(0, first).unwrap();
    let witness =
        bring(size(first), second).map_or_else(|refusal| refusal.code().to_owned(), |_| String::new());

    let mut gate = View::new(policy());
    gate.advance(&checkpoint(first), &SourceTiles::new(first))
        .unwrap();
    let seen = gate.seen().cloned();
    let said = gate
        .advance(&checkpoint(second), &SourceTiles::new(second))
        .map_or_else(|error| error.code().to_owned(), |_| String::new());
    assert!(
        said.is_empty() || gate.seen() == seen.as_ref(),
        "the old view is kept"
    );

    // The monitor has been restarted between the two.
    let mut monitor = Monitor::new(policy());
    follow(&mut monitor, first);
    let mut monitor = Monitor::resume(policy(), &monitor.state().unwrap()).unwrap();
    let monitored = monitor.look(second).map_or_else(
        |error| {
            assert!(error.is_finding(), "{error}");
            error.code().to_owned()
        },
        |_| String::new(),
    );
    [witness, said, monitored]
}

fn follow(monitor: &mut Monitor, source: &dyn Source) -> Vec<(u64, Vec<u8>)> {
    let mut entries = Vec::new();
    monitor.look(source).unwrap();
    while monitor
        .step(source, &mut |index, entry| entries.push((index, entry.to_vec())))
        .unwrap()
    {}
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_three_notices() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let honest = history(&at("honest"), 0..600).await;
    let longer = history(&at("longer"), 0..700).await;
    let shorter = history(&at("shorter"), 0..500).await;
    let forked = history(&at("forked"), (0..300).chain(900..1_200)).await;
    let forked_longer = history(&at("forked longer"), (0..300).chain(900..1_600)).await;
    for (name, second, expect) in [
        ("continued", &longer, ["", "", ""]),
        ("the same", &honest, ["", "", ""]),
        (
            "rolled back",
            &shorter,
            ["witness_old_above_new", "view_rolled_back", "view_rolled_back"],
        ),
        (
            "forked at one size",
            &forked,
            ["witness_forked", "view_forked", "view_forked"],
        ),
        (
            "forked and longer",
            &forked_longer,
            [
                "witness_proof_invalid",
                "view_not_continued",
                "view_not_continued",
            ],
        ),
    ] {
        assert_eq!(
            noticed(&at(&format!("w {name}")), &honest, second),
            expect,
            "{name}"
        );
    }
}

/// Serves another source's files with some of them replaced.
struct Altered<'a> {
    source: &'a DirectorySource,
    files: BTreeMap<String, Option<Vec<u8>>>,
    read: Mutex<Vec<String>>,
}

impl<'a> Altered<'a> {
    fn new(source: &'a DirectorySource) -> Self {
        Self {
            source,
            files: BTreeMap::new(),
            read: Mutex::default(),
        }
    }

    fn with(mut self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = self.source.read(path).unwrap().unwrap();
        change(&mut bytes);
        self.files.insert(path.to_owned(), Some(bytes));
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), None);
        self
    }
}

impl Source for Altered<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.read.lock().unwrap().push(path.to_owned());
        match self.files.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.source.read(path),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_hands_out_only_what_is_signed() {
    let directory = tempfile::tempdir().unwrap();
    let source = history(&directory.path().join("a"), 0..600).await;
    let check = |altered: Altered<'_>, expect: &str, from: u64| {
        let mut monitor = Monitor::new(policy());
        monitor.skip_to(from);
        monitor.look(&altered).unwrap();
        let mut handed_out = 0;
        let error = loop {
            match monitor.step(&altered, &mut |_, _| handed_out += 1) {
                Ok(more) => assert!(more, "{expect}: nothing was noticed"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), expect);
        assert_eq!(
            monitor.next(),
            from + handed_out,
            "nothing of a bad bundle is handed out"
        );
        assert_eq!(handed_out % 256, 0);
    };
    let altered = || Altered::new(&source);
    for path in ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"] {
        check(
            altered().with(path, |bytes| *bytes.last_mut().unwrap() ^= 1),
            "monitor_bundle_unproven",
            0,
        );
        check(
            altered().with(path, |bytes| {
                bytes.pop();
            }),
            "monitor_bundle_malformed",
            0,
        );
        check(
            altered().with(path, |bytes| bytes.extend([0, 0])),
            "monitor_bundle_malformed",
            0,
        );
        check(altered().without(path), "monitor_file_missing", 0);
    }
    check(
        altered().with("tile/1/000.p/2", |bytes| bytes[40] ^= 1),
        "monitor_bundle_unproven",
        0,
    );
    check(
        altered().with("tile/0/002.p/88", |bytes| bytes[40] ^= 1),
        "monitor_bundle_unproven",
        0,
    );
    check(
        altered().with("tile/1/000.p/2", |bytes| bytes.truncate(32)),
        "monitor_tiles_unproven",
        0,
    );
    check(
        altered().with("tile/entries/001", |bytes| bytes[200] ^= 1),
        "monitor_bundle_unproven",
        300,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("a");
    let file = StateFile::new(&directory.path().join("state")).unwrap();
    let mut from = 0;
    for to in [0, 1, 255, 256, 257, 600, 600, 1_100] {
        let source = history(&ledger, from..to).await;
        let mut monitor = match file.load().unwrap() {
            Some(state) => Monitor::resume(policy(), &state).unwrap(),
            None => Monitor::new(policy()),
        };
        let entries = follow(&mut monitor, &source);
        let expect: Vec<_> = (from..to)
            .map(|number| (number, Entry::Response(action(number)).encode().unwrap()))
            .collect();
        assert_eq!(entries, expect);
        file.store(&monitor.state().unwrap()).unwrap();
        from = to;
    }
    // Few tiles are read for many bundles.
    let source = DirectorySource::new(&ledger);
    let altered = Altered::new(&source);
    let mut monitor = Monitor::new(policy());
    assert_eq!(follow(&mut monitor, &altered).len(), 1_100);
    let read = altered.read.into_inner().unwrap();
    let tiles = read
        .iter()
        .filter(|path| path.starts_with("tile/") && !path.starts_with("tile/entries"));
    assert!(tiles.count() <= 4, "{read:?}");

    let state = monitor.state().unwrap();
    let other = countersign_ledger::NoteSigner::from_seed(crate::support::ORIGIN, &[1; 32]).unwrap();
    let other = Policy::of_log(other.verifier().clone());
    let error = Monitor::resume(other, &state).unwrap_err();
    assert_eq!(error.code(), "monitor_state_distrusted");
    let beyond = String::from_utf8(state)
        .unwrap()
        .replace("next 1100", "next 1101");
    let error = Monitor::resume(policy(), beyond.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "monitor_state_malformed");
}
