//! Histories of two processes that both believe to write one ledger, in a store across a network: timeouts, delayed and
//! partial writes, pauses, jumping clocks, deaths. Whatever was acknowledged must be there in the end, once, in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::clock::SimClock;
use super::disk::Random;
use super::histories::{contents, entry, options, signer};
use super::store::{SimProcess, SimStore};
use crate::audit::audit;
use crate::checkpoint::Checkpoint;
use crate::keeper::Keeper;
use crate::open::{OpenError, Opened, RETENTION_MIN, open};
use crate::record::Record;
use crate::sequencer::SequenceError;
use crate::store::StoreError;
use crate::tiler::Tiler;
use crate::tree::Hash;

/// A process with the ledger open.
struct Life {
    process: SimProcess,
    opened: Opened,
    keeper: Keeper,
    /// Not even its sequencer may be asked any more.
    over: bool,
}

struct History {
    store: SimStore,
    clock: SimClock,
    random: Random,
    lives: [Option<Life>; 2],
    /// By index.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    attempted: BTreeSet<Vec<u8>>,
    /// Roots that were served, by size.
    signed: BTreeMap<u64, Hash>,
    /// The newest checkpoint that was served: those who fetched it still have it.
    newest: Vec<u8>,
    next: u64,
}

/// One seeded history; the first broken promise, if any.
pub(super) fn run(seed: u64) -> Result<(), String> {
    let mut history = History::new(seed);
    let steps = 4 + history.random.below(24);
    for _ in 0..steps {
        history.step()?;
    }
    history.store.calm();
    history.check()
}

/// A death at each operation of a process, with each thing that may have become of that operation.
#[test]
fn a_death_at_every_single_operation_is_survived() {
    let mut operations = 0;
    let mut reached = true;
    while reached {
        operations += 1;
        reached = false;
        for seed in 0..6 {
            let mut history = History::new(seed);
            history.store.calm();
            history.live_until(operations);
            reached |= history.lives[0].is_none();
            history
                .check()
                .unwrap_or_else(|broken| panic!("seed {seed}, operation {operations}: {broken}"));
        }
    }
    assert!(operations > 60, "the script has {operations} operations");
}

impl History {
    fn new(seed: u64) -> Self {
        let history = Self {
            store: SimStore::new(seed),
            clock: SimClock::default(),
            random: Random(!seed),
            lives: [None, None],
            acknowledged: BTreeMap::new(),
            attempted: BTreeSet::new(),
            signed: BTreeMap::new(),
            newest: Vec::new(),
            next: 0,
        };
        history.clock.set(1_000_000);
        history
    }

