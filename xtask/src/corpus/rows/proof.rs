//! D: tokens bound to a key or a certificate, and what their holder shows beside them; here the proof itself.

mod binding;
mod request;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::super::case::{Basis, Cases, Members, claims, quoted};
use super::super::keys::encode;
use super::super::world::NOW;
use Basis::{Policy, Profile};

const METHOD: &str = "GET";
const URL: &str = "https://mail.example/inbox";

/// Who holds the key that the tokens are bound to.
const HOLDER: &str = "holder";

pub(super) fn proofs(cases: &mut Cases) {
    let token = bound(cases, HOLDER);
    good(cases, &token);
    downgraded(cases, &token);
    headers(cases, &token);
    several(cases, &token);
    request::requests(cases, &token);
    request::times(cases, &token);
    request::replays(cases, &token);
    binding::tokens_and_keys(cases, &token);
    binding::nonces(cases, &token);
    binding::certificates(cases);
    binding::both(cases);
    binding::other_methods(cases);
}

/// A good token with this `cnf`.
fn with_cnf(cases: &mut Cases, cnf: &str) -> String {
    cases.with_claims(&claims().with("cnf", cnf))
}

fn bound(cases: &mut Cases, kid: &str) -> String {
    let cnf = format!("{{\"jkt\":\"{}\"}}", thumbprint(cases, kid));
    with_cnf(cases, &cnf)
}

/// RFC 7638.
fn thumbprint(cases: &mut Cases, kid: &str) -> String {
    let names: &[&str] = match cases.keys.algorithm(kid) {
        "EdDSA" => &["crv", "kty", "x"],
        "RS256" => &["e", "kty", "n"],
        _ => &["crv", "kty", "x", "y"],
    };
    let members: Vec<_> = names
        .iter()
        .map(|name| format!("\"{name}\":\"{}\"", cases.keys.member(kid, name)))
        .collect();
    encode(digest(&SHA256, format!("{{{}}}", members.join(",")).as_bytes()))
}

fn jwk(cases: &mut Cases, kid: &str) -> Members {
    let names: &[&str] = match cases.keys.algorithm(kid) {
        "EdDSA" => &["kty", "crv", "x"],
        "RS256" => &["kty", "n", "e"],
        _ => &["kty", "crv", "x", "y"],
    };
    names.iter().fold(Members::new(&[]), |jwk, name| {
        let value = cases.keys.member(kid, name);
        jwk.with(name, quoted(&value))
    })
}

/// Header and claims of a good proof of this key for this token; `jti` is the case's id, as a proof counts once.
fn parts(cases: &mut Cases, kid: &str, token: &str, id: &str) -> (Members, Members) {
    let (algorithm, jwk) = (quoted(cases.keys.algorithm(kid)), jwk(cases, kid).text());
    let header = Members::new(&[("typ", "\"dpop+jwt\""), ("alg", &algorithm), ("jwk", &jwk)]);
    let claims = Members::new(&[
        ("jti", &quoted(id)),
        ("htm", &quoted(METHOD)),
        ("htu", &quoted(URL)),
        ("iat", &NOW.to_string()),
        ("ath", &quoted(&encode(digest(&SHA256, token.as_bytes())))),
    ]);
    (header, claims)
}

/// A proof of the holder, changed.
fn changed(
    cases: &mut Cases,
    token: &str,
    id: &str,
    change: impl FnOnce(Members, Members) -> (Members, Members),
) -> String {
    let (header, claims) = parts(cases, HOLDER, token, id);
    let (header, claims) = change(header, claims);
    cases.token(HOLDER, &header, &claims)
}

/// A request with this proof.
fn request(proof: impl Into<Value>) -> Value {
    with_headers(&[("DPoP", proof.into())])
}

fn with_headers(headers: &[(&str, Value)]) -> Value {
    let headers: BTreeMap<_, _> = headers.iter().cloned().collect();
    json!({"method": METHOD, "url": URL, "headers": headers})
}

/// A case: id, title, basis, reason.
type Said<'a> = (&'a str, &'a str, Basis, Option<&'static str>);

fn case(cases: &mut Cases, (id, title, basis, reason): Said<'_>, token: &str, request: Value) {
    cases.at("mail", basis, id, title, token.to_owned(), reason);
    cases.with_request(request);
}

