//! Each rule with tokens that break it and nothing else before it.

use countersign_token::{KeyState, TenantRule, UnverifiedEmail};
use serde_json::{Value, json};

use crate::world::{
    AUDIENCE, CONSUMER, FOREIGN, NOW, OTHER_TENANT, TENANT, World, claims, encode, tenant_issuer,
};

#[test]
fn good_tokens_are_admitted() {
    let world = World::new();
    for (key, edit) in [
        ("shared", (|_, _| {}) as fn(&mut Value, &mut Value)),
        ("tenant", |_, _| {}),
        ("suspect", |_, _| {}),
        ("retired", |_, c| c["iat"] = json!(NOW - 100)),
        ("retired", |_, c| c["iat"] = json!(NOW - 1_000)),
        ("shared", |h, _| h["typ"] = json!("AT+JWT")),
        ("shared", |h, _| h["typ"] = json!("application/at+jwt")),
        ("shared", |h, _| h["x5t"] = json!("thumbprint-of-a-certificate")),
        ("shared", |_, c| {
            c["aud"] = json!(["https://other.example", AUDIENCE]);
        }),
        ("shared", |_, c| c["iat"] = json!(NOW + 30)),
        ("shared", |_, c| c["nbf"] = json!(NOW + 30)),
        ("shared", |_, c| c["exp"] = json!(NOW - 29)),
        ("shared", |_, c| c["exp"] = json!(NOW - 60 + 3_600)),
        ("shared", |_, c| c["email"] = json!("ada@Contoso.example")),
        ("shared", |_, c| {
            c["preferred_username"] = json!("ada@anything.example");
        }),
        ("shared", |_, c| {
            c["roles"] = json!([{ "name": "r", "deep": [[1, 2.5, null, true]] }]);
        }),
        ("rs256", |h, c| foreign(h, c, "JWT")),
        ("eddsa", |h, c| foreign(h, c, "jwt")),
    ] {
        let token = world.token(key, edit);
        assert_eq!(world.code(&token), "admitted", "{key}");
    }
    let untyped = world.token("rs256", |h, c| {
        foreign(h, c, "");
        h.as_object_mut().unwrap().remove("typ");
    });
    assert_eq!(world.code(&untyped), "admitted");
}

fn foreign(header: &mut Value, claims: &mut Value, typ: &str) {
    header["typ"] = json!(typ);
    claims["iss"] = json!(FOREIGN);
    let claims = claims.as_object_mut().unwrap();
    for name in ["tid", "jti", "client_id"] {
        claims.remove(name);
    }
}

#[test]
fn what_was_verified_can_be_read() {
    let world = World::new();
    let text = world.token("tenant", |_, c| {
        c["act"] = json!({ "sub": "robot", "act": { "sub": "earlier" } });
        c["sid"] = json!("session");
    });
    let token = world.verify(&text).unwrap();
    let key = &world.key("tenant").record;
    assert_eq!(token.issuer(), tenant_issuer(TENANT));
    assert_eq!(
        (token.realm(), token.tenant(), token.subject()),
        ("enterprise", Some(TENANT), "ada")
    );
    assert_eq!(
        (token.client_id(), token.scope()),
        (Some("mail-client"), "mail.read mail.send")
    );
    assert_eq!(token.audience().collect::<Vec<_>>(), [AUDIENCE]);
    assert_eq!(
        (token.token_id(), token.session_id(), token.actor()),
        (Some("token-1"), Some("session"), Some("robot"))
    );
    assert_eq!((token.issued_at(), token.expires_at()), (NOW - 60, NOW + 600));
    assert_eq!(
        (token.key_id(), token.key_thumbprint()),
        (key.id(), key.thumbprint())
    );
    assert_eq!(
        (token.key_state(), token.algorithm()),
        (KeyState::Active, key.algorithm())
    );
    let input = text.rsplit_once('.').unwrap().0;
    assert_eq!(
        token.fingerprint(),
        countersign_token::Fingerprint::of_signing_input(input.as_bytes())
    );
    let shown = format!("{token:?}");
    assert!(
        !shown.contains(TENANT) && !shown.contains("mail-client"),
        "{shown}"
    );
}

