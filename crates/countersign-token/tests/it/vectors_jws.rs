//! Wycheproof's JOSE vectors through the crate's own key sets and JWS layer.

use countersign_token::{IssuerName, KeyContext, KeyMetadata, KeySet, dangerous};
use serde_json::{Value, json};

use crate::vectors::published;

/// A vector that cannot be followed to the letter; why stands in `testdata/wycheproof/OVERRIDES.md` as well.
struct Override {
    ids: [u64; 2],
    /// What the file says.
    result: &'static str,
    /// What we do.
    outcome: &'static str,
}

/// The key says PS256, the header PS384: one key, one algorithm.
const FIGURE_20: Override = Override {
    ids: [346, 350],
    result: "valid",
    outcome: "algorithm_mismatch",
};

/// The key says ES521, which is no algorithm: such a key is not loaded.
const FIGURE_27: Override = Override {
    ids: [347, 351],
    result: "valid",
    outcome: "key_algorithm_unsupported",
};

/// Byte for byte the valid vector 357: the padding that should be refused was lost. That we refuse it all the same is
/// for its shared secret, not for its text.
const LOST_PADDING: Override = Override {
    ids: [367, 370],
    result: "invalid",
    outcome: "algorithm_symmetric",
};

/// A `?` inside a segment is no base64url.
const QUESTION_MARK: Override = Override {
    ids: [372, 373],
    result: "valid",
    outcome: "base64url_invalid",
};

const OVERRIDES: [Override; 4] = [FIGURE_20, FIGURE_27, LOST_PADDING, QUESTION_MARK];

/// Vectors that are valid with a shared secret. There are none here, on purpose.
const SYMMETRIC: &[&str] = &["key_symmetric", "algorithm_symmetric"];

fn load(keys: &Value) -> KeySet {
    let issuer = IssuerName::parse("https://wycheproof.example").unwrap();
    let context = KeyContext::new(&issuer, "vectors", KeyMetadata::Assumed);
    KeySet::parse(keys.to_string().as_bytes(), &context).unwrap()
}

/// The group's key or key set; of a private asymmetric one the public half.
fn public_keys(group: &Value) -> Value {
    let keys = group.get("public").unwrap_or(&group["private"]);
    let mut keys = match keys.get("keys") {
        Some(_) => keys.clone(),
        None => json!({ "keys": [keys] }),
    };
    for key in keys["keys"].as_array_mut().unwrap() {
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
    }
    keys
}

/// `accepted`, or the code of the refusal: of the text, or of the key where that is why there is none.
fn outcome(keys: &KeySet, jws: &str) -> &'static str {
    match (dangerous::verify_signature_alone(jws, keys), keys.refused()) {
        (Ok(_), _) => "accepted",
        (Err(refusal), [key, ..]) if refusal.code().starts_with("key_") => key.reason.code(),
        (Err(refusal), _) => refusal.code(),
    }
}

#[test]
fn wycheproof_jws_vectors_hold_but_for_the_written_overrides() {
    let file = published("wycheproof/testvectors_v1/json_web_signature_test.json");
    let (mut tests, mut accepted, mut overridden) = (0, 0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let keys = load(&public_keys(group));
        for test in group["tests"].as_array().unwrap() {
            let (id, said) = (test["tcId"].as_u64().unwrap(), test["result"].as_str().unwrap());
            let found = outcome(&keys, test["jws"].as_str().unwrap());
            let comment = &test["comment"];
            tests += 1;
            accepted += u32::from(found == "accepted");
            if let Some(written) = OVERRIDES.iter().find(|written| written.ids.contains(&id)) {
                assert_eq!((said, found), (written.result, written.outcome), "{id} {comment}");
                overridden += 1;
            } else if said == "valid" {
                let is_symmetric = group.get("public").is_none() && SYMMETRIC.contains(&found);
                assert!(found == "accepted" || is_symmetric, "{id} {comment}: {found}");
            } else {
                assert_ne!(found, "accepted", "{id} {comment}");
            }
        }
    }
    assert_eq!((tests, accepted, overridden), (401, 32, 8));
}

/// The base64 group is signed with a shared secret, so that all of it is refused; what counts is what for.
#[test]
fn wycheproof_base64_vectors_are_refused_for_their_base64() {
    let file = published("wycheproof/testvectors_v1/json_web_signature_test.json");
    let groups = file["testGroups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["comment"] == "base64").unwrap();
    let keys = load(&public_keys(group));
    // Valid ones, and the two that are byte for byte one of them.
    let well_formed = [357, 358, 359, 367, 370, 376, 377];
    for test in group["tests"].as_array().unwrap() {
        let id = test["tcId"].as_u64().unwrap();
        let expected = if well_formed.contains(&id) {
            "algorithm_symmetric"
        } else {
            "base64url_invalid"
        };
        assert_eq!(outcome(&keys, test["jws"].as_str().unwrap()), expected, "{id}");
    }
}

/// By `tcId`, in order: `accepted`, or why the key is not taken. Shared secrets are refused one and all.
const KEYS: [&str; 26] = [
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "accepted",
    "key_use_not_signature",
    "key_rsa_modulus_predictable",
    "key_rsa_modulus_too_small",
    "key_rsa_exponent_invalid",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_symmetric",
    "key_algorithm_unsupported",
    "key_algorithm_unsupported",
    "key_use_not_signature",
    "key_point_invalid",
    "key_algorithm_unsupported",
    "key_component_missing",
    "key_symmetric",
    "key_symmetric",
];

#[test]
fn wycheproof_key_vectors_are_refused_for_their_own_fault() {
    let file = published("wycheproof/testvectors_v1/json_web_key_test.json");
    let mut found = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        let keys = load(&public_keys(group));
        for test in group["tests"].as_array().unwrap() {
            let fault = keys.refused().first().map(|refusal| refusal.reason.code());
            let outcome = outcome(&keys, test["jws"].as_str().unwrap());
            assert!(outcome == "accepted" || fault.is_some(), "{}", test["tcId"]);
            found.push(fault.unwrap_or(outcome));
        }
    }
    assert_eq!(found, KEYS);
}

#[test]
fn wycheproof_jose_vectors_verify_nothing_that_is_encrypted() {
    let file = published("wycheproof/testvectors_v1/json_web_crypto_test.json");
    let (mut signed, mut encrypted) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        let keys = load(&public_keys(group));
        for test in group["tests"].as_array().unwrap() {
            let is_valid = test["result"] == "valid";
            let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
            let (found, expected) = if let Some(jws) = test.get("jws") {
                signed += 1;
                (outcome(&keys, &text(jws)), "accepted")
            } else {
                encrypted += 1;
                (outcome(&keys, &text(&test["jwe"])), "segment_count_wrong")
            };
            let is_symmetric = group.get("public").is_none() && SYMMETRIC.contains(&found);
            let id = &test["tcId"];
            assert!(!is_valid || found == expected || is_symmetric, "{id}: {found}");
            assert!(is_valid || found != "accepted", "{id}");
        }
    }
    assert_eq!((signed, encrypted), (49, 34));
}
