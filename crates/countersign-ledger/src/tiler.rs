//! Turns entries, in order, into tiles and bundles. Holds only the unfinished tile of each level.

use std::io;

use crate::bytes::narrow;
use crate::record::push_entry;
use crate::tile::{Row, TILE_WIDTH, TileName};
use crate::tree::{Hash, empty_root, leaf_hash, node_hash, root_of};

/// The unfinished right edge of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiler {
    size: u64,
    /// Hashes of the unfinished tile, level by level.
    levels: Vec<Vec<Hash>>,
    /// The unfinished bundle and the number of entries in it.
    bundle: Vec<u8>,
    bundled: u16,
}

impl Tiler {
    /// The edge of a tree of `size` entries: the hashes of the unfinished tile of each level, and the unfinished bundle.
    pub(crate) fn resume(size: u64, levels: Vec<Vec<Hash>>, bundle: Vec<u8>) -> Self {
        let bundled = size.checked_rem(u64::from(TILE_WIDTH)).unwrap_or(0);
        Self {
            size,
            levels,
            bundle,
            bundled: u16::try_from(bundled).unwrap_or(0),
        }
    }

    /// Number of entries taken in.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes in the next entry and hands every tile and bundle that it completes to `full`.
    pub(crate) fn push(
        &mut self,
        entry: &[u8],
        full: &mut dyn FnMut(TileName, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let index = self.size.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
        self.size = self.size.saturating_add(1);
        push_entry(&mut self.bundle, entry);
        self.bundled = self.bundled.saturating_add(1);
        if self.bundled == TILE_WIDTH {
            full(TileName::full(Row::Entries, index), &self.bundle)?;
            self.bundle.clear();
            self.bundled = 0;
        }
        self.push_hash(leaf_hash(entry), index, full)
    }

    fn push_hash(
        &mut self,
        leaf: Hash,
        mut index: u64,
        full: &mut dyn FnMut(TileName, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut hash = leaf;
        let mut level = 0u8;
        loop {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else {
                return Ok(());
            };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return Ok(());
            }
            full(TileName::full(Row::Level(level), index), hashes.as_flattened())?;
            hash = root_of(hashes);
            hashes.clear();
            level = level.saturating_add(1);
            index = index.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
        }
    }

    /// Hands every partial tile and bundle at the present size to `partial`.
    pub(crate) fn partials(
        &self,
        partial: &mut dyn FnMut(TileName, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut index = self.size;
        for (level, hashes) in (0u8..).zip(&self.levels) {
            index = index.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
            let width = u16::try_from(hashes.len()).unwrap_or(0);
            if width > 0 {
                partial(
                    TileName {
                        row: Row::Level(level),
                        index,
                        width,
                    },
                    hashes.as_flattened(),
                )?;
            }
        }
        if self.bundled > 0 {
            let index = self.size.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
            partial(
                TileName {
                    row: Row::Entries,
                    index,
                    width: self.bundled,
                },
                &self.bundle,
            )?;
        }
        Ok(())
    }

    /// Whether the tree of `last`, entries that begin at a boundary of its highest level, is the right edge of this one.
    pub(crate) fn ends_with(&self, last: &Self) -> bool {
        self.levels.len() >= last.levels.len()
            && self
                .levels
                .iter()
                .zip(&last.levels)
                .all(|(all, end)| all.ends_with(end))
    }

    /// The root at the present size.
    pub(crate) fn root(&self) -> Hash {
        // Right to left: each level's unfinished hashes split into perfect subtrees by the bits of their number.
        let mut right: Option<Hash> = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let low_bit = rest.len().trailing_zeros();
                let width = narrow(1u64.checked_shl(low_bit).unwrap_or(1));
                let (head, subtree) = rest.split_at(rest.len().saturating_sub(width));
                let left = root_of(subtree);
                right = Some(right.map_or(left, |right| node_hash(&left, &right)));
                rest = head;
            }
        }
        right.unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962 section 2.1, word for word.
    fn reference(entries: &[Vec<u8>]) -> Hash {
        match entries.len() {
            0 => empty_root(),
            1 => leaf_hash(&entries[0]),
            n => {
                let mut k = 1;
                while k * 2 < n {
                    k *= 2;
                }
                node_hash(&reference(&entries[..k]), &reference(&entries[k..]))
            }
        }
    }

    fn entry(number: usize) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn the_root_is_the_reference_root_at_every_size_to_600() {
        let entries: Vec<_> = (0..600).map(entry).collect();
        let mut tiler = Tiler::default();
        for size in 0..entries.len() {
            assert_eq!(tiler.root(), reference(&entries[..size]), "size {size}");
            tiler.push(&entries[size], &mut |_, _| Ok(())).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn tiles_and_root_match_the_reference(size in 0usize..140_000) {
            let mut names = Vec::new();
            let mut tiler = Tiler::default();
            let entries: Vec<_> = (0..size).map(entry).collect();
            for entry in &entries {
                tiler.push(entry, &mut |name, bytes| { names.push((name, bytes.len())); Ok(()) }).unwrap();
            }
            prop_assert_eq!(tiler.root(), reference(&entries));
            prop_assert_eq!(names.iter().filter(|(name, _)| name.row == Row::Entries).count(), size / 256);
            prop_assert_eq!(names.iter().filter(|(name, _)| name.row == Row::Level(0)).count(), size / 256);
            prop_assert_eq!(names.iter().filter(|(name, _)| name.row == Row::Level(1)).count(), size / 65_536);
            let mut partials = Vec::new();
            tiler.partials(&mut |name, bytes| { partials.push((name, bytes.len())); Ok(()) }).unwrap();
            for (name, length) in partials {
                if let Row::Level(level) = name.row {
                    prop_assert_eq!(name.width, u16::try_from((size >> (8 * u32::from(level))) % 256).unwrap());
                    prop_assert_eq!(length, usize::from(name.width) * 32);
                }
            }
        }
    }
}
