//! K: which key, and used how.

use aws_lc_rs::hmac;

use super::super::case::{Basis, Cases, Members, claims, claims_of, quoted, with_signature};
use super::super::keys::encode;
use super::super::world::{FOREIGN, TENANT, keys_issuer, tenant_issuer};
use Basis::{Policy, Rfc};

const SIGNATURE: &str = "signature_invalid";

/// A token whose signature is a MAC with this secret.
fn mac(header: &Members, claims: &Members, hash: hmac::Algorithm, secret: &[u8]) -> String {
    let input = format!("{}.{}", encode(header.text()), encode(claims.text()));
    let tag = hmac::sign(&hmac::Key::new(hash, secret), input.as_bytes());
    with_signature(&input, tag.as_ref())
}

pub(super) fn keys(cases: &mut Cases) {
    for kid in ["ent-shared", "foreign-rs256", "foreign-ed25519", "foreign-es256"] {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &claims_for(kid));
        cases.admit(&format!("K00-{kid}"), &format!("a good token of {kid}"), token);
    }
    public_key_as_secret(cases);
    other_algorithms(cases);
    faulty(cases);
    names(cases);
}

fn claims_for(kid: &str) -> Members {
    if kid.starts_with("foreign") {
        claims_of(FOREIGN)
    } else {
        claims()
    }
}

fn public_key_as_secret(cases: &mut Cases) {
    let symmetric = "algorithm_symmetric";
    for kid in ["ent-shared", "foreign-rs256"] {
        let (header, claims) = (cases.header(kid), claims_for(kid));
        let mut pem_text = Vec::new();
        for (slug, words, secret) in spellings(cases, kid) {
            let open = header.clone().with("alg", "\"HS256\"");
            let token = mac(&open, &claims, hmac::HMAC_SHA256, &secret);
            let (id, title) = (format!("K01-{kid}-{slug}"), format!("HS256 with {kid} {words}"));
            cases.refuse(Rfc, &id, &title, token, symmetric);
            let token = mac(&header, &claims, hmac::HMAC_SHA256, &secret);
            let title = format!("a MAC with {kid} {words}, said to be the key's signature");
            cases.refuse(Rfc, &format!("{id}-disguised"), &title, token, SIGNATURE);
            if slug == "pem" {
                pem_text = secret;
            }
        }
        let token = mac(
            &header.clone().with("alg", "\"HS512\""),
            &claims,
            hmac::HMAC_SHA512,
            &pem_text,
        );
        let (id, title) = (format!("K01-{kid}-hs512"), format!("HS512 with {kid} as PEM"));
        cases.refuse(Rfc, &id, &title, token, symmetric);
        let token = mac(&header.with("alg", "\"HS256\""), &claims, hmac::HMAC_SHA256, &[]);
        let (id, title) = (
            format!("K02-{kid}-empty"),
            format!("HS256 with an empty secret, `kid` {kid}"),
        );
        cases.refuse(Rfc, &id, &title, token, symmetric);
    }
    let claims = claims_of(&keys_issuer("no-algorithm"));
    let header = cases.header("foreign-rs256").with("kid", "\"bad-no-algorithm\"");
    let token = mac(
        &header.clone().with("alg", "\"HS256\""),
        &claims,
        hmac::HMAC_SHA256,
        &[],
    );
    let title = "HS256 with an empty secret, for an RSA key that names no algorithm";
    cases.refuse(Rfc, "K02-no-algorithm", title, token, symmetric);
    let token = cases.token("foreign-rs256", &header, &claims);
    cases.admit("K02-good", "RS256 for an RSA key that names no algorithm", token);
}

/// What a forger may take for the secret: `(id, words, bytes)`.
fn spellings(cases: &mut Cases, kid: &str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let der = spki(cases, kid);
    let pem = pem(&der);
    let names: &[&str] = if kid == "ent-shared" {
        &["crv", "kty", "x", "y"]
    } else {
        &["e", "kty", "n"]
    };
    let member = |name: &&str| format!("\"{name}\":\"{}\"", cases.keys.member(kid, name));
    let jwk = format!("{{{}}}", names.iter().map(member).collect::<Vec<_>>().join(","));
    let last = names.last().copied().unwrap_or_default();
    vec![
        ("pem", "as PEM", pem.clone().into()),
        (
            "pem-no-line-end",
            "as PEM without the last line end",
            pem.trim_end().into(),
        ),
        ("pem-space", "as PEM after a space", format!(" {pem}").into()),
        ("pem-line", "as PEM after a line end", format!("\n{pem}").into()),
        ("der", "as DER", der),
        ("jwk", "as JWK", jwk.clone().into()),
        (
            "jwk-space",
            "as JWK after white space",
            format!("\n {jwk}").into(),
        ),
        ("component", "its component as bytes", cases.keys.bytes(kid, last)),
        (
            "component-text",
            "its component as text",
            cases.keys.member(kid, last).into(),
        ),
        ("kid", "its name", kid.into()),
    ]
}

