//! Key sets: good keys are taken, bad ones refused one by one.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, KeyPair as _,
};
use countersign_token::{
    Algorithm, IssuerName, KeyContext, KeyFault, KeyMetadata, KeyRecord, KeySet, KeyState, PublicKey,
    SigningWindow,
};
use serde_json::{Value, json};

use crate::world::{CONSUMER, OTHER_TENANT, Signer, TEMPLATE, TENANT, World, encode, tenant_issuer};

fn parse(keys: &[Value], issuer: &str, metadata: KeyMetadata) -> KeySet {
    let issuer = IssuerName::parse(issuer).unwrap();
    let realm = if matches!(issuer, IssuerName::Exact(_)) {
        "consumer"
    } else {
        "enterprise"
    };
    let context = KeyContext::new(&issuer, realm, metadata);
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &context).unwrap()
}

/// The one key of a set: its fault, or `taken`.
fn fault(key: &Value, issuer: &str, metadata: KeyMetadata) -> &'static str {
    let set = parse(std::slice::from_ref(key), issuer, metadata);
    match set.refused() {
        [] => "taken",
        [refusal] => refusal.reason.code(),
        _ => panic!("one key, several refusals"),
    }
}

fn changed(key: &Value, name: &str, value: Value) -> Value {
    let mut key = key.clone();
    match value {
        Value::Null => drop(key.as_object_mut().unwrap().remove(name)),
        value => key[name] = value,
    }
    key
}

#[test]
fn what_is_written_is_read() {
    let world = World::new();
    for record in world.registry.issuers() {
        let text = record.keys.to_json().to_string();
        let context = KeyContext::new(&record.issuer, &record.realm, KeyMetadata::Declared);
        let read = KeySet::parse(text.as_bytes(), &context).unwrap();
        assert!(read.refused().is_empty());
        assert_eq!(read.to_json(), record.keys.to_json());
        for key in record.keys.keys() {
            let twin = read.key(key.id()).unwrap();
            assert_eq!((twin.state(), twin.window()), (key.state(), key.window()));
            assert_eq!((twin.issuer(), twin.realm()), (key.issuer(), key.realm()));
            assert_eq!(
                PublicKey::from_jwk(&key.to_jwk())
                    .unwrap()
                    .thumbprint()
                    .to_base64url(),
                key.id()
            );
        }
    }
}

