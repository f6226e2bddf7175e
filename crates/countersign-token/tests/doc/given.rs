// What the examples in the documentation have in common: issuers, keys and tokens of `testdata/tokens`, whose private
// keys everybody knows. Each example includes this file in a hidden line.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, ParsedToken, Registry, Resource,
    VerifiedToken, verify,
};
use serde_json::Value;

/// When the tokens are good.
pub const NOW: u64 = 1_700_000_000;
/// The tenant they are of.
pub const TENANT: &str = "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
/// The key set of the issuer, as it publishes it.
pub const JWKS: &[u8] = include_bytes!("../../../../testdata/tokens/enterprise.jwks.json");

pub fn issuer() -> IssuerName {
    IssuerName::parse("https://id.example/enterprise/{tenantid}").unwrap()
}

pub fn key_set() -> KeySet {
    KeySet::parse(
        JWKS,
        &KeyContext::new(&issuer(), "enterprise", KeyMetadata::Declared),
    )
    .unwrap()
}

pub fn registry() -> Registry {
    Registry::new(vec![IssuerRecord::new(issuer(), "enterprise", 3_600, key_set())]).unwrap()
}

pub fn resource() -> Resource {
    Resource::new("mail", "https://mail.example", "enterprise")
}

/// The token of a case, by its id.
pub fn token(id: &str) -> String {
    let cases = include_str!("../../../../testdata/tokens/cases.ndjson").lines();
    let mut cases = cases.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let case = cases.find(|case| case["id"] == id).unwrap();
    case["token"].as_str().unwrap().to_owned()
}

/// The same, verified.
pub fn verified(id: &str) -> VerifiedToken {
    let (registry, resource) = (registry(), resource());
    verify(
        &ParsedToken::parse(&token(id)).unwrap(),
        &Check::new(&registry, &resource, NOW),
    )
    .unwrap()
}

/// What a client with an Ed25519 key of its own signs, and its registered key set.
pub fn signed_by_client(claims: &Value) -> (String, String) {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let input = format!(
        "{}.{}",
        encode(br#"{"alg":"EdDSA"}"#),
        encode(claims.to_string().as_bytes())
    );
    let x = encode(pair.public_key().as_ref());
    let jwks = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
    (
        format!("{input}.{}", encode(pair.sign(input.as_bytes()).as_ref())),
        jwks,
    )
}
