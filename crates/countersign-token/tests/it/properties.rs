//! Properties that hold for every input.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet, ParsedToken, assertion, explain};
use proptest::prelude::*;
use serde_json::json;

use crate::world::{CONSUMER, World, encode, verify_both};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// Order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn the_twin_of_an_ecdsa_signature_is_the_same_token() {
    let token = WORLD.token("shared", |_, _| {});
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{input}.{}", encode(signature));
    assert_ne!(twin, token);
    let (token, twin) = (WORLD.verify(&token).unwrap(), WORLD.verify(&twin).unwrap());
    assert_eq!(token.fingerprint(), twin.fingerprint());
}

#[test]
fn every_change_of_one_byte_is_refused() {
    for key in ["shared", "rs256", "eddsa"] {
        let token = WORLD.token(key, |header, claims| {
            if key != "shared" {
                header["typ"] = json!("JWT");
                claims["iss"] = json!(crate::world::FOREIGN);
            }
        });
        assert!(WORLD.verify(&token).is_ok());
        for at in 0..token.len() {
            for byte in [b'A', b'B', b'.', b'=', b'-', 0] {
                let mut changed = token.clone().into_bytes();
                if changed[at] == byte {
                    continue;
                }
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert!(
                    verify_both(&changed, &WORLD.check()).is_err(),
                    "{key}: byte {at} to {byte}"
                );
            }
        }
        for at in 0..token.len() {
            assert!(
                verify_both(&token[..at], &WORLD.check()).is_err(),
                "{key}: cut at {at}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_never_panic(text in ".{0,200}") {
        prop_assert!(verify_both(&text, &WORLD.check()).is_err());
    }

    #[test]
    fn segments_of_any_bytes_never_panic(
        header in prop::collection::vec(any::<u8>(), 0..100),
        claims in prop::collection::vec(any::<u8>(), 0..100),
        signature in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let text = format!("{}.{}.{}", encode(header), encode(claims), encode(signature));
        prop_assert!(verify_both(&text, &WORLD.check()).is_err());
    }

    #[test]
    fn any_json_in_any_claim_is_judged_alike_by_verify_and_explain(
        name in "iss|sub|aud|exp|nbf|iat|jti|client_id|tid|email|scope|scp|act|cnf|other",
        value in json_value(),
    ) {
        let token = WORLD.token("shared", |_, claims| claims[&name] = value);
        let _ = verify_both(&token, &WORLD.check());
    }

    #[test]
    fn any_header_member_is_judged_alike_by_verify_and_explain(name in "alg|kid|typ|crit|x5t|other", value in json_value()) {
        let token = WORLD.token("shared", |header, _| header[&name] = value);
        let _ = verify_both(&token, &WORLD.check());
    }

    #[test]
    fn key_sets_of_any_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let issuer = IssuerName::parse(CONSUMER).unwrap();
        let context = KeyContext::new(&issuer, "consumer", KeyMetadata::Assumed);
        let _ = KeySet::parse(&text, &context);
        let _ = assertion::client_keys(&text, "client");
    }

    #[test]
    fn keys_of_any_members_never_panic(value in json_value(), kty in "EC|RSA|OKP|oct", name in "x|y|n|e|crv|kid|iss") {
        let mut key = WORLD.key("consumer").record.to_jwk();
        key["kty"] = json!(kty);
        key[&name] = value;
        let issuer = IssuerName::parse(CONSUMER).unwrap();
        let context = KeyContext::new(&issuer, "consumer", KeyMetadata::Declared);
        let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes(), &context).unwrap();
        prop_assert_eq!(set.len() + set.refused().len(), 1);
    }

    #[test]
    fn issuer_names_of_any_text_never_panic(text in ".{0,60}", iss in ".{0,60}") {
        if let Ok(name) = IssuerName::parse(&text) {
            let _ = name.matches(&iss);
            prop_assert_eq!(name.as_str(), text);
        }
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,20}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

#[test]
fn an_explanation_of_a_huge_text_is_quick_and_sound() {
    let text = "a.".repeat(1_000_000);
    assert!(ParsedToken::parse(&text).is_err());
    assert!(explain(&text, &WORLD.check()).result.is_err());
}
