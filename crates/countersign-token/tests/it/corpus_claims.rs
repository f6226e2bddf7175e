//! The bad-token corpus, third part: C claims, R issuer, realm and key state, and times at their extremes.

use countersign_token::{
    AudienceRule, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, Registry, SigningWindow,
};
use serde_json::{Value, json};

use crate::world::{
    AUDIENCE, CONSUMER, FOREIGN, NOW, OTHER_TENANT, Signer, TENANT, World, claims, tenant_issuer, verify_both,
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

#[test]
fn c11_a_token_names_one_client() {
    let world = World::new();
    for (client_id, azp, appid, code) in [
        (json!("a"), json!("a"), Value::Null, "admitted"),
        (json!("a"), json!("a"), json!("a"), "admitted"),
        (json!("a"), json!("b"), Value::Null, "client_ambiguous"),
        (json!("a"), Value::Null, json!("b"), "client_ambiguous"),
        (json!("a"), json!("a"), json!("b"), "client_ambiguous"),
        (json!("a"), json!("A"), Value::Null, "client_ambiguous"),
        (json!("a"), json!("a "), Value::Null, "client_ambiguous"),
        // Judged first: an `at+jwt` must have a `client_id`.
        (Value::Null, json!("a"), json!("b"), "claim_missing"),
    ] {
        let token = world.token("shared", |_, claims| {
            for (name, value) in [("client_id", &client_id), ("azp", &azp), ("appid", &appid)] {
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(name);
                } else {
                    claims[name] = value.clone();
                }
            }
        });
        assert_eq!(world.code(&token), code, "{client_id} {azp} {appid}");
    }
    // Without a `client_id`, as issuers without RFC 9068 write.
    for (azp, appid, code) in [("a", "a", "admitted"), ("a", "b", "client_ambiguous")] {
        let token = world.token("rs256", |header, claims| {
            header["typ"] = json!("JWT");
            (claims["iss"], claims["azp"], claims["appid"]) = (json!(FOREIGN), json!(azp), json!(appid));
            claims.as_object_mut().unwrap().remove("client_id");
            claims.as_object_mut().unwrap().remove("tid");
        });
        assert_eq!(world.code(&token), code, "{azp} {appid}");
    }
}

/// The world with the enterprise issuer's record changed.
fn with_enterprise(change: impl FnOnce(&mut IssuerRecord)) -> World {
    let mut world = World::new();
    let mut records = world.registry.issuers().to_vec();
    change(&mut records[1]);
    world.registry = Registry::new(records).unwrap();
    world
}

#[test]
fn a_back_dated_token_is_judged_by_when_it_was_issued() {
    let world = with_enterprise(|record| record.issued_at_offset = 300);
    // `retired` signed from 1000 s ago to 100 s ago; its tokens say 300 s less.
    for (iat, exp, code) in [
        (NOW - 1_301, NOW + 600, "key_outside_window"),
        (NOW - 1_300, NOW + 600, "admitted"),
        (NOW - 400, NOW + 600, "admitted"),
        (NOW - 399, NOW + 600, "key_outside_window"),
        (NOW - 100, NOW + 600, "key_outside_window"),
        // 3600 s from the issuance on.
        (NOW - 500, NOW - 200 + 3_600, "admitted"),
        (NOW - 500, NOW - 200 + 3_601, "lifetime_too_long"),
    ] {
        let edit = |_: &mut Value, claims: &mut Value| {
            (claims["iat"], claims["exp"]) = (json!(iat), json!(exp));
        };
        assert_eq!(world.code(&world.token("retired", edit)), code, "{iat} {exp}");
    }
    // A token that is not back-dated is no token of the future.
    let just_now = world.token("shared", |_, claims| claims["iat"] = json!(NOW + 30));
    assert_eq!(world.code(&just_now), "admitted");
    // The claim is shown as it stands.
    let token = world.verify(&world.token("shared", |_, _| {})).unwrap();
    assert_eq!(token.issued_at(), NOW - 60);
    // At the end of time nothing wraps around.
    let world = with_enterprise(|record| (record.issued_at_offset, record.clock_skew) = (u64::MAX, u64::MAX));
    assert_eq!(
        world.code(&world.token("retired", |_, _| {})),
        "key_outside_window"
    );
    assert_eq!(world.code(&world.token("shared", |_, _| {})), "admitted");
}

#[test]
fn r09_an_issuer_issues_for_the_audiences_of_its_record() {
    let other = "https://files.example";
    let code = |allowed: &[&str], aud: Value| {
        let allowed = allowed.iter().map(|it| (*it).to_owned()).collect();
        let world = with_enterprise(|record| record.audiences = AudienceRule::Only(allowed));
        world.code(&world.token("shared", |_, claims| claims["aud"] = aud))
    };
    assert_eq!(code(&[AUDIENCE], json!(AUDIENCE)), "admitted");
    assert_eq!(code(&[other, AUDIENCE], json!([AUDIENCE, other])), "admitted");
    assert_eq!(code(&[other], json!(AUDIENCE)), "audience_not_allowed");
    assert_eq!(code(&[], json!(AUDIENCE)), "audience_not_allowed");
    assert_eq!(
        code(&["https://mail.example/"], json!(AUDIENCE)),
        "audience_not_allowed"
    );
    assert_eq!(
        code(&[AUDIENCE], json!([AUDIENCE, other])),
        "audience_not_allowed"
    );
    assert_eq!(code(&[AUDIENCE], json!([other])), "audience_mismatch");
}
