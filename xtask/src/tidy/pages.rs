//! Pages that must follow the sources: the configuration reference, and the attacks with their tests.

use super::Finding;
use crate::docs;
use crate::source::Source;
use crate::workspace::Workspace;

const ATTACKS: &str = "docs/attacks.md";
const REASONS: &str = "docs/reasons.md";

/// The page is what `cargo xtask docs` would write.
pub(super) fn configuration(workspace: &Workspace) -> Vec<Finding> {
    match docs::configuration(workspace) {
        Ok(page) if docs::is_current(workspace, &page) => vec![],
        Ok(_) => vec![Finding::of(docs::CONFIGURATION, "is stale: cargo xtask docs")],
        Err(error) => vec![Finding::of(
            docs::CONFIGURATION,
            format!("cannot be made: {error:#}"),
        )],
    }
}

/// Each section names a test, or says that there is none; each test and each reason exists.
pub(super) fn attacks(workspace: &Workspace) -> Vec<Finding> {
    let Some(page) = workspace.file(ATTACKS) else {
        return vec![Finding::of(ATTACKS, "is missing")];
    };
    let mut findings = Vec::new();
    let mut section: Option<(usize, &str)> = None;
    let mut tests_of_section = 0;
    let end = (page.text.lines().count(), "## ");
    let lines = page.text.lines().enumerate().chain(std::iter::once(end));
    for (index, line) in lines {
        if let Some(heading) = line.strip_prefix("## ") {
            if let Some((start, name)) = section.filter(|_| tests_of_section == 0) {
                findings.push(Finding::at(
                    ATTACKS,
                    start,
                    format!("{name}: names no test and is not under {NOT_COVERED:?}"),
                ));
            }
            section = (!heading.starts_with(NOT_COVERED)).then_some((index + 1, heading));
            tests_of_section = 0;
        }
        for (module, name) in tests_named(line) {
            tests_of_section += 1;
            let path = format!("{module}.rs");
            if !workspace
                .file(&path)
                .is_some_and(|file| is_test(&file.text, name))
            {
                findings.push(Finding::at(
                    ATTACKS,
                    index + 1,
                    format!("{path} has no test {name}"),
                ));
            }
        }
        for code in reasons_named(line) {
            let heading = format!("## `{code}`");
            if !workspace
                .file(REASONS)
                .is_some_and(|file| file.text.lines().any(|it| it == heading))
            {
                findings.push(Finding::at(
                    ATTACKS,
                    index + 1,
                    format!("{REASONS} has no {code}"),
                ));
            }
        }
    }
    findings
}

/// How the heading of what is left open begins.
const NOT_COVERED: &str = "Not covered";

/// Each `path.rs::name` in backticks, split around `.rs::`.
fn tests_named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|it| it.split_once(".rs::"))
}

/// Each anchor of a link to the reasons.
fn reasons_named(line: &str) -> impl Iterator<Item = &str> {
    line.split("](reasons.md#")
        .skip(1)
        .filter_map(|it| it.split(')').next())
}

/// Whether the file has a function of this name with a `test` attribute above it.
fn is_test(text: &str, name: &str) -> bool {
    let source = Source::parse(text);
    let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
    let declares = |line: &str| {
        line.trim_start_matches("async ")
            .strip_prefix("fn ")
            .and_then(|it| it.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(at, line)| {
        let above = lines.get(..at).unwrap_or_default().iter().rev();
        let mut attributes = above.take_while(|it| !it.ends_with(['{', '}', ';']));
        declares(line) && attributes.any(|it| *it == "#[test]" || it.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn plain() {}\n\n#[tokio::test(flavor = \"x\")]\nasync fn waiting() {}\n\n#[test]\n#[should_panic]\n#[expect(\n    lint,\n)]\nfn slow() {}\n\nfn helper() {}\n// #[test]\nfn commented() {}\n";

    fn found(page: &str) -> usize {
        let files = [
            (ATTACKS, page),
            (REASONS, "## `key_unknown`\n"),
            ("crates/a/tests/it/a.rs", TESTS),
        ];
        attacks(&Workspace::of(&files)).len()
    }

    #[test]
    fn an_attack_has_a_test_that_exists() {
        let good = "# Attacks\n\n## One\n\n[`key_unknown`](reasons.md#key_unknown)\n- `crates/a/tests/it/a.rs::plain`\n\n## Two\n\n`crates/a/tests/it/a.rs::waiting`, `crates/a/tests/it/a.rs::slow`\n\n## Not covered here\n\nDPoP\n";
        assert_eq!(found(good), 0);
        for (from, to) in [
            ("::plain", "::plai"),
            ("::plain", "::plain_"),
            ("::plain", "::helper"),
            ("::plain", "::commented"),
            ("a.rs::plain", "b.rs::plain"),
            ("#key_unknown", "#key_none"),
            ("- `crates/a/tests/it/a.rs::plain`", ""),
            (
                "`crates/a/tests/it/a.rs::waiting`, `crates/a/tests/it/a.rs::slow`",
                "",
            ),
            ("## Not covered here", "## Later"),
        ] {
            assert_eq!(found(&good.replacen(from, to, 1)), 1, "{from} {to}");
        }
        assert_eq!(attacks(&Workspace::default()).len(), 1);
    }

    #[test]
    fn a_page_that_cannot_be_made_is_a_finding() {
        assert_eq!(configuration(&Workspace::default()).len(), 1);
    }
}
