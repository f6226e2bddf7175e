//! The one writer of a ledger: turns entries into numbered batches, and stops rather than guess.
//!
//! Rules, each of which has a test of its name in the simulation:
//!
//! 1. Entries are told of only when the store has confirmed their batch.
//! 2. A batch whose outcome is unknown is read back; while it is unknown nothing but the same bytes is tried at its number.
//! 3. Another writer's batch at our number means that we were replaced: we stop for good.
//! 4. After a pause of [`STALL`] the newest batch is looked at before the next one is created. The pause is far shorter
//!    than the time for which batches are kept, so a number that was removed is never used again by one who slept.
//! 5. Whatever the store calls a failure is final, and nothing is read back after it.
//! 6. The time of a batch is never before that of the one before, whatever the clock does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::record::{Prelude, Record, WriterId, encode_record};
use crate::rules::{Rule, kept};
use crate::store::{Batch, Cause, Create, Store, StoreError};
use crate::time::Time;
use crate::tree::Hash;

/// A sequencer that has not stored anything for so long looks before it writes: long enough to cost a busy ledger
/// nothing, and a small part of [`RETENTION_MIN`](crate::open::RETENTION_MIN).
pub(crate) const STALL: Duration = Duration::from_secs(10);
/// An outcome that is still unknown after so long is given up, and the ledger stops.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts at most so long; the first follow each other quicker.
const PAUSE_MAX: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Where the next batch goes, and what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) next_index: u64,
    pub(crate) next_number: u64,
    pub(crate) previous: Hash,
    /// Time of the batch before.
    pub(crate) time: u64,
}

/// How much is confirmed; shared with every reader.
#[derive(Debug, Default)]
pub(crate) struct Head {
    entries: AtomicU64,
    batches: AtomicU64,
}

impl Head {
    pub(crate) fn new(entries: u64, batches: u64) -> Self {
        Self {
            entries: AtomicU64::new(entries),
            batches: AtomicU64::new(batches),
        }
    }

    /// Confirmed entries.
    pub(crate) fn get(&self) -> u64 {
        self.entries.load(Ordering::Acquire)
    }

    /// Confirmed batches, all that were ever made. Whoever sees a batch here sees its entries in [`get`](Self::get).
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Acquire)
    }

    fn set(&self, entries: u64, batches: u64) {
        self.entries.store(entries, Ordering::Release);
        self.batches.store(batches, Ordering::Release);
    }
}

pub(crate) struct Sequencer {
    store: Arc<dyn Store>,
    time: Arc<dyn Time>,
    head: Arc<Head>,
    writer: WriterId,
    position: Position,
    /// When the store last confirmed a batch or the newest number.
    confirmed: Duration,
    buffer: Vec<u8>,
    stopped: bool,
}

