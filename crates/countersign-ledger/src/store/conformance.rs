//! One suite for every store: the contract of [`Store`], method by method, then a whole ledger on it.
//!
//! Local disk and memory are tested here; the stores that are servers by `cargo xtask test stores`, which starts them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::{Batch, CHECKPOINT, Create, File, Store, StoreError};
use crate::disk::LocalDisk;
use crate::draft::Draft;
use crate::entry::{ActionCode, Entry, ResponseAction, StageCode};
use crate::ledger::{BarrierError, Ledger};
use crate::note::NoteSigner;
use crate::open::{Options, open_local};
use crate::queue::AppendError;
use crate::record::{Prelude, encode_record};

const ORIGIN: &str = "suite.example/ledger";
/// How often, and by how many, one number is fought for.
const RACES: u64 = 10;
const RACERS: u8 = 16;

/// Opens the store at a place. The same place again is another handle on the same store, where the store allows that.
pub(crate) type Open<'a> = &'a dyn Fn(&str) -> Arc<dyn Store>;

/// Everything that any store has to do.
pub(crate) fn suite(open: Open<'_>) {
    batches_are_created_once(open);
    batches_are_read_in_order(open);
    batches_are_found_by_index(open);
    removed_batches_stay_gone(open);
    files_are_created_once(open);
    files_are_removed_by_directory(open);
    some_files_are_replaced(open);
    a_ledger_lives_on_it(open);
}

/// What a store has to do on top when several processes may open it.
pub(crate) fn shared_suite(open: Open<'_>) {
    one_of_many_creators_wins(open);
    what_one_created_all_see(open);
    older_versions_do_not_come_back(open);
    the_second_sequencer_fences_the_first(open);
}

struct Made {
    number: u64,
    first_index: u64,
    count: u32,
    bytes: Vec<u8>,
}

impl Made {
    fn batch(&self) -> Batch<'_> {
        Batch {
            number: self.number,
            first_index: self.first_index,
            count: self.count,
            previous: [0; 32],
            bytes: &self.bytes,
        }
    }
}

fn made(number: u64, writer: u8, count: u64) -> Made {
    let first_index = number * count;
    let entries: Vec<_> = (0..count)
        .map(|index| format!("{writer} {number} {index}").into_bytes())
        .collect();
    let prelude = Prelude {
        number,
        first_index,
        time: 0,
        writer: [writer; 16],
        previous: [0; 32],
    };
    let mut bytes = Vec::new();
    let (count, _) = encode_record(&prelude, entries.iter().map(Vec::as_slice), &mut bytes);
    Made {
        number,
        first_index,
        count,
        bytes,
    }
}

fn create(store: &dyn Store, made: &Made) {
    let created = store.create_batch(&made.batch());
    assert!(
        matches!(created, Create::Created),
        "batch {}: {created:?}",
        made.number
    );
}

fn batches_are_created_once(open: Open<'_>) {
    let store = settled(open, "once");
    assert_eq!(store.batches().unwrap(), 0..0);
    let first = made(0, 1, 3);
    create(&*store, &first);
    for other in [made(0, 1, 3), made(0, 2, 3)] {
        assert!(matches!(store.create_batch(&other.batch()), Create::Exists));
    }
    assert_eq!(store.read_batches(0, 0).unwrap(), first.bytes);
    assert_eq!(store.batches().unwrap(), 0..1);
}

