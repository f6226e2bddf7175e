//! Whom the corpus trusts: the policy, as `countersign verify` and as other programs read it, and the key sets.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::keys::Keys;

/// The time of the corpus.
pub(super) const NOW: u64 = 1_700_000_000;
pub(super) const TENANT: &str = "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
pub(super) const OTHER_TENANT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
pub(super) const CONSUMER: &str = "https://id.example/consumer";
pub(super) const TEMPLATE: &str = "https://id.example/enterprise/{tenantid}";
pub(super) const FOREIGN: &str = "https://foreign.example/";
/// A provider that writes `iat` 300 s before it issues.
pub(super) const BACK_DATING: &str = "https://dated.example";
/// A provider that may issue for mail only.
pub(super) const SCOPED: &str = "https://scoped.example";
/// A provider that signs with ML-DSA.
pub(super) const POST_QUANTUM: &str = "https://pq.example";
/// The same provider in another cloud.
pub(super) const SOVEREIGN: &str = "https://id.sovereign.example/enterprise";
const DAY: u64 = 86_400;

pub(super) fn tenant_issuer(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// The issuer whose set holds a good key, `keys-good`, and a bad one of this kind.
pub(super) fn keys_issuer(kind: &str) -> String {
    format!("https://keys.example/{kind}")
}

/// An issuer that is trusted.
pub(super) struct Issuer {
    name: String,
    realm: &'static str,
    declared: bool,
    tenants: Vec<&'static str>,
    audiences: &'static [&'static str],
    issued_at_offset: u64,
    file: String,
    keys: Vec<Value>,
}

impl Issuer {
    fn new(name: impl Into<String>, realm: &'static str, file: &str, keys: Vec<Value>) -> Self {
        let file = format!("{file}.jwks.json");
        Self {
            name: name.into(),
            realm,
            declared: false,
            tenants: Vec::new(),
            audiences: &[],
            issued_at_offset: 0,
            file,
            keys,
        }
    }
}

/// Every issuer.
pub(super) fn issuers(keys: &mut Keys) -> Vec<Issuer> {
    let mut all = own(keys);
    let foreign = ["foreign-es256", "foreign-rs256", "foreign-ed25519"].map(|kid| public(keys, kid));
    all.push(Issuer::new(FOREIGN, "enterprise", "foreign", foreign.to_vec()));
    all.push(Issuer::new(
        SOVEREIGN,
        "sovereign",
        "sovereign",
        vec![public(keys, "sovereign")],
    ));
    all.extend(with_rules_of_their_own(keys));
    all.extend(namesakes(keys));
    all.extend(bad_keys(keys));
    all
}

/// Issuers whose sets say what each key is for.
fn own(keys: &mut Keys) -> Vec<Issuer> {
    let since = NOW - DAY;
    let mut ent = |kid: &str, issuer: &str, state: &str, from: u64, until| {
        declared(keys, kid, [issuer, "enterprise", state], from, until)
    };
    let mut enterprise = vec![
        ent("ent-shared", TEMPLATE, "active", since, None),
        ent("ent-tenant", &tenant_issuer(TENANT), "active", since, None),
        ent(
            "ent-other-tenant",
            &tenant_issuer(OTHER_TENANT),
            "active",
            since,
            None,
        ),
        ent("ent-retired", TEMPLATE, "retired", NOW - 1_000, Some(NOW - 100)),
        ent("ent-retired-open", TEMPLATE, "retired", since, None),
        ent("ent-not-yet", TEMPLATE, "active", NOW + DAY, None),
        ent("ent-staged", TEMPLATE, "staged", since, None),
        ent("ent-expired", TEMPLATE, "expired", since, None),
        ent("ent-suspect", TEMPLATE, "suspect", since, None),
        ent("ent-revoked", TEMPLATE, "revoked", since, None),
        ent("ent-silent", TEMPLATE, "active", since, None),
    ];
    if let Some(silent) = enterprise.last_mut() {
        set(silent, "iss", Value::Null);
    }
    let long_ago = NOW - 30 * DAY;
    let mut con = |kid: &str, state: &str, from: u64, until| {
        declared(keys, kid, [CONSUMER, "consumer", state], from, until)
    };
    let consumer = vec![
        con("con-active", "active", since, None),
        con("con-retired", "retired", long_ago, Some(NOW - 10 * DAY)),
        con("con-revoked", "revoked", since, None),
    ];
    let mut consumer = Issuer::new(CONSUMER, "consumer", "consumer", consumer);
    let mut enterprise = Issuer::new(TEMPLATE, "enterprise", "enterprise", enterprise);
    (consumer.declared, enterprise.declared) = (true, true);
    enterprise.tenants = vec![TENANT, OTHER_TENANT];
    vec![consumer, enterprise]
}

