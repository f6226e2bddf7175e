//! S: what is no signature of the key, or a second form of one.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};

use super::super::case::{Basis, Cases, claims, claims_of, with_signature};
use super::super::keys::encode;
use super::super::rsa;
use super::super::world::FOREIGN;
use Basis::{Policy, Rfc};

/// Order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Order of Ed25519, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Signing input and signature of a good token of this key.
fn good(cases: &mut Cases, kid: &str) -> (String, Vec<u8>) {
    let claims = if kid.starts_with("foreign") {
        claims_of(FOREIGN)
    } else {
        claims()
    };
    let input = format!("{}.{}", encode(cases.header(kid).text()), encode(claims.text()));
    let signature = cases.keys.sign(kid, input.as_bytes());
    (input, signature)
}

fn forged(cases: &mut Cases, id: &str, title: &str, input: &str, signature: &[u8]) {
    cases.refuse(
        Rfc,
        id,
        title,
        with_signature(input, signature),
        "signature_invalid",
    );
}

pub(super) fn signatures(cases: &mut Cases) {
    ecdsa(cases);
    ed25519(cases);
    rsa_numbers(cases);
    rsa_paddings(cases);
    of_others(cases);
}

fn ecdsa(cases: &mut Cases) {
    let (input, signature) = good(cases, "ent-shared");
    let (r, s) = signature.split_at_checked(32).unwrap_or_default();
    let mut below = ORDER;
    below[31] -= 1;
    let (mut one, mut above) = ([0; 32], ORDER);
    one[31] = 1;
    above[31] += 1;
    let edges = [
        ("0", [0; 32]),
        ("1", one),
        ("n-1", below),
        ("n", ORDER),
        ("n+1", above),
        ("max", [0xff; 32]),
    ];
    for (r_name, r_edge) in edges {
        for (s_name, s_edge) in edges {
            let title = format!("r = {r_name}, s = {s_name}");
            forged(
                cases,
                &format!("S01-r-{r_name}-s-{s_name}"),
                &title,
                &input,
                &[r_edge, s_edge].concat(),
            );
        }
        forged(
            cases,
            &format!("S01-r-{r_name}"),
            &format!("r = {r_name}, s good"),
            &input,
            &[&r_edge, s].concat(),
        );
        forged(
            cases,
            &format!("S01-s-{r_name}"),
            &format!("r good, s = {r_name}"),
            &input,
            &[r, &r_edge].concat(),
        );
    }
    ecdsa_forms(cases, &input, [r, s]);
}

fn ecdsa_forms(cases: &mut Cases, input: &str, [r, s]: [&[u8]; 2]) {
    let der = der(r, s);
    let list = [
        ("S02-der", "the good signature as DER", der),
        ("S02-zero-behind", "a zero behind it", [r, s, &[0]].concat()),
        ("S02-zero-before", "a zero before it", [&[0], r, s].concat()),
        (
            "S02-zeros-inside",
            "a zero before each number",
            [&[0], r, &[0], s].concat(),
        ),
        ("S02-twice", "the signature twice", [r, s, r, s].concat()),
        ("S02-swapped", "s before r", [s, r].concat()),
        (
            "S02-r-plus-n",
            "r + n, where that fits into a byte more",
            [&[1], r, &[1], s].concat(),
        ),
        (
            "S09-ecdsa-cut",
            "cut by a byte",
            [r, s.get(..31).unwrap_or_default()].concat(),
        ),
        ("S09-ecdsa-empty", "nothing", Vec::new()),
        ("S09-ecdsa-half", "one half", r.to_vec()),
    ];
    for (id, title, signature) in list {
        forged(cases, id, title, input, &signature);
    }
    let twin = [r, &minus(&ORDER, s)].concat();
    cases.admit(
        "S03-twin",
        "(r, n-s), which is as good a signature; the same entry in a ledger",
        with_signature(input, &twin),
    );
}