fn batches_are_read_in_order(open: Open<'_>) {
    let store = settled(open, "order");
    let all: Vec<_> = (0..40).map(|number| made(number, 1, 3)).collect();
    for made in &all {
        create(&*store, made);
    }
    assert_eq!(store.batches().unwrap(), 0..40);
    assert_eq!(store.read_batches(40, usize::MAX).unwrap(), b"");
    for first in [0, 7, 39] {
        let from = &all[usize::try_from(first).unwrap()..];
        assert_eq!(
            store.read_batches(first, 0).unwrap(),
            from[0].bytes,
            "one at least"
        );
        let mut read = store.read_batches(first, from[0].bytes.len() * 2 + 1).unwrap();
        let expected: Vec<u8> = from.iter().flat_map(|made| made.bytes.clone()).collect();
        assert!(expected.starts_with(&read) && read.len() <= from[0].bytes.len() * 2 + 1);
        // As a reader does: on from where the last answer ended.
        let mut next = first + u64::try_from(read.len() / from[0].bytes.len()).unwrap();
        while next < 40 {
            let more = store.read_batches(next, usize::MAX).unwrap();
            assert!(!more.is_empty());
            read.extend(&more);
            next = first + count_batches(&read);
        }
        assert_eq!(read, expected);
    }
}

fn count_batches(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(outline) = crate::record::Outline::read(bytes) {
        bytes = &bytes[outline.length..];
        count += 1;
    }
    count
}

fn batches_are_found_by_index(open: Open<'_>) {
    let store = settled(open, "find");
    (0..20).for_each(|number| create(&*store, &made(number, 1, 3)));
    for index in 0..60 {
        let found = store.find_batch(index).unwrap().unwrap();
        assert!(found <= index / 3, "batch {found} begins after entry {index}");
    }
}

fn removed_batches_stay_gone(open: Open<'_>) {
    let store = settled(open, "remove");
    (0..10).for_each(|number| create(&*store, &made(number, 1, 3)));
    store.remove_batches(4).unwrap();
    let there = store.batches().unwrap();
    assert!(there.start <= 4 && there.end == 10, "{there:?}");
    store.remove_batches(u64::MAX).unwrap();
    let there = store.batches().unwrap();
    assert_eq!(there.end, 10, "the newest is never removed");
    assert_eq!(store.read_batches(9, 0).unwrap(), made(9, 1, 3).bytes);
    create(&*store, &made(10, 1, 3));
}

fn files_are_created_once(open: Open<'_>) {
    let store = settled(open, "files");
    let file = |path: &str, bytes: &[u8]| File {
        path: path.to_owned(),
        bytes: bytes.to_vec(),
    };
    assert_eq!(store.read_file("tile/0/000").unwrap(), None);
    let files: Vec<_> = (0..60u8)
        .map(|number| file(&format!("tile/0/{number:03}"), &[number; 8192]))
        .collect();
    store.create_files(&files).unwrap();
    store.create_files(&files).unwrap();
    store
        .create_files(&[file("tile/0/003", &[3; 8192]), file("tile/1/000.p/7", b"partial")])
        .unwrap();
    assert_eq!(store.read_file("tile/0/059").unwrap(), Some(vec![59; 8192]));
    assert_eq!(
        store.read_file("tile/1/000.p/7").unwrap().as_deref(),
        Some(&b"partial"[..])
    );
    let differs = store
        .create_files(&[file("tile/0/003", b"another history")])
        .unwrap_err();
    assert!(
        matches!(&differs, StoreError::Differs { path } if path == "tile/0/003"),
        "{differs}"
    );
    assert_eq!(store.read_file("tile/0/003").unwrap(), Some(vec![3; 8192]));
}

fn files_are_removed_by_directory(open: Open<'_>) {
    let store = settled(open, "directories");
    let paths = [
        "tile/0/000.p/1",
        "tile/0/000.p/2",
        "tile/0/000",
        "tile/0/000.px/1",
    ];
    let files = paths.map(|path| File {
        path: path.to_owned(),
        bytes: path.as_bytes().to_vec(),
    });
    store.create_files(&files).unwrap();
    store.remove_files("tile/0/000.p").unwrap();
    store.remove_files("tile/0/000.p").unwrap();
    let left: Vec<_> = paths
        .iter()
        .filter(|path| store.read_file(path).unwrap().is_some())
        .collect();
    assert_eq!(left, [&"tile/0/000", &"tile/0/000.px/1"]);
}

