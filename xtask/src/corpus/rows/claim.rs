//! C: what claims say.

use super::super::case::{Basis, Cases, claims, quoted};
use super::super::world::{OTHER_TENANT, TENANT, tenant_issuer};
use Basis::{Policy, Profile, Rfc};

const AMBIGUOUS: &str = "client_ambiguous";
const INVALID: &str = "claim_invalid";
const UNKNOWN: &str = "issuer_unknown";
const MISSING: &str = "claim_missing";
const AUDIENCE: &str = "audience_mismatch";

/// One claim of an otherwise good token: `(id, title, basis, claim, value, reason)`.
const CLAIMS: &[(&str, &str, Basis, &str, &str, &str)] = &[
    ("C01-zero", "`exp` is 0", Rfc, "exp", "0", INVALID),
    ("C01-negative", "`exp` is negative", Rfc, "exp", "-1", INVALID),
    (
        "C01-text",
        "`exp` is a text",
        Rfc,
        "exp",
        "\"1700000600\"",
        INVALID,
    ),
    ("C01-null", "`exp` is null", Rfc, "exp", "null", INVALID),
    ("C01-true", "`exp` is true", Rfc, "exp", "true", INVALID),
    ("C01-list", "`exp` is a list", Rfc, "exp", "[1700000600]", INVALID),
    ("C01-object", "`exp` is an object", Rfc, "exp", "{}", INVALID),
    (
        "C01-fraction",
        "`exp` has a fraction",
        Policy,
        "exp",
        "1700000600.5",
        INVALID,
    ),
    (
        "C01-fraction-zero",
        "`exp` has a fraction of zero",
        Policy,
        "exp",
        "1700000600.0",
        INVALID,
    ),
    ("C01-1e300", "`exp` is 1e300", Policy, "exp", "1e300", INVALID),
    (
        "C01-2-63",
        "`exp` is 2^63",
        Policy,
        "exp",
        "9223372036854775808",
        "lifetime_too_long",
    ),
    (
        "C01-2-64",
        "`exp` is 2^64",
        Policy,
        "exp",
        "18446744073709551616",
        INVALID,
    ),
    (
        "C01-past",
        "`exp` is over, and the clock difference too",
        Rfc,
        "exp",
        "1699999969",
        "token_expired",
    ),
    (
        "C01-past-edge",
        "`exp` is over by exactly the clock difference",
        Policy,
        "exp",
        "1699999970",
        "token_expired",
    ),
    ("C02-text", "`nbf` is a text", Rfc, "nbf", "\"0\"", INVALID),
    ("C02-null", "`nbf` is null", Rfc, "nbf", "null", INVALID),
    (
        "C02-future",
        "`nbf` is to come",
        Rfc,
        "nbf",
        "1700000031",
        "token_not_yet_valid",
    ),
    (
        "C02-far-future",
        "`nbf` is just before `exp`",
        Rfc,
        "nbf",
        "1700000599",
        "token_not_yet_valid",
    ),
    (
        "C02-after-exp",
        "`nbf` is after `exp`",
        Rfc,
        "nbf",
        "1700000700",
        INVALID,
    ),
    (
        "C02-max",
        "`nbf` is 2^64 - 1",
        Rfc,
        "nbf",
        "18446744073709551615",
        INVALID,
    ),
    (
        "C03-future",
        "`iat` is to come",
        Policy,
        "iat",
        "1700000031",
        "issued_in_future",
    ),
    (
        "C03-after-exp",
        "`iat` is after `exp`",
        Policy,
        "iat",
        "1700000700",
        INVALID,
    ),
    (
        "C03-text",
        "`iat` is a text",
        Rfc,
        "iat",
        "\"1699999940\"",
        INVALID,
    ),
    ("C03-negative-zero", "`iat` is -0", Policy, "iat", "-0", INVALID),
    ("C03-null", "`iat` is null", Rfc, "iat", "null", INVALID),
    (
        "C04-second",
        "a second longer than this issuer's tokens live",
        Policy,
        "exp",
        "1700003541",
        "lifetime_too_long",
    ),
    (
        "C04-year",
        "a year longer",
        Policy,
        "exp",
        "1731536000",
        "lifetime_too_long",
    ),
    ("C05-number", "`iss` is a number", Rfc, "iss", "7", INVALID),
    ("C05-null", "`iss` is null", Rfc, "iss", "null", INVALID),
    ("C05-true", "`iss` is true", Rfc, "iss", "true", INVALID),
    ("C05-empty", "`iss` is empty", Rfc, "iss", "\"\"", INVALID),
    (
        "C05-empty-list",
        "`iss` is an empty list",
        Rfc,
        "iss",
        "[]",
        INVALID,
    ),
    ("C07-number", "`aud` is a number", Rfc, "aud", "7", INVALID),
    (
        "C07-list-of-number",
        "`aud` is a list of a number",
        Rfc,
        "aud",
        "[7]",
        INVALID,
    ),
    (
        "C07-number-inside",
        "`aud` is a list of this resource and a number",
        Policy,
        "aud",
        "[\"https://mail.example\",7]",
        INVALID,
    ),
    (
        "C07-empty-list",
        "`aud` is an empty list",
        Rfc,
        "aud",
        "[]",
        INVALID,
    ),
    (
        "C07-object",
        "`aud` is an object",
        Rfc,
        "aud",
        "{\"https://mail.example\":1}",
        INVALID,
    ),
    ("C07-empty", "`aud` is empty", Rfc, "aud", "\"\"", INVALID),
    ("C07-null", "`aud` is null", Rfc, "aud", "null", INVALID),
    (
        "C07-nested",
        "`aud` is a list in a list",
        Rfc,
        "aud",
        "[[\"https://mail.example\"]]",
        INVALID,
    ),
    (
        "C07-other",
        "`aud` is another resource",
        Rfc,
        "aud",
        "\"https://other.example\"",
        AUDIENCE,
    ),
    (
        "C07-others",
        "`aud` is a list of other resources",
        Rfc,
        "aud",
        "[\"https://other.example\"]",
        AUDIENCE,
    ),
    (
        "C08-slash",
        "`aud` with a slash more",
        Rfc,
        "aud",
        "\"https://mail.example/\"",
        AUDIENCE,
    ),
    (
        "C08-prefix",
        "`aud` begins like this resource",
        Rfc,
        "aud",
        "\"https://mail.example.evil.example\"",
        AUDIENCE,
    ),
    (
        "C08-part",
        "`aud` is the beginning of this resource",
        Rfc,
        "aud",
        "\"https://mail\"",
        AUDIENCE,
    ),
    (
        "C08-case",
        "`aud` in another case",
        Rfc,
        "aud",
        "\"https://MAIL.example\"",
        AUDIENCE,
    ),
    (
        "C08-two-in-one",
        "`aud` is two resources in one text",
        Rfc,
        "aud",
        "\"https://mail.example https://other.example\"",
        AUDIENCE,
    ),
    (
        "C08-space",
        "`aud` with a space behind it",
        Rfc,
        "aud",
        "\"https://mail.example \"",
        AUDIENCE,
    ),
    ("C10-number", "`sub` is a number", Rfc, "sub", "7", INVALID),
    ("C10-null", "`sub` is null", Rfc, "sub", "null", INVALID),
    ("C10-list", "`sub` is a list", Rfc, "sub", "[\"ada\"]", INVALID),
    ("C10-empty", "`sub` is empty", Policy, "sub", "\"\"", INVALID),
    (
        "C11-client-number",
        "`client_id` is a number",
        Profile,
        "client_id",
        "7",
        INVALID,
    ),
    (
        "C11-client-empty",
        "`client_id` is empty",
        Policy,
        "client_id",
        "\"\"",
        INVALID,
    ),
    (
        "C12-foreign",
        "`email` of a domain that nobody proved",
        Policy,
        "email",
        "\"ceo@fabrikam.example\"",
        "email_unverified",
    ),
    (
        "C12-list",
        "`email` is a list",
        Policy,
        "email",
        "[\"a@contoso.example\"]",
        INVALID,
    ),
    (
        "C12-two-ats",
        "`email` with two domains",
        Policy,
        "email",
        "\"ceo@fabrikam.example@contoso.example\"",
        "email_unverified",
    ),
    (
        "C13-list",
        "`scope` is a list",
        Profile,
        "scope",
        "[\"mail.read\"]",
        INVALID,
    ),
    (
        "C13-number",
        "`scope` is a number",
        Profile,
        "scope",
        "7",
        INVALID,
    ),
    (
        "C13-scp-smuggled",
        "a text with a space inside the list `scp`",
        Policy,
        "scp",
        "[\"mail.read mail.admin\"]",
        INVALID,
    ),
    ("C09-jti-number", "`jti` is a number", Rfc, "jti", "7", INVALID),
    ("C09-jti-empty", "`jti` is empty", Policy, "jti", "\"\"", INVALID),
];

