//! The newest decisions, one by one.

use super::pieces::{cell, clock, dim, nothing, quoted, section, short, table};
use crate::alarm::AlarmKind;
use crate::decisions::{Decision, SHOWN_MAX, Verdict};
use crate::facts::Facts;
use crate::html::{Html, tag};
use crate::moment::{distance, grouped, wide};

const COLUMNS: [&str; 6] = [
    "Time",
    "Decision",
    "Who",
    "Issuer and key",
    "Request",
    "In the ledger",
];

pub(super) fn section_of(facts: &Facts) -> Html {
    let decisions = facts
        .decision_log
        .digest()
        .map(|digest| digest.newest.as_slice())
        .unwrap_or_default();
    if decisions.is_empty() {
        return section(
            "decisions",
            "Newest decisions",
            tag("p").is("class", "dim").holds("None to show."),
        );
    }
    let rows: Vec<Html> = decisions
        .iter()
        .map(|decision| row(facts.now, decision))
        .collect();
    let note = tag("p").is("class", "dim").holds((
        "The newest ",
        grouped(wide(rows.len().min(SHOWN_MAX))),
        ". What a refused token says of itself is marked “claims” unless its signature is known to be good.",
    ));
    let body = tag("tbody").is("role", "rowgroup").holds(rows);
    section(
        "decisions",
        "Newest decisions",
        (note, table("decisions", "Newest decisions", &COLUMNS, vec![body])),
    )
}

fn row(now: u64, decision: &Decision) -> Html {
    let class = match (AlarmKind::of(decision), decision.verdict, &decision.reason) {
        (Some(_), ..) => "alarming",
        (None, Verdict::Refuse, _) => "refused",
        (None, Verdict::Admit, Some(_)) => "observed",
        (None, Verdict::Admit, None) => "admitted",
    };
    tag("tr").is("role", "row").is("class", class).holds(vec![
        cell("Time", time(now, decision)),
        cell("Decision", verdict(decision)),
        cell("Who", who(decision)),
        cell("Issuer and key", issuer(decision)),
        cell("Request", request(decision)),
        cell("In the ledger", provenance(decision)),
    ])
}

fn time(now: u64, decision: &Decision) -> Html {
    let then = decision.time.seconds();
    tag("div").holds((
        clock(now, then),
        " ",
        tag("div").is("class", "dim nowrap").holds(distance(now, then)),
    ))
}

fn verdict(decision: &Decision) -> Html {
    let reason = decision
        .reason
        .as_deref()
        .map(|reason| tag("strong").is("class", "reason").holds(quoted(reason)));
    let (class, mark, word) = match (decision.verdict, &decision.reason) {
        (Verdict::Admit, None) => ("verdict admit", "✓", "admitted"),
        (Verdict::Admit, Some(_)) => ("verdict observed", "!", "admitted"),
        (Verdict::Refuse, _) => ("verdict refuse", "✕", "refused"),
    };
    let mark = tag("span").is("aria-hidden", "true").holds(mark);
    let observed =
        (class == "verdict observed").then(|| tag("div").is("class", "dim").holds("only observed"));
    tag("div").holds((
        tag("span").is("class", class).holds((mark, " ", word)),
        " ",
        reason,
        observed,
    ))
}

/// Subject and client, said to be claims when nothing proves them.
fn who(decision: &Decision) -> Html {
    let Some(subject) = decision.subject.as_deref() else {
        return nothing();
    };
    let claims = (!decision.is_proved()).then(|| (tag("span").is("class", "claims").holds("claims"), " "));
    let client = decision
        .client
        .as_deref()
        .map(|client| tag("div").is("class", "dim").holds(("client ", quoted(client))));
    tag("div").holds((claims, quoted(subject), client))
}

fn issuer(decision: &Decision) -> Html {
    let Some(issuer) = decision.issuer.as_deref() else {
        return nothing();
    };
    let claims = (!decision.is_proved()).then(|| (tag("span").is("class", "claims").holds("claims"), " "));
    let key = decision
        .key_id
        .as_deref()
        .map(|key| tag("div").is("class", "dim").holds(("key ", short(key))));
    tag("div").holds((claims, quoted(issuer), key))
}

fn request(decision: &Decision) -> Html {
    let said = |value: &Option<String>| value.as_deref().map(quoted);
    let resource = decision
        .resource
        .as_deref()
        .map(|resource| ("on ", quoted(resource)));
    let source = decision
        .source_ip
        .as_deref()
        .map(|source| (" from ", quoted(source)));
    let agent = decision
        .user_agent
        .as_deref()
        .map(|agent| tag("div").is("class", "dim agent").holds(quoted(agent)));
    tag("div").holds((
        said(&decision.method),
        " ",
        said(&decision.path),
        tag("div").is("class", "dim").holds((resource, source)),
        agent,
    ))
}

fn provenance(decision: &Decision) -> Html {
    match decision.provenance.as_deref() {
        Some("recorded") => tag("div").holds((
            "recorded",
            decision
                .ledger_index
                .map(|index| tag("div").is("class", "dim").holds(("entry ", grouped(index)))),
        )),
        Some("not_recorded") => tag("strong").is("class", "reason").holds("not recorded"),
        Some("cannot_tell") => tag("strong").holds("cannot tell"),
        Some("not_asked") => dim("not asked"),
        Some(other) => quoted(other),
        None => nothing(),
    }
}
