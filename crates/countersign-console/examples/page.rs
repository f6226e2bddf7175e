//! Serves the page with example data, for looking at it: `cargo run -p countersign-console --example page`.
//! An address may follow (default `127.0.0.1:8430`), and `calm` for a day without alarms. `docs/console.png` shows it.
#![expect(clippy::print_stdout, reason = "an example says where it listens")]

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use countersign_console::{ConsoleOptions, KeyRow, KeyTable, router};
use countersign_ledger::draft::active_key;
use countersign_ledger::{
    IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options, issuer_id, realm_id,
};

/// 2026-03-01 12:00:00: the page is the same each time.
const NOW: u64 = 1_772_366_400;
const DAY: u64 = 86_400;
const CONSUMER: &str = "https://login.example/consumer";
const ACME: &str = "https://login.example/enterprise/8f0c1f6e-6c1b-4c0e-9d55-0b9f5f0a7c11";
const GLOBEX: &str = "https://login.example/enterprise/2b7d3c90-1e4f-4a77-8b8e-51c9c7de3a42";
const CONSUMER_KEY: &str = "q3GmCf0Yv9o1m0Jx7hZr2bWc5sLtKeUuP8dNaTiXw4E";
const RETIRED_KEY: &str = "Yb7pQk2Rz0sVw5HnLd8tMxJc3uGaFe9oKi1rTqBvS6M";
const ACTIVE_KEY: &str = "mV5xN0aRk8uJt2cSg7LfWq4hYdKz9oPb1eTiUvXn3G0";
const GLOBEX_KEY: &str = "H2nJw7cYt4vKx9fRq1sLd6bMz0gPe3uAo8iTkWb5V2U";
const ACME_KEY: &str = "Zk4cW9uTn1Lx6vBq0RfYh3sJdGm8eApKo2iUtXb5S7Q";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let calm = arguments.iter().any(|argument| argument == "calm");
    let address = arguments.iter().find(|argument| argument.contains(':'));
    let directory = tempfile::tempdir()?;
    let decision_log = directory.path().join("decisions.ndjson");
    File::create(&decision_log)?.write_all(decisions(calm).as_bytes())?;
    let page = router(ConsoleOptions {
        ledger: Some(ledger(&directory.path().join("ledger")).await?),
        keys: Arc::new(keys),
        decision_log: Some(decision_log),
        clock: Arc::new(|| NOW),
        host_names: Vec::new(),
    });
    let listener = tokio::net::TcpListener::bind(address.map_or("127.0.0.1:8430", String::as_str)).await?;
    println!("http://{}/console", listener.local_addr()?);
    axum::serve(listener, page).await?;
    Ok(())
}

async fn ledger(directory: &std::path::Path) -> Result<Ledger, Box<dyn Error>> {
    let origin = "login.example/ledger";
    let ledger = Ledger::open(
        Options::new(directory, origin),
        NoteSigner::from_seed(origin, &[7; 32])?,
    )?;
    let key = KeyName {
        issuer: issuer_id(ACME),
        key: [1; 32],
    };
    ledger
        .append_together(active_key(key, realm_id("enterprise"), NOW - DAY))
        .await?;
    let epoch = ledger
        .key(&key)
        .map(|standing| standing.epoch)
        .unwrap_or_default();
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..1282u64 {
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&number.to_be_bytes());
        let issuance = IssuanceDraft {
            kind: IssuanceKind::Access,
            fingerprint,
            key,
            epoch,
            parent_key: None,
            issued_at: NOW - 4,
            expires_at: NOW + 600,
            lineage: None,
        };
        let ledger = ledger.clone();
        appends.spawn(async move { ledger.append(issuance).await });
    }
    while let Some(append) = appends.join_next().await {
        append??;
    }
    Ok(ledger)
}

fn keys() -> KeyTable {
    let row =
        |issuer: &str, tenant: Option<&str>, key: &str, state: &str, from: u64, until: Option<u64>| KeyRow {
            issuer: issuer.to_owned(),
            realm: if issuer == CONSUMER {
                "consumer"
            } else {
                "enterprise"
            }
            .to_owned(),
            tenant: tenant.map(str::to_owned),
            key_id: key.to_owned(),
            algorithm: "ES256".to_owned(),
            state: state.to_owned(),
            sign_from: from,
            sign_until: until,
        };
    KeyTable {
        bundle: Some(17),
        keys: vec![
            row(
                CONSUMER,
                None,
                CONSUMER_KEY,
                "suspect",
                NOW - 20 * DAY,
                Some(NOW - 900),
            ),
            row(CONSUMER, None, ACTIVE_KEY, "active", NOW - 900, None),
            row(
                CONSUMER,
                None,
                RETIRED_KEY,
                "retired",
                NOW - 110 * DAY,
                Some(NOW - 20 * DAY),
            ),
            row(ACME, Some("Acme"), ACME_KEY, "active", NOW - 12 * DAY, None),
            row(
                ACME,
                Some("Acme"),
                "c8TfLw1sVb6kQz3yXj9uRm0nGh5dPe7oKa2iUtWq4S8",
                "staged",
                NOW + 18 * DAY,
                None,
            ),
            row(GLOBEX, Some("Globex"), GLOBEX_KEY, "active", NOW - 40 * DAY, None),
        ],
    }
}

