//! Links and paths in the documents lead somewhere.

use super::Finding;
use crate::workspace::Workspace;

/// Every relative link of every Markdown file names a file or folder that exists.
pub(crate) fn markdown(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.with_extension("md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in prose(&file.text) {
            let targets = text
                .match_indices("](")
                .filter_map(|(at, _)| text.get(at + 2..)?.split(')').next());
            for target in targets.filter(|it| is_relative(it)) {
                let path = target.split('#').next().unwrap_or_default();
                let dead =
                    !path.is_empty() && !resolve(folder, path).is_some_and(|path| workspace.exists(&path));
                if dead {
                    findings.push(Finding::at(&file.path, line, format!("a dead link: {target}")));
                }
                let own_anchor = path.is_empty().then(|| target.trim_start_matches('#'));
                if own_anchor.is_some_and(|anchor| !anchors(&file.text).any(|it| it == anchor)) {
                    findings.push(Finding::at(&file.path, line, format!("no heading for {target}")));
                }
            }
        }
    }
    findings
}

/// Paths in backticks in `ARCHITECTURE.md` exist.
pub(crate) fn architecture(workspace: &Workspace) -> Vec<Finding> {
    const PAGE: &str = "ARCHITECTURE.md";
    let Some(page) = workspace.file(PAGE) else {
        return vec![Finding::of(PAGE, "is missing")];
    };
    let tops = [
        "crates/",
        "docs/",
        "fuzz/",
        "testdata/",
        "tests/",
        "xtask/",
        ".ci/",
        ".cargo/",
    ];
    let mut findings = Vec::new();
    for (line, text) in prose(&page.text) {
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|it| tops.iter().any(|top| it.starts_with(top)));
        for path in paths.filter(|it| !it.contains(['*', '<', '{', '…', ' '])) {
            if !workspace.exists(path) {
                findings.push(Finding::at(PAGE, line, format!("{path} does not exist")));
            }
        }
    }
    findings
}

/// The lines (from 1) outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        (!fenced).then_some((index + 1, line))
    })
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('<')
}

/// The path from the root, or nothing when it leaves the checkout.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors that a Markdown renderer makes of the headings.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    headings.map(|heading| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_link_is_found() {
        let page = "# A b, c!\n[x](../README.md) [y](https://x.example/) [z](#a-b-c) [w](b.md#q)\n```\n[v](none.md)\n```\n";
        let files = [
            ("docs/a.md", page),
            ("docs/b.md", ""),
            ("README.md", "[docs](docs/)"),
        ];
        assert_eq!(markdown(&Workspace::of(&files)), []);
        for bad in [
            "[x](none.md)",
            "[x](../../README.md)",
            "[x](#none)",
            "[x](docs/b.md)",
        ] {
            assert_eq!(
                markdown(&Workspace::of(&[("docs/a.md", bad), ("docs/b.md", "")])).len(),
                1,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_path_that_does_not_exist_is_found() {
        let page = "`crates/a/src/lib.rs` `crates/a/` `crates/*` `token/sign`";
        let files = [("ARCHITECTURE.md", page), ("crates/a/src/lib.rs", "")];
        assert_eq!(architecture(&Workspace::of(&files)), []);
        assert_eq!(
            architecture(&Workspace::of(&[("ARCHITECTURE.md", "`docs/none.md`")])).len(),
            1
        );
        assert_eq!(architecture(&Workspace::default()).len(), 1);
    }
}
