//! The bad-token corpus, second part: K keys, S signatures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use countersign_token::{
    Algorithm, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, PublicKey, Registry, Resource,
    SigningWindow,
};
use serde_json::{Value, json};

use crate::world::{AUDIENCE, FOREIGN, NOW, Signer, World, claims, encode, verify_both};

/// Order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Order of Ed25519, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Signing input and signature of a good token of this key.
fn split(world: &World, key: &str) -> (String, Vec<u8>) {
    let token = world.token(key, |header, claims| {
        if key != "shared" {
            foreign(header, claims);
        }
    });
    assert_eq!(world.code(&token), "admitted");
    let input = token.rsplit_once('.').unwrap().0.to_owned();
    let signature = world.key(key).signer.sign(input.as_bytes());
    (input, signature)
}

fn foreign(header: &mut Value, claims: &mut Value) {
    header["typ"] = json!("JWT");
    claims["iss"] = json!(FOREIGN);
    claims.as_object_mut().unwrap().remove("tid");
}

fn check_signature(world: &World, id: &str, input: &str, signature: &[u8]) {
    let code = world.code(&format!("{input}.{}", encode(signature)));
    assert_eq!(code, "signature_invalid", "{id}");
}

#[test]
fn k03_an_rsa_key_signs_with_one_algorithm_only() {
    let world = World::new();
    let Signer::Rs256(pair) = &world.key("rs256").signer else {
        panic!("an RSA key")
    };
    let encodings: [(&str, &'static dyn RsaEncoding); 3] = [
        ("PS256", &RSA_PSS_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
    ];
    for (alg, encoding) in encodings {
        // Said openly, and passed off as RS256.
        for (said, code) in [(alg, "algorithm_mismatch"), ("RS256", "signature_invalid")] {
            let (mut header, mut claims) = (world.header("rs256"), claims());
            foreign(&mut header, &mut claims);
            header["alg"] = json!(said);
            let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature)
                .unwrap();
            let token = format!("{input}.{}", encode(signature));
            assert_eq!(world.code(&token), code, "{alg} said to be {said}");
        }
    }
}

#[test]
fn k04_a_signature_of_another_curve_is_none() {
    let world = World::new();
    let (input, _) = split(&world, "shared");
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    check_signature(&world, "K04", &input, signature.as_ref());
    check_signature(&world, "K04 cut to size", &input, &signature.as_ref()[..64]);
    assert!(PublicKey::from_ec_point(Algorithm::Es256, pair.public_key().as_ref()).is_err());
    for point in [
        vec![0],
        vec![4],
        [vec![4], vec![0; 64]].concat(),
        [vec![4], vec![0xff; 64]].concat(),
    ] {
        assert!(PublicKey::from_ec_point(Algorithm::Es256, &point).is_err(), "K09");
    }
}

/// Two issuers of one realm that name different keys alike.
fn namesakes() -> (Registry, [Signer; 2]) {
    let signers = [Signer::es256(), Signer::es256()];
    let records = [
        ("https://a.example", &signers[0]),
        ("https://b.example", &signers[1]),
    ]
    .map(|(iss, signer)| {
        let issuer = IssuerName::parse(iss).unwrap();
        let key = KeyRecord::new(
            signer.public(),
            issuer.clone(),
            "r",
            KeyState::Active,
            SigningWindow::OPEN,
        );
        IssuerRecord::new(issuer, "r", 3_600, KeySet::new(vec![key.with_id("key-1")]))
    });
    (Registry::new(records.to_vec()).unwrap(), signers)
}

#[test]
fn k07_k11_a_key_id_is_looked_for_under_its_issuer_only() {
    let (registry, signers) = namesakes();
    let resource = Resource::new("mail", AUDIENCE, "r");
    let check = countersign_token::Check::new(&registry, &resource, NOW);
    for (signer, iss, code) in [
        (0, "https://a.example", "admitted"),
        (1, "https://b.example", "admitted"),
        (0, "https://b.example", "signature_invalid"),
        (1, "https://a.example", "signature_invalid"),
    ] {
        let mut claims = claims();
        claims["iss"] = json!(iss);
        let token = signers[signer].token(
            &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "key-1" }),
            &claims,
        );
        let found = verify_both(&token, &check).map_or_else(|refusal| refusal.code(), |_| "admitted");
        assert_eq!(found, code, "key of {signer} for {iss}");
    }
}

#[test]
fn s01_s02_an_ecdsa_signature_is_two_numbers_below_the_order() {
    let world = World::new();
    let (input, good) = split(&world, "shared");
    let number = |last: u8| {
        let mut bytes = [0; 32];
        bytes[31] = last;
        bytes
    };
    let mut below = ORDER;
    below[31] -= 1;
    let edges = [number(0), number(1), below, ORDER, [0xff; 32]];
    for r in edges {
        for s in edges {
            check_signature(&world, "S01", &input, &[r, s].concat());
        }
    }
    for edge in edges {
        check_signature(&world, "S01 r", &input, &[&edge[..], &good[32..]].concat());
        check_signature(&world, "S01 s", &input, &[&good[..32], &edge[..]].concat());
    }
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let der = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    check_signature(&world, "S02 DER", &input, der.as_ref());
    check_signature(&world, "S02 zero behind", &input, &[&good[..], &[0]].concat());
    check_signature(&world, "S02 zero before", &input, &[&[0], &good[..]].concat());
    let longer = [&[0], &good[..32], &[0], &good[32..]].concat();
    check_signature(&world, "S02 two zeros", &input, &longer);
    check_signature(&world, "S02 twice", &input, &[&good[..], &good[..]].concat());
    check_signature(&world, "S09 nothing", &input, &[]);
}

#[test]
fn s06_an_rsa_signature_is_one_number_as_long_as_the_modulus() {
    let world = World::new();
    let (input, good) = split(&world, "rs256");
    let Signer::Rs256(pair) = &world.key("rs256").signer else {
        panic!("an RSA key")
    };
    let modulus = pair
        .public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec();
    let mut below = modulus.clone();
    *below.last_mut().unwrap() -= 1;
    let mut one = vec![0; 256];
    one[255] = 1;
    for (id, signature) in [
        ("S06 zero", vec![0; 256]),
        ("S06 one", one),
        ("S06 n-1", below),
        ("S06 n", modulus),
        ("S06 all ones", vec![0xff; 256]),
        ("S06 zero before", [&[0], &good[..]].concat()),
        ("S06 zero behind", [&good[..], &[0]].concat()),
        ("S06 cut", good[..255].to_vec()),
        ("S09 nothing", Vec::new()),
    ] {
        check_signature(&world, id, &input, &signature);
    }
}

#[test]
fn s07_an_ed25519_signature_has_one_form() {
    let world = World::new();
    let (input, good) = split(&world, "eddsa");
    // S + L is the same number to a lax verifier.
    let mut carry = 0;
    let mut twin = good.clone();
    for (byte, order) in twin[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_ne!(twin, good);
    let small = |first: u8| {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes
    };
    for (id, signature) in [
        ("S07 S+L", twin),
        ("S07 S=L", [&good[..32], &ED25519_ORDER[..]].concat()),
        ("S07 S all ones", [&good[..32], &[0xff; 32][..]].concat()),
        ("S07 R of order one", [&small(1)[..], &good[32..]].concat()),
        ("S07 R and S zero", vec![0; 64]),
        ("S07 R one, S zero", [small(1), small(0)].concat()),
        ("S07 cut", good[..63].to_vec()),
        ("S07 longer", [&good[..], &[0]].concat()),
    ] {
        check_signature(&world, id, &input, &signature);
    }
}
