//! Ignored tests: each is run by an area of `cargo xtask test`, which insists on their number.

use super::Finding;
use crate::source::Source;
use crate::workspace::Workspace;

/// The areas that run ignored tests, the file in which they look for them, and how many are there. Each area fails unless
/// exactly these have run.
pub(crate) const RUNNERS: [(&str, &str, usize); 3] = [
    ("model", "crates/countersign-ledger/tests/it/model.rs", 1),
    ("stores", "crates/countersign-ledger/src/store/conformance.rs", 2),
    ("crash", "crates/countersign/tests/it/crash.rs", 2),
];

/// Every ignored test names the area that runs it, stands where that area looks, and is counted there.
pub(crate) fn run_somewhere(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in workspace.rust() {
        let code = Source::parse(&file.text).code;
        let ignored: Vec<usize> = code
            .lines()
            .enumerate()
            .filter_map(|(index, line)| line.trim_start().starts_with("#[ignore").then_some(index))
            .collect();
        let runner = RUNNERS.iter().find(|(_, path, _)| *path == file.path);
        let expected = runner.map_or(0, |(_, _, number)| *number);
        if ignored.len() != expected {
            let line = ignored.first().map_or(1, |index| index + 1);
            let text = format!(
                "{} ignored tests, and {expected} are run by an area",
                ignored.len()
            );
            findings.push(Finding::at(&file.path, line, text));
        }
        let Some((area, ..)) = runner else { continue };
        let named = format!("run by cargo xtask test {area}\"");
        for index in ignored {
            let line = file.text.lines().nth(index).unwrap_or_default();
            if !line.contains(&named) {
                let text = format!("an ignored test that does not say `{named}");
                findings.push(Finding::at(&file.path, index + 1, text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#[test]\n#[ignore = \"slow; run by cargo xtask test model\"]\nfn a() {}\n";

    fn findings(path: &str, text: &str) -> usize {
        run_somewhere(&Workspace::of(&[(path, text)])).len()
    }

    #[test]
    fn an_ignored_test_without_a_runner_is_found() {
        let (_, path, _) = RUNNERS[0];
        assert_eq!(findings(path, GOOD), 0);
        assert_eq!(findings("crates/x/src/lib.rs", GOOD), 1, "nobody runs it");
        assert_eq!(
            findings(path, &GOOD.repeat(2)),
            1,
            "one more than the area counts"
        );
        assert_eq!(findings(path, ""), 1, "one less");
        assert_eq!(
            findings(path, &GOOD.replace("test model", "test crash")),
            1,
            "another area"
        );
        assert_eq!(findings("crates/x/src/lib.rs", "// #[ignore]\n"), 0);
    }
}
