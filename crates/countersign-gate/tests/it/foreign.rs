use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_gate::{Config, Gate, GateOptions, StartError};
use serde_json::{Value, json};

use crate::fixture::{Issuer, MAIL, NOW, Stack};
use crate::provider::Provider;

const COOLDOWN: u64 = 30;

fn config(issuer: &str, more: &Value) -> Config {
    let mut foreign = json!({
        "issuer": issuer, "realm": "enterprise", "discovery": true, "provenance": "off",
        "unknown_key_cooldown_seconds": COOLDOWN, "refresh_seconds": 60, "stale_max_seconds": 600,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        foreign[name] = value.clone();
    }
    serde_json::from_value(json!({
        "resources": [{"name": "mail", "audience": MAIL, "realm": "enterprise"}],
        "issuers": [foreign],
    }))
    .unwrap()
}

/// A provider with one key, and a gate that trusts it.
async fn trusted(more: &Value) -> (Provider, Issuer, Stack) {
    let provider = Provider::start().await;
    let issuer = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| script.keys = vec![issuer.plain_jwk()]);
    let stack = Stack::start(config(&provider.url, more)).await;
    (provider, issuer, stack)
}

/// Waits until the background task has tried once, so that it does not fetch in the middle of a test.
async fn settled(stack: &Stack) -> Value {
    for _ in 0..500 {
        let (_, health) = stack.health().await;
        let issuer = &health["issuers"][0];
        if issuer["error"] != Value::Null || issuer["key_set_age_seconds"] != Value::Null {
            return health;
        }
        tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    panic!("the key set was never tried");
}

#[tokio::test]
async fn a_provider_found_by_discovery_is_trusted() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    let line = stack.check("mail", &issuer.token(&json!({})), 200, None).await;
    assert_eq!(
        (&line["mode"], &line["provenance"]),
        (&json!("off"), &json!("not_asked"))
    );
    assert_eq!(
        (&line["issuer"], &line["realm"]),
        (&json!(provider.url), &json!("enterprise"))
    );
    let (_, health) = stack.health().await;
    assert_eq!(
        health["issuers"][0],
        json!({
            "issuer": provider.url, "realm": "enterprise", "keys": 1, "key_set_age_seconds": 0,
            "state": "ok", "error": null,
        })
    );
}

#[tokio::test]
async fn provenance_can_be_required_of_a_foreign_issuer() {
    let (_, issuer, stack) = trusted(&json!({"provenance": "required"})).await;
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("never_issued"))
        .await;
}

#[tokio::test]
async fn tokens_without_a_type_pass_where_they_are_expected() {
    for (types, status, reason) in [
        (json!(["at+jwt", ""]), 200, None),
        (json!(["at+jwt", "JWT"]), 401, Some("token_type_mismatch")),
    ] {
        let (provider, issuer, stack) = trusted(&json!({"token_types": types})).await;
        let claims =
            json!({"iss": provider.url, "sub": "alice", "aud": MAIL, "iat": NOW - 10, "exp": NOW + 600});
        let token = issuer.signed(&json!({"alg": "ES256", "kid": issuer.kid}), &claims);
        stack.check("mail", &token, status, reason).await;
    }
}

/// A provider that misbehaves like this is not trusted, and the health page says why.
async fn check_refused(misbehave: impl FnOnce(&mut crate::provider::Script), error: &str) {
    let provider = Provider::start().await;
    let issuer = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| {
        script.keys = vec![issuer.plain_jwk()];
        misbehave(script);
    });
    let stack = Stack::start(config(&provider.url, &json!({}))).await;
    let health = settled(&stack).await;
    assert_eq!(health["issuers"][0]["error"], error);
    assert_eq!(
        (&health["status"], &health["issuers"][0]["state"]),
        (&json!("degraded"), &json!("unavailable"))
    );
    stack
        .check("mail", &issuer.token(&json!({})), 403, Some("keys_unavailable"))
        .await;
}

