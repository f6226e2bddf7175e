//! The bad-token corpus, third part: C claims, R issuer, realm and key state, and times at their extremes.

use countersign_token::{IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, Registry, SigningWindow};
use serde_json::json;

use crate::world::{
    CONSUMER, FOREIGN, NOW, OTHER_TENANT, Signer, TENANT, World, claims, tenant_issuer, verify_both,
};

#[test]
fn c01_to_c13_claims_say_what_their_registration_says() {
    let world = World::new();
    let iss = tenant_issuer(TENANT);
    let text = |member: &str, value: &str| {
        // As text, because JSON numbers beyond 64 bits cannot be built.
        let claims = claims().to_string();
        let (old, _) = claims.split_once(&format!("\"{member}\":")).unwrap();
        let rest = &claims[old.len() + member.len() + 3..];
        let end = rest.find([',', '}']).unwrap();
        let claims = format!("{old}\"{member}\":{value}{}", &rest[end..]);
        world
            .key("shared")
            .signer
            .token_of_text(&world.header("shared").to_string(), &claims)
    };
    for (id, member, value, code) in [
        ("C01", "exp", "-1", "claim_invalid"),
        ("C01", "exp", "null", "claim_invalid"),
        ("C01", "exp", "true", "claim_invalid"),
        ("C01", "exp", "1700000600.0", "claim_invalid"),
        ("C01", "exp", "1e300", "claim_invalid"),
        ("C01", "exp", "9223372036854775808", "lifetime_too_long"),
        ("C01", "exp", "18446744073709551616", "claim_invalid"),
        ("C01", "exp", "[1700000600]", "claim_invalid"),
        ("C03", "iat", "18446744073709551615", "claim_invalid"),
        ("C03", "iat", "-0", "claim_invalid"),
        ("C07", "aud", "7", "claim_invalid"),
        ("C07", "aud", "[7]", "claim_invalid"),
        ("C07", "aud", "{}", "claim_invalid"),
        ("C10", "sub", "7", "claim_invalid"),
        ("C10", "sub", "\"\"", "claim_invalid"),
    ] {
        assert_eq!(world.code(&text(member, value)), code, "{id} {member}: {value}");
    }
    for (id, member, value, code) in [
        (
            "C05",
            "iss",
            json!([iss, "https://evil.example"]),
            "claim_invalid",
        ),
        ("C05", "iss", json!({ "iss": iss }), "claim_invalid"),
        ("C06", "iss", json!(format!("{iss}\0")), "issuer_unknown"),
        ("C06", "iss", json!(format!(" {iss}")), "issuer_unknown"),
        (
            "C06",
            "iss",
            json!(iss.replace("https://", "http://")),
            "issuer_unknown",
        ),
        (
            "C06",
            "iss",
            json!(iss.replace("id.example", "id.example:443")),
            "issuer_unknown",
        ),
        (
            "C06",
            "iss",
            json!(iss.replace("/enterprise", "%2fenterprise")),
            "issuer_unknown",
        ),
        (
            "C06",
            "iss",
            json!(iss.replace("example", "ex\u{430}mple")),
            "issuer_unknown",
        ),
        ("C06", "iss", json!(format!("{iss}?x=1")), "issuer_unknown"),
        ("C06", "iss", json!(format!("{iss}#x")), "issuer_unknown"),
        ("C08", "aud", json!("https://MAIL.example"), "audience_mismatch"),
        (
            "C08",
            "aud",
            json!("https://mail.example https://other.example"),
            "audience_mismatch",
        ),
        ("C13", "scope", json!(["mail.read"]), "claim_invalid"),
        ("C13", "scp", json!(["mail.read mail.admin"]), "claim_invalid"),
    ] {
        let token = world.token("shared", |_, claims| claims[member] = value.clone());
        assert_eq!(world.code(&token), code, "{id} {member}: {value}");
    }
    // C02, C03: clock differences at their edge, both at once.
    let token = world.token("shared", |_, claims| {
        claims["nbf"] = json!(NOW + 30);
        claims["iat"] = json!(NOW + 30);
        claims["exp"] = json!(NOW + 31);
    });
    assert_eq!(world.code(&token), "admitted");
}

