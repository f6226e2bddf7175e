//! RFC 6962 section 2.1, as the text has it.

use crate::tree::sha256;

pub(super) type Hash = [u8; 32];

/// Hash of a leaf; `buffer` only saves allocations.
pub(super) fn leaf(entry: &[u8], buffer: &mut Vec<u8>) -> Hash {
    buffer.clear();
    buffer.push(0x00);
    buffer.extend_from_slice(entry);
    sha256(buffer)
}

/// Hash of an inner node.
pub(super) fn parent(left: &Hash, right: &Hash) -> Hash {
    let mut input = Vec::with_capacity(65);
    input.push(0x01);
    input.extend_from_slice(left);
    input.extend_from_slice(right);
    sha256(&input)
}

/// MTH of a list that is given by its leaf hashes.
pub(super) fn hash_list(list: &[Hash]) -> Hash {
    match list {
        [] => sha256(b""),
        [only] => *only,
        _ => {
            let left = usize::try_from(left_part(u64::try_from(list.len()).unwrap_or(0))).unwrap_or(0);
            let (left, right) = list.split_at(left);
            parent(&hash_list(left), &hash_list(right))
        }
    }
}

/// k: the largest power of two smaller than n, for n > 1.
pub(super) fn left_part(n: u64) -> u64 {
    let mut k = 1u64;
    while k.saturating_mul(2) < n {
        k = k.saturating_mul(2);
        if k == 1 << 63 {
            break;
        }
    }
    k
}
