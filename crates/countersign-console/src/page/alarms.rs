//! What somebody should look at now.

use super::pieces::{clock, dim, identifier, quoted, term};
use crate::alarm::Alarm;
use crate::decisions::{Decision, Digest};
use crate::facts::{Facts, LogFacts};
use crate::html::{Html, tag};
use crate::moment::{distance, grouped, wide};

/// Alarms shown one by one; all are in the JSON.
const SHOWN_MAX: usize = 12;

pub(super) fn section(facts: &Facts) -> Html {
    tag("section")
        .is("aria-labelledby", "alarms")
        .holds(match &facts.decision_log {
            LogFacts::NotConfigured => (
                notice("No decision log here: this process cannot tell of alarms", None),
                ledger_trouble(facts),
            ),
            LogFacts::Unreadable(error) => (notice(&error.to_string(), error.hint()), ledger_trouble(facts)),
            LogFacts::Read(digest) if digest.alarms.is_empty() => (calm(digest), ledger_trouble(facts)),
            LogFacts::Read(digest) => (alarms(facts.now, &digest.alarms), ledger_trouble(facts)),
        })
}

fn calm(digest: &Digest) -> Html {
    let read = match digest.decisions_read {
        0 => "No decision has been made yet.".to_owned(),
        1 => "None in the one decision of the log.".to_owned(),
        count if digest.older_unread => {
            format!("None in the newest {} decisions of the log.", grouped(count))
        }
        count => format!("None in the {} decisions of the log.", grouped(count)),
    };
    banner("banner calm", "✓", "No alarms", &read)
}

fn notice(text: &str, hint: Option<&str>) -> Html {
    banner("banner notice", "!", text, hint.unwrap_or_default())
}

fn banner(class: &'static str, mark: &'static str, heading: &str, text: &str) -> Html {
    tag("div").is("class", class).holds((
        tag("span")
            .is("class", "mark")
            .is("aria-hidden", "true")
            .holds(mark),
        tag("div").holds((tag("h2").is("id", "alarms").holds(heading), tag("p").holds(text))),
    ))
}

/// A ledger that stands still refuses every token: nothing on the page is more urgent.
fn ledger_trouble(facts: &Facts) -> Option<Html> {
    let ledger = facts.ledger.as_ref()?;
    let text = if !ledger.recording {
        "The ledger has stopped: nothing is issued until it runs again"
    } else if !ledger.readable {
        "The newest entry of the ledger cannot be read"
    } else if ledger.checkpoint.is_none() {
        "The ledger's checkpoint does not verify"
    } else {
        return None;
    };
    let mark = tag("span")
        .is("class", "mark")
        .is("aria-hidden", "true")
        .holds("!");
    Some(
        tag("div")
            .is("class", "banner notice")
            .is("role", "status")
            .holds((mark, tag("p").holds(text))),
    )
}

fn alarms(now: u64, alarms: &[Alarm]) -> Html {
    let cards: Vec<Html> = alarms
        .iter()
        .take(SHOWN_MAX)
        .map(|alarm| card(now, alarm))
        .collect();
    let rest = alarms.len().saturating_sub(SHOWN_MAX);
    let rest = (rest > 0).then(|| {
        tag("p").holds((
            grouped(wide(rest)),
            " more in ",
            tag("a").is("href", "console.json").holds("console.json"),
            ".",
        ))
    });
    let heading = match alarms.len() {
        1 => "1 alarm".to_owned(),
        count => format!("{} alarms", grouped(wide(count))),
    };
    tag("div").holds((
        tag("h2").is("id", "alarms").is("class", "alarmed").holds(heading),
        tag("ul").is("class", "alarms").holds(cards),
        rest,
    ))
}

fn card(now: u64, alarm: &Alarm) -> Html {
    let kind = alarm.kind;
    let proof = if kind.is_proved() {
        tag("span").is("class", "tag proved").holds("signature proved")
    } else {
        tag("span")
            .is("class", "tag")
            .holds("signature not checked: anybody can send this")
    };
    let class = if kind.is_proved() { "alarm grave" } else { "alarm" };
    tag("li").is("class", class).holds((
        tag("h3").holds((tag("span").is("class", "reason").holds(kind.title()), " ", proof)),
        times(now, alarm),
        tag("p").holds(kind.meaning()),
        tag("p").is("class", "remedy").holds(kind.remedy()),
        facts(&alarm.newest),
    ))
}

fn times(now: u64, alarm: &Alarm) -> Html {
    let last = (
        clock(now, alarm.last),
        " ",
        tag("span")
            .is("class", "dim nowrap")
            .holds(distance(now, alarm.last)),
    );
    let line = tag("p").is("class", "times");
    match alarm.count {
        1 => line.holds((tag("b").holds("Once"), ", at ", last)),
        count => {
            let count = tag("b").holds((grouped(count), " times"));
            line.holds((count, " since ", clock(now, alarm.first), ", last ", last))
        }
    }
}

/// Whose key, and what the newest of these tokens was for.
fn facts(decision: &Decision) -> Html {
    let said = |value: &Option<String>| value.as_deref().map(quoted);
    let labelled = |label: &'static str, value: &Option<String>| {
        value
            .as_deref()
            .map(|value| (" ", dim(label), " ", quoted(value)))
    };
    let issuer = (said(&decision.issuer), labelled("realm", &decision.realm));
    let request = (
        said(&decision.method),
        " ",
        said(&decision.path),
        labelled("on", &decision.resource),
        labelled("from", &decision.source_ip),
    );
    let subject = if decision.is_proved() {
        "Subject"
    } else {
        "Claims to be"
    };
    tag("dl").holds(vec![
        term("Issuer", issuer),
        term("Key", decision.key_id.as_deref().map(identifier)),
        term(subject, said(&decision.subject)),
        term("Request", request),
    ])
}
