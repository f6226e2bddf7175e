//! How often a token asks for memory. The cryptographic library's own requests are not Rust's and not counted.

use countersign_token::{AudienceRule, ParsedToken, Registry, verify};
use serde_json::json;

use crate::world::{AUDIENCE, FOREIGN, TENANT, World, encode};

/// The text of the token, and everything else about it.
const PER_TOKEN: u64 = 2;

fn count(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

fn admit(world: &World, token: &str) {
    let check = world.check();
    drop(verify(&ParsedToken::parse(token).unwrap(), &check).unwrap());
    let asked = count(|| drop(verify(&ParsedToken::parse(token).unwrap(), &check).unwrap()));
    assert!(asked <= PER_TOKEN, "{asked}");
}

#[test]
fn an_admitted_token_asks_twice() {
    let world = World::new();
    admit(&world, &world.token("shared", |_, _| {}));
    for key in ["rs256", "eddsa"] {
        let token = world.token(key, |header, claims| {
            header["typ"] = json!("JWT");
            claims["iss"] = json!(FOREIGN);
        });
        admit(&world, &token);
    }
}

#[test]
fn a_record_that_asks_for_more_asks_no_more() {
    let mut world = World::new();
    let mut records = world.registry.issuers().to_vec();
    for record in &mut records {
        record.audiences = AudienceRule::Only(vec!["https://files.example".to_owned(), AUDIENCE.to_owned()]);
        record.issued_at_offset = 300;
    }
    world.registry = Registry::new(records).unwrap();
    let token = world.token("shared", |_, claims| {
        claims["azp"] = claims["client_id"].clone();
        claims["appid"] = claims["client_id"].clone();
    });
    admit(&world, &token);
}

#[test]
fn a_large_token_asks_no_more() {
    let world = World::new();
    let token = world.token("shared", |_, claims| {
        claims["aud"] = json!([
            claims["aud"],
            "https://b.example",
            "https://c.example",
            "https://d.example"
        ]);
        claims["email"] = json!("ada@Contoso.example");
        claims["xms_st"] = json!({ "sub": "s", "deep": [[{ "a": 1 }, { "a": 2 }]] });
        for at in 0..24 {
            claims[format!("extension_{at}")] = json!([TENANT, at, true, null, -1.5e3]);
        }
    });
    admit(&world, &token);
}

#[test]
fn a_claim_written_with_escapes_asks_for_what_it_means() {
    let world = World::new();
    let plain = world.token("shared", |_, claims| claims["sub"] = json!("caf/e"));
    let claims = String::from_utf8(decode(plain.split('.').nth(1).unwrap())).unwrap();
    let claims = claims.replace("caf/e", "caf\\/\\u0065");
    let header = String::from_utf8(decode(plain.split('.').next().unwrap())).unwrap();
    let token = world.key("shared").signer.token_of_text(&header, &claims);
    assert_eq!(world.verify(&token).unwrap().subject(), "caf/e");
    let asked = count(|| drop(ParsedToken::parse(&token).unwrap()));
    assert!(asked <= PER_TOKEN + 3, "{asked}");
}

#[test]
fn a_refused_form_asks_for_the_text_and_the_refusal() {
    for (header, claims) in [
        (r#"{"alg":"none"}"#, "{}"),
        (r#"{"alg":"ES256","kid":"k","kid":"l"}"#, "{}"),
        (r#"{"alg":"ES256","kid":"k"}"#, r#"{"iss":"a","iss":"b"}"#),
        (r#"{"alg":"ES256","kid":"k"}"#, r#"{"iss":"a""#),
    ] {
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode([7; 64]));
        let asked = count(|| drop(ParsedToken::parse(&token).unwrap_err()));
        assert!(asked <= PER_TOKEN + 1, "{asked} for {header} {claims}");
    }
}

fn decode(segment: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(segment)
        .unwrap()
}
