//! Witnesses (C2SP tlog-witness), in both roles.
//!
//! A witness remembers the largest tree of each ledger that it has seen and cosigns only what continues it. A ledger
//! that shows two histories needs every witness of a policy's quorum as an accomplice.
//!
//! - [`Witness`] is a witness: it checks, stores durably, and only then cosigns. With the `http` feature
//!   [`http::router`] serves it.
//! - [`Submitter`] is the ledger's side: it brings checkpoints to witnesses, off the path of appends, and keeps the
//!   cosigned ones.

#[cfg(feature = "http")]
pub mod http;
mod request;
mod store;
mod submit;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub use request::{AddCheckpoint, PROOF_LINES_MAX, RequestError};
pub use store::StoreError;
pub use submit::{Answer, Submitter, SubmitterOptions, SubmitterStatus, Transport, TransportError};

use crate::checkpoint::Checkpoint;
use crate::cosignature::{CosignError, Cosigner};
use crate::note::{Note, Verifier, assemble};
use crate::policy::{Distrust, Policy};
use crate::proof::verify_consistency;
use crate::tree::{empty_root, sha256};
use store::Store;

/// A witness for the ledgers of a policy.
pub struct Witness {
    logs: BTreeMap<String, Mutex<State>>,
    policy: Policy,
    cosigners: Vec<Cosigner>,
    store: Store,
}

/// What is known of one ledger.
struct State {
    latest: Option<Latest>,
    /// A write failed: what is on the disk is not known, so nothing more is cosigned until it is read again.
    failed: bool,
}

/// The latest cosigned checkpoint.
struct Latest {
    checkpoint: Checkpoint,
    note: Vec<u8>,
}

impl Witness {
    /// Opens a witness that keeps its state in `directory`, which is created when absent and belongs to this process
    /// until the witness is dropped.
    ///
    /// `policy` says by its `log` lines for whom it witnesses; quorum and witnesses in it mean nothing here. Everything
    /// that it cosigned before is read back, and must carry its own cosignature.
    pub fn open(directory: &Path, policy: &Policy, cosigners: Vec<Cosigner>) -> Result<Self, StoreError> {
        let store = Store::open(directory)?;
        let policy = policy.logs_alone();
        let mut logs = BTreeMap::new();
        for log in policy.logs() {
            let origin = log.verifier.name();
            let latest = match store.read(&origin_hash(origin))? {
                Some(note) => Some(read_back(note, origin, &cosigners)?),
                None => None,
            };
            let state = State {
                latest,
                failed: false,
            };
            logs.insert(origin.to_owned(), Mutex::new(state));
        }
        Ok(Self {
            logs,
            policy,
            cosigners,
            store,
        })
    }

    /// The keys it cosigns with.
    pub fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.cosigners.iter().map(Cosigner::verifier)
    }

    /// `add-checkpoint`: checks a request body, stores the checkpoint durably, and answers with cosignature lines.
    ///
    /// Checking and storing are one step: two requests for one ledger never interleave. Blocks on the disk.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<String, Refusal> {
        let request = AddCheckpoint::parse(body)?;
        let note = Note::parse(&request.checkpoint).map_err(|_| RequestError::Checkpoint)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|_| RequestError::Checkpoint)?;
        let state = self.logs.get(&checkpoint.origin).ok_or(Refusal::OriginUnknown)?;
        self.policy.check(&request.checkpoint)?;
        if request.old > checkpoint.size {
            return Err(Refusal::OldAboveNew);
        }
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed {
            return Err(Refusal::StoreFailed);
        }
        let continues = check_continues(state.latest.as_ref(), &request, &checkpoint);
        if let Err(Refusal::Forked { .. }) = continues {
            // Only who has the ledger's key gets here, and what it signed is evidence.
            let signed = String::from_utf8_lossy(&self.keep(&note, &[])).into_owned();
            tracing::error!(
                checkpoint = signed,
                "a ledger has signed two different trees of one size"
            );
        }
        continues?;

        let lines = self.cosign(note.text(), now)?;
        let signed = self.keep(&note, &lines);
        state.failed = true;
        if let Err(error) = self.store.write(&origin_hash(&checkpoint.origin), &signed) {
            tracing::error!(%error, origin = checkpoint.origin, "the witness stops for this ledger: its state could not be stored");
            return Err(Refusal::StoreFailed);
        }
        state.failed = false;
        state.latest = Some(Latest {
            checkpoint,
            note: signed,
        });
        Ok(lines.concat())
    }

    /// The latest cosigned checkpoint of the ledger whose origin has this hash (lower-case hex SHA-256).
    pub fn latest(&self, origin_hash_hex: &str) -> Option<Vec<u8>> {
        let (_, state) = self
            .logs
            .iter()
            .find(|(origin, _)| origin_hash(origin) == origin_hash_hex)?;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest.as_ref().map(|latest| latest.note.clone())
    }

    fn cosign(&self, text: &str, now: u64) -> Result<Vec<String>, Refusal> {
        let lines = self.cosigners.iter().map(|cosigner| {
            let mut line = cosigner.cosign(text, now)?;
            line.push('\n');
            Ok(line)
        });
        lines.collect()
    }

    /// What is stored and served: the text, the lines of the ledger's keys that were verified, our own lines.
    fn keep(&self, note: &Note<'_>, lines: &[String]) -> Vec<u8> {
        let verified = self
            .policy
            .logs()
            .iter()
            .flat_map(|log| note.lines_of(&log.verifier))
            .map(crate::note::SignatureLine::as_str);
        let own = lines.iter().map(|line| line.trim_end_matches('\n'));
        assemble(note.text(), verified.chain(own))
    }
}

