//! How long files and functions may be, and what modules may not be called.

use std::path::Path;

use super::Finding;
use super::exemptions::{Exemption, LONG_FILES, LONG_FUNCTIONS};
use crate::source::Source;
use crate::workspace::{File, Workspace};

/// Lines of code (no comments, no tests) above which a file is listed.
pub(crate) const NOTED_LINES: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const VAGUE_NAMES: &[&str] = &["common", "core", "helpers", "types", "utils"];

/// No file is longer than the hard limit.
pub(crate) fn files(workspace: &Workspace) -> Vec<Finding> {
    files_except(workspace, LONG_FILES)
}

fn files_except(workspace: &Workspace, exempt: &[Exemption]) -> Vec<Finding> {
    let long = workspace
        .rust()
        .map(|file| (file, Source::parse(&file.text).code_lines()));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > FILE_LINES_MAX).collect();
    let mut findings: Vec<Finding> = long
        .iter()
        .filter(|(file, _)| !exempt.iter().any(|it| it.0 == file.path))
        .map(|(file, lines)| Finding::of(&file.path, format!("has {lines} lines of code")))
        .collect();
    let stale = exempt
        .iter()
        .filter(|it| !long.iter().any(|(file, _)| file.path == it.0));
    findings.extend(stale.map(|it| Finding::of(it.0, "is exempt without need")));
    findings
}

/// Files worth a look, tests apart: above the aim, below the hard limit.
pub(crate) fn large_files(workspace: &Workspace) -> Vec<Finding> {
    let lines = |file: &File| Source::parse(&file.text).code_lines();
    let large = workspace
        .rust()
        .filter(|file| !is_test_file(&file.path))
        .map(|file| (file, lines(file)))
        .filter(|(_, lines)| *lines > NOTED_LINES);
    large
        .map(|(file, lines)| Finding::of(&file.path, lines.to_string()))
        .collect()
}

/// No function outside tests is longer than the hard limit.
pub(crate) fn functions(workspace: &Workspace) -> Vec<Finding> {
    functions_except(workspace, LONG_FUNCTIONS)
}

fn functions_except(workspace: &Workspace, exempt: &[Exemption]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = Vec::new();
    for file in workspace.rust().filter(|file| !is_test_file(&file.path)) {
        let source = Source::parse(&file.text);
        let tests = source.test_lines();
        let long = source
            .functions()
            .into_iter()
            .filter(|it| it.length > FUNCTION_LINES_MAX);
        for function in long.filter(|it| !tests.iter().any(|range| range.contains(&it.line))) {
            let exemption = exempt
                .iter()
                .find(|it| it.0 == file.path && it.1 == function.name);
            needed.extend(exemption.copied());
            if exemption.is_none() {
                let problem = format!("fn {} has {} lines", function.name, function.length);
                findings.push(Finding::at(&file.path, function.line, problem));
            }
        }
    }
    let stale = exempt.iter().filter(|it| !needed.contains(it));
    findings.extend(stale.map(|it| Finding::of(it.0, format!("fn {} is exempt without need", it.1))));
    findings
}

/// A thing lives with its owner.
pub(crate) fn names(workspace: &Workspace) -> Vec<Finding> {
    let vague = |path: &str| {
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.split('/')
            .any(|part| VAGUE_NAMES.contains(&part.trim_start_matches("countersign-")))
    };
    let files = workspace.rust().filter(|file| vague(&file.path));
    files
        .map(|file| Finding::of(&file.path, "is named after nothing it owns"))
        .collect()
}

/// Whether a whole file is test or bench code.
pub(crate) fn is_test_file(path: &str) -> bool {
    let path = Path::new(path);
    let in_folder = path.iter().any(|part| part == "tests" || part == "benches");
    in_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_a_needless_exemption_too() {
        let long = "fn a() {}\n".repeat(FILE_LINES_MAX + 1);
        let workspace = Workspace::of(&[("a.rs", &long), ("b.rs", "// x\n\n".repeat(900).as_str())]);
        assert_eq!(files(&workspace).len(), 1);
        assert_eq!(files_except(&workspace, &[("a.rs", "", "a table")]), []);
        assert_eq!(
            files_except(&workspace, &[("a.rs", "", "a table"), ("b.rs", "", "stale")]).len(),
            1
        );
        assert_eq!(large_files(&workspace).len(), 1);
    }

    #[test]
    fn a_long_function_is_found_outside_tests_only() {
        let long = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(FUNCTION_LINES_MAX));
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(functions_except(&Workspace::of(&[("a.rs", &long)]), &[]).len(), 1);
        assert_eq!(
            functions_except(&Workspace::of(&[("a.rs", &long)]), &[("a.rs", "a", "one table")]),
            []
        );
        assert_eq!(
            functions_except(&Workspace::of(&[("b.rs", "")]), &[("a.rs", "a", "stale")]).len(),
            1
        );
        assert_eq!(
            functions_except(
                &Workspace::of(&[("a.rs", &in_tests), ("x/tests/it/a.rs", &long)]),
                &[]
            ),
            []
        );
    }

    #[test]
    fn vague_names_are_found() {
        let workspace = Workspace::of(&[
            ("crates/countersign-core/src/lib.rs", ""),
            ("a/utils.rs", ""),
            ("a/core_set.rs", ""),
        ]);
        assert_eq!(names(&workspace).len(), 2);
    }
}
