//! Key sets that real providers published, and broken ones, read as a relying party reads them.

use std::collections::BTreeSet;

use countersign_token::{
    Algorithm, Check, IssuerName, IssuerRecord, JwksError, KeyContext, KeyMetadata, KeyRecord, KeySet,
    Registry, Resource,
};
use serde_json::{Value, json};

use crate::vectors::published_text;
use crate::world::{AUDIENCE, NOW, TENANT, encode, verify_both};

const ENTRA_V1: &str = "https://sts.windows.net/{tenantid}/";
const ENTRA_V2: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
/// The tenant of all personal accounts.
const CONSUMER_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const GOOGLE: &str = "https://accounts.google.com";

fn of_tenant(template: &str, tenant: &str) -> String {
    template.replace("{tenantid}", tenant)
}

fn parse(text: &str, issuer: &str) -> Result<KeySet, JwksError> {
    let issuer = IssuerName::parse(issuer).unwrap();
    let context = KeyContext::new(&issuer, "enterprise", KeyMetadata::Assumed);
    KeySet::parse(text.as_bytes(), &context)
}

fn document(name: &str) -> String {
    published_text(&format!("key-sets/entra-documents/{name}"))
}

/// Every version of a key set in the history.
fn history(name: &str) -> Vec<String> {
    let text = published_text(&format!("key-sets/history/{name}.ndjson"));
    let set = |line: &str| serde_json::from_str::<Value>(line).unwrap()["jwks"].to_string();
    text.lines().map(set).collect()
}

/// The reasons of all refusals; how many keys were taken.
fn outcome(set: &KeySet) -> (usize, Vec<&'static str>) {
    let codes = set.refused().iter().map(|refusal| refusal.reason.code());
    (set.len(), codes.collect())
}

#[test]
fn every_key_that_a_provider_published_is_taken() {
    for (name, issuer, keys) in [
        (
            "real/entra-common-v1.jwks.2024-02.json",
            of_tenant(ENTRA_V1, TENANT),
            3,
        ),
        (
            "real/entra-common-v1.jwks.2024-07.json",
            of_tenant(ENTRA_V1, TENANT),
            7,
        ),
        ("real/entra-common-v2.jwks.2024-02.json", ENTRA_V2.to_owned(), 5),
        ("real/entra-common-v2.jwks.2024-07.json", ENTRA_V2.to_owned(), 10),
        ("real/google.jwks.2024-02.json", GOOGLE.to_owned(), 2),
        (
            "real/pinglabs.jwks.json",
            "https://connect-interop.pinglabs.org:9031".to_owned(),
            3,
        ),
    ] {
        let set = parse(&document(name), &issuer).unwrap();
        assert_eq!(outcome(&set), (keys, vec![]), "{name}");
        assert!(
            set.keys().all(|key| key.algorithm() == Algorithm::Rs256),
            "{name}"
        );
    }
    let set = parse(&document("test-keys/JsonWebKeySetECC.json"), GOOGLE).unwrap();
    let algorithms: Vec<_> = set.keys().map(|key| key.algorithm().as_str()).collect();
    assert_eq!(algorithms, ["ES256", "ES384", "ES512"]);
}

#[test]
fn every_key_of_their_history_is_taken() {
    for (name, issuer, keys) in [
        ("entra-common", ENTRA_V2, 42),
        ("entra-organizations", ENTRA_V2, 10),
        ("google", GOOGLE, 20),
    ] {
        let mut seen = BTreeSet::new();
        for text in history(name) {
            let set = parse(&text, issuer).unwrap();
            assert!(set.refused().is_empty(), "{name}: {:?}", set.refused());
            seen.extend(set.keys().map(|key| key.id().to_owned()));
        }
        assert_eq!(seen.len(), keys, "{name}");
    }
}

/// The file with every `n` in base64url: two old keys that fill many of these sets have it in plain base64, so that
/// they are refused for that before anything else.
fn repaired(text: &str) -> String {
    let mut set: Value = serde_json::from_str(text).unwrap();
    for key in set["keys"].as_array_mut().unwrap() {
        if let Some(n) = key.get("n").and_then(Value::as_str) {
            key["n"] = json!(n.replace('+', "-").replace('/', "_").trim_end_matches('='));
        }
    }
    set.to_string()
}