#[test]
fn bad_keys_are_refused_with_their_reason() {
    let ec = World::new().key("consumer").record.to_jwk();
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "o", "x": encode([6; 32]) });
    let modulus = |bytes: usize| encode([vec![0x80], vec![1; bytes - 1]].concat());
    let rsa = json!({ "kty": "RSA", "kid": "r", "n": modulus(256), "e": "AQAB" });
    let x = ec["x"].as_str().unwrap();
    let cases = [
        (&ec, "kid", json!(null), "key_id_missing"),
        (&ec, "kid", json!(""), "key_id_invalid"),
        (&ec, "kid", json!(5), "key_id_invalid"),
        (&ec, "kid", json!("a\u{7}"), "key_id_invalid"),
        (&ec, "kid", json!("k".repeat(300)), "key_id_invalid"),
        (&ec, "kty", json!(null), "key_type_missing"),
        (&ec, "kty", json!("oct"), "key_symmetric"),
        (&ec, "k", json!("AAAA"), "key_symmetric"),
        (&ec, "d", json!("AAAA"), "key_private"),
        (&rsa, "p", json!("AAAA"), "key_private"),
        (&ec, "kty", json!("EC2"), "key_type_unsupported"),
        (&ec, "crv", json!("P-384"), "key_algorithm_unsupported"),
        (&ec, "crv", json!("secp256k1"), "key_type_unsupported"),
        (&ec, "crv", json!("Ed25519"), "key_type_unsupported"),
        (&ec, "crv", json!(null), "key_component_missing"),
        (&okp, "crv", json!("X25519"), "key_type_unsupported"),
        (&okp, "crv", json!("Ed448"), "key_type_unsupported"),
        (&okp, "crv", json!(null), "key_component_missing"),
        (&okp, "alg", json!("EdDSA"), "taken"),
        (&okp, "alg", json!("Ed25519"), "taken"),
        (&okp, "alg", json!("Ed448"), "key_algorithm_unsupported"),
        (&okp, "alg", json!("ES256"), "key_algorithm_unsupported"),
        (&ec, "use", json!("enc"), "key_use_not_signature"),
        (&ec, "use", json!(["sig"]), "key_member_invalid"),
        (&ec, "key_ops", json!(["verify"]), "taken"),
        (&ec, "key_ops", json!(["encrypt"]), "key_operations_not_verify"),
        (&ec, "key_ops", json!([]), "key_operations_not_verify"),
        (&ec, "key_ops", json!("verify"), "key_member_invalid"),
        (&ec, "alg", json!("ES384"), "key_algorithm_unsupported"),
        (&ec, "alg", json!(null), "taken"),
        (&rsa, "alg", json!("RS256"), "taken"),
        (&rsa, "alg", json!("PS512"), "taken"),
        (&rsa, "alg", json!("ES256"), "key_algorithm_unsupported"),
        (&rsa, "alg", json!("ML-DSA-44"), "key_algorithm_unsupported"),
        (&rsa, "alg", json!("RSA-OAEP"), "key_algorithm_unsupported"),
        (&rsa, "alg", json!("RS1"), "key_algorithm_unsupported"),
        (&rsa, "alg", json!("HS256"), "key_algorithm_unsupported"),
        (&ec, "x", json!(null), "key_component_missing"),
        (&ec, "x", json!(""), "key_member_invalid"),
        (&ec, "x", json!(format!("{x}=")), "key_base64url_invalid"),
        (&ec, "x", json!(encode([1; 31])), "key_point_invalid"),
        (&ec, "x", json!(encode([1; 33])), "key_point_invalid"),
        (&ec, "x", json!(encode([1; 32])), "key_point_invalid"),
        (&ec, "y", json!(x), "key_point_invalid"),
        (&okp, "x", json!(encode([6; 31])), "key_point_invalid"),
        (&okp, "x", json!(encode([6; 33])), "key_point_invalid"),
        (&okp, "x", json!(encode([7; 32])), "key_point_invalid"),
        (&okp, "x", json!(encode([0; 32])), "key_point_invalid"),
        (&okp, "x", json!(encode([0xff; 32])), "key_point_invalid"),
        (&rsa, "n", json!(modulus(128)), "key_rsa_modulus_too_small"),
        (
            &rsa,
            "n",
            json!(encode([vec![0x7f], vec![1; 255]].concat())),
            "key_rsa_modulus_too_small",
        ),
        (&rsa, "n", json!(modulus(1_024)), "taken"),
        (&rsa, "n", json!(modulus(1_025)), "key_rsa_modulus_too_large"),
        (
            &rsa,
            "n",
            json!(encode([vec![0], vec![0x81; 256]].concat())),
            "key_rsa_modulus_invalid",
        ),
        (&rsa, "n", json!(encode([0x80; 256])), "key_rsa_modulus_invalid"),
        (&rsa, "e", json!("AQ"), "key_rsa_exponent_invalid"),
        (&rsa, "e", json!("Aw"), "key_rsa_exponent_invalid"),
        (&rsa, "e", json!("AQAC"), "key_rsa_exponent_invalid"),
        (&rsa, "e", json!("AAEAAQ"), "key_rsa_exponent_invalid"),
        (&rsa, "e", json!("AQABAQAB"), "key_rsa_exponent_invalid"),
        (&rsa, "e", json!("AQABC"), "key_base64url_invalid"),
        (
            &rsa,
            "x5c",
            json!(["not a certificate, and never looked at"]),
            "taken",
        ),
        (&ec, "iss", json!("https://evil.example"), "key_issuer_foreign"),
    ];
    for (key, name, value, expected) in cases {
        let found = fault(&changed(key, name, value.clone()), CONSUMER, KeyMetadata::Assumed);
        assert_eq!(found, expected, "{}: {name} = {value:.60}", key["kty"]);
    }
    for entry in [json!(null), json!(1), json!("key"), json!([])] {
        assert_eq!(fault(&entry, CONSUMER, KeyMetadata::Assumed), "key_not_an_object");
    }
}

#[test]
fn bad_ml_dsa_keys_are_refused_with_their_reason() {
    let key = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "m", "pub": encode([1; 1_312]) });
    for (name, value, expected) in [
        ("pub", json!(null), "key_component_missing"),
        ("pub", json!(encode([1; 1_311])), "key_length_invalid"),
        ("pub", json!(encode([1; 1_952])), "key_length_invalid"),
        ("pub", json!(encode([1; 1_334])), "key_length_invalid"),
        ("alg", json!(null), "key_algorithm_missing"),
        ("alg", json!("ML-DSA-65"), "key_length_invalid"),
        ("alg", json!("ML-DSA"), "key_algorithm_unsupported"),
        ("alg", json!("RS256"), "key_algorithm_unsupported"),
        ("priv", json!("AAAA"), "key_private"),
        ("use", json!("sig"), "taken"),
    ] {
        let found = fault(&changed(&key, name, value), CONSUMER, KeyMetadata::Assumed);
        assert_eq!(found, expected, "{name}");
    }
}

