//! The ladder of verdicts: what can be said of one use.

use countersign_ledger::issuer_id;
use serde::Serialize;

use crate::coverage::{Coverage, Gap};
use crate::issuances::Issuances;
use crate::normal_form::{Issuance, Use};

/// What can be said of a use, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Ledger and log contradict each other about this token.
    Conflict,
    /// The ledger covers the use and does not have the token.
    NeverIssued,
    /// The ledger does not have the token and cannot be expected to.
    OutsideCoverage,
    /// The row names no token.
    NoId,
    /// The token was issued, as the row says.
    IssuedTokenMatch,
}

impl Verdict {
    /// All verdicts, the gravest first.
    pub const ALL: [Self; 5] = [
        Self::Conflict,
        Self::NeverIssued,
        Self::OutsideCoverage,
        Self::NoId,
        Self::IssuedTokenMatch,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::NeverIssued => "never_issued",
            Self::OutsideCoverage => "outside_coverage",
            Self::NoId => "no_id",
            Self::IssuedTokenMatch => "issued_token_match",
        }
    }

    /// Whether the evidence sufficed to say yes or no.
    pub fn is_judged(self) -> bool {
        match self {
            Self::Conflict | Self::NeverIssued | Self::IssuedTokenMatch => true,
            Self::OutsideCoverage | Self::NoId => false,
        }
    }

    /// Whether it is reported as a finding.
    pub fn is_finding(self) -> bool {
        matches!(self, Self::Conflict | Self::NeverIssued)
    }
}

/// A verdict with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// See [`Verdict::Conflict`]; in what they differ.
    Conflict(Vec<Difference>),
    /// See [`Verdict::NeverIssued`].
    NeverIssued,
    /// See [`Verdict::OutsideCoverage`]; why.
    OutsideCoverage(Gap),
    /// See [`Verdict::NoId`].
    NoId,
    /// See [`Verdict::IssuedTokenMatch`].
    IssuedTokenMatch,
}

/// In what a use and the ledger differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Another issuer.
    Issuer,
    /// Another signing key.
    Key,
    /// Another end of life.
    ExpiresAt,
    /// The gate found the token at a position that the checkpoint covers; it is not there.
    LedgerIndex,
}

impl Judgement {
    /// The verdict alone.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Conflict(_) => Verdict::Conflict,
            Self::NeverIssued => Verdict::NeverIssued,
            Self::OutsideCoverage(_) => Verdict::OutsideCoverage,
            Self::NoId => Verdict::NoId,
            Self::IssuedTokenMatch => Verdict::IssuedTokenMatch,
        }
    }
}

/// Judges one use. `ledger_size` is the number of entries under the signed checkpoint.
pub fn judge(used: &Use<'_>, issuances: &Issuances, coverage: &Coverage, ledger_size: u64) -> Judgement {
    let Some(fingerprint) = &used.fingerprint else {
        return Judgement::NoId;
    };
    if let Some(issuance) = issuances.find(fingerprint) {
        let differences = differences(used, &issuance);
        return if differences.is_empty() {
            Judgement::IssuedTokenMatch
        } else {
            Judgement::Conflict(differences)
        };
    }
    let gap = coverage.gap(used);
    match used.ledger_index {
        // Another ledger's positions say nothing about this one.
        Some(_) if gap == Some(Gap::IssuerNotRecorded) => Judgement::OutsideCoverage(Gap::IssuerNotRecorded),
        // The gate followed this ledger and saw the entry: one of the two was changed afterwards.
        Some(index) if index < ledger_size => Judgement::Conflict(vec![Difference::LedgerIndex]),
        Some(_) => Judgement::OutsideCoverage(Gap::AfterLedger),
        None => gap.map_or(Judgement::NeverIssued, Judgement::OutsideCoverage),
    }
}