/// `a - b`, big-endian, of one length.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut result: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let value = 256 + i32::from(*a) - i32::from(*b) - borrow;
            borrow = i32::from(value < 256);
            value.to_le_bytes()[0]
        })
        .collect();
    result.reverse();
    result
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
        let bytes = bytes.get(start..).unwrap_or_default();
        let sign: &[u8] = if bytes.first().is_some_and(|byte| *byte > 127) {
            &[0]
        } else {
            &[]
        };
        tagged(2, &[sign, bytes].concat())
    };
    tagged(0x30, &[number(r), number(s)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_le_bytes()[0];
    [&[tag, length], content].concat()
}

fn ed25519(cases: &mut Cases) {
    let (input, signature) = good(cases, "foreign-ed25519");
    let (r, s) = signature.split_at_checked(32).unwrap_or_default();
    let mut carry = 0;
    let twin: Vec<u8> = s
        .iter()
        .zip(ED25519_ORDER)
        .map(|(byte, order)| {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            carry = sum >> 8;
            sum.to_le_bytes()[0]
        })
        .collect();
    let mut one = [0; 32];
    one[0] = 1;
    let list = [
        (
            "S07-s-plus-order",
            "S + L, the same number to a lax verifier",
            [r, &twin].concat(),
        ),
        ("S07-s-order", "S = L", [r, &ED25519_ORDER].concat()),
        ("S07-s-max", "S of all ones", [r, &[0xff; 32]].concat()),
        ("S07-s-zero", "S = 0", [r, &[0; 32]].concat()),
        ("S07-r-order-one", "R of order one", [&one, s].concat()),
        (
            "S07-r-one-s-zero",
            "R of order one, S = 0",
            [one, [0; 32]].concat(),
        ),
        ("S07-zeros", "all zeros", vec![0; 64]),
        (
            "S07-r-not-canonical",
            "R not in canonical form",
            [&[0xff; 32], s].concat(),
        ),
        (
            "S07-cut",
            "cut by a byte",
            signature.get(..63).unwrap_or_default().to_vec(),
        ),
        ("S07-longer", "a byte longer", [r, s, &[0]].concat()),
        ("S09-ed25519-empty", "nothing", Vec::new()),
    ];
    for (id, title, signature) in list {
        forged(cases, id, title, &input, &signature);
    }
}

fn rsa_numbers(cases: &mut Cases) {
    let (input, signature) = good(cases, "foreign-rs256");
    let modulus = cases.keys.bytes("foreign-rs256", "n");
    let number = |last: u8| [vec![0; modulus.len() - 1], vec![last]].concat();
    let mut below = modulus.clone();
    if let Some(last) = below.last_mut() {
        *last -= 1;
    }
    let list = [
        ("S06-zero", "0", number(0)),
        ("S06-one", "1", number(1)),
        ("S06-n-1", "n - 1", below),
        ("S06-n", "n", modulus.clone()),
        ("S06-max", "all ones", vec![0xff; modulus.len()]),
        (
            "S06-zero-before",
            "a zero before it",
            [&[0], signature.as_slice()].concat(),
        ),
        (
            "S06-zero-behind",
            "a zero behind it",
            [signature.as_slice(), &[0]].concat(),
        ),
        (
            "S09-rsa-cut",
            "cut by a byte",
            signature.split_last().map(|it| it.1.to_vec()).unwrap_or_default(),
        ),
        ("S09-rsa-empty", "nothing", Vec::new()),
    ];
    for (id, title, signature) in list {
        forged(cases, id, title, &input, &signature);
    }
    let whole = plus(&signature, &modulus);
    if whole.len() == modulus.len() {
        forged(
            cases,
            "S06-plus-n",
            "the signature and n added, as long as the modulus",
            &input,
            &whole,
        );
    } else {
        forged(
            cases,
            "S06-plus-n-longer",
            "the signature and n added, a byte longer",
            &input,
            &whole,
        );
    }
}

/// `a + b`, big-endian.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut result: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            sum.to_le_bytes()[0]
        })
        .collect();
    if carry > 0 {
        result.push(1);
    }
    result.reverse();
    result
}

fn rsa_paddings(cases: &mut Cases) {
    let (input, _) = good(cases, "foreign-rs256");
    for (id, title, block) in paddings(input.as_bytes()) {
        let signature = if block.first() == Some(&0) || id.starts_with("S05") {
            cases.keys.sign_block("foreign-rs256", &block)
        } else {
            block
        };
        forged(cases, id, title, &input, &signature);
    }
}

/// Blocks that are no padding of RS256: `(id, title, block)`.
type Padding = (&'static str, &'static str, Vec<u8>);

fn paddings(message: &[u8]) -> Vec<Padding> {
    let info = rsa::digest_info(&SHA256, message);
    let mut wrong_first = rsa::block(256, 1, 0xff, &info);
    if let Some(byte) = wrong_first.first_mut() {
        *byte = 1;
    }
    let mut wrong_end = rsa::block(256, 1, 0xff, &info);
    if let Some(byte) = wrong_end.get_mut(100) {
        *byte = 0xfe;
    }
    // Bleichenbacher's: a short filling, and rubbish behind the hash that a lax reader does not look at.
    let mut rubbish = [&[0, 1], [0xff; 8].as_slice(), &[0], &info].concat();
    rubbish.resize(256, 0x42);
    let mut list: Vec<Padding> = vec![
        (
            "S04-type-2",
            "the padding of encryption",
            rsa::block(256, 2, 0xff, &info),
        ),
        ("S04-type-0", "padding of type 0", rsa::block(256, 0, 0, &info)),
        ("S04-filling", "a filling of zeros", rsa::block(256, 1, 0, &info)),
        ("S04-filling-byte", "one byte of the filling changed", wrong_end),
        ("S04-first-byte", "the first byte is 1", wrong_first),
        (
            "S04-rubbish",
            "a short filling and rubbish behind the hash",
            rubbish,
        ),
    ];
    list.extend(contents(message));
    list
}

