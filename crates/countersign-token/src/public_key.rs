//! Public keys from raw components: checked once, kept parsed, and written as JWKs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use serde_json::{Map, Value};

use crate::base64url;
use crate::fingerprint::Thumbprint;
use crate::jwks::KeyFault;
use crate::key::Algorithm;

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;
/// FIPS 186-5 §A.1.1: the public exponent is odd and above 2^16. The upper end is what the verifier below computes
/// with; no honest key comes near.
const RSA_EXPONENT_MIN: u64 = 65_537;
const RSA_EXPONENT_MAX: u64 = u32::MAX as u64;

/// A public key that passed every check. Cloning is cheap.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    components: Components,
    parsed: ParsedPublicKey,
    thumbprint: Thumbprint,
}

enum Components {
    P256 { x: String, y: String },
    Ed25519 { x: String },
    Rsa { n: String, e: String },
}

impl PublicKey {
    /// An ES256 key from an uncompressed point: `0x04 || x || y`, 65 bytes.
    pub fn from_es256_point(point: &[u8]) -> Result<Self, KeyFault> {
        let Some((4, coordinates)) = point.split_first() else {
            return Err(KeyFault::PointInvalid);
        };
        if coordinates.len() != 64 {
            return Err(KeyFault::PointInvalid);
        }
        let (x, y) = coordinates.split_at(32);
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let components = Components::P256 {
            x: base64url::encode(x),
            y: base64url::encode(y),
        };
        Self::new(components, parsed.map_err(|_| KeyFault::PointInvalid)?)
    }

    /// An `EdDSA` key from the 32 bytes of an Ed25519 public key. Points of small order are refused: for them anyone
    /// can make signatures. A point off the curve is taken, for the check costs as much as a signature's; no signature
    /// is ever found to be its own.
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, KeyFault> {
        if bytes.len() != 32 || is_weak_ed25519(bytes) {
            return Err(KeyFault::PointInvalid);
        }
        let parsed = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyFault::PointInvalid)?;
        Self::new(
            Components::Ed25519 {
                x: base64url::encode(bytes),
            },
            parsed,
        )
    }

    /// An RS256 key from modulus and exponent, big-endian without leading zeros.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        check_modulus(modulus)?;
        check_exponent(exponent)?;
        let parsed = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| KeyFault::RsaModulusInvalid)?;
        let components = Components::Rsa {
            n: base64url::encode(modulus),
            e: base64url::encode(exponent),
        };
        Self::new(components, parsed)
    }

    fn new(components: Components, parsed: ParsedPublicKey) -> Result<Self, KeyFault> {
        // RFC 7638 hashes the required members in lexical order, without white space: `to_jwk` lists them so.
        let canonical = serde_json::to_vec(&components.to_jwk()).map_err(|_| KeyFault::MemberInvalid)?;
        let thumbprint = Thumbprint::of_canonical_jwk(&canonical);
        Ok(Self(Arc::new(Inner {
            components,
            parsed,
            thumbprint,
        })))
    }

    /// The one algorithm this key is used with.
    pub fn algorithm(&self) -> Algorithm {
        match self.0.components {
            Components::P256 { .. } => Algorithm::Es256,
            Components::Ed25519 { .. } => Algorithm::EdDsa,
            Components::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// The members RFC 7638 requires: `kty` and the key itself.
    pub fn to_jwk(&self) -> Map<String, Value> {
        self.0.components.to_jwk()
    }

    /// Whether `signature` (in JWS form: ES256 is `r || s`, 64 bytes) is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.parsed.verify_sig(message, signature).is_ok()
    }

    /// The fingerprint needs the same SHA-256 that ES256 and RS256 sign, so it is computed once.
    pub(crate) fn verify_hashed(&self, message: &[u8], digest: &Digest, signature: &[u8]) -> bool {
        match self.algorithm() {
            Algorithm::Es256 | Algorithm::Rs256 => self.0.parsed.verify_digest_sig(digest, signature).is_ok(),
            Algorithm::EdDsa => self.verify(message, signature),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.0.thumbprint)
    }
}

/// RFC 7638 thumbprint of a public key in JWK form, for example a client's `jwk`.
///
/// Takes the same keys as a key set does and refuses the others with the same reasons.
pub fn jwk_thumbprint(jwk: &Value) -> Result<Thumbprint, KeyFault> {
    crate::jwk::read_public_key(jwk).map(|key| key.thumbprint())
}

impl Components {
    fn to_jwk(&self) -> Map<String, Value> {
        let members: &[(&str, &str)] = match self {
            Self::P256 { x, y } => &[("crv", "P-256"), ("kty", "EC"), ("x", x), ("y", y)],
            Self::Ed25519 { x } => &[("crv", "Ed25519"), ("kty", "OKP"), ("x", x)],
            Self::Rsa { n, e } => &[("e", e), ("kty", "RSA"), ("n", n)],
        };
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect()
    }
}

fn check_modulus(modulus: &[u8]) -> Result<(), KeyFault> {
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
        RSA_BITS_MIN..=RSA_BITS_MAX => Ok(()),
        _ => Err(KeyFault::RsaModulusTooLarge),
    }
}

fn check_exponent(exponent: &[u8]) -> Result<(), KeyFault> {
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
fn is_weak_ed25519(bytes: &[u8]) -> bool {
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
    let mut y = [0; 32];
    for (to, from) in y.iter_mut().zip(bytes) {
        *to = *from;
    }
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    let [low, middle @ .., high] = &y;
    let not_canonical = *high == 0x7f && *low >= 0xed && middle.iter().all(|byte| *byte == 0xff);
    not_canonical || [ZERO, ONE, MINUS_ONE, EIGHT_A, EIGHT_B].contains(&y)
}
