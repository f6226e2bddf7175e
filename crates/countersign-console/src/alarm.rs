//! Decisions that somebody should look at now, those of one origin taken together.

use serde::Serialize;

use crate::decisions::{Decision, Verdict};

/// How many alarms are told apart; what comes after counts with the others of its kind.
const ALARMS_MAX: usize = 40;

/// What happened. The order is the order on the page: certain harm first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlarmKind {
    AdmittedNotRecorded,
    NeverIssued,
    KeyRealmMismatch,
    KeyRevoked,
    KeyOutsideWindow,
}

impl AlarmKind {
    /// The alarm that a decision is, if it is one.
    pub(crate) fn of(decision: &Decision) -> Option<Self> {
        let not_recorded = decision.provenance.as_deref() == Some("not_recorded");
        match (decision.verdict, decision.reason.as_deref()) {
            (Verdict::Admit, Some("never_issued")) => Some(Self::AdmittedNotRecorded),
            (Verdict::Admit, _) => not_recorded.then_some(Self::AdmittedNotRecorded),
            (Verdict::Refuse, Some("never_issued")) => Some(Self::NeverIssued),
            (Verdict::Refuse, Some("key_realm_mismatch")) => Some(Self::KeyRealmMismatch),
            (Verdict::Refuse, Some("key_revoked")) => Some(Self::KeyRevoked),
            (Verdict::Refuse, Some("key_outside_window")) => Some(Self::KeyOutsideWindow),
            (Verdict::Refuse, _) => None,
        }
    }

    /// What it is called on the page; a refusal by its reason code.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::AdmittedNotRecorded => "admitted, but never issued",
            Self::NeverIssued => "never_issued",
            Self::KeyRealmMismatch => "key_realm_mismatch",
            Self::KeyRevoked => "key_revoked",
            Self::KeyOutsideWindow => "key_outside_window",
        }
    }

    /// What was found.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::AdmittedNotRecorded => {
                "A correctly signed token that the ledger does not know was let through, because the resource only observes."
            }
            Self::NeverIssued => {
                "A correctly signed token that was never issued: somebody may hold a copy of the key."
            }
            Self::KeyRealmMismatch => "A token names a key that belongs to another issuer or realm.",
            Self::KeyRevoked => "A token names a key that is revoked.",
            Self::KeyOutsideWindow => "A token says it was signed when its key was not allowed to sign.",
        }
    }

    /// What to do.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::AdmittedNotRecorded => {
                "Set the key to suspect and the resource to enforce; find out what the request did."
            }
            Self::NeverIssued => "Set the key to suspect now: real tokens go on working, forged ones do not.",
            Self::KeyRealmMismatch => "Find out who holds that key and whether it signs elsewhere.",
            Self::KeyRevoked => "Expected shortly after a revocation; later on, look at the source.",
            Self::KeyOutsideWindow => "Look where copies of that key are kept; set it to revoked.",
        }
    }

    /// Whether the signature was checked before the gate came to this. If not, anybody can send such a token.
    pub(crate) const fn is_proved(self) -> bool {
        matches!(self, Self::AdmittedNotRecorded | Self::NeverIssued)
    }
}

/// Decisions of one kind about one key of one issuer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alarm {
    pub(crate) kind: AlarmKind,
    pub(crate) count: u64,
    /// Seconds since 1970.
    pub(crate) first: u64,
    /// Seconds since 1970.
    pub(crate) last: u64,
    /// The newest of them.
    pub(crate) newest: Decision,
}

/// Collects alarms from decisions, newest first.
#[derive(Default)]
pub(crate) struct Alarms(Vec<Alarm>);

