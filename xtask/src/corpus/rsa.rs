//! RSA as arithmetic: the corpus needs signatures over paddings that no honest library makes. For test keys only: it
//! leaks its exponent through its running time.

use aws_lc_rs::digest::{Algorithm, digest};

/// `DigestInfo` of SHA-256, SHA-384 and SHA-512 (RFC 8017 §9.2, note 1), without the hash.
const SHA256_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA384_INFO: &[u8] = b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
const SHA512_INFO: &[u8] = b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// The `DigestInfo` of this hash over this message.
pub(super) fn digest_info(hash: &'static Algorithm, message: &[u8]) -> Vec<u8> {
    let info = match hash.output_len() {
        32 => SHA256_INFO,
        48 => SHA384_INFO,
        _ => SHA512_INFO,
    };
    [info, digest(hash, message).as_ref()].concat()
}

/// A PKCS #1 v1.5 block of `length` bytes: zero, type, filling, zero, content.
pub(super) fn block(length: usize, kind: u8, filling: u8, content: &[u8]) -> Vec<u8> {
    let filled = length.saturating_sub(content.len() + 3);
    [&[0, kind], vec![filling; filled].as_slice(), &[0], content].concat()
}

/// An EMSA-PSS block (RFC 8017 §9.1) for a modulus of `8 * length` bits, with a salt that is always the same.
pub(super) fn pss_block(
    length: usize,
    hash: &'static Algorithm,
    salt_length: usize,
    message: &[u8],
) -> Vec<u8> {
    let salt = vec![0x5a; salt_length];
    let hashed = digest(hash, &[&[0; 8], digest(hash, message).as_ref(), &salt].concat());
    let masked = length.saturating_sub(hashed.as_ref().len() + 1);
    let zeros = vec![0; masked.saturating_sub(salt.len() + 1)];
    let mut data = [zeros.as_slice(), &[1], &salt].concat();
    let mask = (0_u32..).flat_map(|counter| {
        let seed = [hashed.as_ref(), &counter.to_be_bytes()].concat();
        digest(hash, &seed).as_ref().to_vec()
    });
    for (byte, mask) in data.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    if let Some(first) = data.first_mut() {
        *first &= 0x7f;
    }
    [data.as_slice(), hashed.as_ref(), &[0xbc]].concat()
}

/// `base ^ exponent mod modulus`, big-endian, as long as the modulus. The modulus is odd, the base below it.
pub(super) fn power(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let n = limbs(modulus, modulus.len().div_ceil(4));
    let field = Field::new(n);
    let base = field.multiply(&limbs(base, field.modulus.len()), &field.square_of_radix);
    let mut one = vec![0; field.modulus.len()];
    if let Some(first) = one.first_mut() {
        *first = 1;
    }
    let mut result = field.multiply(&one, &field.square_of_radix);
    for byte in exponent {
        for bit in (0..8).rev() {
            result = field.multiply(&result, &result);
            if byte >> bit & 1 == 1 {
                result = field.multiply(&result, &base);
            }
        }
    }
    let result = field.multiply(&result, &one);
    let bytes: Vec<u8> = result.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    bytes
        .get(bytes.len().saturating_sub(modulus.len())..)
        .unwrap_or_default()
        .to_vec()
}

/// Little-endian limbs of a big-endian number.
fn limbs(bytes: &[u8], count: usize) -> Vec<u32> {
    let mut limbs: Vec<u32> = bytes
        .rchunks(4)
        .map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte)))
        .collect();
    limbs.resize(count, 0);
    limbs
}

/// Montgomery's form for one modulus.
struct Field {
    modulus: Vec<u32>,
    /// `-1 / modulus` modulo one limb.
    inverse: u32,
    square_of_radix: Vec<u32>,
}

impl Field {
    fn new(modulus: Vec<u32>) -> Self {
        let low = modulus.first().copied().unwrap_or(1);
        // Newton's iteration doubles the number of correct bits: 1, 2, 4, … 32.
        let inverse = (0..5).fold(1_u32, |x, _| {
            x.wrapping_mul(2_u32.wrapping_sub(low.wrapping_mul(x)))
        });
        let mut radix = vec![0; modulus.len()];
        if let Some(first) = radix.first_mut() {
            *first = 1;
        }
        for _ in 0..64 * modulus.len() {
            radix = doubled(&radix, &modulus);
        }
        Self {
            modulus,
            inverse: inverse.wrapping_neg(),
            square_of_radix: radix,
        }
    }

    /// `a * b / radix` modulo the modulus.
    fn multiply(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u32; self.modulus.len() + 2];
        for digit in b {
            add_product(&mut sum, a, *digit);
            let factor = sum.first().copied().unwrap_or(0).wrapping_mul(self.inverse);
            add_product(&mut sum, &self.modulus, factor);
            sum.rotate_left(1);
        }
        reduced(sum, &self.modulus)
    }
}

/// `sum += a * digit`; the sum is long enough for the carry.
fn add_product(sum: &mut [u32], a: &[u32], digit: u32) {
    let mut carry = 0_u64;
    let digits = a.iter().copied().chain(std::iter::repeat(0));
    for (limb, a) in sum.iter_mut().zip(digits) {
        let total = u64::from(*limb) + u64::from(a) * u64::from(digit) + carry;
        (*limb, carry) = (low(total), total >> 32);
    }
}

fn doubled(a: &[u32], modulus: &[u32]) -> Vec<u32> {
    let mut sum = [a, &[0, 0]].concat();
    add_product(&mut sum, a, 1);
    reduced(sum, modulus)
}

/// A number below twice the modulus, made smaller than it.
fn reduced(mut sum: Vec<u32>, modulus: &[u32]) -> Vec<u32> {
    let longer = || modulus.iter().copied().chain([0, 0]);
    if sum
        .iter()
        .rev()
        .copied()
        .ge(longer().collect::<Vec<_>>().into_iter().rev())
    {
        let mut borrow = 0_u64;
        for (limb, n) in sum.iter_mut().zip(longer()) {
            let total = (1_u64 << 32) + u64::from(*limb) - u64::from(n) - borrow;
            (*limb, borrow) = (low(total), 1 - (total >> 32));
        }
    }
    sum.truncate(modulus.len());
    sum
}

fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_right() {
        assert_eq!(power(&[4], &[13], &[0x01, 0xf1]), [0x01, 0xbd]);
        let modulus = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc5];
        // Fermat: 2^64 - 59 is prime.
        let exponent = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc4];
        assert_eq!(
            power(&[0x12, 0x34], &exponent, &modulus),
            [0, 0, 0, 0, 0, 0, 0, 1]
        );
    }
}
