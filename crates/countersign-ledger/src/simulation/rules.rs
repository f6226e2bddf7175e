//! Each rule of the sequencer, by name, in the smallest history that needs it.

use std::sync::Arc;

use super::clock::SimClock;
use super::histories::{contents, entry, options, signer};
use super::store::{Scripted, SimStore, State};
use crate::checkpoint::Checkpoint;
use crate::keeper::Keeper;
use crate::open::{OpenError, Opened, Options, RETENTION_MIN, open};
use crate::record::Record;
use crate::rules::{Rule, without};
use crate::sequencer::{STALL, SequenceError};
use crate::store::Store;

/// A store in which nothing goes wrong by itself.
fn quiet() -> SimStore {
    let store = SimStore::new(0);
    store.calm();
    store
}

fn open_with(store: impl Store, clock: &SimClock, options: &Options) -> Result<Opened, OpenError> {
    open(Arc::new(store), options, signer(), Arc::new(clock.clone()))
}

fn open_in(store: &SimStore, clock: &SimClock) -> Result<Opened, OpenError> {
    open_with(store.process(u64::MAX), clock, &options())
}

fn append(opened: &mut Opened, from: u64, to: u64) -> Result<u64, SequenceError> {
    let batch: Vec<_> = (from..to).map(entry).collect();
    opened.sequencer.append(batch.iter().map(Vec::as_slice))
}

fn times(store: &SimStore) -> Vec<u64> {
    let numbers = store.numbers().into_iter();
    numbers
        .map(|number| Record::decode(&store.batch(number).unwrap()).unwrap().time)
        .collect()
}

#[test]
fn entries_are_told_of_only_when_their_batch_is_confirmed() {
    let (store, clock) = (quiet(), SimClock::default());
    open_in(&store, &clock).unwrap();
    for scripted in [Scripted::Full, Scripted::Fails] {
        let mut opened = open_with(store.script(scripted), &clock, &options()).unwrap();
        assert!(append(&mut opened, 0, 3).is_err(), "{scripted:?}");
        assert_eq!(opened.entries.head(), 0);
        assert!(store.numbers().is_empty());
    }
}

#[test]
fn a_full_store_is_certain_and_the_same_number_is_used_again() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_with(store.script(Scripted::Full), &clock, &options()).unwrap();
    assert!(matches!(
        append(&mut opened, 0, 3),
        Err(SequenceError::StorageFull)
    ));
    assert_eq!(append(&mut opened, 3, 5).unwrap(), 0);
    assert_eq!(contents(&opened).unwrap(), [entry(3), entry(4)]);
}

#[test]
fn an_unknown_outcome_is_read_back_and_only_the_same_bytes_are_tried_again() {
    for scripted in [Scripted::LostBefore, Scripted::LostAfter] {
        let (store, clock) = (quiet(), SimClock::default());
        let mut opened = open_with(store.script(scripted), &clock, &options()).unwrap();
        assert_eq!(append(&mut opened, 0, 3).unwrap(), 0, "{scripted:?}");
        assert_eq!(append(&mut opened, 3, 4).unwrap(), 3);
        assert_eq!(contents(&opened).unwrap().len(), 4);
        assert_eq!(store.numbers(), [0, 1]);
    }
}

#[test]
fn after_a_failure_nothing_is_written_and_nothing_read_back() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_with(store.script(Scripted::Fails), &clock, &options()).unwrap();
    assert!(matches!(append(&mut opened, 0, 3), Err(SequenceError::Failed(_))));
    assert!(matches!(append(&mut opened, 3, 4), Err(SequenceError::Stopped)));
    assert!(store.numbers().is_empty());
}

#[test]
fn another_writers_batch_at_our_number_stops_us() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut first = open_in(&store, &clock).unwrap();
    append(&mut first, 0, 3).unwrap();
    let mut second = open_in(&store, &clock).unwrap();
    assert_eq!(append(&mut second, 3, 5).unwrap(), 3);
    assert!(matches!(
        append(&mut first, 5, 6),
        Err(SequenceError::Fenced { number: 1 })
    ));
    assert!(matches!(append(&mut first, 6, 7), Err(SequenceError::Stopped)));
    assert_eq!(append(&mut second, 7, 8).unwrap(), 5);
}

