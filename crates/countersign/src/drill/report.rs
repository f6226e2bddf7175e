//! What the drill says: one screen for a person, one document for a machine.

use serde_json::{Value, json};

use super::attack::Outcome;
use crate::printer::{Printer, Tone};

/// The drill passes when the honest token gets in and no attack does.
pub(crate) fn passed(outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .all(|outcome| outcome.ours.admitted != outcome.is_attack)
}

pub(crate) fn document(outcomes: &[Outcome]) -> Value {
    json!({
        "passed": passed(outcomes),
        "attacks": count(outcomes, |_| true),
        "accepted_by_plain_verifier": count(outcomes, |outcome| outcome.plain.accepted),
        "admitted_by_countersign": count(outcomes, |outcome| outcome.ours.admitted),
        "outcomes": outcomes.iter().map(outcome_document).collect::<Vec<_>>(),
    })
}

fn outcome_document(outcome: &Outcome) -> Value {
    json!({
        "id": outcome.id,
        "title": outcome.title,
        "attack": outcome.is_attack,
        "plain_verifier": {"accepted": outcome.plain.accepted, "detail": outcome.plain.detail},
        "countersign": {
            "admitted": outcome.ours.admitted,
            "status": outcome.ours.status,
            "rule": outcome.ours.rule,
            "detail": outcome.ours.detail,
        },
        "decision_log": outcome.logged,
    })
}

pub(crate) fn screen(outcomes: &[Outcome], printer: Printer) -> String {
    let mut lines = vec![
        printer.paint(Tone::Strong, "The 2023 incident, replayed on a closed local copy"),
        "plain verifier: the jsonwebtoken crate as documented, all issuers' keys in one pool".to_owned(),
    ];
    for outcome in outcomes {
        lines.push(String::new());
        lines.extend(outcome_lines(outcome, printer));
    }
    lines.push(String::new());
    lines.push(closing_line(outcomes, printer));
    lines.join("\n")
}

fn outcome_lines(outcome: &Outcome, printer: Printer) -> Vec<String> {
    let bad_if = |wrong: bool| if wrong { Tone::Bad } else { Tone::Good };
    let plain_word = if outcome.plain.accepted {
        "accepted"
    } else {
        "refused"
    };
    let our_word = if outcome.ours.admitted {
        "admitted"
    } else {
        "refused"
    };
    let plain_tone = bad_if(outcome.plain.accepted == outcome.is_attack);
    let our_tone = bad_if(outcome.ours.admitted == outcome.is_attack);
    vec![
        printer.paint(Tone::Strong, &format!("{}  {}", outcome.id, outcome.title)),
        format!(
            "   plain verifier  {}  {}",
            printer.paint(plain_tone, plain_word),
            outcome.plain.detail
        ),
        format!(
            "   countersign     {}   {}",
            printer.paint(our_tone, our_word),
            our_line(outcome)
        ),
        format!(
            "   decision log    {}",
            printer.paint(Tone::Dim, &log_line(&outcome.logged))
        ),
    ]
}

fn our_line(outcome: &Outcome) -> String {
    match outcome.ours.rule.as_deref() {
        Some(rule) => format!("{} {rule}: {}", outcome.ours.status, outcome.ours.detail),
        None => format!("{} {}", outcome.ours.status, outcome.ours.detail),
    }
}

/// The members of a logged decision that tell the story; the file has all of them.
fn log_line(logged: &Value) -> String {
    const SHOWN: [&str; 5] = ["decision", "reason", "provenance", "realm", "subject"];
    SHOWN
        .iter()
        .map(|name| format!("{name}={}", logged.get(*name).map_or("-".to_owned(), plain_text)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn closing_line(outcomes: &[Outcome], printer: Printer) -> String {
    let attacks = count(outcomes, |_| true);
    let plain = count(outcomes, |outcome| outcome.plain.accepted);
    let ours = count(outcomes, |outcome| outcome.ours.admitted);
    let verdict =
        format!("{attacks} attacks: the plain verifier accepted {plain}, Countersign admitted {ours}.");
    printer.paint(if passed(outcomes) { Tone::Good } else { Tone::Bad }, &verdict)
}

fn count(outcomes: &[Outcome], wanted: impl Fn(&Outcome) -> bool) -> usize {
    outcomes
        .iter()
        .filter(|outcome| outcome.is_attack && wanted(outcome))
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::attack::{Ours, Outcome, Plain};
    use super::passed;

    fn outcome(is_attack: bool, admitted: bool) -> Outcome {
        Outcome {
            id: "x",
            title: "a case",
            is_attack,
            plain: Plain {
                accepted: true,
                detail: String::new(),
            },
            ours: Ours {
                admitted,
                status: 0,
                rule: None,
                detail: String::new(),
            },
            logged: Value::Null,
        }
    }

    #[test]
    fn one_attack_that_gets_through_fails_the_drill() {
        assert!(passed(&[outcome(false, true), outcome(true, false)]));
        assert!(!passed(&[
            outcome(false, true),
            outcome(true, false),
            outcome(true, true)
        ]));
    }

    #[test]
    fn an_honest_user_locked_out_fails_the_drill() {
        assert!(!passed(&[outcome(false, false), outcome(true, false)]));
    }
}
