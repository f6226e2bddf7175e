//! Public keys from raw components: checked once, kept parsed, and written as JWKs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ML_DSA_44, ML_DSA_65,
    ML_DSA_87, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use crate::base64url;
use crate::curve25519;
use crate::fingerprint::Thumbprint;
use crate::jwk;
use crate::jwks::KeyFault;
use crate::key::Algorithm;
use crate::weak_key;

/// A public key that passed every check. Cloning is cheap.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{Algorithm, PublicKey};
/// use serde_json::json;
///
/// // RFC 8037, appendices A.2 and A.3.
/// let key = PublicKey::from_jwk(&json!({
///     "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
/// }))?;
/// assert_eq!(key.algorithm(), Algorithm::EdDsa);
/// assert_eq!(key.thumbprint().to_base64url(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    components: Components,
    parsed: ParsedPublicKey,
    thumbprint: Thumbprint,
}

enum Components {
    Ec {
        curve: &'static str,
        x: String,
        y: String,
    },
    Ed25519 {
        x: String,
    },
    Rsa {
        n: String,
        e: String,
    },
    MlDsa {
        algorithm: &'static str,
        public: String,
    },
}

impl PublicKey {
    /// A key from its JWK, for example a client's `jwk`: the same keys are taken as from a key set, and the others
    /// refused for the same reasons. An RSA key without `alg` is for RS256.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyFault> {
        jwk::read_public_key(jwk)
    }

    /// An ES256, ES384 or ES512 key from an uncompressed point of its curve: `0x04 || x || y`, both coordinates in full
    /// length (32, 48 or 66 bytes each).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    /// use countersign_token::{Algorithm, PublicKey};
    ///
    /// let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    /// let key = PublicKey::from_ec_point(Algorithm::Es256, pair.public_key().as_ref())?;
    /// let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), b"message")?;
    /// assert!(key.verify(b"message", signature.as_ref()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_ec_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, KeyFault> {
        let (curve, verifier) = curve(algorithm).ok_or(KeyFault::AlgorithmUnsupported)?;
        let Some((4, coordinates)) = point.split_first() else {
            return Err(KeyFault::PointInvalid);
        };
        if coordinates.len() != curve.coordinate_bytes.saturating_mul(2) {
            return Err(KeyFault::PointInvalid);
        }
        let (x, y) = coordinates.split_at(curve.coordinate_bytes);
        let parsed = ParsedPublicKey::new(verifier, point).map_err(|_| KeyFault::PointInvalid)?;
        let components = Components::Ec {
            curve: curve.name,
            x: base64url::encode(x),
            y: base64url::encode(y),
        };
        Self::new(algorithm, components, parsed)
    }

    /// An `EdDSA` key from the 32 bytes of an Ed25519 public key. What is no point of the curve is refused, and so are
    /// the points of small order: for them anyone can make signatures.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    /// use countersign_token::{KeyFault, PublicKey};
    ///
    /// let pair = Ed25519KeyPair::generate()?;
    /// let key = PublicKey::from_ed25519(pair.public_key().as_ref())?;
    /// assert!(key.verify(b"message", pair.sign(b"message").as_ref()));
    /// assert_eq!(PublicKey::from_ed25519(&[0; 32]), Err(KeyFault::PointInvalid));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, KeyFault> {
        let encoded: &[u8; 32] = bytes.try_into().map_err(|_| KeyFault::PointInvalid)?;
        if weak_key::is_weak_ed25519(encoded) || !curve25519::is_on_curve(encoded) {
            return Err(KeyFault::PointInvalid);
        }
        let parsed = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyFault::PointInvalid)?;
        let components = Components::Ed25519 {
            x: base64url::encode(bytes),
        };
        Self::new(Algorithm::EdDsa, components, parsed)
    }

    /// A key for one of RS256, RS384, RS512, PS256, PS384 and PS512 from modulus and exponent, big-endian without
    /// leading zeros. With PSS the salt is as long as the hash (RFC 7518 §3.5), and no other length verifies.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use countersign_token::{Algorithm, KeyFault, PublicKey};
    ///
    /// let modulus = [0xa5; 256]; // as the signer's library gives it
    /// let key = PublicKey::from_rsa(Algorithm::Ps256, &modulus, &[1, 0, 1])?;
    /// assert_eq!(key.algorithm(), Algorithm::Ps256);
    /// let short = PublicKey::from_rsa(Algorithm::Ps256, &modulus[..128], &[1, 0, 1]);
    /// assert_eq!(short, Err(KeyFault::RsaModulusTooSmall));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_rsa(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let verifier = rsa_parameters(algorithm).ok_or(KeyFault::AlgorithmUnsupported)?;
        weak_key::check_modulus(modulus)?;
        weak_key::check_exponent(exponent)?;
        let parsed = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        }
        .to_parsed_public_key(verifier)
        .map_err(|_| KeyFault::RsaModulusInvalid)?;
        let components = Components::Rsa {
            n: base64url::encode(modulus),
            e: base64url::encode(exponent),
        };
        Self::new(algorithm, components, parsed)
    }

    /// An ML-DSA-44, ML-DSA-65 or ML-DSA-87 key from its encoding in FIPS 204: 1312, 1952 or 2592 bytes.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use countersign_token::{Algorithm, KeyFault, PublicKey};
    ///
    /// let bytes = [7; 1_312]; // as the signer's library gives them
    /// let key = PublicKey::from_ml_dsa(Algorithm::MlDsa44, &bytes)?;
    /// assert_eq!(key.algorithm(), Algorithm::MlDsa44);
    /// assert_eq!(PublicKey::from_ml_dsa(Algorithm::MlDsa65, &bytes), Err(KeyFault::LengthInvalid));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_ml_dsa(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyFault> {
        let (length, verifier) = ml_dsa(algorithm).ok_or(KeyFault::AlgorithmUnsupported)?;
        // The parser takes other encodings too, a whole `SubjectPublicKeyInfo` for one.
        if bytes.len() != length {
            return Err(KeyFault::LengthInvalid);
        }
        let parsed = ParsedPublicKey::new(verifier, bytes).map_err(|_| KeyFault::LengthInvalid)?;
        let components = Components::MlDsa {
            algorithm: algorithm.as_str(),
            public: base64url::encode(bytes),
        };
        Self::new(algorithm, components, parsed)
    }

    fn new(algorithm: Algorithm, components: Components, parsed: ParsedPublicKey) -> Result<Self, KeyFault> {
        // RFC 7638 hashes the required members in lexical order, without white space: `to_jwk` lists them so.
        let canonical = serde_json::to_vec(&components.to_jwk()).map_err(|_| KeyFault::MemberInvalid)?;
        let thumbprint = Thumbprint::of_canonical_jwk(&canonical);
        Ok(Self(Arc::new(Inner {
            algorithm,
            components,
            parsed,
            thumbprint,
        })))
    }

    /// The one algorithm this key is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// RFC 7638 thumbprint. It names an RSA key alone, whatever algorithm it is used with.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// The members RFC 7638 requires: `kty` and the key itself.
    pub fn to_jwk(&self) -> Map<String, Value> {
        self.0.components.to_jwk()
    }

    /// Whether `signature` is this key's over `message`, in the form JWS has it: ECDSA is `r || s`, each as long as a
    /// coordinate.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.parsed.verify_sig(message, signature).is_ok()
    }

    /// The fingerprint needs the same SHA-256 that ES256, RS256 and PS256 sign, so it is computed once.
    pub(crate) fn verify_hashed<'d>(
        &self,
        message: &[u8],
        digest: impl FnOnce() -> &'d Digest,
        signature: &[u8],
    ) -> bool {
        match self.0.algorithm {
            Algorithm::Es256 | Algorithm::Rs256 | Algorithm::Ps256 => {
                self.0.parsed.verify_digest_sig(digest(), signature).is_ok()
            }
            _ => self.verify(message, signature),
        }
    }
}

