//! What makes a public key worthless although it is well-formed.

use crate::jwks::KeyFault;

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;
/// FIPS 186-5 §A.1.1: the public exponent is odd and above 2^16. The upper end is what the verifier computes with; no
/// honest key comes near.
const RSA_EXPONENT_MIN: u64 = 65_537;
const RSA_EXPONENT_MAX: u64 = u32::MAX as u64;

/// Size, parity, leading zeros, and how it was made.
pub(crate) fn check_modulus(modulus: &[u8]) -> Result<(), KeyFault> {
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
        return Err(KeyFault::RsaModulusInvalid);
    };
    if *first == 0 || last & 1 == 0 {
        return Err(KeyFault::RsaModulusInvalid);
    }
    let bits = modulus
        .len()
        .saturating_mul(8)
        .saturating_sub(first.leading_zeros() as usize);
    match bits {
        ..RSA_BITS_MIN => Err(KeyFault::RsaModulusTooSmall),
        RSA_BITS_MIN..=RSA_BITS_MAX if is_roca(modulus) => Err(KeyFault::RsaModulusPredictable),
        RSA_BITS_MIN..=RSA_BITS_MAX => Ok(()),
        _ => Err(KeyFault::RsaModulusTooLarge),
    }
}

/// Those of the primes up to 167 modulo which not every number is a power of 65537.
const ROCA_PRIMES: [u64; 17] = [
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

/// Whether the modulus was made by the library of CVE-2017-15361 ("ROCA"), whose keys can be factored.
///
/// Its primes are `k * M + 65537^a mod M`, where `M` is a product of small primes. So every such modulus is a power of
/// 65537 modulo each of them. An honest one passes for that with a chance of about one in 2^27.
fn is_roca(modulus: &[u8]) -> bool {
    ROCA_PRIMES.into_iter().all(|prime| {
        let remainder = |value: u64| value.checked_rem(prime).unwrap_or(0);
        let found = modulus.iter().fold(0, |value: u64, byte| {
            remainder(value.saturating_mul(256).saturating_add(u64::from(*byte)))
        });
        let powers = std::iter::successors(Some(1), |power: &u64| {
            Some(remainder(power.saturating_mul(65_537)))
        });
        // A group of fewer than `prime` powers has come round by then.
        powers.zip(0..prime).any(|(power, _)| power == found)
    })
}

pub(crate) fn check_exponent(exponent: &[u8]) -> Result<(), KeyFault> {
    if exponent.len() > 8 || exponent.first().is_none_or(|first| *first == 0) {
        return Err(KeyFault::RsaExponentInvalid);
    }
    let value = exponent
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let fits = (RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX).contains(&value) && value & 1 == 1;
    fits.then_some(()).ok_or(KeyFault::RsaExponentInvalid)
}

/// Points of small order (in either sign) and non-canonical encodings (y not below the field's prime).
pub(crate) fn is_weak_ed25519(bytes: &[u8; 32]) -> bool {
    const ZERO: [u8; 32] = [0; 32];
    const ONE: [u8; 32] = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    const MINUS_ONE: [u8; 32] = {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xec;
        bytes[31] = 0x7f;
        bytes
    };
    const EIGHT_A: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    const EIGHT_B: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    let mut y = *bytes;
    y[31] &= 0x7f;
    let [low, middle @ .., high] = &y;
    let not_canonical = *high == 0x7f && *low >= 0xed && middle.iter().all(|byte| *byte == 0xff);
    not_canonical || [ZERO, ONE, MINUS_ONE, EIGHT_A, EIGHT_B].contains(&y)
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "small numbers, and a test fails by panicking"
)]
mod tests {
    use super::*;

    /// Big-endian product of a number and a small one.
    fn times(number: &[u8], factor: u64) -> Vec<u8> {
        let mut carry = 0;
        let mut product: Vec<u8> = Vec::new();
        for byte in number.iter().rev() {
            let sum = u64::from(*byte) * factor + carry;
            product.push(sum.to_le_bytes()[0]);
            carry = sum >> 8;
        }
        while carry > 0 {
            product.push(carry.to_le_bytes()[0]);
            carry >>= 8;
        }
        product.reverse();
        product
    }

    #[test]
    fn a_modulus_that_is_a_power_of_65537_for_every_small_prime_is_predictable() {
        let power = (0..128).fold(vec![1], |number, _| times(&number, 65_537));
        assert_eq!(check_modulus(&power), Err(KeyFault::RsaModulusPredictable));
        // One prime for which it is none is enough.
        assert_eq!(check_modulus(&times(&power, 3 * 11)), Ok(()));
        assert_eq!(check_modulus(&times(&power, 157)), Ok(()));
    }

    #[test]
    fn the_primes_are_those_that_say_something() {
        let is_prime = |number: &u64| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
        let telling = (3..168).filter(is_prime).filter(|prime| {
            let mut powers: Vec<_> = std::iter::successors(Some(1), |power| Some(power * 65_537 % prime))
                .take(usize::try_from(*prime).unwrap())
                .collect();
            powers.sort_unstable();
            powers.dedup();
            powers.len() + 1 < usize::try_from(*prime).unwrap()
        });
        let telling: Vec<u64> = telling.collect();
        assert_eq!(telling, ROCA_PRIMES);
    }
}
