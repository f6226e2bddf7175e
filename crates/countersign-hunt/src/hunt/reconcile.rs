//! Hunt `reconcile`: which tokens were used that the ledger does not show as issued?
//!
//! - **Data**: decision logs, and the ledger of the same issuers, verified.
//! - **Logic**: each use gets the highest verdict of the ladder that the evidence supports ([`crate::verdict`]).
//! - **False positives**: `docs/hunt.md`; the main one, a use that the ledger could not know yet, is what
//!   [`crate::coverage`] is for.
//! - **ATT&CK**: T1606 (forge web credentials), T1528 (steal application access token).

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::duplicates::Duplicates;
use crate::finding::Findings;
use crate::rejects::Rejects;
use crate::report::{CoverageSummary, FORMAT, InputSummary, LedgerSummary, Outcome, Report, Tally};
use crate::source::decisions::{Decisions, ReadError};
use crate::source::ledger::{self, Evidence, LedgerError};
use crate::verdict::judge;

/// The hunt's name.
pub const NAME: &str = "reconcile";

/// Large enough that reading is not what limits the speed.
const BUFFER_BYTES: usize = 1 << 18;

/// What to reconcile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decision logs, read in this order.
    pub decisions: Vec<PathBuf>,
    /// The ledger's directory.
    pub ledger: PathBuf,
    /// The ledger's verifier key (vkey).
    pub verifier_key: String,
    /// Which uses to look at, milliseconds since 1970; the end is not included.
    pub range_ms: Range<u64>,
    /// How far the clocks of gates and issuers may be apart.
    pub clock_skew_seconds: u64,
    /// A new file that lists the rows which could not be read.
    pub rejects: Option<PathBuf>,
}

/// Verifies the ledger, then reconciles every use with it.
pub fn reconcile(options: &Options) -> Result<Report, ReconcileError> {
    let evidence = ledger::read(&options.ledger, &options.verifier_key, options.clock_skew_seconds)?;
    let rejects = options.rejects.as_deref().map(new_file).transpose()?;
    let mut pass = Pass::new(&evidence, options.range_ms.clone(), rejects);
    for path in &options.decisions {
        let unreadable = |source| ReconcileError::DecisionsUnreadable {
            path: path.clone(),
            source,
        };
        let file = File::open(path).map_err(|error| unreadable(error.into()))?;
        pass.read(
            &path.to_string_lossy(),
            BufReader::with_capacity(BUFFER_BYTES, file),
        )
        .map_err(|error| match error {
            PassError::Read(error) => unreadable(error),
            PassError::Rejects(error) => rejects_failed(options.rejects.as_deref(), error),
        })?;
    }
    pass.finish()
        .map_err(|error| rejects_failed(options.rejects.as_deref(), error))
}

/// Never an existing file: it may be the very evidence.
fn new_file(path: &Path) -> Result<BufWriter<File>, ReconcileError> {
    File::create_new(path)
        .map(BufWriter::new)
        .map_err(|error| rejects_failed(Some(path), error))
}

fn rejects_failed(path: Option<&Path>, source: io::Error) -> ReconcileError {
    ReconcileError::RejectsUnwritable {
        path: path.unwrap_or(Path::new("-")).to_owned(),
        source,
    }
}

/// One pass over the logs. Its memory does not grow with them.
struct Pass<'e, W> {
    evidence: &'e Evidence,
    range_ms: Range<u64>,
    input: InputSummary,
    rejects: Rejects<W>,
    duplicates: Duplicates,
    tally: Tally,
    findings: Findings,
}

enum PassError {
    Read(ReadError),
    Rejects(io::Error),
}

impl<'e, W: Write> Pass<'e, W> {
    fn new(evidence: &'e Evidence, range_ms: Range<u64>, rejects: Option<W>) -> Self {
        Self {
            evidence,
            range_ms,
            input: InputSummary::default(),
            rejects: Rejects::new(rejects),
            duplicates: Duplicates::default(),
            tally: Tally::default(),
            findings: Findings::default(),
        }
    }

    fn read(&mut self, file: &str, reader: impl BufRead) -> Result<(), PassError> {
        self.input.files.push(file.to_owned());
        let mut rows = Decisions::new(reader).map_err(PassError::Read)?;
        while let Some(row) = rows.next_row().map_err(PassError::Read)? {
            self.input.rows += 1;
            let used = match row.parsed {
                Ok(used) => used,
                Err(fault) => {
                    self.rejects
                        .add(file, row.position, fault)
                        .map_err(PassError::Rejects)?;
                    continue;
                }
            };
            if !self.range_ms.contains(&used.time_ms) {
                self.input.outside_range += 1;
            } else if self.duplicates.is_duplicate(&used) {
                self.input.duplicates += 1;
            } else {
                let evidence = self.evidence;
                let judgement = judge(&used, &evidence.issuances, &evidence.coverage, evidence.size);
                self.tally.add(&judgement, used.is_admitted);
                self.findings.add(&used, &judgement, file, row.position);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Report> {
        self.input.rejects = self.rejects.finish()?;
        let judged = self.tally.judged();
        let (verdicts, gaps) = self.tally.finish();
        let ungrouped = self.findings.ungrouped();
        let findings = self.findings.ranked();
        Ok(Report {
            format: FORMAT,
            hunt: NAME,
            outcome: Outcome::of(findings.len(), judged, self.input.rejects.rows),
            ledger: LedgerSummary::of(self.evidence),
            coverage: CoverageSummary::of(&self.evidence.coverage),
            input: self.input,
            verdicts,
            gaps,
            judged,
            findings,
            ungrouped,
        })
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The ledger could not be verified or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A decision log could not be read.
    #[error("{}: {source}", path.display())]
    DecisionsUnreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: ReadError,
    },
    /// The list of rejected rows could not be written.
    #[error("{}: {source}", path.display())]
    RejectsUnwritable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

impl ReconcileError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.code(),
            Self::DecisionsUnreadable {
                source: ReadError::Compressed,
                ..
            } => "decisions_compressed",
            Self::DecisionsUnreadable { .. } => "decisions_unreadable",
            Self::RejectsUnwritable { .. } => "rejects_unwritable",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ledger(error) => error.hint(),
            Self::DecisionsUnreadable {
                source: ReadError::Compressed,
                ..
            } => Some("unpack it first: gzip -dk FILE, or zstd -d FILE"),
            Self::DecisionsUnreadable { .. } => None,
            Self::RejectsUnwritable { source, .. } => (source.kind() == io::ErrorKind::AlreadyExists)
                .then_some("name a file that does not exist yet"),
        }
    }
}