fn good(cases: &mut Cases, token: &str) {
    for (id, kid) in [
        ("D00-es256", HOLDER),
        ("D00-ed25519", "holder-ed25519"),
        ("D00-rs256", "thief-rs256"),
    ] {
        let bound = if kid == HOLDER {
            token.to_owned()
        } else {
            bound(cases, kid)
        };
        let (header, claims) = parts(cases, kid, &bound, id);
        let proof = cases.token(kid, &header, &claims);
        let title = format!("a bound token with its proof, {}", cases.keys.algorithm(kid));
        case(cases, (id, &title, Profile, None), &bound, request(proof));
    }
    let proof = changed(cases, token, "D00-scheme", |header, claims| (header, claims));
    let scheme = format!("DPoP {token}").into();
    let with_scheme = with_headers(&[("DPoP", proof.into()), ("Authorization", scheme)]);
    let title = "a bound token with its proof, under the scheme `DPoP`";
    case(cases, ("D00-scheme", title, Profile, None), token, with_scheme);
    let proof = changed(cases, token, "D00-more-claims", |header, claims| {
        (header, claims.with("purpose", "[\"anything\"]"))
    });
    let title = "a proof with a claim that nobody reads";
    case(
        cases,
        ("D00-more-claims", title, Profile, None),
        token,
        request(proof),
    );
}

fn downgraded(cases: &mut Cases, token: &str) {
    let missing = Some("proof_missing");
    let none = json!({"method": METHOD, "url": URL});
    let title = "a bound token in a request without a proof";
    case(cases, ("D01-no-header", title, Profile, missing), token, none);
    let proof = changed(cases, token, "D01-bearer", |header, claims| (header, claims));
    let scheme = format!("Bearer {token}").into();
    let bearer = with_headers(&[("DPoP", proof.into()), ("Authorization", scheme)]);
    let title = "a bound token as a bearer token, with its proof";
    case(cases, ("D01-bearer", title, Profile, missing), token, bearer);
    let plain = cases.with_claims(&claims());
    let proof = changed(cases, &plain, "D01-unbound", |header, claims| (header, claims));
    let said = (
        "D01-unbound",
        "a token bound to nothing, with a proof",
        Profile,
        Some("confirmation_missing"),
    );
    case(cases, said, &plain, request(proof));
    for (id, title, basis, token, with_proof, reason) in [
        (
            "D01-required",
            "a token bound to nothing at a resource that takes bound ones only",
            Policy,
            &plain,
            false,
            Some("confirmation_required"),
        ),
        (
            "D01-required-missing",
            "a bound token without a proof there",
            Profile,
            &token.to_owned(),
            false,
            missing,
        ),
        (
            "D01-required-good",
            "a bound token with its proof there",
            Profile,
            &token.to_owned(),
            true,
            None,
        ),
    ] {
        let shown = if with_proof {
            let proof = changed(cases, token, id, |header, claims| (header, claims));
            request(proof)
        } else {
            json!({"method": METHOD, "url": URL})
        };
        cases.at("mail-bound", basis, id, title, token.clone(), reason);
        cases.with_request(shown);
    }
}

/// D02 and a part of D03: what the header of a proof says. `(id, title, member, value, reason)`; no value: without it.
const HEADERS: &[(&str, &str, &str, Option<&str>, &str)] = &[
    (
        "D02-none",
        "`alg` is none",
        "alg",
        Some("\"none\""),
        "proof_algorithm_unsupported",
    ),
    (
        "D02-hs256",
        "`alg` is HS256",
        "alg",
        Some("\"HS256\""),
        "proof_algorithm_unsupported",
    ),
    (
        "D02-hs512",
        "`alg` is HS512",
        "alg",
        Some("\"HS512\""),
        "proof_algorithm_unsupported",
    ),
    (
        "D02-unknown",
        "`alg` is unknown",
        "alg",
        Some("\"ES256K1\""),
        "proof_algorithm_unsupported",
    ),
    ("D02-no-alg", "no `alg`", "alg", None, "proof_malformed"),
    (
        "D02-other-alg",
        "`alg` is not the key's",
        "alg",
        Some("\"ES384\""),
        "proof_key_invalid",
    ),
    ("D02-no-jwk", "no `jwk`", "jwk", None, "proof_key_invalid"),
    (
        "D02-empty-jwk",
        "an empty `jwk`",
        "jwk",
        Some("{}"),
        "proof_key_invalid",
    ),
    (
        "D02-text-jwk",
        "`jwk` is a text",
        "jwk",
        Some("\"key\""),
        "proof_key_invalid",
    ),
    (
        "D02-symmetric",
        "`jwk` is a shared secret",
        "jwk",
        Some("{\"kty\":\"oct\",\"k\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"}"),
        "proof_key_invalid",
    ),
    (
        "D02-kid",
        "`kid` beside `jwk`",
        "kid",
        Some("\"holder\""),
        "proof_malformed",
    ),
    (
        "D02-jku",
        "`jku` beside `jwk`",
        "jku",
        Some("\"https://evil.example/keys\""),
        "proof_malformed",
    ),
    ("D02-crit", "`crit`", "crit", Some("[\"exp\"]"), "proof_malformed"),
    (
        "D03-jwt",
        "`typ` is JWT",
        "typ",
        Some("\"JWT\""),
        "proof_type_mismatch",
    ),
    (
        "D03-at-jwt",
        "`typ` is at+jwt",
        "typ",
        Some("\"at+jwt\""),
        "proof_type_mismatch",
    ),
    (
        "D03-case",
        "`typ` in another case",
        "typ",
        Some("\"DPoP+JWT\""),
        "proof_type_mismatch",
    ),
    ("D03-no-typ", "no `typ`", "typ", None, "proof_type_mismatch"),
    (
        "D03-number",
        "`typ` is a number",
        "typ",
        Some("7"),
        "proof_malformed",
    ),
];

