//! A whole token with each algorithm, through all rules.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
    ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use countersign_token::{
    Algorithm, Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, PublicKey, Registry,
    SigningWindow,
};
use serde_json::{Value, json};

use crate::world::{FOREIGN, NOW, World, claims, encode, verify_both};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;
type Spoil<'a> = &'a dyn Fn(&mut Vec<u8>);

fn ecdsa(algorithm: Algorithm, signing: &'static EcdsaSigningAlgorithm) -> (PublicKey, Sign) {
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let public = PublicKey::from_ec_point(algorithm, pair.public_key().as_ref()).unwrap();
    let sign = move |text: &[u8]| pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
    (public, Box::new(sign))
}

fn rsa(algorithm: Algorithm, encoding: &'static dyn RsaEncoding) -> (PublicKey, Sign) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
    let (n, e) = (
        n.big_endian_without_leading_zero(),
        e.big_endian_without_leading_zero(),
    );
    let public = PublicKey::from_rsa(algorithm, n, e).unwrap();
    let sign = move |text: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), text, &mut signature)
            .unwrap();
        signature
    };
    (public, Box::new(sign))
}

fn ml_dsa(algorithm: Algorithm, signing: &'static PqdsaSigningAlgorithm) -> (PublicKey, Sign) {
    let pair = PqdsaKeyPair::generate(signing).unwrap();
    let public = PublicKey::from_ml_dsa(algorithm, pair.public_key().as_ref()).unwrap();
    let sign = move |text: &[u8]| {
        let mut signature = vec![0; signing.signature_len()];
        let length = pair.sign(text, &mut signature).unwrap();
        signature.truncate(length);
        signature
    };
    (public, Box::new(sign))
}

fn pair(algorithm: Algorithm) -> (PublicKey, Sign) {
    match algorithm {
        Algorithm::Es256 => ecdsa(algorithm, &ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => ecdsa(algorithm, &ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => ecdsa(algorithm, &ECDSA_P521_SHA512_FIXED_SIGNING),
        Algorithm::Rs256 => rsa(algorithm, &RSA_PKCS1_SHA256),
        Algorithm::Rs384 => rsa(algorithm, &RSA_PKCS1_SHA384),
        Algorithm::Rs512 => rsa(algorithm, &RSA_PKCS1_SHA512),
        Algorithm::Ps256 => rsa(algorithm, &RSA_PSS_SHA256),
        Algorithm::Ps384 => rsa(algorithm, &RSA_PSS_SHA384),
        Algorithm::Ps512 => rsa(algorithm, &RSA_PSS_SHA512),
        Algorithm::MlDsa44 => ml_dsa(algorithm, &ML_DSA_44_SIGNING),
        Algorithm::MlDsa65 => ml_dsa(algorithm, &ML_DSA_65_SIGNING),
        Algorithm::MlDsa87 => ml_dsa(algorithm, &ML_DSA_87_SIGNING),
        _ => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = PublicKey::from_ed25519(pair.public_key().as_ref()).unwrap();
            (public, Box::new(move |text| pair.sign(text).as_ref().to_vec()))
        }
    }
}

#[test]
fn a_token_of_each_algorithm_is_verified_and_no_other_name_will_do() {
    let world = World::new();
    for algorithm in Algorithm::ALL {
        let (public, sign) = pair(*algorithm);
        let issuer = IssuerName::parse(FOREIGN).unwrap();
        let key = KeyRecord::new(
            public,
            issuer.clone(),
            "enterprise",
            KeyState::Active,
            SigningWindow::OPEN,
        );
        let keys = KeySet::new(vec![key.clone()]);
        let registry = Registry::new(vec![IssuerRecord::new(issuer, "enterprise", 3_600, keys)]).unwrap();
        let check = Check::new(&registry, &world.resource, NOW);
        let code = |alg: &str, spoil: Spoil<'_>| {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": key.id() });
            let mut claims = claims();
            claims["iss"] = json!(FOREIGN);
            claims.as_object_mut().unwrap().remove("tid");
            let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let mut signature = sign(input.as_bytes());
            spoil(&mut signature);
            let token = format!("{input}.{}", encode(signature));
            verify_both(&token, &check).map_or_else(|refusal| refusal.code(), |_| "admitted")
        };
        let leave = |_: &mut Vec<u8>| {};
        for name in Algorithm::ALL {
            let is_keys = name == algorithm;
            let expected = if is_keys { "admitted" } else { "algorithm_mismatch" };
            assert_eq!(code(name.as_str(), &leave), expected, "{algorithm} called {name}");
        }
        let own = algorithm.as_str();
        let flip = |signature: &mut Vec<u8>| signature[7] ^= 1;
        let shorten = |signature: &mut Vec<u8>| signature.truncate(signature.len() - 1);
        let lengthen = |signature: &mut Vec<u8>| signature.push(0);
        let spoilers: [Spoil<'_>; 4] = [&flip, &shorten, &lengthen, &Vec::clear];
        for spoil in spoilers {
            assert_eq!(code(own, spoil), "signature_invalid", "{algorithm}");
        }
    }
}

/// RFC 9864 gave Ed25519 a second name; the key does not care which of the two a token uses.
#[test]
fn ed25519_has_two_names() {
    let world = World::new();
    for name in ["EdDSA", "Ed25519"] {
        let token = world.token("eddsa", |header, claims| {
            foreign(header, claims);
            header["alg"] = json!(name);
        });
        assert_eq!(world.code(&token), "admitted", "{name}");
    }
    let token = world.token("eddsa", |header, claims| {
        foreign(header, claims);
        header["alg"] = json!("Ed448");
    });
    assert_eq!(world.code(&token), "algorithm_unsupported");
}

/// The issuer of the world that has an Ed25519 key.
fn foreign(header: &mut Value, claims: &mut Value) {
    header["typ"] = json!("JWT");
    claims["iss"] = json!(FOREIGN);
    claims.as_object_mut().unwrap().remove("tid");
}
