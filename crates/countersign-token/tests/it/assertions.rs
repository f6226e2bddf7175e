//! A client's assertion at the token endpoint.

use countersign_token::assertion::{AssertionPolicy, client_keys, verify};
use countersign_token::{KeySet, KeyState, ParsedToken};
use serde_json::{Value, json};

use crate::world::{NOW, Signer};

const CLIENT: &str = "mail-client";
const ENDPOINT: &str = "https://id.example/consumer/token";

fn keys_of(signers: &[&Signer]) -> KeySet {
    let keys: Vec<_> = signers
        .iter()
        .map(|signer| Value::Object(signer.public().to_jwk()))
        .collect();
    let set = client_keys(json!({ "keys": keys }).to_string().as_bytes(), CLIENT).unwrap();
    assert_eq!((set.len(), set.refused().len()), (signers.len(), 0));
    set
}

fn assertion() -> (Value, Value) {
    let claims = json!({
        "iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "jti": "a-1", "iat": NOW, "nbf": NOW, "exp": NOW + 60
    });
    (json!({ "alg": "ES256" }), claims)
}

fn code(token: &str, keys: &KeySet) -> &'static str {
    let audiences = ["https://id.example/consumer".to_owned(), ENDPOINT.to_owned()];
    let policy = AssertionPolicy::new(CLIENT, &audiences, NOW);
    match ParsedToken::parse(token).and_then(|token| verify(&token, keys, &policy)) {
        Err(refusal) => refusal.code(),
        Ok(assertion) => {
            assert_eq!(assertion.token_id, "a-1");
            assert!(assertion.expires_at > NOW);
            "accepted"
        }
    }
}

#[test]
fn assertions_of_the_client_are_accepted() {
    let signer = Signer::es256();
    let keys = keys_of(&[&signer]);
    let kid = signer.public().thumbprint().to_base64url();
    for edit in [
        (|_, _, _| {}) as fn(&mut Value, &mut Value, &str),
        |h, _, _| h["typ"] = json!("JWT"),
        |h, _, _| h["typ"] = json!("client-authentication+jwt"),
        |h, _, kid| h["kid"] = json!(kid),
        |_, c, _| c["aud"] = json!(["https://id.example/consumer"]),
        |_, c, _| drop(c.as_object_mut().unwrap().remove("iat")),
        |_, c, _| drop(c.as_object_mut().unwrap().remove("nbf")),
    ] {
        let (mut header, mut claims) = assertion();
        edit(&mut header, &mut claims, &kid);
        assert_eq!(
            code(&signer.token(&header, &claims), &keys),
            "accepted",
            "{header} {claims}"
        );
    }
}

#[test]
fn everything_else_is_refused() {
    let signer = Signer::es256();
    let keys = keys_of(&[&signer]);
    for (part, name, value, expected) in [
        ("header", "typ", json!("at+jwt"), "token_type_mismatch"),
        ("header", "typ", json!("dpop+jwt"), "token_type_mismatch"),
        ("header", "kid", json!("other"), "key_unknown"),
        ("header", "alg", json!("EdDSA"), "algorithm_mismatch"),
        ("header", "alg", json!("none"), "algorithm_none"),
        ("header", "alg", json!("HS256"), "algorithm_symmetric"),
        ("claims", "iss", json!("other"), "client_mismatch"),
        ("claims", "sub", json!("ada"), "client_mismatch"),
        (
            "claims",
            "aud",
            json!("https://evil.example"),
            "audience_mismatch",
        ),
        ("claims", "exp", json!(NOW - 30), "claim_invalid"),
        ("claims", "exp", json!(NOW + 301), "lifetime_too_long"),
        ("claims", "nbf", json!(NOW + 31), "token_not_yet_valid"),
        ("claims", "iat", json!(NOW + 31), "issued_in_future"),
        ("claims", "sub", json!("mail-client2"), "client_mismatch"),
    ] {
        let (mut header, mut claims) = assertion();
        if part == "header" {
            header[name] = value.clone();
        } else {
            claims[name] = value.clone();
        }
        assert_eq!(
            code(&signer.token(&header, &claims), &keys),
            expected,
            "{name}: {value}"
        );
    }
    for name in ["iss", "sub", "aud", "jti", "exp"] {
        let (header, mut claims) = assertion();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(
            code(&signer.token(&header, &claims), &keys),
            "claim_missing",
            "{name}"
        );
    }
    let (header, mut claims) = assertion();
    claims["iat"] = json!(NOW - 90);
    claims["nbf"] = json!(NOW - 90);
    claims["exp"] = json!(NOW - 30);
    assert_eq!(code(&signer.token(&header, &claims), &keys), "token_expired");
    let (header, claims) = assertion();
    assert_eq!(
        code(&Signer::es256().token(&header, &claims), &keys),
        "signature_invalid"
    );
}

#[test]
fn without_a_key_id_there_must_be_one_key() {
    let (a, b) = (Signer::es256(), Signer::es256());
    let (header, claims) = assertion();
    assert_eq!(
        code(&a.token(&header, &claims), &keys_of(&[&a, &b])),
        "key_id_missing"
    );
    assert_eq!(
        code(&a.token(&header, &claims), &KeySet::default()),
        "key_id_missing"
    );
    for (state, expected) in [
        (KeyState::Active, "accepted"),
        (KeyState::Staged, "key_staged"),
        (KeyState::Retired, "key_expired"),
        (KeyState::Expired, "key_expired"),
        (KeyState::Suspect, "key_revoked"),
        (KeyState::Revoked, "key_revoked"),
    ] {
        let keys: KeySet = keys_of(&[&a]).keys().map(|key| key.with_state(state)).collect();
        assert_eq!(code(&a.token(&header, &claims), &keys), expected);
    }
}
