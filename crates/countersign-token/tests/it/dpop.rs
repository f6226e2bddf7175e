//! DPoP (RFC 9449), by the rows of the corpus: D01 to D09, D11 and D12.

use std::sync::LazyLock;

use countersign_token::dpop::{MemoryReplayStore, Proof, ProofCheck, Request, RequestUrl};
use countersign_token::{
    Algorithm, Dpop, Outcome, ParsedToken, Proofs, Reason, Thumbprint, TokenDigest, explain, verify,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{NOW, Signer, World, encode};

static WORLD: LazyLock<World> = LazyLock::new(World::new);
static HOLDER: LazyLock<Signer> = LazyLock::new(Signer::es256);

const METHOD: &str = "GET";
const URL: &str = "https://mail.example/inbox";

/// A token bound as `cnf` says.
fn token(cnf: Option<Value>) -> String {
    WORLD.token("shared", |_, claims| {
        if let Some(cnf) = cnf {
            claims["cnf"] = cnf;
        }
    })
}

fn bound_to(signer: &Signer) -> String {
    token(Some(
        json!({ "jkt": signer.public().thumbprint().to_base64url() }),
    ))
}

fn header(signer: &Signer) -> Value {
    let key = signer.public();
    json!({ "typ": "dpop+jwt", "alg": key.algorithm().as_str(), "jwk": key.to_jwk() })
}

fn claims(token: &str) -> Value {
    json!({
        "jti": "proof-1", "htm": METHOD, "htu": URL, "iat": NOW, "ath": TokenDigest::of(token).to_base64url(),
    })
}

/// A good proof of the holder's for this token, after `edit` changed it.
fn proof(token: &str, edit: impl FnOnce(&mut Value, &mut Value)) -> String {
    let (mut header, mut claims) = (header(&HOLDER), claims(token));
    edit(&mut header, &mut claims);
    HOLDER.token(&header, &claims)
}

/// Judges token and proofs, by `verify` and by `explain`, which must agree.
fn judge_request(token: &str, headers: &[&str], edit: impl Fn(&mut Request<'_>)) -> &'static str {
    let url = RequestUrl::parse(URL).unwrap();
    let parsed = ParsedToken::parse(token).unwrap();
    let codes = [true, false].map(|by_explaining| {
        let used = MemoryReplayStore::new(10);
        let mut request = Request::new(METHOD, &url, &used);
        edit(&mut request);
        let proofs = Proofs::NONE.with_dpop(Dpop::new(headers, request));
        let check = WORLD.check().with_proofs(proofs);
        if !by_explaining {
            return verify(&parsed, &check).map_or_else(|refusal| refusal.code(), |_| "admitted");
        }
        let explanation = explain(token, &check);
        let failed = explanation
            .steps
            .iter()
            .find(|step| step.outcome == Outcome::Failed);
        let code = explanation
            .result
            .map_or_else(|refusal| refusal.code(), |_| "admitted");
        assert_eq!(failed.map_or("admitted", |step| step.reason.as_str()), code);
        code
    });
    assert_eq!(codes[0], codes[1]);
    codes[0]
}

fn judge(token: &str, headers: &[&str]) -> &'static str {
    judge_request(token, headers, |_| {})
}

/// What becomes of a proof that was changed so.
fn judge_proof(edit: impl FnOnce(&mut Value, &mut Value)) -> &'static str {
    let token = bound_to(&HOLDER);
    judge(&token, &[&proof(&token, edit)])
}

#[test]
fn a_proof_of_every_kind_of_key_is_good() {
    for signer in [Signer::es256(), Signer::rs256(), Signer::eddsa()] {
        let token = bound_to(&signer);
        let proof = signer.token(&header(&signer), &claims(&token));
        assert_eq!(judge(&token, &[&proof]), "admitted", "{:?}", signer.public());
    }
    assert_eq!(
        judge_proof(|_, c| c["other"] = json!({ "claims": ["may", "stand", "there"] })),
        "admitted"
    );
    assert_eq!(judge_proof(|h, _| h["jwk"]["kid"] = json!("a name")), "admitted");
}

#[test]
fn d01_a_bound_token_is_no_bearer_token() {
    let token = bound_to(&HOLDER);
    assert_eq!(WORLD.code(&token), "proof_missing");
    assert_eq!(judge(&token, &[]), "proof_missing");
}

#[test]
fn a_proof_makes_no_bound_token_of_a_plain_one() {
    let token = token(None);
    assert_eq!(judge(&token, &[]), "admitted");
    assert_eq!(
        judge(&token, &[&proof(&token, |_, _| {})]),
        "confirmation_missing"
    );
}

#[test]
fn d02_the_key_is_public_and_asymmetric() {
    for (name, value) in [("d", "AAAA"), ("k", "AAAA"), ("p", "AAAA"), ("priv", "AAAA")] {
        assert_eq!(
            judge_proof(|h, _| h["jwk"][name] = json!(value)),
            "proof_key_invalid",
            "{name}"
        );
    }
    for jwk in [
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        json!({}),
        json!([]),
        json!("key"),
        Value::Null,
    ] {
        assert_eq!(
            judge_proof(|h, _| h["jwk"] = jwk.clone()),
            "proof_key_invalid",
            "{jwk}"
        );
    }
    let without = |h: &mut Value, _: &mut Value| drop(h.as_object_mut().unwrap().remove("jwk"));
    assert_eq!(judge_proof(without), "proof_key_invalid");
    for alg in ["none", "None", "HS256", "HS512", "ES256K", "", "es256"] {
        let expected = if alg.is_empty() {
            "proof_malformed"
        } else {
            "proof_algorithm_unsupported"
        };
        assert_eq!(judge_proof(|h, _| h["alg"] = json!(alg)), expected, "{alg}");
    }
    for alg in ["RS256", "ES384", "EdDSA"] {
        assert_eq!(
            judge_proof(|h, _| h["alg"] = json!(alg)),
            "proof_key_invalid",
            "{alg}"
        );
    }
    let token = bound_to(&HOLDER);
    let code = judge_request(&token, &[&proof(&token, |_, _| {})], |request| {
        request.algorithms = &[Algorithm::EdDsa];
    });
    assert_eq!(code, "proof_algorithm_unsupported");
}

#[test]
fn d03_there_is_one_proof_and_it_says_it_is_one() {
    for typ in ["jwt", "JWT", "at+jwt", "DPoP+JWT", "application/dpop+jwt"] {
        assert_eq!(
            judge_proof(|h, _| h["typ"] = json!(typ)),
            "proof_type_mismatch",
            "{typ}"
        );
    }
    let without = |h: &mut Value, _: &mut Value| drop(h.as_object_mut().unwrap().remove("typ"));
    assert_eq!(judge_proof(without), "proof_type_mismatch");
    let token = bound_to(&HOLDER);
    let (one, two) = (
        proof(&token, |_, _| {}),
        proof(&token, |_, c| c["jti"] = json!("proof-2")),
    );
    assert_eq!(judge(&token, &[&one]), "admitted");
    assert_eq!(judge(&token, &[&one, &two]), "proof_repeated");
    assert_eq!(judge(&token, &[&one, &one]), "proof_repeated");
    for joined in [
        format!("{one},{two}"),
        format!("{one}, {two}"),
        format!("{one} {two}"),
        format!("{one}="),
        format!(" {one}"),
        format!("{one}."),
        String::new(),
        "a.b".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        "a".repeat(100_000),
    ] {
        assert_eq!(judge(&token, &[&joined]), "proof_malformed", "{joined:.60}");
    }
}

#[test]
fn a_proof_is_read_strictly() {
    for (name, value) in [
        ("kid", json!("k")),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example/keys")),
        ("x5c", json!([])),
        ("TYP", json!("dpop+jwt")),
        ("typ", json!(7)),
        ("alg", json!(["ES256"])),
    ] {
        assert_eq!(
            judge_proof(|h, _| h[name] = value.clone()),
            "proof_malformed",
            "{name}"
        );
    }
    for name in ["jti", "htm", "htu", "iat"] {
        let without = |_: &mut Value, c: &mut Value| drop(c.as_object_mut().unwrap().remove(name));
        assert_eq!(judge_proof(without), "proof_malformed", "no {name}");
        for value in [
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!(true),
            json!(-1),
            json!(1.5),
        ] {
            assert_eq!(
                judge_proof(|_, c| c[name] = value.clone()),
                "proof_malformed",
                "{name} {value}"
            );
        }
    }
    for name in ["JTI", "Htu", "ATH", "Nonce", "IAT"] {
        assert_eq!(
            judge_proof(|_, c| c[name] = json!("x")),
            "proof_malformed",
            "{name}"
        );
    }
    let token = bound_to(&HOLDER);
    let (header, claims) = (header(&HOLDER).to_string(), claims(&token).to_string());
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (twice(&header, r#""alg":"none""#), claims.clone()),
        (header.replace(r#""kty""#, r#""x":"AA","kty""#), claims.clone()),
        (header.clone(), twice(&claims, r#""htm":"POST""#)),
        (header.clone(), twice(&claims, r#""\u0068tm":"POST""#)),
        (header.clone(), format!("{claims}{claims}")),
        (format!("[{header}]"), claims.clone()),
        (header.clone(), "7".to_owned()),
        (header.clone(), "null".to_owned()),
    ] {
        let proof = HOLDER.token_of_text(&header, &claims);
        assert_eq!(judge(&token, &[&proof]), "proof_malformed", "{header} {claims}");
    }
}

#[test]
fn d04_method_and_address_are_the_requests() {
    for htm in ["get", "Get", "POST", "GET ", "GETT", "HEAD"] {
        assert_eq!(
            judge_proof(|_, c| c["htm"] = json!(htm)),
            "proof_method_mismatch",
            "{htm}"
        );
    }
    for htu in [
        "https://mail.example/inbox?unread=1",
        "https://mail.example/inbox#top",
        "https://mail.example:443/inbox",
        "HTTPS://MAIL.example/inbox",
        "https://mail.example/./inbox",
        "https://mail.example/drafts/../inbox",
        "https://mail.example/drafts/%2e%2E/inbox",
        "https://mail.example/%69nbox",
    ] {
        assert_eq!(judge_proof(|_, c| c["htu"] = json!(htu)), "admitted", "{htu}");
    }
    for htu in [
        "https://mail.example/drafts",
        "https://mail.example/inbox/",
        "https://mail.example/Inbox",
        "https://mail.example/inbox%2F",
        "https://mail.example//inbox",
        "https://mail.example/",
        "https://mail.example",
        "https://mail.example:8443/inbox",
        "http://mail.example/inbox",
        "http://mail.example:443/inbox",
        "https://mail.example.evil.example/inbox",
        "https://evil.example/inbox",
        "https://evil.example/?https://mail.example/inbox",
    ] {
        assert_eq!(
            judge_proof(|_, c| c["htu"] = json!(htu)),
            "proof_url_mismatch",
            "{htu}"
        );
    }
    for htu in [
        "/inbox",
        "mail.example/inbox",
        "//mail.example/inbox",
        "https://mail.example/in box",
        "urn:inbox",
    ] {
        assert_eq!(
            judge_proof(|_, c| c["htu"] = json!(htu)),
            "proof_url_invalid",
            "{htu}"
        );
    }
}

#[test]
fn d05_a_host_cannot_move_the_path() {
    // The proof is good for `/inbox`; the request goes elsewhere, and its `Host` tries to hide that.
    for host in [
        "mail.example/inbox?",
        "mail.example/inbox#",
        "mail.example\\inbox",
        "x@mail.example",
        "mail.example,b",
    ] {
        assert!(RequestUrl::from_parts("https", host, "/admin").is_err(), "{host}");
    }
    for htu in [
        "https://evil@mail.example/inbox",
        "https://mail.example\\@evil.example/inbox",
        "https:///inbox",
    ] {
        assert_eq!(
            judge_proof(|_, c| c["htu"] = json!(htu)),
            "proof_url_invalid",
            "{htu}"
        );
    }
}

#[test]
fn d06_a_proof_is_young_and_used_once() {
    for (iat, expected) in [
        (NOW - 90, "admitted"),
        (NOW - 91, "proof_outside_window"),
        (0, "proof_outside_window"),
        (NOW + 30, "admitted"),
        (NOW + 31, "proof_outside_window"),
        (u64::MAX, "proof_outside_window"),
    ] {
        assert_eq!(judge_proof(|_, c| c["iat"] = json!(iat)), expected, "{iat}");
    }
    assert_eq!(judge_proof(|_, c| c["jti"] = json!("j".repeat(256))), "admitted");
    assert_eq!(
        judge_proof(|_, c| c["jti"] = json!("j".repeat(257))),
        "proof_malformed"
    );

    let (token, used, url) = (
        bound_to(&HOLDER),
        MemoryReplayStore::new(10),
        RequestUrl::parse(URL).unwrap(),
    );
    let parsed = ParsedToken::parse(&token).unwrap();
    let send = |proof: &str, now: u64| {
        let (headers, request) = ([proof], Request::new(METHOD, &url, &used));
        let mut check = WORLD
            .check()
            .with_proofs(Proofs::NONE.with_dpop(Dpop::new(&headers, request)));
        check.now = now;
        verify(&parsed, &check).map_or_else(|refusal| refusal.code(), |_| "admitted")
    };
    let wrong = proof(&token, |_, c| c["htm"] = json!("POST"));
    assert_eq!(send(&wrong, NOW), "proof_method_mismatch");
    let first = proof(&token, |_, _| {});
    assert_eq!(send(&first, NOW), "admitted", "a refused proof uses nothing up");
    assert_eq!(send(&first, NOW), "proof_replayed");
    assert_eq!(
        send(&first, NOW + 90),
        "proof_replayed",
        "to the last second it could pass"
    );
    assert_eq!(send(&first, NOW + 91), "proof_outside_window");
    for htu in ["https://MAIL.example:443/inbox", "https://mail.example/%69nbox"] {
        let again = proof(&token, |_, c| c["htu"] = json!(htu));
        assert_eq!(send(&again, NOW), "proof_replayed", "{htu}");
    }
    assert_eq!(
        send(&proof(&token, |_, c| c["jti"] = json!("proof-2")), NOW),
        "admitted"
    );
}

#[test]
fn a_store_that_cannot_remember_lets_nothing_through() {
    let (token, url, full) = (
        bound_to(&HOLDER),
        RequestUrl::parse(URL).unwrap(),
        MemoryReplayStore::new(0),
    );
    let proof = proof(&token, |_, _| {});
    let headers = [proof.as_str()];
    let proofs = Proofs::NONE.with_dpop(Dpop::new(&headers, Request::new(METHOD, &url, &full)));
    let check = WORLD.check().with_proofs(proofs);
    let refusal = verify(&ParsedToken::parse(&token).unwrap(), &check).unwrap_err();
    assert_eq!(refusal.reason, Reason::ProofReplayed);
}

#[test]
fn d07_the_proof_is_for_this_token() {
    let ath = TokenDigest::of(&bound_to(&HOLDER)).to_base64url();
    for wrong in [
        format!("{ath}="),
        ath.to_lowercase(),
        TokenDigest::of("another").to_base64url(),
        encode("x"),
        ath[..42].to_owned(),
    ] {
        assert_eq!(
            judge_proof(|_, c| c["ath"] = json!(wrong)),
            "proof_token_mismatch",
            "{wrong}"
        );
    }
    let without = |_: &mut Value, c: &mut Value| drop(c.as_object_mut().unwrap().remove("ath"));
    assert_eq!(judge_proof(without), "proof_token_mismatch");
    // The same claims, signed anew: another token.
    let (one, two) = (bound_to(&HOLDER), bound_to(&HOLDER));
    assert_ne!(one, two);
    assert_eq!(judge(&two, &[&proof(&one, |_, _| {})]), "proof_token_mismatch");
}

#[test]
fn d08_the_key_is_the_one_the_token_is_bound_to() {
    let thief = Signer::es256();
    let token = bound_to(&HOLDER);
    let theirs = thief.token(&header(&thief), &claims(&token));
    assert_eq!(judge(&token, &[&theirs]), "proof_key_mismatch");
    // The holder's key in the header, the thief's signature below it.
    let forged = thief.token(&header(&HOLDER), &claims(&token));
    assert_eq!(judge(&token, &[&forged]), "proof_signature_invalid");
    // Only the required members count (RFC 7638 §3.2), in whatever order they stand.
    assert_eq!(judge_proof(|h, _| h["jwk"]["use"] = json!("sig")), "admitted");
    let jwk = HOLDER.public().to_jwk();
    let text = format!(
        r#"{{"jwk":{{"y":{},"note":"first","x":{},"kty":"EC","crv":"P-256"}},"alg":"ES256","typ":"dpop+jwt"}}"#,
        jwk["y"], jwk["x"]
    );
    let proof = HOLDER.token_of_text(&text, &claims(&token).to_string());
    assert_eq!(judge(&token, &[&proof]), "admitted");
    // A second spelling of the coordinates would have a second thumbprint.
    let padded = |h: &mut Value, _: &mut Value| {
        let x = h["jwk"]["x"].as_str().unwrap().to_owned();
        h["jwk"]["x"] = json!(format!("{x}="));
    };
    assert_eq!(judge_proof(padded), "proof_key_invalid");
}

#[test]
fn d09_a_nonce_that_was_asked_for_is_there() {
    let token = bound_to(&HOLDER);
    let judge = |nonce: Option<&str>, nonces: Option<&'static [&'static str]>| {
        let proof = proof(&token, |_, c| {
            if let Some(nonce) = nonce {
                c["nonce"] = json!(nonce);
            }
        });
        judge_request(&token, &[&proof], |request| request.nonces = nonces)
    };
    assert_eq!(judge(None, None), "admitted");
    assert_eq!(judge(Some("n"), None), "admitted");
    assert_eq!(judge(Some("n-2"), Some(&["n-2", "n-1"])), "admitted");
    assert_eq!(judge(Some("n-1"), Some(&["n-2", "n-1"])), "admitted");
    for nonce in [None, Some("n-0"), Some("N-1"), Some("n-1 ")] {
        assert_eq!(
            judge(nonce, Some(&["n-2", "n-1"])),
            "proof_nonce_mismatch",
            "{nonce:?}"
        );
    }
    assert_eq!(judge(Some("n-1"), Some(&[])), "proof_nonce_mismatch");
}

#[test]
fn d12_what_cannot_be_checked_is_refused() {
    let jkt = HOLDER.public().thumbprint().to_base64url();
    for cnf in [
        json!({}),
        json!({ "kid": "k" }),
        json!({ "jwk": header(&HOLDER)["jwk"] }),
        json!({ "jkt": jkt, "kid": "k" }),
        json!({ "jkt": jkt, "sub": "ada" }),
        json!({ "JKT": jkt }),
        json!({ "jkt": 7 }),
    ] {
        let token = token(Some(cnf.clone()));
        assert_eq!(WORLD.code(&token), "confirmation_unsupported", "{cnf}");
        assert_eq!(
            judge(&token, &[&proof(&token, |_, _| {})]),
            "confirmation_unsupported",
            "{cnf}"
        );
    }
    for cnf in [
        json!(null),
        json!("x"),
        json!([]),
        json!({ "jkt": "x" }),
        json!({ "jkt": format!("{jkt}=") }),
    ] {
        assert_eq!(WORLD.code(&token(Some(cnf.clone()))), "claim_invalid", "{cnf}");
    }
}

#[test]
fn the_token_is_judged_before_the_proof() {
    let expired = WORLD.token("shared", |_, claims| {
        claims["cnf"] = json!({ "jkt": HOLDER.public().thumbprint().to_base64url() });
        claims["iat"] = json!(NOW - 1_000);
        claims["exp"] = json!(NOW - 500);
    });
    assert_eq!(judge(&expired, &["no proof"]), "token_expired");
}

/// RFC 9449 §7.1: token and proof of the example.
#[test]
fn the_examples_of_the_rfc() {
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
        oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
        WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
        c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
        OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let used = MemoryReplayStore::new(10);
    let url = RequestUrl::from_parts("https", "resource.example.org", "/protectedresource").unwrap();
    let key = Thumbprint::from_base64url("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
    let (get, post) = (
        Request::new("GET", &url, &used),
        Request::new("POST", &url, &used),
    );
    let (now, token) = (1_562_262_618, TokenDigest::of(TOKEN));
    let check = ProofCheck::new(get, now).beside(token, key);
    let proof = Proof::parse(PROOF).unwrap();
    for (wrong, reason) in [
        (
            ProofCheck::new(get, 1_562_263_000).beside(token, key),
            Reason::ProofOutsideWindow,
        ),
        (
            check.beside(TokenDigest::of("other"), key),
            Reason::ProofTokenMismatch,
        ),
        (
            check.beside(token, Thumbprint::from_bytes([0; 32])),
            Reason::ProofKeyMismatch,
        ),
        (
            ProofCheck::new(post, now).beside(token, key),
            Reason::ProofMethodMismatch,
        ),
    ] {
        assert_eq!(proof.verify(&wrong).unwrap_err().reason, reason);
    }
    let verified = proof.verify(&check).unwrap();
    assert_eq!((verified.key(), verified.issued_at()), (key, now));
    assert_eq!(proof.verify(&check).unwrap_err().reason, Reason::ProofReplayed);
}

#[test]
fn every_change_of_one_bit_is_refused() {
    for signer in [Signer::es256(), Signer::eddsa()] {
        let token = bound_to(&signer);
        let proof = signer.token(&header(&signer), &claims(&token));
        let (url, used) = (RequestUrl::parse(URL).unwrap(), MemoryReplayStore::new(1));
        let check = ProofCheck::new(Request::new(METHOD, &url, &used), NOW)
            .beside(TokenDigest::of(&token), signer.public().thumbprint());
        let judge = |text: &str| Proof::parse(text).and_then(|proof| proof.verify(&check));
        for at in 0..proof.len() * 8 {
            let mut changed = proof.clone().into_bytes();
            changed[at / 8] ^= 1 << (at % 8);
            if let Ok(text) = String::from_utf8(changed) {
                let reason = judge(&text).map_err(|refusal| refusal.reason);
                assert!(
                    reason.is_err_and(|reason| reason != Reason::ProofReplayed),
                    "bit {at}"
                );
            }
        }
        for end in 0..proof.len() {
            assert!(judge(&proof[..end]).is_err(), "cut at {end}");
        }
        assert!(judge(&proof).is_ok());
    }
}

#[test]
fn what_is_printed_holds_no_secret() {
    let token = bound_to(&HOLDER);
    let (proof, url, used) = (
        proof(&token, |_, _| {}),
        RequestUrl::parse(URL).unwrap(),
        MemoryReplayStore::new(1),
    );
    let mut request = Request::new(METHOD, &url, &used);
    request.nonces = Some(&["secret-nonce"]);
    let headers = [proof.as_str()];
    let proofs = Proofs::NONE.with_dpop(Dpop::new(&headers, request));
    let check = WORLD.check().with_proofs(proofs);
    let printed = format!("{check:?} {:?}", Proof::parse(&proof).unwrap());
    assert!(
        !printed.contains("secret-nonce") && !printed.contains("eyJ"),
        "{printed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proofs_of_any_bytes_never_panic(
        text in ".{0,200}",
        header in prop::collection::vec(any::<u8>(), 0..100),
        claims in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        prop_assert!(Proof::parse(&text).is_err());
        let framed = format!("{}.{}.AA", encode(header), encode(claims));
        prop_assert!(Proof::parse(&framed).is_err());
    }

    #[test]
    fn only_the_paths_own_spellings_pass(path in "(/[a-z.%2eE~]{0,4}){0,4}", other in "(/[a-z.%2eE~]{0,4}){0,4}") {
        let urls = (format!("https://mail.example{path}"), format!("https://mail.example{other}"));
        if let (Ok(ours), Ok(theirs)) = (RequestUrl::parse(&urls.0), RequestUrl::parse(&urls.1)) {
            let proof = HOLDER.token(
                &header(&HOLDER),
                &json!({ "jti": "1", "htm": "GET", "htu": urls.1, "iat": NOW }),
            );
            let used = MemoryReplayStore::new(1);
            let check = ProofCheck::new(Request::new("GET", &ours, &used), NOW);
            let verdict = Proof::parse(&proof).and_then(|proof| proof.verify(&check));
            prop_assert_eq!(verdict.is_ok(), ours == theirs);
        }
    }
}