fn some_files_are_replaced(open: Open<'_>) {
    let store = settled(open, "replace");
    for version in [0u64, 5, 5, 9] {
        let content = format!("version {version}");
        store
            .replace_file(CHECKPOINT, version, content.as_bytes())
            .unwrap();
        assert_eq!(store.read_file(CHECKPOINT).unwrap(), Some(content.into_bytes()));
    }
}

/// Appends, closes, opens again, and finds everything.
fn a_ledger_lives_on_it(open: Open<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for life in 0..3u64 {
        let ledger = Ledger::open_in(open("ledger"), options(), signer()).unwrap();
        assert_eq!(ledger.head(), life * 140);
        runtime.block_on(async {
            for number in 0..20 {
                let waiting = (0..7)
                    .map(|index| ledger.append(Draft::Response(action(life * 140 + number * 7 + index))));
                for appended in waiting.collect::<Vec<_>>() {
                    appended.await.unwrap();
                }
            }
        });
        let read = ledger.read(0, 10_000).unwrap();
        let expected: Vec<_> = (0..(life + 1) * 140)
            .map(|number| Entry::Response(action(number)))
            .collect();
        assert_eq!(read.len(), expected.len());
        assert!(expected.iter().all(|entry| read.contains(entry)));
        ledger.close();
        assert!(
            std::str::from_utf8(&ledger.checkpoint())
                .unwrap()
                .contains(&format!("\n{}\n", (life + 1) * 140))
        );
    }
}

fn one_of_many_creators_wins(open: Open<'_>) {
    let stores: Vec<_> = (0..RACERS).map(|_| open("race")).collect();
    stores[0].settle().unwrap();
    for number in 0..RACES {
        let start = Arc::new(Barrier::new(stores.len()));
        let racers = stores.iter().zip(1u8..).map(|(store, writer)| {
            let (store, start) = (store.clone(), start.clone());
            thread::spawn(move || {
                let made = made(number, writer, 3);
                start.wait();
                matches!(store.create_batch(&made.batch()), Create::Created).then_some(made.bytes)
            })
        });
        let racers: Vec<_> = racers.collect();
        let winners: Vec<_> = racers
            .into_iter()
            .filter_map(|racer| racer.join().unwrap())
            .collect();
        assert_eq!(
            winners.len(),
            1,
            "creators who were told that batch {number} is theirs"
        );
        for store in &stores {
            assert_eq!(store.read_batches(number, 0).unwrap(), winners[0]);
        }
    }
}

fn what_one_created_all_see(open: Open<'_>) {
    let (one, other) = (open("shared"), open("shared"));
    one.settle().unwrap();
    for number in 0..10 {
        create(if number % 2 == 0 { &*one } else { &*other }, &made(number, 1, 3));
        assert_eq!(one.batches().unwrap(), 0..number + 1);
        assert_eq!(other.batches().unwrap(), 0..number + 1);
    }
    one.remove_batches(5).unwrap();
    // The batch that a stalled writer would have made long ago.
    assert!(matches!(
        other.create_batch(&made(9, 7, 3).batch()),
        Create::Exists
    ));
    assert_eq!(other.batches().unwrap(), one.batches().unwrap());
}

fn older_versions_do_not_come_back(open: Open<'_>) {
    let (one, other) = (open("versions"), open("versions"));
    one.replace_file(CHECKPOINT, 5, b"five").unwrap();
    other.replace_file(CHECKPOINT, 9, b"nine").unwrap();
    assert!(one.replace_file(CHECKPOINT, 6, b"six, delayed").is_err());
    assert_eq!(one.read_file(CHECKPOINT).unwrap().as_deref(), Some(&b"nine"[..]));
}

