//! Explanations go on after a failure, as far as there is something to look at.

use countersign_token::{Outcome, RULES, explain};
use serde_json::json;

use crate::world::{NOW, World};

fn failures(world: &World, token: &str) -> Vec<&'static str> {
    let steps = explain(token, &world.check()).steps;
    assert_eq!(steps.len(), RULES.len());
    steps
        .iter()
        .filter(|step| step.outcome == Outcome::Failed)
        .map(|step| step.reason.as_str())
        .collect()
}

fn not_reached(world: &World, token: &str) -> usize {
    let steps = explain(token, &world.check()).steps;
    steps
        .iter()
        .filter(|step| step.outcome == Outcome::NotReached)
        .count()
}

#[test]
fn a_good_token_passes_every_rule() {
    let world = World::new();
    let token = world.token("shared", |_, _| {});
    assert_eq!(
        (failures(&world, &token).len(), not_reached(&world, &token)),
        (0, 0)
    );
}

#[test]
fn every_broken_rule_is_named() {
    let world = World::new();
    let token = world.token("retired-long-ago", |_, claims| {
        claims["aud"] = json!("https://other.example");
        claims["exp"] = json!(NOW - 50);
        claims["email"] = json!("a@b");
    });
    assert_eq!(
        failures(&world, &token),
        [
            "key_outside_window",
            "token_expired",
            "audience_mismatch",
            "email_unverified"
        ]
    );
    assert_eq!(not_reached(&world, &token), 0);
}

#[test]
fn bad_form_does_not_hide_the_rest() {
    let world = World::new();
    let token = world.token("shared", |header, claims| {
        header["jku"] = json!("https://evil.example");
        header["alg"] = json!("none");
        claims["iss"] = json!("https://evil.example");
    });
    assert_eq!(
        failures(&world, &token),
        ["header_key_forbidden", "algorithm_none", "issuer_unknown"]
    );
    assert_eq!(failures(&world, ""), ["segment_count_wrong"]);
    assert_eq!(not_reached(&world, ""), RULES.len() - 2);
    assert_eq!(not_reached(&world, &"a".repeat(20_000)), RULES.len() - 1);
}

#[test]
fn details_hold_no_part_of_the_token() {
    let world = World::new();
    let token = world.token("shared", |header, claims| {
        header["kid"] = json!("secret-word");
        claims["sub"] = json!("secret-word");
        claims["aud"] = json!("secret-word");
        claims["email"] = json!("secret-word");
    });
    let explanation = explain(&token, &world.check());
    assert!(!format!("{explanation:?}").contains("secret-word"));
    assert!(
        !explanation
            .result
            .unwrap_err()
            .to_string()
            .contains("secret-word")
    );
}
