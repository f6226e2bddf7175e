//! Source: the directory of a ledger, or a copy of its published files (`checkpoint`, `tile/`).

use std::path::Path;

use countersign_ledger::audit::{AuditError, DirectorySource, Report, Source, SourceError, audit};
use countersign_ledger::tile::{Row, TILE_WIDTH, TileName};
use countersign_ledger::tree::{Hash, empty_root, leaf_hash, node_hash};
use countersign_ledger::{Entry, EntryError};

use crate::coverage::Coverage;
use crate::issuances::Issuances;
use crate::normal_form::Issuance;
use crate::report::LedgerSummary;

/// What a verified ledger tells.
#[derive(Debug)]
pub struct Evidence {
    /// The ledger's name.
    pub origin: String,
    /// Entries under the signed checkpoint.
    pub size: u64,
    /// Root hash of the signed checkpoint.
    pub root: [u8; 32],
    /// Every issuance.
    pub issuances: Issuances,
    /// For which uses its silence means something.
    pub coverage: Coverage,
}

/// Verifies the ledger in `directory` against its verifier key, then reads its entries.
///
/// Without the proof nothing is read. The entries are hashed once more while they are read, so what is used is what
/// was signed, whatever happens to the files in between.
pub fn read(directory: &Path, verifier_key: &str, clock_skew_seconds: u64) -> Result<Evidence, LedgerError> {
    let source = DirectorySource::new(directory);
    let audited = audit(&source, verifier_key).map_err(LedgerError::Unverified)?;
    let mut evidence = Evidence {
        origin: audited.origin.clone(),
        size: audited.size,
        root: audited.root,
        issuances: Issuances::default(),
        coverage: Coverage::new(clock_skew_seconds),
    };
    let root = read_entries(&source, &audited, &mut evidence)?;
    if root == audited.root {
        Ok(evidence)
    } else {
        Err(LedgerError::Changed)
    }
}

fn read_entries(source: &dyn Source, audited: &Report, evidence: &mut Evidence) -> Result<Hash, LedgerError> {
    let mut tree = Tree::default();
    let mut index = 0;
    while index < audited.size {
        let width = (audited.size - index).min(TILE_WIDTH.into());
        let bundle = bundle(source, index / u64::from(TILE_WIDTH), width)?;
        let mut rest = bundle.as_slice();
        for _ in 0..width {
            let entry = take_entry(&mut rest).ok_or(LedgerError::Changed)?;
            tree.push(leaf_hash(entry));
            evidence.note(index, Entry::decode(entry).map_err(LedgerError::EntryInvalid)?)?;
            index += 1;
        }
    }
    Ok(tree.root())
}

/// An entry bundle; of a partial one that was superseded, the full one begins with it.
fn bundle(source: &dyn Source, index: u64, width: u64) -> Result<Vec<u8>, LedgerError> {
    let full = TileName::full(Row::Entries, index);
    let name = TileName {
        width: u16::try_from(width).unwrap_or(TILE_WIDTH),
        ..full
    };
    for name in [name, full] {
        if let Some(bytes) = source.read(&name.to_string()).map_err(LedgerError::Unreadable)? {
            return Ok(bytes);
        }
    }
    Err(LedgerError::Changed)
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(entry)
}

impl Evidence {
    fn note(&mut self, ledger_index: u64, entry: Entry) -> Result<(), LedgerError> {
        self.coverage.note(ledger_index, &entry);
        let Entry::Issuance(issuance) = entry else {
            return Ok(());
        };
        // The audit has seen that it was announced before.
        let key = self
            .coverage
            .announced(issuance.key)
            .ok_or(LedgerError::Changed)?;
        self.issuances.insert(&Issuance {
            fingerprint: issuance.fingerprint,
            issuer: key.issuer,
            key: key.key,
            kind: issuance.kind,
            issued_at: issuance.issued_at,
            expires_at: issuance.expires_at,
            ledger_index,
        });
        Ok(())
    }
}

impl LedgerSummary {
    /// Of what was read.
    pub fn of(evidence: &Evidence) -> Self {
        Self {
            origin: evidence.origin.clone(),
            size: evidence.size,
            root: hex::encode(evidence.root),
            issuances: u64::try_from(evidence.issuances.len()).unwrap_or(u64::MAX),
        }
    }
}

/// An RFC 6962 root as leaves come: the roots of the perfect subtrees so far, with their levels, the largest first.
#[derive(Default)]
struct Tree {
    subtrees: Vec<(u32, Hash)>,
}

impl Tree {
    fn push(&mut self, leaf: Hash) {
        let (mut level, mut hash) = (0, leaf);
        while let Some((_, left)) = self.subtrees.pop_if(|(below, _)| *below == level) {
            hash = node_hash(&left, &hash);
            level += 1;
        }
        self.subtrees.push((level, hash));
    }

    fn root(self) -> Hash {
        let hashes = self.subtrees.into_iter().rev().map(|(_, hash)| hash);
        hashes
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }
}

/// Why a ledger is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The audit failed, or could not look.
    #[error("the ledger is not verified: {0}")]
    Unverified(#[source] AuditError),
    /// A file that the audit read cannot be read any more.
    #[error("the ledger cannot be read: {0}")]
    Unreadable(#[source] SourceError),
    /// The entries read are not those that the audit verified.
    #[error("the ledger's files changed after they were verified")]
    Changed,
    /// An entry that the audit understood does not decode.
    #[error("a verified entry cannot be read: {0}")]
    EntryInvalid(#[source] EntryError),
}

impl LedgerError {
    /// Stable code; of an audit finding, the audit's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unverified(error) => error.code(),
            Self::Unreadable(_) => "ledger_unreadable",
            Self::Changed => "ledger_changed",
            Self::EntryInvalid(error) => error.code(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unverified(error) => error.hint(),
            Self::Changed => Some("run it again, on a copy of the directory if that does not help"),
            Self::Unreadable(_) | Self::EntryInvalid(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_ledger::tree::root_of;

    use super::*;

    #[test]
    fn the_root_is_that_of_rfc_6962() {
        let leaves: Vec<Hash> = (0..70_u8).map(|leaf| leaf_hash(&[leaf])).collect();
        for size in 0..=leaves.len() {
            let mut tree = Tree::default();
            leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
            assert_eq!(tree.root(), root_of(&leaves[..size]), "{size} leaves");
        }
    }
}