#[test]
fn the_same_entries_of_another_writer_are_not_ours() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut first = open_in(&store, &clock).unwrap();
    let mut second = open_in(&store, &clock).unwrap();
    append(&mut first, 0, 3).unwrap();
    assert!(matches!(
        append(&mut second, 0, 3),
        Err(SequenceError::Fenced { number: 0 })
    ));
}

/// A first process sleeps while a second goes on and removes old batches, so that the number the first would use is
/// free, in a store that forgets what was removed.
fn slept_through_a_removal() -> (Result<u64, SequenceError>, Vec<u64>) {
    let (store, clock) = (quiet(), SimClock::default());
    store.forget();
    let mut sleeper = open_in(&store, &clock).unwrap();
    append(&mut sleeper, 0, 3).unwrap();
    let mut second = open_in(&store, &clock).unwrap();
    append(&mut second, 3, 300).unwrap();
    append(&mut second, 300, 600).unwrap();
    second.publisher.publish().unwrap();
    let process = Arc::new(store.process(u64::MAX));
    let mut keeper = Keeper::new(process, Arc::new(clock.clone()), RETENTION_MIN);
    keeper.keep(second.publisher.published()).unwrap();
    clock.advance(RETENTION_MIN);
    keeper.keep(second.publisher.published()).unwrap();
    assert_eq!(store.numbers(), [2], "batches 0 and 1 are removed");
    (append(&mut sleeper, 900, 901), store.numbers())
}

#[test]
fn a_sequencer_that_slept_looks_before_it_writes() {
    const { assert!(STALL.as_secs() * 10 < RETENTION_MIN.as_secs()) };
    let (result, numbers) = slept_through_a_removal();
    assert!(matches!(result, Err(SequenceError::Fenced { number: 1 })));
    assert_eq!(numbers, [2]);
    // Without the look it would have used a removed number again, and told its caller so.
    let (result, numbers) = without(Rule::LookAfterStall, slept_through_a_removal);
    assert_eq!(result.unwrap(), 3);
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn the_time_of_batches_never_goes_back() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_in(&store, &clock).unwrap();
    for (number, now) in (0..).zip([500, 200, 600]) {
        clock.set(now);
        append(&mut opened, number, number + 1).unwrap();
    }
    // Not across a restart either.
    clock.set(100);
    let mut opened = open_in(&store, &clock).unwrap();
    append(&mut opened, 3, 4).unwrap();
    assert_eq!(times(&store), [500, 500, 600, 600]);
}

#[test]
fn a_checkpoint_is_signed_only_over_confirmed_batches_and_durable_tiles() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_in(&store, &clock).unwrap();
    append(&mut opened, 0, 300).unwrap();
    opened.publisher.publish().unwrap();
    let paths = store.paths();
    for path in [
        "tile/entries/000",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ] {
        assert!(paths.iter().any(|there| there == path), "{path}");
    }
    without(Rule::TilesBeforeCheckpoint, || {
        append(&mut opened, 300, 400).unwrap();
        opened.publisher.publish().unwrap();
    });
    assert!(crate::audit::audit(&store, &signer().verifier_key()).is_err());
}

/// A ledger of two publications; the copy is from between them.
fn published_twice() -> (SimStore, SimClock, State) {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_in(&store, &clock).unwrap();
    append(&mut opened, 0, 40).unwrap();
    opened.publisher.publish().unwrap();
    let copy = store.copy();
    append(&mut opened, 40, 90).unwrap();
    opened.publisher.publish().unwrap();
    (store, clock, copy)
}

fn refusal(store: &SimStore, clock: &SimClock, options: &Options) -> &'static str {
    match open_with(store.process(u64::MAX), clock, options) {
        Ok(_) => "opens",
        Err(error) => {
            assert!(error.hint().is_some(), "{error}");
            error.code()
        }
    }
}

