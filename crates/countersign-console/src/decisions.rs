//! What the end of the decision log says: the newest decisions, the alarms, the reasons counted.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::alarm::{self, Alarm};
use crate::moment;
use crate::tail::{self, Bound, ReadError, Tail};

/// How many decisions are shown one by one.
pub(crate) const SHOWN_MAX: usize = 50;

/// How much of the log is read: a thousand decisions or more of the usual 700 bytes, in a few milliseconds. Alarms and
/// counts cover all of it, so that fifty harmless requests do not push an alarm off the page.
const READ: Bound = Bound {
    bytes: 1 << 20,
    lines: 5000,
};

/// One line of the log, as far as the page shows it; `docs/decision-log.md` says what each member means.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Decision {
    pub(crate) time: Time,
    pub(crate) gate: String,
    #[serde(rename = "decision")]
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) realm: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) algorithm: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) token_id: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) provenance: Option<String>,
    pub(crate) ledger_index: Option<u64>,
    pub(crate) resource: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) source_ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl Decision {
    /// Whether the token's facts were proved by its signature; otherwise they are what it says of itself.
    pub(crate) fn is_proved(&self) -> bool {
        self.verdict == Verdict::Admit
            || matches!(
                self.reason.as_deref(),
                Some("never_issued" | "provenance_unknown")
            )
    }
}

/// Admit or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Admit,
    Refuse,
}

/// When a decision was made: RFC 3339 in the log and in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Time {
    text: String,
    seconds: u64,
}

impl Time {
    /// Seconds since 1970.
    pub(crate) const fn seconds(&self) -> u64 {
        self.seconds
    }
}

/// A text that is no time.
#[derive(Debug, thiserror::Error)]
#[error("not a time in the form of RFC 3339")]
pub(crate) struct NotATime;

impl TryFrom<String> for Time {
    type Error = NotATime;

    fn try_from(text: String) -> Result<Self, NotATime> {
        let seconds = moment::parse(&text).ok_or(NotATime)?;
        Ok(Self { text, seconds })
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.text
    }
}

/// How often decisions ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    #[serde(rename = "decision")]
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<String>,
    pub(crate) count: u64,
}

/// The end of the log, digested.
#[derive(Debug, Serialize)]
pub(crate) struct Digest {
    /// How much of the log this is about.
    pub(crate) bytes_read: u64,
    /// Whether the log has older decisions than those read.
    pub(crate) older_unread: bool,
    /// Lines that are decisions.
    pub(crate) decisions_read: u64,
    /// Lines that are not.
    pub(crate) broken_lines: u64,
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    /// The most serious first.
    pub(crate) alarms: Vec<Alarm>,
    /// The most frequent first.
    pub(crate) outcomes: Vec<Outcome>,
    /// The newest first, at most [`SHOWN_MAX`].
    pub(crate) newest: Vec<Decision>,
}

/// Reads the end of the log and digests it.
pub(crate) fn read(path: &Path) -> Result<Digest, ReadError> {
    Ok(digest(&tail::read(path, READ)?))
}

fn digest(tail: &Tail) -> Digest {
    let mut alarms = alarm::Alarms::default();
    let mut outcomes: HashMap<(Verdict, Option<String>), u64> = HashMap::new();
    let mut newest = Vec::new();
    let [mut admitted, mut refused, mut broken_lines] = [0u64; 3];
    for line in tail.lines() {
        let Ok(decision) = serde_json::from_slice::<Decision>(line) else {
            broken_lines = broken_lines.saturating_add(1);
            continue;
        };
        let total = if decision.verdict == Verdict::Admit {
            &mut admitted
        } else {
            &mut refused
        };
        *total = total.saturating_add(1);
        let outcome = outcomes
            .entry((decision.verdict, decision.reason.clone()))
            .or_default();
        *outcome = outcome.saturating_add(1);
        alarms.note(&decision);
        if newest.len() < SHOWN_MAX {
            newest.push(decision);
        }
    }
    Digest {
        bytes_read: tail::length(tail),
        older_unread: tail.more,
        decisions_read: admitted.saturating_add(refused),
        broken_lines,
        admitted,
        refused,
        alarms: alarms.ordered(),
        outcomes: ordered(outcomes),
        newest,
    }
}

