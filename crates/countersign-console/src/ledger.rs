//! What the ledger says of itself.

use countersign_ledger::checkpoint::Checkpoint;
use countersign_ledger::{Entry, Ledger, Verifier};
use serde::Serialize;

/// The ledger's state at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct LedgerFacts {
    pub(crate) origin: String,
    pub(crate) verifier_key: String,
    /// Whether entries can be recorded.
    pub(crate) recording: bool,
    /// Durable entries.
    pub(crate) size: u64,
    /// The latest checkpoint, if its signature holds.
    pub(crate) checkpoint: Option<CheckpointFacts>,
    /// When the newest entry was issued or its key changed, seconds since 1970; none when the ledger is empty.
    pub(crate) newest_entry_at: Option<u64>,
    /// Whether the newest entry could be read.
    pub(crate) readable: bool,
}

/// The latest signed checkpoint.
#[derive(Debug, Serialize)]
pub(crate) struct CheckpointFacts {
    pub(crate) size: u64,
    /// Base64, as in the checkpoint itself.
    pub(crate) root: String,
    /// When the last entry below the checkpoint was issued: a checkpoint carries no time of its own.
    pub(crate) last_entry_at: Option<u64>,
}

/// Asks the ledger. Blocks on the disk.
pub(crate) fn read(ledger: &Ledger) -> LedgerFacts {
    let checkpoint = checkpoint(ledger);
    let size = ledger.head();
    let newest = last_entry_at(ledger, size);
    LedgerFacts {
        origin: ledger.origin().to_owned(),
        verifier_key: ledger.verifier_key().to_owned(),
        recording: ledger.is_running(),
        size,
        checkpoint,
        readable: newest.is_ok(),
        newest_entry_at: newest.unwrap_or_default(),
    }
}

/// The page shows only a checkpoint that an outsider would accept.
fn checkpoint(ledger: &Ledger) -> Option<CheckpointFacts> {
    let note = ledger.checkpoint();
    let verifier = Verifier::parse(ledger.verifier_key()).ok()?;
    let checkpoint = Checkpoint::open(&note, &verifier).ok()?;
    let root = checkpoint.encode().lines().nth(2)?.to_owned();
    let last_entry_at = last_entry_at(ledger, checkpoint.size).ok().flatten();
    Some(CheckpointFacts {
        size: checkpoint.size,
        root,
        last_entry_at,
    })
}

fn last_entry_at(ledger: &Ledger, size: u64) -> Result<Option<u64>, countersign_ledger::ReadError> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(None);
    };
    // A waypoint has no time, but it is never the last entry, and never beside another.
    let entries = ledger.read(last.saturating_sub(1), 2)?;
    Ok(entries.iter().rev().find_map(Entry::at))
}
