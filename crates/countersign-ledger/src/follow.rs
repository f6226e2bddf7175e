//! Follows a ledger and answers for every token: recorded, not recorded, cannot tell.
//!
//! A miss is made conclusive by a *barrier read*. A token is recorded before it is released, so a token in somebody's
//! hand at time t is in every head read that began after t. On a miss the follower reads the head, anew, takes in
//! everything up to it and looks again. All misses that wait share the next read, so a flood of forgeries costs one
//! read at a time. The times inside a token excuse nothing: the forger writes them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::entry::{Entry, IssuanceKind};
use crate::issued::{Issued, IssuedSet};
use crate::ledger::Ledger;

/// The time of day in unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A miss is answered `CannotTell` after this long: longer than a busy disk's slowest read, shorter than a client waits.
pub const BARRIER_TIMEOUT: Duration = Duration::from_secs(2);
/// Entries fetched at once.
const READ_MAX: usize = 16_384;
/// How often expired buckets are dropped.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// Where entries come from: a ledger in this process now, one across a network later.
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
    /// It has fewer entries than it had before.
    #[error("the ledger shrank: this is not the history followed so far")]
    RolledBack,
}

impl SourceError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped => "ledger_stopped",
            Self::Unavailable => "ledger_unavailable",
            Self::RolledBack => "ledger_rolled_back",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RolledBack => {
                Some("treat the ledger as compromised or restored from an old copy; keep its directory")
            }
            _ => None,
        }
    }
}

/// What the ledger says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It was issued.
    Recorded {
        /// Index of its entry.
        index: u64,
        /// What sort of token.
        kind: IssuanceKind,
    },
    /// It was never issued.
    NotRecorded,
    /// The ledger did not answer, or not in time.
    CannotTell,
}

impl Provenance {
    /// The word used in logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded { .. } => "recorded",
            Self::NotRecorded => "not_recorded",
            Self::CannotTell => "cannot_tell",
        }
    }
}

/// A follower's handle. Clones share the follower; it ends with the last of them.
#[derive(Clone)]
pub struct Follower {
    shared: Arc<Shared>,
    wake: mpsc::Sender<()>,
    barriers: watch::Receiver<Barriers>,
    timeout: Duration,
}

struct Shared {
    issued: IssuedSet,
    clock: Clock,
    /// Entries taken in.
    applied: AtomicU64,
    /// Barrier reads begun.
    started: AtomicU64,
}

/// Outcome of the barrier reads so far.
#[derive(Clone, Copy, Default)]
struct Barriers {
    /// The last one that ended.
    ended: u64,
    /// The last one that ended well.
    succeeded: u64,
}

impl Follower {
    /// Follows `ledger` in a background task. Returns once everything that was durable at the start is taken in.
    pub async fn start(ledger: Ledger, clock: Clock) -> Self {
        Self::start_on(ledger, clock, BARRIER_TIMEOUT).await
    }

    /// [`start`](Self::start) for any source; `timeout` bounds the wait of a miss.
    pub async fn start_on<S: Source>(source: S, clock: Clock, timeout: Duration) -> Self {
        let shared = Arc::new(Shared {
            issued: IssuedSet::new(),
            clock,
            applied: AtomicU64::new(0),
            started: AtomicU64::new(0),
        });
        let (wake, woken) = mpsc::channel(1);
        let (outcome, barriers) = watch::channel(Barriers::default());
        let mut task = Task {
            source,
            shared: shared.clone(),
            woken,
            outcome,
        };
        if let Err(error) = task.catch_up().await {
            tracing::error!(%error, code = error.code(), "the follower did not catch up at its start");
        }
        tokio::spawn(task.run());
        Self {
            shared,
            wake,
            barriers,
            timeout,
        }
    }

    /// Looks in the local set only: absence means nothing yet.
    pub fn look_up(&self, fingerprint: &[u8; 32]) -> Option<Issued> {
        self.shared.issued.look_up(fingerprint)
    }

    /// What the ledger says of a token presented now.
    pub async fn provenance(&self, fingerprint: &[u8; 32]) -> Provenance {
        if let Some(issued) = self.look_up(fingerprint) {
            return recorded(&issued);
        }
        let reached = self.barrier().await;
        match self.look_up(fingerprint) {
            Some(issued) => recorded(&issued),
            None if reached && !self.shared.issued.may_have_dropped((self.shared.clock)()) => {
                Provenance::NotRecorded
            }
            None => Provenance::CannotTell,
        }
    }

    /// Number of entries taken in.
    pub fn applied(&self) -> u64 {
        self.shared.applied.load(Ordering::Acquire)
    }

    /// Number of tokens in the local set.
    pub fn issued_count(&self) -> usize {
        self.shared.issued.len()
    }

