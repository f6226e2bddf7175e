//! J: header and claims are one strict JSON object each.

use super::super::case::{Basis, Cases, Members, claims};
use super::super::keys::encode;
use Basis::{Policy, Rfc};

const REPEATED: &str = "claim_repeated";
const SYNTAX: &str = "claims_json_invalid";

/// Members put before those of a good header: `(id, title, basis, members, reason)`.
const HEADERS: &[(&str, &str, Basis, &str, &str)] = &[
    (
        "J01-alg",
        "`alg` twice in the header",
        Policy,
        r#""alg":"none""#,
        "header_member_repeated",
    ),
    (
        "J01-kid",
        "`kid` twice in the header",
        Policy,
        r#""kid":"ent-revoked""#,
        "header_member_repeated",
    ),
    (
        "J01-typ",
        "`typ` twice in the header",
        Policy,
        r#""typ":"JWT""#,
        "header_member_repeated",
    ),
    (
        "J04-header-alg",
        "`alg` twice, once escaped",
        Policy,
        r#""\u0061lg":"none""#,
        "header_member_repeated",
    ),
    (
        "J05-header-kid",
        "`KID` beside `kid`",
        Policy,
        r#""KID":"ent-revoked""#,
        "header_member_repeated",
    ),
    (
        "J05-header-alg",
        "`ALG` beside `alg`",
        Policy,
        r#""ALG":"none""#,
        "header_member_repeated",
    ),
    (
        "J05-header-kelvin",
        "`kid` spelt with the Kelvin sign",
        Policy,
        "\"\u{212a}id\":\"x\"",
        "header_member_repeated",
    ),
    (
        "J07-header-surrogate",
        "half a surrogate pair in the header",
        Policy,
        r#""x5t":"\ud800""#,
        "header_json_invalid",
    ),
    (
        "J09-header-nan",
        "`NaN` in the header",
        Rfc,
        r#""x":NaN"#,
        "header_json_invalid",
    ),
    (
        "J10-header",
        "a name that a Rust JSON library keeps for itself, in the header",
        Policy,
        r#""$serde_json::private::RawValue":"1""#,
        "header_member_unknown",
    ),
];

