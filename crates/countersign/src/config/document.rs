//! Reads a TOML document into a typed struct and reports *every* problem, each with its line.
//!
//! serde stops at the first error. Here the offending node is cut out and the rest is read again, so that
//! a person corrects a file once instead of once per mistake.

use std::fmt::{self, Display};
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

/// More than this many problems are not worth reading.
const PROBLEMS_MAX: usize = 64;

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; absent when the problem is about something that is not there.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Reads `text` as a `T`, or says everything that keeps it from being one.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let whole = DeTable::parse(text).map_err(|error| vec![syntax_problem(text, &error)])?;
    let mut rest = whole.clone();
    let mut problems = Vec::new();
    let mut cut: Vec<Cut> = Vec::new();
    // A round that only finds what follows from an earlier one is a round too: it ends whatever the document is.
    let mut rounds = 0..2 * PROBLEMS_MAX;
    while problems.len() < PROBLEMS_MAX && rounds.next().is_some() {
        let error = match T::deserialize(Deserializer::from(rest.clone())) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => error,
        };
        let place = error
            .span()
            .and_then(|span| find_in_table(whole.get_ref(), &span, None));
        // The name of a value that was cut out is missing now, in the same table: not a problem of its own.
        let table = place.as_ref().map(|found| found.span.clone());
        let follows =
            |each: &Cut| each.name.as_deref() == missing_field(error.message()) && each.table == table;
        if !cut.iter().any(|each| each.name.is_some() && follows(each)) {
            problems.push(problem(text, &error));
        }
        let Some(found) = place else { break };
        remove_from_table(rest.get_mut(), &found);
        cut.push(found);
    }
    Err(problems)
}

/// What is wrong at a path of keys (`realms[1].tenants[0].id`), and what to do about it.
pub type Finding = (String, String, Option<String>);

/// Problems of a document that was read, each with the line of what its path names, or of the nearest parent that
/// exists.
pub fn located(text: &str, findings: impl IntoIterator<Item = Finding>) -> Vec<Problem> {
    let document = DeTable::parse(text).ok();
    let problem = |(path, message, hint): Finding| Problem {
        line: document
            .as_ref()
            .and_then(|document| offset_of(document.get_ref(), &path))
            .map(|offset| line_at(text, offset)),
        message: format!("{path}: {message}"),
        hint,
    };
    findings.into_iter().take(PROBLEMS_MAX).map(problem).collect()
}

/// Where the node that `path` names begins, or its nearest parent that exists.
fn offset_of(document: &DeTable<'_>, path: &str) -> Option<usize> {
    let mut offset = None;
    let mut here: Option<&DeValue<'_>> = None;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let next = match (here, step.parse::<usize>()) {
            (None, _) => document.get_key_value(step),
            (Some(DeValue::Table(table)), _) => table.get_key_value(step),
            (Some(DeValue::Array(array)), Ok(index)) => {
                let Some(item) = array.get(index) else { break };
                offset = Some(item.span().start);
                here = Some(item.get_ref());
                continue;
            }
            _ => None,
        };
        let Some((key, value)) = next else { break };
        offset = Some(key.span().start);
        here = Some(value.get_ref());
    }
    offset
}

/// A node taken out of the document so that the rest can be read.
struct Cut {
    span: Range<usize>,
    /// Its key, if it has one.
    name: Option<String>,
    /// The span of the table that it stood in; absent for the document itself.
    table: Option<Range<usize>>,
}

fn find_in_table(table: &DeTable<'_>, span: &Range<usize>, own: Option<&Range<usize>>) -> Option<Cut> {
    table.iter().find_map(|(key, value)| {
        let here = || Cut {
            span: span.clone(),
            name: Some(key.get_ref().to_string()),
            table: own.cloned(),
        };
        if key.span() == *span {
            return Some(here());
        }
        // Inside first: an array of tables has the span of its first item.
        find_in_value(value, span).or_else(|| (value.span() == *span).then(here))
    })
}

fn find_in_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Cut> {
    match value.get_ref() {
        DeValue::Table(table) => find_in_table(table, span, Some(&value.span())),
        DeValue::Array(array) => array.iter().find_map(|item| {
            if item.span() == *span {
                return Some(Cut {
                    span: span.clone(),
                    name: None,
                    table: None,
                });
            }
            find_in_value(item, span)
        }),
        _ => None,
    }
}

