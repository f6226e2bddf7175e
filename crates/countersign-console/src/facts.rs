//! Everything the page says, taken at one moment.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::sync::Mutex;

use crate::ConsoleOptions;
use crate::decisions::{self, Digest};
use crate::keys::KeyTable;
use crate::ledger::{self, LedgerFacts};
use crate::tail::ReadError;

/// What is known at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// None: this process has no ledger.
    pub(crate) ledger: Option<LedgerFacts>,
    pub(crate) keys: KeyTable,
    pub(crate) decision_log: LogFacts,
}

/// The decision log, or why it is not shown.
#[derive(Debug)]
pub(crate) enum LogFacts {
    NotConfigured,
    Unreadable(ReadError),
    Read(Digest),
}

impl LogFacts {
    /// The digest, if the log could be read.
    pub(crate) const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Read(digest) => Some(digest),
            Self::NotConfigured | Self::Unreadable(_) => None,
        }
    }
}

impl Serialize for LogFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            state: &'a str,
            error: Option<&'a str>,
            #[serde(flatten)]
            digest: Option<&'a Digest>,
        }
        let (state, error) = match self {
            Self::NotConfigured => ("not_configured", None),
            Self::Unreadable(error) => ("unreadable", Some(error.code())),
            Self::Read(_) => ("read", None),
        };
        Form {
            state,
            error,
            digest: self.digest(),
        }
        .serialize(serializer)
    }
}

/// Takes the facts, at most once a second however many ask.
pub(crate) struct Observer {
    options: Arc<ConsoleOptions>,
    latest: Mutex<Option<Arc<Facts>>>,
}

impl Observer {
    pub(crate) fn new(options: ConsoleOptions) -> Self {
        Self {
            options: Arc::new(options),
            latest: Mutex::new(None),
        }
    }

    pub(crate) fn options(&self) -> &ConsoleOptions {
        &self.options
    }

    /// The facts of this second; none when the process is shutting down.
    pub(crate) async fn facts(&self) -> Option<Arc<Facts>> {
        // Held while reading: those who ask meanwhile wait for the one answer.
        let mut latest = self.latest.lock().await;
        let now = (self.options.clock)();
        if let Some(facts) = latest.as_ref().filter(|facts| facts.now == now) {
            return Some(Arc::clone(facts));
        }
        let options = Arc::clone(&self.options);
        let facts = tokio::task::spawn_blocking(move || take(&options, now))
            .await
            .ok()?;
        Some(Arc::clone(latest.insert(Arc::new(facts))))
    }
}

fn take(options: &ConsoleOptions, now: u64) -> Facts {
    let decision_log = match options.decision_log.as_deref().map(decisions::read) {
        None => LogFacts::NotConfigured,
        Some(Err(error)) => LogFacts::Unreadable(error),
        Some(Ok(digest)) => LogFacts::Read(digest),
    };
    Facts {
        now,
        ledger: options.ledger.as_ref().map(ledger::read),
        keys: (options.keys)(),
        decision_log,
    }
}
