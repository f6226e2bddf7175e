//! Wycheproof's vectors of the signatures themselves, each key through a JWK as a key set would carry it.

use countersign_token::{Algorithm, IssuerName, KeyContext, KeyMetadata, KeySet};
use serde_json::{Value, json};

use crate::vectors::published;
use crate::world::encode;

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap().as_bytes();
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
    hex.chunks_exact(2)
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}

/// Minimal length, as JWK asks for: these files write a zero before a number whose first bit is set.
fn number(hex: &Value) -> String {
    let bytes = bytes(hex);
    encode(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..])
}

/// The coordinates in full length.
fn coordinate(hex: &Value, length: usize) -> String {
    let bytes = bytes(hex);
    let significant = &bytes[bytes.len().saturating_sub(length)..];
    encode([vec![0; length - significant.len()], significant.to_vec()].concat())
}

/// A group's public key as a JWK.
fn jwk(group: &Value, algorithm: Algorithm) -> Value {
    let key = &group["publicKey"];
    let ec = |curve: &str, length| {
        json!({
            "kty": "EC", "crv": curve,
            "x": coordinate(&key["wx"], length), "y": coordinate(&key["wy"], length),
        })
    };
    let mut jwk = match algorithm {
        Algorithm::Es256 => ec("P-256", 32),
        Algorithm::Es384 => ec("P-384", 48),
        Algorithm::Es512 => ec("P-521", 66),
        Algorithm::EdDsa => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(bytes(&key["pk"])) }),
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => {
            json!({ "kty": "AKP", "pub": encode(bytes(key)) })
        }
        _ => json!({ "kty": "RSA", "n": number(&key["modulus"]), "e": number(&key["publicExponent"]) }),
    };
    jwk["alg"] = json!(algorithm.as_str());
    jwk["kid"] = json!("1");
    jwk
}

fn load(jwk: &Value) -> KeySet {
    let issuer = IssuerName::parse("https://wycheproof.example").unwrap();
    let context = KeyContext::new(&issuer, "vectors", KeyMetadata::Assumed);
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), &context).unwrap()
}

/// Vectors on which we differ from the file, each set for one reason.
struct Exception<'a> {
    ids: &'a [u64],
    /// What the file says.
    result: &'static str,
    /// Why the key is not taken, if that is why.
    fault: Option<&'static str>,
}

/// Good signatures of keys with exponent 3, which are not taken.
const SMALL_EXPONENT: &str = "key_rsa_exponent_invalid";

/// Good signatures with a context; in JOSE it is empty (RFC 9964 §4).
const WITH_CONTEXT: &[Exception<'static>] = &[Exception {
    ids: &[3, 4],
    result: "valid",
    fault: None,
}];

/// Runs a file; returns how many signatures verified.
fn run(file: &str, algorithm: Algorithm, exceptions: &[Exception<'_>]) -> usize {
    let vectors = published(&format!("wycheproof/testvectors_v1/{file}_test.json"));
    let (mut tests, mut verified, mut excepted) = (0, 0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let set = load(&jwk(group, algorithm));
        let key = set.key("1");
        let fault = set.refused().first().map(|refusal| refusal.reason.code());
        for test in group["tests"].as_array().unwrap() {
            let (id, said) = (test["tcId"].as_u64().unwrap(), test["result"].as_str().unwrap());
            let holds = key.is_some_and(|key| key.verify(&bytes(&test["msg"]), &bytes(&test["sig"])));
            tests += 1;
            verified += usize::from(holds);
            if let Some(exception) = exceptions.iter().find(|exception| exception.ids.contains(&id)) {
                assert_eq!((said, fault), (exception.result, exception.fault), "{file} {id}");
                assert_ne!(holds, said == "valid", "{file} {id}: no exception any more");
                excepted += 1;
            } else {
                // `acceptable` are DER forms that PKCS #1 does not allow: one encoding only.
                assert_eq!(holds, said == "valid", "{file} {id} {}", test["comment"]);
            }
        }
    }
    assert_eq!(vectors["numberOfTests"], tests, "{file}");
    assert_eq!(
        excepted,
        exceptions.iter().map(|it| it.ids.len()).sum::<usize>(),
        "{file}"
    );
    verified
}

#[test]
fn wycheproof_ecdsa() {
    let verified = [
        run("ecdsa_secp256r1_sha256_p1363", Algorithm::Es256, &[]),
        run("ecdsa_secp384r1_sha384_p1363", Algorithm::Es384, &[]),
        run("ecdsa_secp521r1_sha512_p1363", Algorithm::Es512, &[]),
    ];
    assert_eq!(verified, [173, 193, 231]);
}

#[test]
fn wycheproof_ed25519() {
    assert_eq!(run("ed25519", Algorithm::EdDsa, &[]), 88);
}

#[test]
fn wycheproof_rsa_pkcs1() {
    let small_exponent = |ids: &'static [u64]| {
        [Exception {
            ids,
            result: "valid",
            fault: Some(SMALL_EXPONENT),
        }]
    };
    let verified = [
        run(
            "rsa_signature_2048_sha256",
            Algorithm::Rs256,
            &small_exponent(&[258, 259]),
        ),
        run("rsa_signature_2048_sha384", Algorithm::Rs384, &[]),
        run(
            "rsa_signature_2048_sha512",
            Algorithm::Rs512,
            &small_exponent(&[259]),
        ),
        run("rsa_signature_4096_sha512", Algorithm::Rs512, &[]),
    ];
    assert_eq!(verified, [7, 7, 7, 7]);
}

#[test]
fn wycheproof_rsa_pss() {
    let verified = [
        run("rsa_pss_2048_sha256_mgf1_32", Algorithm::Ps256, &[]),
        run("rsa_pss_2048_sha384_mgf1_48", Algorithm::Ps384, &[]),
        run("rsa_pss_4096_sha512_mgf1_64", Algorithm::Ps512, &[]),
    ];
    assert_eq!(verified, [63, 95, 132]);
}

/// RFC 7518 §3.5: the salt is as long as the hash. So of a file about empty salts nothing holds but the one vector that
/// is wrong there because its salt is not empty.
#[test]
fn wycheproof_rsa_pss_with_another_salt_length_is_refused() {
    let empty_salt: Vec<u64> = (1..=61).collect();
    let exceptions = [
        Exception {
            ids: &empty_salt,
            result: "valid",
            fault: None,
        },
        Exception {
            ids: &[69],
            result: "invalid",
            fault: None,
        },
    ];
    assert_eq!(
        run("rsa_pss_2048_sha256_mgf1_0", Algorithm::Ps256, &exceptions),
        1
    );
}

#[test]
fn wycheproof_ml_dsa() {
    let verified = [
        run("mldsa_44_verify", Algorithm::MlDsa44, WITH_CONTEXT),
        run("mldsa_65_verify", Algorithm::MlDsa65, WITH_CONTEXT),
        run("mldsa_87_verify", Algorithm::MlDsa87, WITH_CONTEXT),
    ];
    assert_eq!(verified, [75, 77, 42]);
}
