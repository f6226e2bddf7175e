//! The ledger's side: brings its checkpoints to witnesses and keeps the ones that they have cosigned.
//!
//! Runs beside publication and never holds it up: each round takes the newest checkpoint, asks every witness at once,
//! and ends after a bounded time, whatever they do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::AddCheckpoint;
use crate::checkpoint::Checkpoint;
use crate::ledger::Ledger;
use crate::note::{Note, Verifier, assemble, signature_lines};
use crate::policy::Policy;
use crate::proof::consistency;

/// A witness that answers "409" to the size it named itself is not asked a third time in one round.
const ATTEMPTS_MAX: usize = 2;

/// How requests reach a witness. The binary has one over HTTP; tests have one without a network.
pub trait Transport: Send + Sync + 'static {
    /// `POST <prefix>/add-checkpoint` with this body.
    fn add_checkpoint(
        &self,
        prefix: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Answer, TransportError>> + Send;
}

/// A witness's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as far as it is of a reasonable length.
    pub body: Vec<u8>,
}

/// The witness was not reached, or did not answer as HTTP does.
#[derive(Debug, thiserror::Error)]
#[error("the witness was not reached: {0}")]
pub struct TransportError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Which witnesses, and how often.
#[derive(Clone, Debug)]
pub struct SubmitterOptions {
    /// Its witnesses with a URL are asked; its quorum says when a checkpoint counts as witnessed.
    pub policy: Policy,
    /// Pause between rounds. Public witnesses allow one request in 1 to 10 seconds.
    pub interval: Duration,
    /// A witness that has not answered by then is left out of the round.
    pub timeout: Duration,
}

impl SubmitterOptions {
    /// What public witnesses allow without asking.
    pub const INTERVAL: Duration = Duration::from_secs(10);
    /// A witness answers in a few milliseconds and the way there takes a few hundred.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// The defaults, for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            interval: Self::INTERVAL,
            timeout: Self::TIMEOUT,
        }
    }
}

/// What happened with one witness in the last round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitterStatus {
    /// It cosigned.
    Cosigned {
        /// Size of the checkpoint.
        size: u64,
    },
    /// It was not reached, or answered something else than the protocol has.
    Failed {
        /// What came back.
        detail: String,
    },
    /// It has cosigned a larger tree than the ledger has: this ledger was rolled back, or another one runs with its key.
    Ahead {
        /// The size it has seen.
        size: u64,
    },
    /// It says that this tree does not continue the one that it cosigned: this ledger is forked.
    Contradicted,
}

/// Submits until it is dropped or the ledger closes.
pub struct Submitter {
    status: Arc<Mutex<BTreeMap<String, SubmitterStatus>>>,
    task: AbortHandle,
}

impl Submitter {
    /// Starts the rounds in a task of their own.
    pub fn start<T: Transport>(ledger: Ledger, options: SubmitterOptions, transport: T) -> Self {
        let status = Arc::new(Mutex::new(BTreeMap::new()));
        let witnesses = options.policy.witnesses().filter_map(|witness| {
            Some(Target {
                name: witness.name.to_string(),
                url: witness.url()?.trim_end_matches('/').to_owned(),
                verifier: witness.verifier.clone(),
                size: 0,
                lines: Vec::new(),
            })
        });
        let known = options.policy.witnesses();
        let rounds = Rounds {
            known: known.map(|witness| witness.verifier.clone()).collect(),
            targets: witnesses.collect(),
            ledger,
            transport: Arc::new(transport),
            status: status.clone(),
            text: String::new(),
            options,
        };
        let task = tokio::spawn(rounds.run()).abort_handle();
        Self { status, task }
    }