fn with_rules_of_their_own(keys: &mut Keys) -> [Issuer; 3] {
    let dated = declared(
        keys,
        "dated",
        [BACK_DATING, "enterprise", "retired"],
        NOW - 1_000,
        Some(NOW - 100),
    );
    let post_quantum = ["pq-44", "pq-65", "pq-87"].map(|kid| public(keys, kid));
    [
        Issuer {
            declared: true,
            issued_at_offset: 300,
            ..Issuer::new(BACK_DATING, "enterprise", "dated", vec![dated])
        },
        Issuer {
            audiences: &["https://mail.example"],
            ..Issuer::new(SCOPED, "enterprise", "scoped", vec![public(keys, "scoped")])
        },
        Issuer::new(POST_QUANTUM, "enterprise", "pq", post_quantum.to_vec()),
    ]
}

/// A key with its scope, `[issuer, realm, state]`, and its signing window.
fn declared(
    keys: &mut Keys,
    kid: &str,
    [issuer, realm, state]: [&str; 3],
    from: u64,
    until: Option<u64>,
) -> Value {
    let mut jwk = public(keys, kid);
    for (name, value) in [
        ("iss", json!(issuer)),
        ("cs_realm", json!(realm)),
        ("cs_state", json!(state)),
        ("cs_sign_from", json!(from)),
        ("cs_sign_until", json!(until)),
    ] {
        set(&mut jwk, name, value);
    }
    jwk
}

/// Two issuers of one realm that name different keys alike.
fn namesakes(keys: &mut Keys) -> [Issuer; 2] {
    [("a", "name-a"), ("b", "name-b")].map(|(name, kid)| {
        let mut jwk = public(keys, kid);
        set(&mut jwk, "kid", json!("key-1"));
        Issuer::new(
            format!("https://{name}.example"),
            "enterprise",
            &format!("namesake-{name}"),
            vec![jwk],
        )
    })
}

/// Point of the P-256 generator with its last bit changed: not on the curve.
const GENERATOR_X: &str = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
const NOT_Y: &str = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfQ";

/// Changes of one good key: `(kind, key, member, value)`; a `null` takes the member away.
fn changes(keys: &mut Keys) -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let x = keys.member("keys-bad", "x");
    let private = keys.member("keys-bad", "d");
    let n = keys.member("foreign-rs256", "n");
    let even = format!("{}AA", n.get(..n.len() - 2).unwrap_or_default());
    let ed25519 = keys.member("foreign-ed25519", "x");
    let pq = keys.member("pq-44", "pub");
    vec![
        ("use-enc", "keys-bad", "use", json!("enc")),
        ("key-ops-encrypt", "keys-bad", "key_ops", json!(["encrypt"])),
        ("private", "keys-bad", "d", json!(private)),
        ("no-algorithm", "foreign-rs256", "alg", Value::Null),
        ("rsa-1024", "keys-rsa-1024", "use", json!("sig")),
        ("rsa-exponent-1", "foreign-rs256", "e", json!("AQ")),
        ("rsa-even", "foreign-rs256", "n", json!(even)),
        ("rsa-roca", "keys-roca", "use", json!("sig")),
        ("off-curve", "keys-bad", "x", json!(GENERATOR_X)),
        ("infinity", "keys-bad", "x", json!("A".repeat(43))),
        ("x-short", "keys-bad", "x", json!(x.get(..40))),
        ("x-long", "keys-bad", "x", json!(format!("AAAA{x}"))),
        ("curve-mismatch", "keys-bad", "crv", json!("P-384")),
        ("p-384", "keys-p384", "use", json!("sig")),
        ("akp-no-algorithm", "pq-44", "alg", Value::Null),
        ("akp-other-algorithm", "pq-44", "alg", json!("ML-DSA-65")),
        ("akp-short", "pq-44", "pub", json!(pq.get(..1_740))),
        ("ed25519-short", "foreign-ed25519", "x", json!(ed25519.get(..40))),
        ("x25519", "foreign-ed25519", "crv", json!("X25519")),
    ]
}

fn bad_keys(keys: &mut Keys) -> Vec<Issuer> {
    let secret = json!({"kty": "oct", "alg": "HS256", "k": super::keys::encode([7; 32])});
    let mut list = vec![
        ("symmetric", vec![secret]),
        ("repeated", vec![public(keys, "keys-bad"), public(keys, "name-a")]),
        ("empty-kid", vec![public(keys, "keys-bad")]),
    ];
    for (kind, kid, member, value) in changes(keys) {
        let mut jwk = public(keys, kid);
        set(&mut jwk, member, value);
        match kind {
            "off-curve" => set(&mut jwk, "y", json!(NOT_Y)),
            "infinity" => set(&mut jwk, "y", json!("A".repeat(43))),
            "key-ops-encrypt" => set(&mut jwk, "use", Value::Null),
            "x25519" => set(&mut jwk, "alg", Value::Null),
            _ => {}
        }
        list.push((kind, vec![jwk]));
    }
    let good = public(keys, "keys-good");
    let issuer = |(kind, mut bad): (&str, Vec<Value>)| {
        // Under its own name everywhere, so that no set's key is taken for another's.
        let kid = if kind == "empty-kid" {
            String::new()
        } else {
            format!("bad-{kind}")
        };
        for jwk in &mut bad {
            set(jwk, "kid", json!(kid));
        }
        bad.insert(0, good.clone());
        Issuer::new(keys_issuer(kind), "enterprise", &format!("keys-{kind}"), bad)
    };
    list.into_iter().map(issuer).collect()
}

