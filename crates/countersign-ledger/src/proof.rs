//! Inclusion and consistency proofs (RFC 6962, checked as in RFC 9162), and C2SP tlog-proof receipts.

mod receipt;

use std::collections::BTreeMap;
use std::io;

pub use receipt::TlogProof;

use crate::checkpoint::CheckpointError;
use crate::ledger::Ledger;
use crate::policy::Distrust;
use crate::tile::{Row, TILE_WIDTH, TileName, hashes_at};
use crate::tree::{Hash, node_hash, root_of, split_size};

/// Where proofs find their tiles.
pub trait Tiles {
    /// The bytes of a published tile; `None` when there is none of that name.
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>>;
}

impl Tiles for Ledger {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        Self::tile(self, name)
    }
}

/// The path of leaf `index` in the tree of `size` leaves, leaf to root.
pub fn inclusion(tiles: &dyn Tiles, size: u64, index: u64) -> Result<Vec<Hash>, ProofError> {
    path_to(tiles, size, index, 1)
}

/// The path of bundle number `bundle`, whose leaves are 256 or the last ones, in the tree of `size` leaves. It is
/// checked with [`verify_bundle`], one path for all of a bundle's entries.
pub fn bundle_path(tiles: &dyn Tiles, size: u64, bundle: u64) -> Result<Vec<Hash>, ProofError> {
    let width = u64::from(TILE_WIDTH);
    path_to(tiles, size, bundle.saturating_mul(width), width)
}

/// The path from the root to the subtree of at most `width` leaves (a power of two) around leaf `index`.
fn path_to(tiles: &dyn Tiles, size: u64, index: u64, width: u64) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { size });
    }
    let mut hashes = Hashes {
        tiles,
        size,
        read: BTreeMap::new(),
    };
    let mut path = Vec::new();
    let (mut low, mut count) = (0u64, size);
    while count > width {
        let left = split_size(count);
        let middle = low.saturating_add(left);
        if index < middle {
            path.push(hashes.range(middle, count.saturating_sub(left))?);
            count = left;
        } else {
            path.push(hashes.range(low, left)?);
            low = middle;
            count = count.saturating_sub(left);
        }
    }
    path.reverse();
    Ok(path)
}

/// The roots of the perfect subtrees that the tree of `size` leaves is made of, left to right.
#[cfg(feature = "http")]
pub(crate) fn peaks(tiles: &dyn Tiles, size: u64) -> Result<Vec<Hash>, ProofError> {
    let mut hashes = Hashes {
        tiles,
        size,
        read: BTreeMap::new(),
    };
    let mut peaks = Vec::new();
    let mut low = 0u64;
    for bit in (0..u64::BITS).rev() {
        let count = size & 1u64.checked_shl(bit).unwrap_or(0);
        if count > 0 {
            peaks.push(hashes.range(low, count)?);
            low = low.saturating_add(count);
        }
    }
    Ok(peaks)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves.
pub fn consistency(tiles: &dyn Tiles, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange { size: new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let mut hashes = Hashes {
        tiles,
        size: new,
        read: BTreeMap::new(),
    };
    let mut proof = Vec::new();
    let (mut low, mut count, mut known) = (0u64, new, true);
    // RFC 6962 section 2.1.2, SUBPROOF, from the root down; `known` as long as the old tree itself is the subtree.
    while old != low.saturating_add(count) {
        let left = split_size(count);
        let middle = low.saturating_add(left);
        if old <= middle {
            proof.push(hashes.range(middle, count.saturating_sub(left))?);
            count = left;
        } else {
            proof.push(hashes.range(low, left)?);
            low = middle;
            count = count.saturating_sub(left);
            known = false;
        }
    }
    if !known {
        proof.push(hashes.range(low, count)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks an inclusion proof (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { size });
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Mismatch);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            let skip = node.trailing_zeros().min(63);
            node >>= skip;
            last >>= skip;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(ProofError::Mismatch)
    }
}

/// Checks that `leaves`, the leaf hashes of bundle number `bundle`, are those of the tree of `size` leaves.
///
/// Whole bundles are perfect subtrees, so a tree over bundles, the last one perhaps shorter, has the same root as the
/// tree over leaves.
pub fn verify_bundle(
    bundle: u64,
    size: u64,
    leaves: &[Hash],
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let width = u64::from(TILE_WIDTH);
    let expect = size.saturating_sub(bundle.saturating_mul(width)).min(width);
    if crate::bytes::wide(leaves.len()) != expect {
        return Err(ProofError::Mismatch);
    }
    verify_inclusion(bundle, size.div_ceil(width), &root_of(leaves), path, root)
}

/// Checks a consistency proof (RFC 9162 section 2.1.4.2).
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange { size: new });
    }
    if old == new || old == 0 {
        let same = old != new && *old_root == crate::tree::empty_root() || old == new && old_root == new_root;
        return if same && proof.is_empty() {
            Ok(())
        } else {
            Err(ProofError::Mismatch)
        };
    }
    let mut siblings = proof.iter();
    let first = if old.is_power_of_two() {
        old_root
    } else {
        siblings.next().ok_or(ProofError::Mismatch)?
    };
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    let skip = node.trailing_ones().min(63);
    node >>= skip;
    last >>= skip;
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in siblings {
        if last == 0 {
            return Err(ProofError::Mismatch);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            let skip = if node == 0 { 0 } else { node.trailing_zeros() };
            node >>= skip;
            last >>= skip;
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(ProofError::Mismatch)
    }
}

