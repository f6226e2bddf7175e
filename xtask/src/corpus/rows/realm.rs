//! R: issuer, realm and key state.

use super::super::case::{Basis, Cases, claims, claims_of, quoted};
use super::super::world::{BACK_DATING, CONSUMER, FOREIGN, NOW, SCOPED, SOVEREIGN, TENANT, tenant_issuer};
use Basis::{Policy, Profile, Rfc};

const REALM: &str = "key_realm_mismatch";
const WINDOW: &str = "key_outside_window";

pub(super) fn realms(cases: &mut Cases) {
    crossing(cases);
    tenants(cases);
    states(cases);
    resources(cases);
    audiences(cases);
    back_dated(cases);
    bound(cases);
}

/// Keys that sign for others: `(id, title, basis, key, reason)`.
const CROSSING: &[(&str, &str, Basis, &str, &str)] = &[
    (
        "R01-consumer",
        "a stolen consumer key signs for an enterprise tenant",
        Rfc,
        "con-active",
        REALM,
    ),
    (
        "R01-consumer-retired",
        "a consumer key retired long ago does the same",
        Rfc,
        "con-retired",
        REALM,
    ),
    (
        "R01-consumer-revoked",
        "a revoked consumer key does the same",
        Rfc,
        "con-revoked",
        REALM,
    ),
    (
        "R03-other-tenant",
        "the key of one tenant signs for another",
        Policy,
        "ent-other-tenant",
        REALM,
    ),
    (
        "R04-silent",
        "a key of the template that names no issuer",
        Policy,
        "ent-silent",
        "key_unknown",
    ),
    (
        "R06-sovereign",
        "the key of another cloud signs for this one",
        Rfc,
        "sovereign",
        REALM,
    ),
];

fn crossing(cases: &mut Cases) {
    for (id, title, basis, kid, reason) in CROSSING {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &claims());
        cases.refuse(*basis, id, title, token, reason);
    }
    for kid in ["con-active", "con-retired", "sovereign"] {
        let header = cases.header("ent-shared");
        let token = cases.token(kid, &header, &claims());
        let title = format!("{kid} signs and names the enterprise key");
        cases.refuse(
            Rfc,
            &format!("R01-{kid}-disguised"),
            &title,
            token,
            "signature_invalid",
        );
    }
    for (id, title, kid, iss) in [
        (
            "R05-enterprise-for-consumer",
            "an enterprise key signs as the consumer issuer",
            "ent-shared",
            CONSUMER,
        ),
        (
            "R05-enterprise-for-foreign",
            "an enterprise key signs as a trusted provider",
            "ent-shared",
            FOREIGN,
        ),
        (
            "R06-public-for-sovereign",
            "the key of this cloud signs as the other one",
            "ent-shared",
            SOVEREIGN,
        ),
    ] {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &claims_of(iss));
        cases.refuse(Rfc, id, title, token, REALM);
    }
    let header = cases.header("con-active");
    let claims = claims_of(CONSUMER).with("tid", quoted(TENANT));
    let token = cases.token("con-active", &header, &claims);
    cases.refuse(
        Policy,
        "R01-consumer-names-tenant",
        "a consumer token that names an enterprise tenant",
        token,
        "resource_realm_mismatch",
    );
    for (id, title, kid) in [
        (
            "R03-own-tenant",
            "the key of one tenant signs for it",
            "ent-tenant",
        ),
        ("R03-shared", "the shared key signs for the tenant", "ent-shared"),
    ] {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &super::super::case::claims());
        cases.admit(id, title, token);
    }
}

/// `tid` beside the issuer of a tenant: `(id, title, value, reason)`.
const TENANT_CLAIMS: &[(&str, &str, &str, &str)] = &[
    (
        "R02-other",
        "`tid` is another tenant",
        "\"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\"",
        "tenant_mismatch",
    ),
    (
        "R02-both",
        "`tid` is two tenants with a slash between them",
        "\"1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e/aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\"",
        "tenant_mismatch",
    ),
    (
        "R02-part",
        "`tid` is a part of the tenant",
        "\"1a1a1a1a\"",
        "tenant_mismatch",
    ),
    (
        "R02-name",
        "`tid` is no GUID",
        "\"contoso.example\"",
        "tenant_mismatch",
    ),
    (
        "R02-upper-case",
        "`tid` in upper case",
        "\"1A1A1A1A-2B2B-4C3C-8D4D-5E5E5E5E5E5E\"",
        "tenant_mismatch",
    ),
    ("R02-slash", "`tid` is a slash", "\"/\"", "tenant_mismatch"),
    (
        "R02-host",
        "`tid` is a part of `iss` that is no tenant",
        "\"id.example\"",
        "tenant_mismatch",
    ),
    ("R02-empty", "`tid` is empty", "\"\"", "claim_invalid"),
    ("R02-number", "`tid` is a number", "7", "claim_invalid"),
    ("R02-null", "`tid` is null", "null", "claim_invalid"),
    (
        "R02-list",
        "`tid` is a list",
        "[\"1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e\"]",
        "claim_invalid",
    ),
];

