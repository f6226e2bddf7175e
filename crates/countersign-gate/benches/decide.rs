//! One decision per token: ES256, recorded in the ledger, written to the log.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark reads no foreign input"
)]

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_gate::{Config, Gate, GateOptions, Request};
use countersign_ledger::draft::active_key;
use countersign_ledger::{Follower, IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options};
use countersign_token::{IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, TrustBundle};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const ISS: &str = "https://enterprise.example";

fn token(key: &EcdsaKeyPair) -> String {
    let header = json!({"alg": "ES256", "kid": "k", "typ": "at+jwt"}).to_string();
    let claims = json!({
        "iss": ISS, "sub": "alice", "aud": "https://mail.example", "client_id": "webmail", "scope": "mail.read",
        "iat": NOW - 10, "exp": NOW + 600, "jti": "token-1",
    });
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn bundle(key: &EcdsaKeyPair) -> TrustBundle {
    let point = key.public_key().as_ref();
    let (x, y) = (
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..65]),
    );
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k", "x": x, "y": y}]});
    let issuer = IssuerName::parse(ISS).unwrap();
    let context = KeyContext::new(&issuer, "enterprise", KeyMetadata::Assumed);
    let keys = KeySet::parse(set.to_string().as_bytes(), &context).unwrap();
    TrustBundle::new(
        1,
        vec![IssuerRecord::new(issuer.clone(), "enterprise", 3600, keys)],
    )
}

async fn gate(directory: &std::path::Path, key: &EcdsaKeyPair, token: &str) -> Gate {
    let signer = NoteSigner::from_seed("bench.example/ledger", &[7; 32]).unwrap();
    let options = Options::new(directory.join("ledger"), "bench.example/ledger");
    let ledger = Ledger::open(options, signer).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    let recorded_key = KeyName {
        issuer: [1; 32],
        key: [2; 32],
    };
    let drafts = active_key(recorded_key, [3; 32], NOW - 20);
    ledger.append_together(drafts).await.unwrap();
    let issuance = IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint: digest(&SHA256, input.as_bytes()).as_ref().try_into().unwrap(),
        key: recorded_key,
        epoch: ledger.key(&recorded_key).unwrap().epoch,
        parent_key: None,
        issued_at: NOW - 10,
        expires_at: NOW + 600,
        lineage: None,
    };
    ledger.append(issuance).await.unwrap();
    let follower = Follower::start(ledger, Arc::new(|| NOW)).await;
    let (_, bundle) = tokio::sync::watch::channel(Arc::new(bundle(key)));
    Gate::start(GateOptions {
        config: Config::first_run(),
        directory: directory.to_owned(),
        bundle: Some(bundle),
        follower: Some(follower),
        clock_ms: Arc::new(|| NOW * 1000),
    })
    .unwrap()
}

fn decide(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let token = token(&key);
    let gate = runtime.block_on(gate(directory.path(), &key, &token));
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
    );
    headers.insert("x-original-method", HeaderValue::from_static("GET"));
    headers.insert("x-original-uri", HeaderValue::from_static("/inbox"));
    let request = Request {
        headers: &headers,
        query: Some("resource=mail"),
    };
    assert!(runtime.block_on(gate.decide(&request)).admits());
    criterion.bench_function("decide/es256_recorded", |bencher| {
        bencher.iter(|| runtime.block_on(gate.decide(&request)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    targets = decide
}
criterion_main!(benches);
