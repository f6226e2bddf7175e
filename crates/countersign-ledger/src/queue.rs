//! The line in front of the store: orders wait here while the sync before theirs runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::place::{Order, Reply};

/// An order that waits, and whom to tell.
pub(crate) struct Waiting {
    pub(crate) order: Order,
    pub(crate) reply: Reply,
}

/// A bounded queue with one consumer.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    entries_max: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    door: Door,
    /// The consumer sleeps until so many wait; 0 while it does not sleep.
    wanted: usize,
}

/// Whether new entries are let in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    Closed,
    Stopped(AppendError),
}

/// How the consumer collects.
///
/// Callers that were just told come back with their next entry within microseconds of each other. Whoever takes the
/// first of them and syncs makes all others wait for two syncs instead of one. So the consumer waits for as many as were
/// there, but only for a small part of what a sync takes, and not at all when nobody else was there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Entries of the batches just written.
    written: usize,
    started: Option<Instant>,
    /// What to wait for.
    expected: usize,
    patience: Duration,
}

impl Pace {
    /// No more entries are waited for.
    const EXPECTED_MAX: usize = 2048;
    /// A part of the last sync's time.
    const PATIENCE_PART: u32 = 4;
    /// Never waited longer.
    const PATIENCE_MAX: Duration = Duration::from_millis(2);
    /// When so long nobody came, nobody else comes.
    const QUIET: Duration = Duration::from_micros(100);

    /// A batch is about to be written.
    pub(crate) fn begin(&mut self, entries: usize, now: Instant) {
        self.written = self.written.saturating_add(entries);
        self.started.get_or_insert(now);
    }

    /// It is written, and `waiting` have come meanwhile.
    pub(crate) fn end(&mut self, waiting: usize, now: Instant) {
        let took = self
            .started
            .take()
            .map_or(Duration::ZERO, |started| now.saturating_duration_since(started));
        self.expected = self.written.saturating_add(waiting).min(Self::EXPECTED_MAX);
        self.patience = took
            .checked_div(Self::PATIENCE_PART)
            .unwrap_or_default()
            .min(Self::PATIENCE_MAX);
        self.written = 0;
    }
}