/// The name under which a witness serves a ledger's checkpoint: lower-case hex SHA-256 of its origin.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    hex::encode(sha256(origin.as_bytes()))
}

/// A stored checkpoint; the witness's own cosignature shows that it stored it.
fn read_back(note: Vec<u8>, origin: &str, cosigners: &[Cosigner]) -> Result<Latest, StoreError> {
    let foreign = || StoreError::Foreign {
        file: origin_hash(origin),
    };
    let parsed = Note::parse(&note).map_err(|_| foreign())?;
    let checkpoint = Checkpoint::parse(parsed.text()).map_err(|_| foreign())?;
    let mut ours = false;
    for cosigner in cosigners {
        let signed = parsed.verify(cosigner.verifier()).map_err(|_| foreign())?;
        ours |= signed.is_some();
    }
    if !ours || checkpoint.origin != origin {
        return Err(foreign());
    }
    Ok(Latest { checkpoint, note })
}

/// The checks from the old size on, in the order of the specification.
fn check_continues(
    latest: Option<&Latest>,
    request: &AddCheckpoint,
    new: &Checkpoint,
) -> Result<(), Refusal> {
    let (size, root) = latest.map_or((0, empty_root()), |latest| {
        (latest.checkpoint.size, latest.checkpoint.root)
    });
    if request.old != size {
        return Err(Refusal::Conflict { size });
    }
    if new.size == 0 && new.root != empty_root() {
        return Err(Refusal::EmptyRoot);
    }
    if size == new.size && root != new.root {
        return Err(Refusal::Forked { size });
    }
    if size == 0 {
        // The empty tree is consistent with any tree, so there is nothing to prove.
        return if request.proof.is_empty() {
            Ok(())
        } else {
            Err(Refusal::ProofInvalid)
        };
    }
    verify_consistency(size, new.size, &request.proof, &root, &new.root).map_err(|_| Refusal::ProofInvalid)
}

/// Why a checkpoint was not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a request of this form.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No ledger of this origin is witnessed here.
    #[error("no log of this origin is witnessed here")]
    OriginUnknown,
    /// Not signed by the ledger's key, or a line of it does not verify.
    #[error("the checkpoint is not accepted: {0}")]
    Distrusted(#[from] Distrust),
    /// The old size is above that of the checkpoint.
    #[error("the old size is larger than the checkpoint's")]
    OldAboveNew,
    /// The old size is not that of the latest cosigned checkpoint.
    #[error("the latest cosigned checkpoint is of size {size}")]
    Conflict {
        /// Size of the latest cosigned checkpoint.
        size: u64,
    },
    /// An empty tree has one root.
    #[error("the root is not that of the empty tree")]
    EmptyRoot,
    /// Another root for the size that was cosigned.
    #[error("another tree of {size} entries was cosigned before")]
    Forked {
        /// The size.
        size: u64,
    },
    /// The consistency proof does not prove it.
    #[error("the consistency proof does not verify")]
    ProofInvalid,
    /// No cosignature could be made.
    #[error("the witness cannot sign: {0}")]
    Unsigned(#[from] CosignError),
    /// The state could not be made durable.
    #[error("the witness cannot store its state")]
    StoreFailed,
}

impl Refusal {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code(),
            Self::OriginUnknown => "witness_origin_unknown",
            Self::Distrusted(error) => error.code(),
            Self::OldAboveNew => "witness_old_above_new",
            Self::Conflict { .. } => "witness_conflict",
            Self::EmptyRoot => "witness_empty_root",
            Self::Forked { .. } => "witness_forked",
            Self::ProofInvalid => "witness_proof_invalid",
            Self::Unsigned(error) => error.code(),
            Self::StoreFailed => "witness_store_failed",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OriginUnknown => Some("ask the witness's operator to add the log"),
            Self::Forked { .. } | Self::ProofInvalid => {
                Some("keep the checkpoint: with the witness's own it may be evidence of a fork")
            }
            Self::StoreFailed => Some("check the witness's disk and start it again"),
            _ => None,
        }
    }

    /// The HTTP status that tlog-witness gives it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Request(_) | Self::OldAboveNew => 400,
            Self::Distrusted(_) => 403,
            Self::OriginUnknown => 404,
            Self::Conflict { .. } => 409,
            Self::EmptyRoot | Self::Forked { .. } | Self::ProofInvalid => 422,
            Self::Unsigned(_) | Self::StoreFailed => 500,
        }
    }
}
