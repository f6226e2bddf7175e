//! The bad-token corpus as it meets a gate: H07 what a header points to, T time and state, G the way there.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use countersign_ledger::IssuanceKind;
use serde_json::{Value, json};

use crate::fixture::{Issuer, MAIL, NOW, Stack, config};
use crate::provider::Provider;

#[tokio::test]
async fn h07_nothing_a_token_points_to_is_ever_fetched() {
    let attacker = Provider::start().await;
    let stack = Stack::start(config()).await;
    let thief = Issuer::new(&stack.issuer.iss, "enterprise");
    let keys = format!("{}/jwks", attacker.url);
    let claims = |iss: &str| json!({"iss": iss, "sub": "alice", "aud": MAIL, "iat": NOW - 10, "exp": NOW + 600, "jti": "j", "client_id": "c"});
    for (member, value, reason) in [
        ("jku", json!(keys), "header_key_forbidden"),
        ("x5u", json!(keys), "header_key_forbidden"),
        ("jwk", thief.plain_jwk(), "header_key_forbidden"),
        ("kid", json!(keys), "key_unknown"),
    ] {
        let mut header = json!({"alg": "ES256", "kid": thief.kid, "typ": "at+jwt"});
        header[member] = value;
        let token = thief.signed(&header, &claims(&stack.issuer.iss));
        stack.check("mail", &token, 401, Some(reason)).await;
    }
    // An issuer nobody configured is not discovered.
    let token = Issuer::new(&attacker.url, "enterprise").token(&json!({}));
    stack.check("mail", &token, 401, Some("issuer_unknown")).await;
    assert_eq!(attacker.requests(), 0);
}

#[tokio::test]
async fn t02_to_t05_nothing_is_decided_from_memory() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    stack.record(&token, IssuanceKind::Access).await;
    stack.check("mail", &token, 200, None).await;
    // T02: the same token at another resource.
    stack
        .check("outlook", &token, 401, Some("resource_realm_mismatch"))
        .await;
    stack
        .check("scoped", &token, 403, Some("scope_insufficient"))
        .await;
    // T03: the same token with another signature.
    let (input, signature) = token.rsplit_once('.').unwrap();
    let other = stack.issuer.token(&json!({"jti": "other"}));
    let swapped = format!("{input}.{}", other.rsplit_once('.').unwrap().1);
    assert_ne!(swapped.rsplit_once('.').unwrap().1, signature);
    stack
        .check("mail", &swapped, 401, Some("signature_invalid"))
        .await;
    // T04: the same issuer, audience and subject, and everything else.
    stack.check("mail", &other, 401, Some("never_issued")).await;
    // T05: time passes, and a clock is set back.
    stack.clock_ms.fetch_add(631_000, Ordering::SeqCst);
    stack.check("mail", &token, 401, Some("token_expired")).await;
    stack.clock_ms.store((NOW - 3_600) * 1_000, Ordering::SeqCst);
    stack.check("mail", &token, 401, Some("issued_in_future")).await;
    stack.clock_ms.store(u64::MAX, Ordering::SeqCst);
    stack.check("mail", &token, 401, Some("token_expired")).await;
    stack.clock_ms.store(0, Ordering::SeqCst);
    stack.check("mail", &token, 401, Some("issued_in_future")).await;
}

#[tokio::test]
async fn t07_a_provider_in_trouble_opens_and_closes_nothing() {
    let provider = Provider::start().await;
    let issuer = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| script.keys = vec![issuer.declared_jwk("revoked"), json!(null)]);
    let good = Issuer::new(&provider.url, "enterprise");
    provider.change(|script| script.keys.push(good.declared_jwk("active")));
    let config = json!({
        "resources": [{"name": "mail", "audience": MAIL, "realm": "enterprise"}],
        "issuers": [{
            "issuer": provider.url, "realm": "enterprise", "discovery": true, "provenance": "off",
            "key_metadata": "declared", "unknown_key_cooldown_seconds": 1,
        }],
    });
    let stack = Stack::start(serde_json::from_value(config).unwrap()).await;
    stack.check("mail", &good.token(&json!({})), 200, None).await;
    let unknown = issuer.token_with_kid("unknown", &json!({}));
    let troubles: [fn(&mut crate::provider::Script); 4] = [
        |script| script.keys = Vec::new(),
        |script| script.status = 500,
        |script| script.padding = 300 * 1024,
        |script| script.stalls = true,
    ];
    for trouble in troubles {
        provider.change(trouble);
        stack.clock_ms.fetch_add(5_000, Ordering::SeqCst);
        let asked = Instant::now();
        stack.check("mail", &unknown, 401, Some("key_unknown")).await;
        assert!(asked.elapsed() < Duration::from_secs(5));
        stack.check("mail", &good.token(&json!({})), 200, None).await;
        stack
            .check("mail", &issuer.token(&json!({})), 401, Some("key_revoked"))
            .await;
    }
}

#[tokio::test]
async fn g01_g02_names_of_headers_have_one_spelling_and_no_case() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    let url = format!("{}/check?resource=unasked", stack.url);
    // As raw bytes: a client library would put the names right.
    let request = format!(
        "GET /check?resource=unasked HTTP/1.1\r\nHost: gate\r\nConnection: close\r\naUTHORIZATION: bEARER {token}\r\n\
         X-ORIGINAL-URI: /inbox\r\nX_Original_URI: /forged\r\nX.Original.URI: /forged\r\nX-Original-URL: /forged\r\n\
         X_Countersign_Subject: admin\r\nx-countersign-subject: admin\r\nX-Forwarded-Uri: /forged\r\n\r\n"
    );
    let answer = raw(&url, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let subjects: Vec<_> = answer
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("x-countersign-subject:"))
        .collect();
    assert_eq!(subjects, ["x-countersign-subject: alice"]);
    assert_eq!(stack.last_line()["path"], "/inbox");
}

