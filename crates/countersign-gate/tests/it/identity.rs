use countersign_ledger::IssuanceKind;
use countersign_token::Fingerprint;
use serde_json::json;

use crate::fixture::{Stack, config, fingerprint};

const IDENTITY: &[&str] = &[
    "subject",
    "issuer",
    "realm",
    "tenant",
    "client",
    "scope",
    "fingerprint",
];

fn header(response: &reqwest::Response, name: &str) -> String {
    let values: Vec<_> = response
        .headers()
        .get_all(format!("x-countersign-{name}"))
        .iter()
        .collect();
    assert_eq!(values.len(), 1, "{name} stands once");
    values[0].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_identity_header_is_there_and_says_something() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack.record(&token, IssuanceKind::Access).await;
    let response = stack.ask("mail", &token).await;
    let hex = Fingerprint::from_bytes(fingerprint(&token)).to_string();
    let expect = [
        "alice",
        &stack.issuer.iss,
        "enterprise",
        "-",
        "webmail",
        "mail.read mail.send",
        &hex,
    ];
    for (name, expect) in IDENTITY.iter().zip(expect) {
        assert_eq!(header(&response, name), expect, "{name}");
    }
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a_claim_cannot_add_a_header() {
    let stack = Stack::start(config()).await;
    let subject = "mallory\r\nX-Countersign-Realm: consumer\r\n\u{0}ä %";
    let token = stack.issuer.token(&json!({"sub": subject, "scope": null}));
    let response = stack.ask("unasked", &token).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(
        header(&response, "subject"),
        "mallory%0D%0AX-Countersign-Realm:%20consumer%0D%0A%00%C3%A4%20%25"
    );
    assert_eq!(header(&response, "realm"), "enterprise");
    assert_eq!(header(&response, "scope"), "-");
}

#[tokio::test]
async fn a_refusal_carries_no_identity_and_no_detail() {
    let stack = Stack::start(config()).await;
    let response = stack.ask("mail", &stack.issuer.token(&json!({}))).await;
    assert_eq!(response.status().as_u16(), 401);
    for name in IDENTITY {
        assert!(response.headers().get(format!("x-countersign-{name}")).is_none());
    }
    let headers = response.headers().clone();
    let shown = format!("{headers:?} {:?}", response.bytes().await.unwrap());
    assert!(
        !shown.contains("never_issued") && !shown.contains("alice"),
        "{shown}"
    );
}

#[tokio::test]
async fn health_tells_what_decisions_rest_on() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack.record(&token, IssuanceKind::Access).await;
    stack.check("mail", &token, 200, None).await;
    let (status, health) = stack.health().await;
    assert_eq!(status, 200);
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["bundle"], 7);
    assert_eq!(health["ledger"], json!({"state": "following", "position": 3}));
    assert_eq!(
        health["decision_log"],
        json!({"state": "ok", "error": null, "unlogged": 0})
    );
}
