//! D07 to D12: what a proof is bound to, and what a token is bound to.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::super::super::case::{Basis, Cases, quoted};
use super::super::super::keys::encode;
use super::{HOLDER, METHOD, URL, case, changed, parts, request, thumbprint, with_cnf, with_headers};
use Basis::{Policy, Profile};

/// The certificate of RFC 8705, appendix A, and its thumbprint.
const CERTIFICATE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVow\
    DzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ\
    /Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+\
    hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
/// A thumbprint of nothing.
const OTHER_THUMBPRINT: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0";

/// D07 and D08: for this token, by this key.
pub(super) fn tokens_and_keys(cases: &mut Cases, token: &str) {
    let ath = encode(digest(&SHA256, token.as_bytes()));
    let other = encode(digest(&SHA256, b"another token"));
    for (id, title, value) in [
        ("D07-other", "`ath` of another token", Some(other)),
        ("D07-padded", "`ath` with padding", Some(format!("{ath}="))),
        ("D07-case", "`ath` in lower case", Some(ath.to_lowercase())),
        (
            "D07-cut",
            "`ath` without its last letter",
            ath.get(..42).map(str::to_owned),
        ),
        ("D07-missing", "no `ath`", None),
    ] {
        let proof = changed(cases, token, id, |header, claims| {
            let claims = match &value {
                Some(value) => claims.with("ath", quoted(value)),
                None => claims.without("ath"),
            };
            (header, claims)
        });
        let title = format!("proof: {title}");
        let said = (id, title.as_str(), Profile, Some("proof_token_mismatch"));
        case(cases, said, token, request(proof));
    }
    let (header, claims) = parts(cases, "thief", token, "D08-thief");
    let proof = cases.token("thief", &header, &claims);
    let said = (
        "D08-thief",
        "a stolen token with a good proof of the thief's",
        Profile,
        Some("proof_key_mismatch"),
    );
    case(cases, said, token, request(proof));
    let (header, claims) = parts(cases, HOLDER, token, "D08-disguised");
    let proof = cases.token("thief", &header, &claims);
    let said = (
        "D08-disguised",
        "a stolen token with a proof that shows the holder's key and is signed by the thief",
        Profile,
        Some("proof_signature_invalid"),
    );
    case(cases, said, token, request(proof));
}

pub(super) fn nonces(cases: &mut Cases, token: &str) {
    let mismatch = Some("proof_nonce_mismatch");
    for (id, title, nonce, counting, reason) in [
        (
            "D09-newest",
            "the newest nonce",
            Some("nonce-2"),
            Some(&["nonce-2", "nonce-1"][..]),
            None,
        ),
        (
            "D09-before",
            "the one before, which still counts",
            Some("nonce-1"),
            Some(&["nonce-2", "nonce-1"]),
            None,
        ),
        (
            "D09-stale",
            "a nonce that counts no more",
            Some("nonce-0"),
            Some(&["nonce-2", "nonce-1"]),
            mismatch,
        ),
        (
            "D09-missing",
            "no nonce where one was asked for",
            None,
            Some(&["nonce-2"]),
            mismatch,
        ),
        (
            "D09-case",
            "the nonce in another case",
            Some("NONCE-2"),
            Some(&["nonce-2"]),
            mismatch,
        ),
        (
            "D09-none-counts",
            "a nonce where none counts",
            Some("nonce-2"),
            Some(&[]),
            mismatch,
        ),
        (
            "D09-unasked",
            "a nonce that nobody asked for",
            Some("nonce-2"),
            None,
            None,
        ),
    ] {
        let proof = changed(cases, token, id, |header, claims| match nonce {
            Some(nonce) => (header, claims.with("nonce", quoted(nonce))),
            None => (header, claims),
        });
        let mut shown = request(proof);
        if let (Some(counting), Some(members)) = (counting, shown.as_object_mut()) {
            members.insert("nonces".to_owned(), json!(counting));
        }
        let title = format!("proof: {title}");
        case(cases, (id, &title, Profile, reason), token, shown);
    }
}

/// D10: a request with this value of `Client-Cert`.
fn with_certificate(value: &str) -> Value {
    with_headers(&[("Client-Cert", value.into())])
}