/// Good ones beside them: `(id, title, basis, claim, value)`.
const GOOD: &[(&str, &str, Basis, &str, &str)] = &[
    (
        "C01-difference",
        "`exp` is over by less than the clock difference",
        Policy,
        "exp",
        "1699999971",
    ),
    (
        "C02-difference",
        "`nbf` is to come within the clock difference",
        Policy,
        "nbf",
        "1700000030",
    ),
    (
        "C03-difference",
        "`iat` is to come within the clock difference",
        Policy,
        "iat",
        "1700000030",
    ),
    (
        "C04-longest",
        "as long as this issuer's tokens live",
        Rfc,
        "exp",
        "1700003540",
    ),
    (
        "C07-list",
        "`aud` is a list of this resource",
        Rfc,
        "aud",
        "[\"https://mail.example\"]",
    ),
    (
        "C07-list-of-two",
        "`aud` is a list of this resource and another",
        Rfc,
        "aud",
        "[\"https://other.example\",\"https://mail.example\"]",
    ),
    (
        "C10-unicode",
        "`sub` beyond ASCII",
        Rfc,
        "sub",
        "\"ad\u{e1} \u{1f511}\"",
    ),
    (
        "C12-name",
        "`preferred_username` like an e-mail address",
        Rfc,
        "preferred_username",
        "\"ceo@fabrikam.example\"",
    ),
];