/// A morning at the gate, oldest first.
fn decisions(calm: bool) -> String {
    let mut log = String::new();
    let tokens = [
        (ACME, ACME_KEY, "u-4711"),
        (GLOBEX, GLOBEX_KEY, "u-2093"),
        (CONSUMER, ACTIVE_KEY, "u-88120"),
    ];
    let paths = ["/v1/mail", "/v1/mail/inbox", "/v1/calendar", "/v1/files/7f2c"];
    let requests = tokens.into_iter().cycle().zip(paths.into_iter().cycle());
    for (number, ((issuer, key, subject), path)) in (0..420u64).zip(requests) {
        let before = (420 - number) * 4;
        log += &match number % 23 {
            7 => refused(before, "token_expired", issuer, key, subject, path),
            12 => Line {
                resource: "mail",
                path,
                ..Line::new(before, "refuse", Some("token_missing"))
            }
            .text(),
            19 => refused(before, "scope_insufficient", issuer, key, subject, path),
            _ => Line {
                provenance: Some("recorded"),
                ledger_index: Some(840 + number),
                ..Line::of_token(before, "admit", None, issuer, key, subject, path)
            }
            .text(),
        };
        if !calm {
            log += &attack(number, before);
        }
    }
    log
}

/// A stolen consumer key is tried on enterprise mail, then a perfect forgery, then an old key.
fn attack(number: u64, before: u64) -> String {
    match number {
        371 | 384 | 386 | 391 => {
            let subject = "cfo@acme.example\"><img src=x onerror=alert(1)>";
            refused(
                before,
                "key_realm_mismatch",
                ACME,
                CONSUMER_KEY,
                subject,
                "/v1/mail/export",
            )
        }
        398 => refused(
            before,
            "key_outside_window",
            CONSUMER,
            RETIRED_KEY,
            "u-88120",
            "/v1/mail",
        ),
        404 | 413 => Line {
            provenance: Some("not_recorded"),
            ..Line::of_token(
                before,
                "refuse",
                Some("never_issued"),
                CONSUMER,
                CONSUMER_KEY,
                "u-10001",
                "/v1/mail",
            )
        }
        .text(),
        409 => Line {
            provenance: Some("not_recorded"),
            resource: "calendar",
            mode: "observe",
            ..Line::of_token(
                before,
                "admit",
                Some("never_issued"),
                GLOBEX,
                GLOBEX_KEY,
                "u-2093",
                "/v1/calendar/all",
            )
        }
        .text(),
        415 => "{\"time\":\"2026-03-01T11:5".to_owned() + "\n",
        _ => String::new(),
    }
}

fn refused(
    before: u64,
    reason: &'static str,
    issuer: &'static str,
    key: &'static str,
    subject: &'static str,
    path: &'static str,
) -> String {
    Line::of_token(before, "refuse", Some(reason), issuer, key, subject, path).text()
}

struct Line {
    before: u64,
    decision: &'static str,
    reason: Option<&'static str>,
    mode: &'static str,
    issuer: Option<&'static str>,
    key: Option<&'static str>,
    subject: Option<&'static str>,
    provenance: Option<&'static str>,
    ledger_index: Option<u64>,
    resource: &'static str,
    path: &'static str,
}

impl Line {
    fn new(before: u64, decision: &'static str, reason: Option<&'static str>) -> Self {
        Self {
            before,
            decision,
            reason,
            mode: "enforce",
            issuer: None,
            key: None,
            subject: None,
            provenance: None,
            ledger_index: None,
            resource: "mail",
            path: "/",
        }
    }

    fn of_token(
        before: u64,
        decision: &'static str,
        reason: Option<&'static str>,
        issuer: &'static str,
        key: &'static str,
        subject: &'static str,
        path: &'static str,
    ) -> Self {
        Self {
            issuer: Some(issuer),
            key: Some(key),
            subject: Some(subject),
            path,
            ..Self::new(before, decision, reason)
        }
    }

    fn text(&self) -> String {
        let second = 43_200 - self.before;
        let time = format!(
            "2026-03-01T{:02}:{:02}:{:02}.120Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        let agent = if self.decision == "refuse" && self.provenance.is_none() {
            "python-requests/2.31"
        } else {
            "AcmeMail/8.2 (iOS)"
        };
        let line = serde_json::json!({
            "time": time, "gate": "gate-1", "decision": self.decision, "reason": self.reason, "mode": self.mode,
            "issuer": self.issuer, "realm": self.issuer.map(|issuer| if issuer == CONSUMER { "consumer" } else { "enterprise" }),
            "key_id": self.key, "algorithm": self.key.map(|_| "ES256"), "subject": self.subject,
            "client": self.subject.map(|_| "mail-app"), "provenance": self.provenance, "ledger_index": self.ledger_index,
            "resource": self.resource, "method": "GET", "path": self.path, "source_ip": "203.0.113.24", "user_agent": agent,
        });
        format!("{line}\n")
    }
}
