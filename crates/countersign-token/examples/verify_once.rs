//! Verifies one token as often as it is told, for counting instructions:
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/verify_once parse 1000
//! ```
//!
//! The first argument is `parse` or `verify`, the second how often. What one token costs is the difference of two runs
//! divided by the difference of their counts. The key and the token are the same in every run.
#![allow(clippy::unwrap_used, reason = "an example fails by panicking")]

use std::hint::black_box;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, ParsedToken, PublicKey, Registry, Resource,
    SigningWindow, verify,
};

const NOW: u64 = 1_700_000_000;
const CLAIMS: &str = r#"{"iss":"https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e","aud":"https://mail.example","sub":"7f3d8c1e-5b0a-4e0f-9a55-2f6f7c1d9e10","client_id":"0b6f9a6e-30a1-4d64-8f0c-1a2b3c4d5e6f","jti":"Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MDEyMzQ1","iat":1699999940,"nbf":1699999940,"exp":1700003600,"scope":"mail.read mail.send","tid":"1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e","ver":"2.0"}"#;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let is_verified = arguments.next().as_deref() == Some("verify");
    let times: u32 = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(1);

    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let issuer = IssuerName::parse("https://id.example/enterprise/{tenantid}").unwrap();
    let public = PublicKey::from_ed25519(pair.public_key().as_ref()).unwrap();
    let key = KeyRecord::new(
        public,
        issuer.clone(),
        "enterprise",
        KeyState::Active,
        SigningWindow::OPEN,
    );
    let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, key.id());
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(CLAIMS)
    );
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes())));

    let record = IssuerRecord::new(issuer, "enterprise", 86_400, KeySet::new(vec![key]));
    let registry = Registry::new(vec![record]).unwrap();
    let resource = Resource::new("mail", "https://mail.example", "enterprise");
    let check = Check::new(&registry, &resource, NOW);
    for _ in 0..times {
        let parsed = ParsedToken::parse(black_box(&token)).unwrap();
        if is_verified {
            let _ = black_box(verify(&parsed, &check).unwrap());
        }
    }
}