#[test]
fn malformed_keys_are_refused_one_by_one() {
    // What is in the file, how many of its keys are taken once `n` is repaired, and why the others are not.
    for (name, taken, refused) in [
        (
            "JsonWebKeySet",
            0,
            &["key_operations_not_verify", "key_algorithm_unsupported"][..],
        ),
        ("JsonWebKeySetBadBase64Data", 2, &[]),
        ("JsonWebKeySetBadECCurve", 0, &["key_type_unsupported"]),
        (
            "JsonWebKeySetBadRsaDataMissingComponent",
            0,
            &[
                "key_type_missing",
                "key_operations_not_verify",
                "key_component_missing",
            ],
        ),
        ("JsonWebKeySetBadRsaExponent", 0, &["key_base64url_invalid"]),
        ("JsonWebKeySetBadRsaModulus", 0, &["key_rsa_modulus_invalid"]),
        ("JsonWebKeySetBadX509", 1, &[]),
        ("JsonWebKeySetBadX509Data", 2, &[]),
        ("JsonWebKeySetEnd2EndEC", 2, &["key_algorithm_unsupported"]),
        ("JsonWebKeySetKtyNotRsa", 0, &["key_type_unsupported"]),
        (
            "JsonWebKeySetOneInvalidEcOneValidEc",
            1,
            &["key_type_unsupported"],
        ),
        (
            "JsonWebKeySetOneValidRsaOneInvalidEc",
            1,
            &["key_type_unsupported"],
        ),
        (
            "JsonWebKeySetOneValidRsaOneInvalidRsa",
            1,
            &["key_base64url_invalid"],
        ),
        ("JsonWebKeySetOnlyX5t", 0, &["key_component_missing"]),
        ("JsonWebKeySetSingleX509Data", 0, &["key_component_missing"]),
        (
            "JsonWebKeySetUnrecognizedKty",
            0,
            &["key_operations_not_verify", "key_symmetric"],
        ),
        ("JsonWebKeySetUseNoKid", 0, &["key_id_missing"]),
        ("JsonWebKeySetUseNoKty", 0, &["key_type_missing"]),
        ("JsonWebKeySetUseNotSig", 0, &["key_use_not_signature"]),
        ("JsonWebKeySetX509Data", 0, &["key_component_missing"]),
    ] {
        let text = document(&format!("malformed/{name}.json"));
        let as_published = parse(&text, GOOGLE).unwrap();
        let set = parse(&repaired(&text), GOOGLE).unwrap();
        assert_eq!(outcome(&set), (taken, refused.to_vec()), "{name}");
        // The plain base64 itself is a fault, and makes no other key good.
        assert!(as_published.len() <= set.len(), "{name}");
    }
    let plain = parse(&document("malformed/JsonWebKeySetBadX509.json"), GOOGLE).unwrap();
    assert_eq!(outcome(&plain), (0, vec!["key_base64url_invalid"]));
}

#[test]
fn documents_that_are_no_key_sets_are_refused_as_a_whole() {
    for (name, expected) in [
        (
            "DuplicateMembers.openid-configuration.json",
            JwksError::MemberRepeated,
        ),
        (
            "OpenIdConnectMetadataJsonWebKeySetBadUri.json",
            JwksError::KeysMissing,
        ),
        ("not-json/JsonWebKeyBadFormatString1.txt", JwksError::JsonInvalid),
        ("not-json/JsonWebKeyBadFormatString2.txt", JwksError::JsonInvalid),
        ("not-json/JsonWebKeySetBadFormating.txt", JwksError::JsonInvalid),
        (
            "not-json/OpenIdConnectMetadataBadFormat.txt",
            JwksError::JsonInvalid,
        ),
        (
            "not-json/OpenIdConnectMetatadataBadJson.txt",
            JwksError::JsonInvalid,
        ),
    ] {
        let error = parse(&document(&format!("malformed/{name}")), GOOGLE).unwrap_err();
        assert_eq!(error, expected, "{name}");
    }
    let discovery = document("real/entra-common-v2.openid-configuration.json");
    assert_eq!(parse(&discovery, ENTRA_V2).unwrap_err(), JwksError::KeysMissing);
}

