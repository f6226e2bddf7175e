//! An authority to talk to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use countersign_authority::{Authority, Config, OpenError, OpenOptions};
use countersign_ledger::{Follower, Ledger, NoteSigner, OpenError as OpenLedgerError, Options};
use countersign_token::{Check, ParsedToken, Registry, Resource, VerifiedToken, verify};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BASE_URL: &str = "http://authority.example";
pub(crate) const CONTOSO: &str = "/enterprise/8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01";
pub(crate) const FABRIKAM: &str = "/enterprise/c1f0b7de-2a94-4c39-8e0a-6d2b9f3e7a02";
pub(crate) const MAIL: &str = "https://mail.example";
pub(crate) const FILES: &str = "https://files.example";
const NOW: u64 = 1_800_000_000;

pub(crate) struct World {
    pub(crate) directory: Arc<TempDir>,
    pub(crate) ledger: Ledger,
    pub(crate) follower: Follower,
    pub(crate) authority: Authority,
    time: Arc<AtomicU64>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

/// An HTTP response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl World {
    pub(crate) async fn first_run() -> Self {
        Self::start(Config::first_run()).await
    }

    pub(crate) async fn start(config: Config) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), config)
            .await
            .unwrap()
    }

    pub(crate) async fn start_in(directory: Arc<TempDir>, config: Config) -> Result<Self, OpenError> {
        let time = Arc::new(AtomicU64::new(NOW));
        let ledger = open_ledger(directory.path());
        let follower = Follower::start(ledger.clone(), clock(&time)).await;
        let deadline = Instant::now() + LOCK_WAIT;
        let authority = loop {
            let opened = Authority::open(OpenOptions {
                directory: data(directory.path()),
                base_url: BASE_URL.to_owned(),
                config: config.clone(),
                ledger: ledger.clone(),
                follower: follower.clone(),
                clock: clock(&time),
            });
            match opened.await {
                Ok(authority) => break authority,
                Err(OpenError::DirectoryInUse(_)) if Instant::now() < deadline => {
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    ledger.close();
                    return Err(error);
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = authority.router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Ok(Self {
            directory,
            ledger,
            follower,
            authority,
            time,
            address,
            server,
        })
    }

    /// Ends this authority and opens the directory again.
    pub(crate) async fn restart(self, config: Config) -> Result<Self, OpenError> {
        let directory = self.stop().await;
        Self::start_in(directory, config).await
    }

    pub(crate) async fn stop(self) -> Arc<TempDir> {
        self.server.abort();
        let _aborted = self.server.await;
        drop(self.authority);
        drop(self.follower);
        self.ledger.close();
        self.directory
    }

    pub(crate) fn data(&self) -> PathBuf {
        data(self.directory.path())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn secret(&self, client: &str) -> String {
        std::fs::read_to_string(self.data().join("clients").join(format!("{client}.secret"))).unwrap()
    }

    /// The `Authorization` header of a client with a generated secret.
    pub(crate) fn basic(&self, client: &str) -> String {
        basic(client, &self.secret(client))
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let content_type = ("Content-Type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[headers, &[content_type]].concat(), body)
            .await
    }

    /// A token request with Basic authentication.
    pub(crate) async fn token(&self, issuer: &str, client: &str, body: &str) -> Answer {
        let authorization = self.basic(client);
        self.post(
            &format!("{issuer}/token"),
            &[("Authorization", &authorization)],
            body,
        )
        .await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: authority.example\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let address = self.address;
        tokio::task::spawn_blocking(move || exchange(address, &request))
            .await
            .unwrap()
    }

    /// Verifies a token by the present trust bundle, as a gate would.
    pub(crate) fn verify(&self, token: &str, realm: &str, audience: &str) -> VerifiedToken {
        let bundle = self.authority.trust().borrow().clone();
        let registry = Registry::new(bundle.issuers.clone()).unwrap();
        let resource = Resource::new("resource", audience, realm);
        let check = Check::new(&registry, &resource, self.now());
        verify(&ParsedToken::parse(token).unwrap(), &check).unwrap()
    }

    /// Verifies a token and gives the reason why it fails.
    pub(crate) fn refusal(&self, token: &str, realm: &str, audience: &str) -> Option<&'static str> {
        let bundle = self.authority.trust().borrow().clone();
        let registry = Registry::new(bundle.issuers.clone()).unwrap();
        let resource = Resource::new("resource", audience, realm);
        let check = Check::new(&registry, &resource, self.now());
        verify(&ParsedToken::parse(token).unwrap(), &check)
            .err()
            .map(|refusal| refusal.reason.as_str())
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The access token of a successful response.
    #[track_caller]
    pub(crate) fn access_token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Checks an error response: its fields, and the headers that every one has.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, error: &str) {
        assert_eq!(
            (self.status, self.json()["error"].as_str()),
            (status, Some(error)),
            "{self:?}"
        );
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["pragma"], "no-cache");
        assert_eq!(
            self.headers.contains_key("www-authenticate"),
            status == 401,
            "{self:?}"
        );
    }
}

pub(crate) fn data(root: &Path) -> PathBuf {
    root.join("data")
}

/// Other tests start processes, and between fork and exec such a process holds every lock of this one: what was just
/// closed may look taken for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Opens the ledger of a directory that this process has closed.
pub(crate) fn open_ledger(root: &Path) -> Ledger {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let mut options = Options::new(root.join("ledger"), "authority.example/ledger");
        options.segment_bytes = 1 << 20;
        let signer = NoteSigner::from_seed("authority.example/ledger", &[7; 32]).unwrap();
        match Ledger::open(options, signer) {
            Err(OpenLedgerError::InUse) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

pub(crate) fn clock(time: &Arc<AtomicU64>) -> countersign_authority::Clock {
    let time = Arc::clone(time);
    Arc::new(move || time.load(Ordering::SeqCst))
}

pub(crate) fn clock_at_start() -> countersign_authority::Clock {
    clock(&Arc::new(AtomicU64::new(NOW)))
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"))
    )
}

fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may answer and close before it has read a body that is too large.
    let _sent = stream.write_all(request.as_bytes());
    let mut response = Vec::new();
    let _received = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    });
    Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    }
}
