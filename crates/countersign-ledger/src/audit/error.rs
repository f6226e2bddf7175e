//! What an audit can find.

use std::io;

use crate::entry::{EntryError, KeyStateCode};

/// Why a source could not be read. Says nothing about the ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The disk refused.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// Another kind of source failed, such as one across a network.
    #[error("reading failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// What an audit found, or why it could not look.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Could not look.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The given verifier key is not one.
    #[error("the verifier key is not of the form name+id+key with an ed25519 key")]
    KeyMalformed,
    /// There is no checkpoint.
    #[error("checkpoint: missing")]
    CheckpointMissing,
    /// The checkpoint cannot be read.
    #[error("checkpoint: not a signed checkpoint")]
    CheckpointMalformed,
    /// Not signed by the given key.
    #[error("checkpoint: carries no signature by this key")]
    NotSigned,
    /// The signature is bad.
    #[error("checkpoint: the signature does not verify")]
    SignatureInvalid,
    /// The checkpoint is another ledger's.
    #[error("checkpoint: the origin is not the key's name")]
    OriginMismatch {
        /// The origin it names.
        found: String,
    },
    /// An entry bundle is not there.
    #[error("{path}: missing")]
    BundleMissing {
        /// The file.
        path: String,
    },
    /// A bundle ends early.
    #[error("{path}: ends before entry {index}")]
    BundleTruncated {
        /// The file.
        path: String,
        /// The first entry that is not whole.
        index: u64,
    },
    /// A bundle holds more than it should.
    #[error("{path}: bytes follow the last entry, before index {index}")]
    BundleTrailing {
        /// The file.
        path: String,
        /// Index after the last expected entry.
        index: u64,
    },
    /// An entry does not decode.
    #[error("{path}: entry {index}: {error}")]
    EntryMalformed {
        /// The file.
        path: String,
        /// The entry.
        index: u64,
        /// What is wrong with it.
        error: EntryError,
    },
    /// An entry names a key that this ledger never announced.
    #[error("{path}: entry {index} names a key by index {key}, where none was announced before it")]
    KeyNotAnnounced {
        /// The file.
        path: String,
        /// The entry.
        index: u64,
        /// The index that it names.
        key: u64,
    },
    /// A token under a key that did not sign at that place.
    #[error("{path}: entry {index} is a token under a key that was {state} before it", state = state.as_str())]
    KeyNotActive {
        /// The file.
        path: String,
        /// The entry.
        index: u64,
        /// The key's state at that place.
        state: KeyStateCode,
    },
    /// A key announced twice, or regaining trust.
    #[error("{path}: entry {index} gives a key a state that it cannot enter")]
    KeyTransitionInvalid {
        /// The file.
        path: String,
        /// The entry.
        index: u64,
    },
    /// A link or a waypoint that does not say what the entries before it say.
    #[error("{path}: entry {index} does not continue the chain of key entries or denials")]
    ChainBroken {
        /// The file.
        path: String,
        /// The entry.
        index: u64,
    },
    /// A tile is not there.
    #[error("{path}: missing")]
    TileMissing {
        /// The file.
        path: String,
    },
    /// A tile has the wrong length.
    #[error("{path}: {found} bytes instead of {expected}")]
    TileLength {
        /// The file.
        path: String,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A tile holds another hash than its entries give.
    #[error("{path}: hash {index} of its level is not that of the entries")]
    TileMismatch {
        /// The file.
        path: String,
        /// Which hash of its level.
        index: u64,
    },
    /// The entries do not hash to the signed root.
    #[error("checkpoint: the {size} entries do not hash to the signed root")]
    RootMismatch {
        /// The signed size.
        size: u64,
    },
    /// Smaller than an earlier audit has seen it signed.
    #[error("checkpoint: of size {found}, but size {seen} was signed before")]
    RolledBack {
        /// Its size now.
        found: u64,
        /// The size that was seen.
        seen: u64,
    },
    /// Not the continuation of what an earlier audit has seen signed.
    #[error("checkpoint: two histories were signed: size {size} had another root before")]
    Forked {
        /// The size at which they differ.
        size: u64,
    },
    /// The state was left by an audit of another log, or of another manner.
    #[error("the state is that of another audit: other key, or entries judged otherwise")]
    StateOfAnother,
    /// The journal cannot be read.
    #[error("{path}: damaged at byte {offset}")]
    JournalDamaged {
        /// The file.
        path: String,
        /// Where.
        offset: usize,
    },
    /// The journal tells another entry.
    #[error("{path}: entry {index} is not the journal's")]
    JournalDiffers {
        /// The bundle.
        path: String,
        /// The entry.
        index: u64,
    },
    /// The journal ends before the checkpoint does.
    #[error("journal: ends after {entries} entries, before the checkpoint does")]
    JournalShort {
        /// Entries in the journal.
        entries: u64,
    },
    /// The checkpoint is older than the journal.
    #[error("checkpoint: of size {checkpoint}, but the journal holds {journal} entries")]
    CheckpointBehind {
        /// Size of the checkpoint.
        checkpoint: u64,
        /// Entries in the journal.
        journal: u64,
    },
    /// A file that the signed tree does not have.
    #[error("{path}: not part of the signed tree")]
    FileUnexpected {
        /// The file.
        path: String,
    },
    /// An older partial file is not the beginning of the newer one.
    #[error("{path}: not the beginning of what followed it")]
    PartialDiffers {
        /// The file.
        path: String,
    },
}