pub(super) fn claim_values(cases: &mut Cases) {
    for (id, title, basis, claim, value, reason) in CLAIMS {
        let token = cases.with_claims(&claims().with(claim, *value));
        cases.refuse(*basis, id, title, token, reason);
    }
    for (id, title, basis, claim, value) in GOOD {
        let token = cases.with_claims(&claims().with(claim, *value));
        cases.at("mail", *basis, id, title, token, None);
    }
    // RFC 7519 makes every claim optional; RFC 9068 §2.2 requires these.
    for (id, claim) in [
        ("C01-missing", "exp"),
        ("C03-missing", "iat"),
        ("C05-missing", "iss"),
        ("C07-missing", "aud"),
        ("C10-missing", "sub"),
        ("C09-no-jti", "jti"),
        ("C11-client-missing", "client_id"),
    ] {
        let token = cases.with_claims(&claims().without(claim));
        cases.refuse(Profile, id, &format!("no `{claim}`"), token, MISSING);
    }
    issuers(cases);
    other_kinds(cases);
    scopes(cases);
    tenants_let_in(cases);
    clients(cases);
}

/// C11: the client under several names.
fn clients(cases: &mut Cases) {
    let both = claims()
        .with("azp", "\"mail-client\"")
        .with("appid", "\"mail-client\"");
    for (id, title, claims, reason) in [
        (
            "C11-azp",
            "`azp` and `client_id` name two clients",
            claims().with("azp", "\"another-client\""),
            Some(AMBIGUOUS),
        ),
        (
            "C11-appid",
            "`appid` and `client_id` name two clients",
            claims().with("appid", "\"another-client\""),
            Some(AMBIGUOUS),
        ),
        (
            "C11-azp-case",
            "`azp` is `client_id` in another case",
            claims().with("azp", "\"Mail-Client\""),
            Some(AMBIGUOUS),
        ),
        (
            "C11-appid-of-three",
            "`client_id` and `azp` name one client, `appid` another",
            both.clone().with("appid", "\"another-client\""),
            Some(AMBIGUOUS),
        ),
        ("C11-same", "one client under three names", both, None),
    ] {
        let token = cases.with_claims(&claims);
        cases.at("mail", Policy, id, title, token, reason);
    }
}

