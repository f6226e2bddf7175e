//! Key pairs: generated, parsed once, used to sign; the private part never leaves but as PKCS#8 to be sealed.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::config::SigningAlgorithm;

/// The cryptographic library refused: a broken key, or a failure of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the private key cannot be used")]
pub struct KeyError;

/// A private key, parsed once.
pub(crate) struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
    EdDsa(Ed25519KeyPair),
}

/// The public half, as the members of a JWK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The required members in the order of RFC 7638, without braces: `"crv":"P-256","kty":"EC","x":"…","y":"…"`.
    members: String,
    thumbprint: [u8; 32],
}

impl PrivateKey {
    /// Makes a key; the second value is what has to be sealed and kept.
    pub(crate) fn generate(algorithm: SigningAlgorithm) -> Result<(Self, Zeroizing<Vec<u8>>), KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            SigningAlgorithm::Es256 => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                Zeroizing::new(document.map_err(|_| KeyError)?.as_ref().to_vec())
            }
            SigningAlgorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| KeyError)?;
                Zeroizing::new(document.as_ref().to_vec())
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        Ok((Self::from_pkcs8(algorithm, &pkcs8)?, pkcs8))
    }

    /// Parses a key.
    pub(crate) fn from_pkcs8(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Es256)
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(|pair| Pair::Rs256(Box::new(pair))),
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::EdDsa),
        }
        .map_err(|_| KeyError)?;
        let public = PublicKey::new(pair.public_members()?);
        Ok(Self { pair, public })
    }

    /// Makes an ES256 key for a client, as a private JWK, and its public half.
    pub(crate) fn generate_client_jwk() -> Result<(Zeroizing<String>, PublicKey), KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError)?;
        let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| KeyError)?;
        let scalar = Zeroizing::new(URL_SAFE_NO_PAD.encode(scalar.as_ref()));
        let public = PublicKey::new(Pair::Es256(pair).public_members()?);
        let (members, key_id) = (public.members(), public.key_id());
        let jwk = format!(
            r#"{{{members},"d":"{}","kid":"{key_id}","alg":"ES256","use":"sig"}}"#,
            *scalar
        );
        Ok((Zeroizing::new(jwk), public))
    }

    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        match self.pair {
            Pair::Es256(_) => SigningAlgorithm::Es256,
            Pair::Rs256(_) => SigningAlgorithm::Rs256,
            Pair::EdDsa(_) => SigningAlgorithm::EdDsa,
        }
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Completes a JWS: `signing_input` becomes `signing_input.signature`.
    pub(crate) fn complete(&self, signing_input: &mut String) -> Result<(), KeyError> {
        let signature;
        let rsa;
        let bytes = match &self.pair {
            Pair::Es256(pair) => {
                signature = pair
                    .sign(&SystemRandom::new(), signing_input.as_bytes())
                    .map_err(|_| KeyError)?;
                signature.as_ref()
            }
            Pair::EdDsa(pair) => {
                signature = pair.try_sign(signing_input.as_bytes()).map_err(|_| KeyError)?;
                signature.as_ref()
            }
            Pair::Rs256(pair) => {
                let mut buffer = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    signing_input.as_bytes(),
                    &mut buffer,
                )
                .map_err(|_| KeyError)?;
                rsa = buffer;
                rsa.as_slice()
            }
        };
        signing_input.push('.');
        URL_SAFE_NO_PAD.encode_string(bytes, signing_input);
        Ok(())
    }

    /// Room that a signature takes in a JWS, dot included.
    pub(crate) fn signature_length(&self) -> usize {
        match &self.pair {
            Pair::Es256(_) | Pair::EdDsa(_) => 1 + 86,
            Pair::Rs256(pair) => pair
                .public_modulus_len()
                .saturating_mul(4)
                .div_ceil(3)
                .saturating_add(1),
        }
    }
}

impl Pair {
    fn public_members(&self) -> Result<String, KeyError> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Es256(pair) => {
                // Uncompressed point: 0x04, x, y.
                let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or(KeyError)?;
                let (x, y) = point.split_at_checked(32).ok_or(KeyError)?;
                Ok(format!(
                    r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#,
                    text(x),
                    text(y)
                ))
            }
            Self::Rs256(pair) => {
                let key = pair.public_key();
                let n = text(key.modulus().big_endian_without_leading_zero());
                let e = text(key.exponent().big_endian_without_leading_zero());
                Ok(format!(r#""e":"{e}","kty":"RSA","n":"{n}""#))
            }
            Self::EdDsa(pair) => Ok(format!(
                r#""crv":"Ed25519","kty":"OKP","x":"{}""#,
                text(pair.public_key().as_ref())
            )),
        }
    }
}

impl PublicKey {
    /// From members in the order of RFC 7638, as [`PublicKey::members`] gives them.
    pub(crate) fn new(members: String) -> Self {
        let hash = digest(&SHA256, format!("{{{members}}}").as_bytes());
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(hash.as_ref());
        Self { members, thumbprint }
    }

    pub(crate) fn members(&self) -> &str {
        &self.members
    }

    pub(crate) fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Our `kid`: the RFC 7638 thumbprint, so that no two keys share one and nobody chooses it.
    pub(crate) fn key_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "PrivateKey({} {})",
            self.algorithm().as_str(),
            self.public.key_id()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_pkcs8_and_sign() {
        for algorithm in [
            SigningAlgorithm::Es256,
            SigningAlgorithm::Rs256,
            SigningAlgorithm::EdDsa,
        ] {
            let (key, pkcs8) = PrivateKey::generate(algorithm).unwrap();
            let again = PrivateKey::from_pkcs8(algorithm, &pkcs8).unwrap();
            assert_eq!(again.public(), key.public());
            let mut token = "header.payload".to_owned();
            key.complete(&mut token).unwrap();
            assert_eq!(token.len(), "header.payload".len() + key.signature_length());
            assert!(format!("{key:?}").starts_with("PrivateKey("));
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused() {
        let (_, pkcs8) = PrivateKey::generate(SigningAlgorithm::Es256).unwrap();
        assert!(PrivateKey::from_pkcs8(SigningAlgorithm::EdDsa, &pkcs8).is_err());
        assert!(PrivateKey::from_pkcs8(SigningAlgorithm::Es256, &pkcs8[1..]).is_err());
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::new(format!(r#""e":"AQAB","kty":"RSA","n":"{n}""#));
        assert_eq!(key.key_id(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
