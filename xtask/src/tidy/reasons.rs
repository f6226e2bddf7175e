//! The reason codes: each once, each on its page, each in a test.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, sizes};
use crate::source::Source;
use crate::workspace::{File, Workspace};

const LIST: &str = "crates/countersign-token/src/reason.rs";
const PAGE: &str = "docs/reasons.md";

/// A row of the list: `Variant "code"`.
struct Reason<'a> {
    variant: &'a str,
    code: &'a str,
    line: usize,
}

/// Codes are unique, the page lists exactly them, and each appears in test code or test data.
pub(super) fn complete(workspace: &Workspace) -> Vec<Finding> {
    let Some(list) = workspace.file(LIST) else {
        return vec![Finding::of(LIST, "is missing")];
    };
    let reasons = listed(&list.text);
    if reasons.is_empty() {
        return vec![Finding::of(
            LIST,
            "has no rows `Variant \"code\"` after `reasons! {`",
        )];
    }
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for reason in &reasons {
        if !seen.insert(reason.code) {
            findings.push(Finding::at(
                LIST,
                reason.line,
                format!("{} is there twice", reason.code),
            ));
        }
    }
    findings.extend(page(workspace, &seen));
    let tests: Vec<String> = workspace.files.iter().filter_map(test_text).collect();
    for reason in reasons {
        let named = format!("Reason::{}", reason.variant);
        if !tests
            .iter()
            .any(|text| contains_word(text, reason.code) || contains_word(text, &named))
        {
            findings.push(Finding::at(
                LIST,
                reason.line,
                format!("{} is in no test", reason.code),
            ));
        }
    }
    findings
}

fn listed(text: &str) -> Vec<Reason<'_>> {
    let rows = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != "reasons! {");
    let rows = rows.skip(1).take_while(|(_, line)| *line != "}");
    rows.filter_map(|(index, line)| {
        let (variant, code) = line.trim().strip_suffix('"')?.split_once(" \"")?;
        let is_row = variant.chars().all(char::is_alphanumeric) && !code.contains(' ');
        is_row.then_some(Reason {
            variant,
            code,
            line: index + 1,
        })
    })
    .collect()
}

fn page(workspace: &Workspace, codes: &BTreeSet<&str>) -> Vec<Finding> {
    let Some(page) = workspace.file(PAGE) else {
        return vec![Finding::of(PAGE, "is missing")];
    };
    let headings = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
    let described: BTreeSet<&str> = headings.collect();
    let missing = codes
        .difference(&described)
        .map(|code| Finding::of(PAGE, format!("lacks {code}")));
    let unknown = described
        .difference(codes)
        .map(|code| Finding::of(PAGE, format!("{code} is no reason")));
    missing.chain(unknown).collect()
}

/// What of a file is test: all of it, its test modules, or nothing.
fn test_text(file: &File) -> Option<String> {
    if file.path.starts_with("xtask/src/tidy") {
        return None;
    }
    if file.path.starts_with("testdata/")
        || sizes::is_test_file(&file.path)
        || file.path == "xtask/src/peers.rs"
    {
        return Some(file.text.clone());
    }
    if Path::new(&file.path).extension().is_none_or(|it| it != "rs") {
        return None;
    }
    let ranges = Source::parse(&file.text).test_lines();
    let lines = file.text.lines().enumerate();
    let lines = lines.filter(|(index, _)| ranges.iter().any(|range| range.contains(&(index + 1))));
    Some(lines.map(|(_, line)| line).collect::<Vec<_>>().join("\n"))
}

fn contains_word(text: &str, word: &str) -> bool {
    let in_word = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|it| it.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|it| it.chars().next());
        !in_word(before) && !in_word(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "macro_rules! reasons {\n}\nreasons! {\n    // One.\n    KeyUnknown \"key_unknown\"\n        \"No key.\"\n        \"An old one.\";\n    KeyStaged \"key_staged\"\n        \"Too early.\";\n}\n";
    const DESCRIBED: &str = "# Reasons\n\n## `key_unknown`\n\n## `key_staged`\n";
    const TEST: &str = "refuses(\"key_unknown\"); assert_eq!(reason, Reason::KeyStaged);";

    fn findings(rows: &str, page: &str, test: &str) -> usize {
        let files = [
            (LIST, rows),
            (PAGE, page),
            ("crates/countersign-token/tests/it/main.rs", test),
        ];
        complete(&Workspace::of(&files)).len()
    }

    #[test]
    fn a_code_stands_once_on_its_page_and_in_a_test() {
        assert_eq!(findings(ROWS, DESCRIBED, TEST), 0);
        assert_eq!(
            findings(
                &ROWS.replace("\"key_staged\"", "\"key_unknown\""),
                DESCRIBED,
                TEST
            ),
            2
        );
        assert_eq!(findings(ROWS, "## `key_unknown`\n", TEST), 1);
        assert_eq!(findings(ROWS, &format!("{DESCRIBED}## `key_gone`\n"), TEST), 1);
        assert_eq!(
            findings(ROWS, DESCRIBED, "Reason::KeyStagedToo; key_unknown_2; key_staged"),
            1
        );
        assert_eq!(findings("reasons! {\n}\n", DESCRIBED, TEST), 1);
        assert_eq!(complete(&Workspace::default()).len(), 1);
    }

    #[test]
    fn a_test_module_counts_and_the_rest_of_its_file_does_not() {
        let inside = "fn a() {}\n#[cfg(test)]\nmod tests {\n    // key_unknown key_staged\n}\n";
        let outside = inside.replace("#[cfg(test)]\n", "");
        let with = |text: &str| {
            complete(&Workspace::of(&[
                (LIST, ROWS),
                (PAGE, DESCRIBED),
                ("crates/a/src/rules.rs", text),
            ]))
            .len()
        };
        assert_eq!(with(inside), 0);
        assert_eq!(with(&outside), 2);
    }
}