#[tokio::test]
async fn a_hostile_provider_is_not_followed() {
    check_refused(|script| script.redirects = true, "redirected").await;
    check_refused(
        |script| script.issuer = Some("https://other.example".to_owned()),
        "issuer_differs",
    )
    .await;
    check_refused(|script| script.padding = 300 * 1024, "too_large").await;
    check_refused(|script| script.status = 500, "status").await;
    check_refused(
        |script| script.keys = vec![json!({"kty": "oct", "k": "AAAA", "kid": "x"})],
        "key_set_empty",
    )
    .await;
    check_refused(
        |script| script.jwks_uri = Some("http://keys.example/jwks".to_owned()),
        "insecure",
    )
    .await;
    check_refused(
        |script| script.jwks_uri = Some("file:///etc/passwd".to_owned()),
        "insecure",
    )
    .await;
    check_refused(
        |script| script.jwks_uri = Some("jwks".to_owned()),
        "discovery_malformed",
    )
    .await;
}

#[tokio::test]
async fn an_unreachable_provider_is_tried_again() {
    let provider = Provider::start().await;
    provider.change(|script| script.status = 503);
    let issuer = Issuer::new(&provider.url, "enterprise");
    let stack = Stack::start(config(&provider.url, &json!({}))).await;
    settled(&stack).await;
    stack
        .check("mail", &issuer.token(&json!({})), 403, Some("keys_unavailable"))
        .await;
    provider.change(|script| {
        script.status = 200;
        script.keys = vec![issuer.plain_jwk()];
    });
    for _ in 0..1000 {
        if stack
            .ask("mail", &issuer.token(&json!({})))
            .await
            .status()
            .as_u16()
            == 200
        {
            return;
        }
        tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    panic!("the provider was not tried again");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    let before = provider.fetches();
    let mut tasks = tokio::task::JoinSet::new();
    let stack = std::sync::Arc::new(stack);
    for number in 0..200 {
        let token = issuer.token_with_kid(&format!("unknown-{number}"), &json!({}));
        let stack = std::sync::Arc::clone(&stack);
        tasks.spawn(async move { stack.ask("mail", &token).await.status().as_u16() });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 401));
    assert_eq!(provider.fetches() - before, 1);
    assert_eq!(stack.last_line()["reason"], "key_unknown");
    stack.check("mail", &issuer.token(&json!({})), 200, None).await;
    stack.clock_ms.fetch_add(COOLDOWN * 1000, Ordering::SeqCst);
    stack
        .ask("mail", &issuer.token_with_kid("unknown", &json!({})))
        .await;
    assert_eq!(provider.fetches() - before, 2);
}

#[tokio::test]
async fn a_key_rotated_in_is_found_and_a_bad_signature_fetches_nothing() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    let before = provider.fetches();
    let forged = Issuer::new(&provider.url, "enterprise").token_with_kid(&issuer.kid, &json!({}));
    stack.check("mail", &forged, 401, Some("signature_invalid")).await;
    assert_eq!(provider.fetches(), before);
    let next = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| script.keys.push(next.plain_jwk()));
    stack.check("mail", &next.token(&json!({})), 200, None).await;
    assert_eq!(provider.fetches() - before, 1);
}

#[tokio::test]
async fn a_key_rotated_in_under_an_id_another_issuer_uses_is_found() {
    let (provider, _, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    let before = provider.fetches();
    let mut next = Issuer::new(&provider.url, "enterprise");
    next.kid.clone_from(&stack.issuer.kid);
    provider.change(|script| script.keys.push(next.plain_jwk()));
    stack.check("mail", &next.token(&json!({})), 200, None).await;
    // And a key that really is another issuer's stays the alarm, at the cost of no fetch before the cool-down is over.
    let other = Issuer::new("https://other.example", "enterprise");
    let issuers = vec![stack.issuer.record("active"), other.record("active")];
    let bundle = countersign_token::TrustBundle::new(8, issuers);
    stack.bundle.send_replace(std::sync::Arc::new(bundle));
    let crossing = other.token(&json!({"iss": provider.url}));
    for _ in 0..10 {
        stack
            .check("mail", &crossing, 401, Some("key_realm_mismatch"))
            .await;
    }
    assert_eq!(provider.fetches() - before, 1);
}

/// Lets the cool-down pass and has a token with an unknown key cause a fetch.
async fn fetch_again(stack: &Stack, issuer: &Issuer, after_seconds: u64) {
    stack.clock_ms.fetch_add(after_seconds * 1000, Ordering::SeqCst);
    stack
        .ask("mail", &issuer.token_with_kid("unknown", &json!({})))
        .await;
}

#[tokio::test]
async fn one_answer_without_a_key_removes_nothing() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    let other = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| script.keys = vec![other.plain_jwk()]);
    fetch_again(&stack, &issuer, 31).await;
    stack.check("mail", &issuer.token(&json!({})), 200, None).await;
    // Missing for a whole refresh interval: gone.
    fetch_again(&stack, &issuer, 61).await;
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("key_unknown"))
        .await;
}

