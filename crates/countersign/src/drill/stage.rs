//! The closed local copy: a whole Countersign on a loopback port, in a directory that goes away, under a clock of
//! its own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_authority::{Authority, Grant};
use countersign_token::ParsedToken;
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::plain::{Claims, PlainVerifier};
use crate::clock::{self, Clocks};
use crate::config::Config;
use crate::failure::Failure;
use crate::instance::{Instance, Layout, places};
use crate::listener;
use crate::thief::{Lie, StolenKey};

/// The resource that the intruder wants.
pub(crate) const MAIL: &str = "mail";
/// The resource behind it, reached by exchange.
pub(crate) const FILES: &str = "files";

pub(crate) const MAIL_AUDIENCE: &str = "https://mail.example";
pub(crate) const FILES_AUDIENCE: &str = "https://files.example";

/// A running copy and what the drill knows about it.
pub(crate) struct Stage {
    pub(crate) contoso: String,
    pub(crate) fabrikam: String,
    pub(crate) consumer: String,
    pub(crate) plain: PlainVerifier,
    base: String,
    data: PathBuf,
    /// Removes the directory when the drill ends, however it ends: it holds private keys.
    scratch: Option<TempDir>,
    clock: Arc<AtomicU64>,
    authority: Authority,
    http: reqwest::Client,
    log: OperatorLog,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// What the token endpoint answered.
pub(crate) enum Answer {
    Token(String),
    /// Refused with this status, by this rule. The client is not told the rule; the operator's log has it.
    Refused {
        status: u16,
        rule: String,
    },
}

impl Stage {
    /// Starts the copy: a first run in a fresh directory, on a free loopback port.
    pub(crate) async fn build(keep: Option<&Path>) -> Result<Self, Failure> {
        let scratch = match keep {
            Some(directory) => refuse_used(directory).map(|()| None)?,
            None => Some(TempDir::new().map_err(|error| failed("cannot make a directory", &error))?),
        };
        let data = keep
            .or_else(|| scratch.as_ref().map(TempDir::path))
            .unwrap_or(Path::new("."))
            .to_owned();
        let log = OperatorLog::start();
        let listener = listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed("cannot tell the port", &error))?;
        let mut config = Config::first_run();
        config.server.listen = address;
        config.server.data.clone_from(&data);
        let base = config.server.base_url();
        let clock = Arc::new(AtomicU64::new(clock::now()));
        let instance = Instance::open(&config, &base, clocks(&clock)).await?;
        let authority = instance
            .authority
            .clone()
            .ok_or_else(|| failed("the copy has no authority", &""))?;
        let listener = TcpListener::from_std(listener).map_err(|error| failed("cannot listen", &error))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            listener::serve(listener, instance.router(), stop).await;
            instance.close();
        });
        let issuers: Vec<String> = places(&config, &base)
            .into_iter()
            .map(|place| place.url)
            .collect();
        let [consumer, contoso, fabrikam] = issuers.as_slice() else {
            return Err(failed(
                "the first run has other issuers than the drill knows",
                &issuers.len(),
            ));
        };
        // A proxy of the environment is for other machines.
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| failed("no HTTP client", &error))?;
        let plain = plain_verifier(&http, &issuers).await?;
        let (consumer, contoso, fabrikam) = (consumer.clone(), contoso.clone(), fabrikam.clone());
        Ok(Self {
            contoso,
            fabrikam,
            consumer,
            plain,
            base,
            data,
            scratch,
            clock,
            authority,
            http,
            log,
            stop,
            server,
        })
    }

    /// Stops the copy, and only then removes its directory, unless it was to be kept.
    pub(crate) async fn clear(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
        drop(self.scratch);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Moves the drill's clock forward.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Issues a token to a user through the authority: recorded before it is handed over.
    pub(crate) async fn issue(
        &self,
        issuer: &str,
        subject: &str,
        email: Option<&str>,
    ) -> Result<String, Failure> {
        let mut grant = Grant::new(issuer, subject, "mail-app", MAIL_AUDIENCE);
        grant.scope = vec!["mail.read".to_owned()];
        grant.claims.email = email.map(str::to_owned);
        let released = self
            .authority
            .issue(grant)
            .await
            .map_err(|error| failed("cannot issue", &error))?;
        Ok(released.token.to_string())
    }

    /// Copies the active key of an issuer out of the data directory.
    pub(crate) async fn steal(&self, issuer: &str) -> Result<StolenKey, Failure> {
        StolenKey::take(&self.data, issuer).await
    }

    /// Forges a mail token with a stolen key, now.
    pub(crate) fn forge(
        &self,
        key: &StolenKey,
        issuer: &str,
        subject: &str,
        lifetime: u64,
    ) -> Result<String, Failure> {
        forge_as_of(self.now(), key, issuer, subject, lifetime)
    }

    /// Rotates: the staged key signs from now on, the active one is retired.
    pub(crate) async fn rotate(&self, issuer: &str) -> Result<(), Failure> {
        self.authority
            .activate(issuer)
            .await
            .map(drop)
            .map_err(|error| failed("cannot rotate", &error))
    }

    /// Shows a token to the gate as a proxy would, and reads back the line that the decision log has of it.
    pub(crate) async fn check(&self, token: &str, resource: &str) -> Result<(u16, Value), Failure> {
        let answer = self
            .http
            .get(format!("{}/check?resource={resource}", self.base))
            .bearer_auth(token)
            .header("x-original-method", "GET")
            .header("x-original-uri", "/inbox")
            .send()
            .await
            .map_err(|error| failed("the gate does not answer", &error))?;
        Ok((answer.status().as_u16(), self.logged(token)?))
    }

    /// Exchanges a token for one to another audience, as an API does to act for its user.
    pub(crate) async fn exchange(
        &self,
        client: &str,
        token: &str,
        audience: &str,
    ) -> Result<Answer, Failure> {
        let secret_file = self.data.join("clients").join(format!("{client}.secret"));
        let secret = std::fs::read_to_string(&secret_file)
            .map_err(|error| failed("cannot read the client's secret", &error))?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", audience),
        ];
        // None of these values has a character that a form would have to escape.
        let body = form.map(|(name, value)| format!("{name}={value}")).join("&");
        let answer = self
            .http
            .post(format!("{}/token", self.contoso))
            .basic_auth(client, Some(secret.trim()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .map_err(|error| failed("the token endpoint does not answer", &error))?;
        let status = answer.status().as_u16();
        let text = answer
            .text()
            .await
            .map_err(|error| failed("the token endpoint's answer broke off", &error))?;
        let body: Value =
            serde_json::from_str(&text).map_err(|error| failed("the answer is not JSON", &error))?;
        let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(match member("access_token") {
            Some(token) => Answer::Token(token),
            None => Answer::Refused {
                status,
                rule: self.log.last_rule().unwrap_or_default(),
            },
        })
    }

    /// Whom the plain service takes the caller for, and of which organisation the token really is.
    pub(crate) fn plain_detail(&self, claims: &Claims) -> String {
        let known = [
            (&self.contoso, "contoso"),
            (&self.fabrikam, "fabrikam"),
            (&self.consumer, "consumer"),
        ];
        let issuer = known
            .iter()
            .find(|(url, _)| **url == claims.iss)
            .map_or("another issuer", |(_, name)| name);
        format!("taken for {}, token of {issuer}", claims.user())
    }

    /// The last logged decision about this token.
    fn logged(&self, token: &str) -> Result<Value, Failure> {
        let fingerprint = ParsedToken::parse(token)
            .map_err(|refusal| failed("cannot parse the drill's own token", &refusal))?
            .fingerprint()
            .to_string();
        let text = std::fs::read_to_string(Layout(&self.data).decisions())
            .map_err(|error| failed("cannot read the decision log", &error))?;
        text.lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line.get("fingerprint").and_then(Value::as_str) == Some(&fingerprint))
            .ok_or_else(|| failed("the decision log has no line for the token", &fingerprint))
    }
}

