//! Header and claims read a second time, on top of `serde_json`, from what the documents of this project say rather than
//! from its code: asked only whether the scanner comes to the same faults and the same parts.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};

use crate::base64url;
use crate::json::Fault;
use crate::json_oracle::{Any, Guard, PIECES, Tree};
use crate::key::Algorithm;
use crate::reason::Reason;
use crate::token::{Frame, Reading, Thoroughness};

/// What both readers say of a header.
#[derive(Debug, Default, PartialEq)]
struct HeaderParts {
    algorithm: Option<Algorithm>,
    algorithm_name: Option<String>,
    key_id: Option<String>,
    token_type: Option<String>,
}

/// What both readers say of claims.
#[derive(Debug, Default, PartialEq)]
struct ClaimParts {
    /// By name.
    texts: Vec<(&'static str, Option<String>)>,
    times: [Option<u64>; 3],
    audience: Vec<String>,
    client: Option<String>,
    names_one_client: bool,
    scope: Option<String>,
    actor: Option<String>,
    /// `jkt`, `x5t#S256`, and whether there is nothing else.
    confirmation: Option<(Option<[u8; 32]>, Option<String>, bool)>,
    email_domain_verified: bool,
    email_verified: bool,
}

type Read<P> = Result<P, BTreeSet<Reason>>;

/// An object's members in order; a name in another case than a registered one is a fault, as is one that stands twice.
fn members(json: &[u8], registered: &[&str]) -> Result<Vec<(String, Tree)>, Fault> {
    let guard = Guard::default();
    let text = str::from_utf8(json).map_err(|_| Fault::Syntax)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let top = Top {
        guard: &guard,
        registered,
    };
    let members = (&mut reader)
        .deserialize_map(top)
        .map_err(|_| guard.fault().unwrap_or(Fault::Syntax))?;
    reader.end().map_err(|_| Fault::Syntax)?;
    Ok(members)
}

struct Top<'g> {
    guard: &'g Guard,
    registered: &'g [&'g str],
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Vec<(String, Tree)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(seen, _)| *seen == name) {
                return Err(self.guard.stop(Fault::Repeated));
            }
            if members.len() >= crate::limits::JSON_MEMBERS_MAX {
                return Err(self.guard.stop(Fault::TooComplex));
            }
            let is_registered = self.registered.contains(&name.as_str());
            if !is_registered && self.registered.iter().any(|it| folded(it) == folded(&name)) {
                return Err(self.guard.stop(Fault::CaseVariant));
            }
            members.push((name, map.next_value_seed(Any::inside(self.guard))?));
        }
        Ok(members)
    }
}

fn folded(name: &str) -> String {
    name.replace('\u{17f}', "s")
        .replace('\u{212a}', "k")
        .to_ascii_lowercase()
}

fn fault_of(fault: Fault, invalid: Reason, repeated: Reason) -> BTreeSet<Reason> {
    BTreeSet::from([match fault {
        Fault::Syntax | Fault::TooComplex => invalid,
        Fault::Repeated | Fault::CaseVariant => repeated,
    }])
}