#[test]
fn a_store_restored_from_an_older_backup_is_refused() {
    let (store, clock, copy) = published_twice();
    store.restore_batches(&copy);
    assert_eq!(refusal(&store, &clock, &options()), "ledger_truncated");
    let error = open_in(&store, &clock).map(|_| ()).unwrap_err();
    assert!(error.hint().unwrap().contains("next log number"), "{error}");
    let accepted = without(Rule::RefuseRollback, || refusal(&store, &clock, &options()));
    assert_ne!(accepted, "ledger_truncated", "the rule is what refuses it");
}

#[test]
fn less_than_somebody_has_seen_is_refused() {
    let (store, clock, _) = published_twice();
    let seen = |size, root| Options {
        seen: Some(Checkpoint {
            origin: options().origin,
            size,
            root,
        }),
        ..options()
    };
    let opened = open_in(&store, &clock).unwrap();
    let served = opened.served.read().unwrap().clone();
    let checkpoint = Checkpoint::open(&served, signer().verifier()).unwrap();
    assert_eq!(refusal(&store, &clock, &seen(90, checkpoint.root)), "opens");
    assert_eq!(
        refusal(&store, &clock, &seen(91, checkpoint.root)),
        "ledger_rolled_back"
    );
    assert_eq!(refusal(&store, &clock, &seen(40, [7; 32])), "ledger_rewritten");
}

#[test]
fn the_root_is_recomputed_at_start() {
    let (store, clock, _) = published_twice();
    // Batches that tell another story than the tiles.
    let copy = store.copy();
    let last = store.numbers().pop().unwrap();
    store.rewrite(last);
    assert_eq!(refusal(&store, &clock, &options()), "ledger_rewritten");
    // Nor do they pass when the tiles are missing, for then the root tells.
    for path in store.paths() {
        if path.starts_with("tile/") {
            store.delete(&path);
        }
    }
    assert_eq!(refusal(&store, &clock, &options()), "ledger_rewritten");
    let accepted = without(Rule::RecomputeRoot, || refusal(&store, &clock, &options()));
    assert_eq!(accepted, "opens", "the rule is what refuses it");
    store.restore_batches(&copy);
    assert_eq!(refusal(&store, &clock, &options()), "opens");
}

#[test]
fn batches_are_removed_only_when_bundles_hold_them_for_long_enough() {
    let (store, clock) = (quiet(), SimClock::default());
    let mut opened = open_in(&store, &clock).unwrap();
    for start in [0, 100, 200, 300] {
        append(&mut opened, start, start + 100).unwrap();
    }
    let process = Arc::new(store.process(u64::MAX));
    let mut keeper = Keeper::new(process, Arc::new(clock.clone()), RETENTION_MIN);
    keeper.keep(opened.publisher.published()).unwrap();
    clock.advance(RETENTION_MIN * 2);
    keeper.keep(opened.publisher.published()).unwrap();
    assert_eq!(store.numbers(), [0, 1, 2, 3], "nothing is published");
    opened.publisher.publish().unwrap();
    keeper.keep(opened.publisher.published()).unwrap();
    clock.set(u64::MAX / 2);
    clock.advance(RETENTION_MIN / 2);
    keeper.keep(opened.publisher.published()).unwrap();
    assert_eq!(store.numbers(), [0, 1, 2, 3], "the time of day does not count");
    clock.advance(RETENTION_MIN / 2);
    keeper.keep(opened.publisher.published()).unwrap();
    // Entry 255, the last in a full bundle, is in batch 2.
    assert_eq!(store.numbers(), [2, 3]);
    assert_eq!(contents(&opened).unwrap().len(), 400);
    let again = open_in(&store, &clock).unwrap();
    assert_eq!(contents(&again).unwrap().len(), 400);
    // From then on the bundle is what is read, and it is believed only as far as it was signed for.
    for place in [2, 60, 5_000, 12_000] {
        store.flip("tile/entries/000", place);
        assert!(contents(&again).is_err(), "byte {place}");
        store.flip("tile/entries/000", place);
    }
    assert_eq!(contents(&again).unwrap().len(), 400);
}
