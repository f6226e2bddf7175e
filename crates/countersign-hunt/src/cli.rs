//! What can be typed, and what it means. Help comes from these definitions alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use countersign_hunt::coverage::CLOCK_SKEW_SECONDS;
use countersign_hunt::hunt::reconcile::Options;
use countersign_hunt::timestamp::parse_typed_ms;

/// Exit code: not available, or the evidence does not suffice.
pub(crate) const EXIT_CANNOT_TELL: u8 = 2;
/// Exit code: the command line is wrong.
pub(crate) const EXIT_USAGE: u8 = 64;

/// Find the token that was used and never issued, in logs that exist already.
#[derive(Debug, Parser)]
#[command(
    name = "countersign-hunt",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 no findings, 1 findings, 2 cannot tell or not available, 64 usage error.\n\n\
                  Example: countersign-hunt reconcile --decisions decisions.ndjson --ledger ledger --key ledger.vkey"
)]
pub(crate) struct Cli {
    /// Print one JSON document for machines instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare the uses in decision logs with the issuances in the ledger
    ///
    /// The ledger is verified first: signature, tree, every entry. A use is reported as never issued only where
    /// that ledger would have to know the token; the report says how many uses could be judged at all.
    #[command(after_help = "Examples:\n  \
                      countersign-hunt reconcile --decisions decisions.ndjson --ledger countersign-data/ledger \
                      --key ledger.vkey\n  \
                      countersign-hunt reconcile --decisions gate-*.ndjson --ledger ledger --key ledger.vkey \
                      --from 2026-08-01 --json")]
    Reconcile(Reconcile),
}

#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Decision logs of gates (one JSON object a line, not compressed)
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) decisions: Vec<PathBuf>,
    /// Directory of the ledger that the issuers record to
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: PathBuf,
    /// File with the ledger's verifier key (vkey), from a source you trust
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Only uses at or after this time: RFC 3339, a date (UTC) or unix seconds
    #[arg(long, value_name = "T", value_parser = typed_time)]
    pub(crate) from: Option<u64>,
    /// Only uses before this time
    #[arg(long, value_name = "T", value_parser = typed_time)]
    pub(crate) to: Option<u64>,
    /// How far the clocks of gates and issuers may be apart; 0 if they are one machine
    #[arg(long, value_name = "SECONDS", default_value_t = CLOCK_SKEW_SECONDS)]
    pub(crate) clock_skew: u64,
    /// List the rows that could not be read in this new file
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

/// Why a command did not run, as a person or a script sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) exit: u8,
}

impl Reconcile {
    /// What was typed, checked and with its key read.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let range_ms = self.from.unwrap_or(0)..self.to.unwrap_or(u64::MAX);
        if range_ms.is_empty() {
            return Err(usage("range_empty", "--from is not before --to".into(), None));
        }
        if let Some(path) = named_twice(&self.decisions) {
            let hint = "its uses would count twice: name each file once".to_owned();
            return Err(usage("file_named_twice", path.display().to_string(), Some(hint)));
        }
        Ok(Options {
            decisions: self.decisions.clone(),
            ledger: self.ledger.clone(),
            verifier_key: read_key(&self.key)?,
            range_ms,
            clock_skew_seconds: self.clock_skew,
            rejects: self.rejects.clone(),
        })
    }
}

fn usage(code: &'static str, message: String, hint: Option<String>) -> Failure {
    Failure {
        code,
        message,
        hint,
        exit: EXIT_USAGE,
    }
}

fn named_twice(paths: &[PathBuf]) -> Option<&PathBuf> {
    let mut seen = BTreeSet::new();
    paths
        .iter()
        .find(|path| !seen.insert(path.canonicalize().unwrap_or_else(|_| (*path).clone())))
}

fn read_key(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure {
        code: "key_unreadable",
        message: format!("{}: {error}", path.display()),
        hint: Some(
            "--key names the file with the ledger's vkey, which the ledger also serves at /key".into(),
        ),
        exit: EXIT_CANNOT_TELL,
    })?;
    Ok(text.trim().to_owned())
}

fn typed_time(text: &str) -> Result<u64, &'static str> {
    parse_typed_ms(text).ok_or("not a time: write 2026-08-01, 2026-08-01T12:00:00Z or unix seconds")
}
