//! Which crate may use which: the table in `ARCHITECTURE.md`, and what must never be.
//!
//! The table is the first under the heading `## Crates and edges` and has the columns `crate | may use`. A cell of the
//! second column holds names in backticks, `(tests)` behind one that only tests use, or none.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::workspace::Workspace;

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## Crates and edges";

/// Edges that must not exist, directly or through others: `(from, to, why)`. An empty `from` is every crate.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    (
        "countersign-gate",
        "countersign-authority",
        "the gate cannot link signing code",
    ),
    (
        "countersign-console",
        "countersign-authority",
        "the console reads and asks",
    ),
    ("", "countersign-hunt", "DataFusion stays out of every server"),
    (
        "countersign-ledger",
        "countersign-token",
        "the ledger stores hashes and never learns about tokens",
    ),
];

/// What `countersign-token` must not reach: it does no I/O and has no runtime.
const NOT_IN_TOKEN: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "mio",
    "reqwest",
    "smol",
    "sqlx",
    "tokio",
];

/// For each crate, the workspace crates it uses; the value tells whether tests alone do.
type Edges = BTreeMap<String, BTreeMap<String, bool>>;

/// What uses what, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The manifests and the table say the same.
pub(crate) fn table(workspace: &Workspace) -> Vec<Finding> {
    let Some(page) = workspace.file(PAGE) else {
        return vec![Finding::of(PAGE, "is missing")];
    };
    let Some(described) = described_edges(&page.text) else {
        return vec![Finding::of(PAGE, format!("has no table under {HEADING:?}"))];
    };
    let real = edges(workspace);
    let mut findings = Vec::new();
    for name in real.keys().chain(described.keys()).collect::<BTreeSet<_>>() {
        match (real.get(name), described.get(name)) {
            (Some(_), None) => findings.push(Finding::of(PAGE, format!("the table has no row for {name}"))),
            (None, Some(_)) => findings.push(Finding::of(
                PAGE,
                format!("the table names {name}, which does not exist"),
            )),
            (Some(real), Some(described)) if real != described => findings.push(Finding::of(
                PAGE,
                format!(
                    "{name} uses {}, the table says {}",
                    in_words(real),
                    in_words(described)
                ),
            )),
            _ => {}
        }
    }
    findings
}

/// The edges that must never be are not there.
pub(crate) fn forbidden(workspace: &Workspace) -> Vec<Finding> {
    let edges = edges(workspace).into_iter();
    let edges: Graph = edges
        .map(|(name, uses)| (name, uses.into_keys().collect()))
        .collect();
    let mut findings = Vec::new();
    for &(from, to, why) in FORBIDDEN {
        for name in edges
            .keys()
            .filter(|name| from.is_empty() || name.as_str() == from)
        {
            if name != to && reaches(&edges, name, to) {
                findings.push(Finding::of(
                    &manifest_path(workspace, name),
                    format!("reaches {to}: {why}"),
                ));
            }
        }
    }
    let packages = without_dev_dependencies(workspace, locked_packages(workspace));
    for name in NOT_IN_TOKEN {
        if packages.contains_key("countersign-token") && reaches(&packages, "countersign-token", name) {
            let problem = format!("reaches {name}: no I/O, no async, no HTTP");
            findings.push(Finding::of("crates/countersign-token/Cargo.toml", problem));
        }
    }
    findings
}

fn manifest_path(workspace: &Workspace, package: &str) -> String {
    let path = format!("crates/{package}/Cargo.toml");
    if workspace.exists(&path) {
        path
    } else {
        format!("{package}/Cargo.toml")
    }
}

fn in_words(uses: &BTreeMap<String, bool>) -> String {
    let names = uses.iter().map(|(name, tests)| {
        if *tests {
            format!("{name} (tests)")
        } else {
            name.clone()
        }
    });
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names
    }
}

fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for next in graph.get(name).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    false
}

