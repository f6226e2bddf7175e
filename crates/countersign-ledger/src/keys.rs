//! Reads at start what the entries say of keys, and believes only entries that lead to the signed root.

use std::io;

use crate::checkpoint::Checkpoint;
use crate::entries::{EntryReader, ReadError, Visit};
use crate::proof::{self, Tiles};
use crate::registry::{RebuildError, Registry};
use crate::tiler::Tiler;
use crate::tree::leaf_hash;

/// What proves an entry below the signed size.
pub(crate) struct Signed<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    /// The right edge of the signed tree, already compared with its root.
    pub(crate) edge: &'a Tiler,
    pub(crate) tiles: &'a dyn Tiles,
}

/// The registry of all confirmed entries. `signed` is none when every entry has just been hashed.
///
/// Entries above the signed size lie in batches that were found to follow each other. Those below may come from
/// anywhere, a bundle for instance: key entries are proved one by one, those since the last waypoint together.
pub(crate) fn read(entries: &EntryReader, signed: Option<&Signed<'_>>) -> Result<Registry, RebuildError> {
    Registry::rebuild(entries.head(), &|from, to, visit| match signed {
        Some(signed) if from < signed.checkpoint.size => signed.read(entries, from, to, visit),
        _ => entries.visit(from, to, visit),
    })
}

impl Signed<'_> {
    fn read(
        &self,
        entries: &EntryReader,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<(), ReadError> {
        if to == from.saturating_add(1) {
            return entries.visit(from, to, &mut |index, entry| {
                if self.holds(index, entry) {
                    visit(index, entry)
                } else {
                    Err(not_signed())
                }
            });
        }
        // Begins at a waypoint, so that the tree of what follows is the right edge of the whole.
        let mut tree = Tiler::default();
        entries.visit(from, to, &mut |index, entry| {
            if index < self.checkpoint.size {
                tree.push(entry, &mut |_, _| Ok(()))?;
            }
            visit(index, entry)
        })?;
        if self.edge.ends_with(&tree) {
            Ok(())
        } else {
            Err(ReadError::Damaged { index: from })
        }
    }

    fn holds(&self, index: u64, entry: &[u8]) -> bool {
        let Checkpoint { size, root, .. } = self.checkpoint;
        proof::inclusion(self.tiles, *size, index)
            .and_then(|path| proof::verify_inclusion(index, *size, &leaf_hash(entry), &path, root))
            .is_ok()
    }
}

fn not_signed() -> io::Error {
    io::Error::other("an entry is not the one that was signed")
}
