//! Issuers side by side.

use countersign_token::{
    Check, IssuerName, IssuerRecord, KeyRecord, KeySet, KeyState, Registry, Resource, SigningWindow,
    TenantRule,
};
use serde_json::json;

use crate::world::{
    AUDIENCE, CONSUMER, NOW, OTHER_TENANT, Signer, TEMPLATE, TENANT, World, claims, tenant_issuer,
    verify_both,
};

fn record(issuer: &str, realm: &str, keys: Vec<KeyRecord>) -> IssuerRecord {
    IssuerRecord::new(
        IssuerName::parse(issuer).unwrap(),
        realm,
        3_600,
        KeySet::new(keys),
    )
}

fn key(signer: &Signer, issuer: &str, realm: &str) -> KeyRecord {
    let issuer = IssuerName::parse(issuer).unwrap();
    KeyRecord::new(
        signer.public(),
        issuer,
        realm,
        KeyState::Active,
        SigningWindow::OPEN,
    )
}

fn error(records: Vec<IssuerRecord>) -> &'static str {
    Registry::new(records)
        .err()
        .map_or("accepted", |error| error.code())
}

#[test]
fn records_must_be_complete_and_own_their_keys() {
    let signer = Signer::es256();
    let changed = |change: fn(&mut IssuerRecord)| {
        let mut record = record(CONSUMER, "consumer", vec![]);
        change(&mut record);
        vec![record]
    };
    assert_eq!(error(changed(|_| {})), "accepted");
    assert_eq!(error(changed(|r| r.realm.clear())), "issuer_realm_empty");
    assert_eq!(
        error(changed(|r| r.token_types.clear())),
        "issuer_token_types_empty"
    );
    assert_eq!(error(changed(|r| r.lifetime_max = 0)), "issuer_lifetime_zero");
    let twice = |issuer| vec![record(issuer, "a", vec![]), record(issuer, "b", vec![])];
    assert_eq!(error(twice(CONSUMER)), "issuer_repeated");
    assert_eq!(error(twice(TEMPLATE)), "issuer_repeated");
    for (issuer, realm, code) in [
        (CONSUMER, "consumer", "accepted"),
        (CONSUMER, "enterprise", "issuer_key_foreign"),
        (TEMPLATE, "consumer", "issuer_key_foreign"),
    ] {
        assert_eq!(
            error(vec![record(
                CONSUMER,
                "consumer",
                vec![key(&signer, issuer, realm)]
            )]),
            code
        );
    }
    let tenant = tenant_issuer(TENANT);
    assert_eq!(
        error(vec![record(TEMPLATE, "e", vec![key(&signer, &tenant, "e")])]),
        "accepted"
    );
    assert_eq!(
        error(vec![record(&tenant, "e", vec![key(&signer, TEMPLATE, "e")])]),
        "issuer_key_foreign"
    );
}

#[test]
fn an_exact_issuer_goes_before_a_template() {
    let shared = Signer::es256();
    let special = tenant_issuer(OTHER_TENANT);
    let registry = Registry::new(vec![
        record(TEMPLATE, "enterprise", vec![key(&shared, TEMPLATE, "enterprise")]),
        record(&special, "consumer", vec![]),
    ])
    .unwrap();
    assert_eq!(registry.issuer(&special).unwrap().0.realm, "consumer");
    let (found, tenant) = registry
        .issuer(&tenant_issuer(TENANT))
        .map(|(r, t)| (r.realm.clone(), t.map(str::to_owned)))
        .unwrap();
    assert_eq!((found.as_str(), tenant.as_deref()), ("enterprise", Some(TENANT)));
    assert!(registry.issuer(TEMPLATE).is_none());
    // The template's key does not sign for the tenant that was taken out of it.
    let header =
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": shared.public().thumbprint().to_base64url() });
    let mut claims = claims();
    claims["iss"] = json!(special);
    claims["tid"] = json!(OTHER_TENANT);
    let resource = Resource::new("mail", AUDIENCE, "consumer");
    let check = Check::new(&registry, &resource, NOW);
    let refusal = verify_both(&shared.token(&header, &claims), &check).unwrap_err();
    assert_eq!(refusal.code(), "key_realm_mismatch");
}

