//! Issuers that sign, a gate with a ledger, and one way to ask it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_gate::{Config, Gate, GateOptions};
use countersign_ledger::draft::active_key;
use countersign_ledger::{Follower, IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options};
use countersign_token::{IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, TrustBundle};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISS: &str = "https://enterprise.example";
pub(crate) const MAIL: &str = "https://mail.example";

/// An issuer with one ES256 key.
pub(crate) struct Issuer {
    pub(crate) iss: String,
    pub(crate) realm: String,
    key: EcdsaKeyPair,
    pub(crate) kid: String,
}

impl Issuer {
    pub(crate) fn new(iss: &str, realm: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = coordinates(&key);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Self {
            iss: iss.to_owned(),
            realm: realm.to_owned(),
            key,
            kid,
        }
    }

    /// The public key as other providers publish theirs.
    pub(crate) fn plain_jwk(&self) -> Value {
        let (x, y) = coordinates(&self.key);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": x, "y": y})
    }

    /// The public key with the scope that an authority declares.
    pub(crate) fn declared_jwk(&self, state: &str) -> Value {
        let mut jwk = self.plain_jwk();
        for (name, value) in [
            ("iss", json!(self.iss)),
            ("cs_realm", json!(self.realm)),
            ("cs_state", json!(state)),
            ("cs_sign_from", json!(NOW - 86_400)),
        ] {
            jwk[name] = value;
        }
        jwk
    }

    pub(crate) fn record(&self, state: &str) -> IssuerRecord {
        let issuer = IssuerName::parse(&self.iss).unwrap();
        let json = json!({"keys": [self.declared_jwk(state)]}).to_string();
        let context = KeyContext::new(&issuer, &self.realm, KeyMetadata::Declared);
        let keys = KeySet::parse(json.as_bytes(), &context).unwrap();
        assert!(keys.refused().is_empty(), "{:?}", keys.refused());
        IssuerRecord::new(issuer.clone(), self.realm.clone(), 3600, keys)
    }

    /// A token for mail, with some claims replaced (null: left out).
    pub(crate) fn token(&self, replaced: &Value) -> String {
        self.token_with_kid(&self.kid, replaced)
    }

    pub(crate) fn token_with_kid(&self, kid: &str, replaced: &Value) -> String {
        let mut claims = json!({
            "iss": self.iss, "sub": "alice", "aud": MAIL, "client_id": "webmail", "scope": "mail.read mail.send",
            "iat": NOW - 10, "exp": NOW + 600, "jti": "token-1",
        });
        for (name, value) in replaced.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        self.signed(&json!({"alg": "ES256", "kid": kid, "typ": "at+jwt"}), &claims)
    }

    /// Signs whatever it is told to.
    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn coordinates(key: &EcdsaKeyPair) -> (String, String) {
    let point = key.public_key().as_ref();
    (
        URL_SAFE_NO_PAD.encode(&point[1..33]),
        URL_SAFE_NO_PAD.encode(&point[33..65]),
    )
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub(crate) fn fingerprint(token: &str) -> [u8; 32] {
    let (input, _) = token.rsplit_once('.').unwrap();
    digest(&SHA256, input.as_bytes()).as_ref().try_into().unwrap()
}

/// A gate on a port of its own, with a ledger unless told otherwise.
pub(crate) struct Stack {
    pub(crate) url: String,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) bundle: watch::Sender<Arc<TrustBundle>>,
    pub(crate) issuer: Issuer,
    pub(crate) clock_ms: Arc<AtomicU64>,
    _directory: tempfile::TempDir,
    log: PathBuf,
    client: reqwest::Client,
}

/// The configuration most tests use: mail and files, enforced.
pub(crate) fn config() -> Config {
    serde_json::from_value(json!({
        "name": "test",
        "resources": [
            {"name": "mail", "audience": MAIL, "realm": "enterprise"},
            {"name": "observed", "audience": MAIL, "realm": "enterprise", "mode": "observe"},
            {"name": "unasked", "audience": MAIL, "realm": "enterprise", "mode": "off"},
            {"name": "scoped", "audience": MAIL, "realm": "enterprise", "mode": "off", "scopes": ["mail.admin"]},
            {"name": "tenanted", "audience": MAIL, "realm": "enterprise", "mode": "off", "tenants": ["t1"]},
            {"name": "outlook", "audience": MAIL, "realm": "consumer", "mode": "off"},
        ],
    }))
    .unwrap()
}

impl Stack {
    pub(crate) async fn start(config: Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open_ledger(&directory.path().join("ledger"));
        let follower = Follower::start(ledger.clone(), Arc::new(|| NOW)).await;
        Self::build(config, directory, Some(ledger), Some(follower)).await
    }

