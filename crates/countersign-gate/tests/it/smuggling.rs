use countersign_ledger::IssuanceKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fixture::{Stack, config};

/// Sends header lines as they are, and compares status and logged reason.
async fn check(
    stack: &Stack,
    query: &str,
    headers: &[(&str, &str)],
    status: u16,
    reason: Option<&str>,
) -> Value {
    let mut request = stack.request(query);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let line = stack.last_line();
    assert_eq!(line["reason"].as_str(), reason, "{query} {headers:?}");
    assert_eq!(response.status().as_u16(), status, "{query} {headers:?}");
    if reason == Some("token_missing") {
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
    line
}

const MAIL: &str = "?resource=mail";

#[tokio::test]
async fn there_is_one_place_for_the_token() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack.record(&token, IssuanceKind::Access).await;
    let bearer = format!("Bearer {token}");
    let twice = format!("{bearer}, {bearer}");
    let cookie = format!("access_token={token}");
    let dpop = format!("DPoP {token}");
    let in_query = format!("?resource=mail&access_token={token}");
    let original = format!("/inbox?access_token={token}");

    check(&stack, MAIL, &[("authorization", &bearer)], 200, None).await;
    check(&stack, MAIL, &[], 401, Some("token_missing")).await;
    check(&stack, MAIL, &[("cookie", &cookie)], 401, Some("token_missing")).await;
    check(
        &stack,
        MAIL,
        &[("proxy-authorization", &bearer)],
        401,
        Some("token_missing"),
    )
    .await;
    let two = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    check(&stack, MAIL, &two, 401, Some("authorization_repeated")).await;
    check(
        &stack,
        MAIL,
        &[("authorization", &twice)],
        401,
        Some("authorization_repeated"),
    )
    .await;
    check(
        &stack,
        MAIL,
        &[("authorization", &dpop)],
        401,
        Some("authorization_scheme_unsupported"),
    )
    .await;
    check(
        &stack,
        MAIL,
        &[("authorization", "Bearer")],
        401,
        Some("request_malformed"),
    )
    .await;
    check(&stack, &in_query, &[], 401, Some("token_in_query")).await;
    let both = [
        ("authorization", bearer.as_str()),
        ("x-original-uri", original.as_str()),
    ];
    check(&stack, MAIL, &both, 401, Some("token_in_query")).await;
    let hidden = [
        ("authorization", bearer.as_str()),
        ("X-Original-Uri", "/inbox"),
        ("x-original-uri", "/inbox?a=b;Access_Token=x"),
    ];
    check(&stack, MAIL, &hidden, 401, Some("token_in_query")).await;
    assert!(
        !stack.raw_log().contains(token.rsplit_once('.').unwrap().1),
        "the signature is in the log"
    );
}

#[tokio::test]
async fn the_resource_is_the_proxys_word() {
    let stack = Stack::start(config()).await;
    let token = format!("Bearer {}", stack.issuer.token(&json!({})));
    let headers = [("authorization", token.as_str())];
    for query in [
        "",
        "?",
        "?resource=",
        "?resource=other",
        "?resource=mail&resource=unasked",
        "?Resource=mail",
    ] {
        let line = check(&stack, query, &headers, 403, Some("resource_unknown")).await;
        assert_eq!(line["resource"], Value::Null);
    }
    check(&stack, "?resource=unasked&x=y", &headers, 200, None).await;

    let single = json!({"resources": [{
        "name": "mail", "audience": crate::fixture::MAIL, "realm": "enterprise", "mode": "off",
    }]});
    let stack = Stack::start(serde_json::from_value(single).unwrap()).await;
    let token = format!("Bearer {}", stack.issuer.token(&json!({})));
    check(&stack, "", &[("authorization", token.as_str())], 200, None).await;
}

#[tokio::test]
async fn identity_sent_by_the_caller_is_not_heard() {
    let stack = Stack::start(config()).await;
    let forged = [
        ("x-countersign-subject", "admin"),
        ("x-forwarded-uri", "/public"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-original-uri", "/inbox?x=1"),
        ("x-original-method", "GET"),
        ("x-http-method-override", "OPTIONS"),
        ("user-agent", "kube-probe/1.30"),
    ];
    let line = check(&stack, MAIL, &forged, 401, Some("token_missing")).await;
    assert_eq!(
        (&line["method"], &line["path"]),
        (&json!("GET"), &json!("/inbox"))
    );
}

#[tokio::test]
async fn every_method_is_judged_alike() {
    let stack = Stack::start(config()).await;
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND",
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}/check?resource=mail", stack.url);
        let response = reqwest::Client::new()
            .request(method.clone(), url)
            .body("body")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 401, "{method}");
    }
    assert_eq!(stack.raw_log().lines().count(), 8);
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let stack = Stack::start(config()).await;
    let long = "a".repeat(50 * 1024);
    check(
        &stack,
        MAIL,
        &[("x-filler", &long)],
        403,
        Some("request_too_large"),
    )
    .await;
    let many = vec![("x-filler", "a"); 97];
    check(&stack, MAIL, &many, 403, Some("request_too_large")).await;
}
