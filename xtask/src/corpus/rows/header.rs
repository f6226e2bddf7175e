//! H: what a header may say.

use super::super::case::{Basis, Cases, claims, claims_of, quoted};
use super::super::keys::encode;
use Basis::{Policy, Profile, Rfc};

const CRITICAL: &str = "critical_header_unsupported";
const SEALED: &str = "encryption_unsupported";
const INVALID: &str = "header_member_invalid";
const TYPE: &str = "token_type_mismatch";

/// One member of the header of an otherwise good token, signed as it is: `(id, title, basis, member, value, reason)`.
const MEMBERS: &[(&str, &str, Basis, &str, &str, &str)] = &[
    ("H02-number", "`alg` is a number", Rfc, "alg", "1", INVALID),
    (
        "H02-array",
        "`alg` is a list",
        Rfc,
        "alg",
        r#"["ES256"]"#,
        INVALID,
    ),
    ("H02-null", "`alg` is null", Rfc, "alg", "null", INVALID),
    ("H02-empty", "`alg` is empty", Rfc, "alg", "\"\"", INVALID),
    (
        "H02-lower-case",
        "`alg` in lower case",
        Rfc,
        "alg",
        "\"es256\"",
        "algorithm_unsupported",
    ),
    (
        "H02-space",
        "`alg` with a space behind it",
        Rfc,
        "alg",
        "\"ES256 \"",
        "algorithm_unsupported",
    ),
    (
        "H03-unknown",
        "`crit` names an extension nobody knows",
        Rfc,
        "crit",
        r#"["http://example.invalid/x"]"#,
        CRITICAL,
    ),
    (
        "H03-exp",
        "`crit` names `exp`, which is no header member here",
        Rfc,
        "crit",
        r#"["exp"]"#,
        CRITICAL,
    ),
    (
        "H04-empty",
        "`crit` is an empty list",
        Policy,
        "crit",
        "[]",
        CRITICAL,
    ),
    ("H04-text", "`crit` is a text", Rfc, "crit", "\"exp\"", CRITICAL),
    (
        "H04-number-inside",
        "`crit` holds a number",
        Rfc,
        "crit",
        "[1]",
        CRITICAL,
    ),
    ("H04-null", "`crit` is null", Rfc, "crit", "null", CRITICAL),
    ("H04-object", "`crit` is an object", Rfc, "crit", "{}", CRITICAL),
    (
        "H04-registered",
        "`crit` names a registered member",
        Policy,
        "crit",
        r#"["kid"]"#,
        CRITICAL,
    ),
    (
        "H04-twice",
        "`crit` names a member twice",
        Policy,
        "crit",
        r#"["kid","kid"]"#,
        CRITICAL,
    ),
    (
        "H04-alg",
        "`crit` names `alg`",
        Policy,
        "crit",
        r#"["alg"]"#,
        CRITICAL,
    ),
    (
        "H05-b64-false",
        "`b64` is false and not in `crit`",
        Policy,
        "b64",
        "false",
        CRITICAL,
    ),
    ("H05-b64-true", "`b64` is true", Policy, "b64", "true", CRITICAL),
    (
        "H07-jku",
        "`jku` beside a good signature",
        Policy,
        "jku",
        "\"https://evil.example/keys\"",
        "header_key_forbidden",
    ),
    (
        "H07-x5u",
        "`x5u` beside a good signature",
        Policy,
        "x5u",
        "\"https://evil.example/cert\"",
        "header_key_forbidden",
    ),
    (
        "H08-x5c",
        "`x5c` beside a good signature",
        Policy,
        "x5c",
        "[\"MIIB\"]",
        "header_key_forbidden",
    ),
    (
        "H09-path",
        "`kid` is a path",
        Policy,
        "kid",
        "\"../../../../etc/passwd\"",
        "key_unknown",
    ),
    (
        "H09-path-dev-null",
        "`kid` is a path to an empty file",
        Policy,
        "kid",
        "\"/dev/null\"",
        "key_unknown",
    ),
    (
        "H09-sql",
        "`kid` is SQL",
        Policy,
        "kid",
        "\"x' UNION SELECT 'AA' -- \"",
        "key_unknown",
    ),
    (
        "H09-shell",
        "`kid` is a shell command",
        Policy,
        "kid",
        "\"key.pem|id\"",
        "key_unknown",
    ),
    (
        "H09-url",
        "`kid` is a URL",
        Policy,
        "kid",
        "\"https://evil.example/key\"",
        "key_unknown",
    ),
    (
        "H09-nul",
        "`kid` is a NUL",
        Policy,
        "kid",
        r#""\u0000""#,
        "key_unknown",
    ),
    (
        "H09-nul-behind",
        "`kid` is a good one with a NUL behind it",
        Policy,
        "kid",
        r#""ent-shared\u0000""#,
        "key_unknown",
    ),
    (
        "H09-case",
        "`kid` in upper case",
        Policy,
        "kid",
        "\"ENT-SHARED\"",
        "key_unknown",
    ),
    (
        "H09-proto",
        "`kid` is a name that JavaScript objects have",
        Policy,
        "kid",
        "\"__proto__\"",
        "key_unknown",
    ),
    ("H09-number", "`kid` is a number", Rfc, "kid", "7", INVALID),
    (
        "H09-array",
        "`kid` is a list",
        Rfc,
        "kid",
        r#"["ent-shared"]"#,
        INVALID,
    ),
    (
        "H09-object",
        "`kid` is an object",
        Rfc,
        "kid",
        r#"{"$ne":""}"#,
        INVALID,
    ),
    ("H09-null", "`kid` is null", Rfc, "kid", "null", INVALID),
    ("H09-empty", "`kid` is empty", Policy, "kid", "\"\"", INVALID),
    (
        "H10-zip",
        "`zip` in a signed token",
        Policy,
        "zip",
        "\"DEF\"",
        SEALED,
    ),
    (
        "H10-p2c",
        "`p2c` in a signed token",
        Policy,
        "p2c",
        "1000000000",
        SEALED,
    ),
    (
        "H11-enc",
        "`enc` in a signed token",
        Policy,
        "enc",
        "\"A256GCM\"",
        SEALED,
    ),
    (
        "H11-epk",
        "`epk` in a signed token",
        Policy,
        "epk",
        r#"{"kty":"EC"}"#,
        SEALED,
    ),
    (
        "H12-cty",
        "`cty` says that the token holds a token; it does not",
        Policy,
        "cty",
        "\"JWT\"",
        "content_type_forbidden",
    ),
    (
        "H12-cty-lower-case",
        "the same in lower case",
        Policy,
        "cty",
        "\"jwt\"",
        "content_type_forbidden",
    ),
    ("H13-jwt", "`typ` is `JWT`", Profile, "typ", "\"JWT\"", TYPE),
    (
        "H13-dpop",
        "`typ` of a DPoP proof",
        Profile,
        "typ",
        "\"dpop+jwt\"",
        TYPE,
    ),
    (
        "H13-logout",
        "`typ` of a logout token",
        Profile,
        "typ",
        "\"logout+jwt\"",
        TYPE,
    ),
    (
        "H13-secevent",
        "`typ` of a security event",
        Profile,
        "typ",
        "\"secevent+jwt\"",
        TYPE,
    ),
    (
        "H13-client",
        "`typ` of a client's assertion",
        Profile,
        "typ",
        "\"client-authentication+jwt\"",
        TYPE,
    ),
    (
        "H13-space",
        "`typ` with a space behind it",
        Profile,
        "typ",
        "\"at+jwt \"",
        TYPE,
    ),
    (
        "H13-other-prefix",
        "`typ` with another media type's prefix",
        Profile,
        "typ",
        "\"text/at+jwt\"",
        TYPE,
    ),
    ("H13-object", "`typ` is an object", Profile, "typ", "{}", INVALID),
    (
        "H14-iss",
        "`iss` in the header, another one",
        Policy,
        "iss",
        "\"https://evil.example\"",
        "header_member_unknown",
    ),
    (
        "H14-sub",
        "`sub` in the header, another one",
        Policy,
        "sub",
        "\"admin\"",
        "header_member_unknown",
    ),
    (
        "H14-aud",
        "`aud` in the header, another one",
        Policy,
        "aud",
        "\"https://other.example\"",
        "header_member_unknown",
    ),
];

