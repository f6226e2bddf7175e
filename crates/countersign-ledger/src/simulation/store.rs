//! A store across a network that does whatever its contract allows, and the processes that use it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::Random;
use crate::audit;
use crate::record::{Prelude, Record, encode_record};
use crate::store::{Batch, CHECKPOINT, Create, File, Store, StoreError};

/// What all processes see.
#[derive(Clone)]
pub(super) struct SimStore {
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
pub(super) struct State {
    random: Random,
    batches: BTreeMap<u64, Vec<u8>>,
    files: BTreeMap<String, (u64, Vec<u8>)>,
    /// Writes under way whose caller has heard nothing.
    delayed: Vec<Delayed>,
    /// One in so many operations meets trouble; 0 for none.
    trouble: u64,
    /// Forgets the numbers of batches that were removed, and lets an older version replace a newer one.
    forgetful: bool,
}

#[derive(Clone)]
enum Delayed {
    Batch(u64, Vec<u8>),
    File(String, u64, Vec<u8>),
}

/// How an operation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    FailsBefore,
    FailsAfter,
    Later,
    Full,
}

impl SimStore {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let trouble = [0, 4, 9, 30][usize::try_from(random.below(4)).unwrap()];
        let state = State {
            forgetful: random.below(2) == 0,
            random,
            batches: BTreeMap::new(),
            files: BTreeMap::new(),
            delayed: Vec::new(),
            trouble,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A process that uses the store, until its operation number `dies_at`.
    pub(super) fn process(&self, dies_at: u64) -> SimProcess {
        SimProcess {
            store: self.clone(),
            left: Arc::new(AtomicU64::new(dies_at)),
        }
    }

    /// Everything under way arrives, and from now on nothing goes wrong.
    pub(super) fn calm(&self) {
        let mut state = self.lock();
        state.trouble = 0;
        while let Some(delayed) = state.delayed.pop() {
            state.land(delayed);
        }
    }

    /// A copy of everything that is stored, as a backup would be.
    pub(super) fn copy(&self) -> State {
        self.lock().clone()
    }

    /// Puts the batches of an older copy back, and leaves the files.
    pub(super) fn restore_batches(&self, copy: &State) {
        self.lock().batches = copy.batches.clone();
    }

    /// From now on the store forgets what was removed.
    pub(super) fn forget(&self) {
        self.lock().forgetful = true;
    }

    /// Index of the first entry in the oldest batch that is there.
    pub(super) fn first_index(&self) -> u64 {
        let state = self.lock();
        let oldest = state.batches.first_key_value();
        oldest.map_or(0, |(_, bytes)| Record::decode(bytes).unwrap().first_index)
    }

    pub(super) fn put_checkpoint(&self, note: &[u8]) {
        let mut state = self.lock();
        state.files.insert(CHECKPOINT.to_owned(), (0, note.to_vec()));
    }

    /// Changes a byte of a file, and the second time changes it back.
    pub(super) fn flip(&self, path: &str, place: usize) {
        self.lock().files.get_mut(path).unwrap().1[place] ^= 1;
    }

    pub(super) fn delete(&self, path: &str) {
        self.lock().files.remove(path);
    }

    /// Replaces a batch by one with other entries that follows the same batch, as whoever can write the store could.
    pub(super) fn rewrite(&self, number: u64) {
        let mut state = self.lock();
        let bytes = state.batches[&number].clone();
        let record = Record::decode(&bytes).unwrap();
        let prelude = Prelude {
            number,
            first_index: record.first_index,
            time: record.time,
            writer: record.writer,
            previous: record.previous,
        };
        let other: Vec<_> = (0..u64::from(record.count))
            .map(|it| super::histories::entry(it + 5_000_000))
            .collect();
        let mut rewritten = Vec::new();
        encode_record(&prelude, other.iter().map(Vec::as_slice), &mut rewritten);
        state.batches.insert(number, rewritten);
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    pub(super) fn batch(&self, number: u64) -> Option<Vec<u8>> {
        self.lock().batches.get(&number).cloned()
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.lock().batches.keys().copied().collect()
    }

    /// The next creation of a batch goes so.
    pub(super) fn script(&self, outcome: Scripted) -> SimScript {
        SimScript {
            inner: self.process(u64::MAX),
            next: Mutex::new(Some(outcome)),
        }
    }
}

impl State {
    fn land(&mut self, delayed: Delayed) {
        match delayed {
            Delayed::Batch(number, bytes) => {
                self.create(number, &bytes);
            }
            Delayed::File(path, version, bytes) => self.replace(path, version, bytes),
        }
    }

    /// Whether it was absent.
    fn create(&mut self, number: u64, bytes: &[u8]) -> bool {
        let known = self.batches.contains_key(&number);
        let removed = !self.forgetful && self.end() > number;
        if known || removed {
            return false;
        }
        self.batches.insert(number, bytes.to_vec());
        true
    }

    fn replace(&mut self, path: String, version: u64, bytes: Vec<u8>) {
        let newer = self.files.get(&path).is_some_and(|(there, _)| *there > version);
        if !newer || self.forgetful {
            self.files.insert(path, (version, bytes));
        }
    }

    fn end(&self) -> u64 {
        self.batches.last_key_value().map_or(0, |(last, _)| last + 1)
    }
}

/// One process's view of the store.
#[derive(Clone)]
pub(super) struct SimProcess {
    store: SimStore,
    left: Arc<AtomicU64>,
}

impl SimProcess {
    pub(super) fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// Begins an operation: time passes for what is under way, and luck is drawn. `None` when the process is dead; a
    /// process that dies now may have had its effect.
    fn begin(&self) -> (MutexGuard<'_, State>, Option<Luck>) {
        let mut state = self.store.lock();
        for position in (0..state.delayed.len()).rev() {
            if state.random.below(3) == 0 {
                let delayed = state.delayed.swap_remove(position);
                state.land(delayed);
            }
        }
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return (state, None);
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            let luck = [Luck::FailsBefore, Luck::FailsAfter, Luck::Later];
            let luck = luck[usize::try_from(state.random.below(3)).unwrap()];
            return (state, Some(luck));
        }
        let trouble = state.trouble;
        if trouble == 0 || state.random.below(trouble) > 0 {
            return (state, Some(Luck::Good));
        }
        let luck = [Luck::FailsBefore, Luck::FailsAfter, Luck::Later, Luck::Full];
        let luck = luck[usize::try_from(state.random.below(4)).unwrap()];
        (state, Some(luck))
    }

    /// Begins a read.
    fn read(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        match self.begin() {
            (state, Some(Luck::Good)) => Ok(state),
            (_, Some(_)) => Err(timeout()),
            (_, None) => Err(dead()),
        }
    }
}

fn timeout() -> StoreError {
    StoreError::Unavailable("simulated timeout".into())
}

fn dead() -> StoreError {
    StoreError::Failed("this process is dead".into())
}

impl Store for SimProcess {
    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        let (mut state, luck) = self.begin();
        let unknown = || Create::Unknown("simulated timeout".into());
        match luck {
            None => Create::Failed("this process is dead".into()),
            Some(Luck::Good) => {
                if state.create(batch.number, batch.bytes) {
                    Create::Created
                } else {
                    Create::Exists
                }
            }
            Some(Luck::FailsBefore) => unknown(),
            Some(Luck::FailsAfter) => {
                state.create(batch.number, batch.bytes);
                unknown()
            }
            Some(Luck::Later) => {
                state
                    .delayed
                    .push(Delayed::Batch(batch.number, batch.bytes.to_vec()));
                unknown()
            }
            Some(Luck::Full) => Create::StorageFull,
        }
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        let state = self.read()?;
        let start = state.batches.first_key_value().map_or(0, |(first, _)| *first);
        Ok(start..state.end())
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        let state = self.read()?;
        let found = state.batches.iter().rev().find_map(|(number, bytes)| {
            let record = Record::decode(bytes).ok()?;
            (record.first_index <= index).then_some((*number, record.end_index()))
        });
        Ok(found.filter(|(_, end)| index < *end).map(|(number, _)| number))
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        let state = self.read()?;
        let mut bytes = Vec::new();
        for number in first.. {
            match state.batches.get(&number) {
                Some(batch) if bytes.is_empty() || bytes.len() + batch.len() <= limit => {
                    bytes.extend_from_slice(batch);
                }
                _ => break,
            }
        }
        Ok(bytes)
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        let (mut state, luck) = self.begin();
        match luck {
            None => Err(dead()),
            Some(Luck::Good | Luck::FailsAfter) => {
                let newest = state.end().saturating_sub(1);
                state
                    .batches
                    .retain(|number, _| *number >= below || *number == newest);
                Ok(())
            }
            Some(_) => Err(timeout()),
        }
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        let (mut state, luck) = self.begin();
        let luck = luck.ok_or_else(dead)?;
        // After an error any of them may be there.
        let count = match luck {
            Luck::Good | Luck::FailsAfter => files.len(),
            Luck::FailsBefore => 0,
            Luck::Later | Luck::Full => {
                let bound = u64::try_from(files.len()).unwrap() + 1;
                usize::try_from(state.random.below(bound)).unwrap()
            }
        };
        for file in &files[..count] {
            let there = state
                .files
                .entry(file.path.clone())
                .or_insert_with(|| (0, file.bytes.clone()));
            if there.1 != file.bytes {
                let path = file.path.clone();
                return Err(StoreError::Differs { path });
            }
        }
        match luck {
            Luck::Good => Ok(()),
            Luck::Full => Err(StoreError::StorageFull),
            _ => Err(timeout()),
        }
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read()?.files.get(path).map(|(_, bytes)| bytes.clone()))
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        let mut state = self.read()?;
        let below = format!("{directory}/");
        state.files.retain(|path, _| !path.starts_with(&below));
        Ok(())
    }

    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let (mut state, luck) = self.begin();
        match luck.ok_or_else(dead)? {
            Luck::Good => state.replace(path.to_owned(), version, bytes.to_vec()),
            Luck::FailsAfter => {
                state.replace(path.to_owned(), version, bytes.to_vec());
                return Err(timeout());
            }
            Luck::Later => {
                let delayed = Delayed::File(path.to_owned(), version, bytes.to_vec());
                state.delayed.push(delayed);
                return Err(timeout());
            }
            Luck::FailsBefore => return Err(timeout()),
            Luck::Full => return Err(StoreError::StorageFull),
        }
        Ok(())
    }
}