impl AuditError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(_) => "audit_source_unavailable",
            Self::KeyMalformed => "audit_key_malformed",
            Self::CheckpointMissing => "audit_checkpoint_missing",
            Self::CheckpointMalformed => "audit_checkpoint_malformed",
            Self::NotSigned => "audit_checkpoint_not_signed",
            Self::SignatureInvalid => "audit_signature_invalid",
            Self::OriginMismatch { .. } => "audit_origin_mismatch",
            Self::BundleMissing { .. } => "audit_bundle_missing",
            Self::BundleTruncated { .. } => "audit_bundle_truncated",
            Self::BundleTrailing { .. } => "audit_bundle_trailing",
            Self::EntryMalformed { .. } => "audit_entry_malformed",
            Self::KeyNotAnnounced { .. } => "audit_key_not_announced",
            Self::KeyNotActive { .. } => "audit_key_not_active",
            Self::KeyTransitionInvalid { .. } => "audit_key_transition_invalid",
            Self::ChainBroken { .. } => "audit_chain_broken",
            Self::TileMissing { .. } => "audit_tile_missing",
            Self::TileLength { .. } => "audit_tile_length",
            Self::TileMismatch { .. } => "audit_tile_mismatch",
            Self::RootMismatch { .. } => "audit_root_mismatch",
            Self::RolledBack { .. } => "audit_rolled_back",
            Self::Forked { .. } => "audit_forked",
            Self::StateOfAnother => "audit_state_of_another",
            Self::JournalDamaged { .. } => "audit_journal_damaged",
            Self::JournalDiffers { .. } => "audit_journal_differs",
            Self::JournalShort { .. } => "audit_journal_short",
            Self::CheckpointBehind { .. } => "audit_checkpoint_behind",
            Self::FileUnexpected { .. } => "audit_file_unexpected",
            Self::PartialDiffers { .. } => "audit_partial_differs",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Source(_) => "the ledger was not judged: make it readable and audit again",
            Self::KeyMalformed => {
                "take the line from the ledger's key.vkey or /key, better from somebody you trust"
            }
            Self::CheckpointMissing => "check the path or URL: a ledger has a file called checkpoint",
            Self::StateOfAnother => "name another --state file, or none",
            Self::RolledBack { .. } | Self::Forked { .. } => {
                "keep both checkpoints as evidence: the state file holds the earlier one. Only the log's key can have signed them"
            }
            Self::NotSigned | Self::OriginMismatch { .. } => "check that this key belongs to this ledger",
            Self::JournalDamaged { .. } | Self::CheckpointBehind { .. } | Self::FileUnexpected { .. } => {
                "if the process was killed, open the ledger once and audit again; otherwise it was tampered with: keep a copy"
            }
            Self::KeyNotAnnounced { .. } | Self::KeyNotActive { .. } => {
                "an alarm: somebody recorded a token under a key that had no right to sign; distrust the token and find who can append"
            }
            Self::KeyTransitionInvalid { .. } | Self::ChainBroken { .. } => {
                "the ledger was written by a program that breaks its rules: keep a copy as evidence"
            }
            _ => "the ledger was damaged or tampered with: keep a copy as evidence",
        })
    }
}
