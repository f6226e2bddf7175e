//! Findings: uses that need somebody's attention, one finding for each verdict and key, the gravest first.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::normal_form::{Position, Use};
use crate::timestamp::format_ms;
use crate::verdict::{Difference, Judgement, Verdict};

/// How many different values of one sort a finding names.
const VALUES_MAX: usize = 100;
/// How many rows a finding points at.
const EVIDENCE_MAX: usize = 5;
/// How many keys may get a finding by refused uses alone: anybody can invent key ids. An admitted use always
/// gets its finding, for a key id that a gate admits is one that exists.
const REFUSED_KEYS_MAX: usize = 1000;
/// The longest text of foreign origin that is kept, as in the decision log.
const TEXT_BYTES_MAX: usize = 512;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A token that was never issued was admitted, or ledger and log contradict each other.
    Critical,
    /// Refused, but the signature was good: somebody else holds the key.
    High,
    /// Refused before the signature was checked: an attempt, and no sign that anybody holds a key.
    Low,
}

impl Severity {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// All uses with one verdict and one key id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave.
    pub severity: Severity,
    /// `conflict` or `never_issued`.
    pub verdict: Verdict,
    /// The `kid` of the tokens.
    pub key_id: Option<String>,
    /// Time of the earliest use, RFC 3339.
    pub first_use: String,
    /// Time of the latest use, RFC 3339.
    pub last_use: String,
    /// How many of the uses had a signature that the gate had checked and found good.
    pub signature_proved: u64,
    /// With `conflict`: how many uses differ in what.
    pub differences: BTreeMap<Difference, u64>,
    /// The uses that went through. What they say is proved by the signature.
    pub admitted: Picture,
    /// The uses that did not. What they say is mostly what a token claims.
    pub refused: Picture,
}

/// Who did what from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// How many uses.
    pub uses: u64,
    /// `sub`.
    pub subjects: Values,
    /// Addresses the requests came from.
    pub source_ips: Values,
    /// What was asked for.
    pub resources: Values,
    /// `iss`.
    pub issuers: Values,
    /// The gates' reason codes.
    pub reasons: Values,
    /// The first rows, to look at.
    pub evidence: Vec<Evidence>,
}

/// Different values, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// The first hundred that came.
    pub values: BTreeSet<String>,
    /// Whether there were more.
    pub more: bool,
}

/// One row that a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The file, as it was named.
    pub file: String,
    /// Line, counted from 1.
    pub line: u64,
    /// The token's fingerprint.
    pub fingerprint: String,
}

/// Groups uses into findings as they come.
#[derive(Debug, Default)]
pub struct Findings {
    groups: BTreeMap<(Verdict, Option<String>), Group>,
    ungrouped: u64,
}

#[derive(Debug)]
struct Group {
    first_ms: u64,
    last_ms: u64,
    signature_proved: u64,
    differences: BTreeMap<Difference, u64>,
    admitted: Picture,
    refused: Picture,
}

impl Findings {
    /// Takes in a use if its judgement is one that is reported.
    pub fn add(&mut self, used: &Use<'_>, judgement: &Judgement, file: &str, position: Position) {
        let verdict = judgement.verdict();
        if !verdict.is_finding() {
            return;
        }
        let group = (verdict, used.key_id.as_deref().map(cut));
        if !used.is_admitted && self.groups.len() >= REFUSED_KEYS_MAX && !self.groups.contains_key(&group) {
            self.ungrouped += 1;
            return;
        }
        self.groups
            .entry(group)
            .or_insert_with(|| Group::new(used.time_ms))
            .add(used, judgement, file, position);
    }

    /// How many refused uses got no finding because too many key ids were invented.
    pub fn ungrouped(&self) -> u64 {
        self.ungrouped
    }