/// Each private member alone, in each kind of key: whoever reads the set could sign.
#[test]
fn private_and_symmetric_members_are_refused_in_any_kind_of_key() {
    let ec = World::new().key("consumer").record.to_jwk();
    let keys = [
        json!({ "kty": "RSA", "alg": "RS256", "kid": "r" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "o" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "m" }),
        json!({ "kty": "unknown", "kid": "u" }),
        ec,
    ];
    for key in &keys {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"] {
            for value in [json!("AAAA"), json!(""), json!([])] {
                let key = changed(key, name, value);
                assert_eq!(
                    fault(&key, CONSUMER, KeyMetadata::Assumed),
                    "key_private",
                    "{name}"
                );
            }
        }
        let key = changed(key, "k", json!("AAAA"));
        assert_eq!(fault(&key, CONSUMER, KeyMetadata::Assumed), "key_symmetric");
    }
}

#[test]
fn every_algorithm_is_a_keys_and_survives_publication() {
    let modulus = [vec![0x81], vec![1; 255]].concat();
    let rsa = |algorithm| PublicKey::from_rsa(algorithm, &modulus, &[1, 0, 1]);
    for algorithm in Algorithm::ALL {
        let ec = |signing| {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            PublicKey::from_ec_point(*algorithm, pair.public_key().as_ref())
        };
        let public = match algorithm.as_str() {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING),
            "EdDSA" => PublicKey::from_ed25519(&[6; 32]),
            "ML-DSA-44" => PublicKey::from_ml_dsa(*algorithm, &[1; 1_312]),
            "ML-DSA-65" => PublicKey::from_ml_dsa(*algorithm, &[1; 1_952]),
            "ML-DSA-87" => PublicKey::from_ml_dsa(*algorithm, &[1; 2_592]),
            _ => rsa(*algorithm),
        }
        .unwrap();
        assert_eq!(public.algorithm(), *algorithm);
        let issuer = IssuerName::parse(CONSUMER).unwrap();
        let record = KeyRecord::new(public, issuer, "consumer", KeyState::Active, SigningWindow::OPEN);
        let set = parse(&[record.to_jwk()], CONSUMER, KeyMetadata::Declared);
        let read = set.key(record.id()).unwrap();
        assert_eq!((read.algorithm(), read.to_jwk()), (*algorithm, record.to_jwk()));
    }
    // A constructor takes the algorithms of its kind of key only.
    for (fault, expected) in [
        (rsa(Algorithm::Es256).err(), KeyFault::AlgorithmUnsupported),
        (
            PublicKey::from_ec_point(Algorithm::Rs256, &[4; 65]).err(),
            KeyFault::AlgorithmUnsupported,
        ),
        (
            PublicKey::from_ec_point(Algorithm::Es384, &[4; 65]).err(),
            KeyFault::PointInvalid,
        ),
        (
            PublicKey::from_ml_dsa(Algorithm::EdDsa, &[1; 1_312]).err(),
            KeyFault::AlgorithmUnsupported,
        ),
    ] {
        assert_eq!(fault, Some(expected));
    }
}

#[test]
fn an_rsa_key_without_alg_is_for_rs256_where_the_issuer_is_foreign() {
    let modulus = encode([vec![0x81], vec![1; 255]].concat());
    let key = json!({
        "kty": "RSA", "kid": "r", "n": modulus, "e": "AQAB",
        "iss": CONSUMER, "cs_realm": "consumer", "cs_state": "active", "cs_sign_from": 0,
    });
    let set = parse(std::slice::from_ref(&key), CONSUMER, KeyMetadata::Assumed);
    assert_eq!(set.key("r").unwrap().algorithm(), Algorithm::Rs256);
    // Of ours each says what it is.
    assert_eq!(
        fault(&key, CONSUMER, KeyMetadata::Declared),
        "key_algorithm_missing"
    );
    for (alg, algorithm) in [("RS384", Algorithm::Rs384), ("PS256", Algorithm::Ps256)] {
        for metadata in [KeyMetadata::Assumed, KeyMetadata::Declared] {
            let set = parse(&[changed(&key, "alg", json!(alg))], CONSUMER, metadata);
            assert_eq!(set.key("r").unwrap().algorithm(), algorithm);
        }
    }
}

