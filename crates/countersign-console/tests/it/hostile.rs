//! An attacker chooses much of what stands in the log. None of it may become markup.

use countersign_console::KeyTable;
use serde_json::Value;

use crate::{Console, Setup, decision, key};

const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</td></tr></table></main><h1>All clear</h1>",
    "</style><style>*{display:none}</style>",
    "</title><base href=//evil.example>",
    "<!--",
    "]]><![CDATA[",
    "&lt;script&gt;&#60;script&#62;",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "\u{202e}gnihton\u{2066}",
    "a\u{0}b\r\nc\u{8}\u{1b}[2J",
    "\u{feff}\u{200b}alice\u{e0041}",
];

/// Every member that is a text, but for the reason.
const MEMBERS: &[&str] = &[
    "gate",
    "mode",
    "issuer",
    "realm",
    "tenant",
    "key_id",
    "algorithm",
    "fingerprint",
    "token_id",
    "subject",
    "client",
    "provenance",
    "resource",
    "method",
    "path",
    "source_ip",
    "user_agent",
];

/// Decisions of every sort whose texts are `text`. Their numbers differ, so that no order depends on the text.
fn decisions(text: &str) -> Vec<Value> {
    let sorts = [
        (4, decision(1, "admit", Some(text), Some("recorded"))),
        (3, decision(2, "refuse", Some(text), None)),
        (
            2,
            decision(3, "refuse", Some("never_issued"), Some("not_recorded")),
        ),
        (1, decision(4, "refuse", Some("key_realm_mismatch"), None)),
    ];
    let hostile = |mut decision: Value| {
        for member in MEMBERS {
            decision
                .as_object_mut()
                .unwrap()
                .insert((*member).to_owned(), text.into());
        }
        decision
    };
    sorts
        .into_iter()
        .flat_map(|(count, decision)| vec![hostile(decision); count])
        .collect()
}

fn keys(text: &str) -> KeyTable {
    let mut row = key(text, text, text);
    text.clone_into(&mut row.realm);
    row.tenant = Some(text.to_owned());
    text.clone_into(&mut row.algorithm);
    KeyTable {
        bundle: Some(1),
        keys: vec![row],
    }
}

async fn page_with(text: &str) -> String {
    let console = Console::start(Setup {
        keys: keys(text),
        decisions: Some(decisions(text)),
        ..Setup::default()
    })
    .await;
    console.page().await
}

/// Everything between `<` and `>`: what a browser takes for markup, the style sheet aside.
fn markup(page: &str) -> Vec<&str> {
    let pieces = page.split('<').skip(1);
    pieces
        .map(|piece| piece.split_once('>').map_or(piece, |(markup, _)| markup))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_changes_the_markup() {
    let plain = page_with("plain").await;
    for attack in ATTACKS {
        let page = page_with(attack).await;
        let (found, expect) = (markup(&page), markup(&plain));
        let different = found.iter().zip(&expect).find(|(found, expect)| found != expect);
        assert_eq!(different, None, "{attack:?}");
        assert_eq!(found.len(), expect.len(), "{attack:?}");
        assert_eq!(page.matches("<script").count(), 0, "{attack:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_invisible_reaches_the_page() {
    for attack in ATTACKS {
        let page = page_with(attack).await;
        let unseen = page
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(*c));
        assert_eq!(unseen, None, "{attack:?}");
    }
    assert!(page_with("\u{202e}gnihton").await.contains("\\u{202e}gnihton"));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_do_not_fill_the_page() {
    let page = page_with(&"x".repeat(100_000)).await;
    assert!(page.len() < 60_000, "{}", page.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_carries_the_text_as_it_is() {
    for attack in ATTACKS {
        let setup = Setup {
            keys: keys(attack),
            decisions: Some(decisions(attack)),
            ..Setup::default()
        };
        let json = Console::start(setup).await.json().await;
        assert_eq!(json["decision_log"]["newest"][0]["subject"], **attack);
        assert_eq!(json["keys"]["keys"][0]["issuer"], **attack);
    }
}