    /// Number of barrier reads begun.
    pub fn barrier_reads(&self) -> u64 {
        self.shared.started.load(Ordering::SeqCst)
    }

    /// Whether the follower still follows.
    pub fn is_following(&self) -> bool {
        !self.wake.is_closed()
    }

    /// Waits for a head read that begins after this call and for everything up to it; whether that succeeded in time.
    async fn barrier(&self) -> bool {
        // A read numbered above `started` has not begun yet, so it begins after this miss.
        let needed = self.shared.started.load(Ordering::SeqCst).saturating_add(1);
        // A full channel means that a wake-up is still to be consumed, and that read begins after it.
        if let Err(mpsc::error::TrySendError::Closed(())) = self.wake.try_send(()) {
            return false;
        }
        let mut barriers = self.barriers.clone();
        let ended = barriers.wait_for(|barriers| barriers.ended >= needed);
        match tokio::time::timeout(self.timeout, ended).await {
            Ok(Ok(barriers)) => barriers.succeeded >= needed,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}

fn recorded(issued: &Issued) -> Provenance {
    Provenance::Recorded {
        index: issued.index,
        kind: issued.kind,
    }
}

/// The single writer of the issued set.
struct Task<S> {
    source: S,
    shared: Arc<Shared>,
    woken: mpsc::Receiver<()>,
    outcome: watch::Sender<Barriers>,
}

/// Why the task does something.
enum Event {
    Changed(Result<(), SourceError>),
    Miss,
    Expiry,
    Abandoned,
}

impl<S: Source> Task<S> {
    /// Runs until the source is gone or nobody asks any more. Dropping the channels turns every waiting miss into
    /// `CannotTell`.
    async fn run(mut self) {
        let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
        let mut failed = false;
        loop {
            let seen = self.applied();
            let event = tokio::select! {
                // Expiry first, for it is rare; then misses, for somebody waits for them, and they catch up as well.
                biased;
                _ = expiry.tick() => Event::Expiry,
                woken = self.woken.recv() => woken.map_or(Event::Abandoned, |()| Event::Miss),
                // After a failure the next attempt waits for a miss or a tick, not for news: those may come at once.
                changed = self.source.changed(seen), if !failed => Event::Changed(changed),
            };
            let result = match event {
                Event::Abandoned => return,
                Event::Miss => self.barrier().await,
                Event::Changed(Ok(())) => self.catch_up().await,
                Event::Changed(Err(error)) => Err(error),
                Event::Expiry => {
                    self.shared.issued.drop_expired((self.shared.clock)());
                    if failed { self.catch_up().await } else { Ok(()) }
                }
            };
            failed = result.is_err();
            match result {
                // Closed on purpose, or after a disk error that the ledger itself has logged.
                Err(SourceError::Stopped) => return,
                Err(error @ SourceError::RolledBack) => {
                    tracing::error!(%error, code = error.code(), "the follower stops");
                    return;
                }
                Err(error) => tracing::warn!(%error, code = error.code(), "the follower could not catch up"),
                Ok(()) => {}
            }
        }
    }

    async fn barrier(&mut self) -> Result<(), SourceError> {
        let number = self
            .shared
            .started
            .fetch_add(1, Ordering::SeqCst)
            .saturating_add(1);
        let result = self.catch_up().await;
        self.outcome.send_modify(|barriers| {
            barriers.ended = number;
            if result.is_ok() {
                barriers.succeeded = number;
            }
        });
        result
    }

    /// Reads the head and takes in everything up to it.
    async fn catch_up(&mut self) -> Result<(), SourceError> {
        let head = self.source.head().await?;
        let mut applied = self.applied();
        if head < applied {
            return Err(SourceError::RolledBack);
        }
        while applied < head {
            let wanted = usize::try_from(head.saturating_sub(applied))
                .unwrap_or(READ_MAX)
                .min(READ_MAX);
            let entries = self.source.read(applied, wanted).await?;
            if entries.is_empty() {
                return Err(SourceError::Unavailable);
            }
            let now = (self.shared.clock)();
            for entry in &entries {
                if let Entry::Issuance(issuance) = entry {
                    self.shared.issued.insert(applied, issuance, now);
                }
                applied = applied.saturating_add(1);
            }
            self.shared.applied.store(applied, Ordering::Release);
        }
        Ok(())
    }

    fn applied(&self) -> u64 {
        self.shared.applied.load(Ordering::Acquire)
    }
}

impl Source for Ledger {
    async fn head(&self) -> Result<u64, SourceError> {
        // A stopped ledger may have written a batch that nobody was told of: it says no more.
        if self.is_running() {
            Ok(Self::head(self))
        } else {
            Err(SourceError::Stopped)
        }
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