/// What an operator's log says during the drill, kept in memory.
#[derive(Clone, Default)]
struct OperatorLog(Arc<Mutex<Vec<u8>>>);

impl OperatorLog {
    /// Takes in every event of this process from now on.
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // Only a second drill in one process could find one set; it then says no rule.
        let _ = tracing::subscriber::set_global_default(subscriber);
        log
    }

    /// The rule of the latest refused exchange.
    fn last_rule(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let (_, rest) = text.rsplit_once("rule=\"")?;
        rest.split('"').next().map(str::to_owned)
    }
}

impl Write for OperatorLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The drill's clock at both grains.
fn clocks(clock: &Arc<AtomicU64>) -> Clocks {
    let (seconds, milliseconds) = (Arc::clone(clock), Arc::clone(clock));
    Clocks {
        seconds: Arc::new(move || seconds.load(Ordering::Relaxed)),
        milliseconds: Arc::new(move || milliseconds.load(Ordering::Relaxed).saturating_mul(1000)),
    }
}

/// Forges a mail token with a stolen key, as of `now`.
pub(crate) fn forge_as_of(
    now: u64,
    key: &StolenKey,
    issuer: &str,
    subject: &str,
    lifetime: u64,
) -> Result<String, Failure> {
    key.sign(&Lie {
        issuer,
        subject,
        audience: MAIL_AUDIENCE,
        scope: "mail.read",
        now,
        lifetime,
    })
}

/// A drill must never mix with data that somebody uses.
fn refuse_used(data: &Path) -> Result<(), Failure> {
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} is not empty", data.display());
        return Err(Failure::usage("directory_in_use", message).hint("name a new directory with --keep"));
    }
    Ok(())
}

/// Loads every issuer's key set over HTTP into one pool, once, as services commonly do at their start.
async fn plain_verifier(http: &reqwest::Client, issuers: &[String]) -> Result<PlainVerifier, Failure> {
    let mut key_sets = Vec::new();
    for issuer in issuers {
        let answer = http.get(format!("{issuer}/jwks")).send().await;
        let body = async { answer?.bytes().await }
            .await
            .map_err(|error| failed("cannot load a key set", &error))?;
        let set: JwkSet =
            serde_json::from_slice(&body).map_err(|error| failed("cannot read a key set", &error))?;
        key_sets.push(set);
    }
    Ok(PlainVerifier::new(&key_sets, issuers, MAIL_AUDIENCE))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::fault("drill_failed", format!("{what}: {error}"))
}
