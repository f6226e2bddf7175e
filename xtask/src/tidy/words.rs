//! What attributes, comments and texts must and must not say.

use super::Finding;
use crate::source::Source;
use crate::workspace::Workspace;

/// Starts of paths that exist on one machine only. In halves, so that this list is none.
const MACHINE_PATHS: &[(&str, &str)] = &[
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/Us", "ers/"),
    ("/var/fol", "ders/"),
];

/// Names of lint attributes that silence something.
const SILENCERS: &[&str] = &["[allow(", "[expect(", " allow(", " expect("];

/// Every `allow` and `expect` attribute has a reason, and so has every `allow` of the workspace's lints.
pub(crate) fn attributes(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.rust() {
        let code = Source::parse(&file.text).code;
        for (start, _) in code.match_indices("#[").chain(code.match_indices("#![")) {
            let Some(attribute) = code.get(start..).and_then(attribute) else {
                continue;
            };
            let silences = SILENCERS.iter().any(|silencer| attribute.contains(silencer));
            if silences && !attribute.contains("reason =") {
                let line = code.get(..start).map_or(0, |text| text.matches('\n').count()) + 1;
                findings.push(Finding::at(
                    &file.path,
                    line,
                    "a silenced lint without `reason = …`",
                ));
            }
        }
    }
    findings.extend(lint_table(workspace));
    findings
}

/// In the root manifest a comment stands above each lint that is set to `allow`.
fn lint_table(workspace: &Workspace) -> Vec<Finding> {
    let lines: Vec<&str> = workspace
        .file("Cargo.toml")
        .map_or(Vec::new(), |file| file.text.lines().collect());
    let pairs = lines
        .windows(2)
        .enumerate()
        .filter_map(|(index, pair)| match pair {
            [above, line] if line.ends_with("= \"allow\"") && !above.starts_with('#') => Some(index + 2),
            _ => None,
        });
    pairs
        .map(|line| Finding::at("Cargo.toml", line, "an allowed lint without a sentence above it"))
        .collect()
}

/// The attribute at the start of the text, to its closing bracket.
fn attribute(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (offset, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' if depth == 1 => return text.get(..=offset),
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// What marks a task left in a comment. Written in two halves, so that this file does not look like one that has some.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// A task left in a comment names its issue, `(#12)` right behind the marker.
pub(crate) fn todos(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.files {
        let extension = file.path.rsplit('.').next().unwrap_or_default();
        let text = match extension {
            "rs" => Source::parse(&file.text).comments,
            "toml" | "mjs" | "js" | "sh" | "conf" | "yml" => file.text.clone(),
            _ => continue,
        };
        for (index, line) in text.lines().enumerate() {
            let words = MARKERS.into_iter().filter_map(|word| line.split_once(word));
            let unnamed = words.filter(|(_, rest)| !names_issue(rest)).count();
            if unnamed > 0 {
                findings.push(Finding::at(
                    &file.path,
                    index + 1,
                    "name its issue, (#12), or do it",
                ));
            }
        }
    }
    findings
}

fn names_issue(rest: &str) -> bool {
    let number = rest.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
    number.is_some_and(|(number, _)| !number.is_empty() && number.chars().all(|it| it.is_ascii_digit()))
}

/// Nothing that is committed names a place on somebody's machine.
pub(crate) fn machine_paths(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &workspace.files {
        for (index, line) in file.text.lines().enumerate() {
            for start in MACHINE_PATHS.iter().map(|(a, b)| format!("{a}{b}")) {
                let found = line.match_indices(&start).any(|(at, _)| begins_a_path(line, at));
                if found {
                    findings.push(Finding::at(
                        &file.path,
                        index + 1,
                        format!("names a machine's path: {start}…"),
                    ));
                }
            }
        }
    }
    findings
}

/// `a/home/` and `https://x/home/` are parts of longer names; a path of its own follows a space or a quote.
fn begins_a_path(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|text| text.chars().next_back());
    before.is_none_or(|it| !(it.is_alphanumeric() || matches!(it, '/' | '.' | '-' | '_' | '}' | '>' | '*')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_lint_needs_a_reason() {
        let good = "#![allow(a, reason = \"b]\")]\n#[cfg_attr(x, expect(a, reason = \"b\"))]\nfn expect(a: u8) { b.expect(\"#[allow(c)]\"); }";
        assert_eq!(attributes(&Workspace::of(&[("a.rs", good)])), []);
        for bad in [
            "#[allow(a)]",
            "fn x() {}\n#![expect(a)]",
            "#[cfg_attr(x, allow(a))]",
            "#[expect(\n    a\n)]",
        ] {
            assert_eq!(attributes(&Workspace::of(&[("a.rs", bad)])).len(), 1, "{bad}");
        }
    }

    #[test]
    fn an_allowed_lint_needs_a_sentence() {
        assert_eq!(
            attributes(&Workspace::of(&[(
                "Cargo.toml",
                "[lints]\n# Noise.\na = \"allow\"\n"
            )])),
            []
        );
        assert_eq!(
            attributes(&Workspace::of(&[("Cargo.toml", "[lints]\na = \"allow\"\n")])).len(),
            1
        );
    }

    #[test]
    fn a_todo_needs_an_issue() {
        let found = |path: &str, text: &str| todos(&Workspace::of(&[(path, text)])).len();
        for marker in MARKERS {
            assert_eq!(
                found("a.rs", &format!("// {marker}(#12): x\nlet a = \"{marker}\";")),
                0
            );
            assert_eq!(found("a.md", marker), 0);
            for bad in ["", ": x", "(me)", "(#): x"] {
                assert_eq!(found("a.rs", &format!("// {marker}{bad}")), 1, "{bad}");
                assert_eq!(found("a.rs", &format!("/* {marker}{bad} */")), 1, "{bad}");
            }
            assert_eq!(found("a.toml", &format!("# {marker} later")), 1);
        }
    }

    #[test]
    fn a_machine_path_is_found() {
        for (a, b) in MACHINE_PATHS {
            let text = format!("see \"{a}{b}x\"");
            assert_eq!(
                machine_paths(&Workspace::of(&[("a.md", &text)])).len(),
                1,
                "{text}"
            );
        }
        let fine = format!("https://x.example{}{}", "/ho", "me/");
        assert_eq!(machine_paths(&Workspace::of(&[("a.md", &fine)])), []);
    }
}