pub(super) fn headers(cases: &mut Cases) {
    unsigned(cases);
    for (id, title, basis, member, value, reason) in MEMBERS {
        let header = cases.header("ent-shared").with(member, *value);
        let token = cases.with_header(&header);
        cases.refuse(*basis, id, title, token, reason);
    }
    for (id, title, basis, member, reason) in [
        ("H02-missing", "no `alg`", Rfc, "alg", "algorithm_missing"),
        ("H13-missing", "no `typ`", Profile, "typ", TYPE),
    ] {
        let header = cases.header("ent-shared").without(member);
        let token = cases.with_header(&header);
        cases.refuse(basis, id, title, token, reason);
    }
    for (id, typ) in [
        ("H13-upper-case", "AT+JWT"),
        ("H13-prefix", "application/at+jwt"),
        ("H13-prefix-upper-case", "Application/AT+jwt"),
    ] {
        let header = cases.header("ent-shared").with("typ", quoted(typ));
        let token = cases.with_header(&header);
        let title = format!("`typ` is `{typ}`, which is the same");
        cases.at("mail", Profile, id, &title, token, None);
    }
    let header = cases.header("ent-shared").with("x5t", "\"of-some-certificate\"");
    let token = cases.with_header(&header);
    cases.admit("H08-x5t", "`x5t` beside `kid`, as Entra writes it", token);
    critical(cases);
    own_keys(cases);
    nested(cases);
    let header = cases.header("ent-shared").with("kid", quoted(&"k".repeat(2_900)));
    let token = cases.with_header(&header);
    cases.refuse(Policy, "H09-long", "`kid` of 2,900 bytes", token, INVALID);
    let header = cases
        .header("ent-shared")
        .with("kid", quoted(&"k".repeat(10_000)));
    let token = cases.with_header(&header);
    cases.refuse(
        Policy,
        "H09-longer",
        "`kid` of 10,000 bytes",
        token,
        "header_too_large",
    );
}

