//! The `jsonwebtoken` crate on the bad-token corpus, for the table in `docs/peers.md`: `jsonwebtoken_peer FOLDER`.
//! One line about itself, then one answer a case. It takes no clock: run it under one.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool of the developers fails by panicking"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value, json};

/// Typed, so that a claim of another type is refused.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether they can be read counts")]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: String,
}

#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

struct Issuer {
    realm: String,
    keys: JwkSet,
}

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let cases = std::env::args()
        .nth(2)
        .unwrap_or_else(|| "cases.ndjson".to_owned());
    let folder = Path::new(&folder);
    let policy = read(&folder.join("policy.json"));
    let issuers = issuers(folder, &policy);
    println!(
        "{}",
        json!({"peer": "jsonwebtoken", "version": "11.1.0", "runtime": "Rust, aws-lc-rs"})
    );
    for line in std::fs::read_to_string(folder.join(cases)).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = text(&case, "id");
        let answer = match judge(&case, &policy, &issuers) {
            Ok(()) => json!({"id": id, "answer": "admit"}),
            Err(error) => json!({"id": id, "answer": "refuse", "detail": error.to_string()}),
        };
        println!("{answer}");
    }
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// One entry for each `iss` there may be, with its own keys.
fn issuers(folder: &Path, policy: &Value) -> BTreeMap<String, Issuer> {
    let mut issuers = BTreeMap::new();
    for issuer in list(policy, "issuers") {
        let jwks = read(&folder.join(text(issuer, "jwks_file")));
        // A key that cannot be read takes no good one with it.
        let keys = list(&jwks, "keys")
            .iter()
            .filter_map(|key| serde_json::from_value(key.clone()).ok());
        // Asymmetric keys only, as a set is public.
        let keys: Vec<Jwk> = keys
            .filter(|key: &Jwk| !matches!(key.algorithm, AlgorithmParameters::OctetKey(_)))
            .collect();
        let name = text(issuer, "issuer");
        let tenants = list(issuer, "tenants").iter().filter_map(Value::as_str);
        let names: Vec<String> = if name.contains("{tenantid}") {
            tenants.map(|tenant| name.replace("{tenantid}", tenant)).collect()
        } else {
            vec![name.to_owned()]
        };
        for name in names {
            let keys = JwkSet { keys: keys.clone() };
            issuers.insert(
                name,
                Issuer {
                    realm: text(issuer, "realm").to_owned(),
                    keys,
                },
            );
        }
    }
    issuers
}

fn judge(case: &Value, policy: &Value, issuers: &BTreeMap<String, Issuer>) -> Result<(), Box<dyn Error>> {
    let token = text(case, "token");
    let resource = list(policy, "resources")
        .iter()
        .find(|it| text(it, "name") == text(case, "resource"));
    let resource = resource.ok_or("no such resource")?;
    let iss = dangerous::insecure_decode::<Unverified>(token)?.claims.iss;
    let issuer = issuers
        .get(&iss)
        .filter(|it| it.realm == text(resource, "realm"))
        .ok_or("issuer not trusted")?;
    let kid = decode_header(token)?.kid.ok_or("no kid")?;
    let jwk = issuer.keys.find(&kid).ok_or("key unknown")?;
    let algorithm = match jwk.common.key_algorithm {
        Some(name) => name.to_string().parse()?,
        None => Algorithm::RS256,
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&iss]);
    validation.set_audience(&[text(resource, "audience")]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = policy
        .get("clock_skew_seconds")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    decode::<Claims>(token, &DecodingKey::from_jwk(jwk)?, &validation)?;
    Ok(())
}
