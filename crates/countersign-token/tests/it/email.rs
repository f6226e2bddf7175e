//! Which e-mail addresses may be shown: nOAuth must not work.

use countersign_token::{EmailVerified, Registry, UnverifiedEmail};
use serde_json::{Value, json};

use crate::world::{FOREIGN, World};

fn world(verified: EmailVerified) -> World {
    let mut world = World::new();
    let mut records = world.registry.issuers().to_vec();
    for record in &mut records {
        record.email_verified = verified;
    }
    world.registry = Registry::new(records).unwrap();
    world.resource.unverified_email = UnverifiedEmail::Ignore;
    world
}

/// The address that may be shown, of a tenant's user or of an issuer's without tenants.
fn shown(world: &World, key: &str, edit: impl FnOnce(&mut Value)) -> Option<String> {
    let token = world.token(key, |header, claims| {
        if key == "rs256" {
            header["typ"] = json!("JWT");
            claims["iss"] = json!(FOREIGN);
            claims.as_object_mut().unwrap().remove("tid");
        }
        edit(claims);
    });
    world
        .verify(&token)
        .unwrap()
        .displayable_email()
        .map(str::to_owned)
}

#[test]
fn a_domain_that_the_tenant_owns_is_enough() {
    let world = world(EmailVerified::Ignore);
    let of = |email: &str| shown(&world, "shared", |c| c["email"] = json!(email));
    assert_eq!(of("ada@Contoso.example").as_deref(), Some("ada@Contoso.example"));
    for email in [
        "ada@fabrikam.example",
        "ada@contoso.example.evil",
        "ada",
        "a@b@contoso.example",
    ] {
        assert_eq!(of(email), None, "{email}");
    }
    assert_eq!(shown(&world, "shared", |_| {}), None);
}

#[test]
fn xms_edov_counts_for_a_tenant_in_the_forms_that_say_yes() {
    let world = world(EmailVerified::Ignore);
    let of = |key: &str, edov: Value| {
        shown(&world, key, |c| {
            c["email"] = json!("ada@fabrikam.example");
            c["xms_edov"] = edov;
        })
    };
    for edov in [json!(true), json!(1), json!("1"), json!("true")] {
        assert!(of("shared", edov.clone()).is_some(), "{edov}");
        assert_eq!(
            of("rs256", edov),
            None,
            "no tenant, nobody who could own a domain"
        );
    }
    for edov in [
        json!(false),
        json!(0),
        json!("0"),
        json!("false"),
        json!("TRUE"),
        json!(2),
        json!(null),
        json!([true]),
    ] {
        assert_eq!(of("shared", edov.clone()), None, "{edov}");
    }
}

#[test]
fn email_verified_alone_counts_only_where_the_record_says_so() {
    let of = |world: &World, verified: Value| {
        shown(world, "rs256", |c| {
            c["email"] = json!("ada@fabrikam.example");
            c["email_verified"] = verified;
        })
    };
    let (ignoring, believing) = (world(EmailVerified::Ignore), world(EmailVerified::Believe));
    assert_eq!(of(&ignoring, json!(true)), None);
    assert!(of(&believing, json!(true)).is_some());
    for verified in [json!(false), json!("true"), json!(1), json!(null)] {
        assert_eq!(of(&believing, verified.clone()), None, "{verified}");
    }
}

#[test]
fn the_rule_and_the_helper_agree() {
    for (edov, expected) in [(json!(true), "admitted"), (json!(false), "email_unverified")] {
        let mut world = world(EmailVerified::Ignore);
        world.resource.unverified_email = UnverifiedEmail::Refuse;
        let token = world.token("shared", |_, c| {
            c["email"] = json!("ada@fabrikam.example");
            c["xms_edov"] = edov;
        });
        assert_eq!(world.code(&token), expected);
    }
}