pub(super) fn certificates(cases: &mut Cases) {
    let token = with_cnf(cases, &format!("{{\"x5t#S256\":\"{THUMBPRINT}\"}}"));
    let mismatch = Some("certificate_mismatch");
    let other = format!(":{}:", CERTIFICATE.replacen("MIIBBj", "MIIBBk", 1));
    let none = json!({"method": METHOD, "url": URL});
    let list = [
        (
            "D10-good",
            "its certificate",
            with_certificate(&format!(":{CERTIFICATE}:")),
            None,
        ),
        (
            "D10-other",
            "another certificate",
            with_certificate(&other),
            mismatch,
        ),
        (
            "D10-empty",
            "an empty certificate",
            with_certificate("::"),
            mismatch,
        ),
        (
            "D10-none",
            "a request without a certificate",
            none,
            Some("proof_missing"),
        ),
        (
            "D10-bare",
            "its certificate without the colons of RFC 9440",
            with_certificate(CERTIFICATE),
            Some("request_malformed"),
        ),
        (
            "D10-thumbprint",
            "the thumbprint of its certificate",
            json!({"method": METHOD, "url": URL, "certificate_thumbprint": THUMBPRINT}),
            None,
        ),
        (
            "D10-other-thumbprint",
            "the thumbprint of another certificate",
            json!({"method": METHOD, "url": URL, "certificate_thumbprint": OTHER_THUMBPRINT}),
            mismatch,
        ),
    ];
    for (id, title, shown, reason) in list {
        let title = format!("a token bound to a certificate: {title}");
        case(cases, (id, &title, Profile, reason), &token, shown);
    }
}

pub(super) fn both(cases: &mut Cases) {
    let jkt = thumbprint(cases, HOLDER);
    let token = with_cnf(
        cases,
        &format!("{{\"jkt\":\"{jkt}\",\"x5t#S256\":\"{THUMBPRINT}\"}}"),
    );
    let good = format!(":{CERTIFICATE}:");
    for (id, title, has_proof, certificate, reason) in [
        ("D11-both-good", "both are shown", true, Some(good.as_str()), None),
        (
            "D11-proof-only",
            "the proof alone",
            true,
            None,
            Some("proof_missing"),
        ),
        (
            "D11-certificate-only",
            "the certificate alone",
            false,
            Some(&good),
            Some("proof_missing"),
        ),
        (
            "D11-other-certificate",
            "another certificate",
            true,
            Some(":AQID:"),
            Some("certificate_mismatch"),
        ),
    ] {
        let mut headers = Vec::new();
        if has_proof {
            let proof = changed(cases, &token, id, |header, claims| (header, claims));
            headers.push(("DPoP", proof.into()));
        }
        if let Some(certificate) = certificate {
            headers.push(("Client-Cert", certificate.into()));
        }
        let shown = with_headers(&headers);
        let title = format!("a token bound to a key and a certificate: {title}");
        case(cases, (id, &title, Profile, reason), &token, shown);
    }
}

/// D12: what cannot be checked. These came alone. RFC 7800 §3.1 passes over members of `cnf` that it does not know.
pub(super) fn other_methods(cases: &mut Cases) {
    let jkt = thumbprint(cases, HOLDER);
    for (id, title, basis, cnf, reason) in [
        (
            "D12-empty",
            "`cnf` is empty",
            Policy,
            "{}".to_owned(),
            "confirmation_unsupported",
        ),
        (
            "D12-kid",
            "`cnf` names a key by `kid`",
            Policy,
            "{\"kid\":\"holder\"}".to_owned(),
            "confirmation_unsupported",
        ),
        (
            "D12-jwk",
            "`cnf` holds a key",
            Policy,
            "{\"jwk\":{\"kty\":\"EC\"}}".to_owned(),
            "confirmation_unsupported",
        ),
        (
            "D12-beside",
            "`cnf` names an unknown method beside `jkt`",
            Policy,
            format!("{{\"jkt\":\"{jkt}\",\"x\":\"y\"}}"),
            "confirmation_unsupported",
        ),
        (
            "D12-text",
            "`cnf` is a text",
            Profile,
            quoted(&jkt),
            "claim_invalid",
        ),
        (
            "D12-null",
            "`cnf` is null",
            Profile,
            "null".to_owned(),
            "claim_invalid",
        ),
        (
            "D12-padded",
            "`jkt` with padding",
            Profile,
            format!("{{\"jkt\":\"{jkt}=\"}}"),
            "claim_invalid",
        ),
    ] {
        let token = with_cnf(cases, &cnf);
        cases.refuse(basis, id, title, token, reason);
    }
}
