//! Two realms with keys in every state, and a way to sign anything.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{
    Algorithm, Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, ParsedToken, PublicKey, Refusal,
    Registry, Resource, SigningWindow, VerifiedToken, explain, verify,
};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const CONSUMER: &str = "https://id.example/consumer";
pub(crate) const TEMPLATE: &str = "https://id.example/enterprise/{tenantid}";
pub(crate) const TENANT: &str = "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
pub(crate) const OTHER_TENANT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
pub(crate) const FOREIGN: &str = "https://foreign.example/";
pub(crate) const AUDIENCE: &str = "https://mail.example";

pub(crate) fn tenant_issuer(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) enum Signer {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rs256() -> Self {
        Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn eddsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Es256(pair) => PublicKey::from_ec_point(Algorithm::Es256, pair.public_key().as_ref()),
            Self::EdDsa(pair) => PublicKey::from_ed25519(pair.public_key().as_ref()),
            Self::Rs256(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                PublicKey::from_rsa(
                    Algorithm::Rs256,
                    n.big_endian_without_leading_zero(),
                    e.big_endian_without_leading_zero(),
                )
            }
        }
        .unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        format!("{input}.{}", encode(self.sign(input.as_bytes())))
    }
}

/// A signer and what it is known as.
pub(crate) struct Key {
    pub(crate) signer: Signer,
    pub(crate) record: KeyRecord,
}

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) resource: Resource,
    pub(crate) keys: BTreeMap<&'static str, Key>,
}

fn window(sign_from: u64, sign_until: Option<u64>) -> SigningWindow {
    SigningWindow {
        sign_from,
        sign_until,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut keys = BTreeMap::new();
        let mut add = |name, signer: Signer, issuer: &str, realm: &str, state, window| {
            let issuer = IssuerName::parse(issuer).unwrap();
            let record = KeyRecord::new(signer.public(), issuer, realm, state, window);
            keys.insert(
                name,
                Key {
                    signer,
                    record: record.clone(),
                },
            );
            record
        };
        let (day, long_ago) = (86_400, window(NOW - 1_000_000, Some(NOW - 500_000)));
        let current = window(NOW - day, None);
        let consumer = vec![
            add(
                "consumer",
                Signer::es256(),
                CONSUMER,
                "consumer",
                KeyState::Active,
                current,
            ),
            add(
                "consumer-retired",
                Signer::es256(),
                CONSUMER,
                "consumer",
                KeyState::Retired,
                long_ago,
            ),
        ];
        let mut enterprise = |name, issuer: &str, state, window| {
            add(name, Signer::es256(), issuer, "enterprise", state, window)
        };
        let (mine, other) = (tenant_issuer(TENANT), tenant_issuer(OTHER_TENANT));
        let enterprise = vec![
            enterprise("shared", TEMPLATE, KeyState::Active, current),
            enterprise("tenant", &mine, KeyState::Active, current),
            enterprise("other-tenant", &other, KeyState::Active, current),
            enterprise(
                "retired",
                TEMPLATE,
                KeyState::Retired,
                window(NOW - 1_000, Some(NOW - 100)),
            ),
            enterprise("retired-long-ago", TEMPLATE, KeyState::Retired, long_ago),
            enterprise("retired-without-end", TEMPLATE, KeyState::Retired, current),
            enterprise(
                "not-before-tomorrow",
                TEMPLATE,
                KeyState::Active,
                window(NOW + day, None),
            ),
            enterprise("staged", TEMPLATE, KeyState::Staged, current),
            enterprise("expired", TEMPLATE, KeyState::Expired, current),
            enterprise("suspect", TEMPLATE, KeyState::Suspect, current),
            enterprise("revoked", TEMPLATE, KeyState::Revoked, current),
        ];
        let open = SigningWindow::OPEN;
        let foreign = vec![
            add(
                "rs256",
                Signer::rs256(),
                FOREIGN,
                "enterprise",
                KeyState::Active,
                open,
            ),
            add(
                "eddsa",
                Signer::eddsa(),
                FOREIGN,
                "enterprise",
                KeyState::Active,
                open,
            ),
        ];
        let record = |issuer, realm, keys| {
            IssuerRecord::new(
                IssuerName::parse(issuer).unwrap(),
                realm,
                3_600,
                KeySet::new(keys),
            )
        };
        let mut enterprise = record(TEMPLATE, "enterprise", enterprise);
        enterprise
            .email_domains
            .insert(TENANT.to_owned(), vec!["contoso.example".to_owned()]);
        let mut foreign = record(FOREIGN, "enterprise", foreign);
        foreign.token_types = vec!["JWT".to_owned(), String::new()];
        let registry =
            Registry::new(vec![record(CONSUMER, "consumer", consumer), enterprise, foreign]).unwrap();
        Self {
            registry,
            resource: Resource::new("mail", AUDIENCE, "enterprise"),
            keys,
        }
    }

    pub(crate) fn key(&self, name: &str) -> &Key {
        &self.keys[name]
    }

    pub(crate) fn check(&self) -> Check<'_> {
        Check::new(&self.registry, &self.resource, NOW)
    }

    pub(crate) fn header(&self, key: &str) -> Value {
        let record = &self.key(key).record;
        json!({ "alg": record.algorithm().as_str(), "typ": "at+jwt", "kid": record.id() })
    }

    /// A good token signed by `key`, after `edit` changed it.
    pub(crate) fn token(&self, key: &str, edit: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) = (self.header(key), claims());
        edit(&mut header, &mut claims);
        self.key(key).signer.token(&header, &claims)
    }

    /// Verifies, and sees to it that the explanation comes to the same.
    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        verify_both(token, &self.check())
    }

    pub(crate) fn code(&self, token: &str) -> &'static str {
        self.verify(token)
            .map_or_else(|refusal| refusal.reason.as_str(), |_| "admitted")
    }
}

pub(crate) fn verify_both(token: &str, check: &Check<'_>) -> Result<VerifiedToken, Refusal> {
    let verdict = ParsedToken::parse(token).and_then(|token| verify(&token, check));
    let explanation = explain(token, check);
    let first_failure = explanation
        .steps
        .iter()
        .find(|step| step.outcome == countersign_token::Outcome::Failed);
    let reason = verdict.as_ref().err().map(|refusal| refusal.reason);
    assert_eq!(
        explanation.result.as_ref().err().map(|refusal| refusal.reason),
        reason
    );
    assert_eq!(first_failure.map(|step| step.reason), reason);
    verdict
}

/// The claims of a good token for the enterprise resource.
pub(crate) fn claims() -> Value {
    json!({
        "iss": tenant_issuer(TENANT),
        "tid": TENANT,
        "sub": "ada",
        "aud": AUDIENCE,
        "client_id": "mail-client",
        "scope": "mail.read mail.send",
        "jti": "token-1",
        "iat": NOW - 60,
        "exp": NOW + 600,
    })
}