impl Alarms {
    /// Takes note of the next older decision.
    pub(crate) fn note(&mut self, decision: &Decision) {
        let Some(kind) = AlarmKind::of(decision) else {
            return;
        };
        let full = self.0.len() >= ALARMS_MAX;
        let same = |alarm: &&mut Alarm| {
            let newest = &alarm.newest;
            alarm.kind == kind
                && (full || (&newest.issuer, &newest.key_id) == (&decision.issuer, &decision.key_id))
        };
        let time = decision.time.seconds();
        if let Some(alarm) = self.0.iter_mut().find(same) {
            alarm.count = alarm.count.saturating_add(1);
            alarm.first = alarm.first.min(time);
            alarm.last = alarm.last.max(time);
        } else {
            // A kind that is new when the list is full still gets its place: there are five.
            self.0.push(Alarm {
                kind,
                count: 1,
                first: time,
                last: time,
                newest: decision.clone(),
            });
        }
    }

    /// The most serious first, of one kind the newest first.
    pub(crate) fn ordered(mut self) -> Vec<Alarm> {
        self.0
            .sort_by(|a, b| a.kind.cmp(&b.kind).then(b.last.cmp(&a.last)));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::AlarmKind::{KeyRevoked, NeverIssued};
    use super::*;

    fn decision(
        second: u64,
        verdict: &str,
        reason: Option<&str>,
        provenance: Option<&str>,
        key: &str,
    ) -> Decision {
        serde_json::from_value(json!({
            "time": format!("2026-03-01T12:00:{second:02}.000Z"), "gate": "g", "decision": verdict,
            "reason": reason, "provenance": provenance, "issuer": "i", "key_id": key,
        }))
        .unwrap()
    }

    #[test]
    fn which_decisions_are_alarms() {
        let check = |verdict, reason, provenance, expect| {
            assert_eq!(
                AlarmKind::of(&decision(0, verdict, reason, provenance, "k")),
                expect,
                "{verdict} {reason:?}"
            );
        };
        check("admit", None, Some("recorded"), None);
        check("admit", None, Some("not_asked"), None);
        check("admit", Some("provenance_unknown"), Some("cannot_tell"), None);
        check(
            "admit",
            Some("never_issued"),
            Some("not_recorded"),
            Some(AlarmKind::AdmittedNotRecorded),
        );
        check(
            "admit",
            None,
            Some("not_recorded"),
            Some(AlarmKind::AdmittedNotRecorded),
        );
        check(
            "refuse",
            Some("never_issued"),
            Some("not_recorded"),
            Some(NeverIssued),
        );
        check(
            "refuse",
            Some("key_realm_mismatch"),
            None,
            Some(AlarmKind::KeyRealmMismatch),
        );
        check("refuse", Some("key_revoked"), None, Some(KeyRevoked));
        check(
            "refuse",
            Some("key_outside_window"),
            None,
            Some(AlarmKind::KeyOutsideWindow),
        );
        check("refuse", Some("token_expired"), None, None);
        check("refuse", None, None, None);
    }

    #[test]
    fn one_origin_is_one_alarm() {
        let mut alarms = Alarms::default();
        for (second, key) in [(9, "a"), (8, "b"), (7, "a"), (3, "a")] {
            alarms.note(&decision(second, "refuse", Some("key_revoked"), None, key));
        }
        alarms.note(&decision(1, "refuse", Some("never_issued"), None, "a"));
        let seen: Vec<_> = alarms
            .ordered()
            .iter()
            .map(|a| (a.kind, a.count, a.last - a.first))
            .collect();
        assert_eq!(
            seen,
            [(NeverIssued, 1, 0), (KeyRevoked, 3, 6), (KeyRevoked, 1, 0)]
        );
    }

    #[test]
    fn a_flood_of_names_does_not_grow_the_page() {
        let mut alarms = Alarms::default();
        for number in 0..1000 {
            alarms.note(&decision(
                1,
                "refuse",
                Some("key_revoked"),
                None,
                &number.to_string(),
            ));
        }
        alarms.note(&decision(0, "refuse", Some("never_issued"), None, "k"));
        let alarms = alarms.ordered();
        assert_eq!(alarms.len(), ALARMS_MAX + 1);
        assert_eq!(alarms.iter().map(|alarm| alarm.count).sum::<u64>(), 1001);
    }
}
