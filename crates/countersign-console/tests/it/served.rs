//! What is answered to whom, with which headers.

use crate::{Console, Setup, decision};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_locked_down() {
    let console = Console::start(Setup::default()).await;
    for (method, path, host, status) in [
        ("GET", "/console", "Host: localhost\r\n", "200"),
        ("GET", "/console.json", "Host: localhost\r\n", "200"),
        ("HEAD", "/console", "Host: localhost\r\n", "200"),
        ("POST", "/console", "Host: localhost\r\n", "405"),
        ("GET", "/console", "Host: evil.example\r\n", "421"),
    ] {
        let answer = console.ask(method, path, host).await;
        assert_eq!(answer.status(), status, "{method} {path} {host}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_host_names_are_answered() {
    let console = Console::start(Setup::default()).await;
    let own = format!("Host: {}\r\n", console.address);
    for (host, status) in [
        (own.as_str(), "200"),
        ("Host: console.example\r\n", "200"),
        ("Host: [::1]:8420\r\n", "200"),
        ("Host: rebound.example\r\n", "421"),
        ("Host: localhost\r\nHost: localhost\r\n", "421"),
        ("", "421"),
    ] {
        let answer = console.ask("GET", "/console.json", host).await;
        assert_eq!(answer.status(), status, "{host}");
        assert_eq!(answer.body.contains("decision_log"), status == "200", "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_it_looks_once_a_second() {
    let console = Console::start(Setup {
        decisions: Some(Vec::new()),
        ..Setup::default()
    })
    .await;
    assert_eq!(console.json().await["decision_log"]["decisions_read"], 0);
    console.append(&[decision(1, "admit", None, Some("recorded"))]);
    for _ in 0..5 {
        assert_eq!(console.json().await["decision_log"]["decisions_read"], 0);
    }
    assert_eq!(console.looks_at_keys.load(Ordering::SeqCst), 1);
    console.tick();
    assert_eq!(console.json().await["decision_log"]["decisions_read"], 1);
    assert_eq!(console.looks_at_keys.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_again_unless_told_not_to() {
    let console = Console::start(Setup::default()).await;
    let refresh = "<meta http-equiv=\"refresh\" content=\"10\">";
    assert!(console.page().await.contains(refresh));
    let held = console
        .ask("GET", "/console?refresh=off", "Host: localhost\r\n")
        .await
        .body;
    assert!(!held.contains(refresh));
    assert!(held.contains("Follow again"));
}
