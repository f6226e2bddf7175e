//! Calls that only the owner of an effect may make: the clock, the end of the process, sleep.

use super::Finding;
use super::exemptions::{CALLS, Exemption};
use crate::source::Source;
use crate::workspace::Workspace;

/// `(call, what to do instead)`
const BANNED: &[(&str, &str)] = &[
    ("SystemTime::now", "time is a parameter"),
    ("process::exit", "only main ends the process, by its return value"),
    ("thread::sleep", "wait on something, not on time"),
];

/// Each banned call stands in a file that the list names.
pub(crate) fn banned(workspace: &Workspace) -> Vec<Finding> {
    banned_except(workspace, CALLS)
}

fn banned_except(workspace: &Workspace, exempt: &[Exemption]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = Vec::new();
    for file in workspace.rust() {
        let source = Source::parse(&file.text);
        for (call, instead) in BANNED {
            for (offset, _) in source.code.match_indices(call) {
                let exemption = exempt.iter().find(|it| it.0 == file.path && it.1 == *call);
                needed.extend(exemption.copied());
                if exemption.is_none() {
                    let problem = format!("{call}: {instead}");
                    findings.push(Finding::at(&file.path, source.line_of(offset), problem));
                }
            }
        }
    }
    let stale = exempt.iter().filter(|it| !needed.contains(it));
    findings.extend(stale.map(|it| Finding::of(it.0, format!("{} is exempt without need", it.1))));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_call_is_found_unless_listed() {
        let workspace = Workspace::of(&[
            ("a.rs", "let now = std::time::SystemTime::now();"),
            ("b.rs", "// thread::sleep"),
        ]);
        assert_eq!(banned_except(&workspace, &[]).len(), 1);
        assert_eq!(
            banned_except(&workspace, &[("a.rs", "SystemTime::now", "the clock")]),
            []
        );
        let stale = [
            ("a.rs", "SystemTime::now", "the clock"),
            ("b.rs", "thread::sleep", "stale"),
        ];
        assert_eq!(banned_except(&workspace, &stale).len(), 1);
        for (call, _) in BANNED {
            assert_eq!(
                banned_except(&Workspace::of(&[("a.rs", call)]), &[]).len(),
                1,
                "{call}"
            );
        }
    }
}