fn ordered(outcomes: HashMap<(Verdict, Option<String>), u64>) -> Vec<Outcome> {
    let outcomes = outcomes.into_iter();
    let mut outcomes: Vec<Outcome> = outcomes
        .map(|((verdict, reason), count)| Outcome {
            verdict,
            reason,
            count,
        })
        .collect();
    outcomes.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then_with(|| (a.verdict, &a.reason).cmp(&(b.verdict, &b.reason)))
    });
    outcomes
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    fn digest_of(lines: &str) -> Digest {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        File::create(&path).unwrap().write_all(lines.as_bytes()).unwrap();
        read(&path).unwrap()
    }

    fn line(second: u64, verdict: &str, reason: &str) -> String {
        let reason = if reason.is_empty() {
            "null".to_owned()
        } else {
            format!("{reason:?}")
        };
        let minute = second / 60;
        let second = second % 60;
        format!(
            r#"{{"time":"2026-03-01T12:{minute:02}:{second:02}.000Z","gate":"g","decision":"{verdict}","reason":{reason},"new_member":1}}"#
        ) + "\n"
    }

    #[test]
    fn counts_and_order() {
        let log = [
            line(1, "admit", ""),
            line(2, "refuse", "token_expired"),
            line(3, "refuse", "token_missing"),
            line(4, "refuse", "token_missing"),
            line(5, "admit", "never_issued"),
        ];
        let digest = digest_of(&log.concat());
        assert_eq!(
            (
                digest.decisions_read,
                digest.admitted,
                digest.refused,
                digest.broken_lines
            ),
            (5, 2, 3, 0)
        );
        let outcomes: Vec<_> = digest
            .outcomes
            .iter()
            .map(|o| (o.reason.as_deref(), o.count))
            .collect();
        assert_eq!(
            outcomes,
            [
                (Some("token_missing"), 2),
                (None, 1),
                (Some("never_issued"), 1),
                (Some("token_expired"), 1)
            ]
        );
        let times: Vec<_> = digest.newest.iter().map(|d| d.time.seconds() % 60).collect();
        assert_eq!(times, [5, 4, 3, 2, 1]);
    }

    #[test]
    fn lines_that_are_no_decisions_are_counted_and_nothing_else() {
        let good = line(1, "admit", "");
        for bad in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            "\0\0\0",
            r#"{"time":"2026-03-01T12:00:00.000Z","gate":"g","decision":"maybe"}"#,
            r#"{"time":"soon","gate":"g","decision":"admit"}"#,
            r#"{"time":"2026-03-01T12:00:00.000Z","gate":"g","decision":"admit","reason":7}"#,
            r#"{"time":"2026-03-01T12:00:00.000Z","gate":"g","decision":"refuse","decision":"admit"}"#,
        ] {
            let digest = digest_of(&format!("{good}{bad}\n{good}"));
            assert_eq!((digest.decisions_read, digest.broken_lines), (2, 1), "{bad}");
        }
    }

    #[test]
    fn an_alarm_outlives_the_decisions_shown() {
        let mut log = line(0, "refuse", "never_issued");
        (1..200).for_each(|second| log += &line(second, "admit", ""));
        let digest = digest_of(&log);
        assert_eq!(digest.newest.len(), SHOWN_MAX);
        assert_eq!(digest.alarms.len(), 1);
    }

    #[test]
    fn a_long_log_is_read_in_part() {
        let one = line(1, "admit", "");
        let digest = digest_of(&one.repeat(6000));
        assert!(digest.older_unread);
        assert!(digest.bytes_read <= READ.bytes);
        assert_eq!(digest.decisions_read, u64::try_from(READ.lines).unwrap());
    }
}