#[test]
fn tenants_are_those_the_issuer_may_name() {
    let signer = Signer::es256();
    let header =
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": signer.public().thumbprint().to_base64url() });
    let code = |issuer: &str, tid: Option<&str>, tenants: &TenantRule| {
        let mut record = record(if issuer == CONSUMER { CONSUMER } else { TEMPLATE }, "r", vec![]);
        record.keys = KeySet::new(vec![key(&signer, record.issuer.as_str(), "r")]);
        record.tenants = tenants.clone();
        let registry = Registry::new(vec![record]).unwrap();
        let mut resource = Resource::new("mail", AUDIENCE, "r");
        resource.tenants = TenantRule::Only(vec![TENANT.to_owned()]);
        let mut claims = claims();
        claims["iss"] = json!(issuer);
        match tid {
            Some(tid) => claims["tid"] = json!(tid),
            None => drop(claims.as_object_mut().unwrap().remove("tid")),
        }
        let check = Check::new(&registry, &resource, NOW);
        verify_both(&signer.token(&header, &claims), &check).map_or_else(
            |r| r.code(),
            |token| {
                assert_eq!(token.tenant(), Some(TENANT));
                "admitted"
            },
        )
    };
    let (only, other) = (
        TenantRule::Only(vec![TENANT.to_owned()]),
        TenantRule::Only(vec![OTHER_TENANT.to_owned()]),
    );
    let template = tenant_issuer(TENANT);
    assert_eq!(code(&template, Some(TENANT), &TenantRule::Any), "admitted");
    assert_eq!(code(&template, Some(TENANT), &only), "admitted");
    assert_eq!(code(&template, Some(TENANT), &other), "tenant_not_allowed");
    assert_eq!(code(&template, None, &only), "tenant_mismatch");
    assert_eq!(code(CONSUMER, Some(TENANT), &only), "admitted");
    assert_eq!(
        code(CONSUMER, Some(TENANT), &TenantRule::Any),
        "tenant_not_allowed"
    );
    assert_eq!(code(CONSUMER, Some(OTHER_TENANT), &only), "tenant_not_allowed");
    assert_eq!(code(CONSUMER, None, &only), "tenant_not_allowed");
}

#[test]
fn issuers_with_equal_key_ids_do_not_mix() {
    let (a, b) = (Signer::es256(), Signer::es256());
    let registry = Registry::new(vec![
        record(
            "https://a.example",
            "r",
            vec![key(&a, "https://a.example", "r").with_id("1")],
        ),
        record(
            "https://b.example",
            "r",
            vec![key(&b, "https://b.example", "r").with_id("1")],
        ),
    ])
    .unwrap();
    let resource = Resource::new("mail", AUDIENCE, "r");
    let check = Check::new(&registry, &resource, NOW);
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "1" });
    let mut claims = claims();
    claims["iss"] = json!("https://a.example");
    assert!(verify_both(&a.token(&header, &claims), &check).is_ok());
    assert_eq!(
        verify_both(&b.token(&header, &claims), &check)
            .unwrap_err()
            .code(),
        "signature_invalid"
    );
}

#[test]
fn an_empty_registry_trusts_nobody() {
    let world = World::new();
    let empty = Registry::default();
    let check = Check::new(&empty, &world.resource, NOW);
    assert_eq!(
        verify_both(&world.token("shared", |_, _| {}), &check)
            .unwrap_err()
            .code(),
        "issuer_unknown"
    );
}

#[test]
fn the_end_of_time_does_not_overflow() {
    let world = World::new();
    let mut records = world.registry.issuers().to_vec();
    for record in &mut records {
        record.clock_skew = u64::MAX;
        record.lifetime_max = u64::MAX;
    }
    let registry = Registry::new(records).unwrap();
    for now in [0, NOW, u64::MAX] {
        let check = Check::new(&registry, &world.resource, now);
        for (iat, exp) in [(NOW, u64::MAX), (u64::MAX - 1, u64::MAX), (0, 1)] {
            let token = world.token("shared", |_, claims| {
                claims["iat"] = json!(iat);
                claims["exp"] = json!(exp);
            });
            let _ = verify_both(&token, &check);
        }
    }
}
