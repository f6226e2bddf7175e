//! RFC 6962 section 2.1, as the text has it.

use crate::tree::sha256;

pub(super) type Hash = [u8; 32];

/// Longer leaves are hashed from the heap.
const SHORT_LEAF: usize = 511;

/// Hash of a leaf.
pub(super) fn leaf(entry: &[u8]) -> Hash {
    let mut short = [0u8; SHORT_LEAF.saturating_add(1)];
    let end = entry.len().saturating_add(1);
    match short.get_mut(1..end) {
        Some(room) => {
            room.copy_from_slice(entry);
            sha256(short.get(..end).unwrap_or_default())
        }
        None => sha256(&[&[0x00], entry].concat()),
    }
}

/// Hash of an inner node.
pub(super) fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut input = [0x01; 65];
    for (to, from) in input.iter_mut().skip(1).zip(left.iter().chain(right)) {
        *to = *from;
    }
    sha256(&input)
}

/// MTH of a list that is given by its leaf hashes.
pub(super) fn hash_list(list: &[Hash]) -> Hash {
    match list {
        [] => sha256(b""),
        [only] => *only,
        [left, right] => parent(left, right),
        _ => {
            let (left, right) = list.split_at(left_part(list.len()));
            parent(&hash_list(left), &hash_list(right))
        }
    }
}

/// k: the largest power of two smaller than n, for n > 1.
fn left_part(n: usize) -> usize {
    let mut k = 1usize;
    while k.saturating_mul(2) < n {
        k = k.saturating_mul(2);
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_left_part_is_the_largest_power_of_two_below() {
        for (n, k) in [
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 4),
            (8, 4),
            (9, 8),
            (256, 128),
            (257, 256),
        ] {
            assert_eq!(left_part(n), k, "{n}");
        }
    }

    #[test]
    fn long_and_short_leaves_hash_alike() {
        for length in [0, 1, 510, 511, 512, 65_535] {
            let entry = vec![7u8; length];
            assert_eq!(
                leaf(&entry),
                sha256(&[&[0], entry.as_slice()].concat()),
                "{length}"
            );
        }
    }
}
