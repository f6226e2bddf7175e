//! The published corpus, `testdata/tokens`: every case, with the decision and the reason that stand beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
use countersign_token::{
    AudienceRule, CertificateThumbprint, Check, Dpop, IssuerName, IssuerRecord, KeyContext, KeyMetadata,
    KeySet, ParsedToken, ProofRule, Proofs, Registry, Resource, TenantRule, explain, verify,
};
use serde_json::Value;

use crate::world::verify_both;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokens")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}

fn tenants(value: &Value) -> TenantRule {
    match texts(value) {
        all if all.is_empty() => TenantRule::Any,
        some => TenantRule::Only(some),
    }
}

fn record(issuer: &Value) -> IssuerRecord {
    let text = |name: &str| issuer[name].as_str().unwrap();
    let name = IssuerName::parse(text("issuer")).unwrap();
    let json = read(text("jwks_file"));
    // Only our own sets speak of realms.
    let metadata = if json.contains("cs_realm") {
        KeyMetadata::Declared
    } else {
        KeyMetadata::Assumed
    };
    let context = KeyContext::new(&name, text("realm"), metadata);
    let keys = KeySet::parse(json.as_bytes(), &context).unwrap();
    let mut record = IssuerRecord::new(name, text("realm"), 3_600, keys);
    record.tenants = tenants(&issuer["tenants"]);
    record.issued_at_offset = issuer["issued_at_offset_seconds"].as_u64().unwrap();
    let audiences = texts(&issuer["audiences"]);
    if !audiences.is_empty() {
        record.audiences = AudienceRule::Only(audiences);
    }
    record
}

/// The answer to a token that came with a request.
fn with_request(
    token: &str,
    request: &Value,
    check: &Check<'_>,
    used: &[MemoryReplayStore; 2],
) -> &'static str {
    let text = |name: &str| request[name].as_str();
    let values = |name: &str| -> Vec<&str> {
        match &request["headers"][name] {
            Value::String(value) => vec![value],
            Value::Array(values) => values.iter().map(|it| it.as_str().unwrap()).collect(),
            _ => Vec::new(),
        }
    };
    let address = text("url").unwrap();
    let url = if address.starts_with('/') {
        RequestUrl::from_parts("https", values("Host")[0], address)
    } else {
        RequestUrl::parse(address)
    };
    let Ok(url) = url else {
        return "request_malformed";
    };
    let proof = values("DPoP");
    let nonces: Option<Vec<&str>> = request["nonces"]
        .as_array()
        .map(|list| list.iter().map(|it| it.as_str().unwrap()).collect());
    let certificate = match values("Client-Cert").first() {
        None => None,
        Some(value) => {
            let inside = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
            match inside.and_then(|text| STANDARD.decode(text).ok()) {
                None => return "request_malformed",
                der => der,
            }
        }
    };
    let is_bearer = values("Authorization")
        .first()
        .is_some_and(|value| value.starts_with("Bearer "));
    let proofs = |used| {
        let mut shown = Request::new(text("method").unwrap(), &url, used);
        shown.nonces = nonces.as_deref();
        let mut proofs = Proofs::NONE;
        if !is_bearer {
            proofs = proofs.with_dpop(Dpop::new(&proof, shown));
        }
        if let Some(der) = &certificate {
            proofs = proofs.with_certificate(der);
        }
        if let Some(thumbprint) = text("certificate_thumbprint") {
            let thumbprint = CertificateThumbprint::from_base64url(thumbprint).unwrap();
            proofs = proofs.with_certificate_thumbprint(thumbprint);
        }
        proofs
    };
    let [verified, explained] = used;
    let code = ParsedToken::parse(token)
        .and_then(|token| verify(&token, &check.with_proofs(proofs(verified))))
        .map_or_else(|refusal| refusal.code(), |_| "admitted");
    let explanation = explain(token, &check.with_proofs(proofs(explained)));
    let by_steps = explanation
        .result
        .map_or_else(|refusal| refusal.code(), |_| "admitted");
    assert_eq!(code, by_steps);
    code
}

#[test]
fn every_case_is_answered_as_published() {
    let policy: Value = serde_json::from_str(&read("policy.json")).unwrap();
    let registry = Registry::new(policy["issuers"].as_array().unwrap().iter().map(record).collect()).unwrap();
    let mut resources = BTreeMap::new();
    for it in policy["resources"].as_array().unwrap() {
        let text = |name: &str| it[name].as_str().unwrap();
        let mut resource = Resource::new(text("name"), text("audience"), text("realm"));
        resource.scopes = texts(&it["scopes"]);
        resource.tenants = tenants(&it["tenants"]);
        if text("proof") == "required" {
            resource.proof = ProofRule::Required;
        }
        resources.insert(text("name"), resource);
    }
    // Where we answer otherwise than published; the case stays as it is.
    let different: Value = serde_json::from_str(&read("different.json")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    // One for verifying and one for explaining, which would use up each other's proofs.
    let used = [MemoryReplayStore::new(1_000), MemoryReplayStore::new(1_000)];
    for line in read("cases.ndjson").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap();
        let check = Check::new(
            &registry,
            &resources[text("resource")],
            case["at"].as_u64().unwrap(),
        );
        let found = if case["request"].is_null() {
            verify_both(text("token"), &check).map_or_else(|refusal| refusal.code(), |_| "admitted")
        } else {
            with_request(text("token"), &case["request"], &check, &used)
        };
        let published = case["reason"].as_str().unwrap_or("admitted");
        let different = different[text("id")].as_str();
        assert_eq!(
            text("expect") == "admit",
            case["reason"].is_null(),
            "{}",
            text("id")
        );
        if found != different.unwrap_or(published) || different == Some(published) {
            wrong.push(format!("{}: {found}, published {published}", text("id")));
        }
        count += 1;
    }
    assert_eq!(wrong, Vec::<String>::new(), "{} of {count}", wrong.len());
}