    pub(crate) async fn without_ledger(config: Config) -> Self {
        Self::build(config, tempfile::tempdir().unwrap(), None, None).await
    }

    /// A gate that asks this follower.
    pub(crate) async fn following(config: Config, follower: Follower) -> Self {
        Self::build(config, tempfile::tempdir().unwrap(), None, Some(follower)).await
    }

    async fn build(
        config: Config,
        directory: tempfile::TempDir,
        ledger: Option<Ledger>,
        follower: Option<Follower>,
    ) -> Self {
        let clock_ms = Arc::new(AtomicU64::new(NOW * 1000 + 250));
        let issuer = Issuer::new(ISS, "enterprise");
        let (bundle, receiver) = watch::channel(Arc::new(TrustBundle::new(7, vec![issuer.record("active")])));
        let log = directory.path().join(&config.decision_log);
        let clock = Arc::clone(&clock_ms);
        let gate = Gate::start(GateOptions {
            config,
            directory: directory.path().to_owned(),
            bundle: Some(receiver),
            follower,
            clock_ms: Arc::new(move || clock.load(Ordering::SeqCst)),
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = gate.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url,
            ledger,
            bundle,
            issuer,
            clock_ms,
            _directory: directory,
            log,
            client,
        }
    }

    /// Records the issuance of this token, as its authority would have.
    pub(crate) async fn record(&self, token: &str, kind: IssuanceKind) -> u64 {
        let ledger = self.ledger.as_ref().unwrap();
        let key = KeyName {
            issuer: [1; 32],
            key: [2; 32],
        };
        if ledger.key(&key).is_none() {
            let drafts = active_key(key, [3; 32], NOW - 20);
            ledger.append_together(drafts).await.unwrap();
        }
        let issuance = IssuanceDraft {
            kind,
            fingerprint: fingerprint(token),
            key,
            epoch: ledger.key(&key).unwrap().epoch,
            parent_key: None,
            issued_at: NOW - 10,
            expires_at: NOW + 600,
            lineage: None,
        };
        ledger.append(issuance).await.unwrap()
    }

    /// A request as the proxy makes it.
    pub(crate) fn request(&self, query: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}/check{query}", self.url))
    }

    pub(crate) async fn ask(&self, resource: &str, token: &str) -> reqwest::Response {
        self.request(&format!("?resource={resource}"))
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    }

    /// Asks, and compares status and logged reason.
    pub(crate) async fn check(
        &self,
        resource: &str,
        token: &str,
        status: u16,
        reason: Option<&str>,
    ) -> Value {
        let response = self.ask(resource, token).await;
        let line = self.last_line();
        assert_eq!(line["reason"].as_str(), reason, "{line}");
        assert_eq!(response.status().as_u16(), status, "{line}");
        assert_eq!(
            line["decision"],
            if status == 200 { "admit" } else { "refuse" },
            "{line}"
        );
        line
    }

    pub(crate) fn raw_log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn last_line(&self) -> Value {
        serde_json::from_str(self.raw_log().lines().last().unwrap()).unwrap()
    }

    pub(crate) async fn health(&self) -> (u16, Value) {
        let response = self
            .client
            .get(format!("{}/healthz", self.url))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }
}

pub(crate) fn open_ledger(directory: &std::path::Path) -> Ledger {
    let origin = "127.0.0.1/ledger";
    let signer = NoteSigner::from_seed(origin, &[7; 32]).unwrap();
    Ledger::open(Options::new(directory.to_owned(), origin.to_owned()), signer).unwrap()
}
