//! Does one piece of work as often as it is told, for `cargo xtask bench token --instructions`, which counts what one
//! takes:
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/verify_once verify large 1000
//! ```
//!
//! The work is `parse`, `verify` (after parsing), `signature` (alone) or `refuse` (a token of bad form); the token is
//! `usual`, of 966 bytes if it were signed with RS256, or `large`, of 1,666. What one piece takes is the difference of
//! two runs divided by the difference of their times: key and token are the same in every run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "an example fails by panicking")]

use std::hint::black_box;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, ParsedToken, PublicKey, Registry, Resource,
    SigningWindow, verify,
};

const NOW: u64 = 1_700_000_000;
const ISSUER: &str = "https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
const USUAL: &str = r#""aud":"https://mail.example","client_id":"0b6f9a6e-30a1-4d64-8f0c-1a2b3c4d5e6f","exp":1700003600,"iat":1699999940,"iss":"https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e","jti":"Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MDEyMzQ1","nbf":1699999940,"scope":"mail.read mail.send","sub":"7f3d8c1e-5b0a-4e0f-9a55-2f6f7c1d9e10","tid":"1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e","ver":"2.0""#;
const MORE: &str = r#","acr":"1","aio":"AUQAu/8TAAAA9d1f0f6a11c24d7ea6b00f1e2d3c4b5a9e8d7c6b5a494838a726150493827160Zm9v","amr":["pwd","mfa"],"azp":"0b6f9a6e-30a1-4d64-8f0c-1a2b3c4d5e6f","idtyp":"user","ipaddr":"203.0.113.42","name":"Ada King","oid":"c0a8f1d2-7b64-4c8e-8f0a-9d1e2f3a4b5c","preferred_username":"ak@contoso.example","rh":"0.ARoAGhoaGisrPEyNTV5eXl5eXgMAAAAAAAAAwAAAAAAAAAAaAA.","roles":["reader","writer","auditor"],"sid":"c0a8f1d2-7b64-4c8e-8f0a-9d1e2f3a4b5c","uti":"Zm9vYmFyYmF6cXV4MTIzNA","xms_idrel":"1 26","xms_tcdt":1600000000"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, size, times] = arguments.as_slice() else {
        panic!("verify_once parse|verify|signature|refuse usual|large TIMES");
    };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = PublicKey::from_ed25519(pair.public_key().as_ref()).unwrap();
    let issuer = IssuerName::parse(ISSUER).unwrap();
    let key = KeyRecord::new(
        public.clone(),
        issuer.clone(),
        "enterprise",
        KeyState::Active,
        SigningWindow::OPEN,
    );
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}}"#, key.id());
    let claims = match (work.as_str(), size.as_str()) {
        ("refuse", _) => format!("{{{USUAL},\"ver\":\"1.0\"}}"),
        (_, "large") => format!("{{{USUAL}{MORE}}}"),
        _ => format!("{{{USUAL}}}"),
    };
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = pair.sign(input.as_bytes());
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));

    let record = IssuerRecord::new(issuer, "enterprise", 86_400, KeySet::new(vec![key]));
    let registry = Registry::new(vec![record]).unwrap();
    let resource = Resource::new("mail", "https://mail.example", "enterprise");
    let check = Check::new(&registry, &resource, NOW);
    let parse = || ParsedToken::parse(black_box(&token));
    for _ in 0..times.parse::<u32>().unwrap() {
        match work.as_str() {
            "parse" => drop(parse().unwrap()),
            "verify" => drop(verify(&parse().unwrap(), &check).unwrap()),
            "signature" => assert!(public.verify(black_box(input.as_bytes()), signature.as_ref())),
            "refuse" => drop(parse().unwrap_err()),
            unknown => panic!("no such work: {unknown}"),
        }
    }
}