#[tokio::test]
async fn a_denied_key_is_not_revived() {
    let provider = Provider::start().await;
    let issuer = Issuer::new(&provider.url, "enterprise");
    let other = Issuer::new(&provider.url, "enterprise");
    let set = |states: &[(&Issuer, &str)]| {
        states
            .iter()
            .map(|(issuer, state)| issuer.declared_jwk(state))
            .collect()
    };
    provider.change(|script| script.keys = set(&[(&issuer, "active"), (&other, "active")]));
    let stack = Stack::start(config(&provider.url, &json!({"key_metadata": "declared"}))).await;
    stack.check("mail", &issuer.token(&json!({})), 200, None).await;
    provider.change(|script| script.keys = set(&[(&issuer, "revoked"), (&other, "active")]));
    fetch_again(&stack, &issuer, 31).await;
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("key_revoked"))
        .await;
    // It leaves the set for long, and comes back as if nothing had been.
    provider.change(|script| script.keys = set(&[(&other, "active")]));
    fetch_again(&stack, &issuer, 61).await;
    fetch_again(&stack, &issuer, 61).await;
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("key_unknown"))
        .await;
    provider.change(|script| script.keys = set(&[(&issuer, "active"), (&other, "active")]));
    fetch_again(&stack, &issuer, 61).await;
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("key_revoked"))
        .await;
}

#[tokio::test]
async fn stale_keys_count_for_a_while() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    provider.change(|script| script.status = 503);
    let lasting = |seconds: u64| issuer.token(&json!({"exp": NOW + seconds}));
    fetch_again(&stack, &issuer, 500).await;
    stack.check("mail", &lasting(2000), 200, None).await;
    let (_, health) = stack.health().await;
    assert_eq!(
        (&health["issuers"][0]["state"], &health["status"]),
        (&json!("stale"), &json!("degraded"))
    );
    stack.clock_ms.fetch_add(101_000, Ordering::SeqCst);
    stack
        .check("mail", &lasting(2000), 403, Some("keys_unavailable"))
        .await;
}

#[tokio::test]
async fn keys_can_come_from_a_file() {
    let issuer = Issuer::new("https://file.example", "enterprise");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.json");
    std::fs::File::create(&file).unwrap();
    let set = json!({"keys": [issuer.plain_jwk()]}).to_string();
    std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), set.as_bytes()).unwrap();
    let more = json!({"discovery": false, "jwks_file": file});
    let stack = Stack::start(config("https://file.example", &more)).await;
    stack.check("mail", &issuer.token(&json!({})), 200, None).await;
    let own = stack.issuer.token(&json!({}));
    stack.check("mail", &own, 401, Some("never_issued")).await;
}

#[tokio::test]
async fn a_bundle_that_names_a_configured_issuer_wins() {
    let (provider, issuer, stack) = trusted(&json!({})).await;
    settled(&stack).await;
    let issuers = vec![stack.issuer.record("active"), issuer.record("revoked")];
    let bundle = countersign_token::TrustBundle::new(8, issuers);
    stack.bundle.send_replace(std::sync::Arc::new(bundle));
    stack
        .check("mail", &issuer.token(&json!({})), 401, Some("key_revoked"))
        .await;
    let (_, health) = stack.health().await;
    assert_eq!(
        health["trust_problem"], "issuer_repeated",
        "{} {health}",
        provider.url
    );
}

#[tokio::test]
async fn a_gate_does_not_start_on_a_bad_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let start = |config: Config| {
        Gate::start(GateOptions {
            config,
            directory: directory.path().to_owned(),
            bundle: None,
            follower: None,
            clock_ms: std::sync::Arc::new(|| 0),
        })
        .err()
    };
    let error = start(config("http://login.example", &json!({}))).unwrap();
    assert_eq!(error.code(), "gate_config_invalid");
    assert!(matches!(error, StartError::Config(problems) if problems.len() == 1));
    let mut unusable = Config::first_run();
    unusable.decision_log = "no/such/directory/log".into();
    assert_eq!(start(unusable).unwrap().code(), "decision_log_unusable");
    assert!(start(Config::first_run()).is_none());
}
