//! The fixed keys, and signatures that stay the same.
//!
//! ECDSA signatures are random. So that the corpus is a function of its sources all the same, each signature is kept
//! under the hash of key and message, and taken from there as long as it verifies; only a missing one is made anew.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65,
    ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::rsa;

/// Base64url without padding.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The reverse, for text that this tool wrote.
pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).context("not base64url")
}

/// Private test keys, and the signatures they made.
pub(super) struct Keys {
    by_id: BTreeMap<String, Map<String, Value>>,
    kept: BTreeMap<String, String>,
    used: BTreeMap<String, String>,
    made: usize,
    /// The first thing that went wrong; asked for once, at the end.
    fault: Option<anyhow::Error>,
}

impl Keys {
    /// Reads the set of private keys, and the kept signatures.
    pub(super) fn read(keys: &str, kept: &str) -> Result<Self> {
        let set: Value = serde_json::from_str(keys).context("the test keys are not JSON")?;
        let list = set
            .get("keys")
            .and_then(Value::as_array)
            .context("there are no test keys")?;
        let named = list.iter().filter_map(|key| {
            let key = key.as_object()?;
            Some((key.get("kid")?.as_str()?.to_owned(), key.clone()))
        });
        Ok(Self {
            by_id: named.collect(),
            kept: serde_json::from_str(kept).context("the kept signatures are not JSON")?,
            used: BTreeMap::new(),
            made: 0,
            fault: None,
        })
    }

    /// The signatures that were used, to be kept, and how many of them are new.
    pub(super) fn finish(self) -> Result<(String, usize)> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut text = serde_json::to_string_pretty(&self.used)?;
        text.push('\n');
        Ok((text, self.made))
    }

    /// A member of a key, as text.
    pub(super) fn member(&mut self, kid: &str, name: &str) -> String {
        let found = self
            .by_id
            .get(kid)
            .and_then(|key| key.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned);
        found.unwrap_or_else(|| {
            self.fail(anyhow!("the test key {kid} has no {name}"));
            String::new()
        })
    }

    /// The same, decoded.
    pub(super) fn bytes(&mut self, kid: &str, name: &str) -> Vec<u8> {
        let text = self.member(kid, name);
        decode(&text).unwrap_or_default()
    }

    /// The algorithm that this key is for.
    pub(super) fn algorithm(&mut self, kid: &str) -> &'static str {
        let kty = self.member(kid, "kty");
        match kty.as_str() {
            "RSA" => "RS256",
            "OKP" => "EdDSA",
            "AKP" => match self.member(kid, "alg").as_str() {
                "ML-DSA-44" => "ML-DSA-44",
                "ML-DSA-65" => "ML-DSA-65",
                _ => "ML-DSA-87",
            },
            _ if self.member(kid, "crv") == "P-384" => "ES384",
            _ => "ES256",
        }
    }

    /// Signs with the key's own algorithm.
    pub(super) fn sign(&mut self, kid: &str, message: &[u8]) -> Vec<u8> {
        match self.algorithm(kid) {
            "RS256" => self.sign_rsa(kid, "RS256", message),
            "EdDSA" => {
                let seed = self.bytes(kid, "d");
                let signed = Ed25519KeyPair::from_seed_unchecked(&seed)
                    .map(|pair| pair.sign(message).as_ref().to_vec());
                signed.unwrap_or_else(|_| self.broken(kid))
            }
            algorithm if algorithm.starts_with("ML-DSA") => self.sign_ml_dsa(kid, algorithm, message),
            _ => self.sign_ecdsa(kid, message),
        }
    }

    fn sign_ml_dsa(&mut self, kid: &str, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let (public, seed) = (self.bytes(kid, "pub"), self.bytes(kid, "priv"));
        let (signing, checking) = match algorithm {
            "ML-DSA-44" => (&ML_DSA_44_SIGNING, &ML_DSA_44),
            "ML-DSA-65" => (&ML_DSA_65_SIGNING, &ML_DSA_65),
            _ => (&ML_DSA_87_SIGNING, &ML_DSA_87),
        };
        self.remember(
            kid,
            message,
            |signature| {
                UnparsedPublicKey::new(checking, &public)
                    .verify(message, signature)
                    .is_ok()
            },
            || {
                let pair = PqdsaKeyPair::from_seed(signing, &seed)?;
                let mut signature = vec![0; signing.signature_len()];
                pair.sign(message, &mut signature)?;
                Ok(signature)
            },
        )
    }

    /// Signs with an RSA key in one of the six ways.
    pub(super) fn sign_rsa(&mut self, kid: &str, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let length = self.bytes(kid, "n").len();
        let hash = match algorithm.get(2..) {
            Some("384") => &SHA384,
            Some("512") => &SHA512,
            _ => &SHA256,
        };
        let block = if algorithm.starts_with("PS") {
            rsa::pss_block(length, hash, hash.output_len(), message)
        } else {
            rsa::block(length, 1, 0xff, &rsa::digest_info(hash, message))
        };
        self.sign_block(kid, &block)
    }

    /// RSA over any block as long as the modulus.
    pub(super) fn sign_block(&mut self, kid: &str, block: &[u8]) -> Vec<u8> {
        let [n, e, d] = ["n", "e", "d"].map(|name| self.bytes(kid, name));
        self.remember(
            kid,
            block,
            |signature| rsa::power(signature, &e, &n) == block,
            || Ok(rsa::power(block, &d, &n)),
        )
    }

    fn sign_ecdsa(&mut self, kid: &str, message: &[u8]) -> Vec<u8> {
        let [x, y, d] = ["x", "y", "d"].map(|name| self.bytes(kid, name));
        let point = [&[4], x.as_slice(), &y].concat();
        let (signing, checking) = if x.len() == 48 {
            (&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED)
        } else {
            (&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P256_SHA256_FIXED)
        };
        self.remember(
            kid,
            message,
            |signature| {
                UnparsedPublicKey::new(checking, &point)
                    .verify(message, signature)
                    .is_ok()
            },
            || {
                let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &d, &point)?;
                Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
            },
        )
    }

    /// The kept signature if it verifies, else a new one that does.
    fn remember(
        &mut self,
        kid: &str,
        message: &[u8],
        verifies: impl Fn(&[u8]) -> bool,
        sign: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Vec<u8> {
        let hash = digest(&SHA256, &[kid.as_bytes(), &[0], message].concat());
        let name = encode(hash);
        let kept = self
            .used
            .get(&name)
            .or_else(|| self.kept.get(&name))
            .and_then(|text| decode(text).ok())
            .filter(|it| verifies(it));
        let signature = match kept.map_or_else(
            || {
                self.made += 1;
                sign().and_then(|new| {
                    ensure!(verifies(&new), "a new signature of {kid} does not verify");
                    Ok(new)
                })
            },
            Ok,
        ) {
            Ok(signature) => signature,
            Err(error) => {
                self.fail(error);
                return Vec::new();
            }
        };
        self.used.insert(name, encode(&signature));
        signature
    }

    fn broken(&mut self, kid: &str) -> Vec<u8> {
        self.fail(anyhow!("the test key {kid} cannot sign"));
        Vec::new()
    }

    fn fail(&mut self, error: anyhow::Error) {
        self.fault.get_or_insert(error);
    }
}
