//! The bad-token corpus, form first: each case by its id (F framing, B base64url, J JSON, H header), signed by a good
//! key wherever there is something to sign. What `rules.rs` tells already is not repeated.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::world::{World, claims, encode};

/// Header, claims and signature of a good token. Header and claims end in a character with unused bits.
fn parts(world: &World) -> [String; 3] {
    let unaligned = |value: &Value| {
        let mut text = value.to_string();
        while text.len() % 3 != 1 {
            text.push(' ');
        }
        text
    };
    let (header, claims) = (unaligned(&world.header("shared")), unaligned(&claims()));
    let token = world.key("shared").signer.token_of_text(&header, &claims);
    assert_eq!(world.code(&token), "admitted");
    let mut parts = token.split('.').map(str::to_owned);
    std::array::from_fn(|_| parts.next().unwrap())
}

/// The token with one of its segments changed: as it is, and signed anew where that is possible.
fn with_segment(world: &World, at: usize, change: impl Fn(&str) -> String) -> Vec<String> {
    let mut parts = parts(world);
    parts[at] = change(&parts[at]);
    let mut tokens = vec![parts.join(".")];
    if at < 2 {
        let input = parts[..2].join(".");
        let signature = world.key("shared").signer.sign(input.as_bytes());
        tokens.push(format!("{input}.{}", encode(signature)));
    }
    tokens
}

#[test]
fn f06_to_f09_only_the_compact_form_is_a_token() {
    let world = World::new();
    let [header, payload, signature] = parts(&world);
    let good = format!("{header}.{payload}.{signature}");
    for (id, token, code) in [
        (
            "F06 flattened",
            json!({ "protected": header, "payload": payload, "signature": signature }).to_string(),
            "segment_count_wrong",
        ),
        (
            "F06 general",
            json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] })
                .to_string(),
            "segment_count_wrong",
        ),
        (
            "F07 polyglot",
            format!("{{\"payload\":\"{good}\"}}"),
            "base64url_invalid",
        ),
        ("F09 tab before", format!("\t{good}"), "base64url_invalid"),
        ("F09 line end behind", format!("{good}\r\n"), "base64url_invalid"),
        ("F09 NUL before", format!("\0{good}"), "base64url_invalid"),
        (
            "F09 space beside a dot",
            format!("{header}. {payload}.{signature}"),
            "base64url_invalid",
        ),
        (
            "F09 line end beside a dot",
            format!("{header}\n.{payload}.{signature}"),
            "base64url_invalid",
        ),
        (
            "F09 byte order mark",
            format!("\u{feff}{good}"),
            "base64url_invalid",
        ),
        (
            "F09 dot that is none",
            format!("{header}\u{ff0e}{payload}.{signature}"),
            "segment_count_wrong",
        ),
    ] {
        assert_eq!(world.code(&token), code, "{id}");
    }
}

type Change = Box<dyn Fn(&str) -> String>;

#[test]
fn b01_to_b08_every_segment_has_one_spelling() {
    let world = World::new();
    let next_letter = |text: &str| {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, last) = text.split_at(text.len() - 1);
        let at = ALPHABET
            .iter()
            .position(|letter| *letter == last.as_bytes()[0])
            .unwrap();
        format!("{rest}{}", char::from(ALPHABET[at + 1]))
    };
    let inside = |what: &'static str| move |text: &str| format!("{}{what}{}", &text[..8], &text[8..]);
    let changes: Vec<(&str, Change)> = vec![
        ("B01 padding", Box::new(|text| format!("{text}=="))),
        ("B01 half the padding", Box::new(|text| format!("{text}="))),
        ("B02 plus", Box::new(|text| format!("+{}", &text[1..]))),
        ("B02 slash", Box::new(|text| format!("/{}", &text[1..]))),
        ("B03 unused bits", Box::new(next_letter)),
        ("B04 padding inside", Box::new(inside("="))),
        ("B04 padding that ends it early", Box::new(inside("==.."))),
        ("B05 line feed", Box::new(inside("\n"))),
        ("B05 line end", Box::new(inside("\r\n"))),
        ("B06 question mark", Box::new(inside("?"))),
        ("B06 number sign", Box::new(inside("#"))),
        ("B06 percent", Box::new(inside("%2D"))),
        ("B06 letter that is none", Box::new(inside("\u{410}"))),
        ("B08 one letter too many", Box::new(|text| format!("{text}AAA"))),
    ];
    for (id, change) in changes {
        for at in 0..3 {
            // B07: the signature is made over the bad spelling.
            for token in with_segment(&world, at, &change) {
                let code = world.code(&token);
                let expected = ["base64url_invalid", "segment_count_wrong"];
                assert!(expected.contains(&code), "{id} in segment {at}: {code}");
            }
        }
    }
}

