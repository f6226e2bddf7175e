//! A whole verification against the bare signature check and against the `jsonwebtoken` crate, configured strictly.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking and is nobody's interface"
)]

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING,
    PqdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{
    Algorithm, Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, ParsedToken, PublicKey,
    Registry, Resource, SigningWindow, verify,
};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
const AUDIENCE: &str = "https://mail.example";

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key, how it signs, and what `jsonwebtoken` calls its algorithm, if it has it.
struct Subject {
    name: &'static str,
    public: PublicKey,
    algorithm: Option<jsonwebtoken::Algorithm>,
    sign: Sign,
}

fn subjects() -> [Subject; 4] {
    let es256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let eddsa = Ed25519KeyPair::generate().unwrap();
    let rs256 = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let ml_dsa = PqdsaKeyPair::generate(&ML_DSA_44_SIGNING).unwrap();
    let modulus = rs256
        .public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec();
    [
        Subject {
            name: "ES256",
            public: PublicKey::from_ec_point(Algorithm::Es256, es256.public_key().as_ref()).unwrap(),
            algorithm: Some(jsonwebtoken::Algorithm::ES256),
            sign: Box::new(move |m| es256.sign(&SystemRandom::new(), m).unwrap().as_ref().to_vec()),
        },
        Subject {
            name: "EdDSA",
            public: PublicKey::from_ed25519(eddsa.public_key().as_ref()).unwrap(),
            algorithm: Some(jsonwebtoken::Algorithm::EdDSA),
            sign: Box::new(move |m| eddsa.sign(m).as_ref().to_vec()),
        },
        Subject {
            name: "RS256",
            public: PublicKey::from_rsa(Algorithm::Rs256, &modulus, &[1, 0, 1]).unwrap(),
            algorithm: Some(jsonwebtoken::Algorithm::RS256),
            sign: Box::new(move |m| {
                let mut signature = vec![0; rs256.public_modulus_len()];
                rs256
                    .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), m, &mut signature)
                    .unwrap();
                signature
            }),
        },
        Subject {
            name: "ML-DSA-44",
            public: PublicKey::from_ml_dsa(Algorithm::MlDsa44, ml_dsa.public_key().as_ref()).unwrap(),
            algorithm: None,
            sign: Box::new(move |m| {
                let mut signature = vec![0; ML_DSA_44_SIGNING.signature_len()];
                ml_dsa.sign(m, &mut signature).unwrap();
                signature
            }),
        },
    ]
}

fn verifications(criterion: &mut Criterion) {
    for subject in subjects() {
        let token = token(&subject, &usual_claims());
        compare(criterion, subject.name, &subject, &token);
        if subject.name == "RS256" {
            parts(criterion, &subject, &token);
        }
        let large = self::token(&subject, &large_claims());
        compare(criterion, &format!("{} large", subject.name), &subject, &large);
    }
}

fn compare(criterion: &mut Criterion, name: &str, subject: &Subject, token: &str) {
    let mut group = criterion.benchmark_group(name);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    group.bench_function("bare signature", |b| {
        b.iter(|| {
            assert!(
                subject
                    .public
                    .verify(black_box(input.as_bytes()), black_box(&signature))
            );
        });
    });
    ours(&mut group, subject, token);
    theirs(&mut group, subject, token);
    group.finish();
}

/// What a token costs without its signature. Reading it includes its SHA-256, which the signature needs too.
fn parts(criterion: &mut Criterion, subject: &Subject, token: &str) {
    let mut group = criterion.benchmark_group("parts");
    let (input, _) = token.rsplit_once('.').unwrap();
    group.bench_function("sha256", |b| {
        b.iter(|| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, black_box(input.as_bytes())));
    });
    let (header, claims) = input.split_once('.').unwrap();
    group.bench_function("rules up to the signature", |b| {
        with_check(subject, |check| {
            let token = ParsedToken::parse(&format!("{input}.AAAA")).unwrap();
            b.iter(|| verify(black_box(&token), check).unwrap_err());
        });
    });
    let twice = URL_SAFE_NO_PAD.encode(r#"{"iss":"https://id.example","aud":"a","aud":"b"}"#);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    for (name, malformed) in [
        ("malformed: no token", "a".repeat(token.len())),
        (
            "malformed: not base64url",
            format!("{input}.+{}", "A".repeat(341)),
        ),
        ("malformed: alg none", format!("{none}.{claims}.")),
        ("malformed: claim twice", format!("{header}.{twice}.AAAA")),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| ParsedToken::parse(black_box(&malformed)).unwrap_err());
        });
    }
    group.finish();
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, subject: &Subject, token: &str) {
    group.bench_function("parse only", |b| {
        b.iter(|| ParsedToken::parse(black_box(token)).unwrap());
    });
    group.bench_function("countersign", |b| {
        with_check(subject, |check| {
            b.iter(|| verify(&ParsedToken::parse(black_box(token)).unwrap(), check).unwrap());
        });
    });
}

