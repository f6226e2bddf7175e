//! Follows a ledger of another process over HTTP and believes nothing that is not proved by its signatures.
//!
//! Far behind, it reads the static tiles up to the newest checkpoint; then it listens to the stream; a miss asks for the
//! head, with a number of its own that must stand in the signed answer. What is believed when: `docs/follow.md`.

mod client;
mod tiles;
mod witnessed;

use std::time::Duration;

use aws_lc_rs::rand;
use tokio::time::Instant;

use self::client::{Answer, Client, Stream};
use self::witnessed::Witnessed;
pub use self::witnessed::{WitnessedError, WitnessedOptions};
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::follow::{BARRIER_TIMEOUT, Clock, Feed, FollowOptions, Follower, Intake, SourceError};
use crate::frame::{Frame, Frames};
use crate::head::Nonce;
use crate::issued::Keep;
use crate::note::{KeyError, Verifier};
use crate::replica::{Proved, Replica};

/// A connection on which nothing comes for this long is given up: five times the ledger's interval.
const STALLED: Duration = Duration::from_secs(5);
/// Between two attempts to connect, at first and at most.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How often tiles are read for one question before the ledger counts as unavailable: it may grow meanwhile.
const TILE_ROUNDS_MAX: usize = 3;
/// Entries decoded at once, between two looks at what else there is to do.
const SLICE: usize = 4096;

/// Which ledger to follow, and how.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// The ledger's prefix: `https://login.example/ledger`. In the clear only to this machine itself.
    pub url: String,
    /// Its key, as a vkey. Nothing that this key did not sign is believed.
    pub verifier_key: String,
    /// Witnesses who must have seen what is shown here. `None`: the ledger's word and its published checkpoint.
    pub witnessed: Option<WitnessedOptions>,
    /// What is kept, how long a miss waits, how long a hit counts.
    pub follow: FollowOptions,
}

impl RemoteOptions {
    /// A hit counts for five minutes after the ledger was last heard: an outage longer than that is no accident, and
    /// what was denied in the meantime is not known.
    pub const STALE_MAX: Duration = Duration::from_mins(5);

    /// The defaults.
    pub fn new(url: impl Into<String>, verifier_key: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            verifier_key: verifier_key.into(),
            witnessed: None,
            follow: FollowOptions {
                keep: Keep::Membership,
                timeout: BARRIER_TIMEOUT,
                stale_max: Some(Self::STALE_MAX),
            },
        }
    }

    /// Whether a ledger can be followed with these options, without asking it.
    pub fn check(&self) -> Result<(), RemoteError> {
        self.parts()?;
        if let Some(options) = &self.witnessed {
            witnessed::policy(options)?;
        }
        Ok(())
    }

    fn parts(&self) -> Result<(Verifier, Client), RemoteError> {
        let verifier = Verifier::parse(self.verifier_key.trim()).map_err(RemoteError::Key)?;
        let client = Client::new(&self.url, self.follow.timeout)?;
        Ok((verifier, client))
    }
}

impl Follower {
    /// Follows a ledger of another process, inside a tokio runtime. Returns at once: until everything there is has been
    /// taken in, nothing can be told. See [`caught_up`](Self::caught_up).
    pub fn start_remote(options: &RemoteOptions, clock: Clock) -> Result<Self, RemoteError> {
        let (verifier, client) = options.parts()?;
        let witnessed = match &options.witnessed {
            Some(options) => Some(Witnessed::new(options, verifier.clone(), clock.clone())?),
            None => None,
        };
        let remote = Remote {
            client,
            witnessed,
            replica: Replica::new(verifier),
            stream: None,
            frames: Frames::default(),
            retry: RETRY_MIN,
            retry_at: Instant::now(),
            compared: None,
        };
        Ok(Self::start_feed(remote, clock, options.follow))
    }
}

/// The feed of a remote ledger.
struct Remote {
    client: Client,
    witnessed: Option<Witnessed>,
    replica: Replica,
    stream: Option<Stream>,
    /// What came on the stream and is not taken in yet.
    frames: Frames,
    retry: Duration,
    retry_at: Instant,
    /// When the published checkpoint was looked at last.
    compared: Option<Instant>,
}

impl Feed for Remote {
    /// Proves that nobody holds back the stream, so often that a denial is never withheld for long.
    const HEARD_EVERY: Duration = Duration::from_secs(5);

    async fn barrier(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        let mut result = self.ask(intake).await;
        let due = self.compared.is_none_or(|at| at.elapsed() >= Self::HEARD_EVERY);
        if due && matches!(result, Ok(()) | Err(SourceError::Unpublished)) {
            result = result.and(self.compare().await);
        }
        self.settle(result)
    }