    /// The findings, the gravest first.
    pub fn ranked(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .groups
            .into_iter()
            .map(|((verdict, key_id), group)| group.finish(verdict, key_id))
            .collect();
        // Stable: what is equally grave stays sorted by verdict and key id.
        findings.sort_by_key(|it| {
            (
                it.severity,
                std::cmp::Reverse((it.admitted.uses, it.refused.uses)),
            )
        });
        findings
    }
}

impl Group {
    fn new(time_ms: u64) -> Self {
        Self {
            first_ms: time_ms,
            last_ms: time_ms,
            signature_proved: 0,
            differences: BTreeMap::new(),
            admitted: Picture::default(),
            refused: Picture::default(),
        }
    }

    fn add(&mut self, used: &Use<'_>, judgement: &Judgement, file: &str, position: Position) {
        self.first_ms = self.first_ms.min(used.time_ms);
        self.last_ms = self.last_ms.max(used.time_ms);
        self.signature_proved += u64::from(used.is_signature_proved());
        if let Judgement::Conflict(differences) = judgement {
            for difference in differences {
                *self.differences.entry(*difference).or_default() += 1;
            }
        }
        let picture = if used.is_admitted {
            &mut self.admitted
        } else {
            &mut self.refused
        };
        picture.add(used, file, position);
    }

    fn finish(self, verdict: Verdict, key_id: Option<String>) -> Finding {
        let severity = if verdict == Verdict::Conflict || self.admitted.uses > 0 {
            Severity::Critical
        } else if self.signature_proved > 0 {
            Severity::High
        } else {
            Severity::Low
        };
        Finding {
            severity,
            verdict,
            key_id,
            first_use: format_ms(self.first_ms),
            last_use: format_ms(self.last_ms),
            signature_proved: self.signature_proved,
            differences: self.differences,
            admitted: self.admitted,
            refused: self.refused,
        }
    }
}

impl Picture {
    fn add(&mut self, used: &Use<'_>, file: &str, position: Position) {
        self.uses += 1;
        self.subjects.add(used.subject.as_deref());
        self.source_ips.add(used.source_ip.as_deref());
        self.resources.add(used.resource.as_deref());
        self.issuers.add(used.issuer.as_deref());
        self.reasons.add(used.reason.as_deref());
        if self.evidence.len() < EVIDENCE_MAX {
            self.evidence.push(Evidence {
                file: file.to_owned(),
                line: position.line,
                fingerprint: used.fingerprint.map(hex::encode).unwrap_or_default(),
            });
        }
    }
}

