use std::sync::atomic::Ordering;

use countersign_ledger::IssuanceKind;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::fixture::{NOW, Stack, config};

/// A JSON object with its members in the order of the text.
struct Ordered(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Ordered;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The part of JSON Schema that `docs/decision.schema.json` uses, without patterns.
fn check_against_schema(line: &str) {
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/decision.schema.json")).unwrap();
    let line: Ordered = serde_json::from_str(line).unwrap();
    let names: Vec<&str> = line.0.iter().map(|(name, _)| name.as_str()).collect();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(names, required);
    for (name, value) in &line.0 {
        let rule = &schema["properties"][name];
        let kind = match value {
            Value::Null => "null",
            Value::String(_) => "string",
            Value::Number(number) if number.is_u64() => "integer",
            Value::Array(_) => "array",
            _ => "other",
        };
        let allowed = match &rule["type"] {
            Value::String(one) => one == kind,
            Value::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        };
        assert!(allowed, "{name}: {value}");
        if let Some(allowed) = rule["enum"].as_array() {
            assert!(allowed.contains(value), "{name}: {value}");
        }
        if let (Some(limit), Some(text)) = (rule["maxLength"].as_u64(), value.as_str()) {
            assert!(text.chars().count() as u64 <= limit, "{name}: {value}");
        }
        if let (Some(limit), Some(list)) = (rule["maxItems"].as_u64(), value.as_array()) {
            assert!(
                list.len() as u64 <= limit && list.iter().all(Value::is_string),
                "{name}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn every_line_fits_the_schema_and_none_holds_a_token() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({"sid": "session-1"}));
    stack.record(&token, IssuanceKind::Access).await;
    let forged = stack
        .issuer
        .token(&json!({"jti": "x".repeat(2000), "sub": "\"\n\u{1}"}));
    let unknown = crate::fixture::Issuer::new("https://nobody.example", "enterprise").token(&json!({}));
    for text in [
        token.as_str(),
        forged.as_str(),
        unknown.as_str(),
        "garbage",
        "a.b.c",
    ] {
        for resource in ["mail", "observed", "scoped", "nothing"] {
            let request = stack.request(&format!("?resource={resource}")).bearer_auth(text);
            let uri = format!("/files/{text}?access_token={text}");
            request
                .header("x-original-uri", uri)
                .header("user-agent", text)
                .send()
                .await
                .unwrap();
            stack.ask(resource, text).await;
        }
    }
    stack.request("?resource=mail").send().await.unwrap();
    let log = stack.raw_log();
    assert_eq!(log.lines().count(), 41);
    log.lines().for_each(check_against_schema);
    for text in [&token, &forged, &unknown] {
        for (at, part) in text.split('.').enumerate() {
            assert!(!log.contains(part), "part {at} of a token is in the log");
        }
    }
}

#[tokio::test]
async fn a_line_is_one_line_and_bounded_whatever_is_sent() {
    let stack = Stack::start(config()).await;
    let forger = crate::fixture::Issuer::new(&stack.issuer.iss, "enterprise");
    let long = |text: &str| text.repeat(300);
    let many = |text: &str| vec![text.repeat(20); 90];
    for claims in [
        json!({"sub": "x\u{2028}{\"decision\":\"admit\"}\u{85}\u{9b}2J\u{202e}"}),
        json!({"sub": long("\u{9b}"), "jti": long("\u{2028}"), "sid": long("\""), "client_id": long("\\"), "scope": long("a ")}),
        json!({"aud": many("\u{85}"), "sub": long("\u{1f600}"), "tid": long("\u{85}")}),
        json!({"aud": many("\""), "scope": many("\u{7f}").join(" ")}),
        json!({"scope": many("\u{9b}").join(" ")}),
    ] {
        for token in [stack.issuer.token(&claims), forger.token(&claims)] {
            let request = stack.request("?resource=mail").bearer_auth(&token);
            let request = request.header("user-agent", "\"".repeat(9_000));
            request
                .header("x-original-uri", format!("/{}", "\"".repeat(9_000)))
                .send()
                .await
                .unwrap();
        }
    }
    let written = stack.raw_log();
    let ends = |letter: char| letter.is_control() || ('\u{2028}'..='\u{202e}').contains(&letter);
    assert_eq!(
        written.split(ends).count(),
        11,
        "ten lines and what is behind the last"
    );
    for line in written.lines() {
        assert!(line.len() < 40 * 1024, "{} bytes", line.len());
        assert_ne!(
            serde_json::from_str::<Value>(line).unwrap()["fingerprint"],
            Value::Null
        );
        check_against_schema(line);
    }
}

#[tokio::test]
async fn a_line_says_who_what_and_when() {
    let stack = Stack::start(config()).await;
    let token = stack.issuer.token(&json!({"sid": "session-1"}));
    stack.record(&token, IssuanceKind::Access).await;
    stack.clock_ms.fetch_add(3, Ordering::SeqCst);
    let request = stack
        .request("?resource=mail")
        .bearer_auth(&token)
        .header("user-agent", "agent/1");
    let request = request
        .header("x-original-method", "POST")
        .header("x-original-uri", "/inbox?secret=1");
    request
        .header("x-original-remote-addr", "192.0.2.7")
        .send()
        .await
        .unwrap();
    let mut line = stack.last_line();
    let duration = line.as_object_mut().unwrap().remove("duration_us").unwrap();
    assert!(duration.as_u64().unwrap() > 0);
    let fingerprint = line.as_object_mut().unwrap().remove("fingerprint").unwrap();
    assert_eq!(fingerprint.as_str().unwrap().len(), 64);
    assert_eq!(
        line,
        json!({
            "time": "2027-01-15T08:00:00.253Z", "gate": "test", "decision": "admit", "reason": null,
            "mode": "enforce", "issuer": stack.issuer.iss, "realm": "enterprise", "tenant": null,
            "key_id": stack.issuer.kid, "key_thumbprint": stack.issuer.kid, "algorithm": "ES256",
            "token_id": "token-1", "session_id": "session-1", "subject": "alice", "client": "webmail",
            "audience": ["https://mail.example"], "scope": ["mail.read", "mail.send"],
            "issued_at": NOW - 10, "expires_at": NOW + 600, "provenance": "recorded", "ledger_index": 2,
            "bundle": 7, "resource": "mail", "method": "POST", "path": "/inbox", "source_ip": "192.0.2.7",
            "user_agent": "agent/1",
        })
    );
}

#[tokio::test]
async fn what_cannot_be_logged_is_refused() {
    let mut config = config();
    config.decision_log = "/dev/full".into();
    let stack = Stack::start(config).await;
    let token = stack.issuer.token(&json!({}));
    let response = stack.ask("unasked", &token).await;
    assert_eq!(response.status().as_u16(), 403);
    assert!(response.headers().get("x-countersign-subject").is_none());
    let (status, health) = stack.health().await;
    assert_eq!(status, 503);
    assert_eq!(health["status"], "refusing");
    assert_eq!(
        (
            &health["decision_log"]["state"],
            &health["decision_log"]["unlogged"]
        ),
        (&json!("failing"), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_are_all_logged_whole() {
    let stack = std::sync::Arc::new(Stack::start(config()).await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..400 {
        let stack = std::sync::Arc::clone(&stack);
        let token = stack
            .issuer
            .token(&json!({"jti": format!("token-{number}"), "sub": "s".repeat(number)}));
        tasks.spawn(async move { stack.ask("unasked", &token).await.status().as_u16() });
    }
    let answers = tasks.join_all().await;
    // An empty subject is no subject.
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 399);
    let mut seen = std::collections::BTreeSet::new();
    for line in stack.raw_log().lines() {
        check_against_schema(line);
        let line: Value = serde_json::from_str(line).unwrap();
        seen.insert(
            line["token_id"]
                .as_str()
                .map(str::to_owned)
                .or(line["reason"].as_str().map(str::to_owned)),
        );
    }
    assert_eq!(seen.len(), 400);
}
