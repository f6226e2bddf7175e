//! Picks a ledger up where it was signed: the right edge of the tree from its tiles, checked against the signed root,
//! then only the batches after it. The work does not grow with the ledger.

use std::io;
use std::sync::Arc;

use crate::bytes::narrow;
use crate::checkpoint::Checkpoint;
use crate::entries::{EntryReader, ReadError};
use crate::entry::Entry;
use crate::open::OpenError;
use crate::record::{Entries, Record};
use crate::rules::{Rule, kept};
use crate::sequencer::{Head, Position};
use crate::store::{Store, StoreError};
use crate::tile::{Row, TILE_WIDTH, TileName, hashes_at};
use crate::tiler::Tiler;
use crate::tree::{Hash, leaf_hash, sha256};

/// Batches are fetched in pieces of about this size.
const FETCH_BYTES: usize = 1 << 20;

/// Where a ledger stands.
pub(crate) struct Resumed {
    /// The tree at the signed size.
    pub(crate) tiler: Tiler,
    /// The end of the batches.
    pub(crate) position: Position,
    /// Derived files are missing and have to be made again.
    pub(crate) incomplete: bool,
}

/// Finds the tree at the signed size and the end of the batches, or says why this is not the ledger that was signed.
/// Changes nothing.
pub(crate) fn resume(
    store: &Arc<dyn Store>,
    checkpoint: &Checkpoint,
    everything: bool,
) -> Result<Resumed, OpenError> {
    let position = follow_batches(store, checkpoint)?;
    let edge = if everything {
        None
    } else {
        right_edge(&**store, checkpoint)?
    };
    let (tiler, incomplete) = match edge {
        Some(tiler) => (tiler, false),
        None => (recompute(store, checkpoint, position.next_index)?, true),
    };
    if tiler.root() != checkpoint.root && kept(Rule::RecomputeRoot) {
        return Err(OpenError::Rewritten {
            size: checkpoint.size,
        });
    }
    Ok(Resumed {
        tiler,
        position,
        incomplete,
    })
}

/// Reads the last batch that was signed for and all after it; each must follow the one before, and the entries of the
/// first must be those that the level-0 tiles tell of.
fn follow_batches(store: &Arc<dyn Store>, checkpoint: &Checkpoint) -> Result<Position, OpenError> {
    let batches = store.batches()?;
    let mut position = Position {
        next_index: 0,
        next_number: 0,
        previous: sha256(checkpoint.origin.as_bytes()),
        time: 0,
    };
    let mut known = true;
    if let Some(last) = checkpoint.size.checked_sub(1) {
        position.next_number = match store.find_batch(last)? {
            Some(number) => number,
            None => return truncated(&**store, &batches, checkpoint, position),
        };
        known = false;
    }
    while position.next_number < batches.end {
        let bytes = store.read_batches(position.next_number, FETCH_BYTES)?;
        let mut rest = bytes.as_slice();
        if rest.is_empty() {
            return Err(broken(position.next_number));
        }
        while !rest.is_empty() {
            let record = Record::decode(rest).map_err(|_| broken(position.next_number))?;
            rest = rest.get(record.length..).unwrap_or_default();
            let follows = record.number == position.next_number
                && (!known
                    || record.first_index == position.next_index
                        && record.previous == position.previous
                        && record.time >= position.time);
            let signed_in_part = record.first_index < checkpoint.size && record.end_index() > checkpoint.size;
            if !follows || signed_in_part {
                return Err(broken(position.next_number));
            }
            known = true;
            check_record(&**store, &record, checkpoint)?;
            position = Position {
                next_index: record.end_index(),
                next_number: record.number.saturating_add(1),
                previous: record.hash,
                time: record.time,
            };
        }
    }
    if position.next_index < checkpoint.size {
        return truncated(&**store, &batches, checkpoint, position);
    }
    Ok(position)
}

fn broken(batch: u64) -> OpenError {
    OpenError::BatchBroken { batch }
}

/// The last signed batch is not there. Either the batches end before the checkpoint does: an older copy of the store, or
/// a part of it. Or they begin after it: an older checkpoint was put back, for batches go only when they are long signed.
fn truncated(
    store: &dyn Store,
    batches: &std::ops::Range<u64>,
    checkpoint: &Checkpoint,
    position: Position,
) -> Result<Position, OpenError> {
    let mut entries = position.next_index;
    if let Some(newest) = batches.end.checked_sub(1) {
        let bytes = store.read_batches(newest, 1)?;
        entries = Record::decode(&bytes).map_or(entries, |record| record.end_index());
    }
    if entries >= checkpoint.size {
        return Err(OpenError::CheckpointOld {
            size: checkpoint.size,
            head: entries,
        });
    }
    if !kept(Rule::RefuseRollback) {
        return Ok(Position {
            next_index: entries,
            next_number: batches.end,
            ..position
        });
    }
    Err(OpenError::Truncated {
        journal: entries,
        checkpoint: checkpoint.size,
    })
}