#[test]
fn form_is_checked_before_anything_else() {
    let world = World::new();
    let good = world.token("shared", |_, _| {});
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let large_header = encode(format!("{{\"alg\":\"ES256\",\"kid\":\"{}\"}}", "k".repeat(4_096)));
    for (token, code) in [
        (String::new(), "segment_count_wrong"),
        (".".into(), "segment_count_wrong"),
        ("..".into(), "segment_count_wrong"),
        (header.into(), "segment_count_wrong"),
        (input.into(), "segment_count_wrong"),
        (format!("{good}."), "segment_count_wrong"),
        (format!("{good}.{signature}"), "segment_count_wrong"),
        (format!("..{good}"), "segment_count_wrong"),
        (format!("{good}.a.b"), "segment_count_wrong"),
        (format!(".{payload}.{signature}"), "segment_count_wrong"),
        (format!("{header}..{signature}"), "segment_count_wrong"),
        (".".repeat(10_000), "segment_count_wrong"),
        (".".repeat(1_000_000), "token_too_large"),
        ("a".repeat(16 * 1024 + 1), "token_too_large"),
        (
            format!("{large_header}.{payload}.{signature}"),
            "header_too_large",
        ),
        (format!(" {good}"), "base64url_invalid"),
        (format!("{good} "), "base64url_invalid"),
        (format!("{good}\n"), "base64url_invalid"),
        (format!("{good}\0"), "base64url_invalid"),
        (format!("{good}="), "base64url_invalid"),
        (format!("{header}.{payload}=.{signature}"), "base64url_invalid"),
        (format!("{header}.+{payload}.{signature}"), "base64url_invalid"),
        (format!("{header}.{payload}.{signature}B"), "base64url_invalid"),
        (format!("{header}.{payload}?.{signature}"), "base64url_invalid"),
        (
            format!("{header}.{payload}.\u{e9}{signature}"),
            "base64url_invalid",
        ),
        (format!("{header}.{payload}."), "signature_invalid"),
    ] {
        assert_eq!(world.code(&token), code, "{token:.60}");
    }
    for json in [
        r#"{"payload":"a","signatures":[]}"#,
        r#"{"protected":"a.b","payload":"c.d"}"#,
    ] {
        assert!(world.verify(json).is_err());
    }
}