    async fn changed(&mut self, _seen: u64) -> Result<(), SourceError> {
        let Some(stream) = &mut self.stream else {
            let pause = tokio::time::timeout_at(self.retry_at, std::future::pending::<()>());
            let _ = pause.await;
            return Ok(());
        };
        let result = match stream.chunk(STALLED).await {
            Ok(bytes) => {
                self.frames.push(&bytes);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.settle(result)
    }

    async fn take(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        let result = if self.stream.is_some() {
            self.take_frames(intake).await
        } else {
            self.connect(intake).await
        };
        self.settle(result)
    }
}

impl Remote {
    /// After a failure nothing that was not proved is kept, and the next attempt waits longer.
    fn settle(&mut self, result: Result<(), SourceError>) -> Result<(), SourceError> {
        if result.is_err() {
            self.stream = None;
            self.replica.forget();
            self.retry_at = Instant::now().checked_add(self.retry).unwrap_or(self.retry_at);
            self.retry = self.retry.saturating_mul(2).min(RETRY_MAX);
        }
        result
    }

    /// Asks for the head with a new number and takes in everything up to it.
    async fn ask(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        for _ in 0..TILE_ROUNDS_MAX {
            let mut nonce: Nonce = [0; 16];
            rand::fill(&mut nonce).map_err(|_| SourceError::Unavailable)?;
            let from = self.replica.heard();
            let path = format!("head?from={from}&nonce={}", hex::encode(nonce));
            match self.client.get(&path).await? {
                Answer::Body(body) => return self.take_answer(&body, nonce, intake).await,
                Answer::TooFarBehind => self.read_tiles(intake).await?,
                Answer::NotFound => return Err(SourceError::Unavailable),
            }
        }
        Err(SourceError::Unavailable)
    }

    /// Entries and, last, the head for our number.
    async fn take_answer(
        &mut self,
        body: &[u8],
        nonce: Nonce,
        intake: &mut Intake,
    ) -> Result<(), SourceError> {
        let mut rest = body;
        while let Some(frame) = Frame::decode(&mut rest).map_err(|_| SourceError::Unverified)? {
            match frame {
                Frame::Entries { first, bundle } => self.replica.hear(first, bundle)?,
                Frame::Head(note) if rest.is_empty() => {
                    let proved = self.replica.head(note, Some(nonce))?;
                    return believe(&proved, intake).await;
                }
                Frame::Head(_) | Frame::Quiet { .. } => return Err(SourceError::Unverified),
            }
        }
        Err(SourceError::Unverified)
    }

    /// Compares the published checkpoint with what was proved. That none can be had is no contradiction.
    async fn compare(&mut self) -> Result<(), SourceError> {
        self.compared = Some(Instant::now());
        let Some(witnessed) = &self.witnessed else {
            return match self.client.get("checkpoint").await {
                Ok(Answer::Body(note)) => {
                    let checkpoint = Checkpoint::open(&note, self.replica.verifier());
                    let checkpoint = checkpoint.map_err(|_| SourceError::Unverified)?;
                    self.replica.public_checkpoint(&checkpoint)
                }
                Ok(Answer::TooFarBehind | Answer::NotFound) | Err(SourceError::Unavailable) => Ok(()),
                Err(error) => Err(error),
            };
        };
        let opened = match self.client.get(Witnessed::PATH).await {
            Ok(Answer::Body(note)) => witnessed.open(&note),
            Ok(_) => Err(SourceError::Unwitnessed),
            Err(error) => Err(error),
        };
        if opened.is_err() {
            // Nothing is told on the strength of an older look.
            self.compared = None;
        }
        self.replica.public_checkpoint(&opened?)
    }

    async fn connect(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        for _ in 0..TILE_ROUNDS_MAX {
            let path = format!("follow?from={}", self.replica.heard());
            match self.client.stream(&path).await? {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.frames = Frames::default();
                    self.retry = RETRY_MIN;
                    return Ok(());
                }
                Err(Answer::TooFarBehind) => self.read_tiles(intake).await?,
                Err(_) => return Err(SourceError::Unavailable),
            }
        }
        Err(SourceError::Unavailable)
    }

    async fn take_frames(&mut self, intake: &mut Intake) -> Result<(), SourceError> {
        while let Some(frame) = self.frames.next().map_err(|_| SourceError::Unverified)? {
            match frame {
                Frame::Entries { first, bundle } => self.replica.hear(first, bundle)?,
                Frame::Head(note) => {
                    let proved = self.replica.head(note, None)?;
                    believe(&proved, intake).await?;
                }
                Frame::Quiet { .. } => {}
            }
        }
        Ok(())
    }
}

/// Hands over what is proved.
async fn believe(proved: &Proved, intake: &mut Intake) -> Result<(), SourceError> {
    let mut entries = proved.entries().map(Entry::decode).peekable();
    while entries.peek().is_some() {
        let slice: Result<Vec<Entry>, _> = entries.by_ref().take(SLICE).collect();
        intake.take(slice.map_err(|_| SourceError::Unreadable)?);
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Why a remote ledger cannot be followed at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Not an absolute URL.
    #[error("the ledger's address is not a url")]
    UrlInvalid,
    /// In the clear to another machine.
    #[error("a ledger on another machine must not be followed in the clear")]
    UrlInsecure,
    /// The verifier key is not one.
    #[error("the ledger's verifier key cannot be used")]
    Key(#[source] KeyError),
    /// The witnesses' policy cannot be used.
    #[error("the witnesses' policy cannot be used: {0}")]
    Witnessed(#[from] WitnessedError),
    /// The HTTP client cannot be made.
    #[error("cannot prepare following the ledger")]
    Client(#[source] reqwest::Error),
}

impl RemoteError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UrlInvalid => "ledger_url_invalid",
            Self::UrlInsecure => "ledger_url_insecure",
            Self::Key(error) => error.code(),
            Self::Witnessed(error) => error.code(),
            Self::Client(_) => "ledger_client_unavailable",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UrlInvalid => Some("the ledger's prefix, such as https://login.example/ledger"),
            Self::UrlInsecure => Some("use https, or a ledger on this machine"),
            Self::Key(error) => error.hint(),
            Self::Witnessed(error) => error.hint(),
            Self::Client(_) => Some("check that the system's root certificates are installed"),
        }
    }
}
