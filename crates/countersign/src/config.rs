//! The configuration: one TOML file whose sections are the roles that this process plays.

pub mod document;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use self::document::Problem;
use crate::failure::Failure;

/// Loopback only: a first run must not be reachable from elsewhere.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);
/// Beside whoever starts it, so that a first run is easy to find and to delete.
const DEFAULT_DATA: &str = "./countersign-data";
/// Tiles and checkpoint follow an append within this time: gates and auditors see it, few files are written.
const DEFAULT_PUBLISH_INTERVAL_MS: u64 = 200;
/// A stalled ledger is noticed in less than half a minute, for one small durable write each time.
const DEFAULT_FRESHNESS_INTERVAL_SECONDS: u64 = 10;
/// Public witnesses allow as much without asking.
const DEFAULT_WITNESS_INTERVAL_SECONDS: u64 = 10;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where this process listens and keeps its data.
    #[serde(default)]
    pub server: Server,
    /// Present: this process keeps the ledger.
    pub ledger: Option<LedgerSection>,
    /// Present: this process issues tokens. Needs `[ledger]`.
    pub authority: Option<countersign_authority::Config>,
    /// Present: this process decides about requests.
    pub gate: Option<countersign_gate::Config>,
    /// Present: this process shows a read-only page at `/console`.
    pub console: Option<ConsoleSection>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on (HTTP; put TLS in front of it).
    pub listen: SocketAddr,
    /// What clients see as scheme, host and port; issuers begin with it. Default: `http://` + `listen`.
    pub base_url: Option<String>,
    /// Directory for state, keys, ledger and decision log.
    pub data: PathBuf,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            base_url: None,
            data: PathBuf::from(DEFAULT_DATA),
        }
    }
}

impl Server {
    /// The base URL that issuers begin with, in its one normal form: the host in lower case, no default port, no
    /// slash at the end. Issuers are compared byte by byte, so there must be only one way to write them.
    pub fn base_url(&self) -> String {
        let written = self
            .base_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", self.listen));
        let normal = Url::parse(&written).map(String::from).unwrap_or(written);
        normal.trim_end_matches('/').to_owned()
    }

    /// An address that stands for all of a machine's addresses is none that a client could use.
    pub fn base_url_problem(&self) -> Option<(String, String, Option<String>)> {
        let path = || "server.base_url".to_owned();
        match &self.base_url {
            None if self.listen.ip().is_unspecified() => Some((
                path(),
                format!("is missing, and no client can use {} as an issuer", self.listen),
                Some("write what clients see: base_url = \"https://login.example\"".to_owned()),
            )),
            Some(url) if Url::parse(url).is_err() => Some((
                path(),
                "is no URL".to_owned(),
                Some("write what clients see: base_url = \"https://login.example\"".to_owned()),
            )),
            _ => None,
        }
    }
}

/// `[ledger]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSection {
    /// The log's name for ever (C2SP origin). Default: the base URL without its scheme, and `/ledger`.
    pub origin: Option<String>,
    /// How soon tiles and a signed checkpoint follow an append, in milliseconds.
    pub publish_interval_ms: u64,
    /// How often the checkpoint is signed anew, with the time, while nothing is appended, in seconds.
    pub freshness_interval_seconds: u64,
    /// Trust policy (tlog-policy) whose witnesses with a URL are asked to cosign, and whose quorum says when a
    /// checkpoint is witnessed.
    pub witnesses: Option<PathBuf>,
    /// How often witnesses are asked, in seconds.
    pub witness_interval_seconds: u64,
    /// Present: the ledger is kept in PostgreSQL instead of the data directory.
    pub postgres: Option<PostgresSection>,
    /// Present: the ledger is kept in S3-compatible object storage instead of the data directory.
    pub s3: Option<S3Section>,
}

/// `[ledger.postgres]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSection {
    /// Where the database is: `postgres://user@host/database`. The password comes from the environment (`PGPASSWORD`) or
    /// from the file that `PGPASSFILE` names, so that it stands in no configuration.
    pub url: String,
}

/// `[ledger.s3]`
///
/// Credentials come from the environment: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, or the
/// machine's role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3Section {
    /// The bucket; it must exist, and its server must honour conditional writes.
    pub bucket: String,
    /// What every name begins with; nothing else may lie below it. Default: nothing.
    pub prefix: Option<String>,
    /// The region. Default: `us-east-1`.
    pub region: Option<String>,
    /// The server's URL, for other servers than Amazon's.
    pub endpoint: Option<String>,
}