fn unsigned(cases: &mut Cases) {
    let good = cases.header("ent-shared");
    for (slug, alg) in [
        ("none", "none"),
        ("upper-case", "NONE"),
        ("mixed-case", "nOnE"),
        ("capital", "None"),
    ] {
        for (with_kid, kid_words) in [("", ", with `kid`"), ("-no-kid", ", without `kid`")] {
            let header = good.clone().with("alg", quoted(alg));
            let header = if with_kid.is_empty() {
                header
            } else {
                header.without("kid")
            };
            let input = format!("{}.{}", encode(header.text()), encode(claims().text()));
            let signed = cases.signed("thief-es256", &input);
            for (end, words, token) in [
                ("", "no signature", format!("{input}.")),
                ("-signed", "some signature", signed),
                ("-no-dot", "no signature and no dot for it", input.clone()),
            ] {
                let reason = if end == "-no-dot" {
                    "segment_count_wrong"
                } else {
                    "algorithm_none"
                };
                let title = format!("`alg` is `{alg}`{kid_words}, {words}");
                cases.refuse(Rfc, &format!("H01-{slug}{with_kid}{end}"), &title, token, reason);
            }
        }
    }
    let header = good.with("alg", "\"none \"");
    let input = format!("{}.{}.", encode(header.text()), encode(claims().text()));
    cases.refuse(
        Rfc,
        "H01-space",
        "`alg` is `none` and a space",
        input,
        "algorithm_unsupported",
    );
}

