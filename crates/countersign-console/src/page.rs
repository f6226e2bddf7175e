//! The page, written on the server from the facts. No script, no image, no request beyond the page itself.

mod alarms;
mod decisions;
mod keys;
mod pieces;
mod summary;

use crate::facts::Facts;
use crate::html::{Html, tag};
use crate::moment::{date_time, grouped, wide};

/// How often the page asks again by itself, in seconds: soon enough to watch an attack, slow enough to read.
const REFRESH_SECONDS: &str = "10";

const STYLE: &str = include_str!("page/style.css");

/// Nothing is loaded, run, sent or framed; the one style sheet is named by its hash.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-QglYlDVQFBQePoZezmB9AfT4mBy+HavvrwsJ6gT3rLM='; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether the page asks again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    On,
    Off,
}

/// The whole document.
pub(crate) fn render(facts: &Facts, refresh: Refresh) -> String {
    let body = tag("body").holds((
        tag("a")
            .is("class", "skip")
            .is("href", "#main")
            .holds("Skip to the content"),
        header(facts, refresh),
        tag("main").is("id", "main").holds((
            alarms::section(facts),
            summary::figures(facts),
            tag("div")
                .is("class", "pair")
                .holds((summary::ledger(facts), summary::outcomes(facts))),
            keys::section_of(facts),
            decisions::section_of(facts),
        )),
        footer(),
    ));
    Html::document(&tag("html").is("lang", "en").holds((head(facts, refresh), body)))
}

fn head(facts: &Facts, refresh: Refresh) -> Html {
    let again = (refresh == Refresh::On).then(|| {
        tag("meta")
            .is("http-equiv", "refresh")
            .is("content", REFRESH_SECONDS)
            .alone()
    });
    tag("head").holds((
        tag("meta").is("charset", "utf-8").alone(),
        tag("title").holds(title(facts)),
        tag("meta")
            .is("name", "viewport")
            .is("content", "width=device-width, initial-scale=1")
            .alone(),
        tag("meta")
            .is("name", "color-scheme")
            .is("content", "light dark")
            .alone(),
        again,
        Html::style(STYLE),
    ))
}

/// The state comes first: in a row of tabs only the beginning can be read.
fn title(facts: &Facts) -> String {
    let alarms = facts
        .decision_log
        .digest()
        .map(|digest| wide(digest.alarms.len()));
    match alarms {
        None => "Countersign console".to_owned(),
        Some(0) => "No alarms · Countersign console".to_owned(),
        Some(1) => "1 alarm · Countersign console".to_owned(),
        Some(count) => format!("{} alarms · Countersign console", grouped(count)),
    }
}

fn header(facts: &Facts, refresh: Refresh) -> Html {
    let (state, link) = match refresh {
        Refresh::On => (
            "Looks again every 10 s",
            tag("a").is("href", "console?refresh=off").holds("Hold this view"),
        ),
        Refresh::Off => ("Held", tag("a").is("href", "console").holds("Follow again")),
    };
    let now = date_time(facts.now).map(|now| tag("time").holds((now, " UTC")));
    tag("header").holds((
        tag("h1").holds((tag("b").holds("Countersign"), " console")),
        tag("p")
            .is("class", "dim")
            .holds(("As of ", now, " · ", state, " · ", link)),
    ))
}

fn footer() -> Html {
    tag("footer").holds(tag("p").holds((
        "Read only. The same facts for machines: ",
        tag("a").is("href", "console.json").holds("console.json"),
        ". All times are UTC. Names in the decisions are what tokens and callers say: they are shown as text, cut when long.",
    )))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_policy_names_the_style_sheet() {
        let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(
            CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")),
            "the style sheet's hash is {hash}"
        );
    }

    #[test]
    fn the_style_sheet_cannot_end_its_element() {
        assert!(!STYLE.contains('<'));
    }
}
