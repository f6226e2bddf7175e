//! Published examples: RFC 7515 appendix A (RS256, ES256, ES512), RFC 8037 appendix A (Ed25519), RFC 7638 §3.1
//! (thumbprint), RFC 9964 (ML-DSA), RFC 7520 (cookbook).

use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet, PublicKey, dangerous};
use serde_json::{Value, json};

/// A JSON file of `testdata`.
pub(crate) fn published(path: &str) -> Value {
    serde_json::from_str(&published_text(path)).unwrap()
}

/// A file of `testdata`.
pub(crate) fn published_text(path: &str) -> String {
    let path = format!("{}/../../testdata/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn keys(jwk: &Value) -> KeySet {
    let issuer = IssuerName::parse("https://example").unwrap();
    let context = KeyContext::new(&issuer, "r", KeyMetadata::Assumed);
    let mut jwk = jwk.clone();
    if jwk.get("kid").is_none() {
        jwk["kid"] = json!("k");
    }
    KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), &context).unwrap()
}

/// `verified`, or the code of the refusal.
fn outcome(jwk: &Value, token: &str) -> &'static str {
    dangerous::verify_signature_alone(token, &keys(jwk)).map_or_else(|refusal| refusal.code(), |_| "verified")
}

fn verifies(jwk: &Value, token: &str) -> bool {
    outcome(jwk, token) == "verified"
}

/// What can be said aloud of a private key.
fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    for member in ["d", "p", "q", "dp", "dq", "qi", "priv"] {
        jwk.as_object_mut().unwrap().remove(member);
    }
    jwk
}

const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const EXAMPLE_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_rs256() {
    let jwk = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" });
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(verifies(
        &jwk,
        &format!("eyJhbGciOiJSUzI1NiJ9.{EXAMPLE_PAYLOAD}.{signature}")
    ));
    assert!(!verifies(
        &jwk,
        &format!("eyJhbGciOiJSUzI1NiJ9.{EXAMPLE_PAYLOAD}A.{signature}")
    ));
}

#[test]
fn rfc_7515_es256() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verifies(
        &jwk,
        &format!("eyJhbGciOiJFUzI1NiJ9.{EXAMPLE_PAYLOAD}.{signature}")
    ));
}

#[test]
fn rfc_8037_ed25519() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(verifies(&jwk, token));
    assert_eq!(
        PublicKey::from_jwk(&jwk).unwrap().thumbprint().to_base64url(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn rfc_7638_thumbprint() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    assert_eq!(
        PublicKey::from_jwk(&jwk).unwrap().thumbprint().to_base64url(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn rfc_7515_es512() {
    let jwk = json!({
        "kty": "EC", "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    });
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    assert!(verifies(
        &jwk,
        &format!("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.{signature}")
    ));
    assert!(!verifies(
        &jwk,
        &format!("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZB.{signature}")
    ));
}

#[test]
fn rfc_9964_ml_dsa() {
    for name in ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"] {
        let example = published(&format!("rfc9964/{name}.jose.json"));
        let (jwk, jws) = (public(&example["jwk"]), example["jws"].as_str().unwrap());
        assert_eq!(outcome(&jwk, jws), "verified", "{name}");
        let (head, last) = jws.split_at(jws.len() - 10);
        assert_eq!(
            outcome(&jwk, &format!("{head}{}", last.replace(&last[..1], "_"))),
            "signature_invalid"
        );
        assert_eq!(
            PublicKey::from_jwk(&jwk).unwrap().thumbprint().to_base64url(),
            jwk["kid"].as_str().unwrap()
        );
        let refused = keys(&example["jwk"]);
        assert_eq!(refused.refused()[0].reason.code(), "key_private");
    }
}

/// RFC 7520 §4, RFC 7797 §4 and RFC 8037, in the form the working group published them.
#[test]
fn jose_cookbook() {
    for (file, expected) in [
        ("jws/4_1.rsa_v15_signature", "verified"),
        ("jws/4_2.rsa-pss_signature", "verified"),
        ("jws/4_3.ecdsa_signature", "verified"),
        ("jws/4_4.hmac-sha2_integrity_protection", "algorithm_symmetric"),
        ("jws/4_5.signature_with_detached_content", "algorithm_symmetric"),
        ("rfc7797/4.2.hmac-sha2_b64_false", "critical_header_unsupported"),
        ("curve25519/jws", "verified"),
    ] {
        let example = published(&format!("jose-cookbook/{file}.json"));
        let mut jwk = public(&example["input"]["key"]);
        jwk["alg"] = example["input"]["alg"].clone();
        let output = example["output"].as_object().unwrap();
        if let Some(compact) = output.get("compact") {
            assert_eq!(outcome(&jwk, compact.as_str().unwrap()), expected, "{file}");
        }
        for form in ["json", "json_flat"] {
            if let Some(text) = output.get(form) {
                let found = outcome(&jwk, &text.to_string());
                assert!(found != "verified", "{file} {form}");
            }
        }
    }
}

#[test]
fn the_cookbooks_private_keys_are_not_taken() {
    for (file, expected) in [
        ("3_1.ec_public_key", None),
        ("3_2.ec_private_key", Some("key_private")),
        ("3_3.rsa_public_key", None),
        ("3_4.rsa_private_key", Some("key_private")),
        ("3_5.symmetric_key_mac_computation", Some("key_symmetric")),
        ("3_6.symmetric_key_encryption", Some("key_symmetric")),
    ] {
        let keys = keys(&published(&format!("jose-cookbook/jwk/{file}.json")));
        let fault = keys.refused().first().map(|refusal| refusal.reason.code());
        assert_eq!(fault, expected, "{file}");
    }
}