/// `iss`, spelt in another way: `(id, title, how)`.
type Spelling = (&'static str, &'static str, fn(&str) -> String);

const SPELT: &[Spelling] = &[
    ("C06-prefix", "`iss` begins like the good one", |iss| {
        format!("{iss}.evil.example")
    }),
    ("C06-host-prefix", "the host begins like the good one", |iss| {
        iss.replace("id.example", "id.example.evil.example")
    }),
    ("C06-suffix", "`iss` ends like the good one", |iss| {
        format!("https://evil.example/{iss}")
    }),
    ("C06-part", "`iss` is a part of the good one", |iss| {
        iss.get(..iss.len() - 1).unwrap_or_default().to_owned()
    }),
    ("C06-case", "the host in another case", |iss| {
        iss.replace("id.example", "ID.example")
    }),
    ("C06-upper-case", "all in upper case", |iss| iss.to_uppercase()),
    ("C06-slash", "a slash behind it", |iss| format!("{iss}/")),
    ("C06-port", "the default port", |iss| {
        iss.replace("id.example", "id.example:443")
    }),
    ("C06-percent", "a slash as `%2f`", |iss| {
        iss.replace("/enterprise", "%2fenterprise")
    }),
    ("C06-user", "a user name before the host", |iss| {
        iss.replace("https://", "https://user@")
    }),
    ("C06-user-host", "the good host as a user name", |iss| {
        iss.replace("id.example", "id.example@evil.example")
    }),
    ("C06-homoglyph", "a letter that looks like another", |iss| {
        iss.replace("example", "ex\u{430}mple")
    }),
    ("C06-nul", "a NUL behind it", |iss| format!("{iss}\0")),
    ("C06-nul-evil", "a NUL and another issuer behind it", |iss| {
        format!("{iss}\0.evil.example")
    }),
    ("C06-space", "a space before it", |iss| format!(" {iss}")),
    ("C06-line", "a line end behind it", |iss| format!("{iss}\n")),
    ("C06-http", "`http` for `https`", |iss| {
        iss.replace("https://", "http://")
    }),
    ("C06-query", "a query behind it", |iss| format!("{iss}?x=1")),
    ("C06-fragment", "a fragment behind it", |iss| format!("{iss}#x")),
    ("C06-dots", "dot segments", |iss| {
        iss.replace("/enterprise", "/x/../enterprise")
    }),
    ("C06-template", "the template itself", |_| {
        tenant_issuer("{tenantid}")
    }),
];

fn issuers(cases: &mut Cases) {
    let iss = tenant_issuer(TENANT);
    let lists = [
        (
            "C05-list",
            "`iss` is a list of the good one and another",
            format!("[{},\"https://evil.example\"]", quoted(&iss)),
        ),
        (
            "C05-list-reversed",
            "`iss` is a list of another and the good one",
            format!("[\"https://evil.example\",{}]", quoted(&iss)),
        ),
        (
            "C05-list-of-one",
            "`iss` is a list of the good one",
            format!("[{}]", quoted(&iss)),
        ),
        (
            "C05-object",
            "`iss` is an object",
            format!("{{\"iss\":{}}}", quoted(&iss)),
        ),
    ];
    for (id, title, value) in lists {
        let token = cases.with_claims(&claims().with("iss", value));
        cases.refuse(Rfc, id, title, token, INVALID);
    }
    for (id, title, spell) in SPELT {
        let value = spell(&iss);
        let token = cases.with_claims(&claims().with("iss", quoted(&value)));
        cases.refuse(Rfc, id, &format!("`iss`: {title}"), token, UNKNOWN);
    }
}