/// The public key as `SubjectPublicKeyInfo`.
fn spki(cases: &mut Cases, kid: &str) -> Vec<u8> {
    const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    // RSA-2048 with the exponent 65537: the modulus is all that differs.
    const RSA: &[u8] = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00";
    let [x, y, n] = if kid == "ent-shared" {
        [cases.keys.bytes(kid, "x"), cases.keys.bytes(kid, "y"), Vec::new()]
    } else {
        [Vec::new(), Vec::new(), cases.keys.bytes(kid, "n")]
    };
    if n.is_empty() {
        [P256, &x, &y].concat()
    } else {
        [RSA, &n, b"\x02\x03\x01\x00\x01"].concat()
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

fn other_algorithms(cases: &mut Cases) {
    let header = cases.header("foreign-rs256");
    for algorithm in ["PS256", "RS384", "RS512", "PS512"] {
        let slug = algorithm.to_lowercase();
        for (end, said, words, reason) in [
            ("", algorithm, "said openly", "algorithm_mismatch"),
            ("-as-rs256", "RS256", "said to be RS256", SIGNATURE),
        ] {
            let input = format!(
                "{}.{}",
                encode(header.clone().with("alg", quoted(said)).text()),
                encode(claims_of(FOREIGN).text())
            );
            let signature = cases.keys.sign_rsa("foreign-rs256", algorithm, input.as_bytes());
            let title = format!("the RS256 key signs {algorithm}, {words}");
            cases.refuse(
                Rfc,
                &format!("K03-{slug}{end}"),
                &title,
                with_signature(&input, &signature),
                reason,
            );
        }
    }
    for (id, title, kid, alg) in [
        (
            "K04-es256-as-rs256",
            "the ES256 key's token says RS256",
            "ent-shared",
            "RS256",
        ),
        (
            "K04-es256-as-eddsa",
            "the ES256 key's token says EdDSA",
            "ent-shared",
            "EdDSA",
        ),
        (
            "K04-rs256-as-es256",
            "the RS256 key's token says ES256",
            "foreign-rs256",
            "ES256",
        ),
        (
            "K04-ed25519-as-es256",
            "the Ed25519 key's token says ES256",
            "foreign-ed25519",
            "ES256",
        ),
    ] {
        let header = cases.header(kid).with("alg", quoted(alg));
        let token = cases.token(kid, &header, &claims_for(kid));
        cases.refuse(Rfc, id, title, token, "algorithm_mismatch");
    }
    names_of_ed25519(cases);
    other_curves(cases);
}

/// RFC 9864 has a new name for Ed25519 and deprecates `EdDSA`, which may go on.
fn names_of_ed25519(cases: &mut Cases) {
    for (id, alg, basis, reason) in [
        ("K04-ed25519-name", "Ed25519", Policy, None),
        ("K04-ed448", "Ed448", Rfc, Some("algorithm_unsupported")),
        ("K04-ed25519-case", "ed25519", Rfc, Some("algorithm_unsupported")),
        ("K04-ed25519ph", "Ed25519ph", Rfc, Some("algorithm_unsupported")),
    ] {
        let header = cases.header("foreign-ed25519").with("alg", quoted(alg));
        let token = cases.token("foreign-ed25519", &header, &claims_of(FOREIGN));
        let title = format!("the Ed25519 key, published as `EdDSA`; its token says {alg}");
        cases.at("mail", basis, id, &title, token, reason);
    }
}

fn other_curves(cases: &mut Cases) {
    let header = cases.header("ent-shared");
    let input = format!("{}.{}", encode(header.text()), encode(claims().text()));
    let signature = cases.keys.sign("thief-es384", input.as_bytes());
    cases.refuse(
        Rfc,
        "K04-p384-signature",
        "a P-384 signature, said to be ES256",
        with_signature(&input, &signature),
        SIGNATURE,
    );
    let cut = signature.get(..64).unwrap_or_default();
    cases.refuse(
        Rfc,
        "K04-p384-cut",
        "the same cut to the length of P-256",
        with_signature(&input, cut),
        SIGNATURE,
    );
    let input = format!(
        "{}.{}",
        encode(header.with("alg", "\"ES384\"").text()),
        encode(claims().text())
    );
    let signature = cases.keys.sign("thief-es384", input.as_bytes());
    cases.refuse(
        Rfc,
        "K04-es384",
        "ES384 by a stranger, `kid` of a P-256 key",
        with_signature(&input, &signature),
        "algorithm_mismatch",
    );
    for (id, title, alg, reason) in [
        ("K04-p384-good", "the P-384 key signs ES384", "ES384", None),
        (
            "K04-p384-as-es256",
            "the P-384 key's token says ES256",
            "ES256",
            Some("algorithm_mismatch"),
        ),
        (
            "K04-p384-as-es512",
            "the P-384 key's token says ES512",
            "ES512",
            Some("algorithm_mismatch"),
        ),
    ] {
        let header = cases
            .header("keys-p384")
            .with("kid", "\"bad-p-384\"")
            .with("alg", quoted(alg));
        let token = cases.token("keys-p384", &header, &claims_of(&keys_issuer("p-384")));
        cases.at("mail", Rfc, id, title, token, reason);
    }
}

/// Keys that a set should not hold: `(id, title, basis, set, signer, alg)`.
const FAULTY: &[(&str, &str, Basis, &str, &str, &str)] = &[
    (
        "K05-use-enc",
        "a key with `use` `enc`",
        Policy,
        "use-enc",
        "keys-bad",
        "ES256",
    ),
    (
        "K05-key-ops",
        "a key with `key_ops` `encrypt`",
        Policy,
        "key-ops-encrypt",
        "keys-bad",
        "ES256",
    ),
    (
        "K06-private",
        "a key published with its private part",
        Policy,
        "private",
        "keys-bad",
        "ES256",
    ),
    (
        "K07-repeated-first",
        "the first of two keys of one `kid`",
        Policy,
        "repeated",
        "keys-bad",
        "ES256",
    ),
    (
        "K07-repeated-second",
        "the second of two keys of one `kid`",
        Policy,
        "repeated",
        "name-a",
        "ES256",
    ),
    (
        "K08-rsa-1024",
        "RSA with 1024 bits",
        Rfc,
        "rsa-1024",
        "keys-rsa-1024",
        "RS256",
    ),
    (
        "K08-rsa-roca",
        "RSA with a modulus of the ROCA shape",
        Policy,
        "rsa-roca",
        "keys-roca",
        "RS256",
    ),
    (
        "K08-rsa-even",
        "RSA with an even modulus",
        Rfc,
        "rsa-even",
        "foreign-rs256",
        "RS256",
    ),
    (
        "K09-off-curve",
        "a point off the curve",
        Rfc,
        "off-curve",
        "thief-es256",
        "ES256",
    ),
    (
        "K09-infinity",
        "zero for both coordinates",
        Rfc,
        "infinity",
        "thief-es256",
        "ES256",
    ),
    (
        "K09-x-short",
        "an `x` that is too short",
        Rfc,
        "x-short",
        "keys-bad",
        "ES256",
    ),
    (
        "K09-x-long",
        "an `x` with zeros in front",
        Rfc,
        "x-long",
        "keys-bad",
        "ES256",
    ),
    (
        "K04-curve-mismatch",
        "a P-256 point under the name of P-384",
        Rfc,
        "curve-mismatch",
        "keys-bad",
        "ES256",
    ),
    (
        "K12-short",
        "an Ed25519 key that is too short",
        Rfc,
        "ed25519-short",
        "foreign-ed25519",
        "EdDSA",
    ),
    (
        "K12-x25519",
        "an Ed25519 key under the name of X25519",
        Rfc,
        "x25519",
        "foreign-ed25519",
        "EdDSA",
    ),
];

fn faulty(cases: &mut Cases) {
    for (id, title, basis, set, signer, alg) in FAULTY {
        let header = cases
            .header("keys-bad")
            .with("alg", quoted(alg))
            .with("kid", quoted(&format!("bad-{set}")));
        let token = cases.token(signer, &header, &claims_of(&keys_issuer(set)));
        cases.refuse(*basis, id, &format!("{title} signs"), token, "key_unknown");
    }
    let header = cases
        .header("keys-bad")
        .with("alg", "\"HS256\"")
        .with("kid", "\"bad-symmetric\"");
    let claims = claims_of(&keys_issuer("symmetric"));
    let token = mac(&header, &claims, hmac::HMAC_SHA256, &[7; 32]);
    cases.refuse(
        Rfc,
        "K06-symmetric",
        "a shared secret that stands in a public set signs",
        token,
        "algorithm_symmetric",
    );
    // With e = 1 the padded hash is its own signature: anybody can write it.
    let header = cases
        .header("keys-bad")
        .with("alg", "\"RS256\"")
        .with("kid", "\"bad-rsa-exponent-1\"");
    let input = format!(
        "{}.{}",
        encode(header.text()),
        encode(claims_of(&keys_issuer("rsa-exponent-1")).text())
    );
    let info = super::super::rsa::digest_info(&aws_lc_rs::digest::SHA256, input.as_bytes());
    let block = super::super::rsa::block(256, 1, 0xff, &info);
    cases.refuse(
        Rfc,
        "K08-rsa-exponent-1",
        "RSA with the exponent 1, forged without any key",
        with_signature(&input, &block),
        "key_unknown",
    );
    for (id, set) in [
        ("K06-beside-symmetric", "symmetric"),
        ("K06-beside-private", "private"),
        ("K07-beside-repeated", "repeated"),
        ("K08-beside-rsa-1024", "rsa-1024"),
        ("K08-beside-rsa-even", "rsa-even"),
        ("K09-beside-off-curve", "off-curve"),
        ("K12-beside-short", "ed25519-short"),
    ] {
        let header = cases.header("keys-good");
        let token = cases.token("keys-good", &header, &claims_of(&keys_issuer(set)));
        cases.admit(
            id,
            &format!("the good key beside the bad one ({set}) signs"),
            token,
        );
    }
}

fn names(cases: &mut Cases) {
    for (id, signer, iss, reason) in [
        ("K07-a-for-a", "name-a", "a", None),
        ("K07-b-for-b", "name-b", "b", None),
        ("K07-a-for-b", "name-a", "b", Some(SIGNATURE)),
        ("K07-b-for-a", "name-b", "a", Some(SIGNATURE)),
    ] {
        let header = cases.header(signer).with("kid", "\"key-1\"");
        let token = cases.token(signer, &header, &claims_of(&format!("https://{iss}.example")));
        let title = format!("two issuers have a key `key-1`: that of {signer} signs for {iss}.example");
        cases.at("mail", Rfc, id, &title, token, reason);
    }
    let header = cases.header("ent-shared").without("kid");
    let token = cases.with_header(&header);
    cases.refuse(
        Policy,
        "K10-no-kid",
        "no `kid`, and the issuer has several keys",
        token,
        "key_id_missing",
    );
    let header = cases.header("keys-bad").without("kid");
    let token = cases.token("keys-bad", &header, &claims_of(&keys_issuer("empty-kid")));
    cases.refuse(
        Policy,
        "K10-empty-kid-none",
        "no `kid`, and the set has a key with an empty one",
        token,
        "key_id_missing",
    );
    let header = cases.header("keys-bad").with("kid", "\"\"");
    let token = cases.token("keys-bad", &header, &claims_of(&keys_issuer("empty-kid")));
    cases.refuse(
        Policy,
        "K10-empty-kid",
        "an empty `kid`, and a key that has it",
        token,
        "header_member_invalid",
    );
    let token = {
        let header = cases.header("thief-es256").with("kid", "\"unheard-of\"");
        cases.token("thief-es256", &header, &claims_of(&keys_issuer("empty-kid")))
    };
    cases.refuse(
        Rfc,
        "K10-empty-kid-other",
        "an unknown `kid`, and a key with an empty one",
        token,
        "key_unknown",
    );
    others_keys(cases);
}

/// K11: a good key, of another issuer.
fn others_keys(cases: &mut Cases) {
    for (id, signer, iss, words) in [
        (
            "K11-foreign-for-enterprise",
            "foreign-es256",
            tenant_issuer(TENANT),
            "a trusted provider's key signs for the enterprise issuer",
        ),
        (
            "K11-enterprise-for-foreign",
            "ent-shared",
            FOREIGN.to_owned(),
            "the enterprise key signs for another trusted provider",
        ),
        (
            "K11-rs256-for-enterprise",
            "foreign-rs256",
            tenant_issuer(TENANT),
            "a trusted provider's RSA key signs for the enterprise issuer",
        ),
    ] {
        let header = cases.header(signer);
        let claims = claims_for(if iss == FOREIGN { "foreign" } else { "ent" }).with("iss", quoted(&iss));
        let token = cases.token(signer, &header, &claims);
        cases.refuse(Rfc, id, words, token, "key_realm_mismatch");
    }
}
