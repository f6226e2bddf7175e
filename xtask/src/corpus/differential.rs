//! Random tokens, good and mutated, judged by Countersign and by two independent implementations; every kind of
//! disagreement needs an explanation here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::FOLDER;
use super::case::{Cases, Members, claims_of, quoted};
use super::keys::{Keys, encode};
use super::world::{FOREIGN, NOW};
use crate::process::{cargo, limited, write};
use crate::workspace;

const KEY: &str = "foreign-ed25519";
/// How many tokens; enough that every kind of mutation meets every part.
const COUNT: usize = 20_000;
const SEED: u64 = 0x0005_7012_0558;

/// Why ours refuses what another lets in, by our reason.
const EXPLAINED: &[(&str, &str)] = &[
    (
        "base64url_invalid",
        "a lax decoder: padding, white space, the other alphabet or unused bits, so that one token has many spellings",
    ),
    (
        "header_json_invalid",
        "JSON beyond RFC 8259, or half a surrogate pair",
    ),
    (
        "header_member_repeated",
        "a member twice, or in another case: RFC 7515 lets a reader take the last",
    ),
    (
        "header_key_forbidden",
        "a key in the header, which the others pass over",
    ),
    (
        "critical_header_unsupported",
        "`crit` or `b64`, which we take in no form",
    ),
    (
        "encryption_unsupported",
        "members of encryption, which the others pass over",
    ),
    ("content_type_forbidden", "`cty`, which the others pass over"),
    (
        "header_member_unknown",
        "our list of header members is closed; RFC 7515 passes over what it does not know",
    ),
    (
        "header_member_invalid",
        "a member of the wrong type or empty, which the others do not read",
    ),
    (
        "claims_json_invalid",
        "JSON beyond RFC 8259 (`NaN`, UTF-16), half a surrogate pair, or above our limits",
    ),
    (
        "claim_repeated",
        "a claim twice, or a registered one in another case: RFC 7519 lets a reader take the last",
    ),
    (
        "claim_invalid",
        "a claim of the wrong type or empty that the others do not read, a time with a fraction, or one after `exp`",
    ),
    (
        "client_ambiguous",
        "`azp` beside `client_id` with another value, which the others do not read",
    ),
    ("token_type_mismatch", "joserfc compares no `typ`"),
    (
        "key_id_missing",
        "without `kid` the others take the key that fits",
    ),
    (
        "issued_in_future",
        "`iat` to come, which RFC 7519 does not forbid",
    ),
    ("lifetime_too_long", "longer than this issuer's tokens live"),
    ("email_unverified", "an e-mail address that nobody proved"),
    ("tenant_not_allowed", "a tenant that nobody let in"),
    (
        "proof_missing",
        "a bound token without its proof, which the others leave to their caller",
    ),
    (
        "confirmation_unsupported",
        "`cnf` without anything that can be checked, which the others leave to their caller",
    ),
];

/// A small generator, the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn of<'l>(&mut self, list: &'l [&'l str]) -> &'l str {
        let at = self.below(list.len());
        list.get(at).copied().unwrap_or_default()
    }
}

const HEADER_NAMES: &[&str] = &[
    "alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc",
    "epk", "iss", "nonce", "x", "ALG", "Kid",
];
const CLAIM_NAMES: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
    "scp",
    "azp",
    "tid",
    "cnf",
    "act",
    "email",
    "sid",
    "nonce",
    "x",
    "EXP",
    "Iss",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e9",
    "1700000000",
    "1700000600",
    "1699999900",
    "1700000030",
    "1700000031",
    "1699999971",
    "1699999970",
    "1699999969",
    "18446744073709551615",
    "1e400",
    "NaN",
    "\"\"",
    "\"x\"",
    "\"at+jwt\"",
    "\"JWT\"",
    "\"EdDSA\"",
    "\"none\"",
    "\"HS256\"",
    "\"foreign-ed25519\"",
    "\"https://mail.example\"",
    "\"https://foreign.example/\"",
    "[]",
    "[\"https://mail.example\"]",
    "[\"https://mail.example\",1]",
    "[\"exp\"]",
    "{}",
    "{\"a\":1,\"a\":2}",
    "{\"jkt\":\"x\"}",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[[[[1]]]]",
];
const INSERTED: &[&str] = &[
    "=", " ", "\n", "+", "/", ".", "A", "-", "\0", "\u{e9}", "\"", "{", "}", ",", "0", "\\",
];

/// A token and what was done to it.
fn token(cases: &mut Cases, random: &mut Random) -> String {
    let (header, claims) = (cases.header(KEY), claims_of(FOREIGN));
    match random.below(8) {
        0 => cases.token(KEY, &header, &claims.with("x", random.below(1_000).to_string())),
        1 => cases.token(KEY, &changed(header, HEADER_NAMES, random), &claims),
        2 | 3 => cases.token(KEY, &header, &changed(claims, CLAIM_NAMES, random)),
        4 => {
            let text = altered(&claims.text(), random);
            cases.token_of_text(KEY, &header.text(), text)
        }
        5 => {
            let text = altered(&header.text(), random);
            cases.token_of_text(KEY, &text, claims.text())
        }
        6 => {
            // Badly spelt, and signed so.
            let input = altered(
                &format!("{}.{}", encode(header.text()), encode(claims.text())),
                random,
            );
            cases.signed(KEY, &input)
        }
        _ => altered(&cases.token(KEY, &header, &claims), random),
    }
}