impl Default for LedgerSection {
    fn default() -> Self {
        Self {
            origin: None,
            publish_interval_ms: DEFAULT_PUBLISH_INTERVAL_MS,
            freshness_interval_seconds: DEFAULT_FRESHNESS_INTERVAL_SECONDS,
            witnesses: None,
            witness_interval_seconds: DEFAULT_WITNESS_INTERVAL_SECONDS,
            postgres: None,
            s3: None,
        }
    }
}

/// `[console]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleSection {
    /// Host names under which the page may be asked for, beside IP addresses and `localhost`. Others are refused,
    /// so that no web site can read the page through a name of its own (DNS rebinding).
    pub host_names: Vec<String>,
}

impl Config {
    /// What runs when no file is named: everything, on loopback, with demonstration realms and clients.
    pub fn first_run() -> Self {
        Self {
            server: Server::default(),
            ledger: Some(LedgerSection::default()),
            authority: Some(countersign_authority::Config::first_run()),
            gate: Some(countersign_gate::Config::first_run()),
            console: Some(ConsoleSection::default()),
        }
    }

    /// Whether these are the realms, clients and resources of the demonstration.
    pub fn is_first_run(&self) -> bool {
        let first = Self::first_run();
        self.authority == first.authority && self.gate == first.gate
    }

    /// Reads `file`, or gives [`Config::first_run`]; every problem of the file is in the failure.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else {
            return Ok(Self::first_run());
        };
        let text = read_text(file)?;
        Self::parse(&text).map_err(|problems| refused(file, &problems))
    }

    /// Reads `text`; a config without problems, or all of them.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let config: Self = document::read(text)?;
        let mut problems = document::located(text, config.validate());
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// Everything wrong with it, as path, message and hint.
    fn validate(&self) -> Vec<(String, String, Option<String>)> {
        let mut problems: Vec<_> = self.server.base_url_problem().into_iter().collect();
        if self.authority.is_some() && self.ledger.is_none() {
            problems.push((
                "authority".to_owned(),
                "an authority without a ledger cannot record what it issues".to_owned(),
                Some("add a [ledger] section".to_owned()),
            ));
        }
        if self.ledger.is_none() && self.gate.is_none() {
            problems.push((
                "server".to_owned(),
                "the config names no role".to_owned(),
                Some("add [authority] and [ledger], or [gate]".to_owned()),
            ));
        }
        if self
            .ledger
            .as_ref()
            .is_some_and(|ledger| ledger.postgres.is_some() && ledger.s3.is_some())
        {
            problems.push((
                "ledger".to_owned(),
                "a ledger lies in one store, and this names two".to_owned(),
                Some("keep [ledger.postgres] or [ledger.s3]".to_owned()),
            ));
        }
        let authority = self
            .authority
            .iter()
            .flat_map(countersign_authority::Config::validate);
        problems.extend(authority.map(|found| {
            (
                format!("authority.{}", found.path),
                found.message.to_owned(),
                Some(found.hint.to_owned()),
            )
        }));
        let gate = self.gate.iter().flat_map(countersign_gate::Config::validate);
        problems.extend(gate.map(|found| {
            (
                format!("gate.{}", found.path),
                found.message,
                found.hint.map(str::to_owned),
            )
        }));
        problems
    }
}

/// Reads a text file that a person named on the command line.
pub fn read_text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(
            "file_unreadable",
            format!("cannot read {}: {error}", file.display()),
        )
        .hint("name a file that exists and that you may read")
    })
}

/// One failure out of all the problems of one file.
pub fn refused(file: &Path, problems: &[Problem]) -> Failure {
    let list: Vec<String> = problems
        .iter()
        .map(|problem| format!("\n  {}: {problem}", file.display()))
        .collect();
    let noun = if problems.len() == 1 {
        "problem"
    } else {
        "problems"
    };
    Failure::usage(
        "config_invalid",
        format!("{} {noun} in {}{}", problems.len(), file.display(), list.concat()),
    )
    .hint(format!(
        "correct them and run: countersign config check {}",
        file.display()
    ))
}