/// What stands in `iss` where a tenant belongs: `(id, title, text)`.
const TENANTS: &[(&str, &str, &str)] = &[
    (
        "R02-iss-both",
        "`iss` with two tenants",
        "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e/aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    ),
    (
        "R02-iss-name",
        "`iss` with a name for a tenant",
        "contoso.example",
    ),
    ("R02-iss-common", "`iss` with `common` for a tenant", "common"),
    (
        "R02-iss-braces",
        "`iss` with braces around the tenant",
        "{1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e}",
    ),
    (
        "R02-iss-upper-case",
        "`iss` with the tenant in upper case",
        "1A1A1A1A-2B2B-4C3C-8D4D-5E5E5E5E5E5E",
    ),
    (
        "R02-iss-path",
        "`iss` with a path behind the tenant",
        "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e/v2.0",
    ),
    ("R02-iss-slash", "`iss` with a slash for a tenant", "/"),
];

fn tenants(cases: &mut Cases) {
    for (id, title, value, reason) in TENANT_CLAIMS {
        let token = cases.with_claims(&claims().with("tid", *value));
        cases.refuse(Policy, id, title, token, reason);
    }
    let token = cases.with_claims(&claims().without("tid"));
    cases.refuse(Policy, "R02-missing", "no `tid`", token, "tenant_mismatch");
    for (id, title, tenant) in TENANTS {
        let iss = quoted(&tenant_issuer(tenant));
        let token = cases.with_claims(&claims().with("iss", iss).with("tid", quoted(tenant)));
        cases.refuse(Rfc, id, title, token, "issuer_unknown");
    }
    let token = cases.with_claims(&claims().with("iss", quoted(&tenant_issuer(""))));
    cases.refuse(
        Rfc,
        "R02-iss-none",
        "`iss` without a tenant",
        token,
        "issuer_unknown",
    );
    let stranger = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let iss = quoted(&tenant_issuer(stranger));
    let token = cases.with_claims(&claims().with("iss", iss).with("tid", quoted(stranger)));
    let title = "the tenant of personal accounts, which nobody let in";
    cases.refuse(Rfc, "R02-stranger", title, token, "tenant_not_allowed");
}

fn states(cases: &mut Cases) {
    for (id, title, kid, reason) in [
        ("R07-revoked", "a revoked key", "ent-revoked", "key_revoked"),
        (
            "R07-staged",
            "a key announced and not active",
            "ent-staged",
            "key_staged",
        ),
        ("R07-expired", "an expired key", "ent-expired", "key_expired"),
        (
            "R07-retired-open",
            "a retired key of which nobody said when it stopped",
            "ent-retired-open",
            WINDOW,
        ),
        (
            "R08-retired",
            "a retired key, after its last second",
            "ent-retired",
            WINDOW,
        ),
        (
            "R08-not-yet",
            "a key, before its first second",
            "ent-not-yet",
            WINDOW,
        ),
    ] {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &claims());
        cases.refuse(Policy, id, &format!("{title} signs"), token, reason);
    }
    windows(cases);
}

fn windows(cases: &mut Cases) {
    for (id, title, kid, iat, reason) in [
        (
            "R08-retired-99",
            "a retired key, a second after its last",
            "ent-retired",
            NOW - 99,
            Some(WINDOW),
        ),
        (
            "R08-retired-last",
            "a retired key, in its last second",
            "ent-retired",
            NOW - 100,
            None,
        ),
        (
            "R08-retired-first",
            "a retired key, in its first second",
            "ent-retired",
            NOW - 1_000,
            None,
        ),
        (
            "R08-retired-before",
            "a retired key, a second before its first",
            "ent-retired",
            NOW - 1_001,
            Some(WINDOW),
        ),
        (
            "R08-zero",
            "`iat` is 0: before any key",
            "ent-shared",
            0,
            Some(WINDOW),
        ),
        (
            "R08-day",
            "a second before the key's first",
            "ent-shared",
            NOW - 86_401,
            Some(WINDOW),
        ),
    ] {
        let header = cases.header(kid);
        let token = cases.token(kid, &header, &claims().with("iat", iat.to_string()));
        cases.at("mail", Policy, id, title, token, reason);
    }
    let header = cases.header("ent-suspect");
    let token = cases.token("ent-suspect", &header, &claims());
    cases.at(
        "mail",
        Policy,
        "R07-suspect",
        "a suspect key: the token rules hold, and the gate asks the ledger",
        token,
        None,
    );
}

