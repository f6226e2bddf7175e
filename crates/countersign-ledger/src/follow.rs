//! Follows a ledger and answers for every token: recorded (and perhaps denied since), not recorded, cannot tell.
//!
//! A miss is made conclusive by a *barrier read*. A token is recorded before it is released, so a token in somebody's
//! hand at time t is in every head read that began after t. On a miss the follower reads the head, anew, takes in
//! everything up to it and looks again. All misses that wait share the next read, so a flood of forgeries costs one
//! read at a time. The times inside a token excuse nothing: the forger writes them.

mod denials;
mod source;

use std::borrow::Borrow;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use self::denials::Denials;
pub use self::denials::Shown;
use self::source::Pulled;
pub use self::source::{Source, SourceError};
use crate::entry::{Denied, Entry, IssuanceKind};
use crate::issued::{Issued, IssuedReader, IssuedWriter, Keep, Token, issued_set};
use crate::ledger::Ledger;

/// The time of day in unix seconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A miss is answered `CannotTell` after this long: longer than a busy disk's slowest read, shorter than a client waits.
pub const BARRIER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often expired buckets are dropped.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// What the ledger says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It was issued.
    Recorded {
        /// Index of its entry, from a follower that keeps indices.
        index: Option<u64>,
        /// What sort of token.
        kind: IssuanceKind,
    },
    /// It was issued, and denied since by its fingerprint or its root's. [`Follower::denies`] knows of the others.
    Denied {
        /// Index of the entry of its issuance, from a follower that keeps indices.
        index: Option<u64>,
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
            Self::Denied { .. } => "denied",
            Self::NotRecorded => "not_recorded",
            Self::CannotTell => "cannot_tell",
        }
    }
}

/// How a follower works.
#[derive(Clone, Copy, Debug)]
pub struct FollowOptions {
    /// What is kept of a token.
    pub keep: Keep,
    /// A miss is answered `CannotTell` after this long.
    pub timeout: Duration,
    /// A hit counts for this long after the last time the ledger was heard: what it denied since is not known.
    /// `None` for a ledger in the same process.
    pub stale_max: Option<Duration>,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            keep: Keep::Membership,
            timeout: BARRIER_TIMEOUT,
            stale_max: None,
        }
    }
}

/// A follower's handle. Clones share the follower; it ends with the last of them.
#[derive(Clone)]
pub struct Follower {
    shared: Arc<Shared>,
    wake: mpsc::Sender<()>,
    barriers: watch::Receiver<Barriers>,
    options: FollowOptions,
}

/// What the handles and the task share.
struct Shared {
    issued: IssuedReader,
    denials: Denials,
    clock: Clock,
    /// Entries taken in.
    applied: AtomicU64,
    /// Barrier reads begun.
    started: AtomicU64,
    /// Barrier reads begun because of a miss.
    missed: AtomicU64,
}

/// Outcome of the barrier reads so far.
#[derive(Clone, Copy, Default)]
struct Barriers {
    /// The last one that ended.
    ended: u64,
    /// The last one that ended well.
    succeeded: u64,
    /// When that one began.
    heard: Option<Instant>,
}

impl Follower {
    /// Follows `ledger` in a background task. Returns once everything that was durable at the start is taken in.
    pub async fn start(ledger: Ledger, clock: Clock) -> Self {
        let options = FollowOptions {
            keep: Keep::Indices,
            ..FollowOptions::default()
        };
        Self::start_on(ledger, clock, options).await
    }

    /// [`start`](Self::start) for any source whose word is taken as it is.
    pub async fn start_on<S: Source>(source: S, clock: Clock, options: FollowOptions) -> Self {
        let (follower, task) = Self::prepare(Pulled::new(source), clock, options);
        if let Some(mut task) = task
            && task.look().await.is_continue()
        {
            tokio::spawn(task.run());
        }
        follower
    }

    /// Follows in a background task from the start on; until it has caught up nothing can be told.
    #[cfg(feature = "remote")]
    pub(crate) fn start_feed(feed: impl Feed, clock: Clock, options: FollowOptions) -> Self {
        let (follower, task) = Self::prepare(feed, clock, options);
        if let Some(mut task) = task {
            tokio::spawn(async move {
                if task.look().await.is_continue() {
                    task.run().await;
                }
            });
        }
        follower
    }

