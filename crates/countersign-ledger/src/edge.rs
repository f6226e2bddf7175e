//! The right edge of a tree: all that is needed to append leaves and to tell the root.

use crate::tree::{Hash, empty_root, node_hash};

/// A tree of which only the roots of its perfect subtrees are kept: at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    size: u64,
    /// Left to right; one for each bit of the size.
    peaks: Vec<Hash>,
}

impl Edge {
    /// The tree of `size` leaves whose perfect subtrees have these roots.
    #[cfg(feature = "http")]
    pub(crate) fn new(size: u64, peaks: Vec<Hash>) -> Self {
        Self { size, peaks }
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends the leaf with this hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root at the present size.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{leaf_hash, root_of};

    #[test]
    fn the_root_is_right_at_every_size() {
        let leaves: Vec<Hash> = (0..600u64)
            .map(|number| leaf_hash(&number.to_be_bytes()))
            .collect();
        let mut edge = Edge::default();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(edge.root(), root_of(&leaves[..size]), "{size}");
            edge.push(*leaf);
            assert_eq!(edge.peaks.len(), edge.size().count_ones() as usize);
        }
    }
}