/// The v1 set names no issuers: under the template that would be "all tenants".
#[test]
fn entras_v1_keys_are_taken_for_one_tenant_and_not_for_all() {
    let text = document("real/entra-common-v1.jwks.2024-07.json");
    let (taken, refused) = outcome(&parse(&text, ENTRA_V1).unwrap());
    assert_eq!((taken, refused), (0, vec!["key_issuer_missing"; 7]));
    let issuer = of_tenant(ENTRA_V1, TENANT);
    let set = parse(&text, &issuer).unwrap();
    assert_eq!(set.len(), 7);
    assert!(set.keys().all(|key| key.issuer().as_str() == issuer));
    // Keys that name v2 issuers are no v1 issuer's.
    let v2 = document("real/entra-common-v2.jwks.2024-07.json");
    let (taken, refused) = outcome(&parse(&v2, ENTRA_V1).unwrap());
    assert_eq!((taken, refused), (0, vec!["key_issuer_foreign"; 10]));
}

/// One document mixes the keys of personal accounts with those of all organizations.
#[test]
fn a_key_of_the_mixed_common_set_signs_in_its_own_scope_only() {
    let consumer = of_tenant(ENTRA_V2, CONSUMER_TENANT);
    let enterprise = of_tenant(ENTRA_V2, TENANT);
    let mut ids = [BTreeSet::new(), BTreeSet::new()];
    for text in history("entra-common") {
        let under_template = parse(&text, ENTRA_V2).unwrap();
        let under_tenant = parse(&text, &enterprise).unwrap();
        for key in under_template.keys() {
            let is_consumers = key.issuer().as_str() == consumer;
            assert!(is_consumers || key.issuer().as_str() == ENTRA_V2);
            assert!(key.issuer().matches(&consumer).is_some());
            assert_eq!(key.issuer().matches(&enterprise).is_some(), !is_consumers);
            // Where one organization is trusted, the consumer's keys are nobody's.
            assert_eq!(under_tenant.key(key.id()).is_some(), !is_consumers);
            ids[usize::from(is_consumers)].insert(key.id().to_owned());
        }
        let mut refused = under_tenant.refused().iter();
        assert!(refused.all(|refusal| refusal.reason.code() == "key_issuer_foreign"));
    }
    assert_eq!(ids.map(|ids| ids.len()), [30, 12]);
}

/// The rule meets the real set: a consumer key for an organization is refused before its signature is looked at.
#[test]
fn a_consumer_key_of_the_real_set_does_not_sign_for_an_organization() {
    let issuer = IssuerName::parse(ENTRA_V2).unwrap();
    let keys = parse(&document("real/entra-common-v2.jwks.2024-07.json"), ENTRA_V2).unwrap();
    let mut record = IssuerRecord::new(issuer, "enterprise", 3_600, keys.clone());
    record.token_types = vec!["jwt".to_owned()];
    let registry = Registry::new(vec![record]).unwrap();
    let resource = Resource::new("mail", AUDIENCE, "enterprise");
    let check = Check::new(&registry, &resource, NOW);
    let code = |key: &KeyRecord, tenant: &str| {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": key.id() });
        let claims = json!({
            "iss": of_tenant(ENTRA_V2, tenant), "tid": tenant, "aud": AUDIENCE, "sub": "s",
            "iat": NOW, "nbf": NOW, "exp": NOW + 600,
        });
        let input = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let token = format!("{input}.{}", encode([1; 256]));
        verify_both(&token, &check).unwrap_err().code()
    };
    let consumer = of_tenant(ENTRA_V2, CONSUMER_TENANT);
    let (consumers, others): (Vec<_>, Vec<_>) =
        keys.keys().partition(|key| key.issuer().as_str() == consumer);
    assert_eq!((consumers.len(), others.len()), (3, 7));
    for key in consumers {
        assert_eq!(code(key, TENANT), "key_realm_mismatch");
        assert_eq!(code(key, CONSUMER_TENANT), "signature_invalid");
    }
    for key in others {
        assert_eq!(code(key, TENANT), "signature_invalid");
    }
}
