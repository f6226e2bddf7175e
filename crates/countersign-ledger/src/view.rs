//! What a reader remembers of a ledger: the last checkpoint it believed, and whether a new one continues it.
//!
//! A ledger that shows different histories to different readers, or takes one back, can do so only to readers who
//! forget. Gates, monitors and witnesses each keep a view; whoever compares two of them sees the split.

use std::io;

use crate::checkpoint::Checkpoint;
use crate::policy::{Distrust, Policy, Trusted};
use crate::proof::{ProofError, Tiles, consistency, verify_consistency};

/// The last believed checkpoint of one ledger.
#[derive(Clone, Debug)]
pub struct View {
    policy: Policy,
    seen: Option<Seen>,
}

/// A believed checkpoint and the note that carried it: evidence, should the ledger ever contradict it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the policy found in it.
    pub trusted: Trusted,
    /// The signed note, verbatim.
    pub note: Vec<u8>,
}

impl Seen {
    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.trusted.checkpoint
    }
}

impl View {
    /// A view of a ledger that was never looked at: the first checkpoint that the policy believes becomes the view.
    pub fn new(policy: Policy) -> Self {
        Self { policy, seen: None }
    }

    /// A view that remembers `note`, which the policy must still believe.
    pub fn remembering(policy: Policy, note: &[u8]) -> Result<Self, Distrust> {
        let trusted = policy.check(note)?;
        let note = note.to_vec();
        Ok(Self {
            policy,
            seen: Some(Seen { trusted, note }),
        })
    }

    /// The last believed checkpoint.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes in a newly fetched checkpoint. `tiles` must serve its tree; they are believed only as far as they prove
    /// that it continues the one seen before. On any error the view stays what it was.
    pub fn advance(&mut self, note: &[u8], tiles: &dyn Tiles) -> Result<&Seen, ViewError> {
        let trusted = self.policy.check(note)?;
        if let Some(seen) = &self.seen {
            continues(seen.checkpoint(), &trusted.checkpoint, tiles)?;
        }
        let note = note.to_vec();
        Ok(self.seen.insert(Seen { trusted, note }))
    }
}

/// Whether `new` continues `old`: a checkpoint of the same ledger, no smaller, whose tree begins with the old one.
pub fn continues(old: &Checkpoint, new: &Checkpoint, tiles: &dyn Tiles) -> Result<(), ViewError> {
    if old.origin != new.origin {
        return Err(ViewError::OtherLedger {
            seen: old.origin.clone(),
        });
    }
    if new.size < old.size {
        return Err(ViewError::RolledBack {
            seen: old.size,
            shown: new.size,
        });
    }
    if new.size == old.size {
        // Two signed roots for one size need no proof: the notes themselves are the proof.
        return if new.root == old.root {
            Ok(())
        } else {
            Err(ViewError::Forked { size: old.size })
        };
    }
    let fork = ViewError::NotContinued {
        seen: old.size,
        shown: new.size,
    };
    let proof = match consistency(tiles, old.size, new.size) {
        Ok(proof) => proof,
        Err(ProofError::Io(error)) => return Err(ViewError::Unreadable(error)),
        Err(_) => return Err(fork),
    };
    verify_consistency(old.size, new.size, &proof, &old.root, &new.root).map_err(|_| fork)
}

/// Why a checkpoint was not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The policy does not believe it.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// Another ledger's.
    #[error("the checkpoint is not one of {seen}, which was followed so far")]
    OtherLedger {
        /// Origin of the ledger that was followed.
        seen: String,
    },
    /// Smaller than one seen before.
    #[error("the ledger was rolled back: it showed {seen} entries before, and {shown} now")]
    RolledBack {
        /// Size seen before.
        seen: u64,
        /// Size shown now.
        shown: u64,
    },
    /// Two roots were signed for one size.
    #[error("the ledger is forked: two different trees of {size} entries are signed")]
    Forked {
        /// The size.
        size: u64,
    },
    /// The tree does not begin with the one seen before, or the tiles do not prove it.
    #[error("the ledger does not prove that its {shown} entries begin with the {seen} seen before")]
    NotContinued {
        /// Size seen before.
        seen: u64,
        /// Size shown now.
        shown: u64,
    },
    /// The tiles could not be read: nothing is known.
    #[error("the ledger's tiles could not be read: {0}")]
    Unreadable(#[source] io::Error),
}

impl ViewError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Distrusted(error) => error.code(),
            Self::OtherLedger { .. } => "view_other_ledger",
            Self::RolledBack { .. } => "view_rolled_back",
            Self::Forked { .. } => "view_forked",
            Self::NotContinued { .. } => "view_not_continued",
            Self::Unreadable(_) => "view_unreadable",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Distrusted(error) => error.hint(),
            Self::OtherLedger { .. } => Some("give each ledger a state of its own"),
            Self::RolledBack { .. } | Self::Forked { .. } | Self::NotContinued { .. } => Some(
                "keep both signed checkpoints: together they are evidence against the ledger; ask its witnesses what they saw",
            ),
            Self::Unreadable(_) => None,
        }
    }
}