    /// Appends, publishes and removes, in a process that dies at its operation number `dies_at`.
    fn live_until(&mut self, dies_at: u64) {
        self.begin_until(0, dies_at).unwrap();
        for _ in 0..12 {
            self.append(0).unwrap();
            self.publish(0).unwrap();
            self.keep(0).unwrap();
            self.clock.advance(RETENTION_MIN);
            if self.lives[0].as_ref().is_none_or(|life| life.process.is_dead()) {
                self.lives[0] = None;
                return;
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let who = usize::from(self.random.below(3) == 0);
        self.pass_time();
        if self.lives[who].is_none() {
            return self.begin(who);
        }
        match self.random.below(8) {
            0 => self.lives[who] = None,
            1 | 2 => self.publish(who)?,
            3 => self.keep(who)?,
            _ => self.append(who)?,
        }
        let finished = |life: &Life| life.over || life.process.is_dead();
        if self.lives[who].as_ref().is_some_and(finished) {
            self.lives[who] = None;
        }
        Ok(())
    }

    fn pass_time(&mut self) {
        match self.random.below(12) {
            0 => self.clock.advance(Duration::from_secs(11)),
            1 => self.clock.advance(RETENTION_MIN + Duration::from_secs(1)),
            2 => self.clock.set(self.random.below(2_000_000)),
            _ => self.clock.advance(Duration::from_millis(3)),
        }
    }

    fn begin(&mut self, who: usize) -> Result<(), String> {
        let dies_at = match self.random.below(3) {
            0 => 1 + self.random.below(60),
            _ => u64::MAX,
        };
        self.begin_until(who, dies_at)
    }

    fn begin_until(&mut self, who: usize, dies_at: u64) -> Result<(), String> {
        let process = self.store.process(dies_at);
        let opened = open(
            Arc::new(process.clone()),
            &options(),
            signer(),
            Arc::new(self.clock.clone()),
        );
        match opened {
            Ok(opened) => {
                let keeper = Keeper::new(
                    Arc::new(process.clone()),
                    Arc::new(self.clock.clone()),
                    RETENTION_MIN,
                );
                self.lives[who] = Some(Life {
                    process,
                    opened,
                    keeper,
                    over: false,
                });
                Ok(())
            }
            Err(_) if process.is_dead() => Ok(()),
            Err(OpenError::CheckpointOld { .. }) => {
                self.put_checkpoint_back();
                Ok(())
            }
            Err(OpenError::StorageFull | OpenError::Store(StoreError::Unavailable(_)) | OpenError::Io(_)) => {
                Ok(())
            }
            Err(error) => Err(format!("does not open: {} {error}", error.code())),
        }
    }

    fn append(&mut self, who: usize) -> Result<(), String> {
        let count = match self.random.below(5) {
            0 => 200 + self.random.below(400),
            _ => 1 + self.random.below(3),
        };
        let batch: Vec<_> = (self.next..self.next + count).map(entry).collect();
        self.next += count;
        self.attempted.extend(batch.iter().cloned());
        let Some(life) = &mut self.lives[who] else {
            return Ok(());
        };
        match life.opened.sequencer.append(batch.iter().map(Vec::as_slice)) {
            Ok(first) => {
                for (index, entry) in (first..).zip(batch) {
                    if self.acknowledged.insert(index, entry).is_some() {
                        return Err(format!("index {index} was given to two entries"));
                    }
                }
            }
            Err(SequenceError::StorageFull) => {
                // It is certain that they are not stored.
                for entry in batch {
                    self.attempted.remove(&entry);
                }
            }
            Err(_) => life.over = true,
        }
        Ok(())
    }

    fn publish(&mut self, who: usize) -> Result<(), String> {
        let Some(life) = &mut self.lives[who] else {
            return Ok(());
        };
        match life.opened.publisher.publish() {
            Ok(()) => {}
            Err(error) if error.is_temporary() || life.process.is_dead() => return Ok(()),
            // The other one has gone on and removed what this one has not published yet: it was replaced, and stops.
            Err(_) if self.store.first_index() > life.opened.publisher.published() => {
                life.over = true;
                return Ok(());
            }
            Err(error) => return Err(format!("does not publish: {error}")),
        }
        let note = life.opened.served.read().unwrap().clone();
        let checkpoint = Checkpoint::open(&note, signer().verifier()).map_err(|error| error.to_string())?;
        if self.signed.keys().all(|size| *size <= checkpoint.size) {
            self.newest = note.to_vec();
        }
        let root = *self.signed.entry(checkpoint.size).or_insert(checkpoint.root);
        if root == checkpoint.root {
            Ok(())
        } else {
            Err(format!("two roots signed for size {}", checkpoint.size))
        }
    }

    fn keep(&mut self, who: usize) -> Result<(), String> {
        let Some(life) = &mut self.lives[who] else {
            return Ok(());
        };
        match life.keeper.keep(life.opened.publisher.published()) {
            Err(error) if !error.is_temporary() && !life.process.is_dead() => {
                Err(format!("cannot keep house: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// A delayed write of an older checkpoint took the newest one's place, in a store that lets it: the operator puts it
    /// back.
    fn put_checkpoint_back(&self) {
        self.store.put_checkpoint(&self.newest);
    }

    /// Opens once more, in peace, and compares with everything that was promised.
    fn check(&mut self) -> Result<(), String> {
        self.lives = [None, None];
        let open_again = || {
            open(
                Arc::new(self.store.process(u64::MAX)),
                &options(),
                signer(),
                Arc::new(self.clock.clone()),
            )
        };
        let mut opened = match open_again() {
            Err(OpenError::CheckpointOld { .. }) => {
                self.put_checkpoint_back();
                open_again()
            }
            opened => opened,
        }
        .map_err(|error| format!("does not open: {} {error}", error.code()))?;
        let entries = contents(&opened).map_err(|error| format!("does not read: {error}"))?;
        for (index, entry) in &self.acknowledged {
            let place = usize::try_from(*index).unwrap();
            if entries.get(place) != Some(entry) {
                return Err(format!("acknowledged entry {index} is not there"));
            }
        }
        let mut seen = BTreeSet::new();
        for (index, entry) in entries.iter().enumerate() {
            if !self.attempted.contains(entry) {
                return Err(format!("entry {index} was refused, or nobody appended it"));
            }
            if !seen.insert(entry) {
                return Err(format!("entry {index} is there twice"));
            }
        }
        self.check_roots(&entries)?;
        self.check_times()?;
        opened
            .publisher
            .publish()
            .map_err(|error| format!("does not publish in the end: {error}"))?;
        let report =
            audit(&self.store, &signer().verifier_key()).map_err(|error| format!("audit: {error}"))?;
        if report.size == entries.len() as u64 {
            Ok(())
        } else {
            Err("audited another size".into())
        }
    }

    /// Everything that was ever signed must be a beginning of what is there.
    fn check_roots(&self, entries: &[Vec<u8>]) -> Result<(), String> {
        let mut tiler = Tiler::default();
        for (size, root) in &self.signed {
            while tiler.size() < *size {
                let next = usize::try_from(tiler.size()).unwrap();
                let entry = entries.get(next).ok_or("fewer entries than were signed for")?;
                tiler.push(entry, &mut |_, _| Ok(())).unwrap();
            }
            if tiler.root() != *root {
                return Err(format!("the root signed for size {size} is another"));
            }
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), String> {
        let mut before = 0;
        for number in self.store.numbers() {
            let bytes = self.store.batch(number).unwrap();
            let record = Record::decode(&bytes).map_err(|error| error.to_string())?;
            if record.time < before {
                return Err(format!(
                    "the time of batch {number} is before that of the one before"
                ));
            }
            before = record.time;
        }
        Ok(())
    }
}
