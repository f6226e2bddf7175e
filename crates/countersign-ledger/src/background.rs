//! The threads beside the writer: one publishes what is durable, one keeps house.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::keeper::Keeper;
use crate::ledger::Shared;
use crate::publish::Publisher;
use crate::queue::AppendError;

/// The keeper looks this often at most.
const KEEP_INTERVAL: Duration = Duration::from_millis(20);
/// A store that was full or did not answer is tried again this often.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// A ledger whose writer or publisher panicked is stopped.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        // After an orderly close the door stays closed, so that later callers hear the right reason.
        if thread::panicking() {
            self.0.queue.stop(AppendError::Stopped);
        }
    }
}

/// How the publisher hears of new entries.
#[derive(Default)]
pub(crate) struct News {
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl News {
    pub(crate) fn tell(&self, head: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = head;
        self.changed.notify_one();
    }

    pub(crate) fn head(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_one();
    }

    /// Waits until the head passes `published`, the ledger closes or `due` comes; then, unless it closes, until
    /// `not_before`. Returns whether it closes.
    pub(crate) fn wait(&self, published: u64, due: Option<Instant>, not_before: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut (u64, bool)| state.0 <= published && !state.1;
        let state = match due {
            None => self
                .changed
                .wait_while(state, idle)
                .unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let pause = due.saturating_duration_since(Instant::now());
                self.changed
                    .wait_timeout_while(state, pause, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        let pause = not_before.saturating_duration_since(Instant::now());
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| !state.1)
            .unwrap_or_else(PoisonError::into_inner);
        state.1
    }
}

/// The publisher thread.
pub(crate) struct Publishing {
    pub(crate) shared: Arc<Shared>,
    pub(crate) interval: Duration,
}

impl Publishing {
    pub(crate) fn run(self, mut publisher: Publisher) {
        let _stop = StopOnDrop(&self.shared);
        // Entries that an earlier process made durable and did not publish are news too.
        self.shared.news.tell(self.shared.entries.head());
        let mut not_before = Instant::now();
        let mut closing = false;
        loop {
            // After a failure, or once another process has taken over, nothing is written any more.
            if self.shared.queue.is_stopped() {
                return;
            }
            let started = Instant::now();
            let pause = match publisher.publish() {
                Ok(()) => self.interval,
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "tiles and checkpoint wait");
                    STORE_RETRY
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger stops: it could not be published");
                    self.shared.queue.stop(AppendError::Stopped);
                    return;
                }
            };
            self.shared.published.tell(publisher.published());
            if closing {
                return;
            }
            not_before = not_before.max(started.checked_add(pause).unwrap_or(started));
            let due = publisher.signer().due(not_before);
            closing = self.shared.news.wait(publisher.published(), due, not_before);
        }
    }
}

/// The keeper thread.
pub(crate) struct Keeping {
    pub(crate) shared: Arc<Shared>,
    pub(crate) keeper: Keeper,
}

impl Keeping {
    pub(crate) fn run(mut self) {
        let _stop = StopOnDrop(&self.shared);
        let mut published = 0;
        let mut not_before = Instant::now();
        loop {
            let pause = match self.keeper.keep(published) {
                Ok(()) => KEEP_INTERVAL,
                Err(error) if error.is_temporary() => STORE_RETRY,
                Err(error) => {
                    tracing::error!(%error, "the ledger stops: its store could not be maintained");
                    self.shared.queue.stop(AppendError::Stopped);
                    return;
                }
            };
            let now = Instant::now();
            not_before = not_before.max(now.checked_add(pause).unwrap_or(now));
            if self.shared.published.wait(published, None, not_before) {
                return;
            }
            published = self.shared.published.head();
        }
    }
}