/// Good tokens of other kinds, in place of an access token.
fn other_kinds(cases: &mut Cases) {
    let common = || claims().without("client_id").without("scope").without("jti");
    let list = [
        (
            "C09-id-token",
            "an ID token",
            "\"JWT\"",
            common().with("nonce", "\"n\"").with("aud", "\"mail-client\""),
        ),
        (
            "C09-id-token-same-aud",
            "an ID token whose audience is this resource",
            "\"JWT\"",
            common().with("nonce", "\"n\""),
        ),
        (
            "C09-logout-token",
            "a logout token",
            "\"logout+jwt\"",
            claims().with(
                "events",
                r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#,
            ),
        ),
        ("C09-refresh-token", "a refresh token", "\"rt+jwt\"", claims()),
        (
            "C09-event",
            "a security event",
            "\"secevent+jwt\"",
            claims().with("events", r#"{"https://example.invalid/e":{}}"#),
        ),
        (
            "C09-assertion",
            "a client's assertion",
            "\"client-authentication+jwt\"",
            common(),
        ),
        (
            "C09-dpop",
            "a DPoP proof",
            "\"dpop+jwt\"",
            claims()
                .with("htm", "\"GET\"")
                .with("htu", "\"https://mail.example\""),
        ),
    ];
    for (id, title, typ, claims) in list {
        let header = cases.header("ent-shared").with("typ", typ);
        let token = cases.token("ent-shared", &header, &claims);
        // Where client_id is missing it is not missed, because `typ` says that it need not be there.
        cases.refuse(Profile, id, title, token, "token_type_mismatch");
    }
}

fn scopes(cases: &mut Cases) {
    let insufficient = "scope_insufficient";
    for (id, title, scope) in [
        (
            "C13-absent",
            "the scope that is needed is absent",
            "mail.read mail.send",
        ),
        (
            "C13-comma",
            "scopes with a comma between them",
            "mail.read,mail.admin",
        ),
        (
            "C13-tab",
            "scopes with a tab between them",
            "mail.read\tmail.admin",
        ),
        (
            "C13-no-break-space",
            "scopes with a no-break space between them",
            "mail.read\u{a0}mail.admin",
        ),
        ("C13-case", "the scope in another case", "MAIL.ADMIN"),
        ("C13-longer", "a scope that begins like it", "mail.admin2"),
        ("C13-shorter", "a scope that it begins with", "mail"),
        ("C13-empty", "no scope", ""),
    ] {
        let token = cases.with_claims(&claims().with("scope", quoted(scope)));
        cases.at("mail-admin", Profile, id, title, token, Some(insufficient));
    }
    let token = cases.with_claims(&claims().without("scope"));
    cases.at(
        "mail-admin",
        Profile,
        "C13-missing",
        "no `scope` where one is needed",
        token,
        Some(insufficient),
    );
    let token = cases.with_claims(&claims().with("scp", "\"mail.admin\""));
    cases.at(
        "mail-admin",
        Policy,
        "C13-scp-beside",
        "`scp` grants what `scope` does not",
        token,
        Some(insufficient),
    );
    let token = cases.with_claims(&claims().with("scope", "\"mail.read mail.admin\""));
    cases.at(
        "mail-admin",
        Profile,
        "C13-good",
        "the scope that is needed among others",
        token,
        None,
    );
}

/// R09, the part about tenants.
fn tenants_let_in(cases: &mut Cases) {
    let token = cases.with_claims(&claims());
    cases.at(
        "mail-other-tenant",
        Policy,
        "R09-tenant",
        "a tenant that this resource does not let in",
        token,
        Some("tenant_not_allowed"),
    );
    let other = claims()
        .with("iss", quoted(&tenant_issuer(OTHER_TENANT)))
        .with("tid", quoted(OTHER_TENANT));
    let token = cases.with_claims(&other);
    cases.at(
        "mail-other-tenant",
        Policy,
        "R09-tenant-good",
        "the tenant that it lets in",
        token,
        None,
    );
}
