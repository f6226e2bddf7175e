//! The published corpus, `testdata/tokens`: every case, with the decision and the reason that stand beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_token::{
    AudienceRule, Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, Registry, Resource,
    TenantRule,
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
        resources.insert(text("name"), resource);
    }
    // Where we answer otherwise than published; the case stays as it is.
    let different: Value = serde_json::from_str(&read("different.json")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in read("cases.ndjson").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap();
        let check = Check::new(
            &registry,
            &resources[text("resource")],
            case["at"].as_u64().unwrap(),
        );
        let found = verify_both(text("token"), &check).map_or_else(|refusal| refusal.code(), |_| "admitted");
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