fn remove_from_table(table: &mut DeTable<'_>, cut: &Cut) {
    if let Some(name) = &cut.name {
        let here = table.get_key_value(name.as_str());
        if here.is_some_and(|(key, value)| key.span() == cut.span || value.span() == cut.span) {
            table.remove(name.as_str());
            return;
        }
    }
    for (_, value) in table.iter_mut() {
        remove_from_value(value.get_mut(), cut);
    }
}

fn remove_from_value(value: &mut DeValue<'_>, cut: &Cut) {
    match value {
        DeValue::Table(table) => remove_from_table(table, cut),
        DeValue::Array(array) => {
            let items = std::mem::replace(array, DeArray::new());
            for mut item in items {
                if cut.name.is_some() || item.span() != cut.span {
                    remove_from_value(item.get_mut(), cut);
                    array.push(item);
                }
            }
        }
        _ => {}
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    Problem {
        hint: Some("this is not TOML: see https://toml.io".to_owned()),
        ..problem(text, error)
    }
}

fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().lines().collect::<Vec<_>>().join(": ");
    Problem {
        line: error.span().map(|span| line_at(text, span.start)),
        hint: nearest_known(&message).map(|known| format!("did you mean `{known}`?")),
        message,
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Among the names that an "unknown field" message lists, the one most like what was typed.
fn nearest_known(message: &str) -> Option<&str> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let typed = names.next()?;
    let nearest = names.min_by_key(|known| distance(typed, known))?;
    (distance(typed, nearest) <= 1 + typed.len() / 3).then_some(nearest)
}

/// Levenshtein distance in bytes: how many single edits lie between two names.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.bytes().enumerate() {
        let mut diagonal = line;
        let mut previous = line + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.bytes()) {
            let above = *cell;
            previous = (previous + 1)
                .min(above + 1)
                .min(diagonal + usize::from(from != to));
            diagonal = above;
            *cell = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{distance, located, read};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read by serde")]
    struct House {
        name: String,
        rooms: Vec<Room>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Room {
        floor: u8,
        colour: String,
    }

    fn problems(text: &str) -> Vec<String> {
        read::<House>(text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_line() {
        let found = problems(
            "name = 3\nshape = 1\n\n[[rooms]]\nfloor = \"first\"\ncolor = 'red'\ncolour = 'red'\n\n[[rooms]]\ncolour = 'blue'\n",
        );
        assert_eq!(found.len(), 5, "{found:#?}");
        for expected in [
            "line 1: invalid type",
            "line 2: unknown field `shape`",
            "line 5: invalid type",
        ] {
            assert!(
                found.iter().any(|line| line.starts_with(expected)),
                "{expected}: {found:#?}"
            );
        }
        assert!(
            found.iter().any(|line| line.contains("did you mean `colour`?")),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|line| line.contains("missing field `floor`")),
            "{found:#?}"
        );
    }

    #[test]
    fn a_good_document_is_read_and_a_broken_one_says_where() {
        let house: House = read("name = 'a'\nrooms = []\n").unwrap();
        assert_eq!(house.name, "a");
        assert!(problems("name = 'a\n")[0].starts_with("line 1: "));
    }

    #[test]
    fn no_more_problems_are_reported_than_one_reads() {
        let text = (0..1_000).fold(String::new(), |text, room| {
            format!("{text}[[rooms]]\ncolor{room} = 1\n")
        });
        assert_eq!(problems(&text).len(), super::PROBLEMS_MAX);
        let findings = (0..1_000).map(|room| (format!("rooms[{room}].floor"), "is wrong".to_owned(), None));
        let located = located(&text, findings);
        assert_eq!(located.len(), super::PROBLEMS_MAX);
        assert_eq!(located.last().and_then(|problem| problem.line), Some(127));
    }

    #[test]
    fn paths_lead_to_lines() {
        let text = "name = 'a'\n\n[[rooms]]\nfloor = 1\n\n[[rooms]]\nfloor = 2\n";
        let paths = ["rooms[1].floor", "rooms[1].colour", "nothing"];
        let findings = paths.map(|path| (path.to_owned(), "is wrong".to_owned(), None));
        let lines: Vec<_> = located(text, findings).into_iter().map(|it| it.line).collect();
        assert_eq!(lines, [Some(7), Some(6), None]);
    }

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("color", "colour"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