const KEY_MEMBERS: &[&str] = &["jku", "jwk", "x5u", "x5c"];
const CRITICAL: &[&str] = &["crit", "b64"];
const ENCRYPTION: &[&str] = &["enc", "zip", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"];
const READ: &[&str] = &["alg", "kid", "typ", "x5t", "x5t#S256", "cty"];

fn read_header(json: &[u8]) -> Read<HeaderParts> {
    let registered = [KEY_MEMBERS, CRITICAL, ENCRYPTION, READ].concat();
    let members = members(json, &registered)
        .map_err(|fault| fault_of(fault, Reason::HeaderJsonInvalid, Reason::HeaderMemberRepeated))?;
    let mut faults = BTreeSet::new();
    let mut parts = HeaderParts::default();
    for (name, value) in &members {
        let name = name.as_str();
        if KEY_MEMBERS.contains(&name) {
            faults.insert(Reason::HeaderKeyForbidden);
        } else if CRITICAL.contains(&name) {
            faults.insert(Reason::CriticalHeaderUnsupported);
        } else if ENCRYPTION.contains(&name) {
            faults.insert(Reason::EncryptionUnsupported);
        } else if name == "cty" {
            faults.insert(Reason::ContentTypeForbidden);
        } else if !READ.contains(&name) {
            faults.insert(Reason::HeaderMemberUnknown);
        } else {
            match value {
                Tree::Text(text) if (1..=256).contains(&text.len()) => {
                    if let Err(reason) = parts.take(name, text) {
                        faults.insert(reason);
                    }
                }
                _ => drop(faults.insert(Reason::HeaderMemberInvalid)),
            }
        }
    }
    if members.iter().all(|(name, _)| name != "alg") {
        faults.insert(Reason::AlgorithmMissing);
    }
    if faults.is_empty() { Ok(parts) } else { Err(faults) }
}

impl HeaderParts {
    fn take(&mut self, name: &str, text: &str) -> Result<(), Reason> {
        match name {
            "alg" => {
                self.algorithm = Some(match text {
                    "EdDSA" | "Ed25519" => Algorithm::EdDsa,
                    other => *Algorithm::ALL
                        .iter()
                        .find(|known| known.as_str() == other)
                        .ok_or_else(|| unknown_algorithm(other))?,
                });
                self.algorithm_name = Some(text.to_owned());
            }
            "kid" => self.key_id = Some(text.to_owned()),
            "typ" => {
                let lower = text.to_ascii_lowercase();
                let bare = lower
                    .strip_prefix("application/")
                    .filter(|rest| !rest.contains('/'));
                self.token_type = Some(bare.unwrap_or(&lower).to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

fn unknown_algorithm(name: &str) -> Reason {
    if name.eq_ignore_ascii_case("none") {
        Reason::AlgorithmNone
    } else if ["HS256", "HS384", "HS512"]
        .iter()
        .any(|it| name.eq_ignore_ascii_case(it))
    {
        Reason::AlgorithmSymmetric
    } else {
        Reason::AlgorithmUnsupported
    }
}

/// Claims that are texts and must not be empty.
const TEXTS: &[&str] = &[
    "iss",
    "sub",
    "jti",
    "client_id",
    "azp",
    "appid",
    "sid",
    "tid",
    "email",
    "oid",
];
const TIMES: [&str; 3] = ["exp", "nbf", "iat"];
const OTHERS: &[&str] = &["aud", "scope", "scp", "act", "cnf", "xms_edov", "email_verified"];

fn read_claims(json: &[u8]) -> Read<ClaimParts> {
    let registered = [TEXTS, &TIMES, OTHERS].concat();
    let members = members(json, &registered)
        .map_err(|fault| fault_of(fault, Reason::ClaimsJsonInvalid, Reason::ClaimRepeated))?;
    let of = |name: &str| members.iter().find(|it| it.0 == name).map(|it| &it.1);
    interpret(of).ok_or_else(|| BTreeSet::from([Reason::ClaimInvalid]))
}

/// `None` if a claim is not what it must be.
fn interpret<'t>(of: impl Fn(&str) -> Option<&'t Tree>) -> Option<ClaimParts> {
    let mut parts = ClaimParts::default();
    for name in TEXTS {
        let text = match of(name) {
            None => None,
            Some(value) => Some(text(value)?),
        };
        parts.texts.push((name, text));
    }
    for (slot, name) in parts.times.iter_mut().zip(TIMES) {
        *slot = match of(name) {
            None => None,
            Some(Tree::Unsigned(time)) => Some(*time),
            Some(_) => return None,
        };
    }
    let [expires_at, not_before, issued_at] = parts.times;
    if let Some(expires_at) = expires_at {
        let begins = not_before.into_iter().chain(issued_at).max();
        if begins.is_some_and(|begins| expires_at <= begins) {
            return None;
        }
    }
    parts.audience = match of("aud") {
        None => Vec::new(),
        Some(Tree::Array(list)) if !list.is_empty() => list.iter().map(text).collect::<Option<_>>()?,
        Some(value) => vec![text(value)?],
    };
    parts.scope = scope(of("scope"), of("scp"))?;
    parts.actor = match of("act") {
        None => None,
        Some(Tree::Object(actor)) => Some(text(&actor.iter().find(|it| it.0 == "sub")?.1)?),
        Some(_) => return None,
    };
    parts.confirmation = match of("cnf") {
        None => None,
        Some(Tree::Object(methods)) => Some(confirmation(methods)?),
        Some(_) => return None,
    };
    let clients: Vec<_> = ["client_id", "azp", "appid"]
        .iter()
        .filter_map(|name| of(name).and_then(text))
        .collect();
    parts.names_one_client = clients.iter().collect::<BTreeSet<_>>().len() <= 1;
    parts.client = clients.first().cloned();
    parts.email_domain_verified = match of("xms_edov") {
        Some(Tree::Bool(value)) => *value,
        Some(Tree::Unsigned(value)) => *value == 1,
        Some(Tree::Text(text)) => text == "1" || text == "true",
        _ => false,
    };
    parts.email_verified = of("email_verified") == Some(&Tree::Bool(true));
    Some(parts)
}

/// A text that is not empty.
fn text(value: &Tree) -> Option<String> {
    match value {
        Tree::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// `scope`, or else what `scp` says.
#[expect(clippy::option_option, reason = "invalid, absent, or there")]
fn scope(scope: Option<&Tree>, scp: Option<&Tree>) -> Option<Option<String>> {
    let scope = match scope {
        None => None,
        Some(Tree::Text(text)) => Some(text.clone()),
        Some(_) => return None,
    };
    let scp = match scp {
        None => None,
        Some(Tree::Text(text)) => Some(text.clone()),
        Some(Tree::Array(list)) => {
            let single = |value: &Tree| text(value).filter(|text| !text.contains(char::is_whitespace));
            let list: Option<Vec<_>> = list.iter().map(single).collect();
            Some(list?.join(" "))
        }
        Some(_) => return None,
    };
    Some(scope.or(scp))
}

type Confirmed = (Option<[u8; 32]>, Option<String>, bool);

fn confirmation(methods: &[(String, Tree)]) -> Option<Confirmed> {
    let (mut key, mut certificate, mut only_these) = (None, None, true);
    for (name, value) in methods {
        match (name.as_str(), value) {
            ("jkt", Tree::Text(text)) => key = Some(hash(text)?),
            ("x5t#S256", Tree::Text(text)) => {
                hash(text)?;
                certificate = Some(text.clone());
            }
            _ => only_these = false,
        }
    }
    let is_supported = only_these && (key.is_some() || certificate.is_some());
    Some((key, certificate, is_supported))
}

fn hash(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// What the scanner says.
fn read_ours(header: &[u8], claims: &[u8]) -> Option<(Read<HeaderParts>, Read<ClaimParts>)> {
    let token = [header, claims, &[7; 64]].map(base64url::encode).join(".");
    let reading = Reading::of(Frame::new(&token).ok()?, Thoroughness::GoOn);
    let of_header = |reason: &Reason| *reason < Reason::ClaimsJsonInvalid;
    let (in_header, in_claims): (BTreeSet<_>, BTreeSet<_>) = reading
        .faults
        .iter()
        .map(|fault| fault.reason)
        .partition(of_header);
    // What was found before the document turned out to be none does not count.
    let first_only = |faults: BTreeSet<Reason>, last: Reason| match faults.first() {
        Some(first) if *first <= last => BTreeSet::from([*first]),
        _ => faults,
    };
    let in_header = first_only(in_header, Reason::HeaderMemberRepeated);
    let in_claims = first_only(in_claims, Reason::ClaimRepeated);
    let header = our_header(&reading)
        .filter(|_| in_header.is_empty())
        .ok_or(in_header);
    let claims = our_claims(&reading)
        .filter(|_| in_claims.is_empty())
        .ok_or(in_claims);
    Some((header, claims))
}

fn our_header(reading: &Reading) -> Option<HeaderParts> {
    let header = reading.header()?;
    Some(HeaderParts {
        algorithm: header.algorithm(),
        algorithm_name: header.algorithm_name().map(str::to_owned),
        key_id: header.key_id().map(str::to_owned),
        token_type: header.token_type().map(str::to_owned),
    })
}

fn our_claims(reading: &Reading) -> Option<ClaimParts> {
    let claims = reading.claims()?;
    let text = |name: &&'static str| {
        let text = match *name {
            "iss" => claims.issuer(),
            "sub" => claims.subject(),
            "jti" => claims.token_id(),
            "client_id" => claims.client_id(),
            "sid" => claims.session_id(),
            "tid" => claims.tenant(),
            "email" => claims.email(),
            "oid" => claims.object_id(),
            // Read through `client` only.
            _ => None,
        };
        (*name, text.map(str::to_owned))
    };
    Some(ClaimParts {
        texts: TEXTS.iter().map(text).collect(),
        times: [claims.expires_at(), claims.not_before(), claims.issued_at()],
        audience: claims.audience().map(str::to_owned).collect(),
        client: claims.client().map(str::to_owned),
        names_one_client: claims.names_one_client(),
        scope: claims.scope().map(str::to_owned),
        actor: claims.actor().map(str::to_owned),
        confirmation: claims.confirmation().map(|bound| {
            let key = bound.key.map(|key| *key.as_bytes());
            let certificate = bound.certificate.map(|it| it.to_base64url());
            (key, certificate, bound.is_supported)
        }),
        email_domain_verified: claims.email_domain_verified(),
        email_verified: claims.email_verified(),
    })
}

fn agree(header: &[u8], claims: &[u8]) -> Result<(), TestCaseError> {
    let Some((our_header, our_claims)) = read_ours(header, claims) else {
        // Too large, or empty: no token at all.
        return Ok(());
    };
    let mut theirs = read_claims(claims);
    if let Ok(parts) = &mut theirs {
        for (name, text) in &mut parts.texts {
            if ["azp", "appid"].contains(name) {
                *text = None;
            }
        }
    }
    prop_assert_eq!(
        our_header,
        read_header(header),
        "{}",
        String::from_utf8_lossy(header)
    );
    prop_assert_eq!(our_claims, theirs, "{}", String::from_utf8_lossy(claims));
    Ok(())
}

/// Every registered name, a few that are not, in several spellings.
fn name(registered: Vec<&'static str>) -> impl Strategy<Value = String> {
    let others = [
        "x",
        "roles",
        "xms_st",
        "nonce",
        "ver",
        "caf\u{e9}",
        "",
        "__proto__",
    ];
    let plain = prop::sample::select([registered, others.to_vec()].concat());
    (plain, 0..24_u8).prop_map(|(name, spelling)| match spelling {
        0 => name.to_uppercase(),
        1 => name.replacen('s', "\u{17f}", 1),
        2 => name.replacen('k', "\u{212a}", 1),
        3 => name.replacen('i', "I", 1),
        4 => name.replacen('i', "\\u0069", 1),
        5 => name.replacen('a', "\\u0061", 1),
        6 => name.replacen('s', "\\u0073", 1),
        7 => format!("{name} "),
        _ => name.to_owned(),
    })
}

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-0",
    "-1",
    "1700000000",
    "1700000600",
    "1699999940",
    "1.5",
    "1e9",
    "1700000000.0",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    r#""""#,
    r#"" ""#,
    r#""a""#,
    r#""b""#,
    r#""1""#,
    r#""true""#,
    r#""True""#,
    r#""ES256""#,
    r#""\u0045S256""#,
    r#""es256""#,
    r#""Ed25519""#,
    r#""EdDSA""#,
    r#""ML-DSA-44""#,
    r#""none""#,
    r#""nOnE""#,
    r#""HS256""#,
    r#""hs512""#,
    r#""RS257""#,
    r#""at+jwt""#,
    r#""AT+JWT""#,
    r#""application/at+jwt""#,
    r#""Application/AT+jwt""#,
    r#""application/x/at+jwt""#,
    r#""appl\u0069cation/\u0041T+jwt""#,
    r#""text/at+jwt""#,
    r#""https://id.example""#,
    r#""https:\/\/id.example""#,
    r#""mail.read mail.send""#,
    r#""ad\u00e1 \ud83d\udd11""#,
    "\"ad\u{e1} \u{1f511}\"",
    r#""\u0000""#,
    r#""\ud800""#,
    "[]",
    r#"["a"]"#,
    r#"["a","b\u00e9","c","d","e","f"]"#,
    r#"["a",""]"#,
    r#"["a",1]"#,
    r#"["a b"]"#,
    r#"[["a"]]"#,
    "{}",
    r#"{"sub":"a"}"#,
    r#"{"s\u0075b":"rob\u006ft","act":{"sub":"earlier"}}"#,
    r#"{"sub":""}"#,
    r#"{"sub":1}"#,
    r#"{"sub":"a","sub":"b"}"#,
    r#"{"SUB":"a"}"#,
    r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
    r#"{"jkt":"\u0030ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
    r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J"}"#,
    r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I="}"#,
    r#"{"jkt":7}"#,
    r#"{"x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#,
    r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","x5t#S256":"A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}"#,
    r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","jwk":{}}"#,
    r#"{"x5t#S256":""}"#,
    r#"{"deep":[[[{"x":{"y":[1,2.5,null]}}]]]}"#,
];

/// An object of such members, mostly with names that stand once.
fn document(registered: Vec<&'static str>, good: &'static str) -> impl Strategy<Value = String> {
    let space = prop::sample::select(&["", "", "", " ", "\r\n\t"][..]);
    let value = prop_oneof![
        6 => prop::sample::select(VALUES).prop_map(str::to_owned),
        1 => (250_usize..260).prop_map(|length| format!("\"{}\"", "k".repeat(length))),
        1 => any::<u64>().prop_map(|number| number.to_string()),
    ];
    let member = (name(registered), space.clone(), value)
        .prop_map(|(name, space, value)| (name.clone(), format!("{space}\"{name}\"{space}:{space}{value}")));
    let members = prop::collection::vec(member, 0..7);
    (members, any::<bool>(), 0..8_u8).prop_map(move |(members, with_good, may_repeat)| {
        let mut seen = BTreeSet::new();
        let mut texts: Vec<String> = members
            .into_iter()
            .filter(|(name, _)| seen.insert(name.clone()) || may_repeat == 0)
            .map(|(_, text)| text)
            .collect();
        // The members of a good one that none of these replaces, so that more than faults is compared.
        for text in good.split('|').filter(|_| with_good) {
            let name = text.split('"').nth(1).unwrap_or_default();
            if !seen.contains(name) {
                texts.push(text.to_owned());
            }
        }
        format!("{{{}}}", texts.join(","))
    })
}

fn header() -> impl Strategy<Value = String> {
    let registered = [KEY_MEMBERS, CRITICAL, ENCRYPTION, READ, READ, READ, READ].concat();
    document(registered, r#""alg":"ES256"|"kid":"key\u002d1"|"typ":"AT+jwt""#)
}

fn claims() -> impl Strategy<Value = String> {
    let registered = [TEXTS, &TIMES, OTHERS, OTHERS].concat();
    let good = r#""iss":"https://id.example"|"sub":"ad\u00e1"|"aud":["a","b"]|"exp":1700000600|"iat":1699999940|"jti":"1""#;
    document(registered, good)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn both_readers_agree_on_headers_and_claims(header in header(), claims in claims()) {
        agree(header.as_bytes(), claims.as_bytes())?;
    }

    #[test]
    fn both_readers_agree_on_changed_headers_and_claims(
        header in header(),
        claims in claims(),
        in_header in any::<bool>(),
        at in any::<prop::sample::Index>(),
        piece in prop::sample::select(PIECES),
        length in 0_usize..3,
    ) {
        let (mut header, mut claims) = (header.into_bytes(), claims.into_bytes());
        let document = if in_header { &mut header } else { &mut claims };
        let at = at.index(document.len() + 1);
        let end = document.len().min(at + length);
        document.splice(at..end, piece.bytes());
        agree(&header, &claims)?;
    }

    #[test]
    fn both_readers_agree_on_headers_and_claims_with_changed_bits(
        header in header(),
        claims in claims(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut both = [header.as_bytes(), claims.as_bytes()].concat();
        let at = at.index(both.len());
        both[at] ^= 1 << bit;
        let (header, claims) = both.split_at(header.len());
        agree(header, claims)?;
    }
}

#[test]
fn the_documents_are_not_all_bad() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut good_headers, mut good_claims) = (0, 0);
    for _ in 0..1_000 {
        let header = header().new_tree(&mut runner).unwrap().current();
        let claims = claims().new_tree(&mut runner).unwrap().current();
        good_headers += usize::from(read_header(header.as_bytes()).is_ok());
        good_claims += usize::from(read_claims(claims.as_bytes()).is_ok());
    }
    assert!(
        good_headers > 50 && good_claims > 50,
        "{good_headers} {good_claims}"
    );
}
