//! Tokens bound to a client certificate (RFC 8705), by the rows of the corpus: D10 and D11.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
use countersign_token::{CertificateThumbprint, Check, Dpop, ProofRule, Proofs, Resource, TokenDigest};
use serde_json::{Value, json};

use crate::world::{NOW, Signer, World, verify_both};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// The certificate of RFC 8705 appendix A.
const CERTIFICATE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx\
    ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG\
    SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\
    /Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID\
    SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV\
    bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";

/// Its thumbprint, as the appendix has it.
const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

fn certificate() -> Vec<u8> {
    STANDARD.decode(CERTIFICATE).unwrap()
}

fn token(cnf: Value) -> String {
    WORLD.token("shared", |_, claims| claims["cnf"] = cnf)
}

fn judge(token: &str, proofs: Proofs<'_>) -> &'static str {
    let check = WORLD.check().with_proofs(proofs);
    verify_both(token, &check).map_or_else(|refusal| refusal.code(), |_| "admitted")
}

fn shown(certificate: &[u8]) -> Proofs<'_> {
    Proofs::NONE.with_certificate(certificate)
}

#[test]
fn the_example_of_the_rfc() {
    let thumbprint = CertificateThumbprint::of_der(&certificate());
    assert_eq!(thumbprint.to_base64url(), THUMBPRINT);
    assert_eq!(
        CertificateThumbprint::from_base64url(THUMBPRINT),
        Some(thumbprint)
    );
}

#[test]
fn d10_the_certificate_is_the_one_the_token_is_bound_to() {
    let token = token(json!({ "x5t#S256": THUMBPRINT }));
    let good = certificate();
    assert_eq!(judge(&token, shown(&good)), "admitted");
    assert_eq!(judge(&token, Proofs::NONE), "proof_missing");
    let longer = [good.as_slice(), b"\n"].concat();
    for other in [
        b"".as_slice(),
        b"another certificate",
        &good[1..],
        &longer,
        CERTIFICATE.as_bytes(),
    ] {
        assert_eq!(judge(&token, shown(other)), "certificate_mismatch");
    }
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(
            judge(&token, shown(&changed)),
            "certificate_mismatch",
            "byte {at}"
        );
    }
}

#[test]
fn a_certificate_beside_a_token_that_is_not_bound_to_one_is_not_looked_at() {
    let plain = WORLD.token("shared", |_, _| {});
    assert_eq!(judge(&plain, shown(&certificate())), "admitted");
    let jkt = Signer::es256().public().thumbprint().to_base64url();
    assert_eq!(
        judge(&token(json!({ "jkt": jkt })), shown(&certificate())),
        "proof_missing"
    );
}

#[test]
fn a_thumbprint_that_is_none_is_refused() {
    for text in [
        "",
        "AAAA",
        &format!("{THUMBPRINT}="),
        &THUMBPRINT.replace('A', "+"),
    ] {
        assert_eq!(
            judge(&token(json!({ "x5t#S256": text })), shown(&certificate())),
            "claim_invalid",
            "{text}"
        );
    }
    for name in ["x5t", "x5t#s256", "X5T#S256"] {
        assert_eq!(
            judge(&token(json!({ name: THUMBPRINT })), shown(&certificate())),
            "confirmation_unsupported",
            "{name}"
        );
    }
}

#[test]
fn d11_a_token_bound_to_both_needs_both() {
    let holder = Signer::es256();
    let key = holder.public();
    let token = token(json!({ "jkt": key.thumbprint().to_base64url(), "x5t#S256": THUMBPRINT }));
    let url = RequestUrl::parse("https://mail.example/inbox").unwrap();
    let proof = holder.token(
        &json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.to_jwk() }),
        &json!({
            "jti": "1", "htm": "GET", "htu": url.as_str(), "iat": NOW,
            "ath": TokenDigest::of(&token).to_base64url(),
        }),
    );
    let good = certificate();
    for (with_proof, certificate, expected) in [
        (true, Some(good.as_slice()), "admitted"),
        (true, None, "proof_missing"),
        (true, Some(b"another".as_slice()), "certificate_mismatch"),
        (false, Some(good.as_slice()), "proof_missing"),
        (false, None, "proof_missing"),
    ] {
        let used = MemoryReplayStore::new(10);
        let headers = [proof.as_str()];
        let headers: &[&str] = if with_proof { &headers } else { &[] };
        let mut proofs = Proofs::NONE.with_dpop(Dpop::new(headers, Request::new("GET", &url, &used)));
        proofs.certificate = certificate;
        let check = WORLD.check().with_proofs(proofs);
        let parsed = countersign_token::ParsedToken::parse(&token).unwrap();
        let verdict = countersign_token::verify(&parsed, &check);
        if let Ok(token) = &verdict {
            assert_eq!(token.bound_key(), Some(key.thumbprint()));
            assert!(token.bound_certificate().is_some_and(|bound| bound.is_of(&good)));
        }
        let code = verdict.map_or_else(|refusal| refusal.code(), |_| "admitted");
        assert_eq!(
            code,
            expected,
            "proof {with_proof}, certificate {}",
            certificate.is_some()
        );
    }
}

#[test]
fn the_thumbprint_of_the_certificate_is_as_good() {
    let token = token(json!({ "x5t#S256": THUMBPRINT }));
    let shown = |text: &str| {
        Proofs::NONE.with_certificate_thumbprint(CertificateThumbprint::from_base64url(text).unwrap())
    };
    let other = CertificateThumbprint::of_der(b"another").to_base64url();
    assert_eq!(judge(&token, shown(THUMBPRINT)), "admitted");
    assert_eq!(judge(&token, shown(&other)), "certificate_mismatch");
    // Both, if both are shown.
    let good = certificate();
    assert_eq!(
        judge(&token, shown(THUMBPRINT).with_certificate(&good)),
        "admitted"
    );
    for proofs in [
        shown(&other).with_certificate(&good),
        shown(THUMBPRINT).with_certificate(b"another"),
    ] {
        assert_eq!(judge(&token, proofs), "certificate_mismatch");
    }
}

#[test]
fn a_resource_may_take_bound_tokens_only() {
    let mut resource = Resource::new("mail", "https://mail.example", "enterprise");
    resource.proof = ProofRule::Required;
    let judge = |token: &str, proofs: Proofs<'_>| {
        let check = Check::new(&WORLD.registry, &resource, NOW).with_proofs(proofs);
        verify_both(token, &check).map_or_else(|refusal| refusal.code(), |_| "admitted")
    };
    let (plain, good) = (WORLD.token("shared", |_, _| {}), certificate());
    let bound = token(json!({ "x5t#S256": THUMBPRINT }));
    assert_eq!(judge(&plain, Proofs::NONE), "confirmation_required");
    assert_eq!(judge(&plain, shown(&good)), "confirmation_required");
    assert_eq!(judge(&bound, Proofs::NONE), "proof_missing");
    assert_eq!(judge(&bound, shown(&good)), "admitted");
    assert_eq!(judge(&token(json!({})), shown(&good)), "confirmation_unsupported");
}