/// Two are equal if they are the same key, used with the same algorithm.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (self.0.algorithm, self.0.thumbprint) == (other.0.algorithm, other.0.thumbprint)
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.0.thumbprint)
    }
}

impl Components {
    fn to_jwk(&self) -> Map<String, Value> {
        let members: &[(&str, &str)] = match self {
            Self::Ec { curve, x, y } => &[("crv", curve), ("kty", "EC"), ("x", x), ("y", y)],
            Self::Ed25519 { x } => &[("crv", "Ed25519"), ("kty", "OKP"), ("x", x)],
            Self::Rsa { n, e } => &[("e", e), ("kty", "RSA"), ("n", n)],
            // RFC 9964 §6: here the algorithm is part of the key's name.
            Self::MlDsa { algorithm, public } => &[("alg", algorithm), ("kty", "AKP"), ("pub", public)],
        };
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect()
    }
}

struct Curve {
    name: &'static str,
    coordinate_bytes: usize,
}

fn curve(algorithm: Algorithm) -> Option<(Curve, &'static dyn VerificationAlgorithm)> {
    let (name, coordinate_bytes, verifier): (_, _, &'static dyn VerificationAlgorithm) = match algorithm {
        Algorithm::Es256 => ("P-256", 32, &ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => ("P-384", 48, &ECDSA_P384_SHA384_FIXED),
        Algorithm::Es512 => ("P-521", 66, &ECDSA_P521_SHA512_FIXED),
        _ => return None,
    };
    let curve = Curve {
        name,
        coordinate_bytes,
    };
    Some((curve, verifier))
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// Length of the public key (FIPS 204, table 2) and the verifier.
fn ml_dsa(algorithm: Algorithm) -> Option<(usize, &'static dyn VerificationAlgorithm)> {
    Some(match algorithm {
        Algorithm::MlDsa44 => (1_312, &ML_DSA_44),
        Algorithm::MlDsa65 => (1_952, &ML_DSA_65),
        Algorithm::MlDsa87 => (2_592, &ML_DSA_87),
        _ => return None,
    })
}