/// Two sequencers on one store: whoever loses a number stops, and nothing that was released is missing.
fn the_second_sequencer_fences_the_first(open: Open<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let first = Ledger::open_in(open("fence"), options(), signer()).unwrap();
    runtime
        .block_on(first.append(Draft::Response(action(0))))
        .unwrap();
    let second = Ledger::open_in(open("fence"), options(), signer()).unwrap();
    runtime
        .block_on(second.append(Draft::Response(action(1))))
        .unwrap();
    // A barrier read that the first answered from memory would call the second's token forged.
    assert_eq!(runtime.block_on(second.barrier()).unwrap(), 2);
    // Its publisher may have noticed first, and stopped it.
    let answer = runtime.block_on(first.barrier());
    assert!(
        matches!(answer, Err(BarrierError::Replaced | BarrierError::Stopped)),
        "{answer:?}"
    );
    let fenced = runtime.block_on(first.append(Draft::Response(action(2))));
    assert!(
        matches!(fenced, Err(AppendError::Stopped | AppendError::Replaced)),
        "{fenced:?}"
    );
    assert!(!first.is_running());
    runtime
        .block_on(second.append(Draft::Response(action(3))))
        .unwrap();
    assert_eq!(
        second.read(0, 10).unwrap(),
        [0, 1, 3].map(|number| Entry::Response(action(number)))
    );
}

/// A store as a ledger finds it that is about to write.
fn settled(open: Open<'_>, place: &str) -> Arc<dyn Store> {
    let store = open(place);
    store.settle().unwrap();
    store
}

fn options() -> Options {
    Options::new("", ORIGIN)
}

fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[5; 32]).unwrap()
}

/// An entry that refers to no other.
fn action(number: u64) -> ResponseAction {
    let mut target = [0xa5; 32];
    target[..8].copy_from_slice(&number.to_be_bytes());
    ResponseAction {
        action: ActionCode::DenyTokens,
        stage: StageCode::Executed,
        at: 1_000,
        case: [1; 16],
        target,
    }
}

#[test]
fn local_disk() {
    let directory = tempfile::tempdir().unwrap();
    suite(&|place| {
        let path = directory.path().join(place);
        std::fs::create_dir_all(&path).unwrap();
        let disk = Arc::new(LocalDisk::new(path));
        Arc::new(open_local(disk, &options(), &signer(), 2).unwrap())
    });
}

#[test]
fn memory() {
    let places = Places::default();
    suite(&|place| places.open(place, Lie::None));
    shared_suite(&|place| places.open(&format!("{place}, shared"), Lie::None));
}

/// The suite is worth something only if a store that breaks its promise fails it.
#[test]
fn a_lying_store_is_found_out() {
    for lie in [
        Lie::CreatesTwice,
        Lie::Overwrites,
        Lie::AnswersFromACache,
        Lie::GoesBack,
    ] {
        let result = std::panic::catch_unwind(|| {
            let places = Places::default();
            shared_suite(&|place| places.open(place, lie));
        });
        assert!(result.is_err(), "{lie:?} passes");
    }
}

#[cfg(feature = "postgres")]
#[test]
#[ignore = "needs a server; run by cargo xtask test stores"]
fn postgres() {
    let url = server("COUNTERSIGN_TEST_POSTGRES");
    let run = std::process::id();
    let open = |place: &str| -> Arc<dyn Store> {
        Arc::new(super::postgres::PostgresStore::connect(&url, &format!("{run}/{place}")).unwrap())
    };
    suite(&open);
    shared_suite(&|place| open(&format!("{place}, shared")));
}

#[cfg(feature = "s3")]
#[test]
#[ignore = "needs a server; run by cargo xtask test stores"]
fn s3() {
    let endpoint = server("COUNTERSIGN_TEST_S3");
    let run = std::process::id();
    let open = |place: &str| -> Arc<dyn Store> {
        let mut options = super::s3::S3Options::new("ledgers", format!("{run}/{place}"));
        options.endpoint = Some(endpoint.clone());
        Arc::new(super::s3::S3Store::open(&options).unwrap())
    };
    suite(&open);
    shared_suite(&|place| open(&format!("{place}-shared")));
}

#[cfg(any(feature = "postgres", feature = "s3"))]
fn server(variable: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever starts the server says where it is"
    )]
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run cargo xtask test stores"))
}

