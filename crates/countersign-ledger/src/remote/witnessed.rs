//! What a follower asks for beside the ledger's own word: the cosignatures of witnesses, by policy.

use std::path::PathBuf;
use std::time::Duration;

use crate::checkpoint::Checkpoint;
use crate::follow::{Clock, SourceError};
use crate::note::Verifier;
use crate::policy::{Policy, PolicyError};

/// Witnesses without whom a ledger is not believed.
#[derive(Clone, Debug)]
pub struct WitnessedOptions {
    /// File with the trust policy (tlog-policy). Its quorum must have cosigned; the ledger itself need not be listed.
    pub policy: PathBuf,
    /// The cosignatures may be so old. Witnesses are asked every ten seconds.
    pub age_max: Duration,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessedError {
    /// The file cannot be read.
    #[error("the policy cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It is not a policy.
    #[error("the policy is not one: {0}")]
    Policy(#[source] PolicyError),
    /// Nobody has to cosign, so there is nothing to ask for.
    #[error("the policy's quorum is none")]
    NoQuorum,
}

impl WitnessedError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "policy_unreadable",
            Self::Policy(error) => error.code(),
            Self::NoQuorum => "policy_quorum_none",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(_) => Some("name a file that this user may read"),
            Self::Policy(error) => error.hint(),
            Self::NoQuorum => Some("name the witnesses that must cosign: quorum NAME"),
        }
    }
}

/// The judge of `checkpoint.witnessed`.
pub(super) struct Witnessed {
    policy: Policy,
    age_max: u64,
    clock: Clock,
}

impl Witnessed {
    pub(super) const PATH: &'static str = "checkpoint.witnessed";

    pub(super) fn new(
        options: &WitnessedOptions,
        ledger: Verifier,
        clock: Clock,
    ) -> Result<Self, WitnessedError> {
        Ok(Self {
            policy: policy(options)?.with_log(ledger),
            age_max: options.age_max.as_secs(),
            clock,
        })
    }

    /// The checkpoint, if the quorum has cosigned it and not too long ago.
    pub(super) fn open(&self, note: &[u8]) -> Result<Checkpoint, SourceError> {
        let trusted = self.policy.check(note).map_err(|error| {
            tracing::warn!(%error, code = error.code(), "the ledger's witnessed checkpoint is not believed");
            SourceError::Unwitnessed
        })?;
        // The ledger's own statement does not count: witnesses must have seen it lately.
        let time = trusted.cosignatures.iter().filter_map(|(_, time)| *time).max();
        let age = (self.clock)().saturating_sub(time.unwrap_or_default());
        if age > self.age_max {
            tracing::warn!(age, "the ledger's witnesses have not cosigned for long");
            return Err(SourceError::Unwitnessed);
        }
        Ok(trusted.checkpoint)
    }
}

/// Reads the policy; one without a quorum would ask for nothing.
pub(super) fn policy(options: &WitnessedOptions) -> Result<Policy, WitnessedError> {
    let bytes = std::fs::read(&options.policy).map_err(WitnessedError::Unreadable)?;
    let policy = Policy::parse(&bytes).map_err(WitnessedError::Policy)?;
    if policy.quorum().is_none() {
        return Err(WitnessedError::NoQuorum);
    }
    Ok(policy)
}