fn resources(cases: &mut Cases) {
    let header = cases.header("con-active");
    let token = cases.token("con-active", &header, &claims_of(CONSUMER));
    cases.refuse(
        Policy,
        "R09-realm",
        "a good consumer token with an enterprise resource's audience",
        token.clone(),
        "resource_realm_mismatch",
    );
    cases.at(
        "outlook",
        Policy,
        "R09-realm-good",
        "the same token at the consumer resource",
        token,
        None,
    );
    let token = cases.with_claims(&claims());
    cases.at(
        "outlook",
        Policy,
        "R09-realm-reversed",
        "a good enterprise token at the consumer resource",
        token,
        Some("resource_realm_mismatch"),
    );
    let header = cases.header("sovereign");
    let token = cases.token("sovereign", &header, &claims_of(SOVEREIGN));
    cases.refuse(
        Policy,
        "R09-sovereign",
        "a good token of another cloud",
        token,
        "resource_realm_mismatch",
    );
}

/// R09, the part about audiences: this issuer's record names mail only.
fn audiences(cases: &mut Cases) {
    const MAIL: &str = "https://mail.example";
    const FILES: &str = "https://files.example";
    let not_allowed = Some("audience_not_allowed");
    for (id, title, resource, aud, reason) in [
        (
            "R09-audience-good",
            "the one audience its issuer may issue for",
            "mail",
            quoted(MAIL),
            None,
        ),
        (
            "R09-audience",
            "the resource's audience, which its issuer may not issue for",
            "files",
            quoted(FILES),
            not_allowed,
        ),
        (
            "R09-audience-beside",
            "an audience beside the good one that its issuer may not issue for",
            "mail",
            format!("[{},{}]", quoted(MAIL), quoted(FILES)),
            not_allowed,
        ),
        (
            "R09-audience-slash",
            "the audience with a slash more beside the good one",
            "mail",
            format!("[{},\"{MAIL}/\"]", quoted(MAIL)),
            not_allowed,
        ),
    ] {
        let header = cases.header("scoped");
        let token = cases.token("scoped", &header, &claims_of(SCOPED).with("aud", aud));
        cases.at(resource, Policy, id, title, token, reason);
    }
}

/// R08, the part about issuers that write `iat` before they issue: 300 s here, by a key that signed from 1000 s ago
/// to 100 s ago.
fn back_dated(cases: &mut Cases) {
    for (id, title, iat, exp, reason) in [
        (
            "R08-dated-first",
            "`iat` back-dated, issued in the key's first second",
            NOW - 1_300,
            NOW + 600,
            None,
        ),
        (
            "R08-dated-before",
            "`iat` back-dated, issued a second before the key's first",
            NOW - 1_301,
            NOW + 600,
            Some(WINDOW),
        ),
        (
            "R08-dated-last",
            "`iat` back-dated, issued in the key's last second",
            NOW - 400,
            NOW + 600,
            None,
        ),
        (
            "R08-dated-after",
            "`iat` back-dated into the key's window, issued a second after its last",
            NOW - 399,
            NOW + 600,
            Some(WINDOW),
        ),
        (
            "C04-dated-longest",
            "`iat` back-dated, as long from the issuance as this issuer's tokens live",
            NOW - 500,
            NOW - 200 + 3_600,
            None,
        ),
        (
            "C04-dated-second",
            "`iat` back-dated, a second longer",
            NOW - 500,
            NOW - 200 + 3_601,
            Some("lifetime_too_long"),
        ),
    ] {
        let header = cases.header("dated");
        let claims = claims_of(BACK_DATING)
            .with("iat", iat.to_string())
            .with("exp", exp.to_string());
        let token = cases.token("dated", &header, &claims);
        cases.at("mail", Policy, id, title, token, reason);
    }
}

/// D: a bound token as a plain one. The other rows need a request.
fn bound(cases: &mut Cases) {
    let jkt = "\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"";
    let x5t = "\"x5t#S256\":\"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0\"";
    for (id, title, cnf) in [
        (
            "D01-jkt",
            "a token bound to a DPoP key, shown without a proof",
            format!("{{{jkt}}}"),
        ),
        (
            "D10-x5t",
            "a token bound to a certificate, shown without one",
            format!("{{{x5t}}}"),
        ),
        (
            "D11-both",
            "a token bound to both, shown without either",
            format!("{{{jkt},{x5t}}}"),
        ),
    ] {
        let token = cases.with_claims(&claims().with("cnf", cnf));
        cases.refuse(Profile, id, title, token, "proof_missing");
    }
}
