//! The line in front of the journal: entries wait here while the sync before theirs runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// An entry that waits, and whom to tell.
pub(crate) struct Waiting {
    pub(crate) entry: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Result<u64, AppendError>>,
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
}

/// Whether new entries are let in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    Closed,
    Stopped,
}

impl Queue {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            entries_max,
        }
    }

    /// Puts an entry in line.
    pub(crate) fn push(
        &self,
        entry: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<u64, AppendError>>, AppendError> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.lock();
        match state.door {
            Door::Open => {}
            Door::Closed => return Err(AppendError::Closed),
            Door::Stopped => return Err(AppendError::Stopped),
        }
        if state.waiting.len() >= self.entries_max {
            return Err(AppendError::Busy);
        }
        state.waiting.push(Waiting { entry, reply });
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.filled.notify_one();
        }
        Ok(receiver)
    }

    /// Everything that waits, as soon as something does; `None` once the queue is closed and empty, or stopped.
    pub(crate) fn take(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        loop {
            if state.door == Door::Stopped {
                return None;
            }
            if !state.waiting.is_empty() {
                return Some(std::mem::take(&mut state.waiting));
            }
            if state.door == Door::Closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
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

    /// Turns everybody away, those in line too.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.door = Door::Stopped;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.filled.notify_one();
        for turned_away in waiting {
            // A caller that gave up has dropped its end.
            let _ = turned_away.reply.send(Err(AppendError::Stopped));
        }
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
    /// The disk failed, once, and nothing is written since. The entry may or may not be in the journal.
    #[error("the ledger has stopped after a disk error")]
    Stopped,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// No space for the next journal segment. The entry was not written.
    #[error("no space is left for the ledger")]
    StorageFull,
    /// Too many entries wait. The entry was not written.
    #[error("too many entries are waiting to be recorded")]
    Busy,
    /// The bytes are not an entry.
    #[error(transparent)]
    Entry(#[from] crate::entry::EntryError),
}

impl AppendError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "ledger_stopped",
            Self::Closed => "ledger_closed",
            Self::StorageFull => "ledger_storage_full",
            Self::Busy => "ledger_busy",
            Self::Entry(error) => error.code(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Stopped => Some("see the log for the disk error, check the disk, then restart"),
            Self::Closed => None,
            Self::StorageFull => Some("free some space; recording goes on by itself"),
            Self::Busy => Some("try again shortly; if it persists, the disk is slower than the demand"),
            Self::Entry(error) => error.hint(),
        }
    }
}