    /// What each witness said last, by its name in the policy.
    pub fn status(&self) -> BTreeMap<String, SubmitterStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One witness to ask.
#[derive(Clone)]
struct Target {
    name: String,
    url: String,
    verifier: Verifier,
    /// What it cosigned last, as far as known.
    size: u64,
    /// Its lines for the current checkpoint text.
    lines: Vec<String>,
}

struct Rounds<T> {
    targets: Vec<Target>,
    /// Every key of the policy: a witness may answer with a second one, such as ML-DSA beside Ed25519.
    known: Arc<[Verifier]>,
    ledger: Ledger,
    transport: Arc<T>,
    status: Arc<Mutex<BTreeMap<String, SubmitterStatus>>>,
    /// The checkpoint text of the last round.
    text: String,
    options: SubmitterOptions,
}

impl<T: Transport> Rounds<T> {
    async fn run(mut self) {
        let mut interval = tokio::time::interval(self.options.interval.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if !self.ledger.is_running() {
                return;
            }
            self.round().await;
        }
    }

    async fn round(&mut self) {
        let note = self.ledger.checkpoint();
        let Ok(parsed) = Note::parse(&note) else {
            return;
        };
        let Ok(checkpoint) = Checkpoint::parse(parsed.text()) else {
            return;
        };
        if parsed.text() != self.text {
            parsed.text().clone_into(&mut self.text);
            self.targets.iter_mut().for_each(|target| target.lines.clear());
        }
        let mut asked = JoinSet::new();
        for (index, target) in self.targets.iter().cloned().enumerate() {
            let ask = Ask {
                target,
                known: self.known.clone(),
                ledger: self.ledger.clone(),
                transport: self.transport.clone(),
                note: note.clone(),
                text: self.text.clone(),
                size: checkpoint.size,
            };
            let timeout = self.options.timeout;
            asked.spawn(async move { (index, tokio::time::timeout(timeout, ask.run()).await) });
        }
        while let Some(answer) = asked.join_next().await {
            let Ok((index, outcome)) = answer else { continue };
            self.take(index, outcome.ok());
        }
        self.keep(&parsed).await;
    }

    /// Notes what a witness did; `None` when its time ran out.
    fn take(&mut self, index: usize, outcome: Option<Outcome>) {
        let Some(target) = self.targets.get_mut(index) else {
            return;
        };
        let outcome = outcome.unwrap_or_else(|| Outcome {
            size: target.size,
            lines: Vec::new(),
            status: SubmitterStatus::Failed {
                detail: "no answer in time".to_owned(),
            },
        });
        target.size = outcome.size;
        if !outcome.lines.is_empty() {
            target.lines = outcome.lines;
        }
        report(&target.name, &outcome.status);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.insert(target.name.clone(), outcome.status);
    }

