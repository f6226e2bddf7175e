//! The small things that every part of the page is made of.

use crate::html::{Html, tag};
use crate::moment::{date_time, distance};

/// As much of a foreign text as is shown.
const QUOTED_CHARACTERS_MAX: usize = 120;

/// Longer than any identifier that is meant: a verifier key with a long origin.
const IDENTIFIER_CHARACTERS_MAX: usize = 300;

/// As much of a long identifier as tells it from others.
const SHORT_CHARACTERS_MAX: usize = 16;

/// Text of foreign origin, kept to itself: its direction and its accents do not reach its neighbours.
pub(super) fn quoted(text: &str) -> Html {
    tag("bdi")
        .is("class", "quoted")
        .holds(cut(text, QUOTED_CHARACTERS_MAX))
}

/// The beginning of an identifier of foreign origin.
pub(super) fn short(text: &str) -> Html {
    tag("bdi")
        .is("class", "quoted mono")
        .holds(cut(text, SHORT_CHARACTERS_MAX))
}

/// An identifier, whole unless somebody made it absurd.
pub(super) fn identifier(text: &str) -> Html {
    tag("bdi")
        .is("class", "quoted mono")
        .holds(cut(text, IDENTIFIER_CHARACTERS_MAX))
}

/// A time, and how long ago it was.
pub(super) fn when(now: u64, then: u64) -> Html {
    match date_time(then) {
        Some(text) => tag("span").holds((
            tag("time").is("class", "nowrap").holds(text),
            " ",
            tag("span").is("class", "dim nowrap").holds(distance(now, then)),
        )),
        None => tag("span").holds("after the year 9999"),
    }
}

/// A time of the same day by the clock alone, any other with its date.
pub(super) fn clock(now: u64, then: u64) -> Html {
    let text = date_time(then).unwrap_or_else(|| "after the year 9999".to_owned());
    let of_today = text
        .split_once(' ')
        .filter(|(date, _)| date_time(now).is_some_and(|now| now.starts_with(date)))
        .map(|(_, clock)| clock.to_owned());
    tag("time").is("class", "nowrap").holds(of_today.unwrap_or(text))
}

/// Something of lesser importance.
pub(super) fn dim(text: &str) -> Html {
    tag("span").is("class", "dim").holds(text)
}

/// A part of the page with its heading. `id` names the heading.
pub(super) fn section(id: &'static str, heading: &'static str, content: impl crate::html::Content) -> Html {
    tag("section")
        .is("class", "card")
        .is("aria-labelledby", id)
        .holds((tag("h2").is("id", id).holds(heading), content))
}

/// A term of a description list and what it stands for.
pub(super) fn term(name: &'static str, content: impl crate::html::Content) -> Html {
    tag("div").holds((tag("dt").holds(name), tag("dd").holds(content)))
}

/// A table whose rows become blocks on a narrow screen. The roles are spelled out, because browsers forget what a table
/// is once its rows are displayed as blocks.
pub(super) fn table(
    class: &'static str,
    caption: &'static str,
    columns: &[&'static str],
    groups: Vec<Html>,
) -> Html {
    let heads = columns.iter().map(|column| {
        tag("th")
            .is("role", "columnheader")
            .is("scope", "col")
            .holds(*column)
    });
    let head = tag("tr").is("role", "row").holds(heads.collect::<Vec<_>>());
    tag("table").is("class", class).is("role", "table").holds((
        tag("caption").is("class", "unseen").holds(caption),
        tag("thead").is("role", "rowgroup").holds(head),
        groups,
    ))
}

/// A cell; `column` is repeated before it where the table's head is out of sight.
pub(super) fn cell(column: &'static str, content: impl crate::html::Content) -> Html {
    tag("td")
        .is("role", "cell")
        .is("data-column", column)
        .holds(tag("div").holds(content))
}

/// What stands where there is nothing.
pub(super) fn nothing() -> Html {
    tag("span").is("class", "dim").holds("–")
}

/// The text, or as much of it as fits.
fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc…");
        assert_eq!(cut("äöü日本", 4), "äöü日…");
        assert_eq!(cut("", 0), "");
    }
}
