//! The page as a browser gets it: over a socket, with a real ledger and a real file.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod hostile;
mod pages;
mod served;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use countersign_console::{ConsoleOptions, KeyRow, KeyTable, router};
use countersign_ledger::draft::active_key;
use countersign_ledger::{
    IssuanceDraft, IssuanceKind, KeyName, Ledger, NoteSigner, Options, issuer_id, realm_id,
};
use serde_json::{Value, json};

/// 2026-03-01 12:00:00.
const NOW: u64 = 1_772_366_400;

/// A console that is served on a port of its own.
struct Console {
    address: SocketAddr,
    directory: tempfile::TempDir,
    clock: Arc<AtomicU64>,
    looks_at_keys: Arc<AtomicUsize>,
    ledger: Option<Ledger>,
}

/// What a test may choose.
#[derive(Default)]
struct Setup {
    ledger: bool,
    keys: KeyTable,
    /// None: the console knows of no log. An empty list is an empty file.
    decisions: Option<Vec<Value>>,
}

impl Console {
    async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("decisions.ndjson");
        if setup.decisions.is_some() {
            File::create(&log).unwrap();
        }
        let decision_log = setup.decisions.is_some().then(|| log.clone());
        let ledger = setup.ledger.then(|| open_ledger(directory.path().join("ledger")));
        let console = Self::serve(directory, ledger, setup.keys, decision_log).await;
        console.append(&setup.decisions.unwrap_or_default());
        console
    }

    async fn serve(
        directory: tempfile::TempDir,
        ledger: Option<Ledger>,
        keys: KeyTable,
        decision_log: Option<PathBuf>,
    ) -> Self {
        let clock = Arc::new(AtomicU64::new(NOW));
        let looks_at_keys = Arc::new(AtomicUsize::new(0));
        let (time, looks) = (Arc::clone(&clock), Arc::clone(&looks_at_keys));
        let router = router(ConsoleOptions {
            ledger: ledger.clone(),
            keys: Arc::new(move || {
                looks.fetch_add(1, Ordering::SeqCst);
                keys.clone()
            }),
            decision_log,
            clock: Arc::new(move || time.load(Ordering::SeqCst)),
            host_names: vec!["console.example".to_owned()],
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            directory,
            clock,
            looks_at_keys,
            ledger,
        }
    }

    fn append(&self, decisions: &[Value]) {
        let lines = decisions
            .iter()
            .fold(String::new(), |lines, decision| lines + &format!("{decision}\n"));
        self.append_text(&lines);
    }

    fn append_text(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let path = self.directory.path().join("decisions.ndjson");
        OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// Lets a second go by: the console looks anew.
    fn tick(&self) {
        self.clock.fetch_add(1, Ordering::SeqCst);
    }

    async fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        let address = self.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = answer.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn page(&self) -> String {
        let answer = self.ask("GET", "/console", "Host: localhost\r\n").await;
        assert_eq!(answer.status(), "200");
        answer.body
    }

    async fn json(&self) -> Value {
        let answer = self.ask("GET", "/console.json", "Host: localhost\r\n").await;
        assert_eq!(answer.status(), "200");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        serde_json::from_str(&answer.body).unwrap()
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn open_ledger(directory: PathBuf) -> Ledger {
    let origin = "login.example/ledger";
    let options = Options {
        publish_interval: Duration::from_millis(1),
        ..Options::new(directory, origin)
    };
    Ledger::open(options, NoteSigner::from_seed(origin, &[7; 32]).unwrap()).unwrap()
}

/// Records an issuance; on a new ledger after two entries of its key.
async fn record(ledger: &Ledger, number: u8) {
    let key = KeyName {
        issuer: issuer_id("https://login.example/consumer"),
        key: [1; 32],
    };
    if ledger.key(&key).is_none() {
        let drafts = active_key(key, realm_id("consumer"), NOW - 3600);
        ledger.append_together(drafts).await.unwrap();
    }
    let issuance = IssuanceDraft {
        kind: IssuanceKind::Access,
        fingerprint: [number; 32],
        key,
        epoch: ledger.key(&key).unwrap().epoch,
        parent_key: None,
        issued_at: NOW - 60 + u64::from(number),
        expires_at: NOW + 600,
        lineage: None,
    };
    ledger.append(issuance).await.unwrap();
}

/// A decision `second` seconds after noon less a minute, with every member that the page shows.
fn decision(second: u64, verdict: &str, reason: Option<&str>, provenance: Option<&str>) -> Value {
    json!({
        "time": format!("2026-03-01T11:59:{second:02}.000Z"), "gate": "gate-1", "decision": verdict, "reason": reason,
        "mode": "enforce", "issuer": "https://login.example/consumer", "realm": "consumer", "tenant": "acme",
        "key_id": "key-1", "key_thumbprint": null, "algorithm": "ES256", "fingerprint": "00", "token_id": "t",
        "session_id": null, "subject": "alice", "client": "app", "audience": ["a"], "scope": ["read"],
        "issued_at": NOW, "expires_at": NOW, "provenance": provenance, "ledger_index": 7, "bundle": 1,
        "resource": "mail", "method": "GET", "path": "/v1/mail", "source_ip": "203.0.113.9", "user_agent": "curl/8",
        "duration_us": 41,
    })
}

fn key(issuer: &str, key_id: &str, state: &str) -> KeyRow {
    KeyRow {
        issuer: issuer.to_owned(),
        realm: "consumer".to_owned(),
        tenant: Some("acme".to_owned()),
        key_id: key_id.to_owned(),
        algorithm: "ES256".to_owned(),
        state: state.to_owned(),
        sign_from: NOW - 3600,
        sign_until: Some(NOW + 86_400),
    }
}