fn critical(cases: &mut Cases) {
    let good = cases.header("ent-shared");
    let with_member = good.clone().with("crit", r#"["x"]"#).with("x", "1");
    let token = cases.with_header(&with_member);
    cases.refuse(
        Rfc,
        "H03-present",
        "`crit` names an extension that is there, and unknown",
        token,
        CRITICAL,
    );
    let unencoded = good.clone().with("crit", r#"["b64"]"#).with("b64", "false");
    let token = cases.with_header(&unencoded);
    cases.refuse(
        Rfc,
        "H05-crit-encoded",
        "`b64` false and in `crit`, the payload encoded all the same",
        token,
        CRITICAL,
    );
    // RFC 7797: the payload stands there as it is. This one has no dot in it.
    let payload = claims().text().replace('.', "\\u002e");
    let token = cases.signed("ent-shared", &format!("{}.{payload}", encode(unencoded.text())));
    cases.refuse(
        Rfc,
        "H05-crit-plain",
        "`b64` false and in `crit`, the payload not encoded",
        token,
        "base64url_invalid",
    );
    let token = cases.with_header(&good.with("crit", r#"["b64"]"#).with("b64", "true"));
    cases.refuse(
        Policy,
        "H05-crit-true",
        "`b64` true and in `crit`",
        token,
        CRITICAL,
    );
}

/// The thief brings his own key, or says where it is.
fn own_keys(cases: &mut Cases) {
    let jwk = ["x", "y"].map(|name| cases.keys.member("thief-es256", name));
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}","alg":"ES256","kid":"thief"}}"#,
        jwk[0], jwk[1]
    );
    let list = [
        ("H06-jwk", "the thief's key in `jwk`", "jwk", jwk.clone()),
        (
            "H07-thief-jku",
            "the thief's key set in `jku`",
            "jku",
            "\"https://evil.example/keys\"".to_owned(),
        ),
        (
            "H07-thief-jku-own",
            "`jku` that begins like the issuer's",
            "jku",
            "\"https://id.example@evil.example/keys\"".into(),
        ),
        (
            "H07-thief-x5u",
            "the thief's certificate in `x5u`",
            "x5u",
            "\"https://evil.example/cert\"".into(),
        ),
        (
            "H08-thief-x5c",
            "the thief's certificate in `x5c`",
            "x5c",
            "[\"MIIB\"]".into(),
        ),
    ];
    for (id, title, member, value) in list {
        for (end, words, kid) in [
            ("", "a good `kid`", Some("ent-shared")),
            ("-own-kid", "his own `kid`", Some("thief")),
            ("-no-kid", "no `kid`", None),
        ] {
            let header = cases.header("ent-shared").with(member, value.clone());
            let header = match kid {
                Some(kid) => header.with("kid", quoted(kid)),
                None => header.without("kid"),
            };
            let token = cases.token("thief-es256", &header, &claims());
            cases.refuse(
                Rfc,
                &format!("{id}{end}"),
                &format!("{title}, and {words}"),
                token,
                "header_key_forbidden",
            );
        }
    }
    named_keys(cases, &jwk);
}

fn named_keys(cases: &mut Cases, jwk: &str) {
    let header = cases.header("ent-shared").with("jwk", jwk);
    let token = cases.with_header(&header);
    cases.refuse(
        Policy,
        "H06-good-signature",
        "`jwk` beside a good signature",
        token,
        "header_key_forbidden",
    );
    let header = cases
        .header("ent-shared")
        .with("kid", "\"thief\"")
        .with("x5t", "\"of-the-thiefs-certificate\"");
    let token = cases.token("thief-es256", &header, &claims());
    cases.refuse(
        Rfc,
        "H08-thief-x5t",
        "the thief's certificate named by `x5t`",
        token,
        "key_unknown",
    );
}

/// Tokens in tokens, and encrypted ones.
fn nested(cases: &mut Cases) {
    let inner = cases.with_claims(&claims());
    for (id, title, basis, cty, reason) in [
        (
            "H12-nested",
            "a good token inside a token, `cty` says so",
            Policy,
            true,
            "content_type_forbidden",
        ),
        (
            "H12-nested-silent",
            "a good token inside a token, and no `cty`",
            Rfc,
            false,
            "claims_json_invalid",
        ),
    ] {
        let header = cases.header("ent-shared");
        let header = if cty {
            header.with("cty", "\"JWT\"")
        } else {
            header
        };
        let token = cases.token_of_text("ent-shared", &header.text(), &inner);
        cases.refuse(basis, id, title, token, reason);
    }
    let unsigned = format!(
        "{}.{}.",
        encode(r#"{"alg":"none"}"#),
        encode(claims_of("https://foreign.example/").text())
    );
    for (id, title, header) in [
        (
            "H10-jwe-zip",
            "an encrypted token that unpacks to much",
            r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#,
        ),
        (
            "H10-jwe-p2c",
            "an encrypted token that costs a billion hashes",
            r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"AAAA","p2c":1000000000}"#,
        ),
        (
            "H11-jwe",
            "an encrypted token",
            r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"ent-shared"}"#,
        ),
        (
            "H12-jwe-plain",
            "an unsigned token inside an encrypted one",
            r#"{"alg":"dir","enc":"A256GCM","cty":"JWT"}"#,
        ),
    ] {
        let token = [
            encode(header),
            String::new(),
            encode([0; 12]),
            encode(&unsigned),
            encode([0; 16]),
        ]
        .join(".");
        cases.refuse(Rfc, id, title, token, "segment_count_wrong");
    }
}