/// Hashes of a published tree, from its tiles.
struct Hashes<'a> {
    tiles: &'a dyn Tiles,
    size: u64,
    read: BTreeMap<TileName, Vec<Hash>>,
}

impl Hashes<'_> {
    /// The root over `count` leaves from `low` on, a range that occurs in the tree.
    fn range(&mut self, low: u64, count: u64) -> Result<Hash, ProofError> {
        if count.is_power_of_two() {
            return self.subtree(count.trailing_zeros(), low >> count.trailing_zeros());
        }
        let left = split_size(count);
        let first = self.range(low, left)?;
        let second = self.range(low.saturating_add(left), count.saturating_sub(left))?;
        Ok(node_hash(&first, &second))
    }

    /// The root of the perfect subtree number `index` of height `height`.
    fn subtree(&mut self, height: u32, index: u64) -> Result<Hash, ProofError> {
        let level = u8::try_from(height >> 3).unwrap_or(u8::MAX);
        let width = 1usize.checked_shl(height & 7).unwrap_or(1);
        let first = index.checked_shl(height & 7).unwrap_or(u64::MAX);
        let tile = first >> 8;
        let start = usize::from(first.to_be_bytes()[7]);
        let hashes = self.tile(level, tile)?;
        let wanted = hashes.get(start..start.saturating_add(width));
        wanted.map(root_of).ok_or(ProofError::TileMissing)
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], ProofError> {
        let row = Row::Level(level);
        let full = TileName::full(row, index);
        if !self.read.contains_key(&full) {
            let present =
                hashes_at(self.size, level).saturating_sub(index.saturating_mul(u64::from(TILE_WIDTH)));
            let width = u16::try_from(present).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
            let exact = self.tiles.tile(TileName { row, index, width })?;
            // A partial tile gives way to the full one.
            let bytes = if exact.is_none() && width < TILE_WIDTH {
                self.tiles.tile(full)?
            } else {
                exact
            };
            let bytes = bytes.ok_or(ProofError::TileMissing)?;
            let (hashes, _) = bytes.as_chunks::<32>();
            self.read.insert(full, hashes.to_vec());
        }
        Ok(self.read.get(&full).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Why a proof could not be made, or does not prove anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The index or size is not in the (published) tree.
    #[error("not in the published tree of {size} entries")]
    OutOfRange {
        /// The tree's size.
        size: u64,
    },
    /// Not a tlog-proof.
    #[error("not a tlog-proof")]
    Malformed,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the checkpoint's root")]
    Mismatch,
    /// The checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint in it is not believed.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// A tile that the tree needs is not there.
    #[error("a tile is missing")]
    TileMissing,
    /// The disk refused.
    #[error("reading a tile failed")]
    Io(#[from] io::Error),
}

impl ProofError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "proof_out_of_range",
            Self::Malformed => "proof_malformed",
            Self::Mismatch => "proof_mismatch",
            Self::Checkpoint(error) => error.code(),
            Self::Distrusted(error) => error.code(),
            Self::TileMissing => "proof_tile_missing",
            Self::Io(_) => "proof_read_failed",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OutOfRange { .. } => {
                Some("new entries are published within a fraction of a second: try again")
            }
            Self::Checkpoint(error) => error.hint(),
            Self::Distrusted(error) => error.hint(),
            Self::TileMissing => Some("audit the ledger; opening it makes missing tiles again"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiler::Tiler;
    use crate::tree::leaf_hash;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use ct_merkle::{ConsistencyProof, InclusionProof};
    use proptest::prelude::*;
    use sha2::Sha256;

    /// A tree with its tiles in memory, at one size.
    struct Memory {
        tiles: BTreeMap<TileName, Vec<u8>>,
        leaves: Vec<Hash>,
    }

    impl Memory {
        fn of(size: u64) -> Self {
            let mut tiles = BTreeMap::new();
            let mut edge = Tiler::default();
            let mut leaves = Vec::new();
            for number in 0..size {
                let entry = number.to_be_bytes();
                leaves.push(leaf_hash(&entry));
                edge.push(&entry, &mut |name, bytes| {
                    tiles.insert(name, bytes.to_vec());
                    Ok(())
                })
                .unwrap();
            }
            edge.partials(&mut |name, bytes| {
                tiles.insert(name, bytes.to_vec());
                Ok(())
            })
            .unwrap();
            Self { tiles, leaves }
        }

        fn root(&self, size: u64) -> Hash {
            root_of(&self.leaves[..usize::try_from(size).unwrap()])
        }
    }

    impl Tiles for Memory {
        fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
            Ok(self.tiles.get(&name).cloned())
        }
    }

    fn check_tree(tree: &Memory, size: u64, index: u64, old: u64) {
        let root = tree.root(size);
        check_bundle(tree, size, index / 256, &root);
        let leaf = tree.leaves[usize::try_from(index).unwrap()];
        let mut path = inclusion(tree, size, index).unwrap();
        verify_inclusion(index, size, &leaf, &path, &root).unwrap();
        assert!(index == 0 || verify_inclusion(index - 1, size, &leaf, &path, &root).is_err());
        if let Some(first) = path.first_mut() {
            first[0] ^= 1;
            assert!(verify_inclusion(index, size, &leaf, &path, &root).is_err());
        }
        let mut proof = consistency(tree, old, size).unwrap();
        verify_consistency(old, size, &proof, &tree.root(old), &root).unwrap();
        if let Some(last) = proof.last_mut() {
            last[31] ^= 1;
            assert!(verify_consistency(old, size, &proof, &tree.root(old), &root).is_err());
        }
    }

    fn check_bundle(tree: &Memory, size: u64, bundle: u64, root: &Hash) {
        let first = usize::try_from(bundle * 256).unwrap();
        let mut leaves = tree.leaves[first..tree.leaves.len().min(first + 256)].to_vec();
        let path = bundle_path(tree, size, bundle).unwrap();
        verify_bundle(bundle, size, &leaves, &path, root).unwrap();
        assert!(verify_bundle(bundle + 1, size, &leaves, &path, root).is_err());
        assert!(verify_bundle(bundle, size, &leaves[1..], &path, root).is_err());
        leaves.last_mut().unwrap()[0] ^= 1;
        assert!(verify_bundle(bundle, size, &leaves, &path, root).is_err());
    }

    #[test]
    fn every_proof_of_every_small_tree_verifies() {
        for size in 1..=40 {
            let tree = Memory::of(size);
            for index in 0..size {
                check_tree(&tree, size, index, index);
            }
            check_tree(&tree, size, 0, size);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn proofs_of_larger_trees_verify(size in 250u64..70_000, index in any::<u64>(), old in any::<u64>()) {
            let tree = Memory::of(size);
            check_tree(&tree, size, index % size, old % (size + 1));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Somebody else's tree makes the same proofs, hash by hash, and takes ours.
        #[test]
        fn ct_merkle_makes_the_same_proofs(size in 1u64..3_000, index in any::<u64>(), old in any::<u64>()) {
            let (index, old) = (index % size, 1 + old % size);
            let tree = Memory::of(size);
            let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
            let mut old_root = theirs.root();
            for number in 0..size {
                theirs.push(number.to_be_bytes().to_vec());
                if number + 1 == old {
                    old_root = theirs.root();
                }
            }
            let root = theirs.root();
            prop_assert_eq!(root.as_bytes().as_slice(), tree.root(size));
            let position = usize::try_from(index).unwrap();
            let path = inclusion(&tree, size, index).unwrap().concat();
            prop_assert_eq!(&path, &theirs.prove_inclusion(position).as_bytes().to_vec());
            let path = InclusionProof::try_from_bytes(path).unwrap();
            prop_assert!(root.verify_inclusion(&index.to_be_bytes().to_vec(), index, &path).is_ok());
            if old < size {
                let proof = consistency(&tree, old, size).unwrap().concat();
                let added = usize::try_from(size - old).unwrap();
                prop_assert_eq!(&proof, &theirs.prove_consistency(added).as_bytes().to_vec());
                let proof = ConsistencyProof::try_from_bytes(proof).unwrap();
                prop_assert!(root.verify_consistency(&old_root, &proof).is_ok());
            }
        }
    }

    #[test]
    fn hostile_proofs_are_refused_without_panic() {
        assert!(verify_inclusion(0, u64::MAX, &[0; 32], &[[0; 32]; 64], &[0; 32]).is_err());
        assert!(verify_inclusion(u64::MAX - 1, u64::MAX, &[0; 32], &[[0; 32]; 64], &[0; 32]).is_err());
        assert!(
            verify_bundle(
                u64::MAX / 256,
                u64::MAX,
                &[[0; 32]; 255],
                &[[0; 32]; 64],
                &[0; 32]
            )
            .is_err()
        );
        assert!(verify_bundle(u64::MAX, 1, &[], &[], &[0; 32]).is_err());
        assert!(verify_consistency(1 << 63, u64::MAX, &[[0; 32]; 64], &[0; 32], &[0; 32]).is_err());
        assert!(verify_consistency(5, 9, &[], &[0; 32], &[0; 32]).is_err());
    }
}