    /// Stores the checkpoint with its cosignatures once they make up the quorum.
    async fn keep(&self, note: &Note<'_>) {
        let own = note.lines().iter().map(crate::note::SignatureLine::as_str);
        let lines = self.targets.iter().flat_map(|target| target.lines.iter());
        if self.targets.iter().all(|target| target.lines.is_empty()) {
            return;
        }
        let cosigned = assemble(note.text(), own.chain(lines.map(String::as_str)));
        let Ok(verifier) = Verifier::parse(self.ledger.verifier_key()) else {
            return;
        };
        if let Err(error) = self.options.policy.clone().with_log(verifier).check(&cosigned) {
            tracing::warn!(%error, "the checkpoint is not witnessed yet");
            return;
        }
        let ledger = self.ledger.clone();
        let stored = tokio::task::spawn_blocking(move || ledger.keep_witnessed(&cosigned)).await;
        if let Ok(Err(error)) = stored {
            tracing::warn!(%error, "the witnessed checkpoint could not be stored");
        }
    }
}

fn report(witness: &str, status: &SubmitterStatus) {
    match status {
        SubmitterStatus::Cosigned { .. } => {}
        SubmitterStatus::Failed { detail } => {
            tracing::warn!(witness, detail, "a witness did not cosign");
        }
        SubmitterStatus::Ahead { size } => tracing::error!(
            witness,
            size,
            "a witness has seen a larger tree: this ledger was rolled back, or runs twice"
        ),
        SubmitterStatus::Contradicted => {
            tracing::error!(witness, "a witness has cosigned another history of this ledger");
        }
    }
}

/// One checkpoint for one witness.
struct Ask<T> {
    target: Target,
    known: Arc<[Verifier]>,
    ledger: Ledger,
    transport: Arc<T>,
    note: Arc<[u8]>,
    text: String,
    size: u64,
}

struct Outcome {
    /// What the witness cosigned last, as far as known.
    size: u64,
    lines: Vec<String>,
    status: SubmitterStatus,
}

impl<T: Transport> Ask<T> {
    async fn run(self) -> Outcome {
        let mut old = self.target.size;
        for _ in 0..ATTEMPTS_MAX {
            if old > self.size {
                return self.done(old, SubmitterStatus::Ahead { size: old });
            }
            let answer = match self.ask(old).await {
                Ok(answer) => answer,
                Err(detail) => return self.done(old, SubmitterStatus::Failed { detail }),
            };
            match answer.status {
                200 => return self.cosigned(old, &answer.body),
                409 => match size_line(&answer.body) {
                    Some(size) => old = size,
                    None => return self.failed(old, "status 409 without a size"),
                },
                422 => return self.done(old, SubmitterStatus::Contradicted),
                status => return self.failed(old, &format!("status {status}")),
            }
        }
        self.failed(old, "status 409 to the size that it named")
    }

    async fn ask(&self, old: u64) -> Result<Answer, String> {
        let ledger = self.ledger.clone();
        let size = self.size;
        // Tiles are read from the disk.
        let proof = tokio::task::spawn_blocking(move || consistency(&ledger, old, size)).await;
        let proof = proof
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let request = AddCheckpoint {
            old,
            proof,
            checkpoint: self.note.to_vec(),
        };
        let asked = self.transport.add_checkpoint(&self.target.url, request.encode());
        asked.await.map_err(|error| error.to_string())
    }

    /// Keeps the lines of known keys, among which must be the witness's own; lines of others are ignored.
    fn cosigned(&self, old: u64, body: &[u8]) -> Outcome {
        let Some(lines) = std::str::from_utf8(body)
            .ok()
            .and_then(|body| signature_lines(body).ok())
        else {
            return self.failed(old, "an answer that is no signature line");
        };
        let lines = lines.iter().map(crate::note::SignatureLine::as_str);
        let note = assemble(&self.text, lines);
        let Ok(note) = Note::parse(&note) else {
            return self.failed(old, "an answer that is no signature line");
        };
        match note.verify(&self.target.verifier) {
            Ok(Some(_)) => {}
            Ok(None) => return self.failed(self.size, "no signature by the key in the policy"),
            Err(_) => return self.failed(self.size, "a signature that does not verify"),
        }
        let verified = self.known.iter().filter(|verifier| note.verify(verifier).is_ok());
        Outcome {
            size: self.size,
            lines: verified
                .flat_map(|verifier| note.lines_of(verifier))
                .map(|line| line.as_str().to_owned())
                .collect(),
            status: SubmitterStatus::Cosigned { size: self.size },
        }
    }

    fn failed(&self, size: u64, detail: &str) -> Outcome {
        let detail = detail.to_owned();
        self.done(size, SubmitterStatus::Failed { detail })
    }

    #[expect(clippy::unused_self, reason = "reads as what ends the asking")]
    fn done(&self, size: u64, status: SubmitterStatus) -> Outcome {
        Outcome {
            size,
            lines: Vec::new(),
            status,
        }
    }
}

/// A decimal size and a newline.
fn size_line(body: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(body).ok()?.strip_suffix('\n')?;
    let size: u64 = digits.parse().ok()?;
    (size.to_string() == digits).then_some(size)
}