/// The object with more members in front.
fn with(json: &str, members: &str) -> String {
    json.replacen('{', &format!("{{{members},"), 1)
}

fn many(count: usize) -> String {
    let members: Vec<_> = (0..count).map(|at| format!("\"m{at}\":0")).collect();
    members.join(",")
}

#[test]
fn j01_to_j10_the_header_is_one_strict_object() {
    let world = World::new();
    let (header, claims) = (world.header("shared").to_string(), claims().to_string());
    for (id, members, code) in [
        ("J01 alg", r#""alg":"none""#.to_owned(), "header_member_repeated"),
        ("J01 kid", r#""kid":"k""#.into(), "header_member_repeated"),
        (
            "J04 escaped alg",
            r#""\u0061lg":"none""#.into(),
            "header_member_repeated",
        ),
        ("J05 KID", r#""KID":"k""#.into(), "header_member_repeated"),
        (
            "J05 long s",
            "\"x5t#\u{17f}256\":\"t\"".into(),
            "header_member_repeated",
        ),
        (
            "J07 lone surrogate",
            r#""typ":"\ud800""#.into(),
            "header_json_invalid",
        ),
        ("J08 members", many(300), "header_json_invalid"),
        (
            "J10",
            r#""$serde_json::private::RawValue":"1""#.into(),
            "header_member_unknown",
        ),
    ] {
        let token = world
            .key("shared")
            .signer
            .token_of_text(&with(&header, &members), &claims);
        assert_eq!(world.code(&token), code, "{id}");
    }
}

#[test]
fn j02_to_j10_the_claims_are_one_strict_object() {
    let world = World::new();
    let (header, claims) = (world.header("shared").to_string(), claims().to_string());
    for (id, members, code) in [
        (
            "J02 iss",
            r#""iss":"https://evil.example""#.to_owned(),
            "claim_repeated",
        ),
        ("J02 aud", r#""aud":"x""#.into(), "claim_repeated"),
        ("J02 exp", r#""exp":1"#.into(), "claim_repeated"),
        ("J02 tid", r#""tid":"x""#.into(), "claim_repeated"),
        (
            "J03 cnf",
            r#""cnf":{"jkt":"a","jkt":"b"}"#.into(),
            "claim_repeated",
        ),
        ("J04 inside", r#""x":{"a":1,"\u0061":2}"#.into(), "claim_repeated"),
        ("J05 Tid", r#""Tid":"x""#.into(), "claim_repeated"),
        ("J05 long s", "\"\u{17f}ub\":\"admin\"".into(), "claim_repeated"),
        (
            "J07 lone surrogate",
            r#""x":"\udc00""#.into(),
            "claims_json_invalid",
        ),
        ("J07 NUL", "\"x\":\"\0\"".into(), "claims_json_invalid"),
        (
            "J08 depth",
            format!("\"x\":{}{}", "[".repeat(5_000), "]".repeat(5_000)),
            "claims_json_invalid",
        ),
        ("J08 members", many(300), "claims_json_invalid"),
        ("J08 members that fit nowhere", many(100_000), "token_too_large"),
        (
            "J08 number",
            format!("\"x\":{}", "9".repeat(10_000)),
            "claims_json_invalid",
        ),
        (
            "J08 number that fits nowhere",
            format!("\"x\":{}", "9".repeat(1_000_000)),
            "token_too_large",
        ),
        ("J09 NaN", "\"x\":NaN".into(), "claims_json_invalid"),
        ("J09 Infinity", "\"x\":-Infinity".into(), "claims_json_invalid"),
        ("J09 leading zero", "\"nbf\":0123".into(), "claims_json_invalid"),
        ("J09 overflow", "\"nbf\":1e400".into(), "claims_json_invalid"),
        ("J09 comment", "/**/\"x\":1".into(), "claims_json_invalid"),
        (
            "J10 (accept)",
            r#""$serde_json::private::RawValue":"1""#.into(),
            "admitted",
        ),
        (
            "J10 (accept)",
            r#""x":{"$serde_json::private::Number":"1"}"#.into(),
            "admitted",
        ),
    ] {
        let token = world
            .key("shared")
            .signer
            .token_of_text(&header, &with(&claims, &members));
        assert_eq!(world.code(&token), code, "{id}");
    }
    for (id, json) in [
        ("J06 array", format!("[{claims}]")),
        ("J06 text", "\"x\"".to_owned()),
        ("J06 number", "1".into()),
        ("J06 null", "null".into()),
        ("J07 two documents", format!("{claims} {claims}")),
        ("J07 bytes behind", format!("{claims}\0")),
    ] {
        let signer = &world.key("shared").signer;
        let code = world.code(&signer.token_of_text(&header, &json));
        assert_eq!(code, "claims_json_invalid", "{id}");
    }
}

#[test]
fn h01_to_h14_a_header_names_one_key_and_brings_nothing() {
    let world = World::new();
    let thief = crate::world::Signer::es256();
    let mut own_key = thief.public().to_jwk();
    own_key.insert("kid".to_owned(), json!("thief"));
    for (id, member, value, code) in [
        ("H01", "alg", json!("NONE"), "algorithm_none"),
        ("H01", "alg", json!("none "), "algorithm_unsupported"),
        ("H02", "alg", json!(["ES256"]), "header_member_invalid"),
        ("H02", "alg", json!(""), "header_member_invalid"),
        (
            "H03",
            "crit",
            json!(["http://example.invalid/x"]),
            "critical_header_unsupported",
        ),
        ("H04", "crit", json!("exp"), "critical_header_unsupported"),
        ("H04", "crit", json!([1]), "critical_header_unsupported"),
        (
            "H04",
            "crit",
            json!(["kid", "kid"]),
            "critical_header_unsupported",
        ),
        ("H05", "b64", json!(false), "critical_header_unsupported"),
        ("H06", "jwk", Value::Object(own_key), "header_key_forbidden"),
        ("H08", "x5c", json!(["MIIB"]), "header_key_forbidden"),
        ("H08", "x5t", json!("of another certificate"), "key_unknown"),
        ("H09", "kid", json!("k".repeat(2_900)), "header_member_invalid"),
        ("H09", "kid", json!("k".repeat(10_000)), "header_too_large"),
        ("H09", "kid", json!("https://evil.example/key"), "key_unknown"),
        ("H09", "kid", json!("\u{0}"), "key_unknown"),
        ("H09", "kid", json!({ "a": 1 }), "header_member_invalid"),
        ("H10", "p2c", json!(1_000_000_000), "encryption_unsupported"),
        ("H11", "epk", json!({ "kty": "EC" }), "encryption_unsupported"),
        ("H12", "cty", json!("jwt"), "content_type_forbidden"),
        ("H13", "typ", json!("secevent+jwt"), "token_type_mismatch"),
        ("H13", "typ", json!("at+jwt "), "token_type_mismatch"),
        ("H14", "sub", json!("admin"), "header_member_unknown"),
    ] {
        let (mut header, claims) = (world.header("shared"), claims());
        // The thief signs with his own key and hopes that the header decides which one counts.
        header["kid"] = json!("thief");
        header[member] = value.clone();
        let token = thief.token(&header, &claims);
        assert_eq!(world.code(&token), code, "{id} {member}: {value:.40}");
    }
    for (id, header) in [
        ("H01 bare", r#"{"alg":"none"}"#),
        ("H01 typed", r#"{"alg":"None","typ":"at+jwt","kid":"k"}"#),
    ] {
        let input = format!("{}.{}", encode(header), encode(claims().to_string()));
        for token in [format!("{input}."), format!("{input}.AAAA")] {
            assert_eq!(world.code(&token), "algorithm_none", "{id}");
        }
    }
}

#[test]
fn k01_k02_a_public_key_is_nobodys_secret() {
    let world = World::new();
    let key = &world.key("shared").record;
    let jwk = key.to_jwk();
    let secrets = [
        jwk.to_string(),
        format!("\n {jwk}"),
        jwk["x"].as_str().unwrap().to_owned(),
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n".into(),
        String::new(),
    ];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        // The second says ES256, so that the key's own algorithm has to refuse it.
        for (alg, code) in [("HS256", "algorithm_symmetric"), ("ES256", "signature_invalid")] {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": key.id() });
            let input = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
            let tag = hmac::sign(&secret, input.as_bytes());
            assert_eq!(world.code(&format!("{input}.{}", encode(tag))), code, "{alg}");
        }
    }
}
