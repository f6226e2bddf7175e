//! `cargo xtask tidy`: the house rules that a program can check.
//!
//! A rule is a function from the checkout to findings, and each has a unit test on a bad example: a rule that cannot
//! fail is a defect. What clippy checks is not checked again, except the banned calls: an `expect` attribute anywhere
//! silences clippy, while the list in `exemptions.rs` is one page to review.

mod calls;
mod edges;
mod examples;
mod exemptions;
mod ignored;
mod links;
pub(crate) mod manifests;
mod pages;
mod reasons;
mod sizes;
mod words;

use anyhow::{Result, ensure};

use crate::workspace::Workspace;
use crate::{Usage, json, print, workspace};

/// Findings of one rule that fit on the screen; `--json` has them all.
const FINDINGS_SHOWN: usize = 8;

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A path, often with a line.
    place: String,
    problem: String,
}

impl Finding {
    fn at(path: &str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            place: format!("{path}:{line}"),
            problem: problem.into(),
        }
    }

    fn of(path: &str, problem: impl Into<String>) -> Self {
        Self {
            place: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// A house rule.
struct Rule {
    name: &'static str,
    check: fn(&Workspace) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "crate edges are those of ARCHITECTURE.md",
        check: edges::table,
    },
    Rule {
        name: "forbidden edges are absent",
        check: edges::forbidden,
    },
    Rule {
        name: "manifests describe their crate and take the lints",
        check: manifests::complete,
    },
    Rule {
        name: "every crate has one build lane",
        check: manifests::lanes,
    },
    Rule {
        name: "crate roots say what they are",
        check: manifests::headers,
    },
    Rule {
        name: "files have at most 800 lines of code",
        check: sizes::files,
    },
    Rule {
        name: "functions have at most 70 lines",
        check: sizes::functions,
    },
    Rule {
        name: "no module is called core, common, utils, helpers, types",
        check: sizes::names,
    },
    Rule {
        name: "reason codes are unique, documented, tested",
        check: reasons::complete,
    },
    Rule {
        name: "public items of countersign-token show an example",
        check: examples::complete,
    },
    Rule {
        name: "an ignored test is run, and counted, by an area of `cargo xtask test`",
        check: ignored::run_somewhere,
    },
    Rule {
        name: "allow and expect say why",
        check: words::attributes,
    },
    Rule {
        name: "a task left in a comment names its issue",
        check: words::todos,
    },
    Rule {
        name: "no machine paths",
        check: words::machine_paths,
    },
    Rule {
        name: "banned calls stand on the list",
        check: calls::banned,
    },
    Rule {
        name: "links lead somewhere",
        check: links::markdown,
    },
    Rule {
        name: "ARCHITECTURE.md names paths that exist",
        check: links::architecture,
    },
    Rule {
        name: "docs/configuration.md is what the sources say",
        check: pages::configuration,
    },
    Rule {
        name: "docs/attacks.md names tests and reasons that exist",
        check: pages::attacks,
    },
];

/// Runs the command; true means that no rule is broken.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let as_json = match arguments {
        [] => false,
        [flag] if flag == "--json" => true,
        _ => return Err(Usage("tidy takes only --json".to_owned()).into()),
    };
    let checkout = Workspace::load(&workspace::root())?;
    let results = check(&checkout);
    let notes = sizes::large_files(&checkout);
    if as_json {
        print::out(&as_json_text(&results, &notes));
    } else {
        print::out(&as_text(&results, &notes));
    }
    Ok(is_clean(&results))
}

/// The same for a log: an error when a rule is broken, with the report in it.
pub(crate) fn report() -> Result<String> {
    let checkout = Workspace::load(&workspace::root())?;
    let results = check(&checkout);
    let text = as_text(&results, &sizes::large_files(&checkout));
    ensure!(is_clean(&results), "a house rule is broken\n{text}");
    Ok(text)
}

fn check(checkout: &Workspace) -> Vec<(&'static Rule, Vec<Finding>)> {
    RULES.iter().map(|rule| (rule, (rule.check)(checkout))).collect()
}

fn is_clean(results: &[(&Rule, Vec<Finding>)]) -> bool {
    results.iter().all(|(_, findings)| findings.is_empty())
}

fn as_text(results: &[(&Rule, Vec<Finding>)], notes: &[Finding]) -> String {
    let mut lines = Vec::new();
    for (rule, findings) in results {
        lines.push(format!(
            "{}  {}",
            if findings.is_empty() { "ok  " } else { "FAIL" },
            rule.name
        ));
        lines.extend(
            findings
                .iter()
                .take(FINDINGS_SHOWN)
                .map(|it| format!("        {}: {}", it.place, it.problem)),
        );
        if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS_SHOWN) {
            lines.push(format!("        … and {more} more: cargo xtask tidy --json"));
        }
    }
    if !notes.is_empty() {
        let places: Vec<String> = notes
            .iter()
            .map(|it| format!("{} ({})", it.place, it.problem))
            .collect();
        lines.push(format!(
            "note  over {} lines of code: {}",
            sizes::NOTED_LINES,
            places.join(", ")
        ));
    }
    let broken = results
        .iter()
        .filter(|(_, findings)| !findings.is_empty())
        .count();
    lines.push(format!("{} rules kept, {broken} broken", results.len() - broken));
    lines.join("\n")
}

fn as_json_text(results: &[(&Rule, Vec<Finding>)], notes: &[Finding]) -> String {
    let row = |it: &Finding| {
        json::object([
            ("place", it.place.as_str().into()),
            ("problem", it.problem.as_str().into()),
        ])
    };
    let rules = results.iter().map(|(rule, findings)| {
        json::object([
            ("rule", rule.name.into()),
            ("kept", findings.is_empty().into()),
            ("findings", findings.iter().map(row).collect()),
        ])
    });
    json::object([
        ("rules", rules.collect()),
        ("notes", notes.iter().map(row).collect()),
    ])
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_breaks_its_rule_on_the_screen() {
        let rule = Rule {
            name: "no cats",
            check: |_| (0..10).map(|line| Finding::at("a.rs", line, "a cat")).collect(),
        };
        let results = [(&rule, (rule.check)(&Workspace::default()))];
        let text = as_text(&results, &[]);
        assert!(
            text.starts_with("FAIL  no cats\n        a.rs:0: a cat\n"),
            "{text}"
        );
        assert!(
            text.ends_with("… and 2 more: cargo xtask tidy --json\n0 rules kept, 1 broken"),
            "{text}"
        );
        assert!(as_json_text(&results, &[]).contains(r#""kept":false"#));
    }
}
