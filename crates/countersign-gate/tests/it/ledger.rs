//! A gate whose ledger is in another process.

use std::sync::Arc;
use std::time::Duration;

use countersign_gate::{Config, Gate, GateOptions, StartError};
use countersign_ledger::http::router;
use countersign_ledger::{IssuanceKind, Ledger};
use serde_json::{Value, json};

use crate::fixture::{NOW, Stack, config, open_ledger};

/// A ledger on a port of its own.
async fn serve(directory: &std::path::Path) -> (Ledger, String) {
    let ledger = open_ledger(directory);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ledger", listener.local_addr().unwrap());
    let router = axum::Router::new().nest("/ledger", router(ledger.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (ledger, url)
}

fn following(url: &str, ledger: &Ledger) -> Config {
    let section = json!({"url": url, "verifier_key": ledger.verifier_key(), "timeout_ms": 500});
    Config {
        ledger: Some(serde_json::from_value(section).unwrap()),
        ..config()
    }
}

async fn ledger_state(stack: &Stack) -> (Value, Value) {
    let (_, mut health) = stack.health().await;
    (health["status"].take(), health["ledger"]["state"].take())
}

async fn until_following(stack: &Stack) {
    let heard = async {
        while ledger_state(stack).await.1 != "following" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_asks_a_ledger_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, url) = serve(directory.path()).await;
    let mut stack = Stack::without_ledger(following(&url, &ledger)).await;
    stack.ledger = Some(ledger.clone());
    until_following(&stack).await;

    let forged = stack.issuer.token(&json!({"jti": "forged"}));
    let line = stack.check("mail", &forged, 401, Some("never_issued")).await;
    assert_eq!(line["provenance"], "not_recorded");

    // Recorded now, shown at once: whatever the stream does, the miss asks.
    let issued = stack.issuer.token(&json!({"jti": "issued"}));
    stack.record(&issued, IssuanceKind::Access).await;
    let line = stack.check("mail", &issued, 200, None).await;
    assert_eq!(
        (&line["provenance"], &line["ledger_index"]),
        (&json!("recorded"), &Value::Null)
    );

    ledger.close();
    let line = stack
        .check("mail", &forged, 403, Some("provenance_unknown"))
        .await;
    assert_eq!(line["provenance"], "cannot_tell");
    stack.check("mail", &issued, 200, None).await;
    stack
        .check("observed", &forged, 200, Some("provenance_unknown"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_kept_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, url) = serve(directory.path()).await;
    let mut config = following(&url, &ledger);
    if let Some(section) = &mut config.ledger {
        section.keep_indices = true;
    }
    let mut stack = Stack::without_ledger(config).await;
    stack.ledger = Some(ledger);
    for number in 0..3 {
        let token = stack.issuer.token(&json!({"jti": number.to_string()}));
        let index = stack.record(&token, IssuanceKind::Access).await;
        let line = stack.check("mail", &token, 200, None).await;
        assert_eq!(line["ledger_index"], index);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_not_there_lets_nobody_in_and_the_gate_starts() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = serve(directory.path()).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ledger", nobody.local_addr().unwrap());
    drop(nobody);
    let stack = Stack::without_ledger(following(&url, &ledger)).await;
    let token = stack.issuer.token(&json!({}));
    stack.check("mail", &token, 403, Some("provenance_unknown")).await;
    assert_eq!(ledger_state(&stack).await, (json!("degraded"), json!("silent")));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_followed_is_a_config_problem() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open_ledger(&directory.path().join("ledger"));
    let check = |section: Value, path: &str| {
        let mut written = json!({
            "url": "https://login.example/ledger", "verifier_key": ledger.verifier_key(),
        });
        for (name, value) in section.as_object().into_iter().flatten() {
            written[name] = value.clone();
        }
        let config = Config {
            ledger: Some(serde_json::from_value(written).unwrap()),
            ..config()
        };
        let paths: Vec<String> = config.validate().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, if path.is_empty() { vec![] } else { vec![path] });
        config
    };
    check(json!({}), "");
    check(json!({"url": "ledger"}), "ledger.url");
    check(
        json!({"verifier_key": "origin+00000000+AAAA"}),
        "ledger.verifier_key",
    );
    check(json!({"timeout_ms": 0}), "ledger.timeout_ms");
    check(json!({"stale_max_seconds": 1}), "ledger.stale_max_seconds");
    let in_the_clear = check(json!({"url": "http://login.example/ledger"}), "ledger.url");
    let started = Gate::start(GateOptions {
        config: in_the_clear,
        directory: directory.path().to_owned(),
        bundle: None,
        follower: None,
        clock_ms: Arc::new(|| NOW * 1000),
    });
    assert!(matches!(started, Err(StartError::Config(_))));
}