    /// Without randomness there is no task, and the follower can tell nothing.
    fn prepare<F: Feed>(feed: F, clock: Clock, options: FollowOptions) -> (Self, Option<Task<F>>) {
        let (wake, woken) = mpsc::channel(1);
        let (outcome, barriers) = watch::channel(Barriers::default());
        let set = issued_set(options.keep);
        let reader = set.as_ref().map(|(_, reader)| reader.clone());
        let shared = Arc::new(Shared {
            issued: reader.unwrap_or_default(),
            denials: Denials::default(),
            clock,
            applied: AtomicU64::new(0),
            started: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        });
        if set.is_none() {
            tracing::error!("no randomness: the follower does not follow");
        }
        let task = set.map(|(writer, _)| Task {
            feed,
            intake: Intake {
                issued: writer,
                shared: Arc::clone(&shared),
            },
            woken,
            outcome,
        });
        let follower = Self {
            shared,
            wake,
            barriers,
            options,
        };
        (follower, task)
    }

    /// Looks in the local set only: absence means nothing yet.
    pub fn look_up(&self, fingerprint: &[u8; 32], expires_at: u64) -> Option<Issued> {
        self.shared.issued.look_up(fingerprint, expires_at)
    }

    /// What the ledger says of a token presented now. `expires_at` is its own `exp`, which is also that of its entry.
    pub async fn provenance(&self, fingerprint: &[u8; 32], expires_at: u64) -> Provenance {
        if let Some(issued) = self.look_up(fingerprint, expires_at)
            && self.is_fresh()
        {
            return recorded(&issued);
        }
        let reached = self.barrier().await;
        match self.look_up(fingerprint, expires_at) {
            Some(issued) if reached || self.is_fresh() => recorded(&issued),
            None if reached && !self.shared.issued.may_have_dropped(expires_at) => Provenance::NotRecorded,
            _ => Provenance::CannotTell,
        }
    }

    /// Whether a token that says this was denied with its session or with a span of its key, as far as the follower has
    /// heard. To be asked after [`provenance`](Self::provenance), which hears what there is.
    pub fn denies(&self, shown: &Shown<'_>) -> bool {
        self.shared.denials.is_denied(shown)
    }

    /// Number of entries taken in.
    pub fn applied(&self) -> u64 {
        self.shared.applied.load(Ordering::Acquire)
    }

    /// Number of tokens in the local set.
    pub fn issued_count(&self) -> usize {
        self.shared.issued.len()
    }

    /// Memory that the local set takes, in bytes.
    pub fn issued_bytes(&self) -> usize {
        self.shared.issued.bytes()
    }

    /// Number of barrier reads begun because of a miss.
    pub fn barrier_reads(&self) -> u64 {
        self.shared.missed.load(Ordering::SeqCst)
    }

    /// Whether the follower still follows.
    pub fn is_following(&self) -> bool {
        !self.wake.is_closed()
    }

    /// Whether the ledger was heard within the time for which a hit counts.
    pub fn is_fresh(&self) -> bool {
        let Some(limit) = self.options.stale_max else {
            return true;
        };
        let heard = self.barriers.borrow().heard;
        heard.is_some_and(|heard| heard.elapsed() <= limit)
    }

