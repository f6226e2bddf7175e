//! The barrier read: what is recorded *now*, whoever recorded it.

use std::time::Duration;

use super::Ledger;
use crate::store::StoreError;

/// A batch of our own that is in the store is confirmed sooner than this; one that is not ours never is.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

impl Ledger {
    /// The number of entries that everybody may have been told of before this call, in this process or another one.
    ///
    /// [`head`](Self::head) is what *this* process has confirmed. In a store that other processes can write to, somebody
    /// may have taken our place and released tokens that we know nothing of; a miss decided by memory would refuse them.
    /// So the store is asked, and when it holds what is not ours there is no answer at all.
    pub async fn barrier(&self) -> Result<u64, BarrierError> {
        let shared = &self.inner.shared;
        if !self.is_running() {
            // It may have written a batch that nobody was told of.
            return Err(BarrierError::Stopped);
        }
        if shared.store.is_exclusive() {
            return Ok(self.head());
        }
        let store = shared.store.clone();
        let asked = tokio::task::spawn_blocking(move || store.batches()).await;
        let batches = asked.map_err(|_| BarrierError::Stopped)??;
        let mut head = self.watch();
        let confirmed = head.wait_for(|_| shared.entries.batches() >= batches.end);
        match tokio::time::timeout(CONFIRMED_WITHIN, confirmed).await {
            Ok(Ok(_)) => Ok(self.head()),
            Ok(Err(_)) => Err(BarrierError::Stopped),
            Err(_) => Err(BarrierError::Replaced),
        }
    }
}

/// Why a barrier read has no answer. Whoever asked cannot tell what is recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// The ledger was closed, or stopped after a failure.
    #[error("the ledger has stopped")]
    Stopped,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process has written to this ledger.
    #[error("the store holds batches that this process did not write")]
    Replaced,
}

impl BarrierError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "ledger_stopped",
            Self::Store(error) => error.code(),
            Self::Replaced => "ledger_replaced",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Stopped => None,
            Self::Store(error) => error.hint(),
            Self::Replaced => Some("another process took this ledger over: stop this one, or start it again"),
        }
    }
}