fn with_check(subject: &Subject, run: impl FnOnce(&Check<'_>)) {
    let issuer = IssuerName::parse(ISSUER).unwrap();
    let key = KeyRecord::new(
        subject.public.clone(),
        issuer.clone(),
        "enterprise",
        KeyState::Active,
        SigningWindow::OPEN,
    );
    let record = IssuerRecord::new(issuer, "enterprise", 86_400, KeySet::new(vec![key]));
    let registry = Registry::new(vec![record]).unwrap();
    let resource = Resource::new("mail", AUDIENCE, "enterprise");
    run(&Check::new(&registry, &resource, now()));
}

fn theirs(group: &mut BenchmarkGroup<'_, WallTime>, subject: &Subject, token: &str) {
    let Some(algorithm) = subject.algorithm else {
        return;
    };
    let mut jwk = subject.public.to_jwk();
    jwk.insert("alg".to_owned(), json!(subject.name));
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(Value::Object(jwk)).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    group.bench_function("jsonwebtoken", |b| {
        b.iter(|| jsonwebtoken::decode::<Value>(black_box(token), &key, &validation).unwrap());
    });
}

fn token(subject: &Subject, claims: &Value) -> String {
    let kid = subject.public.thumbprint().to_base64url();
    let header = json!({ "alg": subject.name, "typ": "at+jwt", "kid": kid });
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    format!(
        "{input}.{}",
        URL_SAFE_NO_PAD.encode((subject.sign)(input.as_bytes()))
    )
}

/// With RS256 a token of 966 bytes.
fn usual_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "7f3d8c1e-5b0a-4e0f-9a55-2f6f7c1d9e10",
        "client_id": "0b6f9a6e-30a1-4d64-8f0c-1a2b3c4d5e6f", "jti": "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MDEyMzQ1",
        "iat": now() - 60, "nbf": now() - 60, "exp": now() + 3_600, "scope": "mail.read mail.send",
        "tid": "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e", "ver": "2.0",
    })
}

/// With RS256 a token of 1,666 bytes: the claims Entra writes.
fn large_claims() -> Value {
    let mut claims = usual_claims();
    let more = json!({
        "acr": "1", "aio": "AUQAu/8TAAAA9d1f0f6a11c24d7ea6b00f1e2d3c4b5a9e8d7c6b5a494838a726150493827160Zm9v",
        "amr": ["pwd", "mfa"], "azp": "0b6f9a6e-30a1-4d64-8f0c-1a2b3c4d5e6f", "idtyp": "user",
        "ipaddr": "203.0.113.42", "name": "Ada King", "oid": "c0a8f1d2-7b64-4c8e-8f0a-9d1e2f3a4b5c",
        "preferred_username": "ak@contoso.example", "rh": "0.ARoAGhoaGisrPEyNTV5eXl5eXgMAAAAAAAAAwAAAAAAAAAAaAA.",
        "roles": ["reader", "writer", "auditor"], "sid": "c0a8f1d2-7b64-4c8e-8f0a-9d1e2f3a4b5c",
        "uti": "Zm9vYmFyYmF6cXV4MTIzNA",
        "xms_tcdt": 1_600_000_000, "xms_idrel": "1 26",
    });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    claims
}

/// `jsonwebtoken` reads the clock itself, so the tokens must be of today.
#[expect(
    clippy::disallowed_methods,
    reason = "the peer that is measured takes no clock"
)]
fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = verifications
}
criterion_main!(benches);
