//! The line in front of the journal: orders wait here while the sync before theirs runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
            Door::Stopped => return Err(AppendError::Stopped),
        }
        if state.waiting.len() >= self.entries_max {
            return Err(AppendError::Busy);
        }
        state.waiting.push(Waiting { order, reply });
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
            Self::Stopped => Some("see the log for the disk error, check the disk, then restart"),
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
