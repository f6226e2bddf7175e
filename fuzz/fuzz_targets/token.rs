//! A token, through parsing and all rules: no panic, and an explanation that decides as the verification does.
#![no_main]

use std::sync::LazyLock;

use countersign_token::dangerous::Unverified;
use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, ParsedToken, Registry, Resource,
    assertion, explain, verify,
};
use libfuzzer_sys::fuzz_target;

const TEMPLATE: &str = "https://id.example/{tenantid}";

/// The keys of RFC 7515 A.2 and A.3 and of RFC 8037 A.1, under ids that are easy to find.
const KEYS: &[u8] = br#"{"keys":[
 {"kid":"e","iss":"https://id.example/{tenantid}","kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
 {"kid":"d","iss":"https://id.example/{tenantid}","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let issuer = IssuerName::parse(TEMPLATE).expect("a good name");
    let context = KeyContext::new(&issuer, "r", KeyMetadata::Assumed);
    let keys = KeySet::parse(KEYS, &context).expect("a good set");
    assert_eq!(keys.len(), 2, "{:?}", keys.refused());
    Registry::new(vec![IssuerRecord::new(issuer, "r", 3_600, keys)]).expect("a good record")
});
static RESOURCE: LazyLock<Resource> = LazyLock::new(|| Resource::new("mail", "https://mail.example", "r"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let check = Check::new(&REGISTRY, &RESOURCE, 1_700_000_000);
    let parsed = ParsedToken::parse(text);
    let verdict = parsed
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|token| verify(token, &check));
    let explained = explain(text, &check).result;
    assert_eq!(
        verdict.map_err(|refusal| refusal.reason).err(),
        explained.map_err(|refusal| refusal.reason).err()
    );
    let Ok(token) = parsed else { return };
    let unverified = Unverified::of(&token);
    let _ = (
        unverified.issuer(),
        unverified.audience().last(),
        unverified.scope(),
        unverified.email(),
    );
    let audiences = ["https://id.example/token".to_owned()];
    let policy = assertion::AssertionPolicy::new("client", &audiences, 1_700_000_000);
    for record in REGISTRY.issuers() {
        assert!(assertion::verify(&token, &record.keys, &policy).is_err());
    }
});