impl audit::Source for SimStore {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, audit::SourceError> {
        Ok(self.lock().files.get(path).map(|(_, bytes)| bytes.clone()))
    }
}

/// What the next creation of a batch is to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scripted {
    /// Nothing is stored, and the outcome is unknown.
    LostBefore,
    /// It is stored, and the outcome is unknown.
    LostAfter,
    Full,
    Fails,
}

/// A process whose next creation of a batch goes as was said, and everything else well.
pub(super) struct SimScript {
    inner: SimProcess,
    next: Mutex<Option<Scripted>>,
}

impl Store for SimScript {
    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        match self.next.lock().unwrap().take() {
            None => self.inner.create_batch(batch),
            Some(Scripted::LostBefore) => Create::Unknown("scripted".into()),
            Some(Scripted::LostAfter) => {
                let _ = self.inner.create_batch(batch);
                Create::Unknown("scripted".into())
            }
            Some(Scripted::Full) => Create::StorageFull,
            Some(Scripted::Fails) => Create::Failed("scripted".into()),
        }
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        self.inner.batches()
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        self.inner.find_batch(index)
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        self.inner.read_batches(first, limit)
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        self.inner.remove_batches(below)
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        self.inner.create_files(files)
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.read_file(path)
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        self.inner.remove_files(directory)
    }

    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.replace_file(path, version, bytes)
    }
}
