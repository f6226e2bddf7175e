use std::path::PathBuf;
use std::sync::Arc;

use countersign_ledger::Follower;
use countersign_ledger::remote::RemoteError;
use countersign_token::TrustBundle;
use tokio::sync::watch;

use crate::clock::ClockMs;
use crate::config::Config;
use crate::validate::Problem;

/// What a gate is made of.
pub struct GateOptions {
    /// What it protects and whom it trusts.
    pub config: Config,
    /// The data directory, where relative paths of the configuration start.
    pub directory: PathBuf,
    /// The authority's trust bundle; none when only foreign issuers are trusted.
    pub bundle: Option<watch::Receiver<Arc<TrustBundle>>>,
    /// The follower of a ledger in this process; a ledger that the configuration names comes before it. Without either
    /// nothing is known to be issued: resources in mode `enforce` refuse everything.
    pub follower: Option<Follower>,
    /// The clock, in milliseconds.
    pub clock_ms: ClockMs,
}

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration has problems.
    #[error("the gate's configuration has {} problems, the first: {}", .0.len(), first(.0))]
    Config(Vec<Problem>),
    /// The decision log cannot be opened.
    #[error("cannot open the decision log {}", .path.display())]
    DecisionLog {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The trusted issuers contradict each other.
    #[error("the trusted issuers contradict each other")]
    Trust(#[source] countersign_token::RegistryError),
    /// The ledger that the configuration names cannot be followed.
    #[error("cannot follow the ledger")]
    Ledger(#[source] RemoteError),
    /// The HTTP client cannot be made.
    #[error("cannot prepare fetching key sets")]
    Client(#[source] reqwest::Error),
    /// Not called from inside a tokio runtime.
    #[error("a gate needs a tokio runtime around it")]
    NoRuntime,
}

impl StartError {
    /// The stable word for this cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "gate_config_invalid",
            Self::DecisionLog { .. } => "decision_log_unusable",
            Self::Trust(_) => "trust_contradictory",
            Self::Ledger(error) => error.code(),
            Self::Client(_) => "key_fetch_unavailable",
            Self::NoRuntime => "runtime_missing",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(_) => Some("countersign config check lists every problem"),
            Self::DecisionLog { .. } => {
                Some("set `decision_log` to a file in a directory this user may write")
            }
            Self::Trust(_) => {
                Some("an issuer stands in the trust bundle or in the configuration, not in both")
            }
            Self::Ledger(error) => error.hint(),
            Self::Client(_) => Some("check that the system's root certificates are installed"),
            Self::NoRuntime => None,
        }
    }
}

fn first(problems: &[Problem]) -> String {
    problems
        .first()
        .map(|problem| format!("{} {}", problem.path, problem.message))
        .unwrap_or_default()
}