#[test]
fn coordinates_have_the_length_of_their_curve() {
    for (curve, length, signing) in [
        ("P-256", 32, &ECDSA_P256_SHA256_FIXED_SIGNING),
        ("P-384", 48, &ECDSA_P384_SHA384_FIXED_SIGNING),
        ("P-521", 66, &ECDSA_P521_SHA512_FIXED_SIGNING),
    ] {
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(length);
        let key = |x: &[u8], y: &[u8]| json!({ "kty": "EC", "crv": curve, "kid": "e", "x": encode(x), "y": encode(y) });
        let mut moved = y.to_vec();
        *moved.last_mut().unwrap() ^= 1;
        let zero = vec![0; length];
        for (key, expected) in [
            (key(x, y), "taken"),
            (key(x, &moved), "key_point_invalid"),
            (key(&zero, &zero), "key_point_invalid"),
            (key(&vec![0xff; length], y), "key_point_invalid"),
            (key(&[&[0], x].concat(), y), "key_point_invalid"),
            (key(x, &y[1..]), "key_point_invalid"),
            // The other way to write a point is not a JWK's.
            (key(&point[..=length], &[]), "key_member_invalid"),
        ] {
            assert_eq!(fault(&key, CONSUMER, KeyMetadata::Assumed), expected, "{curve}");
        }
    }
}

#[test]
fn declared_keys_must_state_their_scope() {
    let key = World::new().key("consumer").record.to_jwk();
    for (name, value, expected) in [
        ("iss", json!(null), "key_issuer_missing"),
        ("iss", json!("https://id.example"), "key_issuer_foreign"),
        ("iss", json!(TEMPLATE), "key_issuer_foreign"),
        ("iss", json!(""), "key_member_invalid"),
        ("cs_realm", json!(null), "key_realm_missing"),
        ("cs_realm", json!("enterprise"), "key_realm_foreign"),
        ("cs_state", json!(null), "key_state_missing"),
        ("cs_state", json!("Active"), "key_state_unknown"),
        ("cs_sign_from", json!(null), "key_window_missing"),
        ("cs_sign_from", json!("0"), "key_window_invalid"),
        ("cs_sign_from", json!(-1), "key_window_invalid"),
        ("cs_sign_until", json!(1), "key_window_invalid"),
        ("cs_sign_until", json!("never"), "key_window_invalid"),
        ("cs_sign_until", json!(u64::MAX), "taken"),
    ] {
        let found = fault(
            &changed(&key, name, value.clone()),
            CONSUMER,
            KeyMetadata::Declared,
        );
        assert_eq!(found, expected, "{name} = {value}");
    }
}

#[test]
fn a_key_under_a_template_must_say_whose_it_is() {
    let key = World::new().key("consumer").record.to_jwk();
    let key = changed(&key, "iss", json!(null));
    assert_eq!(fault(&key, CONSUMER, KeyMetadata::Assumed), "taken");
    assert_eq!(fault(&key, TEMPLATE, KeyMetadata::Assumed), "key_issuer_missing");
    for (name, value, expected) in [
        ("issuer", json!(TEMPLATE), "taken"),
        ("issuer", json!(tenant_issuer(TENANT)), "taken"),
        ("iss", json!(tenant_issuer(TENANT)), "taken"),
        ("issuer", json!(tenant_issuer("common")), "key_issuer_foreign"),
        ("issuer", json!(" "), "key_issuer_foreign"),
        ("issuer", json!(7), "key_member_invalid"),
    ] {
        assert_eq!(
            fault(&changed(&key, name, value), TEMPLATE, KeyMetadata::Assumed),
            expected
        );
    }
}

#[test]
fn a_key_of_the_template_is_narrowed_to_the_one_tenant_trusted() {
    let key = World::new().key("consumer").record.to_jwk();
    let tenant = tenant_issuer(TENANT);
    for (name, stated, metadata, expected) in [
        ("issuer", TEMPLATE, KeyMetadata::Assumed, "taken"),
        ("iss", TEMPLATE, KeyMetadata::Assumed, "taken"),
        (
            "issuer",
            "https://evil.example/{tenantid}",
            KeyMetadata::Assumed,
            "key_issuer_foreign",
        ),
        (
            "issuer",
            &tenant_issuer(OTHER_TENANT),
            KeyMetadata::Assumed,
            "key_issuer_foreign",
        ),
        ("iss", TEMPLATE, KeyMetadata::Declared, "key_issuer_foreign"),
    ] {
        let key = changed(&changed(&key, "iss", json!(null)), name, json!(stated));
        let set = parse(std::slice::from_ref(&key), &tenant, metadata);
        assert_eq!(fault(&key, &tenant, metadata), expected, "{name} = {stated}");
        assert!(set.keys().all(|key| key.issuer().as_str() == tenant));
    }
}