impl Values {
    fn add(&mut self, value: Option<&str>) {
        let Some(value) = value else { return };
        let value = value
            .get(..value.floor_char_boundary(TEXT_BYTES_MAX))
            .unwrap_or_default();
        if self.values.contains(value) {
            return;
        }
        if self.values.len() >= VALUES_MAX {
            self.more = true;
        } else {
            self.values.insert(value.to_owned());
        }
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal_form::Provenance;
    use crate::verdict::tests::used;

    const HERE: Position = Position { line: 3, offset: 70 };

    fn refused(key_id: &'static str) -> Use<'static> {
        Use {
            is_admitted: false,
            key_id: Some(key_id.into()),
            ..used()
        }
    }

    fn ranks(findings: &[Finding]) -> Vec<(&str, &str, &str)> {
        findings
            .iter()
            .map(|it| {
                (
                    it.severity.as_str(),
                    it.verdict.as_str(),
                    it.key_id.as_deref().unwrap_or("-"),
                )
            })
            .collect()
    }

    #[test]
    fn the_gravest_comes_first() {
        let mut findings = Findings::default();
        let mut add = |used: &Use<'_>, judgement: &Judgement| findings.add(used, judgement, "f", HERE);
        add(&refused("attempt"), &Judgement::NeverIssued);
        add(&refused("more-attempts"), &Judgement::NeverIssued);
        add(&refused("more-attempts"), &Judgement::NeverIssued);
        let proved = Use {
            provenance: Some(Provenance::NotRecorded),
            ..refused("stolen")
        };
        add(&proved, &Judgement::NeverIssued);
        add(
            &Use {
                key_id: Some("stolen".into()),
                ..used()
            },
            &Judgement::Conflict(vec![Difference::Key]),
        );
        add(
            &refused("odd"),
            &Judgement::Conflict(vec![Difference::Issuer, Difference::Key]),
        );
        add(&used(), &Judgement::NeverIssued);
        add(&used(), &Judgement::NeverIssued);
        for unreported in [
            Judgement::NoId,
            Judgement::IssuedTokenMatch,
            Judgement::OutsideCoverage(crate::coverage::Gap::AfterLedger),
        ] {
            add(&used(), &unreported);
        }
        let findings = findings.ranked();
        assert_eq!(
            ranks(&findings),
            [
                ("critical", "never_issued", "-"),
                ("critical", "conflict", "stolen"),
                ("critical", "conflict", "odd"),
                ("high", "never_issued", "stolen"),
                ("low", "never_issued", "more-attempts"),
                ("low", "never_issued", "attempt"),
            ]
        );
        assert_eq!(
            findings[2].differences,
            BTreeMap::from([(Difference::Issuer, 1), (Difference::Key, 1)])
        );
    }

    #[test]
    fn a_finding_says_who_what_when_and_where() {
        let mut findings = Findings::default();
        let rows = [
            Use {
                time_ms: 2000,
                subject: Some("bob".into()),
                ..used()
            },
            Use {
                time_ms: 1000,
                subject: Some("alice".into()),
                source_ip: Some("203.0.113.9".into()),
                ..used()
            },
            Use {
                time_ms: 3000,
                is_admitted: false,
                subject: Some("claimed".into()),
                ..used()
            },
        ];
        for row in &rows {
            findings.add(row, &Judgement::NeverIssued, "a.ndjson", HERE);
        }
        let [finding] = findings.ranked().try_into().unwrap();
        assert_eq!(
            (finding.first_use.as_str(), finding.last_use.as_str()),
            ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:03.000Z")
        );
        assert_eq!(
            (
                finding.admitted.uses,
                finding.refused.uses,
                finding.signature_proved
            ),
            (2, 1, 2)
        );
        assert_eq!(
            finding.admitted.subjects.values,
            ["alice", "bob"].map(str::to_owned).into()
        );
        assert_eq!(finding.refused.subjects.values, ["claimed".to_owned()].into());
        assert_eq!(finding.admitted.evidence.len(), 2);
        assert_eq!(finding.admitted.evidence[0].fingerprint, "09".repeat(32));
    }

    #[test]
    fn floods_are_bounded_and_hide_nothing() {
        let mut findings = Findings::default();
        for number in 0..2 * REFUSED_KEYS_MAX {
            let attempt = Use {
                key_id: Some(format!("invented-{number}").into()),
                subject: Some("x".repeat(100_000).into()),
                ..refused("")
            };
            findings.add(&attempt, &Judgement::NeverIssued, "f", HERE);
            let subject = Some(format!("subject-{number}").into());
            findings.add(
                &Use {
                    subject,
                    ..refused("invented-0")
                },
                &Judgement::NeverIssued,
                "f",
                HERE,
            );
        }
        findings.add(
            &Use {
                key_id: Some("real".into()),
                ..used()
            },
            &Judgement::NeverIssued,
            "f",
            HERE,
        );
        let ungrouped = findings.ungrouped();
        assert_eq!(ungrouped, u64::try_from(REFUSED_KEYS_MAX).unwrap());
        let findings = findings.ranked();
        assert_eq!(ranks(&findings[..1]), [("critical", "never_issued", "real")]);
        let flooded = &findings[1].refused;
        assert_eq!(
            (flooded.subjects.values.len(), flooded.subjects.more),
            (VALUES_MAX, true)
        );
        assert_eq!(flooded.evidence.len(), EVIDENCE_MAX);
        assert!(
            flooded
                .subjects
                .values
                .iter()
                .all(|text| text.len() <= TEXT_BYTES_MAX)
        );
    }
}