impl Queue {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            entries_max,
        }
    }

    /// Puts an order in line.
    pub(crate) fn push(
        &self,
        order: Order,
    ) -> Result<oneshot::Receiver<Result<u64, AppendError>>, AppendError> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.lock();
        match state.door {
            Door::Open => {}
            Door::Closed => return Err(AppendError::Closed),
            Door::Stopped(reason) => return Err(reason),
        }
        if state.waiting.len() >= self.entries_max {
            return Err(AppendError::Busy);
        }
        state.waiting.push(Waiting { order, reply });
        let enough = state.waiting.len() == state.wanted;
        drop(state);
        if enough {
            self.filled.notify_one();
        }
        Ok(receiver)
    }

    /// Everything that waits, as soon as something does and those whom `pace` expects have come or do not come; `None`
    /// once the queue is closed and empty, or stopped.
    pub(crate) fn take(&self, pace: &Pace) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        let asked = Instant::now();
        loop {
            if !state.waiting.is_empty() {
                break;
            }
            if state.door != Door::Open {
                return None;
            }
            state.wanted = 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // After a pause those who come are not those who were told.
        let asleep = asked.elapsed() > pace.patience;
        if !asleep {
            state = self.gather(state, pace, asked);
        }
        state.wanted = 0;
        if matches!(state.door, Door::Stopped(_)) {
            return None;
        }
        let capacity = state.waiting.len();
        Some(std::mem::replace(
            &mut state.waiting,
            Vec::with_capacity(capacity),
        ))
    }

    /// Waits until enough have come, nobody comes, or patience is at its end.
    fn gather<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        pace: &Pace,
        asked: Instant,
    ) -> MutexGuard<'a, State> {
        loop {
            let waiting = state.waiting.len();
            let left = pace.patience.saturating_sub(asked.elapsed());
            if waiting >= pace.expected || left.is_zero() || state.door != Door::Open {
                return state;
            }
            state.wanted = pace.expected;
            state = self
                .filled
                .wait_timeout(state, left.min(Pace::QUIET))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if state.waiting.len() == waiting {
                return state;
            }
        }
    }

    /// Number of entries that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Lets nobody in any more; those in line are still served.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.door == Door::Open {
            state.door = Door::Closed;
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Turns everybody away, those in line too. The first reason stays.
    pub(crate) fn stop(&self, reason: AppendError) {
        let mut state = self.lock();
        if !matches!(state.door, Door::Stopped(_)) {
            state.door = Door::Stopped(reason);
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.filled.notify_one();
        for turned_away in waiting {
            // A caller that gave up has dropped its end.
            let _ = turned_away.reply.send(Err(reason));
        }
    }

    /// Whether it was stopped: then nothing is to be written any more.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.lock().door, Door::Stopped(_))
    }

    /// Whether entries are let in.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().door == Door::Open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an entry was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The store failed, once, and nothing is written since. The entry may or may not be in the ledger.
    #[error("the ledger has stopped after its store failed")]
    Stopped,
    /// Another process writes this ledger now; this one writes nothing any more.
    #[error("another process has taken over this ledger")]
    Replaced,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// No space for the next batch. The entry was not written.
    #[error("no space is left for the ledger")]
    StorageFull,
    /// Too many entries wait. The entry was not written.
    #[error("too many entries are waiting to be recorded")]
    Busy,
    /// A value does not fit the entry. Nothing was written, here and in what follows.
    #[error(transparent)]
    Entry(#[from] crate::entry::EntryError),
    /// No drafts were given.
    #[error("there is nothing to record")]
    Empty,
    /// The ledger holds no announcement of the key.
    #[error("the key was never announced in this ledger")]
    KeyNotAnnounced,
    /// The issuer has announced the key before.
    #[error("the key was announced before")]
    KeyAlreadyAnnounced,
    /// The key does not sign: it is staged, or no longer active.
    #[error("the key is not active in this ledger")]
    KeyNotActive,
    /// The key's state does not lead to that one.
    #[error("the key's state does not lead to that one")]
    TransitionNotAllowed,
    /// The key changed its state, or its realm was fenced, after the caller had read the epoch.
    #[error("the key changed its state, or its realm was fenced, while the token was being issued")]
    EpochFenced,
}

impl AppendError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "ledger_stopped",
            Self::Replaced => "ledger_replaced",
            Self::Closed => "ledger_closed",
            Self::StorageFull => "ledger_storage_full",
            Self::Busy => "ledger_busy",
            Self::Entry(error) => error.code(),
            Self::Empty => "ledger_nothing_to_record",
            Self::KeyNotAnnounced => "key_not_announced",
            Self::KeyAlreadyAnnounced => "key_already_announced",
            Self::KeyNotActive => "key_not_active",
            Self::TransitionNotAllowed => "key_transition_not_allowed",
            Self::EpochFenced => "epoch_fenced",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Stopped => Some("see the log for what failed, check the disk or store, then restart"),
            Self::Replaced => {
                Some("let only one process write a ledger; see the log for the other one's writer id")
            }
            Self::StorageFull => Some("free some space; recording goes on by itself"),
            Self::Busy => Some("try again shortly; if it persists, the disk is slower than the demand"),
            Self::Entry(error) => error.hint(),
            Self::KeyNotAnnounced => {
                Some("announce the key and wait until that is recorded, then sign with it")
            }
            Self::EpochFenced => Some(
                "throw the token away, read the key's standing again, and sign anew if it is still active",
            ),
            Self::TransitionNotAllowed => Some("a key only moves towards less trust"),
            Self::Closed | Self::Empty | Self::KeyAlreadyAnnounced | Self::KeyNotActive => None,
        }
    }
}
