//! The keys in force, by issuer.

use super::pieces::{cell, dim, identifier, nothing, quoted, section, table, when};
use crate::facts::Facts;
use crate::html::{Html, tag};
use crate::keys::{KeyRow, state_word};
use crate::moment::{grouped, wide};

/// Keys shown one by one; all are in the JSON.
const SHOWN_MAX: usize = 200;

const COLUMNS: [&str; 5] = ["Key", "Algorithm", "State", "May sign from", "Until"];

pub(super) fn section_of(facts: &Facts) -> Html {
    if facts.keys.keys.is_empty() {
        return section(
            "keys",
            "Keys",
            tag("p")
                .is("class", "dim")
                .holds("No keys are in force: every token is refused."),
        );
    }
    let mut room = SHOWN_MAX;
    let mut groups = Vec::new();
    for (issuer, keys) in facts.keys.by_issuer() {
        let shown: Vec<Html> = keys.iter().take(room).map(|key| row(facts.now, key)).collect();
        room = room.saturating_sub(shown.len());
        if !shown.is_empty() {
            groups.push(
                tag("tbody")
                    .is("role", "rowgroup")
                    .holds((issuer_row(issuer), shown)),
            );
        }
    }
    let hidden = facts.keys.keys.len().saturating_sub(SHOWN_MAX);
    let hidden = (hidden > 0).then(|| tag("p").holds((grouped(wide(hidden)), " more in console.json.")));
    let bundle = facts.keys.bundle.map(|number| {
        tag("p").is("class", "dim").holds((
            "From trust bundle ",
            grouped(number),
            ". A key signs for its own issuer only.",
        ))
    });
    section(
        "keys",
        "Keys by issuer",
        (bundle, table("keys", "Keys by issuer", &COLUMNS, groups), hidden),
    )
}

fn issuer_row(issuer: &KeyRow) -> Html {
    let tenant = issuer
        .tenant
        .as_deref()
        .map(|tenant| (dim(" tenant "), quoted(tenant)));
    let head = tag("th")
        .is("role", "rowheader")
        .is("scope", "rowgroup")
        .counts("colspan", wide(COLUMNS.len()));
    tag("tr").is("role", "row").is("class", "group").holds(
        head.holds((
            tag("span")
                .is("class", "tag")
                .holds((dim("realm "), quoted(&issuer.realm))),
            " ",
            quoted(&issuer.issuer),
            tenant,
        )),
    )
}

fn row(now: u64, key: &KeyRow) -> Html {
    let word = state_word(&key.state);
    let said = (word.word == "unknown").then(|| (quoted(&key.state), " "));
    let state = (
        tag("span").is("class", state_class(word.word)).holds(word.word),
        " ",
        said,
        dim(word.meaning),
    );
    let until = key.sign_until.map_or_else(
        || tag("span").holds(if key.state == "active" { "open" } else { "–" }),
        |until| when(now, until),
    );
    let from = if key.sign_from == 0 {
        nothing()
    } else {
        when(now, key.sign_from)
    };
    tag("tr").is("role", "row").holds(vec![
        cell("Key", identifier(&key.key_id)),
        cell("Algorithm", quoted(&key.algorithm)),
        cell("State", state),
        cell("May sign from", from),
        cell("Until", until),
    ])
}

fn state_class(word: &'static str) -> &'static str {
    match word {
        "staged" => "state staged",
        "active" => "state active",
        "retired" => "state retired",
        "expired" => "state expired",
        "suspect" => "state suspect",
        "revoked" => "state revoked",
        _ => "state",
    }
}
