//! What a hunt reports. `docs/hunt.md` lists every member; the same input gives the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::coverage::{Coverage, Gap};
use crate::finding::Finding;
use crate::rejects::RejectSummary;
use crate::timestamp::format_seconds;
use crate::verdict::{Judgement, Verdict};

/// The number of this form of the report. It changes when a member changes its meaning.
pub const FORMAT: u32 = 1;

/// The whole result of a hunt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The hunt's name.
    pub hunt: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The ledger that was verified.
    pub ledger: LedgerSummary,
    /// What that ledger covers.
    pub coverage: CoverageSummary,
    /// What was read of the logs.
    pub input: InputSummary,
    /// How many uses got which verdict.
    pub verdicts: BTreeMap<Verdict, Count>,
    /// Why uses are outside the coverage.
    pub gaps: BTreeMap<Gap, Count>,
    /// How many uses could be judged at all.
    pub judged: Judged,
    /// The findings, the gravest first.
    pub findings: Vec<Finding>,
    /// Refused uses that belong to findings which are not listed: too many key ids were invented.
    pub ungrouped: u64,
}

/// How a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was found in the uses that could be judged.
    NoFindings,
    /// Something was found.
    Findings,
    /// There was something to judge, and nothing could be.
    CannotTell,
}

/// The ledger that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerSummary {
    /// Its name.
    pub origin: String,
    /// Entries under the signed checkpoint.
    pub size: u64,
    /// Root hash of the signed checkpoint, hexadecimal.
    pub root: String,
    /// Tokens recorded.
    pub issuances: u64,
}

/// What the ledger covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageSummary {
    /// Time of the first entry, RFC 3339.
    pub from: Option<String>,
    /// Time of the newest issuance, RFC 3339. Uses later than this, less the clock skew, are not covered.
    pub until: Option<String>,
    /// Seconds by which clocks may differ, taken off.
    pub clock_skew_seconds: u64,
    /// Issuers that the ledger names.
    pub issuers: usize,
    /// Keys that the ledger names.
    pub keys: usize,
}

impl CoverageSummary {
    /// Of a measured coverage.
    pub fn of(coverage: &Coverage) -> Self {
        Self {
            from: coverage.began().map(format_seconds),
            until: coverage.newest_issuance().map(format_seconds),
            clock_skew_seconds: coverage.clock_skew_seconds(),
            issuers: coverage.issuers(),
            keys: coverage.keys(),
        }
    }
}

/// What was read of the logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputSummary {
    /// Files, as they were named.
    pub files: Vec<String>,
    /// Rows, the rejected ones included.
    pub rows: u64,
    /// Rows outside the time range asked for.
    pub outside_range: u64,
    /// Rows that were there before.
    pub duplicates: u64,
    /// Rows that could not be read.
    pub rejects: RejectSummary,
}

/// Uses, and how many of them were admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// All.
    pub uses: u64,
    /// Those that went through.
    pub admitted: u64,
}

/// How many uses could be judged at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Judged {
    /// Uses looked at.
    pub uses: u64,
    /// Uses for which the evidence sufficed.
    pub judged: u64,
    /// The one divided by the other; none without uses.
    pub share: Option<f64>,
}

/// Counts verdicts as they come.
#[derive(Debug)]
pub struct Tally {
    verdicts: BTreeMap<Verdict, Count>,
    gaps: BTreeMap<Gap, Count>,
}

impl Default for Tally {
    fn default() -> Self {
        // Every verdict has its line, also the one nothing got.
        let verdicts = Verdict::ALL
            .into_iter()
            .map(|verdict| (verdict, Count::default()))
            .collect();
        Self {
            verdicts,
            gaps: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Takes in one judgement.
    pub fn add(&mut self, judgement: &Judgement, is_admitted: bool) {
        self.verdicts
            .entry(judgement.verdict())
            .or_default()
            .add(is_admitted);
        if let Judgement::OutsideCoverage(gap) = judgement {
            self.gaps.entry(*gap).or_default().add(is_admitted);
        }
    }

    /// How many uses could be judged.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub fn judged(&self) -> Judged {
        let uses: u64 = self.verdicts.values().map(|count| count.uses).sum();
        let judged = self.verdicts.iter().filter(|(verdict, _)| verdict.is_judged());
        let judged: u64 = judged.map(|(_, count)| count.uses).sum();
        Judged {
            uses,
            judged,
            share: (uses > 0).then(|| judged as f64 / uses as f64),
        }
    }

    /// The counts by verdict, and by gap.
    pub fn finish(self) -> (BTreeMap<Verdict, Count>, BTreeMap<Gap, Count>) {
        (self.verdicts, self.gaps)
    }
}

impl Count {
    fn add(&mut self, is_admitted: bool) {
        self.uses += 1;
        self.admitted += u64::from(is_admitted);
    }
}

impl Outcome {
    /// No finding means something only if something was judged, or there was nothing to judge.
    pub fn of(findings: usize, judged: Judged, rejected: u64) -> Self {
        if findings > 0 {
            Self::Findings
        } else if judged.judged == 0 && judged.uses.saturating_add(rejected) > 0 {
            Self::CannotTell
        } else {
            Self::NoFindings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_an_answer_only_when_something_was_judged() {
        let judged = |judged, uses| Judged {
            uses,
            judged,
            share: None,
        };
        for (findings, judged, rejected, expect) in [
            (0, judged(0, 0), 0, Outcome::NoFindings),
            (0, judged(1, 9), 9, Outcome::NoFindings),
            (0, judged(0, 9), 0, Outcome::CannotTell),
            (0, judged(0, 0), 1, Outcome::CannotTell),
            (1, judged(1, 1), 0, Outcome::Findings),
        ] {
            assert_eq!(
                Outcome::of(findings, judged, rejected),
                expect,
                "{findings} {judged:?} {rejected}"
            );
        }
    }

    #[test]
    fn the_share_is_of_all_uses() {
        let mut tally = Tally::default();
        assert_eq!(tally.judged(), Judged::default());
        tally.add(&Judgement::NeverIssued, true);
        tally.add(&Judgement::IssuedTokenMatch, false);
        tally.add(&Judgement::NoId, false);
        tally.add(&Judgement::OutsideCoverage(Gap::AfterLedger), true);
        assert_eq!(
            tally.judged(),
            Judged {
                uses: 4,
                judged: 2,
                share: Some(0.5)
            }
        );
        let (verdicts, gaps) = tally.finish();
        assert_eq!(verdicts.len(), Verdict::ALL.len());
        assert_eq!(verdicts[&Verdict::NeverIssued], Count { uses: 1, admitted: 1 });
        assert_eq!(
            gaps,
            BTreeMap::from([(Gap::AfterLedger, Count { uses: 1, admitted: 1 })])
        );
    }
}