/// The right padding around something else, and PSS.
fn contents(message: &[u8]) -> Vec<Padding> {
    let hash = digest(&SHA256, message).as_ref().to_vec();
    // Without the NULL of the algorithm's parameters, each length two less.
    let no_null = [
        b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20".as_slice(),
        &hash,
    ]
    .concat();
    let long_length = [
        b"\x30\x81\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20".as_slice(),
        &hash,
    ]
    .concat();
    let sha1 = [
        b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14".as_slice(),
        digest(&SHA1_FOR_LEGACY_USE_ONLY, message).as_ref(),
    ]
    .concat();
    vec![
        (
            "S04-no-null",
            "the hash's parameters absent in place of NULL",
            rsa::block(256, 1, 0xff, &no_null),
        ),
        (
            "S04-long-length",
            "a length in the long form",
            rsa::block(256, 1, 0xff, &long_length),
        ),
        (
            "S04-bare-hash",
            "the hash without its name",
            rsa::block(256, 1, 0xff, &hash),
        ),
        ("S04-sha1", "SHA-1", rsa::block(256, 1, 0xff, &sha1)),
        (
            "S04-sha512",
            "SHA-512",
            rsa::block(256, 1, 0xff, &rsa::digest_info(&SHA512, message)),
        ),
        (
            "S04-no-padding",
            "no padding at all",
            [vec![0; 224], hash].concat(),
        ),
        ("S05-pss", "PSS", rsa::pss_block(256, &SHA256, 32, message)),
        (
            "S05-pss-no-salt",
            "PSS without salt",
            rsa::pss_block(256, &SHA256, 0, message),
        ),
        (
            "S05-pss-long-salt",
            "PSS with the longest salt",
            rsa::pss_block(256, &SHA256, 222, message),
        ),
    ]
}

fn of_others(cases: &mut Cases) {
    for kid in ["ent-shared", "foreign-rs256", "foreign-ed25519"] {
        let (input, signature) = good(cases, kid);
        let (_, payload) = input.split_once('.').unwrap_or_default();
        let header = encode(cases.header(kid).with("x5t", "\"other\"").text());
        forged(
            cases,
            &format!("S09-{kid}-other-header"),
            "the signature of another header",
            &format!("{header}.{payload}"),
            &signature,
        );
        let claims = if kid.starts_with("foreign") {
            claims_of(FOREIGN)
        } else {
            claims()
        };
        let other = format!(
            "{}.{}",
            encode(cases.header(kid).text()),
            encode(claims.with("sub", "\"admin\"").text())
        );
        forged(
            cases,
            &format!("S09-{kid}-other-claims"),
            "the signature of other claims",
            &other,
            &signature,
        );
        altered(cases, kid, &input, &signature);
    }
    let header = cases.header("ent-shared").with("x5t", "\"other\"");
    let token = cases.with_header(&header);
    cases.at(
        "mail",
        Policy,
        "S09-good-again",
        "the other header, signed",
        token,
        None,
    );
}

fn altered(cases: &mut Cases, kid: &str, input: &str, signature: &[u8]) {
    let mut flipped = signature.to_vec();
    if let Some(last) = flipped.last_mut() {
        *last ^= 1;
    }
    forged(
        cases,
        &format!("S09-{kid}-last-bit"),
        "the last bit of the signature changed",
        input,
        &flipped,
    );
    let mut flipped = signature.to_vec();
    if let Some(first) = flipped.first_mut() {
        *first ^= 0x80;
    }
    forged(
        cases,
        &format!("S09-{kid}-first-bit"),
        "the first bit of the signature changed",
        input,
        &flipped,
    );
    let thief = format!(
        "thief-{}",
        if kid == "ent-shared" {
            "es256"
        } else {
            kid.trim_start_matches("foreign-")
        }
    );
    let token = cases.signed(&thief, input);
    cases.refuse(
        Rfc,
        &format!("S09-{kid}-thief"),
        "the signature of a thief's key",
        token,
        "signature_invalid",
    );
}