/// Stores in memory, by place.
#[derive(Default)]
struct Places(Mutex<BTreeMap<String, Arc<Mutex<Content>>>>);

impl Places {
    fn open(&self, place: &str, lie: Lie) -> Arc<dyn Store> {
        let content = self
            .0
            .lock()
            .unwrap()
            .entry(place.to_owned())
            .or_default()
            .clone();
        Arc::new(MemoryStore {
            content,
            lie,
            seen: Mutex::default(),
        })
    }
}

/// How a store breaks its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Tells everybody that the batch is theirs; the first stays.
    CreatesTwice,
    /// The same, and the last stays.
    Overwrites,
    /// What a handle has seen once it never looks at again.
    AnswersFromACache,
    /// An older version replaces a newer one.
    GoesBack,
}

#[derive(Default)]
struct Content {
    batches: BTreeMap<u64, (u64, Vec<u8>)>,
    files: BTreeMap<String, (u64, Vec<u8>)>,
}

/// The contract in its simplest form, and with a lie.
struct MemoryStore {
    content: Arc<Mutex<Content>>,
    lie: Lie,
    seen: Mutex<Option<Range<u64>>>,
}

impl Store for MemoryStore {
    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        let mut content = self.content.lock().unwrap();
        let taken = content
            .batches
            .last_key_value()
            .is_some_and(|(newest, _)| *newest >= batch.number);
        if taken && self.lie != Lie::CreatesTwice && self.lie != Lie::Overwrites {
            return Create::Exists;
        }
        if !taken || self.lie == Lie::Overwrites {
            content
                .batches
                .insert(batch.number, (batch.first_index, batch.bytes.to_vec()));
        }
        Create::Created
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        let content = self.content.lock().unwrap();
        let (first, last) = (
            content.batches.first_key_value(),
            content.batches.last_key_value(),
        );
        let range = first.zip(last).map_or(0..0, |(first, last)| *first.0..last.0 + 1);
        let mut seen = self.seen.lock().unwrap();
        if self.lie == Lie::AnswersFromACache {
            return Ok(seen.get_or_insert(range).clone());
        }
        Ok(range)
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        let content = self.content.lock().unwrap();
        let found = content
            .batches
            .iter()
            .rev()
            .find(|(_, (first, _))| *first <= index);
        Ok(found.map(|(number, _)| *number))
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        let content = self.content.lock().unwrap();
        let mut bytes = Vec::new();
        for number in first.. {
            let Some((_, batch)) = content.batches.get(&number) else {
                break;
            };
            if !bytes.is_empty() && bytes.len() + batch.len() > limit {
                break;
            }
            bytes.extend(batch);
        }
        Ok(bytes)
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        let mut content = self.content.lock().unwrap();
        let newest = content.batches.last_key_value().map_or(0, |(newest, _)| *newest);
        content.batches.retain(|number, _| *number >= below.min(newest));
        Ok(())
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        let mut content = self.content.lock().unwrap();
        for file in files {
            let there = content
                .files
                .entry(file.path.clone())
                .or_insert_with(|| (0, file.bytes.clone()));
            if there.1 != file.bytes {
                return Err(StoreError::Differs {
                    path: file.path.clone(),
                });
            }
        }
        Ok(())
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let content = self.content.lock().unwrap();
        Ok(content.files.get(path).map(|(_, bytes)| bytes.clone()))
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        let below = |path: &str| {
            path.strip_prefix(directory)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.content.lock().unwrap().files.retain(|path, _| !below(path));
        Ok(())
    }

    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut content = self.content.lock().unwrap();
        let newer = content.files.get(path).is_some_and(|(there, _)| *there > version);
        if newer && self.lie != Lie::GoesBack {
            return Err(StoreError::Failed("a newer version is there".into()));
        }
        content.files.insert(path.to_owned(), (version, bytes.to_vec()));
        Ok(())
    }
}
