//! What is absent is refused: each way in which the check that Microsoft added after Storm-0558 passes a token because
//! something is not there (`ValidateSigningKeyIssuer` compares only what it finds).

use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, Registry, Resource,
};
use serde_json::{Value, json};

use crate::world::{AUDIENCE, NOW, Signer, TENANT, verify_both};

const ENTRA: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// Entra's key set with this one key, changed; then a token of the tenant, changed, signed with it.
fn code(edit_key: impl FnOnce(&mut Value), edit_token: impl FnOnce(&mut Value, &mut Value)) -> &'static str {
    let signer = Signer::rs256();
    let mut key = Value::Object(signer.public().to_jwk());
    key["kid"] = json!("entra-key");
    key["use"] = json!("sig");
    key["issuer"] = json!(ENTRA);
    edit_key(&mut key);
    let issuer = IssuerName::parse(ENTRA).unwrap();
    let context = KeyContext::new(&issuer, "enterprise", KeyMetadata::Assumed);
    let keys = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes(), &context).unwrap();
    let fault = keys.refused().first().map(|refusal| refusal.reason.code());
    let mut record = IssuerRecord::new(issuer, "enterprise", 3_600, keys);
    record.token_types = vec!["jwt".to_owned()];
    let registry = Registry::new(vec![record]).unwrap();
    let resource = Resource::new("mail", AUDIENCE, "enterprise");
    let check = Check::new(&registry, &resource, NOW);
    let mut header = json!({ "typ": "JWT", "alg": "RS256", "kid": "entra-key" });
    let mut claims = json!({
        "iss": ENTRA.replace("{tenantid}", TENANT), "tid": TENANT, "aud": AUDIENCE, "sub": "s",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600,
    });
    edit_token(&mut header, &mut claims);
    let found = verify_both(&signer.token(&header, &claims), &check);
    match (found, fault) {
        (Ok(_), _) => "admitted",
        (Err(refusal), None) => refusal.code(),
        // A key that is not taken is one that nobody knows.
        (Err(refusal), Some(fault)) => {
            assert_eq!(refusal.code(), "key_unknown");
            fault
        }
    }
}

fn of_key(name: &str, value: Value) -> &'static str {
    code(|key| key[name] = value, |_, _| {})
}

fn of_claim(name: &str, value: Value) -> &'static str {
    code(|_| {}, |_, claims| claims[name] = value)
}

#[test]
fn with_everything_there_the_token_is_admitted() {
    assert_eq!(code(|_| {}, |_, _| {}), "admitted");
}

#[test]
fn an_unknown_kid_is_refused() {
    let found = code(|_| {}, |header, _| header["kid"] = json!("another-key"));
    assert_eq!(found, "key_unknown");
}

#[test]
fn an_absent_kid_is_refused_although_there_is_one_key_only() {
    let found = code(
        |_| {},
        |header, _| {
            header.as_object_mut().unwrap().remove("kid");
        },
    );
    assert_eq!(found, "key_id_missing");
}

#[test]
fn a_key_without_an_issuer_member_is_refused() {
    let found = code(
        |key| {
            key.as_object_mut().unwrap().remove("issuer");
        },
        |_, _| {},
    );
    assert_eq!(found, "key_issuer_missing");
}

#[test]
fn a_key_with_an_empty_issuer_is_refused() {
    assert_eq!(of_key("issuer", json!("")), "key_member_invalid");
}

#[test]
fn a_key_with_a_blank_issuer_is_refused() {
    assert_eq!(of_key("issuer", json!(" ")), "key_issuer_foreign");
}

#[test]
fn a_key_whose_issuer_is_null_is_refused() {
    assert_eq!(of_key("issuer", json!(null)), "key_member_invalid");
}

#[test]
fn a_token_without_tid_is_refused() {
    let found = code(
        |_| {},
        |_, claims| {
            claims.as_object_mut().unwrap().remove("tid");
        },
    );
    assert_eq!(found, "tenant_mismatch");
}

#[test]
fn a_token_whose_tid_is_null_is_refused() {
    assert_eq!(of_claim("tid", json!(null)), "claim_invalid");
}

#[test]
fn a_token_whose_tid_is_blank_is_refused() {
    assert_eq!(of_claim("tid", json!("")), "claim_invalid");
    assert_eq!(of_claim("tid", json!(" ")), "tenant_mismatch");
}

#[test]
fn a_token_without_iss_is_refused() {
    let found = code(
        |_| {},
        |_, claims| {
            claims.as_object_mut().unwrap().remove("iss");
        },
    );
    assert_eq!(found, "claim_missing");
}

#[test]
fn a_token_whose_iss_is_null_is_refused() {
    assert_eq!(of_claim("iss", json!(null)), "claim_invalid");
}

/// Microsoft's code asks whether the issuer *contains* the tenant.
#[test]
fn an_issuer_that_only_contains_the_tenant_is_refused() {
    let iss = format!("https://login.microsoftonline.com/{TENANT}/v2.0/{TENANT}");
    assert_eq!(of_claim("iss", json!(iss)), "issuer_unknown");
}
