//! The figures, the ledger, and how decisions ended.

use super::pieces::{dim, identifier, nothing, quoted, section, term, when};
use crate::decisions::{Digest, Outcome, Verdict};
use crate::facts::{Facts, LogFacts};
use crate::html::{Html, tag};
use crate::ledger::LedgerFacts;
use crate::moment::{distance, grouped, wide};

/// Outcomes shown one by one: there are some fifty reason codes, of which few occur together.
const OUTCOMES_MAX: usize = 14;

/// The few numbers that tell at a glance whether it works.
pub(super) fn figures(facts: &Facts) -> Html {
    let digest = facts.decision_log.digest();
    let newest = digest.and_then(|digest| digest.newest.first());
    let newest = newest.map_or_else(
        || "no decision yet".to_owned(),
        |decision| format!("newest {}", distance(facts.now, decision.time.seconds())),
    );
    let recorded = facts.ledger.as_ref().map(|ledger| match ledger.newest_entry_at {
        Some(at) => format!("newest {}", distance(facts.now, at)),
        None => "nothing issued yet".to_owned(),
    });
    let number = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), grouped);
    let keys = &facts.keys;
    let mistrusted = keys.count("suspect").saturating_add(keys.count("revoked"));
    tag("ul").is("class", "figures").holds(vec![
        figure(
            number(facts.ledger.as_ref().map(|ledger| ledger.size)),
            "in the ledger",
            recorded.unwrap_or_else(|| "no ledger here".to_owned()),
        ),
        figure(number(digest.map(|digest| digest.admitted)), "admitted", newest),
        figure(
            number(digest.map(|digest| digest.refused)),
            "refused",
            refused_for(digest),
        ),
        figure(
            grouped(wide(keys.count("active"))),
            "active keys",
            match mistrusted {
                0 => "none suspect or revoked".to_owned(),
                count => format!("{} suspect or revoked", grouped(wide(count))),
            },
        ),
    ])
}

fn figure(number: String, what: &'static str, more: String) -> Html {
    tag("li").holds((
        tag("b").is("class", "number").holds(number),
        " ",
        tag("span").is("class", "what").holds(what),
        " ",
        tag("span").is("class", "dim").holds(more),
    ))
}

fn refused_for(digest: Option<&Digest>) -> String {
    let outcomes = digest
        .map(|digest| digest.outcomes.as_slice())
        .unwrap_or_default();
    let reasons = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Refuse)
        .count();
    match reasons {
        0 => "no reason so far".to_owned(),
        1 => "for one reason".to_owned(),
        count => format!("for {} reasons", grouped(wide(count))),
    }
}

/// The ledger's card.
pub(super) fn ledger(facts: &Facts) -> Html {
    let content = match &facts.ledger {
        Some(ledger) => ledger_terms(facts.now, ledger),
        None => tag("p").is("class", "dim").holds("This process keeps no ledger."),
    };
    section("ledger", "Ledger", content)
}

fn ledger_terms(now: u64, ledger: &LedgerFacts) -> Html {
    let state = if ledger.recording {
        (
            tag("span").is("class", "state active").holds("recording"),
            " ",
            dim("each entry durable before its token leaves"),
        )
    } else {
        (
            tag("span").is("class", "state revoked").holds("stopped"),
            " ",
            dim("see the log of the process"),
        )
    };
    let newest = ledger.newest_entry_at.map_or_else(nothing, |at| when(now, at));
    let mut terms = vec![
        term("State", state),
        term("Origin", identifier(&ledger.origin)),
        term("Entries", (grouped(ledger.size), " durable, newest ", newest)),
    ];
    if let Some(checkpoint) = &ledger.checkpoint {
        let behind = ledger.size.saturating_sub(checkpoint.size);
        let behind = (behind > 0).then(|| format!(", {} entries behind", grouped(behind)));
        let last = checkpoint.last_entry_at.map_or_else(nothing, |at| when(now, at));
        terms.push(term(
            "Checkpoint",
            (
                "over ",
                grouped(checkpoint.size),
                " entries",
                behind,
                ", the last ",
                last,
            ),
        ));
        terms.push(term("Root", identifier(&checkpoint.root)));
    } else {
        terms.push(term("Checkpoint", "does not verify"));
    }
    terms.push(term("Verifier key", identifier(&ledger.verifier_key)));
    tag("dl").holds(terms)
}

/// How the decisions that were read ended, the most frequent first.
pub(super) fn outcomes(facts: &Facts) -> Html {
    let content = match &facts.decision_log {
        LogFacts::NotConfigured => tag("p").is("class", "dim").holds("No decision log here."),
        LogFacts::Unreadable(error) => tag("p").is("class", "dim").holds(error.to_string()),
        LogFacts::Read(digest) => tag("div").holds((
            tag("p").is("class", "dim").holds(read(digest)),
            bars(&digest.outcomes),
        )),
    };
    section("outcomes", "Decisions by reason", content)
}

fn read(digest: &Digest) -> String {
    let which = if digest.older_unread {
        "the newest "
    } else {
        "all "
    };
    let broken = match digest.broken_lines {
        0 => "no broken line".to_owned(),
        1 => "1 broken line left out".to_owned(),
        count => format!("{} broken lines left out", grouped(count)),
    };
    let kibibytes = digest.bytes_read.div_ceil(1024);
    format!(
        "Over {which}{} decisions ({} KiB of the log, {broken}).",
        grouped(digest.decisions_read),
        grouped(kibibytes)
    )
}

fn bars(outcomes: &[Outcome]) -> Html {
    let most = outcomes.first().map_or(1, |outcome| outcome.count.max(1));
    let bars: Vec<Html> = outcomes
        .iter()
        .take(OUTCOMES_MAX)
        .map(|outcome| bar(outcome, most))
        .collect();
    let rest: u64 = outcomes
        .iter()
        .skip(OUTCOMES_MAX)
        .map(|outcome| outcome.count)
        .sum();
    let rest = (rest > 0).then(|| tag("li").holds(("and ", grouped(rest), " for other reasons")));
    tag("ul").is("class", "bars").holds((bars, rest))
}

fn bar(outcome: &Outcome, most: u64) -> Html {
    let (class, verdict) = match (outcome.verdict, &outcome.reason) {
        (Verdict::Admit, None) => ("bar admit", "admitted"),
        (Verdict::Admit, Some(_)) => ("bar observed", "admitted in spite of "),
        (Verdict::Refuse, _) => ("bar refuse", ""),
    };
    let width = outcome.count.saturating_mul(100).div_ceil(most);
    let line = tag("rect").counts("width", width).is("height", "1").holds("");
    let line = tag("svg")
        .is("viewBox", "0 0 100 1")
        .is("preserveAspectRatio", "none")
        .is("aria-hidden", "true")
        .holds(line);
    let reason = outcome.reason.as_deref().map(quoted);
    tag("li").is("class", class).holds((
        tag("span").is("class", "reason").holds((verdict, reason)),
        " ",
        tag("b").holds(grouped(outcome.count)),
        line,
    ))
}