/// The fingerprint covers issuer, key id and expiry, so none of these can differ by accident. What the row does not
/// say cannot differ.
fn differences(used: &Use<'_>, issuance: &Issuance) -> Vec<Difference> {
    let other_issuer = used
        .issuer
        .as_deref()
        .is_some_and(|iss| issuer_id(iss) != issuance.issuer);
    let other_key = used.key_thumbprint.is_some_and(|key| key != issuance.key);
    let other_expiry = used
        .expires_at
        .is_some_and(|expires_at| expires_at != issuance.expires_at);
    [
        (other_issuer, Difference::Issuer),
        (other_key, Difference::Key),
        (other_expiry, Difference::ExpiresAt),
    ]
    .into_iter()
    .filter_map(|(differs, difference)| differs.then_some(difference))
    .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use countersign_ledger::entry::KeyAnnouncement;
    use countersign_ledger::{Entry, IssuanceKind};

    use super::*;
    use crate::normal_form::Provenance;

    /// An admitted use that says nothing but its time and gate.
    pub(crate) fn used() -> Use<'static> {
        Use {
            time_ms: 1_500_000,
            gate: "front".into(),
            is_admitted: true,
            reason: None,
            fingerprint: Some([9; 32]),
            issuer: None,
            key_id: None,
            key_thumbprint: None,
            subject: None,
            resource: None,
            source_ip: None,
            issued_at: None,
            expires_at: None,
            provenance: None,
            ledger_index: None,
        }
    }

    fn evidence() -> (Issuances, Coverage) {
        let (mut issuances, mut coverage) = (Issuances::default(), Coverage::new(0));
        // A key that may have signed before the ledger began.
        let announcement = KeyAnnouncement {
            previous: None,
            at: 1000,
            sign_from: 0,
            sign_until: None,
            realm: [0; 32],
            issuer: issuer_id("https://a.example"),
            key: [7; 32],
        };
        coverage.note(0, &Entry::KeyAnnouncement(announcement));
        for (index, issued_at) in [(0_u8, 1000), (1, 2000)] {
            let entry = countersign_ledger::Issuance {
                kind: IssuanceKind::Access,
                fingerprint: [index; 32],
                key: 0,
                issued_at,
                expires_at: issued_at + 300,
                lineage: None,
            };
            issuances.insert(&Issuance {
                fingerprint: entry.fingerprint,
                issuer: issuer_id("https://a.example"),
                key: [7; 32],
                kind: entry.kind,
                issued_at: entry.issued_at,
                expires_at: entry.expires_at,
                ledger_index: index.into(),
            });
            coverage.note(u64::from(index) + 1, &Entry::Issuance(entry));
        }
        (issuances, coverage)
    }

    /// Judges a use of token 0 as it was issued, after `change`.
    fn check(name: &str, change: fn(&mut Use<'_>), expect: &Judgement) {
        let mut used = used();
        used.fingerprint = Some([0; 32]);
        used.issuer = Some("https://a.example".into());
        used.key_thumbprint = Some([7; 32]);
        used.expires_at = Some(1300);
        used.provenance = Some(Provenance::Recorded);
        change(&mut used);
        let (issuances, coverage) = evidence();
        assert_eq!(judge(&used, &issuances, &coverage, 2), *expect, "{name}");
    }

    #[test]
    fn recorded_tokens() {
        let conflict = |differences: &[Difference]| Judgement::Conflict(differences.to_vec());
        check("as issued", |_| {}, &Judgement::IssuedTokenMatch);
        check(
            "with its index",
            |it| it.ledger_index = Some(0),
            &Judgement::IssuedTokenMatch,
        );
        check(
            "bare row",
            |it| {
                *it = Use {
                    fingerprint: Some([1; 32]),
                    ..used()
                }
            },
            &Judgement::IssuedTokenMatch,
        );
        check(
            "issuer",
            |it| it.issuer = Some("https://b.example".into()),
            &conflict(&[Difference::Issuer]),
        );
        check(
            "key",
            |it| it.key_thumbprint = Some([6; 32]),
            &conflict(&[Difference::Key]),
        );
        check(
            "expiry",
            |it| it.expires_at = Some(1301),
            &conflict(&[Difference::ExpiresAt]),
        );
        let several = |it: &mut Use<'_>| {
            it.issuer = Some("x".into());
            it.key_thumbprint = Some([6; 32]);
            it.expires_at = Some(1);
        };
        check(
            "all",
            several,
            &conflict(&[Difference::Issuer, Difference::Key, Difference::ExpiresAt]),
        );
    }

    #[test]
    fn tokens_that_are_not_recorded() {
        const UNKNOWN: Option<[u8; 32]> = Some([8; 32]);
        let outside = Judgement::OutsideCoverage;
        check("no fingerprint", |it| it.fingerprint = None, &Judgement::NoId);
        check("forged", |it| it.fingerprint = UNKNOWN, &Judgement::NeverIssued);
        let early = |it: &mut Use<'_>| (it.fingerprint, it.time_ms) = (UNKNOWN, 1);
        check("before", early, &outside(Gap::BeforeLedger));
        let late = |it: &mut Use<'_>| (it.fingerprint, it.time_ms) = (UNKNOWN, 2_000_001);
        check("after", late, &outside(Gap::AfterLedger));
        let gone = |it: &mut Use<'_>| (it.fingerprint, it.ledger_index) = (UNKNOWN, Some(1));
        check(
            "seen, gone",
            gone,
            &Judgement::Conflict(vec![Difference::LedgerIndex]),
        );
        let newer = |it: &mut Use<'_>| (it.fingerprint, it.ledger_index) = (UNKNOWN, Some(2));
        check("seen later", newer, &outside(Gap::AfterLedger));
        let elsewhere = |it: &mut Use<'_>| {
            (it.fingerprint, it.ledger_index) = (UNKNOWN, Some(0));
            (it.issuer, it.key_thumbprint) = (None, None);
        };
        check(
            "seen in another ledger",
            elsewhere,
            &outside(Gap::IssuerNotRecorded),
        );
    }

    #[test]
    fn the_words_are_those_of_the_json() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
            assert!(!verdict.is_finding() || verdict.is_judged());
        }
        assert!(Verdict::ALL.is_sorted());
    }
}