fn changed(members: Members, names: &[&str], random: &mut Random) -> Members {
    let name = random.of(names).to_owned();
    match random.below(6) {
        0 => members.without(&name),
        1 => {
            let other = random.of(VALUES);
            members
                .with(&name, random.of(VALUES))
                .with(random.of(names), other)
        }
        _ => members.with(&name, random.of(VALUES)),
    }
}

/// One character taken away, put in, replaced or repeated.
fn altered(text: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    // The end more often than its share: padding and unused bits are there.
    let at = if random.below(4) == 0 {
        letters.len() - 1
    } else {
        random.below(letters.len())
    };
    let other = random.of(INSERTED).chars().next().unwrap_or('A');
    match random.below(4) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at + random.below(2), other),
        2 => letters.insert(at, letters.get(at).copied().unwrap_or('A')),
        _ => {
            if let Some(letter) = letters.get_mut(at) {
                *letter = other;
            }
        }
    }
    letters.into_iter().collect()
}

/// Makes the tokens, asks everybody, and writes the section of the page; an error where a disagreement has no
/// explanation. `ask` runs a peer on a file of cases.
pub(super) fn section(
    keys: Keys,
    peers: &[&str],
    ask: impl Fn(&str, &str) -> Result<BTreeMap<String, bool>>,
) -> Result<String> {
    let file = tokens(keys)?;
    let ours = countersign(&file)?;
    ensure!(
        ours.len() == COUNT,
        "countersign answered {} of {COUNT}",
        ours.len()
    );
    let mut page = format!(
        "\n## Differential test\n\n{COUNT} random tokens (seed {SEED}), good ones and ones changed in a member, a character or the signature, most of them signed\n\
         after the change. Countersign lets in {}. Every disagreement is of one of these kinds:\n\n\
         | the other | ours | tokens | why |\n|---|---|--:|---|\n",
        ours.values().filter(|it| it.is_null()).count(),
    );
    let mut refused_by_others = 0;
    let mut unexplained = Vec::new();
    for peer in peers {
        for ((kind, example), count) in disagreements(&ours, &ask(peer, &file)?)? {
            let why = EXPLAINED.iter().find(|it| it.0 == kind).map(|it| it.1);
            if why.is_none() {
                unexplained.push(format!("{peer}, {kind}: {count}, such as {example}"));
            }
            let (theirs, ours) = if kind == "admitted" {
                refused_by_others += count;
                ("refuses", kind)
            } else {
                ("lets in", format!("`{kind}`"))
            };
            let why = why.unwrap_or("**not explained**");
            let _ = writeln!(page, "| {peer} {theirs} | {ours} | {count} | {why} |");
        }
    }
    ensure!(
        unexplained.is_empty(),
        "disagreements without an explanation:\n{}",
        unexplained.join("\n")
    );
    let _ = writeln!(
        page,
        "\nOf the tokens that Countersign lets in, the others refuse {refused_by_others}."
    );
    Ok(page)
}

/// Writes the tokens as a batch; the file's path.
fn tokens(keys: Keys) -> Result<String> {
    let mut cases = Cases {
        keys,
        list: Vec::new(),
    };
    let mut random = Random(SEED);
    let mut batch = String::new();
    for id in 0..COUNT {
        let token = quoted(&token(&mut cases, &mut random));
        let _ = writeln!(
            batch,
            "{{\"id\":\"{id}\",\"at\":{NOW},\"resource\":\"mail\",\"token\":{token}}}"
        );
    }
    cases.keys.finish()?;
    let file = workspace::target_directory().join("xtask/differential.ndjson");
    write(&file, &batch)?;
    Ok(file.to_string_lossy().into_owned())
}

/// How many tokens are judged otherwise, by our answer: `((answer, one of them), count)`.
fn disagreements(
    ours: &BTreeMap<String, Value>,
    theirs: &BTreeMap<String, bool>,
) -> Result<Vec<((String, String), usize)>> {
    let mut kinds: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (id, reason) in ours {
        let admits = theirs.get(id).with_context(|| format!("{id} was left out"))?;
        if *admits != reason.is_null() {
            kinds
                .entry(reason.as_str().unwrap_or("admitted"))
                .or_insert((id, 0))
                .1 += 1;
        }
    }
    let rows = kinds
        .into_iter()
        .map(|(kind, (example, count))| ((kind.to_owned(), example.to_owned()), count));
    Ok(rows.collect())
}

/// Our answers: the reason, or null.
fn countersign(file: &str) -> Result<BTreeMap<String, Value>> {
    let built = cargo(900)
        .args(["build", "--locked", "-p", "countersign"])
        .output()
        .context("cannot build countersign")?;
    ensure!(
        built.status.success(),
        "countersign does not build: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let program = workspace::target_directory().join("debug/countersign");
    let output = limited(300, &program.to_string_lossy())
        .current_dir(workspace::root())
        .args([
            "verify",
            "--policy",
            &format!("{FOLDER}/policy.toml"),
            "--batch",
            file,
        ])
        .output()
        .context("cannot run countersign")?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let id = line
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            Ok((id, line.get("reason").cloned().unwrap_or(json!("unreadable"))))
        })
        .collect()
}