impl Sequencer {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        time: Arc<dyn Time>,
        head: Arc<Head>,
        writer: WriterId,
        position: Position,
    ) -> Self {
        let confirmed = time.elapsed();
        Self {
            store,
            time,
            head,
            writer,
            position,
            confirmed,
            buffer: Vec::new(),
            stopped: false,
        }
    }

    /// Stores a batch of at least one entry and returns the index of its first. Any error but a full store is final.
    pub(crate) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, SequenceError> {
        if self.stopped {
            return Err(SequenceError::Stopped);
        }
        let result = self.append_batch(entries);
        self.stopped = !matches!(result, Ok(_) | Err(SequenceError::StorageFull));
        result
    }

    fn append_batch<'a>(&mut self, entries: impl Iterator<Item = &'a [u8]>) -> Result<u64, SequenceError> {
        let Position {
            next_index,
            next_number,
            previous,
            time,
        } = self.position;
        let now = self.time.now();
        let prelude = Prelude {
            number: next_number,
            first_index: next_index,
            time: if kept(Rule::TimeForward) {
                now.max(time)
            } else {
                now
            },
            writer: self.writer,
            previous,
        };
        self.buffer.clear();
        let (count, hash) = encode_record(&prelude, entries, &mut self.buffer);
        let batch = Batch {
            number: next_number,
            first_index: next_index,
            count,
            previous,
            bytes: &self.buffer,
        };
        self.look_after_stall()?;
        self.create(&batch)?;
        self.confirmed = self.time.elapsed();
        self.position = Position {
            next_index: next_index.saturating_add(u64::from(count)),
            next_number: next_number.saturating_add(1),
            previous: hash,
            time: prelude.time,
        };
        self.head.set(self.position.next_index, self.position.next_number);
        Ok(next_index)
    }

    /// One who slept may have been replaced, and the batches of the one who came after may be removed already.
    fn look_after_stall(&self) -> Result<(), SequenceError> {
        let slept = self.time.elapsed().saturating_sub(self.confirmed);
        if slept < STALL || !kept(Rule::LookAfterStall) {
            return Ok(());
        }
        let end = self.retry(|| self.store.batches())?.end;
        if end == self.position.next_number {
            Ok(())
        } else {
            Err(SequenceError::Fenced {
                number: self.position.next_number,
            })
        }
    }

    /// Creates the batch, or finds out that it is there.
    fn create(&self, batch: &Batch<'_>) -> Result<(), SequenceError> {
        let deadline = self.time.elapsed().saturating_add(PATIENCE);
        let mut pause = PAUSE_MIN;
        let mut unknown = false;
        loop {
            match self.store.create_batch(batch) {
                Create::Created => return Ok(()),
                Create::Exists => return self.read_back(batch)?.ok_or(SequenceError::Vanished),
                // Of an earlier attempt with the same bytes that says nothing.
                Create::StorageFull if !unknown => return Err(SequenceError::StorageFull),
                Create::StorageFull => {}
                Create::Unknown(cause) => {
                    tracing::warn!(batch = batch.number, %cause, "the outcome of a batch is unknown; reading it back");
                    if !kept(Rule::ReadBackUnknown) {
                        return Ok(());
                    }
                    if !kept(Rule::RetrySameBytes) {
                        return Err(SequenceError::StorageFull);
                    }
                    unknown = true;
                }
                Create::Failed(cause) => return Err(SequenceError::Failed(cause)),
            }
            if let Some(()) = self.read_back(batch)? {
                return Ok(());
            }
            if self.time.elapsed() >= deadline {
                return Err(SequenceError::Unknown);
            }
            self.time.pause(pause);
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Whether the batch is in the store; another one under its number means that we are fenced.
    fn read_back(&self, batch: &Batch<'_>) -> Result<Option<()>, SequenceError> {
        let stored = self.retry(|| self.store.read_batches(batch.number, 1))?;
        if stored.is_empty() {
            return Ok(None);
        }
        if stored == batch.bytes || !kept(Rule::StopWhenFenced) {
            return Ok(Some(()));
        }
        if let Ok(other) = Record::decode(&stored) {
            let (ours, theirs) = (hex::encode(self.writer), hex::encode(other.writer));
            tracing::error!(
                batch = batch.number,
                ours,
                theirs,
                "another process writes this ledger"
            );
        }
        Err(SequenceError::Fenced { number: batch.number })
    }

    /// Reads until the store answers.
    fn retry<T>(&self, read: impl Fn() -> Result<T, StoreError>) -> Result<T, SequenceError> {
        let deadline = self.time.elapsed().saturating_add(PATIENCE);
        let mut pause = PAUSE_MIN;
        loop {
            match read() {
                Ok(answer) => return Ok(answer),
                Err(error) if !error.is_temporary() => return Err(SequenceError::Failed(error.into())),
                Err(_) if self.time.elapsed() >= deadline => return Err(SequenceError::Unknown),
                Err(_) => {}
            }
            self.time.pause(pause);
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }
}

/// Why a batch was not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SequenceError {
    /// No space; nothing was stored and a later batch may be.
    #[error("no space for the next batch")]
    StorageFull,
    /// Another process has created a batch where ours should be.
    #[error("another process has written batch {number}: this one was replaced")]
    Fenced { number: u64 },
    /// The store did not say what became of the batch.
    #[error("the store did not tell in time what became of a batch")]
    Unknown,
    /// A batch that was there is gone.
    #[error("the store said that the batch exists, and does not have it")]
    Vanished,
    /// The store failed.
    #[error("the store failed: {0}")]
    Failed(#[source] Cause),
    /// The sequencer had stopped before.
    #[error("the sequencer has stopped")]
    Stopped,
}
