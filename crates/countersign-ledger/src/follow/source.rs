//! Where a follower's entries come from.

use std::future::Future;
use std::time::Duration;

use super::{Feed, Intake};
use crate::entry::Entry;
use crate::ledger::{BarrierError, Ledger};

/// Entries fetched at once.
const READ_MAX: usize = 16_384;

/// A source whose word is taken as it is: a ledger in this process.
pub trait Source: Send + Sync + 'static {
    /// The number of durable entries. Must be linearizable with appends: never from a cache.
    fn head(&self) -> impl Future<Output = Result<u64, SourceError>> + Send;
    /// Up to `max` entries from `from` on; at least one when `from` is below the head.
    fn read(&self, from: u64, max: usize) -> impl Future<Output = Result<Vec<Entry>, SourceError>> + Send;
    /// Resolves when the head may have passed `seen`.
    fn changed(&self, seen: u64) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// Why a source did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is gone for good.
    #[error("the ledger has stopped")]
    Stopped,
    /// It failed this time.
    #[error("the ledger could not be read")]
    Unavailable,
    /// What it says does not follow from its signatures. It is asked again; until then nothing of it is believed.
    #[error("the ledger's answer does not verify")]
    Unverified,
    /// It signs heads and publishes no checkpoints, so that nobody else can see what it shows here.
    #[error("the ledger does not publish what it shows its followers")]
    Unpublished,
    /// The witnesses that are asked for have not cosigned what it publishes, or not lately.
    #[error("the ledger's witnesses do not vouch for it")]
    Unwitnessed,
    /// It has fewer entries than it had before.
    #[error("the ledger shrank: this is not the history followed so far")]
    RolledBack,
    /// It signed two histories.
    #[error("the ledger signed two different trees of one size")]
    Forked,
    /// An entry of a kind that this release does not know: it may be one that denies.
    #[error("the ledger holds an entry that this release cannot read")]
    Unreadable,
}

impl SourceError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "ledger_stopped",
            Self::Unavailable => "ledger_unavailable",
            Self::Unverified => "ledger_unverified",
            Self::Unpublished => "ledger_unpublished",
            Self::Unwitnessed => "ledger_unwitnessed",
            Self::RolledBack => "ledger_rolled_back",
            Self::Forked => "ledger_forked",
            Self::Unreadable => "ledger_entry_unreadable",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RolledBack | Self::Forked => {
                Some("treat the ledger as compromised or restored from an old copy; keep its directory")
            }
            Self::Unverified => {
                Some("compare the verifier key, then ask who stands between this gate and the ledger")
            }
            Self::Unreadable => Some("update this program to the ledger's release"),
            Self::Unwitnessed => Some("look at the ledger's log: does it reach its witnesses?"),
            Self::Unpublished => Some("look at the ledger's log: its disk may be full"),
            Self::Stopped | Self::Unavailable => None,
        }
    }

    /// Whether nothing that comes later can be believed.
    pub(super) fn is_final(self) -> bool {
        match self {
            Self::Stopped | Self::RolledBack | Self::Forked | Self::Unreadable => true,
            Self::Unavailable | Self::Unverified | Self::Unpublished | Self::Unwitnessed => false,
        }
    }
}

/// A [`Source`] that is pulled from head to head.
pub(super) struct Pulled<S> {
    source: S,
    failed: bool,
}

impl<S: Source> Pulled<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            failed: false,
        }
    }

    /// Reads the head and takes in everything up to it.
    async fn catch_up(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        let head = self.source.head().await?;
        if head < intake.applied() {
            return Err(SourceError::RolledBack);
        }
        while intake.applied() < head {
            let missing = head.saturating_sub(intake.applied());
            let wanted = usize::try_from(missing).unwrap_or(READ_MAX).min(READ_MAX);
            let entries = self.source.read(intake.applied(), wanted).await?;
            if entries.is_empty() {
                return Err(SourceError::Unavailable);
            }
            intake.take(&entries);
        }
        Ok(())
    }
}

impl<S: Source> Feed for Pulled<S> {
    const HEARD_EVERY: Duration = Duration::from_mins(1);

    async fn barrier(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        let result = self.catch_up(intake).await;
        self.failed = result.is_err();
        result
    }

    async fn changed(&mut self, seen: u64) -> Result<(), SourceError> {
        if self.failed {
            // The next attempt waits for a miss, not for news: those may come at once.
            std::future::pending::<()>().await;
        }
        self.source.changed(seen).await
    }

    async fn take(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        self.barrier(intake).await
    }
}

impl Source for Ledger {
    async fn head(&self) -> Result<u64, SourceError> {
        self.barrier().await.map_err(|error| match error {
            BarrierError::Stopped => SourceError::Stopped,
            error => {
                tracing::error!(%error, code = error.code(), "the newest head cannot be told");
                SourceError::Unavailable
            }
        })
    }

    async fn read(&self, from: u64, max: usize) -> Result<Vec<Entry>, SourceError> {
        let ledger = self.clone();
        let read = tokio::task::spawn_blocking(move || Self::read(&ledger, from, max)).await;
        match read {
            Ok(Ok(entries)) => Ok(entries),
            Ok(Err(error)) => {
                tracing::error!(%error, code = error.code(), "reading the journal failed");
                Err(SourceError::Unavailable)
            }
            Err(_) => Err(SourceError::Unavailable),
        }
    }

    async fn changed(&self, seen: u64) -> Result<(), SourceError> {
        let mut head = self.watch();
        match head.wait_for(|head| *head > seen).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SourceError::Stopped),
        }
    }
}