#[test]
fn hostile_headers_are_refused_although_signed() {
    let world = World::new();
    for (member, value, code) in [
        ("jku", json!("https://evil.example/keys"), "header_key_forbidden"),
        ("jwk", json!({ "kty": "EC" }), "header_key_forbidden"),
        ("x5u", json!("https://evil.example/cert"), "header_key_forbidden"),
        ("x5c", json!(["MII"]), "header_key_forbidden"),
        ("crit", json!(["exp"]), "critical_header_unsupported"),
        ("crit", json!([]), "critical_header_unsupported"),
        ("b64", json!(true), "critical_header_unsupported"),
        ("zip", json!("DEF"), "encryption_unsupported"),
        ("enc", json!("A256GCM"), "encryption_unsupported"),
        ("cty", json!("JWT"), "content_type_forbidden"),
        ("iss", json!("https://id.example"), "header_member_unknown"),
        ("nonce", json!("n"), "header_member_unknown"),
        (
            "kid",
            json!("../../etc/passwd\0".repeat(20)),
            "header_member_invalid",
        ),
        ("kid", json!(["a"]), "header_member_invalid"),
        ("kid", json!(null), "header_member_invalid"),
        ("kid", json!(""), "header_member_invalid"),
        ("alg", json!(1), "header_member_invalid"),
        ("alg", json!("none"), "algorithm_none"),
        ("alg", json!("NonE"), "algorithm_none"),
        ("alg", json!("HS256"), "algorithm_symmetric"),
        ("alg", json!("ES256K"), "algorithm_unsupported"),
        ("alg", json!("RS1"), "algorithm_unsupported"),
        ("kid", json!("../../etc/passwd"), "key_unknown"),
        ("kid", json!("' OR 1=1 --"), "key_unknown"),
        ("alg", json!("RS256"), "algorithm_mismatch"),
        ("alg", json!("EdDSA"), "algorithm_mismatch"),
        ("typ", json!("JWT"), "token_type_mismatch"),
        ("typ", json!("dpop+jwt"), "token_type_mismatch"),
        ("typ", json!("logout+jwt"), "token_type_mismatch"),
        ("typ", json!("text/at+jwt"), "token_type_mismatch"),
    ] {
        let token = world.token("shared", |header, _| header[member] = value.clone());
        assert_eq!(world.code(&token), code, "{member}: {value:.40}");
    }
    for (member, code) in [
        ("alg", "algorithm_missing"),
        ("kid", "key_id_missing"),
        ("typ", "token_type_mismatch"),
    ] {
        let token = world.token("shared", |header, _| {
            header.as_object_mut().unwrap().remove(member);
        });
        assert_eq!(world.code(&token), code, "no {member}");
    }
    for (header, code) in [
        ("", "segment_count_wrong"),
        ("[]", "header_json_invalid"),
        (r#"{"alg":"ES256"} "#, "token_type_mismatch"),
        (r#"{"alg":"ES256"}x"#, "header_json_invalid"),
        (r#"{"alg":"ES256","alg":"ES256"}"#, "header_member_repeated"),
    ] {
        let token = world
            .key("shared")
            .signer
            .token_of_text(header, &claims().to_string());
        assert_eq!(world.code(&token), code, "{header}");
    }
}

#[test]
fn claims_are_read_strictly() {
    let world = World::new();
    let header = world.header("shared").to_string();
    let good = claims().to_string();
    let with = |members: &str| good.replacen('{', &format!("{{{members},"), 1);
    for (claims, code) in [
        ("[]".to_owned(), "claims_json_invalid"),
        ("\"\"".into(), "claims_json_invalid"),
        (format!("{good}{good}"), "claims_json_invalid"),
        (format!("\u{feff}{good}"), "claims_json_invalid"),
        (
            with(&format!("\"a\":{}1{}", "[".repeat(50), "]".repeat(50))),
            "claims_json_invalid",
        ),
        (with("\"a\":1e400"), "claims_json_invalid"),
        (with("\"iss\":\"https://evil.example\""), "claim_repeated"),
        (with("\"\\u0069ss\":\"https://evil.example\""), "claim_repeated"),
        (with("\"TID\":\"x\""), "claim_repeated"),
        (with("\"EXP\":1"), "claim_repeated"),
        (with("\"x\":{\"y\":1,\"y\":2}"), "claim_repeated"),
        (with("\"nbf\":\"1\""), "claim_invalid"),
        (with("\"act\":[]"), "claim_invalid"),
    ] {
        let token = world.key("shared").signer.token_of_text(&header, &claims);
        assert_eq!(world.code(&token), code, "{claims:.60}");
    }
    let signer = &world.key("shared").signer;
    let input = format!("{}.{}", encode(&header), encode(b"{\"iss\":\"\xff\"}"));
    let token = format!("{input}.{}", encode(signer.sign(input.as_bytes())));
    assert_eq!(world.code(&token), "claims_json_invalid");
}

#[test]
fn a_missing_claim_means_no() {
    let world = World::new();
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"] {
        let token = world.token("shared", |_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(world.code(&token), "claim_missing", "{name}");
    }
    let token = world.token("shared", |_, claims| {
        claims.as_object_mut().unwrap().remove("tid");
    });
    assert_eq!(world.code(&token), "tenant_mismatch");
}

#[test]
fn a_claim_that_is_off_is_refused() {
    let world = World::new();
    let tenant = tenant_issuer(TENANT);
    for (name, value, code) in [
        ("iss", json!("https://id.example/enterprise"), "issuer_unknown"),
        ("iss", json!(format!("{tenant}/")), "issuer_unknown"),
        ("iss", json!(tenant.to_uppercase()), "issuer_unknown"),
        ("iss", json!(tenant_issuer("contoso.example")), "issuer_unknown"),
        ("iss", json!(tenant_issuer("{tenantid}")), "issuer_unknown"),
        (
            "iss",
            json!(tenant.replace("id.example", "id.example.evil")),
            "issuer_unknown",
        ),
        (
            "iss",
            json!(tenant.replace("id.example", "u@id.example")),
            "issuer_unknown",
        ),
        ("iss", json!([tenant]), "claim_invalid"),
        ("iss", json!(null), "claim_invalid"),
        ("tid", json!(OTHER_TENANT), "tenant_mismatch"),
        ("tid", json!(TENANT.to_uppercase()), "tenant_mismatch"),
        ("tid", json!(" "), "tenant_mismatch"),
        ("tid", json!(""), "claim_invalid"),
        ("tid", json!(null), "claim_invalid"),
        ("exp", json!(NOW - 30), "token_expired"),
        ("exp", json!(NOW - 60), "claim_invalid"),
        ("exp", json!(0), "claim_invalid"),
        ("exp", json!("1800000000"), "claim_invalid"),
        ("exp", json!(1.8e9), "claim_invalid"),
        ("exp", json!(u64::MAX), "lifetime_too_long"),
        ("exp", json!(NOW - 60 + 3_601), "lifetime_too_long"),
        ("nbf", json!(NOW + 31), "token_not_yet_valid"),
        ("nbf", json!(NOW + 599), "token_not_yet_valid"),
        ("nbf", json!(NOW + 600), "claim_invalid"),
        ("nbf", json!(u64::MAX), "claim_invalid"),
        ("iat", json!(NOW + 31), "issued_in_future"),
        ("iat", json!(0), "key_outside_window"),
        ("iat", json!(NOW - 86_401), "key_outside_window"),
        ("aud", json!("https://mail.example/"), "audience_mismatch"),
        ("aud", json!("https://mail.example.evil"), "audience_mismatch"),
        ("aud", json!(["https://other.example"]), "audience_mismatch"),
        ("aud", json!([]), "claim_invalid"),
        ("cnf", json!({ "jkt": "x" }), "claim_invalid"),
        (
            "cnf",
            json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
            "proof_missing",
        ),
        ("cnf", json!({}), "confirmation_unsupported"),
        ("cnf", json!({ "jwk": {} }), "confirmation_unsupported"),
        ("email", json!("ada@fabrikam.example"), "email_unverified"),
        ("email", json!("ada@contoso.example.evil"), "email_unverified"),
        (
            "email",
            json!("ada@evil.example@contoso.example"),
            "email_unverified",
        ),
        ("email", json!("ada"), "email_unverified"),
    ] {
        let token = world.token("shared", |_, claims| claims[name] = value.clone());
        assert_eq!(world.code(&token), code, "{name}: {value}");
    }
}

#[test]
fn keys_stay_in_their_issuer_realm_tenant_and_time() {
    let world = World::new();
    for (key, code) in [
        // A stolen consumer key signs for an enterprise tenant: the incident.
        ("consumer", "key_realm_mismatch"),
        ("consumer-retired", "key_realm_mismatch"),
        ("rs256", "key_realm_mismatch"),
        ("other-tenant", "key_realm_mismatch"),
        ("revoked", "key_revoked"),
        ("staged", "key_staged"),
        ("expired", "key_expired"),
        ("retired", "key_outside_window"),
        ("retired-long-ago", "key_outside_window"),
        ("retired-without-end", "key_outside_window"),
        ("not-before-tomorrow", "key_outside_window"),
    ] {
        assert_eq!(world.code(&world.token(key, |_, _| {})), code, "{key}");
    }
    // The forger names a good key and signs with the one he has.
    let kid = world.key("shared").record.id().to_owned();
    let forged = world.token("consumer", |header, _| header["kid"] = json!(kid));
    assert_eq!(world.code(&forged), "signature_invalid");
    // An invented key.
    let invented = world.token("shared", |header, _| header["kid"] = json!("invented"));
    assert_eq!(world.code(&invented), "key_unknown");
    // A retired key back-dates its token: then the token is over.
    let back_dated = world.token("retired-long-ago", |_, claims| {
        claims["iat"] = json!(NOW - 600_000);
        claims["exp"] = json!(NOW + 600);
    });
    assert_eq!(world.code(&back_dated), "lifetime_too_long");
    let detail = world
        .verify(&world.token("consumer", |_, _| {}))
        .unwrap_err()
        .to_string();
    assert!(
        detail.contains("realm consumer") && detail.contains(CONSUMER),
        "{detail}"
    );
}

#[test]
fn signatures_are_of_this_key_over_these_bytes() {
    let world = World::new();
    let good = world.token("shared", |_, _| {});
    let other = world.token("shared", |_, claims| claims["jti"] = json!("token-2"));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let stolen = other.rsplit_once('.').unwrap().1;
    let zeros = encode([0; 64]);
    let cut = encode(&base64_decode(signature)[..63]);
    let longer = encode([base64_decode(signature), vec![0]].concat());
    for signature in [stolen, &zeros, &cut, &longer] {
        assert_eq!(world.code(&format!("{input}.{signature}")), "signature_invalid");
    }
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .unwrap()
}

#[test]
fn resources_ask_for_realm_tenant_scopes_and_proven_addresses() {
    let mut world = World::new();
    let token = world.token("shared", |_, _| {});
    world.resource.realm = "consumer".to_owned();
    assert_eq!(world.code(&token), "resource_realm_mismatch");
    world.resource.realm = "enterprise".to_owned();
    world.resource.tenants = TenantRule::Only(vec![OTHER_TENANT.to_owned()]);
    assert_eq!(world.code(&token), "tenant_not_allowed");
    world.resource.tenants = TenantRule::Only(vec![TENANT.to_owned()]);
    assert_eq!(world.code(&token), "admitted");
    // A token without a tenant where one is asked for.
    let untenanted = world.token("rs256", |h, c| foreign(h, c, "JWT"));
    assert_eq!(world.code(&untenanted), "tenant_not_allowed");
    // An exact issuer names a tenant nobody lets it speak for.
    let claimed = world.token("rs256", |h, c| {
        foreign(h, c, "JWT");
        c["tid"] = json!(TENANT);
    });
    assert_eq!(world.code(&claimed), "tenant_not_allowed");
    for (scopes, code) in [
        (vec!["mail.send", "mail.read"], "admitted"),
        (vec!["mail.read", "mail.delete"], "scope_insufficient"),
        (vec!["mail"], "scope_insufficient"),
    ] {
        world.resource.scopes = scopes.into_iter().map(str::to_owned).collect();
        assert_eq!(world.code(&token), code);
    }
    let unscoped = world.token("shared", |_, claims| {
        claims.as_object_mut().unwrap().remove("scope");
    });
    assert_eq!(world.code(&unscoped), "scope_insufficient");
    world.resource.scopes.clear();
    let impersonating = world.token("shared", |_, claims| {
        claims["email"] = json!("ceo@fabrikam.example");
    });
    assert_eq!(world.code(&impersonating), "email_unverified");
    world.resource.unverified_email = UnverifiedEmail::Ignore;
    assert_eq!(world.code(&impersonating), "admitted");
}

#[test]
fn a_consumer_token_stays_in_its_realm() {
    let mut world = World::new();
    let token = world.token("consumer", |_, claims| {
        claims["iss"] = json!(CONSUMER);
        claims.as_object_mut().unwrap().remove("tid");
    });
    assert_eq!(world.code(&token), "resource_realm_mismatch");
    world.resource.realm = "consumer".to_owned();
    assert_eq!(world.code(&token), "admitted");
}