/// The public key as an issuer publishes it.
fn public(keys: &mut Keys, kid: &str) -> Value {
    let members: &[&str] = match keys.algorithm(kid) {
        "RS256" => &["kty", "n", "e"],
        "EdDSA" => &["kty", "crv", "x"],
        algorithm if algorithm.starts_with("ML-DSA") => &["kty", "pub"],
        _ => &["kty", "crv", "x", "y"],
    };
    let mut jwk = json!({"kid": kid, "alg": keys.algorithm(kid), "use": "sig"});
    for name in members {
        let value = keys.member(kid, name);
        set(&mut jwk, name, json!(value));
    }
    jwk
}

/// Sets a member; `null` removes it.
fn set(jwk: &mut Value, name: &str, value: Value) {
    let Some(members) = jwk.as_object_mut() else {
        return;
    };
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}

/// A resource that takes bound tokens only.
const BOUND: &str = "mail-bound";

/// `(name, audience, realm, scopes, tenants)`
type Resource = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const RESOURCES: &[Resource] = &[
    ("mail", "https://mail.example", "enterprise", &[], &[]),
    (
        "mail-admin",
        "https://mail.example",
        "enterprise",
        &["mail.admin"],
        &[],
    ),
    (
        "mail-other-tenant",
        "https://mail.example",
        "enterprise",
        &[],
        &[OTHER_TENANT],
    ),
    ("outlook", "https://mail.example", "consumer", &[], &[]),
    ("files", "https://files.example", "enterprise", &[], &[]),
    (BOUND, "https://mail.example", "enterprise", &[], &[]),
];

/// Which of its tokens must be bound.
fn proof_rule(resource: &str) -> &'static str {
    if resource == BOUND { "required" } else { "if_bound" }
}

/// The files of policy and keys: `(name, text)`.
pub(super) fn files(issuers: &[Issuer]) -> Vec<(String, String)> {
    let mut toml = String::from(
        "# The policy of the token corpus, made by `cargo xtask corpus`. All keys are test keys that everybody knows.\n",
    );
    for issuer in issuers {
        let metadata = if issuer.declared { "declared" } else { "assumed" };
        let _ = write!(
            toml,
            "\n[[issuers]]\nissuer = \"{}\"\nrealm = \"{}\"\njwks_file = \"{}\"\nkey_metadata = \"{metadata}\"\n\
             tenants = {:?}\naudiences = {:?}\nissued_at_offset_seconds = {}\nlifetime_max_seconds = 3600\n\
             clock_skew_seconds = 30\n",
            issuer.name, issuer.realm, issuer.file, issuer.tenants, issuer.audiences, issuer.issued_at_offset,
        );
    }
    for (name, audience, realm, scopes, tenants) in RESOURCES {
        let _ = write!(
            toml,
            "\n[[resources]]\nname = \"{name}\"\naudience = \"{audience}\"\nrealm = \"{realm}\"\n\
             scopes = {scopes:?}\ntenants = {tenants:?}\nproof = \"{}\"\n",
            proof_rule(name),
        );
    }
    let mut files = vec![
        ("policy.toml".to_owned(), toml),
        ("policy.json".to_owned(), pretty(&policy(issuers))),
    ];
    files.extend(
        issuers
            .iter()
            .map(|issuer| (issuer.file.clone(), pretty(&json!({"keys": issuer.keys})))),
    );
    files
}

/// The same policy for programs that do not read TOML.
fn policy(issuers: &[Issuer]) -> Value {
    let issuers: Vec<_> = issuers
        .iter()
        .map(|it| {
            json!({
                "issuer": it.name, "realm": it.realm, "jwks_file": it.file, "tenants": it.tenants,
                "audiences": it.audiences, "issued_at_offset_seconds": it.issued_at_offset,
            })
        })
        .collect();
    let resources: Vec<_> = RESOURCES
        .iter()
        .map(|it| json!({"name": it.0, "audience": it.1, "realm": it.2, "scopes": it.3, "tenants": it.4, "proof": proof_rule(it.0)}))
        .collect();
    json!({"clock_skew_seconds": 30, "lifetime_max_seconds": 3600, "issuers": issuers, "resources": resources})
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