/// The same for claims.
const CLAIMS: &[(&str, &str, Basis, &str, &str)] = &[
    (
        "J02-iss",
        "`iss` twice",
        Policy,
        r#""iss":"https://evil.example""#,
        REPEATED,
    ),
    (
        "J02-aud",
        "`aud` twice",
        Policy,
        r#""aud":"https://other.example""#,
        REPEATED,
    ),
    ("J02-exp", "`exp` twice", Policy, r#""exp":1"#, REPEATED),
    ("J02-sub", "`sub` twice", Policy, r#""sub":"admin""#, REPEATED),
    ("J02-tid", "`tid` twice", Policy, r#""tid":"x""#, REPEATED),
    (
        "J02-private",
        "a private claim twice",
        Policy,
        r#""role":"admin","role":"user""#,
        REPEATED,
    ),
    (
        "J03-cnf",
        "a member twice inside `cnf`",
        Policy,
        r#""cnf":{"jkt":"a","jkt":"b"}"#,
        REPEATED,
    ),
    (
        "J03-deep",
        "a member twice inside a list inside an object",
        Policy,
        r#""x":[[{"a":1,"a":2}]]"#,
        REPEATED,
    ),
    (
        "J04-iss",
        "`iss` twice, once escaped",
        Policy,
        r#""\u0069ss":"https://evil.example""#,
        REPEATED,
    ),
    (
        "J04-inside",
        "a member twice inside, once escaped",
        Policy,
        r#""x":{"a":1,"\u0061":2}"#,
        REPEATED,
    ),
    ("J05-TID", "`TID` beside `tid`", Policy, r#""TID":"x""#, REPEATED),
    (
        "J05-EXP",
        "`EXP` beside `exp`",
        Policy,
        r#""EXP":9999999999"#,
        REPEATED,
    ),
    (
        "J05-Iss",
        "`Iss` beside `iss`",
        Policy,
        r#""Iss":"https://evil.example""#,
        REPEATED,
    ),
    (
        "J05-long-s",
        "`sub` spelt with a long s",
        Policy,
        "\"\u{17f}ub\":\"admin\"",
        REPEATED,
    ),
    (
        "J07-surrogate",
        "half a surrogate pair",
        Policy,
        r#""x":"\udc00""#,
        SYNTAX,
    ),
    (
        "J07-nul",
        "a NUL inside a string, not escaped",
        Rfc,
        "\"x\":\"\0\"",
        SYNTAX,
    ),
    (
        "J07-line-feed",
        "a line feed inside a string, not escaped",
        Rfc,
        "\"x\":\"a\nb\"",
        SYNTAX,
    ),
    ("J09-nan", "`NaN`", Rfc, "\"x\":NaN", SYNTAX),
    ("J09-infinity", "`Infinity`", Rfc, "\"x\":Infinity", SYNTAX),
    (
        "J09-minus-infinity",
        "`-Infinity`",
        Rfc,
        "\"x\":-Infinity",
        SYNTAX,
    ),
    (
        "J09-leading-zero",
        "a number with a leading zero",
        Rfc,
        "\"nbf\":0123",
        SYNTAX,
    ),
    ("J09-overflow", "a time of 1e400", Policy, "\"nbf\":1e400", SYNTAX),
    ("J09-plus", "a number with a plus sign", Rfc, "\"nbf\":+1", SYNTAX),
    (
        "J09-hexadecimal",
        "a hexadecimal number",
        Rfc,
        "\"nbf\":0x10",
        SYNTAX,
    ),
    ("J09-comment", "a comment", Rfc, "/**/\"x\":1", SYNTAX),
    ("J09-single-quotes", "single quotes", Rfc, "'x':1", SYNTAX),
    ("J09-no-quotes", "a name without quotes", Rfc, "x:1", SYNTAX),
    ("J09-comma", "a comma too many", Rfc, "\"x\":[1,]", SYNTAX),
];

pub(super) fn strict(cases: &mut Cases) {
    let (header, good) = (cases.header("ent-shared"), claims());
    for (id, title, basis, members, reason) in HEADERS {
        let token = cases.token_of_text("ent-shared", &header.text_with(members), good.text());
        cases.refuse(*basis, id, title, token, reason);
    }
    for (id, title, basis, members, reason) in CLAIMS {
        let token = cases.token_of_text("ent-shared", &header.text(), good.text_with(members));
        cases.refuse(*basis, id, title, token, reason);
    }
    for (id, title, members) in [
        (
            "J10-raw-value",
            "a name that a Rust JSON library keeps for itself",
            r#""$serde_json::private::RawValue":"1""#,
        ),
        (
            "J10-number",
            "the same inside an object",
            r#""x":{"$serde_json::private::Number":"1"}"#,
        ),
        (
            "J10-proto",
            "a name that JavaScript objects keep for themselves",
            r#""__proto__":{"sub":"admin"}"#,
        ),
    ] {
        let token = cases.token_of_text("ent-shared", &header.text(), good.text_with(members));
        cases.admit(id, title, token);
    }
    documents(cases, &header, &good.text());
    sizes(cases, &header, &good);
}

fn documents(cases: &mut Cases, header: &Members, good: &str) {
    let list: Vec<(&str, &str, Vec<u8>)> = vec![
        ("J06-array", "the claims are a list", format!("[{good}]").into()),
        ("J06-text", "the claims are a string", "\"x\"".into()),
        ("J06-number", "the claims are a number", "1".into()),
        ("J06-null", "the claims are null", "null".into()),
        ("J06-true", "the claims are true", "true".into()),
        (
            "J07-two-documents",
            "two documents",
            format!("{good}{good}").into(),
        ),
        (
            "J07-trailing",
            "bytes behind the document",
            format!("{good}x").into(),
        ),
        (
            "J07-trailing-nul",
            "a NUL behind the document",
            format!("{good}\0").into(),
        ),
        ("J07-bom", "a byte order mark", format!("\u{feff}{good}").into()),
        ("J07-utf-8", "invalid UTF-8", replaced(good, b"ad\xff")),
        (
            "J07-utf-8-overlong",
            "an overlong form of UTF-8",
            replaced(good, b"\xc1\xa1da"),
        ),
        (
            "J07-utf-8-surrogate",
            "a surrogate as UTF-8",
            replaced(good, b"\xed\xa0\x80"),
        ),
        (
            "J07-utf-16",
            "UTF-16",
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "J07-cut",
            "a document that is cut",
            good.as_bytes()
                .split_last()
                .map(|it| it.1.to_vec())
                .unwrap_or_default(),
        ),
    ];
    for (id, title, text) in list {
        let token = cases.token_of_text("ent-shared", &header.text(), text);
        // RFC 8259 §8.1 lets a parser pass over a byte order mark.
        let basis = if id == "J07-bom" { Policy } else { Rfc };
        cases.refuse(basis, id, title, token, SYNTAX);
    }
    header_documents(cases, &header.text(), good);
}

fn header_documents(cases: &mut Cases, text: &str, good: &str) {
    for (id, title, header) in [
        ("J06-header-array", "the header is a list", format!("[{text}]")),
        (
            "J06-header-text",
            "the header is a string",
            "\"ES256\"".to_owned(),
        ),
        ("J06-header-null", "the header is null", "null".into()),
        ("J06-header-number", "the header is a number", "1".into()),
        ("J07-header-two-documents", "two headers", format!("{text}{{}}")),
        (
            "J07-header-bom",
            "a byte order mark before the header",
            format!("\u{feff}{text}"),
        ),
    ] {
        let token = cases.token_of_text("ent-shared", &header, good);
        let basis = if id == "J07-header-bom" { Policy } else { Rfc };
        cases.refuse(basis, id, title, token, "header_json_invalid");
    }
}

/// The claims with these bytes as the subject.
fn replaced(good: &str, subject: &[u8]) -> Vec<u8> {
    let (start, end) = good.split_once("ada").unwrap_or((good, ""));
    [start.as_bytes(), subject, end.as_bytes()].concat()
}

fn sizes(cases: &mut Cases, header: &Members, good: &Members) {
    let members = |count: usize| {
        (0..count)
            .map(|at| format!("\"m{at}\":0"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let list = [
        (
            "J08-depth",
            "five thousand lists, one in the other",
            format!("\"x\":{}{}", "[".repeat(5_000), "]".repeat(5_000)),
            SYNTAX,
        ),
        (
            "J08-depth-17",
            "twenty lists, one in the other",
            format!("\"x\":{}{}", "[".repeat(20), "]".repeat(20)),
            SYNTAX,
        ),
        ("J08-members", "three hundred members", members(300), SYNTAX),
        (
            "J08-members-more",
            "more members than a token may have bytes",
            members(1_500),
            "token_too_large",
        ),
        (
            "J08-number",
            "a number of ten thousand digits",
            format!("\"x\":{}", "9".repeat(10_000)),
            SYNTAX,
        ),
        (
            "J08-number-more",
            "a number longer than a token may be",
            format!("\"x\":{}", "9".repeat(13_000)),
            "token_too_large",
        ),
    ];
    for (id, title, members, reason) in list {
        let input = format!("{}.{}", encode(header.text()), encode(good.text_with(&members)));
        let token = cases.signed("ent-shared", &input);
        cases.refuse(Policy, id, title, token, reason);
    }
}