/// Entries that were signed for must be those of the tiles; those that were not must be entries.
fn check_record(store: &dyn Store, record: &Record<'_>, checkpoint: &Checkpoint) -> Result<(), OpenError> {
    for (index, entry) in (record.first_index..).zip(record.entries()) {
        Entry::decode(entry).map_err(|error| OpenError::EntryUnreadable { index, error })?;
    }
    if record.end_index() != checkpoint.size {
        return Ok(());
    }
    // The last batch that was signed for. It holds the hash of the one before, and so of all before it.
    let mut tile: Option<(u64, Option<Vec<Hash>>)> = None;
    for (index, entry) in (record.first_index..).zip(record.entries()) {
        let number = index.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
        if tile.as_ref().is_none_or(|(at, _)| *at != number) {
            tile = Some((number, read_hashes(store, checkpoint.size, 0, number)?));
        }
        // A tile that is missing is recomputed from the entries, and then the root tells.
        let Some((_, Some(hashes))) = &tile else {
            continue;
        };
        let place = narrow(index.checked_rem(u64::from(TILE_WIDTH)).unwrap_or(0));
        if hashes.get(place) != Some(&leaf_hash(entry)) {
            return Err(OpenError::Rewritten {
                size: checkpoint.size,
            });
        }
    }
    Ok(())
}

/// The unfinished tiles and the unfinished bundle at the signed size; `None` unless all of them are there and lead to
/// the signed root.
fn right_edge(store: &dyn Store, checkpoint: &Checkpoint) -> Result<Option<Tiler>, StoreError> {
    let size = checkpoint.size;
    let mut levels = Vec::new();
    for level in 0..=u8::MAX {
        let count = hashes_at(size, level);
        if count == 0 {
            break;
        }
        let number = count.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
        if count.is_multiple_of(u64::from(TILE_WIDTH)) {
            levels.push(Vec::new());
            continue;
        }
        match read_hashes(store, size, level, number)? {
            Some(hashes) => levels.push(hashes),
            None => return Ok(None),
        }
    }
    let Some(bundle) = read_bundle(store, size, levels.first())? else {
        return Ok(None);
    };
    let tiler = Tiler::resume(size, levels, bundle);
    Ok(Some(tiler).filter(|tiler| tiler.root() == checkpoint.root))
}

/// The hashes of tile `number` of `level` that a tree of `size` entries has.
fn read_hashes(
    store: &dyn Store,
    size: u64,
    level: u8,
    number: u64,
) -> Result<Option<Vec<Hash>>, StoreError> {
    let first = number.saturating_mul(u64::from(TILE_WIDTH));
    let width = hashes_at(size, level).saturating_sub(first);
    let Some(bytes) = read_tile(store, Row::Level(level), number, width)? else {
        return Ok(None);
    };
    let (hashes, _) = bytes.as_chunks::<32>();
    let wanted = hashes.get(..narrow(width.min(u64::from(TILE_WIDTH))));
    Ok(wanted.map(<[Hash]>::to_vec))
}

/// The unfinished bundle, if its entries are those of the unfinished level-0 tile.
fn read_bundle(
    store: &dyn Store,
    size: u64,
    leaves: Option<&Vec<Hash>>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let leaves = leaves.map(Vec::as_slice).unwrap_or_default();
    if leaves.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let width = size.checked_rem(u64::from(TILE_WIDTH)).unwrap_or(0);
    let number = size.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
    let Some(mut bytes) = read_tile(store, Row::Entries, number, width)? else {
        return Ok(None);
    };
    let mut entries = Entries::new(&bytes);
    for leaf in leaves {
        if entries.next().is_none_or(|entry| leaf_hash(entry) != *leaf) {
            return Ok(None);
        }
    }
    let used = bytes.len().saturating_sub(entries.rest().len());
    bytes.truncate(used);
    Ok(Some(bytes))
}

/// A partial tile, or the full one that followed it.
fn read_tile(store: &dyn Store, row: Row, index: u64, width: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let width = u16::try_from(width).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
    let exact = store.read_file(&TileName { row, index, width }.to_string())?;
    if exact.is_some() || width == TILE_WIDTH {
        return Ok(exact);
    }
    store.read_file(&TileName::full(row, index).to_string())
}

/// The tree of all entries, read from the first one on.
fn recompute(store: &Arc<dyn Store>, checkpoint: &Checkpoint, head: u64) -> Result<Tiler, OpenError> {
    if checkpoint.size > 0 {
        tracing::warn!(
            entries = checkpoint.size,
            "the tree's right edge is not as it was published: recomputing all of the tree"
        );
    }
    let mut tiler = Tiler::default();
    let entries = EntryReader::unchecked(store.clone(), Arc::new(Head::new(head, 0)));
    let read = entries.visit(0, checkpoint.size, &mut |_, entry| {
        tiler.push(entry, &mut |_, _| Ok::<(), io::Error>(()))
    });
    match read {
        Ok(()) => Ok(tiler),
        Err(ReadError::Damaged { index }) => Err(OpenError::EntriesMissing { index }),
        Err(ReadError::Io(error)) => Err(error.into()),
    }
}