/// Where RFC 9449 leaves the choice.
const OURS: &[&str] = &["D02-kid", "D02-jku", "D03-case"];

fn headers(cases: &mut Cases, token: &str) {
    for (id, title, member, value, reason) in HEADERS {
        let proof = changed(cases, token, id, |header, claims| {
            let header = match value {
                Some(value) => header.with(member, *value),
                None => header.without(member),
            };
            (header, claims)
        });
        let basis = if OURS.contains(id) { Policy } else { Profile };
        let title = format!("proof: {title}");
        case(cases, (id, &title, basis, Some(reason)), token, request(proof));
    }
    let private = cases.keys.member(HOLDER, "d");
    let jwk = jwk(cases, HOLDER);
    for (id, title, jwk, reason) in [
        (
            "D02-private",
            "`jwk` brings the private key",
            jwk.clone().with("d", quoted(&private)),
            Some("proof_key_invalid"),
        ),
        (
            "D08-named",
            "`jwk` has a name and other members, which are no part of the thumbprint",
            jwk.clone().with("kid", "\"holder\"").with("use", "\"sig\""),
            None,
        ),
        (
            "D08-x-long",
            "`jwk` spells the coordinate with a zero in front",
            {
                let x = cases.keys.bytes(HOLDER, "x");
                jwk.with("x", quoted(&encode([&[0], x.as_slice()].concat())))
            },
            Some("proof_key_invalid"),
        ),
    ] {
        let proof = changed(cases, token, id, |header, claims| {
            (header.with("jwk", jwk.text()), claims)
        });
        let title = format!("proof: {title}");
        case(cases, (id, &title, Profile, reason), token, request(proof));
    }
}

/// D03: more than one proof, and what is none.
fn several(cases: &mut Cases, token: &str) {
    let [one, two] =
        ["D03-one", "D03-two"].map(|id| changed(cases, token, id, |header, claims| (header, claims)));
    let title = "two `DPoP` headers";
    let both = request(json!([one, two]));
    case(
        cases,
        ("D03-two-headers", title, Profile, Some("proof_repeated")),
        token,
        both,
    );
    let title = "the same proof in two `DPoP` headers";
    let twice = request(json!([one, one]));
    case(
        cases,
        ("D03-same-twice", title, Profile, Some("proof_repeated")),
        token,
        twice,
    );
    for (id, title, text) in [
        (
            "D03-comma",
            "two proofs joined by a comma",
            format!("{one},{two}"),
        ),
        (
            "D03-space",
            "two proofs joined by a space",
            format!("{one} {two}"),
        ),
        ("D03-padding", "a proof with padding", format!("{one}=")),
        ("D03-empty", "an empty `DPoP` header", String::new()),
        ("D03-token", "the token in place of the proof", token.to_owned()),
    ] {
        let said = (id, title, Profile, Some("proof_malformed"));
        case(cases, said, token, request(text));
    }
    let other = changed(cases, token, "D03-signature", |header, claims| (header, claims));
    let signature = two.rsplit('.').next().unwrap_or_default();
    let input = other.rsplit_once('.').unwrap_or_default().0;
    let title = "a proof with the signature of another";
    let said = ("D03-signature", title, Profile, Some("proof_signature_invalid"));
    case(cases, said, token, request(format!("{input}.{signature}")));
}
