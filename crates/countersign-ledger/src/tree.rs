//! RFC 6962 tree hashing over SHA-256.

use aws_lc_rs::digest;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;
/// Entries up to this size are hashed from the stack.
const SHORT_LEAF: usize = 255;

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The hash of a leaf: SHA-256 of a zero byte and the entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    // One-shot hashing of a small stack buffer is twice as fast as a hashing context with two updates.
    let mut short = [LEAF_PREFIX; SHORT_LEAF.saturating_add(1)];
    let length = entry.len().saturating_add(1);
    if let Some(buffer) = short.get_mut(..length) {
        if let Some(tail) = buffer.get_mut(1..) {
            tail.copy_from_slice(entry);
        }
        return sha256(buffer);
    }
    let mut long = Vec::with_capacity(length);
    long.push(LEAF_PREFIX);
    long.extend_from_slice(entry);
    sha256(&long)
}

/// The hash of an inner node: SHA-256 of a one byte and both children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut buffer = [NODE_PREFIX; 65];
    if let Some((_, children)) = buffer.split_first_mut() {
        let (first, second) = children.split_at_mut(32);
        first.copy_from_slice(left);
        second.copy_from_slice(right);
    }
    sha256(&buffer)
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The root over `hashes`, each the root of an equally large perfect subtree.
#[must_use]
pub fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(split_below(hashes.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The largest power of two below `length`, for a length of at least two.
fn split_below(length: usize) -> usize {
    length.div_ceil(2).next_power_of_two()
}

/// The same on `u64`, for sizes of trees.
pub(crate) fn split_size(size: u64) -> u64 {
    size.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_the_largest_power_of_two_below() {
        for (length, expect) in [
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 4),
            (8, 4),
            (9, 8),
            (256, 128),
            (257, 256),
        ] {
            assert_eq!(split_below(length), expect, "{length}");
        }
    }

    #[test]
    fn rfc_6962_golden_vectors() {
        // The test vectors of the certificate-transparency reference implementation.
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        assert_eq!(
            hex::encode(empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let hashes: Vec<Hash> = leaves
            .iter()
            .map(|leaf| leaf_hash(&hex::decode(leaf).unwrap()))
            .collect();
        for (count, root) in (1..).zip(roots) {
            assert_eq!(hex::encode(root_of(&hashes[..count])), root, "{count} leaves");
        }
    }

    #[test]
    fn long_and_short_leaves_hash_alike() {
        for length in [0, 1, 254, 255, 256, 257, 1000] {
            let entry = vec![7u8; length];
            let mut prefixed = vec![0u8];
            prefixed.extend(&entry);
            assert_eq!(leaf_hash(&entry), sha256(&prefixed), "{length}");
        }
    }
}
