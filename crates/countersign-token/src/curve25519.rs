//! Whether 32 bytes are a point of the Edwards curve of Ed25519.
//!
//! The library under us says so only while it verifies, where an impossible key looks like a wrong signature. A key set
//! should say it when it is read. Only additions, comparisons and shifts are needed: nothing here is secret, and a key
//! is looked at once.

/// Little-endian, below [`PRIME`].
type Number = [u64; 4];

/// 2^255 - 19.
const PRIME: Number = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, u64::MAX >> 1];

const ONE: Number = [1, 0, 0, 0];

/// `d` of the curve `-x² + y² = 1 + d·x²·y²` (RFC 8032 §5.1): -121665/121666.
const D: Number = [
    0x75eb_4dca_1359_78a3,
    0x0070_0a4d_4141_d8ab,
    0x8cc7_4079_7779_e898,
    0x5203_6cee_2b6f_fe73,
];

/// Whether a canonical `y`, the sign of `x` in its highest bit, belongs to a point.
pub(crate) fn is_on_curve(bytes: &[u8; 32]) -> bool {
    let mut y = [0; 4];
    for (limb, bytes) in y.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = bytes
            .iter()
            .rev()
            .fold(0, |limb: u64, byte| limb << 8 | u64::from(*byte));
    }
    y[3] &= u64::MAX >> 1;
    // x² = u / v, where v is never zero. That has a solution if u·v is a square, so if both or neither are.
    let square = multiply(y, y);
    let u = if square == [0; 4] {
        subtract(PRIME, ONE)
    } else {
        subtract(square, ONE)
    };
    let v = add(multiply(D, square), ONE);
    u == [0; 4] || is_square(u) == is_square(v)
}

fn add(a: Number, b: Number) -> Number {
    let (mut sum, mut carry) = ([0; 4], false);
    for (to, (a, b)) in sum.iter_mut().zip(a.into_iter().zip(b)) {
        (*to, carry) = a.carrying_add(b, carry);
    }
    // Both are below 2^255, so nothing is carried out.
    if is_below(sum, PRIME) {
        sum
    } else {
        subtract(sum, PRIME)
    }
}

/// Of a number that is not smaller.
fn subtract(a: Number, b: Number) -> Number {
    let (mut difference, mut borrow) = ([0; 4], false);
    for (to, (a, b)) in difference.iter_mut().zip(a.into_iter().zip(b)) {
        (*to, borrow) = a.borrowing_sub(b, borrow);
    }
    difference
}

fn multiply(a: Number, b: Number) -> Number {
    let mut product = [0; 4];
    for limb in b.into_iter().rev() {
        for bit in (0..64).rev() {
            product = add(product, product);
            if limb >> bit & 1 == 1 {
                product = add(product, a);
            }
        }
    }
    product
}

/// Whether a number other than zero is a square modulo [`PRIME`], by its Jacobi symbol.
fn is_square(number: Number) -> bool {
    let (mut a, mut n, mut is_square) = (number, PRIME, true);
    while a != [0; 4] {
        while a[0] & 1 == 0 {
            a = halve(a);
            // The second supplement of the law of quadratic reciprocity.
            is_square ^= matches!(n[0] & 7, 3 | 5);
        }
        if is_below(a, n) {
            (a, n) = (n, a);
            // The law itself.
            is_square ^= a[0] & n[0] & 3 == 3;
        }
        a = subtract(a, n);
    }
    is_square
}

fn halve(a: Number) -> Number {
    [
        a[0] >> 1 | a[1] << 63,
        a[1] >> 1 | a[2] << 63,
        a[2] >> 1 | a[3] << 63,
        a[3] >> 1,
    ]
}

fn is_below(a: Number, b: Number) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn about_half_of_all_numbers_are_points() {
        let points: Vec<u8> = (2..40)
            .filter(|y| {
                let mut bytes = [0; 32];
                bytes[0] = *y;
                is_on_curve(&bytes)
            })
            .collect();
        // Computed with another program, from the equation itself.
        assert_eq!(
            points,
            [
                3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19, 21, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 37, 39
            ]
        );
    }

    #[test]
    fn every_real_key_is_a_point() {
        for seed in 0..64 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            assert!(is_on_curve(pair.public_key().as_ref().try_into().unwrap()));
        }
    }

    #[test]
    fn numbers_are_reduced() {
        let minus_one = subtract(PRIME, ONE);
        assert_eq!(multiply(minus_one, minus_one), ONE);
        assert_eq!(add(minus_one, ONE), [0; 4]);
        // 2^255 - 19 is 5 modulo 8: there -1 is a square and 2 is none.
        assert!(is_square(ONE) && is_square(minus_one) && !is_square([2, 0, 0, 0]));
        assert!(!is_square(D), "or the curve would not be complete");
    }
}