/// The edges between workspace crates as the manifests have them.
fn edges(workspace: &Workspace) -> Edges {
    let manifests: BTreeMap<String, toml::Table> = super::manifests::packages(workspace)
        .filter_map(|(_, manifest)| Some((super::manifests::name(&manifest)?.to_owned(), manifest)))
        .collect();
    let of = |manifest: &toml::Table| {
        let mut uses = BTreeMap::new();
        for (section, tests) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            for package in dependency_sections(manifest, section).filter(|it| manifests.contains_key(*it)) {
                uses.entry(package.to_owned())
                    .and_modify(|it| *it = *it && tests)
                    .or_insert(tests);
            }
        }
        uses
    };
    manifests
        .iter()
        .map(|(name, manifest)| (name.clone(), of(manifest)))
        .collect()
}

/// The packages that a manifest names in such sections, for all platforms and for single ones.
fn dependency_sections<'m>(manifest: &'m toml::Table, section: &'m str) -> impl Iterator<Item = &'m str> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(platforms)
        .filter_map(move |place| place.get(section)?.as_table())
        .flatten()
        .map(|(key, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(key))
}

/// Every package in the lock file with what it depends on (versions merged: the question is only what is reached).
fn locked_packages(workspace: &Workspace) -> Graph {
    let lock = workspace
        .file("Cargo.lock")
        .and_then(|file| file.text.parse::<toml::Table>().ok());
    let mut packages: Graph = Graph::new();
    let listed = lock
        .as_ref()
        .and_then(|lock| lock.get("package"))
        .and_then(toml::Value::as_array);
    for package in listed.into_iter().flatten() {
        let Some(name) = package.get("name").and_then(toml::Value::as_str) else {
            continue;
        };
        let uses = package
            .get("dependencies")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten();
        let uses = uses
            .filter_map(toml::Value::as_str)
            .filter_map(|it| it.split(' ').next());
        packages
            .entry(name.to_owned())
            .or_default()
            .extend(uses.map(str::to_owned));
    }
    packages
}

/// The lock file does not say what only tests use; for the crates of the workspace their manifests do. What a package
/// from elsewhere uses in its tests does not stand in the lock file at all.
fn without_dev_dependencies(workspace: &Workspace, mut packages: Graph) -> Graph {
    for (_, manifest) in super::manifests::packages(workspace) {
        let Some(uses) = super::manifests::name(&manifest).and_then(|name| packages.get_mut(name)) else {
            continue;
        };
        let kept = |name: &String| {
            let in_section = |section| dependency_sections(&manifest, section).any(|it| it == name.as_str());
            in_section("dependencies") || in_section("build-dependencies") || !in_section("dev-dependencies")
        };
        uses.retain(kept);
    }
    packages
}

