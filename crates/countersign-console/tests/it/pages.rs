//! What the page says.

use countersign_console::KeyTable;
use serde_json::json;

use crate::{Console, NOW, Setup, decision, key, open_ledger, record};

/// Whether `parts` stand on the page in this order.
fn check_order(page: &str, parts: &[&str]) {
    let mut rest = page;
    for part in parts {
        let Some(at) = rest.find(part) else {
            panic!("{part:?} is missing, or not after the part before it")
        };
        rest = &rest[at + part.len()..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_for_everybody() {
    let setup = Setup {
        ledger: true,
        keys: KeyTable {
            bundle: Some(3),
            keys: vec![key("https://i.example", "k1", "active")],
        },
        decisions: Some(vec![decision(1, "admit", None, Some("recorded"))]),
    };
    let page = Console::start(setup).await.page().await;
    check_order(
        &page,
        &[
            "<!doctype html>",
            "<html lang=\"en\">",
            "<meta charset=\"utf-8\">",
            "<title>No alarms · Countersign console</title>",
            "<meta name=\"viewport\"",
            "<a class=\"skip\" href=\"#main\">",
            "<header>",
            "<h1>",
            "<main id=\"main\">",
            "No alarms",
            "<h2 id=\"ledger\">",
            "<h2 id=\"keys\">",
            "<caption",
            "<th role=\"columnheader\" scope=\"col\">",
            "<th role=\"rowheader\" scope=\"rowgroup\"",
            "<h2 id=\"decisions\">",
            "</main>",
            "<footer>",
        ],
    );
    check_balanced(&page);
}

/// Every element that is opened is closed, in order.
fn check_balanced(page: &str) {
    let mut open = Vec::new();
    for piece in page.split('<').skip(2) {
        let markup = piece.split('>').next().unwrap();
        let name = markup.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if name == "meta" => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_as_it_is() {
    let console = Console::start(Setup {
        ledger: true,
        ..Setup::default()
    })
    .await;
    assert_eq!(console.json().await["ledger"]["size"], 0);
    let ledger = console.ledger.clone().unwrap();
    for number in 1..=5 {
        record(&ledger, number).await;
    }
    // Closing publishes the checkpoint over everything.
    tokio::task::spawn_blocking(move || ledger.close()).await.unwrap();
    console.tick();
    let json = console.json().await;
    let seen = &json["ledger"];
    assert_eq!(seen["origin"], "login.example/ledger");
    assert_eq!(seen["size"], 7);
    assert_eq!(seen["checkpoint"]["size"], 7);
    assert_eq!(seen["newest_entry_at"], NOW - 55);
    assert_eq!(seen["recording"], false);
    let checkpoint = std::fs::read_to_string(console.directory.path().join("ledger/checkpoint")).unwrap();
    assert_eq!(seen["checkpoint"]["root"], checkpoint.lines().nth(2).unwrap());
    let page = console.page().await;
    assert!(page.contains(checkpoint.lines().nth(2).unwrap()));
    assert!(page.contains("The ledger has stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_runs_is_no_trouble() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open_ledger(directory.path().join("ledger"));
    record(&ledger, 1).await;
    let console = Console::serve(directory, Some(ledger), KeyTable::default(), None).await;
    let page = console.page().await;
    check_order(
        &page,
        &["recording", "3 durable", "2026-03-01 11:59:01", "59 s ago"],
    );
    assert!(!page.contains("has stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_come_first_the_most_serious_before_the_others() {
    let setup = Setup {
        decisions: Some(vec![
            decision(1, "refuse", Some("never_issued"), Some("not_recorded")),
            decision(2, "admit", Some("never_issued"), Some("not_recorded")),
            decision(3, "refuse", Some("key_outside_window"), None),
            decision(4, "refuse", Some("key_revoked"), None),
            decision(5, "refuse", Some("key_realm_mismatch"), None),
            decision(6, "refuse", Some("key_realm_mismatch"), None),
            decision(7, "refuse", Some("token_expired"), None),
        ]),
        ..Setup::default()
    };
    let console = Console::start(setup).await;
    let page = console.page().await;
    check_order(
        &page,
        &[
            "<title>5 alarms",
            "5 alarms</h2>",
            "admitted, but never issued",
            "signature proved",
            "never_issued",
            "key_realm_mismatch",
            "anybody can send this",
            "2 times",
            "Claims to be",
            "key_revoked",
            "key_outside_window",
            "class=\"figures\"",
        ],
    );
    check_balanced(&page);
    let json = console.json().await;
    let kinds: Vec<_> = json["decision_log"]["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["kind"])
        .collect();
    let expect = [
        "admitted_not_recorded",
        "never_issued",
        "key_realm_mismatch",
        "key_revoked",
        "key_outside_window",
    ];
    assert_eq!(kinds, expect.map(|kind| json!(kind)).iter().collect::<Vec<_>>());
    assert_eq!(json["decision_log"]["refused"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refused_token_says_is_called_a_claim() {
    let page_of = async |reason| {
        let decisions = vec![decision(1, "refuse", Some(reason), None)];
        Console::start(Setup {
            decisions: Some(decisions),
            ..Setup::default()
        })
        .await
        .page()
        .await
    };
    assert!(page_of("token_expired").await.contains(">claims</span>"));
    assert!(!page_of("provenance_unknown").await.contains(">claims</span>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_is_not_calm() {
    let check = async |path: Option<&str>, state, code, text| {
        let directory = tempfile::tempdir().unwrap();
        let path = path.map(|path| directory.path().join(path));
        let console = Console::serve(directory, None, KeyTable::default(), path).await;
        let json = console.json().await;
        assert_eq!(json["decision_log"]["state"], state);
        assert_eq!(json["decision_log"]["error"], code);
        let page = console.page().await;
        assert!(page.contains(text), "{text}");
        assert!(!page.contains("No alarms"));
    };
    check(None, "not_configured", json!(null), "No decision log here").await;
    check(
        Some("absent"),
        "unreadable",
        json!("decision_log_missing"),
        "does not exist yet",
    )
    .await;
    check(
        Some("."),
        "unreadable",
        json!("decision_log_not_a_file"),
        "not a regular file",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_lines_are_counted() {
    let console = Console::start(Setup {
        decisions: Some(Vec::new()),
        ..Setup::default()
    })
    .await;
    console.append(&[decision(1, "admit", None, Some("recorded"))]);
    console.append_text("{\"time\":\"2026-03\n\0\0\0\nnot json\n");
    console.append(&[decision(2, "admit", None, Some("recorded"))]);
    console.append_text("{\"time\":\"unfinished");
    let json = console.json().await;
    assert_eq!(json["decision_log"]["decisions_read"], 2);
    assert_eq!(json["decision_log"]["broken_lines"], 3);
    assert!(console.page().await.contains("3 broken lines left out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_a_word_for_their_state() {
    let states = ["staged", "active", "retired", "expired", "suspect", "revoked"];
    let keys = states
        .map(|state| key("https://i.example", &format!("key-{state}"), state))
        .to_vec();
    let setup = Setup {
        keys: KeyTable {
            bundle: Some(3),
            keys,
        },
        ..Setup::default()
    };
    let page = Console::start(setup).await.page().await;
    for state in states {
        assert!(
            page.contains(&format!("<span class=\"state {state}\">{state}</span>")),
            "{state}"
        );
        assert!(page.contains(&format!("key-{state}")), "{state}");
    }
    check_order(
        &page,
        &[
            "2 suspect or revoked",
            "2026-03-01 11:00:00",
            "1 h ago",
            "2026-03-02 12:00:00",
            "in 1 day",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anything_it_still_says_so() {
    let page = Console::start(Setup::default()).await.page().await;
    for text in [
        "This process keeps no ledger",
        "No keys are in force",
        "No decision log here",
        "None to show",
    ] {
        assert!(page.contains(text), "{text}");
    }
    check_balanced(&page);
}