    /// Resolves when everything that was in the ledger at some time after the start has been taken in; whether the
    /// follower has not given up before.
    pub async fn caught_up(&self) -> bool {
        let mut barriers = self.barriers.clone();
        barriers.wait_for(|barriers| barriers.succeeded > 0).await.is_ok()
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
        match tokio::time::timeout(self.options.timeout, ended).await {
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
    let Issued {
        kind,
        index,
        is_denied,
    } = *issued;
    if is_denied {
        Provenance::Denied { index }
    } else {
        Provenance::Recorded { index, kind }
    }
}

/// Where a task's entries come from. Hands over only what it believes.
pub(crate) trait Feed: Send + 'static {
    /// How often the head is read anew though nobody misses anything.
    const HEARD_EVERY: Duration;

    /// Reads the head anew, and takes in everything up to it.
    fn barrier(&mut self, intake: &mut Intake) -> impl Future<Output = Result<(), SourceError>> + Send;
    /// Resolves when there may be news after `seen` entries. May be dropped and called again.
    fn changed(&mut self, seen: u64) -> impl Future<Output = Result<(), SourceError>> + Send;
    /// Takes in the news.
    fn take(&mut self, intake: &mut Intake) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// The way into the issued set, for its one writer.
pub(crate) struct Intake {
    issued: IssuedWriter,
    shared: Arc<Shared>,
}

impl Intake {
    /// Number of entries taken in.
    pub(crate) fn applied(&self) -> u64 {
        self.shared.applied.load(Ordering::Acquire)
    }

    /// Takes in the next entries, in their order.
    pub(crate) fn take(&mut self, entries: impl IntoIterator<Item = impl Borrow<Entry>>) {
        let now = (self.shared.clock)();
        let mut applied = self.applied();
        for entry in entries {
            self.take_one(applied, entry.borrow(), now);
            applied = applied.saturating_add(1);
        }
        self.shared.applied.store(applied, Ordering::Release);
    }

    fn take_one(&mut self, index: u64, entry: &Entry, now: u64) {
        match entry {
            Entry::Issuance(issuance) => {
                let token = Token {
                    fingerprint: &issuance.fingerprint,
                    root: issuance.lineage.as_ref().map(|lineage| &lineage.root),
                    kind: issuance.kind,
                    expires_at: issuance.expires_at,
                    index,
                };
                self.issued.insert(&token, now);
            }
            Entry::KeyAnnouncement(key) => self.shared.denials.announce(index, key),
            Entry::Denial(denial) => match &denial.denied {
                Denied::Token(fingerprint) => self.issued.deny(fingerprint),
                Denied::Lineage(root) => self.issued.deny_lineage(root),
                other @ (Denied::Session(_) | Denied::KeySpan { .. }) => self.shared.denials.deny(other),
            },
            // The states of keys come with the trust bundle; the rest is for other readers.
            Entry::KeyTransition(_) | Entry::RealmFence(_) | Entry::Waypoint(_) | Entry::Response(_) => {}
        }
    }

    fn drop_expired(&mut self) {
        self.issued.drop_expired((self.shared.clock)());
    }
}

/// The single writer of the issued set.
struct Task<F> {
    feed: F,
    intake: Intake,
    woken: mpsc::Receiver<()>,
    outcome: watch::Sender<Barriers>,
}

/// Why the task does something.
enum Event {
    Changed(Result<(), SourceError>),
    Miss,
    Expiry,
    Silence,
    Abandoned,
}

impl<F: Feed> Task<F> {
    /// Runs until the source is gone or nobody asks any more. Dropping the channels turns every waiting miss into
    /// `CannotTell`.
    async fn run(mut self) {
        let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
        let mut silence = tokio::time::interval(F::HEARD_EVERY);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        silence.reset();
        loop {
            let seen = self.intake.applied();
            let event = tokio::select! {
                // Expiry first, for it is rare; then misses, for somebody waits for them, and they catch up as well.
                biased;
                _ = expiry.tick() => Event::Expiry,
                woken = self.woken.recv() => woken.map_or(Event::Abandoned, |()| Event::Miss),
                _ = silence.tick() => Event::Silence,
                changed = self.feed.changed(seen) => Event::Changed(changed),
            };
            let flow = match event {
                Event::Abandoned => return,
                Event::Miss => {
                    self.intake.shared.missed.fetch_add(1, Ordering::SeqCst);
                    self.look().await
                }
                Event::Silence => self.look().await,
                Event::Changed(Ok(())) => judged(self.feed.take(&mut self.intake).await),
                Event::Changed(Err(error)) => judged(Err(error)),
                Event::Expiry => {
                    self.intake.drop_expired();
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }

    /// A barrier read; whether to go on.
    async fn look(&mut self) -> ControlFlow<()> {
        let began = Instant::now();
        let started = &self.intake.shared.started;
        let number = started.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let result = self.feed.barrier(&mut self.intake).await;
        self.outcome.send_modify(|barriers| {
            barriers.ended = number;
            if result.is_ok() {
                barriers.succeeded = number;
                barriers.heard = Some(began);
            }
        });
        judged(result)
    }
}

/// Tells what went wrong; whether to go on.
fn judged(result: Result<(), SourceError>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        // Closed on purpose, or after a disk error that the ledger itself has logged.
        Err(SourceError::Stopped) => ControlFlow::Break(()),
        Err(error) if error.is_final() => {
            tracing::error!(%error, code = error.code(), hint = error.hint(), "the follower stops");
            ControlFlow::Break(())
        }
        Err(error) => {
            tracing::warn!(%error, code = error.code(), hint = error.hint(), "the follower could not catch up");
            ControlFlow::Continue(())
        }
    }
}