fn described_edges(page: &str) -> Option<Edges> {
    let (_, section) = page.split_once(HEADING)?;
    let rows = section
        .lines()
        .skip(1)
        .skip_while(|line| !line.starts_with(['|', '#']));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let mut edges = Edges::new();
    for row in rows.skip(2) {
        let mut cells = row.trim_matches('|').split('|');
        let name = cells.next()?.trim().trim_matches('`').to_owned();
        let uses = cells.next()?.split(',').filter_map(|used| {
            let used = used.trim();
            let name = used.split('`').nth(1)?.to_owned();
            Some((name, used.ends_with("(tests)")))
        });
        edges.insert(name, uses.collect());
    }
    (!edges.is_empty()).then_some(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: (&str, &str) = (
        "crates/countersign-gate/Cargo.toml",
        "[package]\nname = \"countersign-gate\"\n[dependencies]\ncountersign-token.workspace = true\n",
    );
    const TOKEN: (&str, &str) = (
        "crates/countersign-token/Cargo.toml",
        "[package]\nname = \"countersign-token\"\n",
    );
    const PAGE_TEXT: &str = "## Crates and edges\n\n| crate | may use |\n|---|---|\n| `countersign-gate` | `countersign-token` |\n| `countersign-token` | - |\n\n| crate | owns |\n|---|---|\n| `x` | y |\n";

    #[test]
    fn the_table_is_compared_both_ways() {
        assert_eq!(table(&Workspace::of(&[GATE, TOKEN, (PAGE, PAGE_TEXT)])), []);
        let poorer = PAGE_TEXT.replace("`countersign-token` |\n", "- |\n");
        let richer = PAGE_TEXT.replace("| - |", "| `countersign-gate` (tests) |");
        let missing = PAGE_TEXT.replace("| `countersign-token` | - |\n", "");
        let unknown = PAGE_TEXT.replace(
            "| `countersign-token` | - |",
            "| `countersign-token` | - |\n| `cat` | - |",
        );
        for page in [poorer, richer, missing, unknown, "nothing".to_owned()] {
            assert_eq!(
                table(&Workspace::of(&[GATE, TOKEN, (PAGE, &page)])).len(),
                1,
                "{page}"
            );
        }
        assert_eq!(table(&Workspace::of(&[GATE, TOKEN])).len(), 1);
    }

    #[test]
    fn a_forbidden_edge_is_found_through_another_crate_and_in_tests() {
        let authority = (
            "crates/countersign-authority/Cargo.toml",
            "[package]\nname = \"countersign-authority\"\n",
        );
        let token = (
            TOKEN.0,
            "[package]\nname = \"countersign-token\"\n[target.'cfg(unix)'.dev-dependencies]\ncountersign-authority = { path = \"x\" }\n",
        );
        assert_eq!(forbidden(&Workspace::of(&[GATE, TOKEN, authority])), []);
        let findings = forbidden(&Workspace::of(&[GATE, token, authority]));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].place, GATE.0);
    }

    #[test]
    fn nothing_may_use_the_hunt() {
        let hunt = (
            "crates/countersign-hunt/Cargo.toml",
            "[package]\nname = \"countersign-hunt\"\n",
        );
        let console = (
            "crates/countersign-console/Cargo.toml",
            "[package]\nname = \"countersign-console\"\n[dependencies]\nhunt = { package = \"countersign-hunt\", path = \"x\" }\n",
        );
        assert_eq!(forbidden(&Workspace::of(&[hunt, console])).len(), 1);
    }

    #[test]
    fn the_token_crate_reaches_no_runtime_even_through_a_library() {
        let lock = "[[package]]\nname = \"countersign-token\"\ndependencies = [\"innocent 1.0.0\"]\n[[package]]\nname = \"innocent\"\ndependencies = [\"tokio\"]\n";
        assert_eq!(forbidden(&Workspace::of(&[TOKEN, ("Cargo.lock", lock)])).len(), 1);
        let lock = lock.replace("tokio", "serde");
        assert_eq!(forbidden(&Workspace::of(&[TOKEN, ("Cargo.lock", &lock)])), []);
    }

    #[test]
    fn the_tests_of_the_token_crate_may_have_a_runtime_and_the_crate_may_not() {
        let lock = "[[package]]\nname = \"countersign-token\"\ndependencies = [\"axum\"]\n[[package]]\nname = \"axum\"\ndependencies = [\"tokio\"]\n";
        let found = |sections: &str| {
            let manifest = format!("{}{sections}", TOKEN.1);
            forbidden(&Workspace::of(&[(TOKEN.0, &manifest), ("Cargo.lock", lock)])).len()
        };
        assert_eq!(found("[dev-dependencies]\naxum = \"0.8\"\n"), 0);
        for section in [
            "dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            assert_eq!(found(&format!("[{section}]\naxum = \"0.8\"\n")), 2, "{section}");
        }
        assert_eq!(
            found("[dev-dependencies]\naxum = \"0.8\"\n[dependencies]\naxum = \"0.8\"\n"),
            2
        );
    }
}
