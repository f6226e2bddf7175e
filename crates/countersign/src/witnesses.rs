//! The way to witnesses: one small POST each.

use std::time::Duration;

use countersign_ledger::Ledger;
use countersign_ledger::policy::Policy;
use countersign_ledger::witness::{Answer, Submitter, SubmitterOptions, Transport, TransportError};

use crate::config::LedgerSection;
use crate::failure::Failure;

/// Two cosignature lines are under 4 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Asks the witnesses of the section's policy, if it names one, for as long as the result lives.
pub(crate) fn start(ledger: &Ledger, section: &LedgerSection) -> Result<Option<Submitter>, Failure> {
    let Some(file) = &section.witnesses else {
        return Ok(None);
    };
    let named = |text: String| format!("ledger.witnesses: {}: {text}", file.display());
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::usage("config_invalid", named(format!("cannot be read: {error}"))))?;
    let policy = Policy::parse(&bytes)
        .map_err(|error| Failure::usage(error.code(), named(error.to_string())).maybe_hint(error.hint()))?;
    if policy.witnesses().all(|witness| witness.url().is_none()) {
        return Err(Failure::usage(
            "config_invalid",
            named("no witness has a URL, so none could be asked".to_owned()),
        )
        .hint("witness NAME VKEY https://witness.example"));
    }
    let options = SubmitterOptions {
        interval: Duration::from_secs(section.witness_interval_seconds.max(1)),
        ..SubmitterOptions::new(policy)
    };
    let client = reqwest::Client::builder()
        .timeout(options.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Failure::fault("client_failed", format!("cannot make an HTTP client: {error}")))?;
    Ok(Some(Submitter::start(ledger.clone(), options, Http(client))))
}

struct Http(reqwest::Client);

impl Transport for Http {
    async fn add_checkpoint(&self, prefix: &str, body: Vec<u8>) -> Result<Answer, TransportError> {
        let failed = |error: reqwest::Error| TransportError(Box::new(error));
        let url = format!("{prefix}/add-checkpoint");
        let mut answer = self.0.post(url).body(body).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(TransportError("the answer is too long".into()));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, body })
    }
}