#[test]
fn a_key_id_that_stands_twice_is_nobodys() {
    let world = World::new();
    let (a, b) = (
        world.key("consumer").record.to_jwk(),
        world.key("consumer-retired").record.to_jwk(),
    );
    let twin = changed(&b, "kid", a["kid"].clone());
    let set = parse(
        &[a.clone(), twin.clone(), b.clone()],
        CONSUMER,
        KeyMetadata::Assumed,
    );
    assert_eq!((set.len(), set.refused().len()), (1, 1));
    assert!(set.key(a["kid"].as_str().unwrap()).is_none());
    // Also when the twin is refused for a reason of its own.
    let set = parse(
        &[a, changed(&twin, "use", json!("enc")), b],
        CONSUMER,
        KeyMetadata::Assumed,
    );
    let codes: Vec<_> = set
        .refused()
        .iter()
        .map(|refusal| refusal.reason.code())
        .collect();
    assert_eq!(
        (set.len(), codes),
        (1, vec!["key_use_not_signature", "key_id_repeated"])
    );
}

#[test]
fn a_bad_key_does_not_take_the_good_ones_with_it() {
    let world = World::new();
    let good = world.key("consumer").record.to_jwk();
    let set = parse(
        &[json!({ "kty": "oct", "k": "AAAA" }), good, json!(7)],
        CONSUMER,
        KeyMetadata::Declared,
    );
    assert_eq!((set.len(), set.refused().len()), (1, 2));
}

#[test]
fn documents_that_are_no_key_set_are_refused() {
    let issuer = IssuerName::parse(CONSUMER).unwrap();
    let context = KeyContext::new(&issuer, "consumer", KeyMetadata::Assumed);
    let many = format!("{{\"keys\":[{}]}}", vec!["1"; 600].join(","));
    for (text, code) in [
        ("", "key_set_json_invalid"),
        ("<html>", "key_set_json_invalid"),
        ("[]", "key_set_json_invalid"),
        ("{}{}", "key_set_json_invalid"),
        ("{}", "key_set_keys_missing"),
        ("{\"keys\":{}}", "key_set_keys_missing"),
        ("{\"keys\":[],\"keys\":[]}", "key_set_member_repeated"),
        (
            "{\"keys\":[{\"kid\":\"a\",\"kid\":\"b\"}]}",
            "key_set_member_repeated",
        ),
        (&"[".repeat(100), "key_set_too_complex"),
        (&many, "key_set_too_large"),
        (&" ".repeat(300_000), "key_set_too_large"),
    ] {
        assert_eq!(
            KeySet::parse(text.as_bytes(), &context).unwrap_err().code(),
            code,
            "{text:.40}"
        );
    }
    assert!(KeySet::parse(b"{\"keys\":[]}", &context).unwrap().is_empty());
}

#[test]
fn raw_components_are_checked_too() {
    let signer = Signer::es256();
    assert_eq!(signer.public().algorithm(), Algorithm::Es256);
    for point in [&[][..], &[4; 65], &[2; 33], &[4; 64]] {
        assert_eq!(
            PublicKey::from_ec_point(Algorithm::Es256, point)
                .unwrap_err()
                .code(),
            "key_point_invalid"
        );
    }
    let weak = [
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    for hex in weak {
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert!(PublicKey::from_ed25519(&bytes).is_err(), "{hex}");
    }
    // 2 is no point's y, 3 is one's.
    for (y, is_taken) in [(2, false), (3, true)] {
        let mut bytes = [0; 32];
        bytes[0] = y;
        let key = PublicKey::from_ed25519(&bytes);
        assert_eq!(key.is_ok(), is_taken, "{y}");
        if let Ok(key) = key {
            assert!(!key.verify(b"message", &[0; 64]) && !key.verify(b"message", &[bytes, [0; 32]].concat()));
        }
    }
    let key = World::new()
        .key("consumer")
        .record
        .with_state(KeyState::Suspect)
        .with_window(SigningWindow::OPEN);
    assert_eq!(key.to_jwk()["cs_state"], "suspect");
    assert_eq!(key.to_jwk()["cs_sign_from"], 0);
}
