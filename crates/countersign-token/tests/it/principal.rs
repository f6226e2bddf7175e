//! Who a token speaks for, and which names of it cannot be mixed up.

use std::collections::HashSet;
use std::sync::LazyLock;

use countersign_token::{ParsedToken, Principal, RawToken, TenantRule, TokenDigest};
use serde_json::json;

use crate::world::{FOREIGN, OTHER_TENANT, TENANT, World, tenant_issuer};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

const OBJECT: &str = "0b7ec700-1111-4222-8333-444444444444";

fn principal(world: &World, key: &str, edit: impl FnOnce(&mut serde_json::Value)) -> Principal {
    let token = world.token(key, |header, claims| {
        if key == "rs256" {
            header["typ"] = json!("JWT");
        }
        edit(claims);
    });
    world.verify(&token).unwrap().principal()
}

#[test]
fn a_subject_is_its_issuers() {
    let ada = principal(&WORLD, "shared", |_| {});
    assert_eq!(
        ada,
        Principal::Subject {
            issuer: tenant_issuer(TENANT).into(),
            subject: "ada".into()
        }
    );
    let namesake = principal(&WORLD, "shared", |c| {
        c["iss"] = json!(tenant_issuer(OTHER_TENANT));
        c["tid"] = json!(OTHER_TENANT);
    });
    let foreign = principal(&WORLD, "rs256", |c| {
        c["iss"] = json!(FOREIGN);
        c.as_object_mut().unwrap().remove("tid");
    });
    assert_eq!(HashSet::from([ada, namesake, foreign]).len(), 3);
}

#[test]
fn a_user_of_a_tenant_is_the_same_to_every_application() {
    let of = |subject: &str| {
        principal(&WORLD, "shared", |c| {
            c["sub"] = json!(subject);
            c["oid"] = json!(OBJECT);
        })
    };
    assert_eq!(of("ada-for-mail"), of("ada-for-calendar"));
    assert_eq!(of("ada").to_string(), format!("{TENANT}/{OBJECT}"));
}

#[test]
fn a_tenant_counts_only_where_the_issuer_speaks_for_it() {
    let edit = |c: &mut serde_json::Value| {
        c["iss"] = json!(FOREIGN);
        c["oid"] = json!(OBJECT);
    };
    let unproved = principal(&WORLD, "rs256", edit);
    assert!(matches!(unproved, Principal::Subject { .. }), "{unproved}");

    let mut world = World::new();
    let mut records = world.registry.issuers().to_vec();
    for record in &mut records {
        if record.issuer.as_str() == FOREIGN {
            record.tenants = TenantRule::Only(vec![TENANT.to_owned()]);
        }
    }
    world.registry = countersign_token::Registry::new(records).unwrap();
    let proved = principal(&world, "rs256", edit);
    assert!(matches!(proved, Principal::Object { .. }), "{proved}");
}

#[test]
fn an_email_address_never_makes_a_principal() {
    let of = |email: &str| principal(&WORLD, "shared", |c| c["email"] = json!(email));
    assert_eq!(of("ada@contoso.example"), of("ceo@contoso.example"));
    assert!(!of("ada@contoso.example").to_string().contains("contoso"));
}

#[test]
fn a_digest_changes_with_the_signature_and_a_fingerprint_does_not() {
    let (one, two) = (WORLD.token("shared", |_, _| {}), WORLD.token("shared", |_, _| {}));
    assert_ne!(one, two, "ES256 signs differently each time");
    let (a, b) = (
        ParsedToken::parse(&one).unwrap(),
        ParsedToken::parse(&two).unwrap(),
    );
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert_ne!(a.token_digest(), b.token_digest());
    assert_eq!(a.token_digest(), TokenDigest::of(&one));
    assert_eq!(RawToken::new(&one).unwrap().fingerprint(), a.fingerprint());
    assert_ne!(a.token_digest().as_bytes(), a.fingerprint().as_bytes());
}