#[tokio::test]
async fn g03_g04_odd_bytes_are_refused_or_shown_as_they_are() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({}));
    let bearer = [b"Bearer ", token.as_bytes()].concat();
    for (id, name, value, status, path) in [
        ("G03", "x-original-uri", &b"/caf\xe9"[..], 200, json!("/caf%E9")),
        ("G03", "user-agent", b"\xff\xfe", 200, Value::Null),
        (
            "G04",
            "x-original-uri",
            b"/a/../b//c%2F;d=e",
            200,
            json!("/a/../b//c%2F;d=e"),
        ),
        (
            "G04",
            "x-original-uri",
            b"//evil.example/a#b",
            200,
            json!("//evil.example/a"),
        ),
        ("G04", "x-original-uri", b"", 200, json!("")),
        ("G04", "x-original-uri", b"/a?b?access_token=c", 200, json!("/a")),
        ("G07", "x-original-uri", b"/a?b=c&access_token=", 401, json!("/a")),
        ("G07", "cookie", b"access_token=x", 200, Value::Null),
    ] {
        let request = stack
            .request("?resource=unasked")
            .header("authorization", &bearer[..]);
        let response = request.header(name, value).send().await.unwrap();
        let line = stack.last_line();
        assert_eq!(response.status().as_u16(), status, "{id} {line}");
        assert_eq!(line["path"], path, "{id}");
    }
    // G03: bytes in the one header that counts.
    let request = stack.request("?resource=unasked");
    let odd = request.header("authorization", [&bearer[..], b"\xff"].concat());
    assert_eq!(odd.send().await.unwrap().status().as_u16(), 401);
    assert_eq!(stack.last_line()["reason"], "request_malformed");
}

#[tokio::test]
async fn g08_a_health_check_is_a_request_like_any_other() {
    let stack = Stack::start(config()).await;
    let names = [
        "kube-probe/1.31",
        "ELB-HealthChecker/2.0",
        "GoogleHC/1.0",
        "nginx (health)",
        "",
    ];
    let paths = [
        "/health",
        "/healthz",
        "/livez",
        "/ping",
        "/metrics",
        "/.well-known/x",
        "/check",
    ];
    for (name, path) in names.iter().flat_map(|name| paths.map(|path| (name, path))) {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let response = stack
                .request("?resource=unasked")
                .header("user-agent", *name)
                .header("x-original-uri", path)
                .header("x-original-method", method)
                .send()
                .await
                .unwrap();
            let line = stack.last_line();
            assert_eq!(response.status().as_u16(), 401, "{name} {path} {line}");
            assert_eq!(line["reason"], "token_missing", "{name} {path}");
        }
    }
    // The gate's own health page admits nobody: it answers another address, and names no one.
    let url = format!("{}/healthz?resource=unasked", stack.url);
    let health = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    let names_someone = |name: &reqwest::header::HeaderName| name.as_str().starts_with("x-countersign-");
    assert!(!health.headers().keys().any(names_someone));
}

#[tokio::test]
async fn l03_a_jti_is_no_evidence() {
    let stack = Stack::start(config()).await;
    let issued = stack.issuer.token(&json!({"jti": "one"}));
    let index = stack.record(&issued, IssuanceKind::Access).await;
    stack.check("mail", &issued, 200, None).await;
    // The same `jti`, and so the same issuer, key and audience; one claim differs, or only its spelling does.
    for forged in [
        json!({"jti": "one", "sub": "admin"}),
        json!({"jti": "one", "exp": NOW + 601}),
    ] {
        let token = stack.issuer.token(&forged);
        let line = stack.check("mail", &token, 401, Some("never_issued")).await;
        assert_eq!(line["provenance"], "not_recorded", "{forged}");
    }
    // The same content under another `jti` is another token, with an entry of its own.
    let second = stack.issuer.token(&json!({"jti": "two"}));
    stack.check("mail", &second, 401, Some("never_issued")).await;
    let other = stack.record(&second, IssuanceKind::Access).await;
    assert_ne!(index, other);
    let line = stack.check("mail", &second, 200, None).await;
    assert_eq!(line["ledger_index"], json!(other));
    // Signed anew it is the same token: the content was issued.
    let again = stack.issuer.token(&json!({"jti": "one"}));
    assert_ne!(again, issued);
    let line = stack.check("mail", &again, 200, None).await;
    assert_eq!(line["ledger_index"], json!(index));
}

#[tokio::test]
async fn l05_another_ledger_vouches_for_nobody() {
    let (stack, elsewhere) = (Stack::start(config()).await, Stack::start(config()).await);
    let token = stack.issuer.token(&json!({}));
    elsewhere.record(&token, IssuanceKind::Access).await;
    let line = stack.check("mail", &token, 401, Some("never_issued")).await;
    assert_eq!(line["provenance"], "not_recorded");
    // Nor does the record of another issuer's token with the same claims.
    let namesake = Issuer::new("https://namesake.example", "enterprise");
    stack
        .record(&namesake.token(&json!({})), IssuanceKind::Access)
        .await;
    stack.check("mail", &token, 401, Some("never_issued")).await;
}

/// Sends bytes as they are and returns everything that comes back.
async fn raw(url: &str, request: &[u8]) -> String {
    let address = url.split('/').nth(2).unwrap().to_owned();
    let request = request.to_owned();
    tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}
