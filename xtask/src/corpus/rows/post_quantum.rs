//! K13 and S08: ML-DSA (RFC 9964), its keys and its signatures.

use super::super::case::{Basis, Cases, claims_of, quoted, with_signature};
use super::super::keys::encode;
use super::super::world::{POST_QUANTUM, keys_issuer};
use Basis::{Policy, Rfc};

const SIGNATURE: &str = "signature_invalid";
const MISMATCH: &str = "algorithm_mismatch";

/// Parts of a signature, in bytes: the challenge, the response, and the hints (FIPS 204, table 1 and section 7.2).
struct Parts {
    kid: &'static str,
    challenge: usize,
    response: usize,
    /// Bytes for the places of hints, and for how many there are in each polynomial.
    hints: usize,
    polynomials: usize,
}

const PARTS: &[Parts] = &[
    Parts {
        kid: "pq-44",
        challenge: 32,
        response: 2_304,
        hints: 80,
        polynomials: 4,
    },
    Parts {
        kid: "pq-65",
        challenge: 48,
        response: 3_200,
        hints: 55,
        polynomials: 6,
    },
    Parts {
        kid: "pq-87",
        challenge: 64,
        response: 4_480,
        hints: 75,
        polynomials: 8,
    },
];

pub(super) fn keys_and_signatures(cases: &mut Cases) {
    for parts in PARTS {
        let (input, signature) = good(cases, parts.kid);
        let id = format!("K13-{}-good", parts.kid);
        let title = format!("the {} key signs", cases.keys.algorithm(parts.kid));
        // RFC 9964 is optional to implement.
        cases.at(
            "mail",
            Policy,
            &id,
            &title,
            with_signature(&input, &signature),
            None,
        );
    }
    crossed(cases);
    faulty_keys(cases);
    for parts in PARTS {
        forms(cases, parts);
        insides(cases, parts);
    }
}

/// Signing input and signature of a good token.
fn good(cases: &mut Cases, kid: &str) -> (String, Vec<u8>) {
    let input = format!(
        "{}.{}",
        encode(cases.header(kid).text()),
        encode(claims_of(POST_QUANTUM).text())
    );
    let signature = cases.keys.sign(kid, input.as_bytes());
    (input, signature)
}

/// One strength in place of another.
fn crossed(cases: &mut Cases) {
    for (signer, named) in [("pq-44", "pq-65"), ("pq-65", "pq-44"), ("pq-87", "pq-44")] {
        let header = cases.header(named);
        let token = cases.token(signer, &header, &claims_of(POST_QUANTUM));
        let title = format!("a signature of {signer} under the name of {named}");
        let id = format!("K13-{signer}-as-{named}");
        cases.refuse(Rfc, &id, &title, token, SIGNATURE);
    }
    for alg in ["ML-DSA-65", "ES256", "EdDSA"] {
        let header = cases.header("pq-44").with("alg", quoted(alg));
        let token = cases.token("pq-44", &header, &claims_of(POST_QUANTUM));
        let id = format!("K13-says-{}", alg.to_lowercase());
        cases.refuse(
            Rfc,
            &id,
            &format!("the ML-DSA-44 key's token says {alg}"),
            token,
            MISMATCH,
        );
    }
    for alg in ["ML-DSA", "ml-dsa-44", "ML-DSA-44-ES256", "HashML-DSA-44"] {
        let header = cases.header("pq-44").with("alg", quoted(alg));
        let token = cases.token("pq-44", &header, &claims_of(POST_QUANTUM));
        let id = format!(
            "K13-unknown-{}",
            alg.replace("ml-dsa", "lower-case").to_lowercase()
        );
        let title = format!("`alg` is {alg}, which is none");
        cases.refuse(Rfc, &id, &title, token, "algorithm_unsupported");
    }
}

fn faulty_keys(cases: &mut Cases) {
    for (kind, alg, title) in [
        (
            "akp-no-algorithm",
            "ML-DSA-44",
            "an `AKP` key without `alg` signs",
        ),
        (
            "akp-other-algorithm",
            "ML-DSA-65",
            "an ML-DSA-44 key under the name of ML-DSA-65 signs",
        ),
        ("akp-short", "ML-DSA-44", "an ML-DSA key that is too short signs"),
    ] {
        let kid = quoted(&format!("bad-{kind}"));
        let header = cases.header("pq-44").with("alg", quoted(alg)).with("kid", kid);
        let token = cases.token("pq-44", &header, &claims_of(&keys_issuer(kind)));
        cases.refuse(Rfc, &format!("K13-{kind}"), title, token, "key_unknown");
    }
}

/// Lengths, and bytes from elsewhere.
fn forms(cases: &mut Cases, parts: &Parts) {
    let (input, signature) = good(cases, parts.kid);
    let length = signature.len();
    let cut = signature.get(..length - 1).unwrap_or_default();
    let mut changed = signature.clone();
    if let Some(byte) = changed.first_mut() {
        *byte ^= 1;
    }
    let list = [
        ("cut", "cut by a byte", cut.to_vec()),
        ("longer", "a zero behind it", [&signature, &[0][..]].concat()),
        ("before", "a zero before it", [&[0], cut].concat()),
        ("empty", "nothing", Vec::new()),
        ("zeros", "zeros", vec![0; length]),
        ("ones", "all ones", vec![0xff; length]),
        ("challenge", "a bit of the challenge changed", changed),
    ];
    for (slug, title, signature) in list {
        forged(cases, parts, slug, title, &input, &signature);
    }
}

/// Well-formed but for one number.
fn insides(cases: &mut Cases, parts: &Parts) {
    let (input, signature) = good(cases, parts.kid);
    let hints = parts.challenge + parts.response;
    let counts = hints + parts.hints;
    let last_count = counts + parts.polynomials - 1;
    let used = usize::from(signature.get(last_count).copied().unwrap_or_default());
    // Each with the bytes from here on replaced.
    let too_many = parts.hints.to_le_bytes()[0] + 1;
    let swapped: Vec<u8> = signature
        .get(hints..hints + 2)
        .map(|pair| pair.iter().rev().copied().collect())
        .unwrap_or_default();
    let twice = signature.get(hints).copied().unwrap_or_default();
    let list: [(&str, &str, usize, Vec<u8>); 7] = [
        (
            "norm",
            "a response at the end of its range, beyond the bound",
            parts.challenge,
            vec![0; 8],
        ),
        (
            "norm-other",
            "a response at the other end of its range",
            parts.challenge,
            vec![0xff; 8],
        ),
        ("hints-swapped", "two hints in the wrong order", hints, swapped),
        ("hints-repeated", "one hint twice", hints, vec![twice, twice]),
        (
            "hints-padding",
            "a hint where padding belongs",
            hints + used,
            vec![1],
        ),
        (
            "hints-fewer",
            "a count of hints below the one before",
            last_count,
            vec![0],
        ),
        (
            "hints-more",
            "more hints than there is room for",
            last_count,
            vec![too_many],
        ),
    ];
    for (slug, title, at, bytes) in list {
        let mut changed = signature.clone();
        for (place, byte) in changed.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
        forged(cases, parts, slug, title, &input, &changed);
    }
}

fn forged(cases: &mut Cases, parts: &Parts, slug: &str, title: &str, input: &str, signature: &[u8]) {
    let id = format!("S08-{}-{slug}", parts.kid);
    let title = format!("{}: {title}", cases.keys.algorithm(parts.kid));
    cases.refuse(Rfc, &id, &title, with_signature(input, signature), SIGNATURE);
}