#[test]
fn c09_c13_scopes_are_whole_words_and_other_tokens_no_access_tokens() {
    let mut world = World::new();
    world.resource.scopes = vec!["mail.admin".to_owned()];
    for scope in [
        "mail.read,mail.admin",
        "mail.read\tmail.admin",
        "mail.read\u{a0}mail.admin",
        "MAIL.ADMIN",
        "mail.admin2",
        "",
    ] {
        let token = world.token("shared", |_, claims| claims["scope"] = json!(scope));
        assert_eq!(world.code(&token), "scope_insufficient", "{scope:?}");
    }
    // Where both are written `scope` counts, the registered one.
    let token = world.token("shared", |_, claims| claims["scp"] = json!("mail.admin"));
    assert_eq!(world.code(&token), "scope_insufficient");
    world.resource.scopes.clear();
    for typ in ["id_token+jwt", "logout+jwt", "refresh+jwt", "secevent+jwt", "JWT"] {
        let token = world.token("shared", |header, _| header["typ"] = json!(typ));
        assert_eq!(world.code(&token), "token_type_mismatch", "C09 {typ}");
    }
}

#[test]
fn r01_to_r08_keys_and_tenants_do_not_cross() {
    let world = World::new();
    let both = format!("{TENANT}/{OTHER_TENANT}");
    for (id, key, member, value, code) in [
        ("R01", "consumer", "sub", json!("ada"), "key_realm_mismatch"),
        ("R02", "shared", "tid", json!(both), "tenant_mismatch"),
        ("R02", "shared", "tid", json!("1a1a1a1a"), "tenant_mismatch"),
        ("R02", "shared", "tid", json!(7), "claim_invalid"),
        (
            "R02",
            "shared",
            "iss",
            json!(tenant_issuer(&both)),
            "issuer_unknown",
        ),
        ("R02", "shared", "iss", json!(tenant_issuer("")), "issuer_unknown"),
        ("R03", "other-tenant", "sub", json!("ada"), "key_realm_mismatch"),
        ("R05", "shared", "iss", json!(CONSUMER), "key_realm_mismatch"),
        ("R05", "shared", "iss", json!(FOREIGN), "token_type_mismatch"),
        ("R07", "suspect", "sub", json!("ada"), "admitted"),
        ("R08", "retired", "iat", json!(NOW - 99), "key_outside_window"),
        ("R08", "retired", "iat", json!(NOW - 1_001), "key_outside_window"),
    ] {
        let token = world.token(key, |_, claims| claims[member] = value.clone());
        assert_eq!(world.code(&token), code, "{id} {key}, {member}: {value}");
    }
}

#[test]
fn times_and_skew_at_their_extremes() {
    let mut world = World::new();
    let signer = Signer::es256();
    let issuer = IssuerName::parse(FOREIGN).unwrap();
    let key = |window| {
        KeyRecord::new(
            signer.public(),
            issuer.clone(),
            "enterprise",
            KeyState::Active,
            window,
        )
    };
    let header =
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": signer.public().thumbprint().to_base64url() });
    let last = u64::MAX;
    for (skew, lifetime, now, iat, exp, code) in [
        (last, last, NOW, 0, last, "admitted"),
        (last, last, last, 0, 1, "token_expired"),
        (0, last, last, 0, last, "token_expired"),
        (0, last, last - 1, 0, last, "admitted"),
        (0, 1, 0, 0, 1, "admitted"),
        (0, 1, 0, 1, 2, "issued_in_future"),
        (0, 1, 1, 0, 1, "token_expired"),
        (30, last, 0, last - 1, last, "issued_in_future"),
        (last, 1, 0, last - 1, last, "admitted"),
        (30, last - 1, NOW, 0, last, "lifetime_too_long"),
    ] {
        let mut record = IssuerRecord::new(
            issuer.clone(),
            "enterprise",
            lifetime,
            KeySet::new(vec![key(SigningWindow::OPEN)]),
        );
        record.clock_skew = skew;
        world.registry = Registry::new(vec![record]).unwrap();
        let mut claims = claims();
        claims["iss"] = json!(FOREIGN);
        (claims["iat"], claims["exp"]) = (json!(iat), json!(exp));
        let mut check = world.check();
        check.now = now;
        let token = signer.token(&header, &claims);
        let found = verify_both(&token, &check).map_or_else(|refusal| refusal.code(), |_| "admitted");
        assert_eq!(
            found, code,
            "skew {skew}, lifetime {lifetime}, now {now}, iat {iat}, exp {exp}"
        );
    }
}
